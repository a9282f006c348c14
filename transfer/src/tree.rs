//! Local trees: what is below a directory, one entry after the other.
//!
//! A walk holds the open directories from the root down to where it is, never the tree.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sealift_protocol::message::Nanoseconds;
use sealift_types::EntryPath;
use sealift_types::path::name_key;

use crate::error::{TransferError, Unfit};
use crate::local;
pub use crate::local::TreeRoot;

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
            // Names are compared in this form, too.
            let pattern = &*name_key(pattern);
            builder.add_line(None, pattern).map_err(|error| wrong(pattern, error))?;
        }
        builder.build().map(|built| Self(Arc::new(built))).map_err(|error| wrong("", error))
    }

    /// Whether an entry is left out, by its path below the tree's root. What is in a directory that is left out is not
    /// asked about.
    pub fn excludes(&self, below: &Path, is_directory: bool) -> bool {
        let key = below.to_str().map(name_key);
        let below = key.as_deref().map_or(below, Path::new);
        self.0.matched(below, is_directory).is_ignore()
    }
}

/// How a tree is walked.
#[derive(Debug, Clone)]
pub struct WalkOptions {
    /// What is left out.
    pub filter: Filter,
    /// Whether symbolic links are stored as such; otherwise they are skipped.
    pub links: bool,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { filter: Filter::none(), links: false }
    }
}

/// An entry of a tree.
#[derive(Debug)]
pub(crate) struct TreeEntry {
    /// The tree.
    pub(crate) root: Arc<TreeRoot>,
    pub(crate) path: PathBuf,
    pub(crate) to: EntryPath,
    pub(crate) kind: TreeEntryKind,
}

/// What an entry is.
#[derive(Debug)]
pub(crate) enum TreeEntryKind {
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
    pub error: TransferError,
    /// Whether it was come across in a tree, rather than asked for.
    pub in_tree: bool,
}

impl Omitted {
    /// Whether it is no failure: a tree may hold what is neither file nor directory, and lose entries meanwhile.
    pub fn is_harmless(&self) -> bool {
        let is_skipped = matches!(
            self.error,
            TransferError::Unfit { unfit: Unfit::Link | Unfit::Special | Unfit::Part, .. }
        );
        self.in_tree && (is_skipped || self.error.is_absence())
    }
}

/// A walk through a directory: each directory before what is in it, siblings by their names. Blocks.
#[derive(Debug)]
pub(crate) struct TreeWalk {
    walking: WalkOptions,
    /// Where it begins, until it has.
    start: Option<(PathBuf, EntryPath)>,
    /// Whether the root is an entry, too.
    itself: bool,
    root: Option<Arc<TreeRoot>>,
    levels: Vec<TreeLevel>,
}

#[derive(Debug)]
struct TreeLevel {
    path: PathBuf,
    /// The directory below the root of the walk.
    below: PathBuf,
    to: EntryPath,
    /// In descending order of the form in which they are compared: the next one is the last.
    names: Vec<TreeName>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TreeName {
    key: String,
    name: OsString,
    /// Whether it is known to be a file's.
    is_file: bool,
}

impl TreeWalk {
    /// A walk through `path`, of which the contents go to `to`. With `itself`, the directory comes first.
    pub(crate) fn new(path: PathBuf, to: EntryPath, itself: bool, walking: WalkOptions) -> Self {
        Self { walking, start: Some((path, to)), itself, root: None, levels: Vec::new() }
    }

    fn enter(
        &mut self,
        root: &TreeRoot,
        path: PathBuf,
        below: PathBuf,
        to: EntryPath,
    ) -> Result<(), TransferError> {
        let name = |(name, is_file): (OsString, bool)| TreeName { key: key(&name), name, is_file };
        let mut names: Vec<_> = root.names(&path)?.into_iter().map(name).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.push(TreeLevel { path, below, to, names });
        Ok(())
    }

    fn begin(&mut self, path: PathBuf, to: EntryPath) -> Result<Option<TreeEntry>, TransferError> {
        let root = Arc::new(TreeRoot::open(&path)?);
        let mtime = path.metadata().ok().and_then(|metadata| local::mtime(&metadata));
        self.enter(&root, path.clone(), PathBuf::new(), to.clone())?;
        self.root = Some(Arc::clone(&root));
        Ok(self.itself.then_some(TreeEntry { root, path, to, kind: TreeEntryKind::Directory { mtime } }))
    }

