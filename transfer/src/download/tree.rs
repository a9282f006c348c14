//! Remote trees on their way here: which local files and directories their entries become.
//!
//! Names come from a server that may be hostile or broken. Each is checked to be one name; a directory is made, or must
//! be one already, before anything is put into it, and a symbolic link in its place is never followed. So nothing
//! outside of the root is written.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::message::{Entry, EntryKind};
use sealift_types::EntryPath;
use sealift_types::path::{check_name, name_key};

use crate::error::{TransferError, Unfit};
use crate::event::{TransferSummary, TreeChange};
use crate::local::{
    self, CommittingFile, Directory, EntrySeen, FileSite, FileSystems, FoldedNames, TreeRoot,
    make_directories,
};
use crate::plan::fits;
use crate::tree::{Omitted, WalkOptions};

/// How often a tree is listed in all, where each listing is found not to be of one state.
const LOOKS: u16 = 6;

/// The most entries of a tree that are remembered, so that another listing neither fetches them again nor overlooks that
/// they are not there any more: 17 bytes each, and as much again while the table grows.
const REMEMBERED: usize = 1 << 21;

/// A tree that is being listed.
#[derive(Debug)]
pub(crate) struct ListedTree {
    /// Which directory.
    pub(crate) from: EntryPath,
    /// The last entry that was seen.
    pub(crate) after: Option<String>,
    /// Its names in the form in which they are compared, with NUL between them.
    last: String,
    /// The state of the tree before the first page of this listing; empty until it is known.
    pub(crate) since: String,
    /// Whether something was moved, replaced or deleted since then: what was renamed may be on none of the pages.
    pub(crate) torn: bool,
    /// Whether something that this listing had was not there any more when it was asked for.
    missed: bool,
    /// Listings that were begun.
    looks: u16,
    /// What was taken already, by its name, which is hashed with a key that no server knows.
    taken: HashMap<u64, EntryMark>,
    key: RandomState,
    /// Whether there was more than is remembered.
    forgot: bool,
    /// Whether the listing failed, which was told.
    failed: bool,
    walking: WalkOptions,
    /// Whether nothing is made.
    dry_run: bool,
    root: PathBuf,
    disks: Arc<FileSystems>,
    /// The directories from the root down to the last entry.
    levels: Vec<ListedLevel>,
}

/// An entry that was taken.
#[derive(Debug, Clone, Copy)]
struct EntryMark {
    /// What it was, hashed.
    what: u32,
    /// The last listing that had it.
    look: u16,
    /// Whether it has become something here, or is going to.
    here: bool,
    /// Whether it is a directory, and one that was made here.
    is_directory: bool,
    made: bool,
}

#[derive(Debug)]
struct ListedLevel {
    /// The directory below the root, with a slash behind it; empty for the root.
    below: String,
    path: PathBuf,
    /// Whether it was made.
    made: bool,
    /// `None` if nothing is made.
    directory: Option<Arc<Directory>>,
    /// The names in it so far.
    names: FoldedNames,
}

/// What an entry becomes.
#[derive(Debug)]
pub(crate) enum LocalEntryPlan {
    /// A file to fetch.
    File { entry: Entry, from: EntryPath, path: PathBuf, directory: Option<Arc<Directory>> },
    /// A file that got its content from here.
    Had { from: EntryPath, path: PathBuf, done: TransferSummary, landing: CommittingFile },
    /// Something else that was done.
    Changed(TreeChange),
    /// A link, which has been made.
    Link { from: EntryPath, path: PathBuf },
}

impl ListedTree {
    /// The tree below `from`, which goes into the local directory `root`.
    pub(crate) fn new(
        from: EntryPath,
        root: PathBuf,
        walking: WalkOptions,
        dry_run: bool,
        disks: Arc<FileSystems>,
    ) -> Self {
        Self {
            from,
            after: None,
            last: String::new(),
            since: String::new(),
            torn: false,
            missed: false,
            looks: 1,
            taken: HashMap::new(),
            key: RandomState::new(),
            forgot: false,
            failed: false,
            walking,
            dry_run,
            root,
            disks,
            levels: Vec::new(),
        }
    }

    /// Makes the root. Blocks.
    pub(crate) fn begin(&mut self) -> Result<(), TransferError> {
        // Whoever names the root may have a link there.
        let directory = if self.dry_run {
            match self.root.metadata() {
                Ok(metadata) if !metadata.is_dir() => {
                    return Err(TransferError::Unfit { path: self.root.clone(), unfit: Unfit::FileInTheWay });
                }
                _ => None,
            }
        } else {
            make_directories(&self.root)?;
            Some(Arc::new(Directory::root(self.root.clone(), None, &self.disks)))
        };
        let path = self.root.clone();
        self.levels = vec![ListedLevel {
            below: String::new(),
            path,
            made: false,
            directory,
            names: FoldedNames::default(),
        }];
        Ok(())
    }

