mod listing;
mod slices;
mod trees;

use sealift_types::ErrorCode;

use super::unlinked::CopiesInProgress;
use super::*;
use crate::error::ServerError;
use crate::policy::Access;
use crate::store::extent::SmallContent;
use crate::store::{Blobs, identities, objects, schema, spaces};

struct Tree {
    connection: Connection,
    identity: i64,
    now: i64,
    building: CopiesInProgress,
    blobs: Blobs,
    _dir: tempfile::TempDir,
}

fn names(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("incoming")).unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
        let identity = identities::ensure(&connection, &"alice".parse().unwrap(), 1).unwrap();
        spaces::add(&connection, &"alice".parse().unwrap(), Some(identity), 1).unwrap();
        spaces::add(&connection, &"shared".parse().unwrap(), Some(identity), 1).unwrap();
        Self { connection, identity, now: 2, building: CopiesInProgress::default(), blobs, _dir: dir }
    }

    fn access(&self, space: &str) -> Access {
        spaces::access(&self.connection, self.identity, &space.parse().unwrap()).unwrap()
    }

    fn permit(&self, space: &str) -> Permit {
        self.access(space).permit(Rights::ALL).unwrap()
    }

    fn put(&self, path: &str, content: &str) -> Result<()> {
        let object = objects::keep_inline(
            &self.connection,
            &self.blobs,
            SmallContent {
                by: self.identity,
                digest: &Digest::of(content.as_bytes()),
                data: content.as_bytes(),
            },
        )?;
        let file = NewEntry { mtime: 7, executable: false, by: self.identity, now: self.now };
        let permit = self.permit("alice");
        EntrySlot::find(&self.connection, &permit, &names(path))?.store(&self.connection, object, &file)
    }

    fn check(&self, path: &str) -> Result<()> {
        EntrySlot::find(&self.connection, &self.permit("alice"), &names(path)).map(drop)
    }

    fn file(&self) -> NewEntry {
        NewEntry { mtime: 7, executable: false, by: self.identity, now: self.now }
    }

    fn read(&self, space: &str, path: &str) -> Option<String> {
        match find(&self.connection, &self.permit(space), &names(path)).ok()? {
            EntryPlace::File(_, file) => match objects::bytes(&self.connection, file.object).unwrap() {
                objects::ContentBytes::Inline(data) => Some(String::from_utf8(data).unwrap()),
                objects::ContentBytes::Extents(_) => None,
            },
            _ => None,
        }
    }

    fn rm(&self, path: &str) -> Result<()> {
        remove(&self.connection, &self.permit("alice"), &names(path), false)
    }

    fn rm_all(&self, path: &str) -> Result<()> {
        remove(&self.connection, &self.permit("alice"), &names(path), true)
    }

    fn ln(&self, path: &str, target: &str) -> Result<()> {
        link(&self.connection, &self.permit("alice"), &names(path), target, &self.file())
    }

    fn mkdir(&self, path: &str, mtime: Option<i64>) -> Result<()> {
        make_directory(&self.connection, &self.permit("alice"), &names(path), mtime, &self.file())
    }

    fn cp(&self, from: &str, space: &str, to: &str) -> Result<Vec<String>> {
        let (source, target) = (self.permit("alice"), self.permit(space));
        let (from, to) = (names(from), names(to));
        let (from, to) = ((&source, &from[..]), (&target, &to[..]));
        match copy(&self.connection, from, to, self.identity, 9)? {
            TreeCopied::Done(names) => Ok(names),
            TreeCopied::Large => {
                let mut copying =
                    TreeCopy::begin(&self.connection, &self.building, from, to, self.identity, 9)?;
                while copying.go_on(&self.connection, from, &mut WorkSlice::of(7))? == CopyProgress::Growing {
                }
                copying.link(&self.connection, from, to)
            }
        }
    }

    /// A line for everything below a directory: names, and what there is.
    fn all(&self, space: &str, path: &str) -> Vec<String> {
        self.pages(space, path, true, u64::MAX).into_iter().flatten().map(|entry| line(&entry)).collect()
    }

    /// A whole listing in pages of at most `limit`, each asked for by the last name of the one before.
    fn pages(&self, space: &str, path: &str, recursive: bool, limit: u64) -> Vec<Vec<Entry>> {
        let permit = self.permit(space);
        let (mut pages, mut after) = (Vec::new(), String::new());
        loop {
            let directory = find(&self.connection, &permit, &names(path)).unwrap();
            let mut page = EntryPage::new(limit);
            list(&self.connection, &permit, &directory, recursive, &after, &mut page).unwrap();
            let (entries, _) = page.finish();
            let Some(last) = entries.last() else { return pages };
            after.clone_from(&last.name);
            pages.push(entries);
        }
    }

    fn mv(&self, from: &str, space: &str, to: &str) -> Result<Vec<String>> {
        let (source, target) = (self.permit("alice"), self.permit(space));
        let (from, to) = (names(from), names(to));
        let mut measured = None;
        loop {
            let (from, to) = ((&source, &from[..]), (&target, &to[..]));
            match rename(&self.connection, from, to, &self.file(), measured)? {
                TreeMoved::Done(names) => return Ok(names),
                TreeMoved::Unmeasured(mut measure) => {
                    while measured.is_none() {
                        measured = measure.go_on(&self.connection, &mut WorkSlice::of(7))?;
                    }
                }
            }
        }
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    match result.unwrap_err() {
        ServerError::Refused(error) => error.code,
        other => panic!("{other}"),
    }
}

