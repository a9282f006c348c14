//! Remote trees on their way here: which local files and directories their entries become.
//!
//! Names come from a server that may be hostile or broken. Each is checked to be one name; a directory is made, or must
//! be one already, before anything is put into it, and a symbolic link in its place is never followed. So nothing
//! outside of the root is written.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::RemotePath;
use sealift_protocol::message::{Entry, EntryKind};
use sealift_protocol::path::{check_name, name_key};

use crate::error::{Error, Unfit};
use crate::event::{Change, Done};
use crate::local::{self, Directory, Disks, FoldedNames, Landing, Site, make_directories};
use crate::plan::fits;
use crate::tree::{Omitted, Walking};

/// How often a tree is listed in all, where each listing is found not to be of one state.
const LOOKS: u32 = 6;

/// The most entries of a tree that are remembered, so that another listing does not fetch them again: 8 bytes each.
const REMEMBERED: usize = 1 << 22;

/// A tree that is being listed.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Which directory.
    pub(crate) from: RemotePath,
    /// The last entry that was seen.
    pub(crate) after: Option<String>,
    /// Its names in the form in which they are compared, with NUL between them.
    last: String,
    /// The state of the tree before the first page of this listing; empty until it is known.
    pub(crate) since: String,
    /// Whether something was moved, replaced or deleted since then: what was renamed may be on none of the pages.
    pub(crate) torn: bool,
    /// Listings that were begun.
    looks: u32,
    /// What was taken already, hashed with a key that no server knows.
    taken: HashSet<u64>,
    key: RandomState,
    walking: Walking,
    /// Whether nothing is made.
    pretend: bool,
    root: PathBuf,
    disks: Arc<Disks>,
    /// The directories from the root down to the last entry.
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    /// The directory below the root, with a slash behind it; empty for the root.
    below: String,
    path: PathBuf,
    /// `None` if nothing is made.
    directory: Option<Arc<Directory>>,
    /// The names in it so far.
    names: FoldedNames,
}

/// What an entry becomes.
#[derive(Debug)]
pub(crate) enum Becomes {
    /// A file to fetch.
    File { entry: Entry, from: RemotePath, path: PathBuf, directory: Option<Arc<Directory>> },
    /// A file that got its content from here.
    Had { from: RemotePath, path: PathBuf, done: Done, landing: Landing },
    /// Something else that was done.
    Changed(Change),
    /// A link, which has been made.
    Link { from: RemotePath, path: PathBuf },
}

impl Tree {
    /// The tree below `from`, which goes into the local directory `root`.
    pub(crate) fn new(
        from: RemotePath,
        root: PathBuf,
        walking: Walking,
        pretend: bool,
        disks: Arc<Disks>,
    ) -> Self {
        Self {
            from,
            after: None,
            last: String::new(),
            since: String::new(),
            torn: false,
            looks: 1,
            taken: HashSet::new(),
            key: RandomState::new(),
            walking,
            pretend,
            root,
            disks,
            levels: Vec::new(),
        }
    }

