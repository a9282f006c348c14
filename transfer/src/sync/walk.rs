//! The local side of a comparison: a walk in the order in which the server lists.
//!
//! Siblings are sorted by their keys, so the names of the directories from the root down are held, never the tree.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::message::Nanoseconds;

use crate::error::{TransferError, Unfit};
use crate::local::{self, Abilities, EntrySeen, TreeRoot};
use crate::tree::{Filter, Omitted, key};

/// A local entry.
#[derive(Debug)]
pub(super) struct LocalEntry {
    pub(super) path: PathBuf,
    pub(super) kind: LocalKind,
    /// What its file system can hold.
    pub(super) abilities: Abilities,
    /// What it was when it was looked at.
    pub(super) seen: EntrySeen,
}

/// What it is, links not followed.
#[derive(Debug)]
pub(super) enum LocalKind {
    File {
        size: u64,
        mtime: Option<Nanoseconds>,
        /// Unless its file system cannot tell.
        executable: Option<bool>,
    },
    Directory {
        mtime: Option<Nanoseconds>,
    },
    Link {
        mtime: Option<Nanoseconds>,
    },
    Special,
}

/// What a name stands for.
#[derive(Debug)]
pub(super) enum NamedEntry {
    Entry(LocalEntry),
    /// Something that the filter leaves out.
    LeftOut,
    /// A file that holds an unfinished download.
    Part(PathBuf),
}

/// The walk. Blocks.
#[derive(Debug)]
pub(super) struct SyncWalk {
    /// `None` if there is nothing to walk through.
    root: Option<Arc<TreeRoot>>,
    filter: Filter,
    /// Whether something may be made to find out what file systems can hold.
    may_write: bool,
    /// The file system of the last entry, and what it can hold.
    last: Option<(Option<u64>, Abilities)>,
    levels: Vec<SyncLevel>,
    /// A directory that was yielded and is entered next.
    entering: Option<SyncLevel>,
}

#[derive(Debug)]
struct SyncLevel {
    path: PathBuf,
    below: PathBuf,
    /// The key of the directory, with a NUL behind it; empty for the root.
    prefix: String,
    /// In descending order: the next one is the last.
    names: Vec<(String, OsString)>,
}

impl SyncWalk {
    /// A walk through what is below `root`.
    pub(super) fn new(root: Option<Arc<TreeRoot>>, filter: Filter, may_write: bool) -> Self {
        let level = |root: &Arc<TreeRoot>| SyncLevel {
            path: root.path().to_owned(),
            below: PathBuf::new(),
            prefix: String::new(),
            names: Vec::new(),
        };
        let entering = root.as_ref().map(level);
        Self { root, filter, may_write, last: None, levels: Vec::new(), entering }
    }

    /// What the file system of an entry can hold.
    fn abilities(&mut self, path: &Path, metadata: &std::fs::Metadata) -> Abilities {
        let device = local::device(metadata);
        match self.last {
            Some((last, abilities)) if last == device => abilities,
            _ => {
                let directory = if metadata.is_dir() { path } else { local::directory_of(path) };
                let abilities = Abilities::on(device, directory, self.may_write);
                self.last = Some((device, abilities));
                abilities
            }
        }
    }

    /// Leaves out what is in the directory that came last.
    pub(super) fn leave(&mut self) {
        self.entering = None;
    }

    fn enter(&mut self, mut level: SyncLevel) -> Result<(), TransferError> {
        let names = self.root.as_ref().map_or_else(|| Ok(Vec::new()), |root| root.names(&level.path))?;
        level.names = names.into_iter().map(|(name, _)| (key(&name), name)).collect();
        level.names.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.push(level);
        Ok(())
    }

    /// What a name stands for; `None` if it has gone.
    fn look(&mut self, path: &Path, below: &Path, key: &str) -> Result<Option<NamedEntry>, TransferError> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TransferError::local("read", path)(error)),
        };
        let (kind, mtime) = (metadata.file_type(), local::mtime(&metadata));
        if self.filter.excludes(below, kind.is_dir()) {
            return Ok(Some(NamedEntry::LeftOut));
        }
        if kind.is_file() && path.file_name().is_some_and(local::is_part) {
            return Ok(Some(NamedEntry::Part(path.to_owned())));
        }
        let abilities = self.abilities(path, &metadata);
        let kind = if kind.is_file() {
            let executable = abilities.executable.then(|| local::is_executable(&metadata));
            LocalKind::File { size: metadata.len(), mtime, executable }
        } else if kind.is_dir() {
            let (path, below, prefix) = (path.to_owned(), below.to_owned(), format!("{key}\0"));
            self.entering = Some(SyncLevel { path, below, prefix, names: Vec::new() });
            LocalKind::Directory { mtime }
        } else if kind.is_symlink() {
            LocalKind::Link { mtime }
        } else {
            LocalKind::Special
        };
        Ok(Some(NamedEntry::Entry(LocalEntry {
            path: path.to_owned(),
            kind,
            abilities,
            seen: EntrySeen::of(&metadata),
        })))
    }
}

impl Iterator for SyncWalk {
    type Item = Result<(String, NamedEntry), Omitted>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(level) = self.entering.take() {
            let path = level.path.clone();
            if let Err(error) = self.enter(level) {
                return Some(Err(Omitted { path, error, in_tree: true }));
            }
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some((name_key, name)) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let (path, below) = (level.path.join(&name), level.below.join(&name));
            let twin = level.names.last().is_some_and(|(next, _)| *next == name_key);
            let key = format!("{}{name_key}", level.prefix);
            if twin {
                let error = TransferError::Unfit { path: path.clone(), unfit: Unfit::SameName };
                return Some(Err(Omitted { path, error, in_tree: true }));
            }
            match self.look(&path, &below, &key) {
                Ok(None) => {}
                Ok(Some(named)) => return Some(Ok((key, named))),
                Err(error) => return Some(Err(Omitted { path, error, in_tree: true })),
            }
        }
    }
}
