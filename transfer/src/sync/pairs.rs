//! Two trees side by side: each entry of either, with what the other has under the same name.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::message::{Entry, EntryKind};
use sealift_types::path::{check_name, name_key};

use super::listing::Listed;
use super::walk::{LocalEntry, NamedEntry, SyncWalk};
use crate::error::{TransferError, Unfit};
use crate::local::TreeRoot;
use crate::plan::fits;
use crate::tree::{Filter, Omitted};

/// What is under one name; at least one of the two is there.
#[derive(Debug)]
pub(super) struct Pair {
    /// The names from the root, in the form in which they are compared, with NUL between them. Pairs come in the order
    /// of their keys.
    pub(super) key: String,
    pub(super) local: Option<LocalEntry>,
    pub(super) remote: Option<Entry>,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum PairStep {
    Pair(Pair),
    /// Something on the server that is left out.
    LeftOut(String),
    /// Something here that is left out.
    LeftHere(String),
    /// An unfinished download here.
    Part {
        key: String,
        path: PathBuf,
    },
    Omitted(Omitted),
}

/// The comparison's input. Blocks.
#[derive(Debug)]
pub(super) struct Pairs {
    walk: SyncWalk,
    listed: Listed,
    filter: Filter,
    /// Where the tree is here, for what is said about it.
    root: PathBuf,
    /// Whether what is on the server is to be made here.
    here: bool,
    local: Option<(String, LocalEntry)>,
    remote: Option<(String, Entry)>,
    /// The directories on the server from the root to the last entry, as prefixes of keys.
    open: Vec<String>,
    last: String,
}

impl Pairs {
    /// Compares what is in a local directory, or nothing yet if that is missing, with what is listed. With `may_write`,
    /// something may be made there for a moment to find out what the file system can hold.
    pub(super) fn new(
        path: &Path,
        root: Option<Arc<TreeRoot>>,
        listed: Listed,
        filter: &Filter,
        here: bool,
        may_write: bool,
    ) -> Self {
        Self {
            walk: SyncWalk::new(root, filter.clone(), may_write),
            listed,
            filter: filter.clone(),
            root: path.to_owned(),
            here,
            local: None,
            remote: None,
            open: Vec::new(),
            last: String::new(),
        }
    }

    /// The local root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the listing was not of one state of the tree. Known at the end.
    pub(super) fn is_torn(&self) -> bool {
        self.listed.is_torn()
    }

    /// Leaves out what is in the local directory of the last pair.
    pub(super) fn skip_local(&mut self) {
        self.walk.leave();
    }

