//! A tree of the server onto a local one.
//!
//! Nothing outside of the destination is touched, whatever names the server sends: see `pairs` for the names, and
//! `local` and `download::tree` for links that stand in the way.

mod compare;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::WireError;
use sealift_protocol::message::EntryKind;
use sealift_types::{EntryPath, ErrorCode};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::extras::Extras;
use super::listing;
use super::pairs::Pairs;
use super::{
    DeletePolicy, LeftEntry, Numbering, SyncOptions, SyncOutcome, SyncWatch, Withheld, check_conditions,
    describe,
};
use crate::client::Client;
use crate::download::download_found;
use crate::error::{TransferError, Unfit};
use crate::event::{EitherPath, Event, Events, TreeChange, TreeChangeKind};
use crate::leftovers::LeftoverFile;
use crate::local::{Directory, FileSystems, TreeRoot, make_directories};
use crate::tree::Omitted;
use compare::{BlockedByDirectory, Compared, Comparison, LocalOnly, SharedDirectory};

/// Batches of files that wait.
const AHEAD: usize = 4;

/// How often the trees are compared: again where something else can take the place of what was deleted, or where the
/// listing was not of one state.
const LOOKS: u32 = 6;

/// Makes the local directory `to` equal to the server's directory `from`. How each transfer ended is told by an event.
///
/// # Errors
/// Fails when there is no such directory, when its tree cannot be listed, when `to` cannot be made, and when there is
/// no connection, or none any more and none to be had.
pub async fn down(
    client: &mut Client,
    from: &EntryPath,
    to: &Path,
    rules: &SyncOptions,
    events: Events<'_>,
) -> Result<SyncOutcome, TransferError> {
    let mut whole: Option<SyncOutcome> = None;
    let (mut look, mut numbering) = (0, Numbering::default());
    loop {
        look += 1;
        let passed = pass(client, from, to, rules, &numbering, events).await?;
        let DownPass { outcome, blocked, freed, torn } = passed;
        numbering = numbering.next();
        let mut outcome = whole.take().map_or_else(|| outcome.clone(), |earlier| earlier.and(&outcome));
        // Something else can take the place of what was deleted; what was renamed may be on another page now.
        if (torn || freed) && look < LOOKS && !rules.dry_run {
            whole = Some(outcome);
            continue;
        }
        for path in blocked {
            let error = TransferError::Unfit { path: path.clone(), unfit: Unfit::Blocked };
            events(Event::Omitted(Omitted { path, error, in_tree: true }));
        }
        if torn && !rules.dry_run {
            outcome.withheld = Some(Withheld::Restless);
        }
        return Ok(outcome);
    }
}

/// What one comparison came to.
#[derive(Debug, Default)]
struct DownPass {
    outcome: SyncOutcome,
    /// In whose way a directory is that holds what is left alone.
    blocked: Vec<PathBuf>,
    /// Whether something was deleted that was in the way of something else.
    freed: bool,
    /// Whether the listing was not of one state of the tree.
    torn: bool,
}

