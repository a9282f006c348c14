//! Files of the store that were damaged behind the server's back: nobody takes them for what they were.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

use sealift_protocol::message::{LogQuery, Verdict};
use sealift_tests::{Launcher, PATIENCE, Pattern, Settings, World, eventually, within};
use sealift_types::{Digest, ErrorCode};

use crate::{SEALIFTD, code};

fn flip_a_byte(file: &Path, at: u64) {
    let mut bytes = fs::read(file).unwrap();
    let at = usize::try_from(at).unwrap();
    bytes[at] ^= 1;
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&bytes[at..=at]).unwrap();
}

#[tokio::test]
async fn a_flipped_byte_is_found_by_whoever_downloads_and_can_be_reported() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 1_000_000).whole();
    let sha256 = client.put_stream("file", &content).await.unwrap().sha256;
    flip_a_byte(&world.store().blob(&sha256), 777_777);
    assert_eq!(code(client.get("file").await), ErrorCode::Integrity);
    let failed = LogQuery { limit: 10, failed: true, ..LogQuery::default() };
    assert!(client.log(failed.clone()).await.unwrap().is_empty(), "the server does not hash what it sends");
    client.report("file", sha256).await.unwrap();
    let rows = client.log(failed).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].path.as_str(), rows[0].error), ("/alice/file", Some(ErrorCode::Integrity)));
    assert_eq!(code(client.report("file", sha256).await), ErrorCode::NotFound, "once is enough");

    // Nobody is told to claim it any more, and the next upload of the content mends it.
    let believed = async {
        // The server reads the copy before it believes the report, and lets nobody wait for that.
        while client.plan(&[("again", 1_000_000)]).await.unwrap() != [Verdict::Send] {}
    };
    within(PATIENCE, "the reading of the copy that was reported", believed).await;
    assert_eq!(code(client.claim("again", 1_000_000, sha256).await), ErrorCode::Absent);
    client.put_stream("again", &content).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
    world.store().settled().await;
}

/// A disk that has lost bits tells nobody: neither the file's size nor its time changes.
fn rot(file: &Path, at: u64) {
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    flip_a_byte(file, at);
    OpenOptions::new().write(true).open(file).unwrap().set_modified(modified).unwrap();
}

/// An upload is spared, or found to be a duplicate, only by a copy that was read lately. Otherwise the copy is read, and is
/// replaced by what was sent if it has rotted.
#[tokio::test]
async fn no_upload_is_spared_by_a_copy_that_has_rotted() {
    let world = World::with(Settings::new().line("uploads.trust_stored = '0s'")).await;
    let mut alice = world.enrol("alice").await.connect().await;
    let mut bob = world.enrol("bob").await.connect().await;
    let content = Pattern::new(1, 3_000_000).whole();
    let sha256 = alice.put_stream("file", &content).await.unwrap().sha256;
    alice.claim("good", 3_000_000, sha256).await.unwrap();
    let copy = world.store().blob(&sha256);
    // Her own claim: she is asked for the bytes.
    rot(&copy, 2_222_222);
    assert_eq!(code(alice.claim("again", 3_000_000, sha256).await), ErrorCode::Absent);
    alice.put_stream("again", &content).await.unwrap();
    assert!(alice.get("file").await.unwrap() == content);
    // Somebody else's upload, which does not know of hers.
    rot(&copy, 1_111_111);
    bob.put_stream("his", &content).await.unwrap();
    for file in ["file", "good", "again"] {
        assert!(alice.get(file).await.unwrap() == content, "{file}");
    }
    assert!(bob.get("his").await.unwrap() == content);
    world.store().settled().await;
    world.store().verify();
}

/// A file that was written to since it was found good is read whenever that was.
#[tokio::test]
async fn a_copy_that_was_written_to_is_read_before_an_upload_is_spared_by_it() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 3_000_000).whole();
    let sha256 = client.put_stream("file", &content).await.unwrap().sha256;
    let copy = world.store().blob(&sha256);
    clock_of_the_disk_has_moved(copy.parent().unwrap());
    flip_a_byte(&copy, 2_222_222);
    assert_eq!(code(client.claim("again", 3_000_000, sha256).await), ErrorCode::Absent);
    client.put_stream("again", &content).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
}

/// Waits until a file that is written to in `directory` gets a time after this moment. File systems take the time from the
/// kernel's last tick.
fn clock_of_the_disk_has_moved(directory: &Path) {
    let (begun, probe) = (SystemTime::now(), directory.join("probe"));
    loop {
        fs::write(&probe, b"tick").unwrap();
        let written = probe.metadata().unwrap().modified().unwrap();
        fs::remove_file(&probe).unwrap();
        if written > begun {
            break;
        }
    }
}