    /// Begins the listing anew if it was not of one state. Returns whether it did; an error if it was done too often.
    pub(crate) fn look_again(&mut self) -> Result<bool, TransferError> {
        if !(self.torn || self.missed) || self.dry_run {
            return Ok(false);
        }
        if self.looks == LOOKS {
            self.failed = true;
            return Err(TransferError::Restless { path: self.from.clone() });
        }
        self.looks += 1;
        (self.after, self.torn, self.missed) = (None, false, false);
        self.last.clear();
        self.since.clear();
        self.levels.truncate(1);
        self.levels.iter_mut().for_each(|root| root.names = FoldedNames::default());
        Ok(true)
    }

    /// Its listing failed, which was told.
    pub(crate) fn has_failed(&mut self) {
        self.failed = true;
    }

    /// Removes empty directories that were made here and that the last listing has not: all that was in them had gone before
    /// it was fetched. Blocks.
    pub(crate) fn tidy(&mut self) {
        let looks = self.looks;
        let is_old = |mark: &EntryMark| mark.made && mark.look < looks;
        if looks == 1 || self.failed || !self.taken.values().any(is_old) {
            return;
        }
        let Ok(root) = TreeRoot::open(&self.root) else { return };
        // Each directory before those that are in it.
        let (mut old, mut next) = (Vec::new(), vec![String::new()]);
        while let Some(above) = next.pop() {
            let names = root.names(&self.root.join(&above)).unwrap_or_default();
            for name in names.iter().filter(|(_, is_file)| !is_file).filter_map(|(name, _)| name.to_str()) {
                let below = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
                let hash = self.key.hash_one(below.as_str());
                let Some(mark) = self.taken.get(&hash).filter(|mark| mark.is_directory) else { continue };
                if is_old(mark) {
                    old.push((hash, self.root.join(&below)));
                }
                next.push(below);
            }
        }
        for (hash, path) in old.into_iter().rev() {
            let above = path.parent().unwrap_or(&self.root);
            let time = above.metadata().ok().and_then(|metadata| local::mtime(&metadata));
            let seen = path.symlink_metadata().ok().filter(fs::Metadata::is_dir);
            if seen.is_some_and(|seen| root.remove(&path, &EntrySeen::of(&seen)).is_ok()) {
                self.taken.remove(&hash);
                // A directory with another time is still the directory.
                let _ = time.map(|time| root.set_time(above, time));
            }
        }
    }

    /// Why what is here is not what the server had when it was listed for the last time, if so.
    pub(crate) fn leftover(&self) -> Option<TransferError> {
        if self.looks == 1 || self.failed {
            return None;
        }
        let is_old = |mark: &&EntryMark| mark.here && mark.look < self.looks;
        let count = self.taken.values().filter(is_old).count();
        (count > 0 || self.forgot).then(|| TransferError::Renamed { path: self.from.clone(), count })
    }

