//! Syncing: makes one tree equal to another, and moves only what differs.
//!
//! Both trees come in the same order, the local one from a sorted walk, the server's from a recursive listing, so they
//! are compared while they go by (`pairs`). What the destination has too much is remembered until everything else was
//! done without a failure, and deleted then.

mod down;
mod extras;
mod listing;
mod numbering;
mod pairs;
mod place;
mod up;
mod walk;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_protocol::message::{Description, EntryKind};
use sealift_types::{Digest, EntryPath, ErrorCode, Hasher};

use crate::client::Client;
use crate::error::{TransferError, Unfit};
use crate::event::{Event, Events};
use crate::local::{self, TreeRoot};
use crate::tree::WalkOptions;
use crate::{remote, retry};
pub use down::down;
use numbering::Numbering;
pub use up::up;

/// How trees are made equal.
#[derive(Debug, Clone, Default)]
pub struct SyncOptions {
    /// What is left alone on both sides. Without links, those of both sides are left alone, too.
    pub walking: WalkOptions,
    /// Whether contents are compared even where size and time agree.
    pub checksum: bool,
    /// What is done about that which only the destination has.
    pub delete: DeletePolicy,
    /// A file that is written to meanwhile is stored as it was read.
    pub allow_changing: bool,
    /// Nothing is changed: it is only told what would be.
    pub dry_run: bool,
}

/// What is done about that which only the destination has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeletePolicy {
    /// It stays.
    #[default]
    No,
    /// It goes, unless it is more than half of what there is.
    Guarded,
    /// It goes, however much it is.
    Anyway,
}

/// How it went, beyond what events told.
#[derive(Debug, Clone, Default)]
pub struct SyncOutcome {
    /// Files and links that were equal already.
    pub unchanged: usize,
    /// Entries that were deleted: files, links and directories.
    pub deleted: usize,
    /// Files whose content the destination had under another name.
    pub moved: usize,
    /// Files on the server of which only the time, or whether they may be executed, was another; changes here are told
    /// by events.
    pub touched: usize,
    /// Why nothing was deleted although there was something.
    pub withheld: Option<Withheld>,
}

/// Why nothing is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Something could not be transferred.
    Failures,
    /// Each time the tree on the server was listed, something in it was moved, replaced or deleted meanwhile: what was
    /// renamed may be missing here.
    Restless,
    /// Only the server has more entries than this side can remember.
    TooMany {
        /// Those that it remembers.
        known: usize,
    },
    /// Too much would go.
    TooMuch {
        /// Files and links that would.
        going: usize,
        /// Files and links that there are.
        of: usize,
    },
}

impl SyncOptions {
    /// Whether so much may be deleted.
    fn judge(&self, going: usize, of: usize) -> Option<Withheld> {
        (self.delete == DeletePolicy::Guarded && going * 2 > of).then_some(Withheld::TooMuch { going, of })
    }
}

impl SyncOutcome {
    /// Adds what a second pass brought.
    fn and(self, later: &Self) -> Self {
        Self {
            // What the first pass has transferred is unchanged in the second.
            unchanged: self.unchanged,
            deleted: self.deleted + later.deleted,
            moved: self.moved + later.moved,
            touched: self.touched + later.touched,
            withheld: later.withheld,
        }
    }
}

/// The contents that files had before they were replaced, by the id of the upload.
type Before = Arc<Mutex<HashMap<usize, Digest>>>;

/// Watches how transfers end, on the way to whoever wants to know.
struct SyncWatch<'a> {
    events: Events<'a>,
    numbering: &'a Numbering,
    failures: AtomicUsize,
    /// Contents that the destination had.
    had: Mutex<HashSet<Digest>>,
    moved: AtomicUsize,
    /// What the destination had under the same name.
    before: Before,
    touched: AtomicUsize,
    /// What was listed and is not there any more.
    vanished: AtomicUsize,
}

impl<'a> SyncWatch<'a> {
    fn new(events: Events<'a>, numbering: &'a Numbering, before: Before) -> Self {
        Self {
            events,
            numbering,
            failures: AtomicUsize::new(0),
            had: Mutex::default(),
            moved: AtomicUsize::new(0),
            before,
            touched: AtomicUsize::new(0),
            vanished: AtomicUsize::new(0),
        }
    }