#[test]
fn files_and_directories_do_not_take_each_others_place() {
    let tree = Tree::new();
    tree.put("a/b", "x").unwrap();
    assert_eq!(code(tree.put("a", "x")), ErrorCode::IsADirectory);
    assert_eq!(code(tree.put("a/b/c", "x")), ErrorCode::NotADirectory);
    assert_eq!(code(tree.check("a")), ErrorCode::IsADirectory);
    assert_eq!(code(tree.check("a/b/c")), ErrorCode::NotADirectory);
    assert_eq!(code(tree.check("")), ErrorCode::IsADirectory);
    assert!(tree.check("a/new/c").is_ok());
}

#[test]
fn the_last_name_takes_the_content_with_it() {
    let tree = Tree::new();
    tree.put("one", "same").unwrap();
    tree.put("two", "same").unwrap();
    assert_eq!(count(&tree.connection, "objects"), 1);
    tree.rm("one").unwrap();
    assert_eq!(tree.read("alice", "two").as_deref(), Some("same"));
    tree.put("two", "other").unwrap();
    assert_eq!((count(&tree.connection, "objects"), count(&tree.connection, "contents")), (1, 1));
    tree.rm("two").unwrap();
    assert_eq!((count(&tree.connection, "objects"), count(&tree.connection, "contents")), (0, 0));
    assert_eq!(code(tree.rm("two")), ErrorCode::NotFound);
}

#[test]
fn a_blob_becomes_garbage_with_its_last_object_and_comes_back_with_the_next() {
    let tree = Tree::new();
    let digest = Digest::of(b"big");
    let keep = || objects::keep_blob(&tree.connection, &digest, 3).unwrap();
    let permit = tree.permit("alice");
    let store = |name: &str| {
        let names = names(name);
        let slot = EntrySlot::find(&tree.connection, &permit, &names).unwrap();
        slot.store(&tree.connection, keep(), &tree.file()).unwrap();
    };
    store("big");
    assert!(objects::size_within_reach(&tree.connection, tree.identity, 3).unwrap());
    assert!(objects::within_reach(&tree.connection, tree.identity, &digest, 3).unwrap().is_some());
    assert!(!objects::size_within_reach(&tree.connection, tree.identity + 1, 3).unwrap());
    assert!(objects::within_reach(&tree.connection, tree.identity + 1, &digest, 3).unwrap().is_none());
    tree.rm("big").unwrap();
    assert_eq!((count(&tree.connection, "blobs"), count(&tree.connection, "garbage")), (0, 1));
    store("again");
    assert_eq!((count(&tree.connection, "blobs"), count(&tree.connection, "garbage")), (1, 0));
}