    /// What a path on the server is called in it, if it is in it.
    fn below<'p>(&self, path: &'p EntryPath) -> Option<&'p str> {
        match self.from.as_str() {
            "" => Some(path.as_str()).filter(|path| !path.starts_with('/')),
            from => path.as_str().strip_prefix(from.trim_end_matches('/'))?.strip_prefix('/'),
        }
    }

    /// A file was not there any more when it was asked for, since a listing that was `begun` had it. Returns whether it is
    /// one of this tree, which is listed once more for that: what was renamed has another name now.
    pub(crate) fn miss(&mut self, path: &EntryPath, begun: bool) -> bool {
        let Some(name) = self.below(path) else { return false };
        // It has not become anything here, and would be fetched if it came back.
        self.taken.remove(&self.key.hash_one(name));
        self.missed |= begun;
        true
    }

    /// Whether a further listing is to begin.
    pub(crate) fn begins_again(&self) -> bool {
        self.looks > 1 && self.after.is_none()
    }

    /// Refuses an entry that does not follow the one before it: a listing that turns in a circle has no end.
    pub(crate) fn check_order(&mut self, entry: &Entry) -> Result<(), TransferError> {
        let key = entry.name.split('/').map(name_key).collect::<Vec<_>>().join("\0");
        if key <= self.last {
            return Err(TransferError::Protocol("it lists entries that are out of order".into()));
        }
        self.last = key;
        Ok(())
    }

    /// Takes the next entry of the listing: makes directories and links. `None` if there is nothing else to do, as with
    /// what an earlier listing had, too. Blocks.
    pub(crate) fn take(&mut self, entry: Entry) -> Option<Result<LocalEntryPlan, Omitted>> {
        self.after = Some(entry.name.clone());
        let name = self.key.hash_one(entry.name.as_str());
        let kind = std::mem::discriminant(&entry.kind);
        let what = self.key.hash_one((kind, entry.sha256, &entry.target, entry.mtime));
        #[allow(clippy::cast_possible_truncation)] // a part of a hash is one, too
        let what = what as u32;
        let is_directory = entry.kind == EntryKind::Directory;
        let becomes = self.become_what_it_is(entry)?;
        let (look, here) = (self.looks, becomes.is_ok());
        let made = is_directory && here && self.levels.last().is_some_and(|level| level.made);
        let is_full = self.taken.len() >= REMEMBERED;
        let is_new = match self.taken.get_mut(&name) {
            Some(mark) => {
                let is_new = mark.what != what;
                let (here, made) = (here || mark.here, made || mark.made && is_directory);
                *mark = EntryMark { what, look, here, is_directory, made };
                is_new
            }
            None if is_full => {
                self.forgot = true;
                true
            }
            None => {
                self.taken.insert(name, EntryMark { what, look, here, is_directory, made });
                true
            }
        };
        becomes.transpose().filter(|_| is_new)
    }

    /// `None` if it is left out. A directory is made at once, and becomes nothing else.
    fn become_what_it_is(&mut self, entry: Entry) -> Option<Result<Option<LocalEntryPlan>, Omitted>> {
        let (above, name) = match entry.name.rsplit_once('/') {
            Some((above, name)) => (format!("{above}/"), name),
            None => (String::new(), entry.name.as_str()),
        };
        while self.levels.last().is_some_and(|level| !above.starts_with(&level.below)) {
            self.levels.pop();
        }
        // What is in a directory that was left out, or could not be made, is left out, too.
        let level = self.levels.last_mut().filter(|level| level.below == above)?;
        let path = level.path.join(name);
        let omitted = |error| Some(Err(Omitted { path: path.clone(), error, in_tree: true }));
        if let Err(error) = check_name(name) {
            return omitted(TransferError::Protocol(format!(
                "it has an entry of an impossible name: {error}"
            )));
        }
        let is_directory = entry.kind == EntryKind::Directory;
        let below = format!("{}{name}", level.below);
        if self.walking.filter.excludes(Path::new(&below), is_directory) {
            return None;
        }
        if !fits(name, cfg!(windows)) {
            return omitted(TransferError::Unfit { path: path.clone(), unfit: Unfit::LocalName });
        }
        if level.names.is_twin(name, &level.path, !self.dry_run) {
            return omitted(TransferError::Unfit { path: path.clone(), unfit: Unfit::Twin });
        }
        let from = match self.from.join(&entry.name) {
            Ok(from) => from,
            Err(error) => return omitted(error.into()),
        };
        match entry.kind {
            EntryKind::Directory => {
                let above = level.directory.clone();
                let made = match &level.directory {
                    None => can_make_directory(&path).map(|()| false),
                    Some(directory) => make_directory(directory, &path),
                };
                let made = match made {
                    Ok(made) => made,
                    Err(error) => return omitted(error),
                };
                let directory =
                    (!self.dry_run).then(|| Arc::new(Directory::new(path.clone(), Some(entry.mtime), above)));
                self.levels.push(ListedLevel {
                    below: below + "/",
                    path,
                    made,
                    directory,
                    names: FoldedNames::default(),
                });
                Some(Ok(None))
            }
            EntryKind::File => {
                let directory = level.directory.clone();
                Some(Ok(Some(LocalEntryPlan::File { entry, from, path, directory })))
            }
            EntryKind::Link if !self.walking.links => {
                omitted(TransferError::Unfit { path: path.clone(), unfit: Unfit::Link })
            }
            EntryKind::Link if self.dry_run => match local::check_target(&path) {
                Ok(()) => Some(Ok(Some(LocalEntryPlan::Link { from, path }))),
                Err(error) => omitted(error),
            },
            EntryKind::Link => match make_link(level.directory.as_ref(), &path, &entry) {
                Ok(()) => Some(Ok(Some(LocalEntryPlan::Link { from, path }))),
                Err(error) => omitted(error),
            },
            EntryKind::Space => None,
        }
    }
}

/// Makes a directory inside of another one, or finds that it is there. Returns whether it made it. Blocks.
pub(crate) fn make_directory(above: &Arc<Directory>, path: &Path) -> Result<bool, TransferError> {
    let site = above.site(path)?;
    let made = match fs::create_dir(site.real()) {
        Ok(()) => {
            above.has_lone_entry();
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            can_make_directory(&site.real()).map(|()| false)
        }
        Err(error) => Err(TransferError::local("make the directory", path)(error)),
    };
    made.map_err(|error| error.about(path))
}

/// Makes a symbolic link in a directory. Blocks.
pub(crate) fn make_link(
    above: Option<&Arc<Directory>>,
    path: &Path,
    entry: &Entry,
) -> Result<(), TransferError> {
    let site = above.map_or_else(|| FileSite::named(path, &Arc::default()), |above| above.site(path))?;
    local::make_link(&site, entry.target.as_deref().unwrap_or_default(), entry.mtime)
}

/// Whether there is a directory, or nothing yet.
fn can_make_directory(path: &Path) -> Result<(), TransferError> {
    let kind = match path.symlink_metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(TransferError::local("read", path)(error)),
    };
    let unfit = if kind.is_symlink() { Unfit::LinkInTheWay } else { Unfit::FileInTheWay };
    if kind.is_dir() { Ok(()) } else { Err(TransferError::Unfit { path: path.to_owned(), unfit }) }
}