    /// Leaves out what is in the server's directory of the last pair.
    pub(super) fn skip_remote(&mut self) {
        self.open.pop();
    }

    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// Fails when the listing does: nothing is known about what would have followed.
    pub(super) fn next(&mut self) -> Result<Option<PairStep>, TransferError> {
        if self.local.is_none() {
            match self.walk.next() {
                Some(Ok((key, NamedEntry::Entry(local)))) => self.local = Some((key, local)),
                Some(Ok((key, NamedEntry::LeftOut))) => return Ok(Some(PairStep::LeftHere(key))),
                Some(Ok((key, NamedEntry::Part(path)))) => return Ok(Some(PairStep::Part { key, path })),
                Some(Err(omitted)) => return Ok(Some(PairStep::Omitted(omitted))),
                None => {}
            }
        }
        while self.remote.is_none() {
            let Some(entry) = self.listed.next() else { break };
            if let Some(step) = self.take(entry?)? {
                return Ok(Some(step));
            }
        }
        let order = match (&self.local, &self.remote) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((local, _)), Some((remote, _))) => local.cmp(remote),
        };
        let local = if order.is_le() { self.local.take() } else { None };
        let remote = if order.is_ge() { self.remote.take() } else { None };
        let (local_key, local) = local.unzip();
        let (remote_key, remote) = remote.unzip();
        if let (Some(key), Some(Entry { kind: EntryKind::Directory, .. })) = (&remote_key, &remote) {
            self.open.push(format!("{key}\0"));
        }
        Ok(local_key.or(remote_key).map(|key| PairStep::Pair(Pair { key, local, remote })))
    }

    /// Takes an entry of the listing, which a hostile server may have written.
    fn take(&mut self, entry: Entry) -> Result<Option<PairStep>, TransferError> {
        let key = entry.name.split('/').map(name_key).collect::<Vec<_>>().join("\0");
        if key <= self.last {
            return Err(TransferError::Protocol("it lists entries that are out of order".into()));
        }
        self.last.clone_from(&key);
        let above = key.rfind('\0').map_or("", |end| &key[..=end]);
        while self.open.last().is_some_and(|open| !above.starts_with(open.as_str())) {
            self.open.pop();
        }
        // What is in a directory that was left out is left out, too.
        if self.open.last().map_or("", String::as_str) != above {
            return Ok(None);
        }
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        let path = self.root.join(&entry.name);
        let omitted =
            |error| Ok(Some(PairStep::Omitted(Omitted { path: path.clone(), error, in_tree: true })));
        if let Err(error) = check_name(name) {
            return omitted(TransferError::Protocol(format!(
                "it has an entry of an impossible name: {error}"
            )));
        }
        if self.filter.excludes(Path::new(&entry.name), entry.kind == EntryKind::Directory) {
            return Ok(Some(PairStep::LeftOut(key)));
        }
        if self.here && !fits(name, cfg!(windows)) {
            return omitted(TransferError::Unfit { path: path.clone(), unfit: Unfit::LocalName });
        }
        if entry.kind != EntryKind::Space {
            self.remote = Some((key, entry));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::listing;
    use super::*;

    fn entry(name: &str, kind: EntryKind) -> Entry {
        let (name, target) = (name.to_owned(), None);
        Entry { name, kind, size: 0, mtime: 0, executable: false, sha256: None, target, by: None, etag: None }
    }

    /// What comes of a listing and the local files `here`, as `L`, `R` or both, and the path.
    fn pairs(here: &[&str], listing: Vec<Entry>, filter: &Filter) -> Result<Vec<String>, TransferError> {
        let directory = tempfile::tempdir().unwrap();
        for file in here {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let listed = listing::listed(listing);
        let root = Arc::new(TreeRoot::open(directory.path()).unwrap());
        let mut pairs = Pairs::new(directory.path(), Some(root), listed, filter, true, true);
        let mut found = Vec::new();
        while let Some(step) = pairs.next()? {
            found.push(match step {
                PairStep::Pair(Pair { key, local, remote }) => {
                    let (local, remote) = (local.map_or("", |_| "L"), remote.map_or("", |_| "R"));
                    format!("{local}{remote} {}", key.replace('\0', "/"))
                }
                PairStep::LeftHere(key) => format!("here out {}", key.replace('\0', "/")),
                PairStep::Part { key, .. } => format!("part {}", key.replace('\0', "/")),
                PairStep::LeftOut(key) => format!("out {}", key.replace('\0', "/")),
                PairStep::Omitted(omitted) => format!("omitted {}", omitted.error),
            });
        }
        Ok(found)
    }

    #[test]
    fn both_sides_come_in_one_order() {
        use EntryKind::{Directory, File};
        let listing = vec![
            entry("a", Directory),
            entry("a/b", Directory),
            entry("a/b/x", File),
            entry("a/\u{e9}", File),
            entry("a b", File),
            entry("a-b", File),
            entry("c", File),
        ];
        // A slash sorts below everything, and spellings of one name are one name.
        let here = ["a/b/y", "a/e\u{301}", "a-b", "a.b", "c/d"];
        let found = pairs(&here, listing, &Filter::none()).unwrap();
        assert_eq!(
            found,
            [
                "LR a",
                "LR a/b",
                "R a/b/x",
                "L a/b/y",
                "LR a/\u{e9}",
                "R a b",
                "LR a-b",
                "L a.b",
                "LR c",
                "L c/d"
            ]
        );
        let filter = Filter::new(["b", "*.b"]).unwrap();
        let listing =
            vec![entry("a", Directory), entry("a/b", Directory), entry("a/b/x", File), entry("c", File)];
        let found = pairs(&here, listing, &filter).unwrap();
        // What is left out is told as soon as it is known.
        assert_eq!(
            found,
            ["LR a", "here out a/b", "out a/b", "L a/\u{e9}", "L a-b", "here out a.b", "LR c", "L c/d"]
        );
    }

    #[test]
    fn a_hostile_listing_names_nothing_else() {
        use EntryKind::{Directory, File, Link};
        let listing = vec![
            entry("..", Directory),
            entry("../x", File),
            entry("a\u{1}", File),
            entry("link", Link),
            entry("link/x", File),
            entry("none/x", File),
        ];
        let found = pairs(&[], listing, &Filter::none()).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[..2].iter().all(|found| found.starts_with("omitted ")), "{found:?}");
        assert_eq!(found[2], "R link");
        for listing in [["b", "a"], ["a", "a"], ["e\u{301}", "\u{e9}"]] {
            let listing = listing.iter().map(|name| entry(name, File)).collect();
            assert!(matches!(pairs(&[], listing, &Filter::none()), Err(TransferError::Protocol(_))));
        }
        assert!(matches!(
            pairs(&[], vec![entry("", File)], &Filter::none()),
            Err(TransferError::Protocol(_))
        ));
    }
}
