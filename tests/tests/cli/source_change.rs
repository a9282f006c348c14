//! Files that somebody writes to while they are read.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

use insta::assert_snapshot;
use sealift_tests::{Computer, Pattern, World};

use crate::gate::{Gate, Way};
use crate::{MIB, alice};

const SIZE: u64 = 64 * MIB;

fn open(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

/// A file that nobody has written to for long.
fn quiet_file(computer: &Computer) {
    let path = computer.write("file", Pattern::new(1, SIZE).whole());
    open(&path).set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

/// Puts the file, changes it on the way, and returns what the program said.
async fn put(
    world: &World,
    computer: &Computer,
    line: &[&str],
    change: impl FnOnce(&Path),
) -> sealift_tests::Ran {
    quiet_file(computer);
    let mut gate = Gate::before(world.address, Way::Up, MIB).await;
    let server = gate.server();
    let running = computer.call(line.iter().copied().chain(["--server", server.as_str()])).start();
    gate.reached().await;
    change(&computer.desk().join("file"));
    gate.open();
    running.ended().await
}

async fn assert_nothing_stored(world: &World, path: &str) {
    assert_eq!(world.store().logged(path).await.error.as_deref(), Some("source-failed"));
    // What came may be continued, if it turns out that the file is the same after all.
    world.store().settled().await;
    assert_eq!((world.store().blobs().len(), world.store().count("entries")), (0, 0));
}

#[tokio::test]
async fn a_file_that_is_cut_short() {
    let (world, alice) = alice().await;
    let ran = put(&world, &alice, &["put", "file"], |path| open(path).set_len(SIZE / 2).unwrap()).await;
    assert_snapshot!(ran.shown(), @r#"
    sealift: file changed while it was read (from 67108864 bytes to 33554432): put it again when it is quiet
    exit 1
    "#);
    assert_nothing_stored(&world, "/alice/file").await;
    assert_eq!(alice.run(["ls"]).await.ok().text(), "");
    // Quiet by now.
    alice.run(["put", "file"]).await.ok();
}

#[tokio::test]
async fn a_file_that_grows() {
    let (world, alice) = alice().await;
    let grow = |path: &Path| {
        File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    let ran = put(&world, &alice, &["put", "file"], grow).await;
    assert_snapshot!(ran.shown(), @r#"
    sealift: file changed while it was read (from 67108864 bytes to 67108868): put it again when it is quiet
    exit 1
    "#);
    assert_nothing_stored(&world, "/alice/file").await;
}

/// Neither size nor, perhaps, what was sent so far tells of it.
#[tokio::test]
async fn a_file_that_is_written_to_in_place() {
    let (world, alice) = alice().await;
    let scribble = |path: &Path| {
        let mut file = open(path);
        file.seek(SeekFrom::Start(SIZE - 5)).unwrap();
        file.write_all(b"ink").unwrap();
    };
    let ran = put(&world, &alice, &["put", "file"], scribble).await;
    assert_snapshot!(ran.shown(), @r#"
    sealift: file changed while it was read (it was written to): put it again when it is quiet
    exit 1
    "#);
    assert_nothing_stored(&world, "/alice/file").await;
}

#[tokio::test]
async fn the_others_arrive() {
    let (world, alice) = alice().await;
    alice.write("a", "a");
    alice.write("b", Pattern::new(2, MIB).whole());
    let line = ["--json", "put", "a", "file", "b", "d/"];
    let ran = put(&world, &alice, &line, |path| open(path).set_len(SIZE / 2).unwrap()).await.refused(8);
    let failed = ran.object("failed");
    assert_eq!(
        (&failed["path"], &failed["code"], &failed["exit"]),
        (&"/alice/d/file".into(), &"source-failed".into(), &1.into())
    );
    assert_eq!(alice.run(["ls", "d"]).await.ok().text(), "a\nb\n");
    assert_eq!(world.store().logged("/alice/d/file").await.error.as_deref(), Some("source-failed"));
}

/// Editors write a new file and rename it over the old one.
#[tokio::test]
async fn a_file_that_takes_anothers_place_is_one_content_or_the_other() {
    let (world, alice) = alice().await;
    let replace = |path: &Path| {
        let new = path.with_file_name("new");
        std::fs::write(&new, Pattern::new(3, MIB).whole()).unwrap();
        std::fs::rename(new, path).unwrap();
    };
    // What is open goes on being the old file, all of it.
    put(&world, &alice, &["put", "file"], replace).await.ok();
    assert!(alice.run(["get", "file", "-"]).await.ok().stdout == Pattern::new(1, SIZE).whole());
    world.store().settled().await;
}
