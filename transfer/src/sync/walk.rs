//! The local side of a comparison: a walk in the order in which the server lists.
//!
//! Siblings are sorted by their keys, so the names of the directories from the root down are held, never the tree.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sealift_protocol::message::Nanoseconds;
use sealift_protocol::path::name_key;

use crate::error::{Error, Unfit};
use crate::local;
use crate::tree::{Filter, Omitted};

/// A local entry.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// What it is, links not followed.
#[derive(Debug)]
pub(super) enum Kind {
    File { size: u64, mtime: Option<Nanoseconds>, executable: bool },
    Directory { mtime: Option<Nanoseconds> },
    Link { mtime: Option<Nanoseconds> },
    Special,
}

/// The walk. Blocks.
#[derive(Debug)]
pub(super) struct Walk {
    filter: Filter,
    levels: Vec<Level>,
    /// A directory that was yielded and is entered next.
    entering: Option<Level>,
}

#[derive(Debug)]
struct Level {
    path: PathBuf,
    below: PathBuf,
    /// The key of the directory, with a NUL behind it; empty for the root.
    prefix: String,
    /// In descending order: the next one is the last.
    names: Vec<(String, OsString)>,
}

impl Walk {
    /// A walk through what is below `root`; nothing if that is missing.
    pub(super) fn new(root: &Path, filter: Filter) -> Self {
        let level =
            Level { path: root.to_owned(), below: PathBuf::new(), prefix: String::new(), names: Vec::new() };
        let entering = root.exists().then_some(level);
        Self { filter, levels: Vec::new(), entering }
    }

    /// Leaves out what is in the directory that came last.
    pub(super) fn leave(&mut self) {
        self.entering = None;
    }

    fn enter(&mut self, mut level: Level) -> Result<(), Error> {
        let unreadable = || Error::local("read", &level.path);
        for entry in fs::read_dir(&level.path).map_err(unreadable())? {
            let name = entry.map_err(unreadable())?.file_name();
            if !local::is_part(&name) {
                level.names.push((key(&name), name));
            }
        }
        level.names.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.push(level);
        Ok(())
    }

    /// What a name stands for; `None` if it is left out or has gone.
    fn look(&mut self, path: &Path, below: &Path, key: &str) -> Result<Option<Kind>, Error> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::local("read", path)(error)),
        };
        let (kind, mtime) = (metadata.file_type(), local::mtime(&metadata));
        if self.filter.excludes(below, kind.is_dir()) {
            return Ok(None);
        }
        Ok(Some(if kind.is_file() {
            Kind::File { size: metadata.len(), mtime, executable: local::is_executable(&metadata) }
        } else if kind.is_dir() {
            let (path, below, prefix) = (path.to_owned(), below.to_owned(), format!("{key}\0"));
            self.entering = Some(Level { path, below, prefix, names: Vec::new() });
            Kind::Directory { mtime }
        } else if kind.is_symlink() {
            Kind::Link { mtime }
        } else {
            Kind::Special
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<(String, Local), Omitted>;

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
                let error = Error::Unfit { path: path.clone(), unfit: Unfit::SameName };
                return Some(Err(Omitted { path, error, in_tree: true }));
            }
            match self.look(&path, &below, &key) {
                Ok(None) => {}
                Ok(Some(kind)) => return Some(Ok((key, Local { path, kind }))),
                Err(error) => return Some(Err(Omitted { path, error, in_tree: true })),
            }
        }
    }
}

/// The key by which a name is sorted. One that is not UTF-8 gets a key that no name on a server has.
fn key(name: &OsString) -> String {
    match name.to_str() {
        Some(name) => name_key(name).into_owned(),
        None => format!("{}\u{1}{name:?}", name.to_string_lossy()),
    }
}
