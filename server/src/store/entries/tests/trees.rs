use super::*;

#[test]
fn a_tree_is_deleted_with_its_contents_and_nothing_else() {
    let tree = Tree::new();
    for path in ["d/one", "d/two", "d/s/one", "d/s/t/deep", "dd", "e/d/one"] {
        tree.put(path, path.rsplit('/').next().unwrap()).unwrap();
    }
    tree.ln("d/s/link", "/e").unwrap();
    tree.mkdir("d/empty", None).unwrap();
    assert_eq!(code(tree.rm("d")), ErrorCode::IsADirectory);
    assert_eq!(code(tree.rm_all("")), ErrorCode::IsADirectory);
    assert_eq!(code(tree.rm_all("nothing")), ErrorCode::NotFound);
    tree.rm_all("d").unwrap();
    assert_eq!(tree.all("alice", ""), ["dd 2", "e/", "e/d/", "e/d/one 3"]);
    assert_eq!(tree.read("alice", "e/d/one").as_deref(), Some("one"), "shared with what was deleted");
    assert_eq!((count(&tree.connection, "objects"), count(&tree.connection, "contents")), (2, 2));
    tree.rm_all("e").unwrap();
    tree.rm_all("dd").unwrap();
    assert_eq!((count(&tree.connection, "entries"), count(&tree.connection, "objects")), (0, 0));
}

#[test]
fn a_copied_tree_is_equal_and_independent() {
    let tree = Tree::new();
    for path in ["d/one", "d/s/two", "d/s/t/three"] {
        tree.put(path, path).unwrap();
    }
    tree.ln("d/s/link", "../one").unwrap();
    tree.mkdir("d/s/empty", Some(-3)).unwrap();
    let original = tree.all("alice", "d");
    assert_eq!(tree.cp("d", "alice", "new/copy").unwrap(), names("new/copy"));
    assert_eq!(tree.cp("d", "alice", "new").unwrap(), names("new/d"));
    assert_eq!(tree.cp("d", "shared", "").unwrap(), names("d"));
    for (space, path) in [("alice", "d"), ("alice", "new/copy"), ("alice", "new/d"), ("shared", "d")] {
        assert_eq!(tree.all(space, path), original, "/{space}/{path}");
    }
    let entries = |path: &str| {
        let pages = tree.pages("alice", path, true, u64::MAX);
        pages.into_iter().flatten().map(|entry| (entry.name, entry.mtime)).collect::<Vec<_>>()
    };
    assert_eq!(entries("d"), entries("new/d"), "times are copied, too");
    assert_eq!(count(&tree.connection, "objects"), 3);
    tree.put("new/d/one", "changed").unwrap();
    tree.rm_all("d").unwrap();
    assert_eq!(tree.all("alice", "new/copy"), original);
    assert_eq!(tree.all("shared", "d"), original);
    assert_eq!(tree.read("alice", "new/copy/s/t/three").as_deref(), Some("d/s/t/three"));
    tree.rm_all("new").unwrap();
    assert_eq!((tree.all("alice", "").len(), count(&tree.connection, "objects")), (0, 3));
}

#[test]
fn copies_of_directories_that_cannot_be_are_refused() {
    let tree = Tree::new();
    for path in ["d/f", "e/d/x", "file"] {
        tree.put(path, path).unwrap();
    }
    let before = tree.all("alice", "");
    for (from, to, expected) in [
        ("d", "d", ErrorCode::Exists),
        ("d", "d/s/deeper", ErrorCode::Exists),
        ("e", "e/d", ErrorCode::Exists),
        ("d", "e", ErrorCode::Exists),
        ("d", "", ErrorCode::Exists),
        ("d", "file", ErrorCode::Exists),
        ("d", "file/below", ErrorCode::NotADirectory),
        ("", "x", ErrorCode::IsADirectory),
        ("gone", "x", ErrorCode::NotFound),
    ] {
        assert_eq!(code(tree.cp(from, "alice", to)), expected, "cp {from} {to}");
    }
    assert_eq!(tree.all("alice", ""), before);
}

/// Sums of old row numbers would double with every copy.
#[test]
fn a_directory_can_be_copied_a_hundred_times() {
    let tree = Tree::new();
    tree.put("d/0/f", "x").unwrap();
    for round in 0..100 {
        tree.cp("d/0", "alice", &format!("d/c{round}")).unwrap();
        tree.put(&format!("d/0/f{round}"), "x").unwrap();
        tree.rm_all(&format!("d/c{round}")).unwrap();
    }
    assert_eq!(tree.all("alice", "d/0").len(), 101);
}

#[test]
fn no_copy_and_no_move_makes_a_path_that_nobody_could_write() {
    let tree = Tree::new();
    let deep = vec!["x".repeat(250); 16].join("/");
    tree.ln(&format!("d/{deep}"), "here").unwrap();
    let room = 4096 - "/shared/".len() - "/".len() - deep.len();
    assert_eq!(tree.cp("d", "shared", &"y".repeat(room)).unwrap().len(), 1);
    assert_eq!(code(tree.cp("d", "shared", &"z".repeat(room + 1))), ErrorCode::NameNotAllowed);
    assert_eq!(code(tree.mv("d", "shared", &"z".repeat(room + 1))), ErrorCode::NameNotAllowed);
    tree.mv("d", "shared", &"w".repeat(room)).unwrap();
    assert_eq!(tree.all("shared", &"w".repeat(room)), tree.all("shared", &"y".repeat(room)));
    assert_eq!(tree.all("shared", &"w".repeat(room)).len(), 16);
}

#[test]
fn trees_with_links_move_between_spaces() {
    let tree = Tree::new();
    tree.put("d/s/f", "x").unwrap();
    tree.ln("d/s/l", "f").unwrap();
    let before = tree.all("alice", "d");
    tree.mv("d", "shared", "there").unwrap();
    assert_eq!((tree.all("shared", "there"), tree.all("alice", "").len()), (before, 0));
}
