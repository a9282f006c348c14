//! Trees that are too large for one change: others are served meanwhile, and nobody sees half of one.

use sealift_protocol::message::{Reply, Request, Transplant, WORKING};
use sealift_tests::client::path;
use sealift_tests::{Client, Settings, World};
use sealift_types::ErrorCode;
use serde_json::json;

use crate::code;

/// Doublings of a directory with 30 entries.
const DOUBLINGS: usize = 8;

/// Makes `t` with two copies of something that has two copies of something, and so on. Returns the entries below it.
async fn plant(client: &mut Client) -> u64 {
    for number in 0..30 {
        client.push_inline(&format!("s0/{number}"), format!("content {number}").as_bytes());
    }
    client.flush().await;
    for _ in 0..30 {
        client.stored().await.unwrap();
    }
    let mut entries = 30;
    for round in 0..DOUBLINGS {
        for half in ["a", "b"] {
            client.cp(&format!("s{round}"), &format!("s{}/{half}", round + 1)).await.unwrap();
        }
        entries = 2 * (entries + 1);
    }
    client.mv(&format!("s{DOUBLINGS}"), "t").await.unwrap();
    entries
}

fn copy(from: &str, to: &str) -> Request {
    Request::Copy(Transplant::new(path(from), path(to)))
}

#[tokio::test]
async fn others_are_served_while_a_large_tree_is_copied_and_removed() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let bob = world.enrol("bob").await;
    let (mut client, mut other) = (alice.connect().await, bob.connect().await);
    let entries = plant(&mut client).await;
    let copying = tokio::spawn(async move {
        let reply = client.request(&copy("t", "copy")).await;
        assert!(matches!(reply, Reply::Placed { .. }), "{reply:?}");
        client
    });
    // Bob stores one file after the other until the copy is there: each of his commits lies between two slices.
    let mut between = 0;
    let mut watcher = alice.connect().await;
    while !copying.is_finished() {
        other.put_inline(&format!("f{between}"), b"bob's").await.unwrap();
        between += 1;
        // Whoever looks sees all of the copy or nothing.
        if watcher.info("copy").await.is_ok() {
            watcher.info(&format!("copy{}/29", "/b".repeat(DOUBLINGS))).await.unwrap();
        }
    }
    let mut client = copying.await.unwrap();
    assert!(between >= 3, "bob could store {between} files");
    assert_eq!(client.list_all("copy").await.unwrap().len() as u64, entries);
    client.remove_all("copy").await.unwrap();
    assert_eq!(code(client.info("copy").await), ErrorCode::NotFound);
    client.remove_all("t").await.unwrap();
    world.store().settled().await;
    assert_eq!(client.list_all("").await.unwrap().len() as u64, 30 + 1 + entries_of_the_halves());
}

/// Entries of what the tree was made of, each with its directory, but for the first.
fn entries_of_the_halves() -> u64 {
    let (mut entries, mut sum) = (30, 0);
    for _ in 1..DOUBLINGS {
        entries = 2 * (entries + 1);
        sum += entries + 1;
    }
    sum
}

#[tokio::test]
async fn a_copy_ends_with_its_client_and_leaves_nothing() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    plant(&mut client).await;
    let before = world.store().count("entries");
    let mut leaving = alice.connect().await;
    leaving.push(&copy("t", "copy"));
    leaving.flush().await;
    // Gone without a goodbye, while the copy grows.
    while world.store().count("entries") == before {
        tokio::task::yield_now().await;
    }
    drop(leaving);
    world.store().settled().await;
    let copied = client.info("copy").await;
    match copied {
        // The server was faster than the client.
        Ok(_) => assert!(world.store().count("entries") > before),
        Err(error) => {
            assert_eq!(error.code, ErrorCode::NotFound);
            assert_eq!(world.store().count("entries"), before);
        }
    }
}

#[tokio::test]
async fn what_follows_a_copy_sees_it_and_what_precedes_it_is_in_it() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    plant(&mut client).await;
    client.push_inline("t/last", b"last");
    client.push(&copy("t", "copy"));
    client.push(&Request::Move(Transplant::new(path("copy/last"), path("moved"))));
    client.push_inline("copy/new", b"new");
    client.flush().await;
    client.stored().await.unwrap();
    for _ in 0..2 {
        let reply = client.reply().await;
        assert!(matches!(reply, Reply::Placed { .. }), "{reply:?}");
    }
    client.stored().await.unwrap();
    assert_eq!(client.get("moved").await.unwrap(), b"last");
    assert_eq!(client.get("copy/new").await.unwrap(), b"new");
    assert_eq!(client.get("t/last").await.unwrap(), b"last");
}

#[tokio::test]
async fn a_client_that_waits_is_told_so_if_it_wants_to() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut planter = alice.connect().await;
    plant(&mut planter).await;
    for (features, wants) in [(json!([WORKING]), true), (json!([]), false)] {
        let mut client = alice.dial().await;
        let hello = json!({"type": "hello", "versions": [1], "features": features});
        assert!(matches!(client.request_json(&hello).await, Reply::Welcome(_)));
        client.push(&copy("t", &format!("copy {wants}")));
        client.flush().await;
        let (mut last, mut signs) = (0, 0);
        loop {
            match client.reply().await {
                Reply::Working { entries } => {
                    assert!(wants && entries >= last, "{entries} after {last}");
                    (last, signs) = (entries, signs + 1);
                }
                Reply::Placed { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(signs > 0, wants, "{signs}");
    }
}

#[tokio::test]
async fn a_copy_that_is_larger_than_the_limit_is_refused_and_leaves_nothing() {
    let world = World::with(Settings::new().copy_limit(3000)).await;
    let mut client = world.enrol("alice").await.connect().await;
    for number in 0..50 {
        client.make_directory(&format!("s0/{number}"), None).await.unwrap();
    }
    for round in 0..6 {
        for half in ["a", "b"] {
            client.cp(&format!("s{round}"), &format!("s{}/{half}", round + 1)).await.unwrap();
        }
    }
    let before = world.store().count("entries");
    let error = client.cp("s6", "copy").await.unwrap_err();
    assert!(error.code == ErrorCode::NotAllowed && error.message.contains("3000"), "{error:?}");
    world.store().settled().await;
    assert_eq!(world.store().count("entries"), before);
}
