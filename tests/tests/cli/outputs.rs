//! What people read. A change of it is a decision.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use sealift_tests::{Computer, Pattern, World, eventually};
use sealift_types::Rights;

use crate::redaction::redacted;
use crate::{MIB, alice};

/// 2024-02-29 12:34:56 UTC.
const LEAP: Duration = Duration::from_secs(1_709_210_096);

/// Files of every kind, with times that are always the same.
async fn furnished() -> (World, Computer) {
    let (world, alice) = alice().await;
    world.share("team");
    world.grant("team", Some("alice"), Rights::READ.union(Rights::CREATE));
    for (name, size, mode) in
        [("notes.txt", 12, 0o644), ("run.sh", 2000, 0o755), ("photo.jpg", 3 * MIB, 0o644)]
    {
        let path = alice.write(name, Pattern::new(size, size).whole());
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH + LEAP).unwrap();
        alice.run(["put", name]).await.ok();
        alice.run(["put", name, "docs/"]).await.ok();
    }
    (world, alice)
}

#[tokio::test]
async fn ls() {
    let (_world, alice) = furnished().await;
    assert_snapshot!(alice.run(["ls"]).await.shown(), @r#"
    docs/
    notes.txt
    photo.jpg
    run.sh
    exit 0
    "#);
    assert_snapshot!(alice.run(["ls", "-l", "docs"]).await.shown(), @r#"
    - alice      12 2024-02-29 12:34 notes.txt
    - alice 3145728 2024-02-29 12:34 photo.jpg
    x alice    2000 2024-02-29 12:34 run.sh
    exit 0
    "#);
    let _redacted = redacted();
    assert_snapshot!(alice.run(["ls", "-lR", "/"]).await.shown(), @r#"
    s alice - [MINUTE] alice/
    s -     - [MINUTE] team/
    d alice       - [MINUTE] alice/docs/
    - alice      12 [MINUTE] alice/docs/notes.txt
    - alice 3145728 [MINUTE] alice/docs/photo.jpg
    x alice    2000 [MINUTE] alice/docs/run.sh
    - alice      12 [MINUTE] alice/notes.txt
    - alice 3145728 [MINUTE] alice/photo.jpg
    x alice    2000 [MINUTE] alice/run.sh
    exit 0
    "#);
}

#[tokio::test]
async fn info() {
    let _redacted = redacted();
    let (_world, alice) = furnished().await;
    assert_snapshot!(alice.run(["info", "photo.jpg", "run.sh", "docs", "/team"]).await.shown(), @r#"
    path:         /alice/photo.jpg
    kind:         file
    size:         3145728 bytes (3.0 MiB)
    sha256:       [SHA-256]
    modified:     [SECOND]
    stored:       [SECOND]
    by:           alice
    stored bytes: 3145728 bytes (3.0 MiB)

    path:         /alice/run.sh
    kind:         file, may be executed
    size:         2000 bytes (2.0 KiB)
    sha256:       [SHA-256]
    modified:     [SECOND]
    stored:       [SECOND]
    by:           alice
    stored bytes: 2000 bytes (2.0 KiB)

    path:     /alice/docs
    kind:     directory
    modified: [SECOND]
    stored:   [SECOND]
    by:       alice

    path:     /team
    kind:     space
    modified: [SECOND]
    stored:   [SECOND]
    exit 0
    "#);
}

#[tokio::test]
async fn whoami() {
    let _redacted = redacted();
    let (_world, alice) = furnished().await;
    assert_snapshot!(alice.run(["whoami"]).await.shown(), @r#"
    identity:    alice
    uri:         spiffe://[DOMAIN]/user/alice
    certificate: expires [SECOND], in 89 days
    server:      sealiftd/0.1.0 at [ADDRESS]
    space:       /alice: read, create, replace, delete
    space:       /team: read, create
    exit 0
    "#);
}

#[tokio::test]
async fn log() {
    let (world, alice) = alice().await;
    alice.write("big", Pattern::new(1, MIB).whole());
    alice.run(["put", "big"]).await.ok();
    alice.run(["put", "big", "copy"]).await.ok();
    alice.run(["get", "copy"]).await.ok();
    alice.run(["get", "missing"]).await.exited(3);
    eventually("four rows", || (world.store().log().len() == 4).then_some(())).await;
    let log = alice.run(["log"]).await.ok();
    let lines: Vec<_> = log.text().lines().collect();
    for title in ["WHO", "WAY", "FROM", "RESULT AND PATH"] {
        let column = lines[0].find(title).unwrap();
        assert!(
            lines.iter().all(|line| &line[column - 2..column] == "  "),
            "{title} is a column:\n{}",
            log.text()
        );
    }
    // How wide a column is depends on what is in it.
    let collapsed: Vec<_> = lines
        .iter()
        .map(|line| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ")
        })
        .collect();
    let _redacted = redacted();
    assert_snapshot!(collapsed.join("\n"), @r#"
    TIME | WHO | WAY | BYTES | ON WIRE | TOOK | FROM | RESULT AND PATH
    [MINUTE] | alice | get | 0 B | 0 B | [TIME] | [ADDRESS] | not-found /alice/missing
    [MINUTE] | alice | get | 1.0 MiB | 1.0 MiB | [TIME] | [ADDRESS] | ok /alice/copy
    [MINUTE] | alice | put | 1.0 MiB | 166 B | [TIME] | [ADDRESS] | ok /alice/copy
    [MINUTE] | alice | put | 1.0 MiB | 1.0 MiB | [TIME] | [ADDRESS] | ok /alice/big
    "#);
}

#[tokio::test]
async fn summaries() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    alice.write("a", Pattern::new(1, 2 * MIB).whole());
    alice.write("b", "b");
    assert_snapshot!(alice.run(["put", "a"]).await.shown(), @r#"
    stored /alice/a (2.0 MiB in [TIME], [RATE])
    exit 0
    "#);
    assert_snapshot!(alice.run(["put", "a", "again"]).await.shown(), @r#"
    stored /alice/again (2.0 MiB in [TIME]): the server had it, nothing was sent
    exit 0
    "#);
    assert_snapshot!(alice.run(["put", "a", "b", "d/"]).await.shown(), @r#"
    stored 2 files (2.0 MiB in [TIME]): 1 of them was not sent, the server had it
    exit 0
    "#);
    assert_snapshot!(alice.run(["put", "b"]).await.shown(), @r#"
    stored /alice/b (1 B in [TIME])
    exit 0
    "#);
    assert_snapshot!(alice.run(["get", "a", "x"]).await.shown(), @r#"
    fetched x (2.0 MiB in [TIME], [RATE])
    exit 0
    "#);
    assert_snapshot!(alice.run(["get", "a", "b", "."]).await.shown(), @r#"
    fetched 2 files (2.0 MiB in [TIME], [RATE])
    exit 0
    "#);
    assert_snapshot!(alice.run(["get", "b", "-"]).await.ok().stderr, @r#"fetched /alice/b (1 B in [TIME])"#);
    alice.write("empty", "");
    assert_snapshot!(alice.run(["put", "empty"]).await.shown(), @r#"
    stored /alice/empty (0 B in [TIME])
    exit 0
    "#);
    assert_snapshot!(alice.run(["renew"]).await.shown(), @r#"
    the certificate is renewed and expires [SECOND]
    exit 0
    "#);
}
