//! Contents that were damaged on the server: no file takes their name.

use std::fs;

use insta::assert_snapshot;
use sealift_tests::{Computer, Pattern, World, eventually};
use sealift_types::Digest;

use crate::redaction::redacted;
use crate::{KIB, MIB, alice};

/// Changes one byte of a content behind the server's back.
fn damage(world: &World, content: &[u8]) {
    let blob = world.store().blob(&Digest::of(content));
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(blob, bytes).unwrap();
}

async fn logged_as_damaged(world: &World, computer: &Computer, path: &str) {
    eventually("the failure in the log", || {
        let mut log = world.store().log().into_iter();
        log.rfind(|row| row.path == path && row.error.as_deref() == Some("integrity"))
    })
    .await;
    let failed = computer.run(["--json", "log", "--failed", "-n", "1"]).await.ok().object("transfer");
    assert_eq!((&failed["path"], &failed["error"]), (&path.into(), &"integrity".into()));
}

#[tokio::test]
async fn a_flipped_byte_is_never_a_file() {
    let _redacted = redacted();
    let (world, alice) = alice().await;
    let content = Pattern::new(1, 3 * MIB).whole();
    alice.write("a", &content);
    alice.run(["put", "a"]).await.ok();
    damage(&world, &content);
    fs::remove_file(alice.desk().join("a")).unwrap();
    assert_snapshot!(alice.run(["get", "a"]).await.shown(), @r#"
    sealift: /alice/a: a did not arrive intact (its SHA-256 is [SHA-256] and should be [SHA-256])
      hint: try again; if it stays, put the file again, or ask the server's administrator to restore it from a backup
    exit 5
    "#);
    assert_eq!(alice.files(), [""; 0], "no file, and no part of one");
    logged_as_damaged(&world, &alice, "/alice/a").await;

    // What was there before stays.
    alice.write("a", "before");
    alice.run(["get", "a"]).await.refused(5);
    assert_eq!((alice.files(), alice.read("a")), (vec!["a".to_owned()], b"before".to_vec()));
    let failed = alice.run(["--json", "get", "a"]).await.refused(5).object("failed");
    assert_eq!((&failed["code"], &failed["exit"]), (&"integrity".into(), &5.into()));
    // What went to standard output cannot be taken back, so the exit code has to tell.
    let output = alice.run(["get", "a", "-"]).await.refused(5);
    assert_eq!(output.stdout.len(), content.len());
    // And it can be mended as the hint says.
    alice.write("a", &content);
    alice.run(["put", "a"]).await.ok();
    alice.run(["get", "a", "b"]).await.ok();
    assert!(alice.read("b") == content);
}

#[tokio::test]
async fn the_others_arrive() {
    let (world, alice) = alice().await;
    let contents: Vec<_> = (1..=3).map(|seed| Pattern::new(seed, 300 * KIB).whole()).collect();
    for (content, name) in contents.iter().zip(["a", "b", "c"]) {
        alice.call(["put", "-", name]).input(content.clone()).run().await.ok();
    }
    damage(&world, &contents[1]);
    let ran = alice.run(["get", "a", "b", "c", "./"]).await.refused(8);
    assert!(ran.stderr.contains("/alice/b") || ran.stderr.contains("b did not arrive intact"), "{ran:?}");
    assert_eq!(alice.files(), ["a", "c"]);
    logged_as_damaged(&world, &alice, "/alice/b").await;
}

#[tokio::test]
async fn a_blob_that_is_cut_short_or_gone_is_never_a_file() {
    let _redacted = redacted();
    let (world, alice) = alice().await;
    let content = Pattern::new(1, 3 * MIB).whole();
    alice.write("a", &content);
    alice.run(["put", "a"]).await.ok();
    fs::remove_file(alice.desk().join("a")).unwrap();
    let blob = world.store().blob(&Digest::of(&content));
    fs::File::options().write(true).open(&blob).unwrap().set_len(MIB).unwrap();
    assert_snapshot!(alice.run(["get", "a"]).await.shown(), @r#"
    sealift: /alice/a: the server's copy is damaged: put the file again, or ask the administrator to restore it from a backup
    exit 5
    "#);
    fs::remove_file(blob).unwrap();
    alice.run(["get", "a"]).await.refused(5);
    assert_eq!(alice.files(), [""; 0]);
    logged_as_damaged(&world, &alice, "/alice/a").await;
}

#[tokio::test]
async fn a_small_content_that_is_damaged_is_never_a_file() {
    let (world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input(vec![1; 100]).run().await.ok();
    world.administer(|catalog| catalog.execute("UPDATE contents SET data = zeroblob(100)", []).unwrap());
    alice.run(["get", "a"]).await.refused(5);
    assert_eq!(alice.files(), [""; 0]);
    let output = alice.run(["get", "a", "-"]).await.refused(5);
    assert_eq!(output.stdout, b"", "a small content is verified before a byte of it is written");
    logged_as_damaged(&world, &alice, "/alice/a").await;
}