/// One comparison and what follows from it.
async fn pass(
    client: &mut Client,
    from: &EntryPath,
    to: &Path,
    rules: &SyncOptions,
    numbering: &Numbering,
    events: Events<'_>,
) -> Result<DownPass, TransferError> {
    let watch = SyncWatch::new(events, numbering, super::Before::default());
    let take = |event| watch.take(event);
    let Some(there) = describe(client, from, &take).await? else {
        let message = format!("there is no {from} on the server: `sealift ls` shows what is there");
        return Err(WireError::new(ErrorCode::NotFound, message).into());
    };
    check_conditions(client, rules).await?;
    let is_new = prepare_root(to, rules.dry_run)?;
    let tree = if to.exists() { Some(Arc::new(TreeRoot::open(to)?)) } else { None };
    let (tell_pages, listed) = listing::channel();
    let (tell, found) = mpsc::channel(AHEAD);
    let disks = Arc::<FileSystems>::default();
    let mtime = (there.kind == EntryKind::Directory).then_some(there.mtime);
    let root = (!rules.dry_run).then(|| Arc::new(Directory::root(to.to_owned(), mtime, &disks)));
    let pairs = Pairs::new(to, tree.clone(), listed, &rules.walking.filter, true, !rules.dry_run);
    let open = SharedDirectory::new(String::new(), to.to_owned(), mtime, root);
    let mut comparison = Comparison::new(pairs, tree.clone(), from, rules, open, tell, is_new);
    let comparing = spawn_blocking(move || {
        comparison.run()?;
        comparison.settle()
    });
    let other = client.another();
    let listing = async {
        listing::list(other, from, tell_pages, &take).await;
        Ok(())
    };
    tokio::try_join!(listing, download_found(client, found, disks, &take))?;
    let panicked = |panic| TransferError::local("read", to)(io::Error::other(panic));
    let compared = comparing.await.map_err(panicked)??;
    let Compared { unchanged, extras, times, withheld, waiting, moved, torn, parts, in_the_way, .. } =
        compared;
    let torn = torn || watch.missed();
    let mut passed = DownPass { torn, ..DownPass::default() };
    passed.outcome = SyncOutcome { unchanged, moved, withheld, ..SyncOutcome::default() };
    let (waiting, stuck): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|waiting| !extras.going[waiting.number].stays);
    passed.blocked = stuck.into_iter().map(|waiting| waiting.path).collect();
    // A listing that is not of one state does not tell what has gone.
    if rules.delete == DeletePolicy::No || (torn && !rules.dry_run) {
        return Ok(passed);
    }
    if watch.failed() && !extras.going.is_empty() {
        passed.outcome.withheld = Some(Withheld::Failures);
    }
    if passed.outcome.withheld.is_some() {
        return Ok(passed);
    }
    let Some(tree) = tree else { return Ok(passed) };
    let parts = if watch.failed() || rules.dry_run { 0 } else { delete_parts(parts, &take) };
    let (deleted, left) = delete(&tree, &extras, rules.dry_run, &take);
    passed.outcome.deleted = parts + deleted;
    if rules.dry_run {
        return Ok(passed);
    }
    // What moved away has changed them, too.
    for (path, mtime) in times.into_iter().rev() {
        // A directory with another time is still the directory.
        let _ = tree.set_time(&path, mtime);
    }
    passed.freed = left.frees(in_the_way.iter().map(|number| extras.going[*number].entry.path.as_path()));
    for BlockedByDirectory { number, path, .. } in waiting {
        if left.has(&extras.going[number].entry.path) {
            passed.blocked.push(path);
        } else {
            passed.freed = true;
        }
    }
    Ok(passed)
}

/// Makes the root. Returns whether nothing is in it yet. Blocks.
fn prepare_root(to: &Path, dry_run: bool) -> Result<bool, TransferError> {
    match to.metadata() {
        Ok(metadata) if !metadata.is_dir() => {
            Err(TransferError::Unfit { path: to.to_owned(), unfit: Unfit::FileInTheWay })
        }
        Ok(_) => Ok(fs::read_dir(to).map_err(TransferError::local("read", to))?.next().is_none()),
        Err(_) if dry_run => Ok(true),
        Err(_) => {
            make_directories(to)?;
            Ok(true)
        }
    }
}

/// Deletes unfinished downloads that nobody goes on with. Returns how many. Blocks.
fn delete_parts(parts: Vec<LeftoverFile>, events: Events<'_>) -> usize {
    let mut count = 0;
    for part in parts {
        // What cannot be deleted keeps its directory, which is told.
        if part.remove().unwrap_or(false) {
            count += 1;
            let place = EitherPath::Local(part.path);
            let (action, from, size) = (TreeChangeKind::Delete, None, Some(part.bytes));
            events(Event::Changed(TreeChange { action, place, from, size, dry_run: false }));
        }
    }
    count
}

/// Deletes what only this side has, as far as it is what was compared. Returns how much, and what was not. Blocks.
fn delete(
    tree: &TreeRoot,
    extras: &Extras<LocalOnly>,
    dry_run: bool,
    events: Events<'_>,
) -> (usize, LeftEntry) {
    let (mut count, mut left) = (0, LeftEntry::default());
    extras.going.iter().filter(|extra| extra.stays).for_each(|extra| left.add(&extra.entry.path));
    for (_, extra) in extras.doomed() {
        let path = &extra.entry.path;
        let removed = if dry_run { Ok(()) } else { tree.remove(path, &extra.entry.seen) };
        let error = match removed {
            Ok(()) => {
                count += 1;
                let place = EitherPath::Local(if extra.is_directory { path.join("") } else { path.clone() });
                let (action, from, size) = (TreeChangeKind::Delete, None, None);
                events(Event::Changed(TreeChange { action, place, from, size, dry_run }));
                continue;
            }
            Err(TransferError::Local { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(TransferError::Local { source, .. }) if source.kind() == io::ErrorKind::DirectoryNotEmpty => {
                // What is in a directory was told of already, unless it came meanwhile.
                if left.has(path) {
                    left.add(path);
                    continue;
                }
                TransferError::Meanwhile { path: path.display().to_string() }
            }
            Err(error) => error,
        };
        left.add(path);
        events(Event::Omitted(Omitted { path: path.clone(), error, in_tree: true }));
    }
    (count, left)
}
