use super::*;
use crate::policy::Access;
use crate::store::{identities, schema, spaces};

struct Tree {
    connection: Connection,
    identity: i64,
    now: i64,
    _dir: tempfile::TempDir,
}

fn names(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
        let identity = identities::ensure(&connection, &"alice".parse().unwrap(), 1).unwrap();
        spaces::add(&connection, &"alice".parse().unwrap(), Some(identity), 1).unwrap();
        spaces::add(&connection, &"shared".parse().unwrap(), Some(identity), 1).unwrap();
        Self { connection, identity, now: 2, _dir: dir }
    }

    fn access(&self, space: &str) -> Access {
        spaces::access(&self.connection, self.identity, &space.parse().unwrap()).unwrap()
    }

    fn permit(&self, space: &str) -> Permit {
        self.access(space).permit(Rights::ALL).unwrap()
    }

    fn put(&self, path: &str, content: &str) -> Result<()> {
        let object =
            objects::keep_inline(&self.connection, &Digest::of(content.as_bytes()), content.as_bytes())?;
        let file = NewFile { mtime: 7, executable: false, by: self.identity, now: self.now };
        store(&self.connection, &self.permit("alice"), &names(path), object, &file)
    }

    fn file(&self) -> NewFile {
        NewFile { mtime: 7, executable: false, by: self.identity, now: self.now }
    }

    fn read(&self, space: &str, path: &str) -> Option<String> {
        match find(&self.connection, &self.permit(space), &names(path)).ok()? {
            Place::File(_, file) => match objects::bytes(&self.connection, file.object).unwrap() {
                objects::Bytes::Inline(data) => Some(String::from_utf8(data).unwrap()),
                objects::Bytes::Extents(_) => None,
            },
            _ => None,
        }
    }

    fn mv(&self, from: &str, space: &str, to: &str) -> Result<Vec<String>> {
        let (source, target) = (self.permit("alice"), self.permit(space));
        rename(&self.connection, (&source, &names(from)), (&target, &names(to)), &self.file())
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    match result.unwrap_err() {
        Error::Refused(error) => error.code,
        other => panic!("{other}"),
    }
}

#[test]
fn files_and_directories_do_not_take_each_others_place() {
    let tree = Tree::new();
    tree.put("a/b", "x").unwrap();
    assert_eq!(code(tree.put("a", "x")), ErrorCode::IsADirectory);
    assert_eq!(code(tree.put("a/b/c", "x")), ErrorCode::NotADirectory);
    assert_eq!(code(check(&tree.connection, &tree.permit("alice"), &names("a"))), ErrorCode::IsADirectory);
    assert_eq!(
        code(check(&tree.connection, &tree.permit("alice"), &names("a/b/c"))),
        ErrorCode::NotADirectory
    );
    assert_eq!(code(check(&tree.connection, &tree.permit("alice"), &[])), ErrorCode::IsADirectory);
    assert!(check(&tree.connection, &tree.permit("alice"), &names("a/new/c")).is_ok());
}

#[test]
fn the_last_name_takes_the_content_with_it() {
    let tree = Tree::new();
    tree.put("one", "same").unwrap();
    tree.put("two", "same").unwrap();
    assert_eq!(count(&tree.connection, "objects"), 1);
    remove(&tree.connection, &tree.permit("alice"), &names("one")).unwrap();
    assert_eq!(tree.read("alice", "two").as_deref(), Some("same"));
    tree.put("two", "other").unwrap();
    assert_eq!((count(&tree.connection, "objects"), count(&tree.connection, "contents")), (1, 1));
    remove(&tree.connection, &tree.permit("alice"), &names("two")).unwrap();
    assert_eq!((count(&tree.connection, "objects"), count(&tree.connection, "contents")), (0, 0));
    assert_eq!(code(remove(&tree.connection, &tree.permit("alice"), &names("two"))), ErrorCode::NotFound);
}

#[test]
fn a_blob_becomes_garbage_with_its_last_object_and_comes_back_with_the_next() {
    let tree = Tree::new();
    let digest = Digest::of(b"big");
    let keep = || objects::keep_blob(&tree.connection, &digest, 3).unwrap();
    let permit = tree.permit("alice");
    store(&tree.connection, &permit, &names("big"), keep(), &tree.file()).unwrap();
    assert!(objects::size_within_reach(&tree.connection, tree.identity, 3).unwrap());
    assert!(objects::within_reach(&tree.connection, tree.identity, &digest, 3).unwrap().is_some());
    assert!(!objects::size_within_reach(&tree.connection, tree.identity + 1, 3).unwrap());
    assert!(objects::within_reach(&tree.connection, tree.identity + 1, &digest, 3).unwrap().is_none());
    remove(&tree.connection, &permit, &names("big")).unwrap();
    assert_eq!((count(&tree.connection, "blobs"), count(&tree.connection, "garbage")), (0, 1));
    store(&tree.connection, &permit, &names("again"), keep(), &tree.file()).unwrap();
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

#[test]
fn a_listing_pages_without_gaps() {
    let tree = Tree::new();
    let all: Vec<String> = (0..25).map(|i| format!("f{i:02}")).collect();
    for name in &all {
        tree.put(name, name).unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&tree.connection, &tree.permit("alice"), &Place::Root, &after, 5).unwrap();
        seen.extend(page.into_iter().map(|entry| entry.name));
        match next {
            Some(key) => after = key,
            None => break,
        }
    }
    assert_eq!(seen, all);
}
