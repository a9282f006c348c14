//! Small contents that wait for the same commit share a file: nobody notices.

use std::fs;

use sealift_protocol::message::Reply;
use sealift_tests::{Client, Launcher, Pattern, Site, World, eventually};
use sealift_types::{Digest, ErrorCode};

use crate::{SEALIFTD, code};

const FILES: u64 = 200;

fn content(number: u64) -> Vec<u8> {
    Pattern::new(number, 20_000 + 101 * number).whole()
}

/// Uploads while nobody can write to the catalog, so that many wait for the same commit.
async fn upload_at_once(site: &Site, client: &mut Client) {
    let catalog = site.catalog();
    catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..FILES {
        client.push_inline(&format!("d/{number}"), &content(number));
    }
    client.flush().await;
    catalog.execute_batch("ROLLBACK").unwrap();
    for number in 0..FILES {
        match client.reply().await {
            Reply::Stored(stored) => assert_eq!(stored.sha256, Digest::of(&content(number))),
            other => panic!("{other:?}"),
        }
    }
}

async fn all_are_there(client: &mut Client, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        assert!(client.get(&format!("d/{number}")).await.unwrap() == content(number), "{number}");
    }
}

#[tokio::test]
async fn packed_contents_are_read_kept_and_deleted_like_others() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    upload_at_once(&world, &mut client).await;
    let packs = world.store().blobs();
    assert!(!packs.is_empty() && packs.len() < 20, "{} files", packs.len());
    world.store().settled().await;
    all_are_there(&mut client, 0..FILES).await;
    // From the middle on.
    client.ask("d/7", 10_000).await;
    let mut rest = Vec::new();
    client.receive(&mut rest).await.unwrap();
    assert!(rest == content(7)[10_000..]);

    // What is in nobody's reach is not given away: the same contents by somebody else.
    let mut bob = world.enrol("bob").await.connect().await;
    assert_eq!(
        code(bob.claim("stolen", content(7).len() as u64, Digest::of(&content(7))).await),
        ErrorCode::Absent
    );
    client.claim("claimed", content(7).len() as u64, Digest::of(&content(7))).await.unwrap();

    // Most of them go, and the packs with them; the others stay.
    for number in (0..FILES).filter(|number| number % 5 != 0) {
        client.remove(&format!("d/{number}")).await.unwrap();
    }
    eventually("the packs to go", || packs.values().all(|file| !file.exists()).then_some(())).await;
    world.store().settled().await;
    all_are_there(&mut client, (0..FILES).filter(|number| number % 5 == 0)).await;
    assert!(client.get("claimed").await.unwrap() == content(7));
}

#[tokio::test]
async fn packed_contents_survive_a_kill() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    upload_at_once(&server, &mut alice.connect().await).await;
    assert!(!server.store().blobs().is_empty());
    server.kill();
    let server = launcher.start().await;
    all_are_there(&mut alice.at(server.address).connect().await, 0..FILES).await;
    server.store().settled().await;
}

#[tokio::test]
async fn damage_of_a_pack_is_found_and_mended_by_the_next_upload() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    upload_at_once(&world, &mut client).await;
    for file in world.store().blobs().into_values() {
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap();
    }
    let mut damaged = Vec::new();
    for number in 0..FILES {
        if let Err(error) = client.get(&format!("d/{number}")).await {
            assert_eq!(error.code, ErrorCode::Integrity);
            damaged.push(number);
        }
    }
    assert!(damaged.len() > 10, "{damaged:?}");
    for number in &damaged {
        client.report(&format!("d/{number}"), Digest::of(&content(*number))).await.unwrap();
        client.put_inline("again", &content(*number)).await.unwrap();
    }
    all_are_there(&mut client, 0..FILES).await;
    world.store().settled().await;
}