    /// What to do about one entry; `None` if it is left out.
    fn take(
        &mut self,
        root: &Arc<TreeRoot>,
        path: &Path,
        below: PathBuf,
        to: &EntryPath,
        is_file: bool,
    ) -> Result<Option<TreeEntry>, TransferError> {
        let unfit = |unfit| TransferError::Unfit { path: path.to_owned(), unfit };
        let found = |kind| {
            Ok(Some(TreeEntry { root: Arc::clone(root), path: path.to_owned(), to: to.clone(), kind }))
        };
        let file = || {
            let is_part = path.file_name().is_some_and(local::is_part);
            if is_part { Err(unfit(Unfit::Part)) } else { found(TreeEntryKind::File) }
        };
        if is_file {
            return if self.walking.filter.excludes(&below, false) { Ok(None) } else { file() };
        }
        let metadata = path.symlink_metadata().map_err(TransferError::local("read", path))?;
        let (kind, mtime) = (metadata.file_type(), local::mtime(&metadata));
        if self.walking.filter.excludes(&below, kind.is_dir()) {
            Ok(None)
        } else if kind.is_file() {
            file()
        } else if kind.is_dir() {
            self.enter(root, path.to_owned(), below, to.clone())?;
            found(TreeEntryKind::Directory { mtime })
        } else if !kind.is_symlink() {
            Err(unfit(Unfit::Special))
        } else if self.walking.links {
            let target = root.target(path)?.into_os_string().into_string();
            found(TreeEntryKind::Link { target: target.map_err(|_| unfit(Unfit::NotUtf8))?, mtime })
        } else {
            Err(unfit(Unfit::Link))
        }
    }
}

impl Iterator for TreeWalk {
    type Item = Result<TreeEntry, Omitted>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((path, to)) = self.start.take() {
            match self.begin(path.clone(), to) {
                Ok(Some(root)) => return Some(Ok(root)),
                Ok(None) => {}
                Err(error) => return Some(Err(Omitted { path, error, in_tree: false })),
            }
        }
        let root = self.root.clone()?;
        loop {
            let level = self.levels.last_mut()?;
            let Some(TreeName { key, name, is_file }) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let (path, below) = (level.path.join(&name), level.below.join(&name));
            let omitted = |error| Some(Err(Omitted { path: path.clone(), error, in_tree: true }));
            let unfit = |unfit| TransferError::Unfit { path: path.clone(), unfit };
            let is_twin = level.names.last().is_some_and(|next| next.key == key);
            let to = match name.to_str() {
                Some(name) => level.to.join(name).map_err(TransferError::from),
                None => Err(unfit(Unfit::NotUtf8)),
            };
            let excluded = || self.walking.filter.excludes(&below, !is_file && path.is_dir());
            let to = match to {
                Ok(to) if !is_twin => to,
                // What is left out anyway is nobody's concern.
                _ if excluded() => continue,
                Ok(_) => return omitted(unfit(Unfit::SameName)),
                Err(error) => return omitted(error),
            };
            match self.take(&root, &path, below, &to, is_file) {
                Ok(None) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(error) => return omitted(error),
            }
        }
    }
}

/// The key by which a name is sorted, and by which two names are one. One that is not UTF-8 gets a key that no name on a
/// server has.
pub(crate) fn key(name: &OsStr) -> String {
    match name.to_str() {
        Some(name) => name_key(name).into_owned(),
        None => format!("{}\u{1}{name:?}", name.to_string_lossy()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn walk(root: &Path, walking: WalkOptions) -> (Vec<String>, Vec<String>) {
        let (mut found, mut omitted) = (Vec::new(), Vec::new());
        for entry in TreeWalk::new(root.to_owned(), "d".parse().unwrap(), true, walking) {
            match entry {
                Ok(TreeEntry { to, kind, .. }) => found.push(match kind {
                    TreeEntryKind::File => to.to_string(),
                    TreeEntryKind::Directory { .. } => format!("{to}/"),
                    TreeEntryKind::Link { target, .. } => format!("{to} -> {target}"),
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
        fs::write(root.join(local::part_name("z", &sealift_types::Digest::of(b""))), "").unwrap();
        std::os::unix::fs::symlink("../x", root.join("a/link")).unwrap();
        // A circle, which nobody runs in.
        std::os::unix::fs::symlink(root, root.join("a/circle")).unwrap();

        let (found, omitted) = walk(root, WalkOptions::default());
        assert_eq!(
            found,
            ["d/", "d/.hidden", "d/a/", "d/a/b/", "d/a/b/empty/", "d/a/b/y.tmp", "d/a/x", "d/z"]
        );
        assert_eq!(omitted.len(), 3);
        assert!(omitted[0].contains("unfinished download"), "{omitted:?}");
        assert!(omitted[1].contains("symbolic link"), "{omitted:?}");

        let filter = Filter::new(["*.tmp", "/a/b/empty/", "z", "!/z"]).unwrap();
        let (found, omitted) = walk(root, WalkOptions { filter, links: true });
        let circle = format!("d/a/circle -> {}", root.display());
        assert_eq!(found, ["d/", "d/.hidden", "d/a/", "d/a/b/", &circle, "d/a/link -> ../x", "d/a/x", "d/z"]);
        assert_eq!(omitted.len(), 1);
        assert!(omitted[0].contains("unfinished download"), "{omitted:?}");
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
