//! The program dies, or its disk is full: what was acknowledged stays, what was not leaves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sealift_protocol::message::{Body, Reply, Request, Stored};
use sealift_tests::transfer::{end_of, put};
use sealift_tests::{Client, Launcher, Pattern, eventually};
use sealift_types::{Digest, ErrorCode};

use crate::{SEALIFTD, code};

#[tokio::test]
async fn a_kill_in_the_middle_of_a_large_upload_leaves_nothing() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    let kept = Pattern::new(1, 3_000_000).whole();
    client.put_stream("kept", &kept).await.unwrap();
    client.push(&Request::Put(put("lost", Body::Stream)));
    for _ in 0..40 {
        client.send_data(&[7; 250_000]).await;
    }
    let written =
        || server.store().incoming().iter().any(|file| fs::metadata(file).unwrap().len() > 1_000_000);
    eventually("a part of the upload on the disk", || written().then_some(())).await;
    server.kill();

    let server = launcher.start().await;
    assert!(
        server.store().incoming().is_empty(),
        "what was half received is gone before anybody can connect"
    );
    let mut client = alice.at(server.address).connect().await;
    assert_eq!(client.names("").await, ["kept"]);
    assert!(client.get("kept").await.unwrap() == kept);
    server.store().settled().await;
    assert_eq!(server.store().blobs().len(), 1);
}

/// Uploads by their names.
type Uploads = Arc<Mutex<BTreeMap<String, Digest>>>;

/// Uploads one file after another until the server dies. Every fourth one is too large for the catalog.
async fn upload_until_death(
    mut client: Client,
    name: String,
    seed: u64,
    sent: Uploads,
    acknowledged: Uploads,
) {
    for number in 0.. {
        let file = format!("{name}-{number}");
        let content = Pattern::new(seed + number, if number % 4 == 3 { 80_000 } else { 400 }).whole();
        sent.lock().unwrap().insert(file.clone(), Digest::of(&content));
        if number % 4 == 3 {
            client.push(&Request::Put(put(&file, Body::Stream)));
            client.writer.push_data(&content).unwrap();
            client.push_trailer(&end_of(&content));
        } else {
            client.push_inline(&file, &content);
        }
        if client.writer.flush().await.is_err() {
            return;
        }
        match client.try_reply().await {
            Ok(Some(Reply::Stored(Stored { sha256, .. }))) => {
                acknowledged.lock().unwrap().insert(file, sha256);
            }
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Many uploads of both kinds on four connections; the server dies among them, three times.
#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let launcher = Launcher::new(SEALIFTD);
    let mut server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let (sent, acknowledged) = (Uploads::default(), Uploads::default());
    for life in 0..3_u64 {
        let mut tasks = Vec::new();
        for connection in 0..4_u64 {
            let client = alice.at(server.address).connect().await;
            let (name, seed) = (format!("{life}-{connection}"), (life << 40) + (connection << 32));
            let uploading = upload_until_death(client, name, seed, sent.clone(), acknowledged.clone());
            tasks.push(tokio::spawn(uploading));
        }
        let enough = 120 * usize::try_from(life + 1).unwrap();
        let many = || (acknowledged.lock().unwrap().len() > enough).then_some(());
        eventually("many acknowledgements", many).await;
        server.kill();
        for task in tasks {
            task.await.unwrap();
        }
        server = launcher.start().await;
        assert!(server.store().incoming().is_empty());
    }

    let mut client = alice.at(server.address).connect().await;
    let there = client.list("").await.unwrap();
    let there: BTreeMap<_, _> = there.into_iter().map(|entry| (entry.name, entry.sha256.unwrap())).collect();
    let (sent, acknowledged) =
        (std::mem::take(&mut *sent.lock().unwrap()), acknowledged.lock().unwrap().clone());
    for (file, sha256) in &acknowledged {
        assert_eq!(there.get(file), Some(sha256), "{file} was acknowledged");
    }
    // The last upload of each connection may have been stored without its acknowledgement reaching anybody.
    assert!(there.len() <= acknowledged.len() + 12, "{} of {}", there.len(), acknowledged.len());
    for (file, sha256) in &there {
        assert_eq!(sent.get(file), Some(sha256), "{file} is what was sent");
        assert_eq!(Digest::of(&client.get(file).await.unwrap()), *sha256);
    }
    let logged = server.store().log().into_iter().filter(|row| row.direction == "put" && row.error.is_none());
    assert_eq!(logged.count(), there.len(), "the log and the tree agree");
    server.store().settled().await;
}

/// What a crash leaves between the placing of a file and its commit.
#[tokio::test]
async fn files_that_nobody_knows_are_removed_after_a_start() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let mut client = server.enrol("alice").await.connect().await;
    let kept = client.put_stream("kept", &Pattern::new(1, 100_000).whole()).await.unwrap().sha256;
    drop(client);
    let store = server.store();
    server.kill();
    for seed in 2..6 {
        let orphan = Pattern::new(seed, 100_000).whole();
        let place = store.blob(&Digest::of(&orphan));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, orphan).unwrap();
    }
    fs::write(launcher.data().join("incoming/17"), b"half").unwrap();
    let _server = launcher.start().await;
    store.settled().await;
    assert_eq!(store.blobs().into_keys().collect::<Vec<_>>(), [kept]);
}