/// The server believes its own reading of the copy, not the client, and lets nobody fill its log.
#[tokio::test]
async fn false_reports_take_nothing_from_the_owner_and_fill_no_log() {
    const REPORTS: usize = 40;
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let mut alice = server.enrol("alice").await.connect().await;
    let mut mallory = server.enrol("mallory").await.connect().await;
    let granted = launcher.run("grant", &["alice", "mallory", "read"]).await;
    assert_eq!(granted.code, Some(0), "{granted:?}");
    for (file, content) in [("large", Pattern::new(1, 300_000).whole()), ("small", b"small".to_vec())] {
        let sha256 = alice.put_stream(file, &content).await.unwrap().sha256;
        let theirs = format!("/alice/{file}");
        for _ in 0..REPORTS / 2 {
            mallory.get(&theirs).await.unwrap();
            mallory.report(&theirs, sha256).await.unwrap();
            alice.claim("again", content.len() as u64, sha256).await.unwrap();
        }
        assert!(alice.get("again").await.unwrap() == content);
    }
    let read = || server.stderr().contains("the stored copy is good").then_some(());
    eventually("a report that was looked into", read).await;
    let log = server.stderr();
    let lines = log.matches("did not verify at its receiver").count();
    assert!(lines < REPORTS / 2 && !log.contains("ERROR"), "{lines} lines: {log}");
}

#[tokio::test]
async fn only_ones_own_downloads_can_be_reported() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let (mut client, mut other) = (alice.connect().await, alice.connect().await);
    let sha256 = client.put_inline("file", b"x").await.unwrap().sha256;
    client.get("file").await.unwrap();
    let mut mallory = world.enrol("mallory").await.connect().await;
    assert_eq!(code(mallory.report("/alice/file", sha256).await), ErrorCode::NotFound);
    assert_eq!(code(other.report("file", sha256).await), ErrorCode::NotFound, "another connection");
    assert_eq!(code(client.report("file", Digest::of(b"y")).await), ErrorCode::NotFound);
    assert_eq!(code(client.report("other", sha256).await), ErrorCode::NotFound);
    assert_eq!(code(client.report("/", sha256).await), ErrorCode::NotFound);
    assert!(world.store().log().iter().all(|row| row.error.is_none()));
    client.report("file", sha256).await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_an_integrity_error() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 1_000_000).whole();
    let sha256 = client.put_stream("file", &content).await.unwrap().sha256;
    let blob = world.store().blob(&sha256);
    for (attempt, length) in [999_999, 131_072, 0].into_iter().enumerate() {
        OpenOptions::new().write(true).open(&blob).unwrap().set_len(length).unwrap();
        assert_eq!(code(client.get("file").await), ErrorCode::Integrity, "{length} of 1,000,000 bytes");
        let row = eventually("the row of the failure", || {
            let log = world.store().log();
            log.into_iter().filter(|row| row.direction == "get").nth(attempt)
        });
        let row = row.await;
        assert_eq!(row.error.as_deref(), Some("integrity"));
        assert!(row.bytes <= length, "{row:?}");
    }
    client.put_stream("file", &content).await.unwrap();
    assert!(client.get("file").await.unwrap() == content, "the connection went on, and an upload mended it");
}

#[tokio::test]
async fn a_file_that_is_gone_is_an_integrity_error() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 1_000_000).whole();
    let sha256 = client.put_stream("file", &content).await.unwrap().sha256;
    fs::remove_file(world.store().blob(&sha256)).unwrap();
    assert_eq!(code(client.get("file").await), ErrorCode::Integrity);
    assert_eq!(world.store().logged_get("/alice/file").await.error.as_deref(), Some("integrity"));
    client.put_inline("other", b"x").await.unwrap();
    client.put_stream("file", &content).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
    world.store().settled().await;
}

#[tokio::test]
async fn a_damaged_row_is_found_as_well() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for (number, damage) in ["x'00'", "zeroblob(1000)", "zeroblob(2000)"].into_iter().enumerate() {
        let content = Pattern::new(number as u64, 1000).whole();
        client.put_inline("file", &content).await.unwrap();
        world.administer(|catalog| {
            catalog.execute(&format!("UPDATE contents SET data = {damage}"), []).unwrap()
        });
        assert_eq!(code(client.get("file").await), ErrorCode::Integrity, "{damage}");
        // Only the client can tell, unless the length is wrong; either way the next upload mends it.
        let _ = client.report("file", Digest::of(&content)).await;
        client.put_inline("again", &content).await.unwrap();
        assert!(client.get("file").await.unwrap() == content, "{damage}");
        client.remove("again").await.unwrap();
    }
}

#[tokio::test]
async fn the_deletion_of_what_is_gone_anyway_succeeds() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let sha256 = client.put_stream("file", &Pattern::new(1, 100_000).whole()).await.unwrap().sha256;
    fs::remove_file(world.store().blob(&sha256)).unwrap();
    client.remove("file").await.unwrap();
    client.put_stream("file", &Pattern::new(2, 100_000).whole()).await.unwrap();
    world.store().settled().await;
}
