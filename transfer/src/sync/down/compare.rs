//! The comparison: what is fetched, what is there already, what only this side has.

mod reuse;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::message::{Entry, EntryKind, Nanoseconds};
use sealift_types::{Digest, EntryPath};
use tokio::sync::mpsc;

use crate::download::{LocalEntryPlan, make_directory, make_link};
use crate::error::{TransferError, Unfit};
use crate::event::{EitherPath, TreeChange, TreeChangeKind};
use crate::leftovers::{LeftoverFile, leftover};
use crate::local::{Abilities, Directory, EntrySeen, FoldedNames, TreeRoot, fold};
use crate::sync::extras::Extras;
use crate::sync::pairs::{Pair, PairStep, Pairs};
use crate::sync::place::dress;
use crate::sync::walk::{LocalEntry, LocalKind};
use crate::sync::{DeletePolicy, SyncOptions, Withheld, digest};
use crate::tree::Omitted;

/// Files that are handed over at a time.
const BATCH: usize = 64;

/// Bytes of files that wait until it is known what is here under other names. Those that do not fit are fetched at once,
/// also if they are here: a tree is never held whole.
const HELD: usize = 64 * 1024 * 1024;

type ComparedSide = Result<LocalEntryPlan, Omitted>;

/// What the comparison found out beside what is to be fetched.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) unchanged: usize,
    /// Files and links in the destination.
    pub(super) files: usize,
    /// What only this side has.
    pub(super) extras: Extras<LocalOnly>,
    /// Directories that lose entries, and the times that they get behind that.
    pub(super) times: Vec<(PathBuf, Nanoseconds)>,
    /// Files and links that wait for a directory to go, or for a name in another case.
    pub(super) waiting: Vec<BlockedByDirectory>,
    /// Unfinished downloads.
    pub(super) parts: Vec<LeftoverFile>,
    /// Files and links among what only this side has that have to go before a directory can take their place.
    pub(super) in_the_way: Vec<usize>,
    pub(super) moved: usize,
    pub(super) withheld: Option<Withheld>,
    pub(super) torn: bool,
}

/// An entry that only this side has.
#[derive(Debug)]
pub(super) struct LocalOnly {
    pub(super) path: PathBuf,
    pub(super) seen: EntrySeen,
    /// Of a file.
    pub(super) size: Option<u64>,
    /// What its file system can hold.
    pub(super) abilities: Abilities,
}

/// Something in whose way a directory is.
#[derive(Debug)]
pub(super) struct BlockedByDirectory {
    /// The directory among what only this side has.
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// An entry whose name is here in another case, where that does not count.
#[derive(Debug)]
struct HiddenEntry {
    path: PathBuf,
    size: u64,
}

/// A file that is to be fetched, unless its content is here.
#[derive(Debug)]
struct WantedFile {
    entry: Entry,
    from: EntryPath,
    path: PathBuf,
    directory: Option<Arc<Directory>>,
    action: TreeChangeKind,
}

impl WantedFile {
    /// The memory that it takes.
    fn bytes(&self) -> usize {
        let Self { entry, from, path, .. } = self;
        let names = entry.name.len() + from.as_str().len() + path.as_os_str().len();
        let others = [&entry.target, &entry.etag].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + names + others + entry.by.as_ref().map_or(0, |by| by.as_str().len())
    }
}

/// A directory that both sides have.
#[derive(Debug)]
pub(super) struct SharedDirectory {
    /// Its key with a NUL behind it; empty for the root.
    prefix: String,
    path: PathBuf,
    mtime: Option<Nanoseconds>,
    /// `None` if nothing is changed.
    directory: Option<Arc<Directory>>,
    /// It is among those that lose entries.
    noted: bool,
    /// The names in it so far.
    names: FoldedNames,
}

impl SharedDirectory {
    /// A directory with this key and a NUL behind it as the prefix of what is in it.
    pub(super) fn new(
        prefix: String,
        path: PathBuf,
        mtime: Option<Nanoseconds>,
        directory: Option<Arc<Directory>>,
    ) -> Self {
        Self { prefix, path, mtime, directory, noted: false, names: FoldedNames::default() }
    }
}

/// The comparison. Blocks.
pub(super) struct Comparison {
    pairs: Pairs,
    /// The local tree, if there is one yet.
    tree: Option<Arc<TreeRoot>>,
    from: EntryPath,
    rules: SyncOptions,
    /// The directories from the root to where the comparison is.
    open: Vec<SharedDirectory>,
    tell: mpsc::Sender<Vec<ComparedSide>>,
    batch: Vec<ComparedSide>,
    /// Entries whose names are here in another case.
    hidden: Vec<HiddenEntry>,
    /// Files that may be here under another name, which is known at the end only. `None` if there is nothing here.
    held: Option<Vec<WantedFile>>,
    /// The most bytes that those may take, and how many they do.
    room: usize,
    held_bytes: usize,
    compared: Compared,
}

impl Comparison {
    /// A comparison whose root is `open`; nothing is there yet if it `is_new`.
    pub(super) fn new(
        pairs: Pairs,
        tree: Option<Arc<TreeRoot>>,
        from: &EntryPath,
        rules: &SyncOptions,
        open: SharedDirectory,
        tell: mpsc::Sender<Vec<ComparedSide>>,
        is_new: bool,
    ) -> Self {
        Self {
            pairs,
            tree,
            from: from.clone(),
            rules: rules.clone(),
            open: vec![open],
            tell,
            batch: Vec::new(),
            hidden: Vec::new(),
            held: (!is_new).then(Vec::new),
            room: HELD,
            held_bytes: 0,
            compared: Compared::default(),
        }
    }

