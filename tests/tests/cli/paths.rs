//! Paths that lead nowhere, or to something else: each sentence names the mend.

use insta::assert_snapshot;
use sealift_tests::Pattern;
use sealift_types::Rights;

use crate::redaction::redacted;
use crate::{KIB, alice};

#[tokio::test]
async fn there_is_no_such_path() {
    let (world, alice) = alice().await;
    assert_snapshot!(alice.run(["get", "docs/missing"]).await.shown(), @r#"
    sealift: /alice/docs/missing does not exist: `sealift ls /alice/docs` shows what does
    exit 3
    "#);
    assert_snapshot!(alice.run(["ls", "missing"]).await.shown(), @r#"
    sealift: /alice/missing does not exist: `sealift ls /alice` shows what does
    exit 3
    "#);
    assert_snapshot!(alice.run(["info", "missing"]).await.shown(), @r#"
    sealift: /alice/missing does not exist: `sealift ls /alice` shows what does
    exit 3
    "#);
    assert_eq!(alice.files(), [""; 0]);
    for line in
        [&["rm", "missing"][..], &["mv", "missing", "x"], &["cp", "missing", "x"], &["get", "missing", "-"]]
    {
        alice.run(line).await.refused(3);
    }
    alice.call(["put", "-", "a"]).input("a").run().await.ok();
    alice.call(["put", "-", "b"]).input(Pattern::new(1, 100 * KIB).whole()).run().await.ok();
    // Some of several.
    let some = alice.run(["get", "a", "x", "b", "y", "./"]).await.refused(8);
    assert_snapshot!(some.stderr.lines().take(2).collect::<Vec<_>>().join("\n"), @r#"
    sealift: /alice/x does not exist: `sealift ls /alice` shows what does
    sealift: /alice/y does not exist: `sealift ls /alice` shows what does
    "#);
    assert_eq!(alice.files(), ["a", "b"]);
    alice.run(["get", "x", "y", "./"]).await.refused(3);
    world.store().settled().await;
}

#[tokio::test]
async fn no_clobber_replaces_nothing() {
    let (_world, alice) = alice().await;
    for name in ["a", "b", "d/a"] {
        alice.call(["put", "-", name]).input(name).run().await.ok();
    }
    assert_snapshot!(alice.run(["mv", "-n", "a", "b"]).await.shown(), @r#"
    sealift: /alice/b exists already: delete it first or choose another name
    exit 1
    "#);
    for line in [&["cp", "--no-clobber", "a", "b"][..], &["cp", "-n", "a", "d"], &["mv", "-n", "a", "d/"]] {
        alice.run(line).await.refused(1);
    }
    for name in ["a", "b", "d/a"] {
        assert_eq!(alice.run(["get", name, "-"]).await.ok().stdout, name.as_bytes());
    }
    alice.run(["cp", "-n", "a", "c"]).await.ok();
    alice.run(["mv", "-n", "b", "d"]).await.ok();
    assert_eq!(alice.run(["get", "d/b", "-"]).await.ok().stdout, b"b");
}

#[tokio::test]
async fn a_directory_is_no_file() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "d/a"]).input("a").run().await.ok();
    assert_snapshot!(alice.run(["get", "d", "-"]).await.shown(), @r#"
    sealift: /alice/d is a directory: name a file in it
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "d/", "-"]).await.shown(), @r#"
    sealift: d/ means a directory, which standard output cannot be: name a file in it
    exit 2
    "#);
    assert_snapshot!(alice.call(["put", "-", "d"]).input("a").run().await.shown(), @r#"
    sealift: /alice/d is a directory: name a file in it
    exit 1
    "#);
    // A directory where the new name is to be, though what is in it could take the file.
    alice.write("d/a/x", "");
    let named = alice.run(["get", "d/a", "d"]).await.refused(1);
    assert!(
        named.stderr.contains("d/a is a directory") && named.stderr.contains("another name"),
        "{named:?}"
    );
}

#[tokio::test]
async fn a_file_is_no_directory() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input("a").run().await.ok();
    for size in [10, 100 * KIB] {
        alice.write("x", Pattern::new(1, size).whole());
        let ran = alice.run(["put", "x", "a/b"]).await.refused(1);
        assert!(ran.stderr.contains("is a file") && ran.stderr.contains(": choose another path"), "{ran:?}");
    }
    assert_snapshot!(alice.run(["put", "x", "a/"]).await.shown(), @r#"
    sealift: /alice/a/x: a part of the path is a file: choose another path
    exit 1
    "#);
    assert_snapshot!(alice.run(["ls", "a/"]).await.shown(), @r#"
    sealift: /alice/a is a file: give the path without the trailing slash
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "a", "x/"]).await.shown(), @r#"
    sealift: x/a: x is a file, and a directory is to be there: remove it, or choose another place
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "a", "x/y"]).await.shown(), @r#"
    sealift: cannot write x/y: Not a directory
      hint: check the file and the disk that it is on
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "a/b"]).await.shown(), @r#"
    sealift: /alice/a/b does not exist: `sealift ls /alice/a` shows what does
    exit 3
    "#);
}

#[tokio::test]
async fn names_that_are_not_allowed() {
    let _redacted = redacted();
    let (world, alice) = alice().await;
    alice.write("x", "x");
    assert_snapshot!(alice.run(["get", "a/../b"]).await.shown(), @r#"
    sealift: the name ".." is not allowed in a path: give the path without it
    exit 2
    "#);
    assert_snapshot!(alice.run(["put", "x", "../b"]).await.shown(), @r#"
    sealift: the name ".." is not allowed in a path: give the path without it
    exit 2
    "#);
    assert_snapshot!(alice.run(["ls", "a/../b"]).await.shown(), @r#"
    error: invalid value 'a/../b' for '[PATH]': the name ".." is not allowed in a path: give the path without it

    For more information, try '--help'.
    exit 2
    "#);
    assert_snapshot!(alice.run(["put", "x", "a\u{7}b"]).await.shown(), @r#"
    sealift: the name "a\u{7}b" is not allowed: it holds a control character; rename it
    exit 2
    "#);
    assert_snapshot!(alice.run(["put", "x", "/No Space/b"]).await.shown(), @r#"
    sealift: /No Space/b: no space can be called "No Space": the first part of an absolute path is a space's name
    exit 1
    "#);
    alice.write("tab\there", "x");
    assert_snapshot!(alice.run(["put", "tab\there"]).await.shown(), @r#"
    sealift: tab\u{9}here: the name "tab\there" is not allowed: it holds a control character; rename it
    exit 1
    "#);
    for line in [&["rm", ".."][..], &["mv", "x", "a/./b"], &["cp", "a//b", "x"], &["info", "/../etc/passwd"]]
    {
        alice.run(line).await.exited(2);
    }
    assert_eq!(world.store().count("entries"), 0);
    assert_eq!(alice.files(), ["tab\there", "x"]);
}

/// A space's name must not come out of an empty variable, as in `./$DIRECTORY/x`.
#[tokio::test]
async fn a_slash_too_many_names_no_space() {
    let (world, alice) = alice().await;
    world.share("team");
    world.grant("team", None, Rights::ALL);
    alice.write("x", "x");
    alice.run(["put", "x", "/team/"]).await.ok();
    for line in [&["put", "x", ".//team/y"][..], &["rm", ".//team/x"], &["get", ".//team/x"], &["ls", ".//"]]
    {
        let ran = alice.run(line).await.exited(2);
        assert!(ran.stderr.contains("remove the doubled slash"), "{line:?}: {ran:?}");
    }
    assert_eq!(alice.run(["ls", "/team"]).await.ok().text(), "x\n");
}
