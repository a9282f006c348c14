//! Local trees: what is below a directory, one entry after the other.
//!
//! A walk holds the open directories from the root down to where it is, never the tree.

use std::fs::{self, DirEntry, Metadata, ReadDir};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sealift_protocol::RemotePath;
use sealift_protocol::message::Nanoseconds;

use crate::error::{Error, Unfit};
use crate::local;

/// Which entries of a tree are left out: patterns as in a `.gitignore` at the tree's root, of which the last that
/// matches decides.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Gitignore>);

/// A pattern that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the pattern {pattern:?} is not understood: {reason}")]
pub struct PatternError {
    /// Which one.
    pub pattern: String,
    /// Why.
    pub reason: String,
}

impl Filter {
    /// A filter that leaves nothing out.
    pub fn none() -> Self {
        Self(Arc::new(Gitignore::empty()))
    }

    /// A filter of `patterns` in their order. Those with `!` in front bring back what an earlier one left out.
    ///
    /// # Errors
    /// Fails at the first pattern that is malformed.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut builder = GitignoreBuilder::new("");
        let wrong = |pattern: &str, error: ignore::Error| PatternError {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        };
        for pattern in patterns {
            builder.add_line(None, pattern).map_err(|error| wrong(pattern, error))?;
        }
        builder.build().map(|built| Self(Arc::new(built))).map_err(|error| wrong("", error))
    }

    /// Whether an entry is left out, by its path below the tree's root. What is in a directory that is left out is not
    /// asked about.
    pub fn excludes(&self, below: &Path, is_directory: bool) -> bool {
        self.0.matched(below, is_directory).is_ignore()
    }
}

/// How a tree is walked.
#[derive(Debug, Clone)]
pub struct Walking {
    /// What is left out.
    pub filter: Filter,
    /// Whether symbolic links are stored as such; otherwise they are skipped.
    pub links: bool,
}

impl Default for Walking {
    fn default() -> Self {
        Self { filter: Filter::none(), links: false }
    }
}

/// An entry of a tree.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) to: RemotePath,
    pub(crate) kind: Kind,
}

/// What an entry is.
#[derive(Debug)]
pub(crate) enum Kind {
    File,
    Directory { mtime: Option<Nanoseconds> },
    Link { target: String, mtime: Option<Nanoseconds> },
}

/// An entry that is not transferred.
#[derive(Debug)]
pub struct Omitted {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub error: Error,
    /// Whether it was come across in a tree, rather than asked for.
    pub in_tree: bool,
}

impl Omitted {
    /// Whether it is no failure: a tree may hold what is neither file nor directory.
    pub fn is_harmless(&self) -> bool {
        self.in_tree && matches!(self.error, Error::Unfit { unfit: Unfit::Link | Unfit::Special, .. })
    }
}

/// A walk through a directory: each directory before what is in it. Blocks.
#[derive(Debug)]
pub(crate) struct Walk {
    walking: Walking,
    root: Option<Found>,
    /// Whether the root is an entry, too.
    itself: bool,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    entries: ReadDir,
    /// The directory below the root of the walk.
    below: PathBuf,
    to: RemotePath,
}

impl Walk {
    /// A walk through `path`, of which the contents go to `to`. With `itself`, the directory comes first.
    pub(crate) fn new(path: PathBuf, to: RemotePath, itself: bool, walking: Walking) -> Self {
        let mtime = path.metadata().ok().and_then(|metadata| local::mtime(&metadata));
        let root = Found { path, to, kind: Kind::Directory { mtime } };
        Self { walking, root: Some(root), itself, levels: Vec::new() }
    }

    fn enter(&mut self, path: &Path, below: PathBuf, to: RemotePath) -> Result<(), Error> {
        let entries = fs::read_dir(path).map_err(Error::local("read", path))?;
        self.levels.push(Level { entries, below, to });
        Ok(())
    }

    /// What to do about one entry; `None` if it is left out.
    fn take(&mut self, entry: &DirEntry, below: &Path, to: &RemotePath) -> Result<Option<Found>, Error> {
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::local("read", &path))?;
        let name = entry.file_name();
        let below = below.join(&name);
        if self.walking.filter.excludes(&below, kind.is_dir()) || local::is_part(&name) {
            return Ok(None);
        }
        let unfit = |unfit| Error::Unfit { path: path.clone(), unfit };
        let name = name.to_str().ok_or_else(|| unfit(Unfit::NotUtf8))?;
        let to = to.join(name)?;
        let metadata = |entry: &DirEntry| -> Result<Metadata, Error> {
            entry.metadata().map_err(Error::local("read", &path))
        };
        let kind = if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            let mtime = local::mtime(&metadata(entry)?);
            self.enter(&path, below, to.clone())?;
            Kind::Directory { mtime }
        } else if !kind.is_symlink() {
            return Err(unfit(Unfit::Special));
        } else if self.walking.links {
            let target = fs::read_link(&path).map_err(Error::local("read", &path))?;
            let target = target.into_os_string().into_string().map_err(|_| unfit(Unfit::NotUtf8))?;
            Kind::Link { target, mtime: local::mtime(&metadata(entry)?) }
        } else {
            return Err(unfit(Unfit::Link));
        };
        Ok(Some(Found { path, to, kind }))
    }
}

