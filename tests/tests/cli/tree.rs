//! Moving, copying and deleting on the server.

use insta::assert_snapshot;
use sealift_tests::{Computer, Pattern};

use crate::{KIB, alice};

async fn store(computer: &Computer, files: &[&str]) {
    for file in files {
        computer.call(["put", "-", file]).input(*file).run().await.ok();
    }
}

async fn tree(computer: &Computer) -> String {
    let ran = computer.run(["ls", "-R"]).await.ok();
    ran.text().lines().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn files_and_directories_move() {
    let (_world, alice) = alice().await;
    store(&alice, &["a", "d/b", "d/e/c"]).await;
    for (from, to, after) in [
        ("a", "x", "d/ d/b d/e/ d/e/c x"),
        ("x", "d", "d/ d/b d/e/ d/e/c d/x"),
        ("d/x", "d/e/", "d/ d/b d/e/ d/e/c d/e/x"),
        ("d/e", "new/place", "d/ d/b new/ new/place/ new/place/c new/place/x"),
        ("new/place/x", "new/place/c", "d/ d/b new/ new/place/ new/place/c"),
        ("/alice/d/b", "./b", "b d/ new/ new/place/ new/place/c"),
    ] {
        assert_eq!(alice.run(["mv", from, to]).await.ok().shown(), "exit 0", "{from} {to}");
        assert_eq!(tree(&alice).await, after, "{from} {to}");
    }
    assert_eq!(alice.run(["get", "new/place/c", "-"]).await.ok().text(), "a", "replaced by what was moved");
}

#[tokio::test]
async fn files_are_copied_without_moving_their_contents() {
    let (world, alice) = alice().await;
    let content = Pattern::new(1, 200 * KIB).whole();
    alice.call(["put", "-", "a"]).input(content.clone()).run().await.ok();
    store(&alice, &["d/b"]).await;
    for (to, file) in [("copy", "copy"), ("d", "d/a"), ("d/b", "d/b"), ("new/dir/a", "new/dir/a")] {
        assert_eq!(alice.run(["cp", "a", to]).await.ok().shown(), "exit 0");
        assert!(alice.run(["get", file, "-"]).await.ok().stdout == content, "{to}");
    }
    assert_eq!(world.store().blobs().len(), 1);
    alice.run(["rm", "a", "copy", "d/a", "d/b"]).await.ok();
    assert!(alice.run(["get", "new/dir/a", "-"]).await.ok().stdout == content, "the last name keeps it");
}

#[tokio::test]
async fn what_cannot_be_moved_or_copied_is_refused() {
    let (_world, alice) = alice().await;
    store(&alice, &["a", "d/b"]).await;
    for (line, code, words) in [
        (["mv", "missing", "x"], 3, "/alice/missing does not exist: `sealift ls /alice` shows what does"),
        (["cp", "missing", "x"], 3, "/alice/missing does not exist: `sealift ls /alice` shows what does"),
        (["mv", "a", "x/"], 3, "/alice/x is no directory on the server: to give a new name, leave out"),
        (["cp", "a", "x/"], 3, "/alice/x is no directory on the server: to give a new name, leave out"),
        (["mv", "d", "a"], 1, "/alice/a exists already: delete it first or choose another name"),
        (["cp", "d", "a"], 1, "/alice/a exists already: delete it first or choose another name"),
        (["cp", "d", "d"], 1, "/alice/d cannot be copied into itself"),
        (["cp", "a", "a/b"], 1, "/alice/a is a file, so nothing can be inside it: choose another path"),
        (["mv", "a", "/bob/a"], 4, "you have no right to create or replace in the space /bob"),
        (["cp", "a", "/bob/a"], 4, "you have no right to create or replace in the space /bob"),
        (["mv", "/bob/a", "a"], 4, "in the space /bob"),
        (["cp", "/bob/a", "a"], 4, "you have no right to read in the space /bob"),
    ] {
        let ran = alice.run(line).await.refused(code);
        assert!(ran.stderr.contains(words), "{line:?}: {ran:?}");
    }
    assert_eq!(tree(&alice).await, "a d/ d/b");
}

#[tokio::test]
async fn what_can_never_be_moved_says_what_could_be() {
    let (_world, alice) = alice().await;
    store(&alice, &["a", "d/b"]).await;
    for (line, words) in [
        (["mv", "d", "d/e"], "/alice/d cannot be moved into itself"),
        (["mv", "/alice", "/alice/x"], "/alice is a whole space and cannot be moved"),
    ] {
        assert!(alice.run(line).await.refused(1).stderr.contains(words));
    }
}

#[tokio::test]
async fn several_are_deleted_at_once() {
    let (world, alice) = alice().await;
    store(&alice, &["a", "b", "c", "d/e"]).await;
    assert_eq!(alice.run(["rm", "a"]).await.ok().shown(), "removed 1 entry\nexit 0");
    assert_snapshot!(alice.run(["rm", "b", "missing", "c"]).await.shown(), @r#"
    sealift: /alice/missing does not exist: `sealift ls /alice` shows what does
    removed 2 entries
    exit 8
    "#);
    assert_eq!(tree(&alice).await, "d/ d/e");
    assert_snapshot!(alice.run(["rm", "x", "y"]).await.shown(), @r#"
    sealift: /alice/x does not exist: `sealift ls /alice` shows what does
    sealift: /alice/y does not exist: `sealift ls /alice` shows what does
    exit 3
    "#);
    assert_snapshot!(alice.run(["rm", "x", "d"]).await.shown(), @r#"
    sealift: /alice/x does not exist: `sealift ls /alice` shows what does
    sealift: /alice/d is a directory that is not empty: delete what is in it first, or all of it with `sealift rm -r`
    exit 1
    "#);
    alice.run(["rm", "d/e", "d/"]).await.ok();
    assert_eq!(tree(&alice).await, "");
    alice.run(["rm", "/alice"]).await.refused(1);
    world.store().settled().await;
}

#[tokio::test]
async fn hundreds_are_deleted_at_once() {
    let (world, alice) = alice().await;
    let names: Vec<_> =
        (0..400).map(|number| format!("a-file-with-a-name-of-some-length-{number}")).collect();
    for name in &names {
        alice.write(name, name);
    }
    let all = || names.iter().map(String::as_str);
    alice.run(["put"].into_iter().chain(all()).chain(["./"])).await.ok();
    let removed = alice.run(["--json", "rm"].into_iter().chain(all())).await.ok();
    assert_eq!(removed.objects().len(), 400);
    assert_eq!(world.store().count("entries"), 0);
}