/// A process that may not write beyond a limit meets the same end as one on a full disk.
#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_serves_on() {
    // 8 MiB, whatever unit the shell counts in: 512 or 1,024 bytes.
    let launcher = Launcher::new(SEALIFTD).file_limit(16 * 1024);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    let before = Pattern::new(1, 1 << 20).whole();
    client.put_stream("before", &before).await.unwrap();
    for (attempt, (seed, size)) in [(2, 20 << 20), (3, 17 << 20), (4, 40 << 20)].into_iter().enumerate() {
        let source = Pattern::new(seed, size);
        let error = client.put_from("large", source, None).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NoSpace, "{error}");
        assert_eq!(code(client.get("large").await), ErrorCode::NotFound);
        eventually("an empty incoming/", || server.store().incoming().is_empty().then_some(())).await;
        // A failure is logged behind the reply.
        let rows = || server.store().log().into_iter().filter(|row| row.path == "/alice/large");
        let row =
            eventually("the row of the failure", || rows().filter(|row| row.direction == "put").nth(attempt));
        assert_eq!(row.await.error.as_deref(), Some("no-space"));
        // What fits goes on fitting, on the same connection and on others.
        client.put_inline(&format!("small-{seed}"), b"small").await.unwrap();
        alice.connect().await.put_stream("medium", &before).await.unwrap();
    }
    assert!(client.get("before").await.unwrap() == before);
    server.store().settled().await;
    assert_eq!(server.store().blobs().len(), 1);
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

/// A full disk fails every upload, and each of them would be a line.
#[tokio::test]
async fn the_log_has_one_line_for_many_failures_on_a_full_disk() {
    const UPLOADS: u64 = 15;
    let begun = Instant::now();
    let server = Launcher::new(SEALIFTD).file_limit(16 * 1024).start().await;
    let mut client = server.enrol("alice").await.connect().await;
    for seed in 0..UPLOADS {
        let error = client.put_from("large", Pattern::new(seed, 17 << 20), None).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NoSpace, "{error}");
    }
    let lines = || {
        let stderr = server.stderr();
        let full = stderr.lines().filter(|line| line.contains("make room on the disk")).map(str::to_owned);
        Some(full.collect::<Vec<_>>()).filter(|lines| !lines.is_empty())
    };
    let lines = eventually("the line in the log", lines).await;
    // One every ten seconds, should this machine be that slow.
    let most = 1 + begun.elapsed().as_secs() / 10;
    assert!(lines.len() as u64 <= most, "{lines:?}");
    assert!(lines[0].contains("File too large") && lines[0].contains("suppressed=0"), "{lines:?}");
}