#[test]
fn moves_follow_the_rules_of_mv() {
    let tree = Tree::new();
    tree.put("d/f", "1").unwrap();
    tree.put("e/g", "2").unwrap();
    assert_eq!(tree.mv("d/f", "alice", "e").unwrap(), names("e/f"));
    assert_eq!(tree.mv("e/f", "alice", "e/g").unwrap(), names("e/g"));
    assert_eq!(tree.read("alice", "e/g").as_deref(), Some("1"));
    assert_eq!(count(&tree.connection, "objects"), 1, "what was replaced is released");
    assert_eq!(tree.mv("e", "alice", "new/place").unwrap(), names("new/place"));
    assert_eq!(tree.read("alice", "new/place/g").as_deref(), Some("1"));
    assert_eq!(code(tree.mv("new", "alice", "new/place/deeper")), ErrorCode::Exists);
    assert_eq!(code(tree.mv("gone", "alice", "x")), ErrorCode::NotFound);
    assert_eq!(tree.mv("new", "shared", "n").unwrap(), names("n"));
    assert_eq!(tree.read("shared", "n/place/g").as_deref(), Some("1"));
    assert_eq!(tree.read("alice", "new/place/g"), None);
}

#[test]
fn one_name_in_two_normal_forms_is_one_file() {
    let tree = Tree::new();
    tree.put("caf\u{e9}", "1").unwrap();
    tree.put("cafe\u{301}", "2").unwrap();
    assert_eq!(tree.read("alice", "caf\u{e9}").as_deref(), Some("2"));
    assert_eq!(count(&tree.connection, "entries"), 1);
    tree.mv("caf\u{e9}", "alice", "cafe\u{301}").unwrap();
    assert_eq!(count(&tree.connection, "entries"), 1);
}

fn line(entry: &Entry) -> String {
    match entry.kind {
        EntryKind::Link => format!("{} -> {}", entry.name, entry.target.as_ref().unwrap()),
        EntryKind::Directory => format!("{}/", entry.name),
        _ => format!("{} {}", entry.name, entry.size),
    }
}

#[test]
fn links_are_leaves_that_nothing_follows() {
    let tree = Tree::new();
    tree.put("d/f", "x").unwrap();
    tree.ln("d/l", "f").unwrap();
    tree.ln("way", "d").unwrap();
    for path in ["way/f", "way/new/deeper", "d/l/x"] {
        assert_eq!(code(tree.put(path, "x")), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(tree.ln(path, "x")), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(tree.mkdir(path, None)), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(tree.rm(path)), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(tree.mv(path, "alice", "x")), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(tree.mv("d/f", "alice", path)), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(tree.cp(path, "alice", "x")), ErrorCode::NotADirectory, "{path}");
        let refused = find(&tree.connection, &tree.permit("alice"), &names(path)).unwrap_err();
        assert!(refused.to_string().contains("symbolic link"), "{refused}");
        assert!(tree.check(path).is_err(), "{path}");
    }
    assert_eq!(code(tree.mkdir("way", Some(1))), ErrorCode::NotADirectory);
    assert_eq!(code(tree.ln("d", "x")), ErrorCode::IsADirectory);
    assert_eq!(code(tree.ln("", "x")), ErrorCode::IsADirectory);
    assert_eq!(tree.all("alice", ""), ["d/", "d/f 1", "d/l -> f", "way -> d"]);
}

#[test]
fn links_and_files_replace_each_other() {
    let tree = Tree::new();
    tree.put("a", "content").unwrap();
    tree.ln("a", "one").unwrap();
    assert_eq!((count(&tree.connection, "objects"), count(&tree.connection, "contents")), (0, 0));
    tree.ln("a", "two").unwrap();
    assert_eq!(tree.all("alice", ""), ["a -> two"]);
    assert!(tree.check("a").is_ok());
    tree.put("a", "content").unwrap();
    assert_eq!(tree.all("alice", ""), ["a 7"]);
    tree.ln("l", "there").unwrap();
    tree.mv("l", "alice", "a").unwrap();
    assert_eq!((tree.all("alice", ""), count(&tree.connection, "objects")), (vec!["a -> there".into()], 0));
    tree.put("b", "content").unwrap();
    tree.mv("b", "alice", "a").unwrap();
    tree.ln("l", "there").unwrap();
    tree.cp("l", "alice", "a").unwrap();
    assert_eq!(tree.all("alice", ""), ["a -> there", "l -> there"]);
    assert_eq!(count(&tree.connection, "objects"), 0);
    tree.cp("l", "alice", "l").unwrap();
    tree.rm("l").unwrap();
    tree.rm_all("a").unwrap();
    assert_eq!(count(&tree.connection, "entries"), 0);
}