impl Iterator for Walk {
    type Item = Result<Found, Omitted>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take() {
            match self.enter(&root.path, PathBuf::new(), root.to.clone()) {
                Ok(()) if self.itself => return Some(Ok(root)),
                Ok(()) => {}
                Err(error) => return Some(Err(Omitted { path: root.path, error, in_tree: false })),
            }
        }
        loop {
            let level = self.levels.last_mut()?;
            let (below, to) = (level.below.clone(), level.to.clone());
            let found = match level.entries.next() {
                None => {
                    self.levels.pop();
                    continue;
                }
                Some(Ok(entry)) => {
                    let path = entry.path();
                    self.take(&entry, &below, &to).map_err(|error| Omitted { path, error, in_tree: true })
                }
                // The directory went away, or its disk is failing: what is left of it cannot be seen.
                Some(Err(error)) => {
                    self.levels.pop();
                    let error = Error::local("read", &below)(error);
                    Err(Omitted { path: below, error, in_tree: true })
                }
            };
            match found {
                Ok(None) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(omitted) => return Some(Err(omitted)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(root: &Path, walking: Walking) -> (Vec<String>, Vec<String>) {
        let (mut found, mut omitted) = (Vec::new(), Vec::new());
        for entry in Walk::new(root.to_owned(), "d".parse().unwrap(), true, walking) {
            match entry {
                Ok(Found { to, kind, .. }) => found.push(match kind {
                    Kind::File => to.to_string(),
                    Kind::Directory { .. } => format!("{to}/"),
                    Kind::Link { target, .. } => format!("{to} -> {target}"),
                }),
                Err(Omitted { error, .. }) => omitted.push(error.to_string()),
            }
        }
        found.sort();
        (found, omitted)
    }

    #[cfg(unix)]
    #[test]
    fn a_tree_with_everything_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("a/b/empty")).unwrap();
        for file in ["a/x", "a/b/y.tmp", "z", ".hidden"] {
            fs::write(root.join(file), "").unwrap();
        }
        fs::write(root.join(local::part_name("z", &sealift_protocol::Digest::of(b""))), "").unwrap();
        std::os::unix::fs::symlink("../x", root.join("a/link")).unwrap();
        // A circle, which nobody runs in.
        std::os::unix::fs::symlink(root, root.join("a/circle")).unwrap();

        let (found, omitted) = walk(root, Walking::default());
        assert_eq!(
            found,
            ["d/", "d/.hidden", "d/a/", "d/a/b/", "d/a/b/empty/", "d/a/b/y.tmp", "d/a/x", "d/z"]
        );
        assert_eq!(omitted.len(), 2);
        assert!(omitted[0].contains("symbolic link"), "{omitted:?}");

        let filter = Filter::new(["*.tmp", "/a/b/empty/", "z", "!/z"]).unwrap();
        let (found, omitted) = walk(root, Walking { filter, links: true });
        let circle = format!("d/a/circle -> {}", root.display());
        assert_eq!(found, ["d/", "d/.hidden", "d/a/", "d/a/b/", &circle, "d/a/link -> ../x", "d/a/x", "d/z"]);
        assert!(omitted.is_empty());
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        let filter = Filter::new(["build/", "*.o", "!keep.o", "/top", "doc/**/*.pdf", "# no"]).unwrap();
        for (path, directory, excluded) in [
            ("build", true, true),
            ("build", false, false),
            ("deep/build", true, true),
            ("a.o", false, true),
            ("deep/a.o", false, true),
            ("keep.o", false, false),
            ("top", false, true),
            ("deep/top", false, false),
            ("doc/a/b/c.pdf", false, true),
            ("# no", false, false),
        ] {
            assert_eq!(filter.excludes(Path::new(path), directory), excluded, "{path}");
        }
        assert!(Filter::new(["a{b"]).unwrap_err().to_string().contains("a{b"));
    }
}
