//! A tree of the server onto a local one.
//!
//! Nothing outside of the destination is touched, whatever names the server sends: see `pairs` for the names, and
//! `local` and `download::tree` for links that stand in the way.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sealift_protocol::message::{Entry, EntryKind, Nanoseconds};
use sealift_protocol::{Digest, RemotePath};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::extras::Extras;
use super::listing;
use super::pairs::{Pair, Pairs, Step};
use super::place::{copy, dress, relocate};
use super::walk::{Kind, Local};
use super::{Delete, Left, Outcome, Rules, Watch, Withheld, check_conditions, describe, digest, same_time};
use crate::client::Client;
use crate::download::{Becomes, download_found, make_directory, make_link};
use crate::error::{Error, Unfit};
use crate::event::{Action, Change, Done, Event, Events, Place};
use crate::local::{Directory, Disks, Landing, Root, Seen, Site, make_directories};
use crate::plan::CASE_MATTERS;
use crate::tree::Omitted;

/// Files that are handed over at a time, and batches that wait.
const BATCH: usize = 64;
const AHEAD: usize = 4;

/// How often the trees are compared: again where something else can take the place of what was deleted, or where the
/// listing was not of one state.
const LOOKS: u32 = 6;

type Found = Result<Becomes, Omitted>;

/// Makes the local directory `to` equal to the server's directory `from`. How each transfer ended is told by an event.
///
/// # Errors
/// Fails when there is no such directory, when its tree cannot be listed, when `to` cannot be made, and when there is
/// no connection, or none any more and none to be had.
pub async fn down(
    client: &mut Client,
    from: &RemotePath,
    to: &Path,
    rules: &Rules,
    events: Events<'_>,
) -> Result<Outcome, Error> {
    let mut whole: Option<Outcome> = None;
    let mut look = 0;
    loop {
        look += 1;
        let Passed { outcome, blocked, freed, torn } = pass(client, from, to, rules, events).await?;
        let mut outcome = whole.take().map_or_else(|| outcome.clone(), |earlier| earlier.and(&outcome));
        // Something else can take the place of what was deleted; what was renamed may be on another page now.
        if (torn || freed) && look < LOOKS && !rules.pretend {
            whole = Some(outcome);
            continue;
        }
        for path in blocked {
            let error = Error::Unfit { path: path.clone(), unfit: Unfit::Blocked };
            events(Event::Omitted(Omitted { path, error, in_tree: true }));
        }
        if torn && !rules.pretend {
            outcome.withheld = Some(Withheld::Restless);
        }
        return Ok(outcome);
    }
}

/// What one comparison came to.
#[derive(Debug, Default)]
struct Passed {
    outcome: Outcome,
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
    from: &RemotePath,
    to: &Path,
    rules: &Rules,
    events: Events<'_>,
) -> Result<Passed, Error> {
    let watch = Watch::new(events, super::Before::default());
    let take = |event| watch.take(event);
    let Some(there) = describe(client, from).await? else {
        let path = PathBuf::from(from.to_string());
        return Err(Error::local("read", &path)(io::ErrorKind::NotFound.into()));
    };
    check_conditions(client, rules).await?;
    let is_new = prepare_root(to, rules.pretend)?;
    let tree = if to.exists() { Some(Arc::new(Root::open(to)?)) } else { None };
    let (tell_pages, listed) = listing::channel();
    let (tell, found) = mpsc::channel(AHEAD);
    let disks = Arc::<Disks>::default();
    let mtime = (there.kind == EntryKind::Directory).then_some(there.mtime);
    let root = (!rules.pretend).then(|| Arc::new(Directory::root(to.to_owned(), mtime, &disks)));
    let mut comparison = Comparison {
        pairs: Pairs::new(to, tree.clone(), listed, &rules.walking.filter, true),
        tree: tree.clone(),
        from: from.clone(),
        rules: rules.clone(),
        open: vec![Open::new(String::new(), to.to_owned(), mtime, root)],
        tell,
        batch: Vec::new(),
        held: (!is_new).then(Vec::new),
        compared: Compared::default(),
    };
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
    let panicked = |panic| Error::local("read", to)(io::Error::other(panic));
    let compared = comparing.await.map_err(panicked)??;
    let Compared { unchanged, extras, times, withheld, waiting, moved, torn, .. } = compared;
    let mut passed = Passed { torn, ..Passed::default() };
    passed.outcome = Outcome { unchanged, moved, withheld, ..Outcome::default() };
    let (waiting, stuck): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|waiting| !extras.going[waiting.number].stays);
    passed.blocked = stuck.into_iter().map(|waiting| waiting.path).collect();
    // A listing that is not of one state does not tell what has gone.
    if rules.delete == Delete::No || (torn && !rules.pretend) {
        return Ok(passed);
    }
    if watch.failed() && !extras.going.is_empty() {
        passed.outcome.withheld = Some(Withheld::Failures);
    }
    if passed.outcome.withheld.is_some() {
        return Ok(passed);
    }
    let Some(tree) = tree else { return Ok(passed) };
    let (deleted, left) = delete(&tree, &extras, rules.pretend, &take);
    passed.outcome.deleted = deleted;
    if rules.pretend {
        return Ok(passed);
    }
    // What moved away has changed them, too.
    for (path, mtime) in times.into_iter().rev() {
        drop(Directory::new(path, Some(mtime), None));
    }
    passed.freed = compared.freed;
    for Waiting { number, path, .. } in waiting {
        if left.has(&extras.going[number].entry.path) {
            passed.blocked.push(path);
        } else {
            passed.freed = true;
        }
    }
    Ok(passed)
}