    /// Makes the root. Blocks.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        // Whoever names the root may have a link there.
        let directory = if self.pretend {
            match self.root.metadata() {
                Ok(metadata) if !metadata.is_dir() => {
                    return Err(Error::Unfit { path: self.root.clone(), unfit: Unfit::FileInTheWay });
                }
                _ => None,
            }
        } else {
            make_directories(&self.root)?;
            Some(Arc::new(Directory::root(self.root.clone(), None, &self.disks)))
        };
        let path = self.root.clone();
        self.levels = vec![Level { below: String::new(), path, directory, names: FoldedNames::default() }];
        Ok(())
    }

    /// Begins the listing anew if it was not of one state. Returns whether it did; an error if it was done too often.
    pub(crate) fn look_again(&mut self) -> Result<bool, Error> {
        if !self.torn || self.pretend {
            return Ok(false);
        }
        if self.looks == LOOKS {
            return Err(Error::Restless { path: self.from.clone() });
        }
        self.looks += 1;
        (self.after, self.torn) = (None, false);
        self.last.clear();
        self.since.clear();
        self.levels.truncate(1);
        self.levels.iter_mut().for_each(|root| root.names = FoldedNames::default());
        Ok(true)
    }

    /// Whether a path on the server is in it.
    pub(crate) fn contains(&self, path: &RemotePath) -> bool {
        let root = self.from.as_str().trim_end_matches('/');
        let below = path.as_str().strip_prefix(root);
        below.is_some_and(|below| root.is_empty() || below.starts_with('/'))
    }

    /// Whether a further listing is to begin.
    pub(crate) fn begins_again(&self) -> bool {
        self.looks > 1 && self.after.is_none()
    }

    /// Refuses an entry that does not follow the one before it: a listing that turns in a circle has no end.
    pub(crate) fn check_order(&mut self, entry: &Entry) -> Result<(), Error> {
        let key = entry.name.split('/').map(name_key).collect::<Vec<_>>().join("\0");
        if key <= self.last {
            return Err(Error::Protocol("it lists entries that are out of order".into()));
        }
        self.last = key;
        Ok(())
    }

    /// Takes the next entry of the listing: makes directories and links. `None` if there is nothing else to do, as with
    /// what an earlier listing had, too, unless it is one of the `missing`. Blocks.
    pub(crate) fn take(
        &mut self,
        entry: Entry,
        missing: &HashSet<RemotePath>,
    ) -> Option<Result<Becomes, Omitted>> {
        self.after = Some(entry.name.clone());
        let kind = std::mem::discriminant(&entry.kind);
        let what = self.key.hash_one((&entry.name, kind, entry.sha256, &entry.target, entry.mtime));
        let becomes = self.become_what_it_is(entry)?;
        let is_new =
            if self.taken.len() < REMEMBERED { self.taken.insert(what) } else { !self.taken.contains(&what) };
        let is_missing = matches!(&becomes, Ok(Becomes::File { from, .. }) if missing.contains(from));
        (is_new || is_missing).then_some(becomes)
    }

    fn become_what_it_is(&mut self, entry: Entry) -> Option<Result<Becomes, Omitted>> {
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
            return omitted(Error::Protocol(format!("it has an entry of an impossible name: {error}")));
        }
        let is_directory = entry.kind == EntryKind::Directory;
        let below = format!("{}{name}", level.below);
        if self.walking.filter.excludes(Path::new(&below), is_directory) {
            return None;
        }
        if !fits(name, cfg!(windows)) {
            return omitted(Error::Unfit { path: path.clone(), unfit: Unfit::LocalName });
        }
        if level.names.is_twin(name, &level.path, !self.pretend) {
            return omitted(Error::Unfit { path: path.clone(), unfit: Unfit::Twin });
        }
        let from = match self.from.join(&entry.name) {
            Ok(from) => from,
            Err(error) => return omitted(error.into()),
        };
        match entry.kind {
            EntryKind::Directory => {
                let above = level.directory.clone();
                let made = match &level.directory {
                    None => can_make_directory(&path),
                    Some(directory) => make_directory(directory, &path),
                };
                if let Err(error) = made {
                    return omitted(error);
                }
                let directory =
                    (!self.pretend).then(|| Arc::new(Directory::new(path.clone(), Some(entry.mtime), above)));
                self.levels.push(Level {
                    below: below + "/",
                    path,
                    directory,
                    names: FoldedNames::default(),
                });
                None
            }
            EntryKind::File => {
                let directory = level.directory.clone();
                Some(Ok(Becomes::File { entry, from, path, directory }))
            }
            EntryKind::Link if !self.walking.links => {
                omitted(Error::Unfit { path: path.clone(), unfit: Unfit::Link })
            }
            EntryKind::Link if self.pretend => match local::check_target(&path) {
                Ok(()) => Some(Ok(Becomes::Link { from, path })),
                Err(error) => omitted(error),
            },
            EntryKind::Link => match make_link(level.directory.as_ref(), &path, &entry) {
                Ok(()) => Some(Ok(Becomes::Link { from, path })),
                Err(error) => omitted(error),
            },
            EntryKind::Space => None,
        }
    }
}

/// Makes a directory inside of another one, or finds that it is there. Blocks.
pub(crate) fn make_directory(above: &Arc<Directory>, path: &Path) -> Result<(), Error> {
    let site = above.site(path)?;
    let made = match fs::create_dir(site.real()) {
        Ok(()) => {
            above.has_lone_entry();
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => can_make_directory(&site.real()),
        Err(error) => Err(Error::local("make the directory", path)(error)),
    };
    made.map_err(|error| error.about(path))
}

/// Makes a symbolic link in a directory. Blocks.
pub(crate) fn make_link(above: Option<&Arc<Directory>>, path: &Path, entry: &Entry) -> Result<(), Error> {
    let site = above.map_or_else(|| Site::named(path, &Arc::default()), |above| above.site(path))?;
    local::make_link(&site, entry.target.as_deref().unwrap_or_default(), entry.mtime)
}

/// Whether there is a directory, or nothing yet.
fn can_make_directory(path: &Path) -> Result<(), Error> {
    let kind = match path.symlink_metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::local("read", path)(error)),
    };
    let unfit = if kind.is_symlink() { Unfit::LinkInTheWay } else { Unfit::FileInTheWay };
    if kind.is_dir() { Ok(()) } else { Err(Error::Unfit { path: path.to_owned(), unfit }) }
}
