//! `--dry-run`: told, and not done.

use std::fs;

use sealift_tests::{Computer, Pattern};

use crate::{KIB, SEALIFT, alice};

#[tokio::test]
async fn a_put_that_is_only_talked_about_stores_nothing() {
    let (world, alice) = alice().await;
    alice.write("d/small", "12345");
    alice.write("d/sub/large", Pattern::new(1, 100 * KIB).whole());
    std::os::unix::fs::symlink("small", alice.desk().join("d/link")).unwrap();
    let ran = alice.run(["put", "--dry-run", "--links", "d"]).await.ok();
    let mut lines: Vec<_> = ran.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "would store /alice/d/link",
            "would store /alice/d/small (5 B)",
            "would store /alice/d/sub/large (100 KiB)"
        ]
    );
    assert!(ran.stderr.contains("would store 3 files (100 KiB); nothing was changed"), "{ran:?}");
    assert_eq!(alice.run(["ls", "-R"]).await.ok().text(), "");

    let ran = alice.run(["--json", "put", "-n", "d/small"]).await.ok();
    let would = ran.object("would");
    assert_eq!(
        (&would["action"], &would["path"], &would["local"], &would["size"]),
        (&"store".into(), &"/alice/small".into(), &"d/small".into(), &5.into())
    );
    assert_eq!(ran.object("summary")["would"], 1);
    let ran = alice.call(["put", "-n", "-", "x"]).input("content").run().await.ok();
    assert_eq!(ran.text(), "would store /alice/x\n");
    assert!(world.store().blobs().is_empty());
    assert_eq!(alice.run(["log"]).await.ok().text(), "");
}

#[tokio::test]
async fn what_would_be_refused_is_told() {
    let (world, alice) = alice().await;
    world.invite("bob");
    alice.write("x", "x");
    alice.write("dir/x", "x");
    alice.run(["put", "dir"]).await.ok();
    let ran = alice.run(["put", "-n", "x", "/bob/x"]).await.refused(4);
    assert_eq!(ran.text(), "");
    // Into the directory that is there.
    assert_eq!(alice.run(["put", "-n", "x", "dir"]).await.ok().text(), "would store /alice/dir/x (1 B)\n");
    alice.run(["put", "-n", "missing"]).await.refused(3);
    alice.run(["get", "-n", "missing"]).await.refused(3);
}

#[tokio::test]
async fn a_get_that_is_only_talked_about_writes_nothing() {
    let (_world, alice) = alice().await;
    alice.write("d/small", "12345");
    alice.write("d/sub/large", Pattern::new(1, 100 * KIB).whole());
    alice.run(["put", "d"]).await.ok();
    fs::remove_dir_all(alice.desk().join("d")).unwrap();
    for (line, told) in [
        (&["get", "-n", "d"][..], "would fetch d/small (5 B)\nwould fetch d/sub/large (100 KiB)\n"),
        (
            &["get", "-n", "d/", "new/e"],
            "would fetch new/e/small (5 B)\nwould fetch new/e/sub/large (100 KiB)\n",
        ),
        (&["get", "-n", "d/small", "new/"], "would fetch new/small (5 B)\n"),
        (&["get", "-n", "d/small", "-"], "would fetch /alice/d/small (5 B)\n"),
    ] {
        let ran = alice.run(line).await.ok();
        assert_eq!(ran.text(), told, "{line:?}");
        assert!(ran.stderr.contains("nothing was changed"), "{ran:?}");
        assert!(alice.files().is_empty(), "{line:?}: {:?}", alice.files());
    }
    // What stands in the way is told.
    alice.write("here/sub", "a file");
    let ran = alice.run(["get", "-n", "d/", "here"]).await.refused(8);
    assert!(ran.stderr.contains("here/sub is a file, and a directory is to be there"), "{ran:?}");
    assert_eq!(ran.text(), "would fetch here/small (5 B)\n");
}

#[tokio::test]
async fn a_put_that_is_only_talked_about_knows_what_the_server_has() {
    let (_world, alice) = alice().await;
    for (name, size) in [("d/small", 10), ("d/large", 100 * KIB), ("d/larger", 200 * KIB)] {
        alice.write(name, Pattern::new(size, size).whole());
    }
    alice.run(["put", "d"]).await.ok();
    alice.write("d/new", Pattern::new(3, 300 * KIB).whole());
    // Of the size of what is there, and not the same.
    alice.write("d/twin", Pattern::new(4, 100 * KIB).whole());
    let ran = alice.run(["put", "-n", "d"]).await.ok();
    let told = "would store 5 files (700 KiB); the server has 2 of them (300 KiB) and need not be sent those; \
                nothing was changed\n";
    assert_eq!(ran.stderr, told);
    let ran = alice.run(["--json", "put", "-n", "d"]).await.ok();
    let mut at_server: Vec<_> =
        ran.objects().into_iter().filter(|object| object["type"] == "would").collect();
    at_server.sort_by_key(|object| object["path"].to_string());
    let at_server: Vec<_> = at_server.iter().map(|object| object["at_server"].as_bool()).collect();
    assert_eq!(at_server, [true, true, false, false, false].map(Some), "{ran:?}");
    // That is how it comes. What is small is sent whatever the server has, so nobody says that it was not.
    let ran = alice.run(["put", "d"]).await.ok();
    assert!(
        ran.stderr.contains("stored 5 files") && ran.stderr.contains(": 2 of them were not sent"),
        "{ran:?}"
    );
}

/// What others have is said to be sent, as it would be.
#[tokio::test]
async fn a_put_that_is_only_talked_about_tells_nothing_of_others() {
    let (world, alice) = alice().await;
    let bob = Computer::joined(SEALIFT, &world, "bob").await;
    bob.write("secret", Pattern::new(1, 100 * KIB).whole());
    bob.run(["put", "secret"]).await.ok();
    // Something of the same size, so that the file is hashed and the server is asked.
    alice.write("own", Pattern::new(2, 100 * KIB).whole());
    alice.run(["put", "own"]).await.ok();
    alice.write("secret", Pattern::new(1, 100 * KIB).whole());
    let ran = alice.run(["put", "-n", "secret"]).await.ok();
    assert_eq!(ran.stderr, "would store 1 file (100 KiB); nothing was changed\n");
    assert_eq!(alice.run(["--json", "put", "-n", "secret"]).await.ok().object("would")["at_server"], false);
}