    fn take(&self, event: Event) {
        match &event {
            // It was listed, and has gone since: so did what it would have become.
            Event::Failed { id, error: TransferError::Refused(error) }
                if error.code == ErrorCode::NotFound =>
            {
                self.vanished.fetch_add(1, Ordering::Relaxed);
                return (self.events)(self.numbering.of_run(Event::Vanished { id: *id }));
            }
            Event::Failed { .. } => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
            Event::Omitted(omitted) => {
                self.failures.fetch_add(usize::from(!omitted.is_harmless()), Ordering::Relaxed);
            }
            Event::Finished { id, done } if done.deduplicated => {
                let before = lock(&self.before).remove(id);
                let count = if before == Some(done.sha256) { &self.touched } else { &self.moved };
                count.fetch_add(1, Ordering::Relaxed);
                lock(&self.had).insert(done.sha256);
            }
            _ => {}
        }
        (self.events)(self.numbering.of_run(event));
    }

    /// Whether something went between its listing and its transfer: it may be under another name now.
    fn missed(&self) -> bool {
        self.vanished.load(Ordering::Relaxed) > 0
    }

    fn failed(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
    }

    fn has(&self, digest: &Digest) -> bool {
        lock(&self.had).contains(digest)
    }
}

/// What was not deleted, by what it is called in its tree.
#[derive(Debug, Default)]
struct LeftEntry(HashSet<PathBuf>);

impl LeftEntry {
    /// An entry stays, and so does the directory that it is in.
    fn add(&mut self, below: &Path) {
        self.0.insert(below.to_owned());
        self.0.extend(below.parent().map(Path::to_owned));
    }

    fn has(&self, below: &Path) -> bool {
        self.0.contains(below)
    }

    /// Whether something was deleted of what was in the way of something else. What could not be deleted was told, and
    /// would not be deleted by another pass either.
    fn frees<'p>(&self, mut in_the_way: impl Iterator<Item = &'p Path>) -> bool {
        in_the_way.any(|below| !self.has(below))
    }
}

/// Refuses to delete anything on a server that cannot do so on a condition.
async fn check_conditions(client: &mut Client, rules: &SyncOptions) -> Result<(), TransferError> {
    if rules.delete == DeletePolicy::No || client.connection().await?.replies.know_conditions() {
        return Ok(());
    }
    Err(TransferError::TooOld("delete on the condition that nothing was changed, which --delete needs"))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The digest of a file of a tree that has this size still. Blocks.
fn digest(root: &TreeRoot, path: &Path, size: u64) -> Result<Digest, TransferError> {
    let source = local::Source::inside(root, path)?;
    let mut hasher = Hasher::new();
    hasher.read(&source, source.stamp.size).map_err(source.unreadable())?;
    source.check(size)?;
    Ok(hasher.finish())
}

/// What the server has under a path; `None` if nothing.
async fn describe(
    client: &mut Client,
    path: &EntryPath,
    events: Events<'_>,
) -> Result<Option<Description>, TransferError> {
    let described = retry::ask(client, events, async |connection| {
        let mut described = None;
        let take = |_, description| described = Some(description);
        remote::info(connection, std::slice::from_ref(path), take).await?;
        Ok(described)
    });
    match described.await? {
        Some(Ok(description)) => match description.kind {
            EntryKind::Directory | EntryKind::Space => Ok(Some(description)),
            EntryKind::File | EntryKind::Link => {
                let path = path.to_string().into();
                Err(TransferError::Unfit { path, unfit: Unfit::NeedsDirectory })
            }
        },
        Some(Err(error)) if error.code == ErrorCode::NotFound => Ok(None),
        Some(Err(error)) => Err(error.into()),
        None => Err(TransferError::Protocol("no answer came".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_frees_nothing() {
        let mut left = LeftEntry::default();
        left.add(Path::new("a/x"));
        let frees = |paths: &[&str]| left.frees(paths.iter().map(Path::new));
        assert!(!frees(&[]) && !frees(&["a/x"]) && !frees(&["a/x", "a"]));
        assert!(frees(&["a/y"]) && frees(&["a/x", "b"]));
    }

    #[test]
    fn more_than_half_is_too_much() {
        let rules = |delete| SyncOptions { delete, ..SyncOptions::default() };
        for (going, of, withheld) in [(0, 0, false), (1, 2, false), (2, 3, true), (1, 1, true), (2, 5, false)]
        {
            assert_eq!(rules(DeletePolicy::Guarded).judge(going, of).is_some(), withheld, "{going} of {of}");
            assert_eq!(rules(DeletePolicy::Anyway).judge(going, of), None);
        }
    }
}