/// Makes the root. Returns whether nothing is in it yet. Blocks.
fn prepare_root(to: &Path, pretend: bool) -> Result<bool, Error> {
    match to.metadata() {
        Ok(metadata) if !metadata.is_dir() => {
            Err(Error::Unfit { path: to.to_owned(), unfit: Unfit::FileInTheWay })
        }
        Ok(_) => Ok(fs::read_dir(to).map_err(Error::local("read", to))?.next().is_none()),
        Err(_) if pretend => Ok(true),
        Err(_) => {
            make_directories(to)?;
            Ok(true)
        }
    }
}

/// Deletes what only this side has, as far as it is what was compared. Returns how much, and what was not. Blocks.
fn delete(tree: &Root, extras: &Extras<Here>, pretend: bool, events: Events<'_>) -> (usize, Left) {
    let (mut count, mut left) = (0, Left::default());
    extras.going.iter().filter(|extra| extra.stays).for_each(|extra| left.add(&extra.entry.path));
    for (_, extra) in extras.doomed() {
        let path = &extra.entry.path;
        let removed = if pretend { Ok(()) } else { tree.remove(path, &extra.entry.seen) };
        let error = match removed {
            Ok(()) => {
                count += 1;
                let place = Place::Local(if extra.is_directory { path.join("") } else { path.clone() });
                let (action, from, size) = (Action::Delete, None, None);
                events(Event::Changed(Change { action, place, from, size, pretended: pretend }));
                continue;
            }
            Err(Error::Local { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(Error::Local { source, .. }) if source.kind() == io::ErrorKind::DirectoryNotEmpty => {
                // What is in a directory was told of already, unless it came meanwhile.
                if left.has(path) {
                    left.add(path);
                    continue;
                }
                Error::Meanwhile { path: path.display().to_string() }
            }
            Err(error) => error,
        };
        left.add(path);
        events(Event::Omitted(Omitted { path: path.clone(), error, in_tree: true }));
    }
    (count, left)
}

/// What the comparison found out beside what is to be fetched.
#[derive(Debug, Default)]
struct Compared {
    unchanged: usize,
    /// Files and links in the destination.
    files: usize,
    /// What only this side has.
    extras: Extras<Here>,
    /// Directories that lose entries, and the times that they get behind that.
    times: Vec<(PathBuf, Nanoseconds)>,
    /// Files and links that wait for a directory to go.
    waiting: Vec<Waiting>,
    /// Whether a file or a link has to go before a directory can take its place.
    freed: bool,
    moved: usize,
    withheld: Option<Withheld>,
    torn: bool,
}

/// An entry that only this side has.
#[derive(Debug)]
struct Here {
    path: PathBuf,
    seen: Seen,
    /// Of a file.
    size: Option<u64>,
}

/// Something in whose way a directory is.
#[derive(Debug)]
struct Waiting {
    /// The directory among what only this side has.
    number: usize,
    path: PathBuf,
    size: u64,
}

/// A file that is to be fetched, unless its content is here.
#[derive(Debug)]
struct Wanted {
    entry: Entry,
    from: RemotePath,
    path: PathBuf,
    directory: Option<Arc<Directory>>,
    action: Action,
}

/// A directory that both sides have.
#[derive(Debug)]
struct Open {
    /// Its key with a NUL behind it; empty for the root.
    prefix: String,
    path: PathBuf,
    mtime: Option<Nanoseconds>,
    /// `None` if nothing is changed.
    directory: Option<Arc<Directory>>,
    /// It is among those that lose entries.
    noted: bool,
    /// The names in it so far, lower case, where case does not count.
    names: HashSet<String>,
}

impl Open {
    fn new(
        prefix: String,
        path: PathBuf,
        mtime: Option<Nanoseconds>,
        directory: Option<Arc<Directory>>,
    ) -> Self {
        Self { prefix, path, mtime, directory, noted: false, names: HashSet::new() }
    }
}

/// The comparison. Blocks.
struct Comparison {
    pairs: Pairs,
    /// The local tree, if there is one yet.
    tree: Option<Arc<Root>>,
    from: RemotePath,
    rules: Rules,
    /// The directories from the root to where the comparison is.
    open: Vec<Open>,
    tell: mpsc::Sender<Vec<Found>>,
    batch: Vec<Found>,
    /// Files that may be here under another name, which is known at the end only. `None` if there is nothing here.
    held: Option<Vec<Wanted>>,
    compared: Compared,
}

impl Comparison {
    /// Compares everything.
    fn run(&mut self) -> Result<(), Error> {
        while let Some(step) = self.pairs.next()? {
            match step {
                Step::Pair(pair) => self.judge(pair)?,
                Step::LeftOut(_) => {}
                Step::LeftHere(key) => self.compared.extras.protect(&key),
                Step::Omitted(omitted) => self.say(Err(omitted))?,
            }
        }
        self.open.clear();
        self.compared.torn = self.pairs.is_torn();
        Ok(())
    }

    fn judge(&mut self, Pair { key, local, remote }: Pair) -> Result<(), Error> {
        while self.open.last().is_some_and(|open| !key.starts_with(&open.prefix)) {
            self.open.pop();
        }
        self.compared.extras.settle(&key);
        let links = self.rules.walking.links;
        let out_of_scope = |local: &Local| match local.kind {
            Kind::Special => true,
            Kind::Link { .. } => !links,
            Kind::File { .. } | Kind::Directory { .. } => false,
        };
        if let Some(local) = &local {
            self.compared.files +=
                usize::from(!matches!(local.kind, Kind::Directory { .. }) && !out_of_scope(local));
        }
        let Some(entry) = remote else {
            match local {
                Some(local) if out_of_scope(&local) => self.compared.extras.protect(&key),
                Some(local) => {
                    self.extra(&key, local);
                }
                None => {}
            }
            return Ok(());
        };
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        // A name that is spelled in another way here keeps its spelling.
        let path = local.as_ref().map_or_else(|| open.path.join(name), |local| local.path.clone());
        let is_directory = entry.kind == EntryKind::Directory;
        let was_directory = matches!(local, Some(Local { kind: Kind::Directory { .. }, .. }));
        if !CASE_MATTERS && !open.names.insert(name.to_lowercase()) {
            return self.leave(path, Unfit::Twin, is_directory, was_directory);
        }
        if entry.kind == EntryKind::Link && !links {
            return self.leave(path, Unfit::Link, false, was_directory);
        }
        if let Some(local) = local.as_ref().filter(|local| out_of_scope(local)) {
            let unfit = match local.kind {
                Kind::Link { .. } if is_directory => Unfit::LinkInTheWay,
                Kind::Link { .. } => Unfit::LinkStays,
                _ => Unfit::SpecialTarget,
            };
            return self.leave(path, unfit, is_directory, false);
        }
        let local = match local {
            Some(_) if is_directory != was_directory && self.rules.delete == Delete::No => {
                return self.leave(path, Unfit::OtherKind, is_directory, was_directory);
            }
            Some(local) if is_directory != was_directory => {
                let number = self.extra(&key, local);
                if was_directory {
                    self.compared.waiting.push(Waiting { number, path, size: entry.size });
                    return Ok(());
                }
                self.compared.freed = true;
                if !self.rules.pretend {
                    self.pairs.skip_remote();
                    return Ok(());
                }
                None
            }
            local => local,
        };
        let from = match self.from.join(&entry.name) {
            Ok(from) => from,
            Err(error) => return self.say(Err(Omitted { path, error: error.into(), in_tree: true })),
        };
        match entry.kind {
            EntryKind::Directory => self.enter(&key, path, &entry, local.is_some()),
            EntryKind::Link => self.link(path, from, &entry, local.as_ref()),
            EntryKind::File | EntryKind::Space => self.file(path, from, entry, local.as_ref()),
        }
    }

    /// Leaves an entry alone, and all that is in it.
    fn leave(
        &mut self,
        path: PathBuf,
        unfit: Unfit,
        is_directory: bool,
        was_directory: bool,
    ) -> Result<(), Error> {
        if is_directory {
            self.pairs.skip_remote();
        }
        if was_directory {
            self.pairs.skip_local();
        }
        let error = Error::Unfit { path: path.clone(), unfit };
        self.say(Err(Omitted { path, error, in_tree: true }))
    }

    /// Takes down what only this side has. Returns its number.
    fn extra(&mut self, key: &str, local: Local) -> usize {
        if let Some(open) = self.open.last_mut().filter(|open| !open.noted) {
            open.noted = true;
            let time = open.mtime.map(|mtime| (open.path.clone(), mtime));
            self.compared.times.extend(time);
        }
        let (is_directory, size) = match local.kind {
            Kind::Directory { .. } => (true, None),
            Kind::File { size, .. } => (false, Some(size)),
            Kind::Link { .. } | Kind::Special => (false, None),
        };
        let Local { path, seen, .. } = local;
        self.compared.extras.add(key, Here { path, seen, size }, is_directory)
    }

    fn enter(&mut self, key: &str, path: PathBuf, entry: &Entry, is_there: bool) -> Result<(), Error> {
        if !is_there {
            let above = self.open.last().and_then(|open| open.directory.as_ref());
            if let Some(above) = above
                && let Err(error) = make_directory(above, &path)
            {
                self.pairs.skip_remote();
                return self.say(Err(Omitted { path, error, in_tree: true }));
            }
            self.change(Action::MakeDirectory, path.join(""), None)?;
        }
        let above = self.open.last().and_then(|open| open.directory.clone());
        let mtime = Some(entry.mtime);
        let directory = above.map(|above| Arc::new(Directory::new(path.clone(), mtime, Some(above))));
        self.open.push(Open::new(format!("{key}\0"), path, mtime, directory));
        Ok(())
    }

    fn link(
        &mut self,
        path: PathBuf,
        from: RemotePath,
        entry: &Entry,
        local: Option<&Local>,
    ) -> Result<(), Error> {
        let target = entry.target.as_deref().unwrap_or_default();
        if let Some(Local { kind: Kind::Link { mtime }, .. }) = local
            && mtime.is_some_and(|mtime| same_time(mtime, entry.mtime))
            && fs::read_link(&path).is_ok_and(|is| is.to_str() == Some(target))
        {
            self.compared.unchanged += 1;
            return Ok(());
        }
        if self.rules.pretend {
            return self.change(if local.is_some() { Action::Update } else { Action::Fetch }, path, None);
        }
        let above = self.open.last().and_then(|open| open.directory.as_ref());
        let made = make_link(above, &path, entry);
        let made = made.map(|()| Becomes::Link { from, path: path.clone() });
        self.say(made.map_err(|error| Omitted { path, error, in_tree: true }))
    }

    fn file(
        &mut self,
        path: PathBuf,
        from: RemotePath,
        entry: Entry,
        local: Option<&Local>,
    ) -> Result<(), Error> {
        if let Some(Local { kind: Kind::File { size, mtime, executable }, .. }) = local
            && *size == entry.size
        {
            let same_time = mtime.is_some_and(|mtime| same_time(mtime, entry.mtime));
            let same_content = if same_time && !self.rules.checksum {
                true
            } else {
                // Reading it here is cheaper than fetching it.
                match self.digest(&path, *size) {
                    Ok(digest) => Some(digest) == entry.sha256,
                    Err(error) => return self.say(Err(Omitted { path, error, in_tree: true })),
                }
            };
            if same_content {
                self.compared.unchanged += 1;
                if same_time && *executable == entry.executable {
                    return Ok(());
                }
                if !self.rules.pretend
                    && let Err(error) = dress(&path, &entry)
                {
                    return self.say(Err(Omitted { path, error, in_tree: true }));
                }
                return self.change(Action::Touch, path, None);
            }
        }
        let directory = self.open.last().and_then(|open| open.directory.clone());
        let action = if local.is_some() { Action::Update } else { Action::Fetch };
        let wanted = Wanted { entry, from, path, directory, action };
        match &mut self.held {
            Some(held) => {
                held.push(wanted);
                Ok(())
            }
            None => self.fetch(wanted),
        }
    }

    fn digest(&self, path: &Path, size: u64) -> Result<Digest, Error> {
        match &self.tree {
            Some(tree) => digest(tree, path, size),
            None => Err(Error::local("read", path)(io::ErrorKind::NotFound.into())),
        }
    }

    fn fetch(&mut self, Wanted { entry, from, path, directory, action }: Wanted) -> Result<(), Error> {
        if self.rules.pretend {
            let size = Some(entry.size);
            return self.change(action, path, size);
        }
        self.say(Ok(Becomes::File { entry, from, path, directory }))
    }

    fn change(&mut self, action: Action, path: PathBuf, size: Option<u64>) -> Result<(), Error> {
        let pretended = self.rules.pretend;
        let change = Change { action, place: Place::Local(path), from: None, size, pretended };
        self.say(Ok(Becomes::Changed(change)))
    }

    fn say(&mut self, found: Found) -> Result<(), Error> {
        self.batch.push(found);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let batch = std::mem::take(&mut self.batch);
        // The connections are gone; why, is told elsewhere.
        let gone = |_| Error::Protocol("the transfers ended before the comparison".into());
        self.tell.blocking_send(batch).map_err(gone)
    }

    /// Finds what is here under other names, and has the rest fetched.
    fn settle(mut self) -> Result<Compared, Error> {
        let mut by_size: HashMap<u64, Vec<usize>> = HashMap::new();
        for (number, extra) in self.compared.extras.going.iter().enumerate() {
            if let Some(size) = extra.entry.size.filter(|size| *size > 0) {
                by_size.entry(size).or_default().push(number);
            }
        }
        let mut digests: HashMap<usize, Option<Digest>> = HashMap::new();
        let mut matched = Vec::new();
        let mut taken = HashSet::new();
        for wanted in self.held.take().unwrap_or_default() {
            let candidates = by_size.get(&wanted.entry.size).map_or(&[][..], Vec::as_slice);
            let has = |number: &usize| {
                let path = &self.compared.extras.going[*number].entry.path;
                let known = digests.entry(*number);
                let digest = known.or_insert_with(|| self.digest(path, wanted.entry.size).ok());
                digest.is_some() && *digest == wanted.entry.sha256
            };
            match candidates.iter().copied().find(has) {
                Some(number) => {
                    taken.insert(number);
                    matched.push((number, wanted));
                }
                None => self.fetch(wanted)?,
            }
        }
        let files = self.compared.extras.going.iter().filter(|extra| !extra.is_directory).count();
        let going = files - taken.len();
        self.compared.withheld = self.rules.judge(going, self.compared.files);
        let may_move =
            self.rules.delete != Delete::No && self.compared.withheld.is_none() && !self.compared.torn;
        let mut left: HashMap<usize, usize> = HashMap::new();
        for (number, _) in &matched {
            *left.entry(*number).or_default() += 1;
        }
        for (number, wanted) in matched {
            // The last that needs it may have the file itself.
            let left = left.entry(number).or_default();
            *left -= 1;
            let moves = may_move && *left == 0;
            self.reuse(number, wanted, moves)?;
        }
        if may_move && self.rules.pretend {
            taken.iter().for_each(|number| self.compared.extras.going[*number].moved = true);
        }
        if self.rules.pretend {
            for number in 0..self.compared.waiting.len() {
                let Waiting { number, path, size } = &self.compared.waiting[number];
                if !self.compared.extras.going[*number].stays {
                    let (path, size) = (path.clone(), Some(*size));
                    self.change(Action::Fetch, path, size)?;
                }
            }
        }
        self.flush()?;
        Ok(self.compared)
    }

    /// Gives a content that is here its new name.
    fn reuse(&mut self, number: usize, wanted: Wanted, moves: bool) -> Result<(), Error> {
        let Here { path: source, seen, .. } = &self.compared.extras.going[number].entry;
        let (source, seen) = (source.clone(), *seen);
        self.compared.moved += 1;
        if self.rules.pretend {
            let change = Change {
                action: if moves { Action::Move } else { Action::Copy },
                place: Place::Local(wanted.path),
                from: Some(Place::Local(source)),
                size: Some(wanted.entry.size),
                pretended: true,
            };
            return self.say(Ok(Becomes::Changed(change)));
        }
        let began = Instant::now();
        let Wanted { entry, from, path, directory, .. } = &wanted;
        let place = || {
            let site = match directory {
                Some(directory) => directory.site(path)?,
                None => Site::named(path, &Arc::default())?,
            };
            if moves {
                relocate(&source, &seen, path, entry)?;
                let directory = site.directory().clone();
                return Ok(Landing::There { directory, path: path.clone() });
            }
            copy(&source, &site, entry).map(Landing::Target)
        };
        let placed: Result<Landing, Error> = place();
        match (placed, entry.sha256) {
            (Ok(landing), Some(sha256)) => {
                self.compared.extras.going[number].moved |= moves;
                let duration = began.elapsed();
                let done = Done { size: entry.size, sha256, deduplicated: true, duration, wire_bytes: 0 };
                self.say(Ok(Becomes::Had { from: from.clone(), path: path.clone(), done, landing }))
            }
            // It can be fetched still.
            _ => {
                self.compared.moved -= 1;
                self.fetch(wanted)
            }
        }
    }
}