    /// Compares everything.
    pub(super) fn run(&mut self) -> Result<(), TransferError> {
        while let Some(step) = self.pairs.next()? {
            match step {
                PairStep::Pair(pair) => self.judge(pair)?,
                PairStep::LeftOut(_) => {}
                PairStep::LeftHere(key) => self.compared.extras.protect(&key),
                PairStep::Part { key, path } => self.part(&key, path),
                PairStep::Omitted(omitted) => self.say(Err(omitted))?,
            }
        }
        self.open.clear();
        self.settle_hidden()?;
        self.compared.torn = self.pairs.is_torn();
        Ok(())
    }

    fn judge(&mut self, Pair { key, local, remote }: Pair) -> Result<(), TransferError> {
        while self.open.last().is_some_and(|open| !key.starts_with(&open.prefix)) {
            self.open.pop();
        }
        self.compared.extras.settle(&key);
        let links = self.rules.walking.links;
        let out_of_scope = |local: &LocalEntry| match local.kind {
            LocalKind::Special => true,
            LocalKind::Link { .. } => !links,
            LocalKind::File { .. } | LocalKind::Directory { .. } => false,
        };
        if let Some(local) = &local {
            self.compared.files +=
                usize::from(!matches!(local.kind, LocalKind::Directory { .. }) && !out_of_scope(local));
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
        let was_directory = matches!(local, Some(LocalEntry { kind: LocalKind::Directory { .. }, .. }));
        let may_write = !self.rules.dry_run;
        if open.names.is_twin(name, &open.path, may_write) {
            return self.leave(path, Unfit::Twin, is_directory, was_directory);
        }
        // What was not found under its name, and is there, is there in another case.
        if local.is_none()
            && self.held.is_some()
            && path.symlink_metadata().is_ok()
            && !open.names.case_matters(&open.path, may_write)
            && is_there_in_another_case(&path)
        {
            if is_directory {
                self.pairs.skip_remote();
            }
            self.hidden.push(HiddenEntry { path, size: entry.size });
            return Ok(());
        }
        if entry.kind == EntryKind::Link && !links {
            return self.leave(path, Unfit::Link, false, was_directory);
        }
        if let Some(local) = local.as_ref().filter(|local| out_of_scope(local)) {
            let unfit = match local.kind {
                LocalKind::Link { .. } if is_directory => Unfit::LinkInTheWay,
                LocalKind::Link { .. } => Unfit::LinkStays,
                _ => Unfit::SpecialTarget,
            };
            return self.leave(path, unfit, is_directory, false);
        }
        let local = match local {
            Some(_) if is_directory != was_directory && self.rules.delete == DeletePolicy::No => {
                return self.leave(path, Unfit::OtherKind, is_directory, was_directory);
            }
            Some(local) if is_directory != was_directory => {
                let number = self.extra(&key, local);
                if was_directory {
                    self.compared.waiting.push(BlockedByDirectory { number, path, size: entry.size });
                    return Ok(());
                }
                self.compared.in_the_way.push(number);
                if !self.rules.dry_run {
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

    /// An unfinished download: once everything is fetched, it is of no use, unless somebody else goes on with it.
    fn part(&mut self, key: &str, path: PathBuf) {
        let name = path.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
        match leftover(path, &name).filter(|_| self.rules.delete != DeletePolicy::No) {
            Some(leftover) => self.compared.parts.push(leftover),
            None => self.compared.extras.protect(key),
        }
    }

    /// What is here in another case and on the server not at all goes first; what is there in both cases has no place.
    fn settle_hidden(&mut self) -> Result<(), TransferError> {
        let key = |path: &Path| fold(&path.to_string_lossy());
        if self.hidden.is_empty() {
            return Ok(());
        }
        let going = self.compared.extras.going.iter().enumerate();
        let going: HashMap<_, _> = match self.rules.delete {
            DeletePolicy::No => HashMap::new(),
            DeletePolicy::Guarded | DeletePolicy::Anyway => {
                going.map(|(number, extra)| (key(&extra.entry.path), number)).collect()
            }
        };
        for HiddenEntry { path, size } in std::mem::take(&mut self.hidden) {
            if let Some(number) = going.get(&key(&path)).copied() {
                self.compared.waiting.push(BlockedByDirectory { number, path, size });
                continue;
            }
            let error = TransferError::Unfit { path: path.clone(), unfit: Unfit::Twin };
            self.say(Err(Omitted { path, error, in_tree: true }))?;
        }
        Ok(())
    }

    /// Leaves an entry alone, and all that is in it.
    fn leave(
        &mut self,
        path: PathBuf,
        unfit: Unfit,
        is_directory: bool,
        was_directory: bool,
    ) -> Result<(), TransferError> {
        if is_directory {
            self.pairs.skip_remote();
        }
        if was_directory {
            self.pairs.skip_local();
        }
        let error = TransferError::Unfit { path: path.clone(), unfit };
        self.say(Err(Omitted { path, error, in_tree: true }))
    }

    /// Takes down what only this side has. Returns its number.
    fn extra(&mut self, key: &str, local: LocalEntry) -> usize {
        if let Some(open) = self.open.last_mut().filter(|open| !open.noted) {
            open.noted = true;
            let time = open.mtime.map(|mtime| (open.path.clone(), mtime));
            self.compared.times.extend(time);
        }
        let (is_directory, size) = match local.kind {
            LocalKind::Directory { .. } => (true, None),
            LocalKind::File { size, .. } => (false, Some(size)),
            LocalKind::Link { .. } | LocalKind::Special => (false, None),
        };
        let LocalEntry { path, seen, abilities, .. } = local;
        self.compared.extras.add(key, LocalOnly { path, seen, size, abilities }, is_directory)
    }

    fn enter(
        &mut self,
        key: &str,
        path: PathBuf,
        entry: &Entry,
        is_there: bool,
    ) -> Result<(), TransferError> {
        if !is_there {
            let above = self.open.last().and_then(|open| open.directory.as_ref());
            if let Some(above) = above
                && let Err(error) = make_directory(above, &path)
            {
                self.pairs.skip_remote();
                return self.say(Err(Omitted { path, error, in_tree: true }));
            }
            self.change(TreeChangeKind::MakeDirectory, path.join(""), None)?;
        }
        let above = self.open.last().and_then(|open| open.directory.clone());
        let mtime = Some(entry.mtime);
        let directory = above.map(|above| Arc::new(Directory::new(path.clone(), mtime, Some(above))));
        self.open.push(SharedDirectory::new(format!("{key}\0"), path, mtime, directory));
        Ok(())
    }

    fn link(
        &mut self,
        path: PathBuf,
        from: EntryPath,
        entry: &Entry,
        local: Option<&LocalEntry>,
    ) -> Result<(), TransferError> {
        let target = entry.target.as_deref().unwrap_or_default();
        if let Some(LocalEntry { kind: LocalKind::Link { mtime }, abilities, .. }) = local
            && mtime.is_some_and(|mtime| abilities.is_same_time(mtime, entry.mtime))
            && let Some(tree) = &self.tree
            && tree.target(&path).is_ok_and(|is| is.to_str() == Some(target))
        {
            self.compared.unchanged += 1;
            return Ok(());
        }
        if self.rules.dry_run {
            return self.change(
                if local.is_some() { TreeChangeKind::Update } else { TreeChangeKind::Fetch },
                path,
                None,
            );
        }
        let above = self.open.last().and_then(|open| open.directory.as_ref());
        let made = make_link(above, &path, entry);
        let made = made.map(|()| LocalEntryPlan::Link { from, path: path.clone() });
        self.say(made.map_err(|error| Omitted { path, error, in_tree: true }))
    }

    fn file(
        &mut self,
        path: PathBuf,
        from: EntryPath,
        entry: Entry,
        local: Option<&LocalEntry>,
    ) -> Result<(), TransferError> {
        if let Some(LocalEntry { kind: LocalKind::File { size, mtime, executable }, abilities, seen, .. }) =
            local
            && *size == entry.size
        {
            let same_time = mtime.is_some_and(|mtime| abilities.is_same_time(mtime, entry.mtime));
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
                if same_time && executable.is_none_or(|is| is == entry.executable) {
                    return Ok(());
                }
                if let Some(tree) = self.tree.as_ref().filter(|_| !self.rules.dry_run) {
                    match dress(tree, &path, seen, &entry, *abilities) {
                        Ok(true) => {}
                        // It has all that its file system can hold.
                        Ok(false) => return Ok(()),
                        Err(error) => return self.say(Err(Omitted { path, error, in_tree: true })),
                    }
                }
                return self.change(TreeChangeKind::Touch, path, None);
            }
        }
        let directory = self.open.last().and_then(|open| open.directory.clone());
        let action = if local.is_some() { TreeChangeKind::Update } else { TreeChangeKind::Fetch };
        let wanted = WantedFile { entry, from, path, directory, action };
        let bytes = wanted.bytes();
        match &mut self.held {
            Some(held) if self.held_bytes + bytes <= self.room => {
                self.held_bytes += bytes;
                held.push(wanted);
                Ok(())
            }
            _ => self.fetch(wanted),
        }
    }

    fn digest(&self, path: &Path, size: u64) -> Result<Digest, TransferError> {
        match &self.tree {
            Some(tree) => digest(tree, path, size),
            None => Err(TransferError::local("read", path)(io::ErrorKind::NotFound.into())),
        }
    }

    fn fetch(
        &mut self,
        WantedFile { entry, from, path, directory, action }: WantedFile,
    ) -> Result<(), TransferError> {
        if self.rules.dry_run {
            let size = Some(entry.size);
            return self.change(action, path, size);
        }
        self.say(Ok(LocalEntryPlan::File { entry, from, path, directory }))
    }

    fn change(
        &mut self,
        action: TreeChangeKind,
        path: PathBuf,
        size: Option<u64>,
    ) -> Result<(), TransferError> {
        let dry_run = self.rules.dry_run;
        let change = TreeChange { action, place: EitherPath::Local(path), from: None, size, dry_run };
        self.say(Ok(LocalEntryPlan::Changed(change)))
    }

    fn say(&mut self, found: ComparedSide) -> Result<(), TransferError> {
        self.batch.push(found);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        let batch = std::mem::take(&mut self.batch);
        // The connections are gone; why, is told elsewhere.
        let gone = |_| TransferError::Protocol("the transfers ended before the comparison".into());
        self.tell.blocking_send(batch).map_err(gone)
    }
}

/// Whether a directory has a name in another case. That a file is found under it is not enough: a system may remember
/// for a while what has gone.
fn is_there_in_another_case(path: &Path) -> bool {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let key = fold(&name.to_string_lossy());
    let mut names = above.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|other| other != name && fold(&other.to_string_lossy()) == key)
}

#[cfg(test)]
mod tests;