#[test]
fn directories_are_made_once_and_get_a_new_time() {
    let tree = Tree::new();
    let mtime = |path: &str| find(&tree.connection, &tree.permit("alice"), &names(path)).unwrap();
    tree.mkdir("a/b", Some(-5)).unwrap();
    assert_eq!(mtime("a").node().unwrap().mtime, tree.now, "not the time of what is in it");
    assert_eq!(mtime("a/b").node().unwrap().mtime, -5);
    tree.mkdir("a/b", None).unwrap();
    assert_eq!(mtime("a/b").node().unwrap().mtime, -5);
    tree.mkdir("a/b", Some(8)).unwrap();
    tree.mkdir("a", Some(9)).unwrap();
    tree.mkdir("c", None).unwrap();
    assert_eq!(mtime("a").node().unwrap().mtime, 9);
    assert_eq!(mtime("a/b").node().unwrap().mtime, 8);
    assert_eq!(mtime("c").node().unwrap().mtime, tree.now);
    tree.mkdir("", Some(1)).unwrap();
    tree.put("a/f", "x").unwrap();
    assert_eq!(code(tree.mkdir("a/f", None)), ErrorCode::NotADirectory);
    assert_eq!(code(tree.mkdir("a/f/g", None)), ErrorCode::NotADirectory);
    assert_eq!(tree.all("alice", ""), ["a/", "a/b/", "a/f 1", "c/"]);
}

/// What each right is good for, on what is there and on what is not.
#[test]
fn rights() {
    let tree = Tree::new();
    tree.put("d/file", "x").unwrap();
    tree.ln("d/link", "x").unwrap();
    let connection = &tree.connection;
    let all = [Rights::READ, Rights::CREATE, Rights::REPLACE, Rights::DELETE];
    for rights in (0..=15).map(Rights::from_bits) {
        let permit = match tree.access("alice").permit(rights) {
            Ok(permit) => permit,
            Err(_) if rights == Rights::NONE => continue,
            Err(error) => panic!("{error}"),
        };
        let tried = |needed: Rights, what: &str, work: &dyn Fn() -> Result<()>| {
            connection.execute_batch("SAVEPOINT attempt").unwrap();
            let result = work();
            connection.execute_batch("ROLLBACK TO attempt; RELEASE attempt").unwrap();
            match result {
                Ok(()) => assert!(rights.contains(needed), "{what} with {:?}", rights.names()),
                refused => {
                    assert_eq!(code(refused), ErrorCode::NotAllowed, "{what}");
                    assert!(!rights.contains(needed), "{what} with {:?}", rights.names());
                }
            }
        };
        let [read, create, replace, delete] = all;
        let file = tree.file();
        tried(create, "make", &|| make_directory(connection, &permit, &names("d/new"), None, &file));
        tried(create, "make below", &|| make_directory(connection, &permit, &names("n/n"), Some(1), &file));
        tried(create, "link", &|| link(connection, &permit, &names("d/new"), "x", &file));
        tried(create, "link below", &|| link(connection, &permit, &names("n/n"), "x", &file));
        tried(replace, "link over a file", &|| link(connection, &permit, &names("d/file"), "x", &file));
        tried(replace, "link over a link", &|| link(connection, &permit, &names("d/link"), "x", &file));
        tried(delete, "remove", &|| remove(connection, &permit, &names("d/link"), false));
        tried(delete, "remove all", &|| remove(connection, &permit, &names("d"), true));
        let copied = |from: &str, to: &str| {
            let (from, to) = (names(from), names(to));
            copy(connection, (&permit, &from), (&permit, &to), 1, 1).map(drop)
        };
        tried(read.union(create), "copy a directory", &|| copied("d", "e"));
        tried(read.union(create), "copy a link", &|| copied("d/link", "e"));
        tried(read.union(replace), "copy a link over a file", &|| copied("d/link", "d/file"));
    }
    assert_eq!(tree.all("alice", ""), ["d/", "d/file 1", "d/link -> x"]);
}
