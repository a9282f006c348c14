//! Deleting frees space, and never what somebody still reads or has just stored.

use sealift_protocol::message::{Reply, Trailer};
use sealift_server::monitor::control;
use sealift_tests::{PATIENCE, Pattern, World, eventually, within};
use sealift_types::{Digest, ErrorCode};

use crate::code;

#[tokio::test]
async fn the_file_goes_with_the_last_name() {
    let world = World::start().await;
    let (mut alice, mut bob) =
        (world.enrol("alice").await.connect().await, world.enrol("bob").await.connect().await);
    let content = Pattern::new(1, 100_000).whole();
    let file = world.store().blob(&Digest::of(&content));
    alice.put_stream("one", &content).await.unwrap();
    alice.cp("one", "two").await.unwrap();
    bob.put_stream("three", &content).await.unwrap();
    alice.remove("one").await.unwrap();
    alice.put_inline("two", b"replaced").await.unwrap();
    assert!(file.exists(), "bob has it");
    assert!(bob.get("three").await.unwrap() == content);
    bob.remove("three").await.unwrap();
    eventually("the file to go", || (!file.exists()).then_some(())).await;
    world.store().settled().await;
    assert_eq!(world.store().count("objects"), 1);
}

/// Every way to lose a last name frees the space by itself, without another request to remind the server.
/// Small contents that come one by one are rows of the catalog. Its pages go back to the disk, and the status shows them.
#[tokio::test]
async fn the_catalog_gives_its_free_pages_back() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let sizes = async || {
        let status = control::ask(&world.data).await.unwrap().expect("the server answers");
        status.store.map_or((0, 0), |stock| (stock.catalog_bytes, stock.catalog_free_bytes))
    };
    let counted = async {
        loop {
            let (all, _) = sizes().await;
            if all > 0 {
                return all;
            }
        }
    };
    let empty = within(PATIENCE, "a count", counted).await;
    for number in 0..80 {
        client.put_inline(&format!("d/{number}"), &Pattern::new(number, 60_000).whole()).await.unwrap();
    }
    const MIB: u64 = 1024 * 1024;
    let grown = async { while sizes().await.0 < empty + 4 * MIB {} };
    within(PATIENCE, "a catalog that has grown", grown).await;
    client.remove_all("d").await.unwrap();
    let shrunk = async {
        loop {
            let (all, free) = sizes().await;
            if all < empty + 2 * MIB && free < 2 * MIB {
                return;
            }
        }
    };
    within(PATIENCE, "a catalog that has shrunk", shrunk).await;
    world.store().settled().await;
}

#[tokio::test]
async fn replacing_and_moving_over_free_space_as_well() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for round in 0..10 {
        let content = |number: u64| Pattern::new(10 * round + number, 100_000).whole();
        client.put_stream("a", &content(0)).await.unwrap();
        client.put_stream("a", &content(1)).await.unwrap();
        world.store().settled().await;
        client.put_stream("b", &content(2)).await.unwrap();
        client.mv("a", "b").await.unwrap();
        world.store().settled().await;
        client.put_stream("c", &content(3)).await.unwrap();
        client.cp("b", "c").await.unwrap();
        world.store().settled().await;
        assert_eq!(world.store().blobs().into_keys().collect::<Vec<_>>(), [Digest::of(&content(1))]);
        client.put_inline("b", b"small").await.unwrap();
        client.put_inline("c", b"small").await.unwrap();
        world.store().settled().await;
        assert!(world.store().blobs().is_empty());
    }
}

#[tokio::test]
async fn a_download_under_way_outlives_the_deletion() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    // More than fits the buffers between the two.
    let content = Pattern::new(1, 40 << 20);
    let mut other = alice.connect().await;
    other.put_from("file", content.clone(), None).await.unwrap();
    let mut client = alice.connect_with_a_small_window().await;
    client.ask("file", 0).await;
    let Reply::Content(announced) = client.reply().await else { panic!("no content") };
    other.remove("file").await.unwrap();
    let file = world.store().blob(&announced.sha256);
    eventually("the file to go", || (!file.exists()).then_some(())).await;
    assert_eq!(code(other.get("file").await), ErrorCode::NotFound);
    let fetched = client.receive_body(announced, std::io::sink()).await;
    fetched.verified().unwrap();
    assert_eq!(fetched.trailer, Trailer::End { size: content.size(), sha256: content.digest() });
    world.store().settled().await;
}

/// Two clients store, read and delete the same content as fast as they can, so that nearly every upload meets the
/// collector at work on the content's file.
async fn store_and_delete_at_once(size: u64) {
    let world = World::start().await;
    let content = Pattern::new(1, size).whole();
    let mut tasks = Vec::new();
    for name in ["alice", "bob", "cyd"] {
        let mut client = world.enrol(name).await.connect().await;
        let content = content.clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..100 {
                client.put_stream("file", &content).await.unwrap();
                assert!(client.get("file").await.unwrap() == content, "round {round}");
                match round % 3 {
                    0 => client.remove("file").await.unwrap(),
                    1 => drop(client.put_inline("file", b"another").await.unwrap()),
                    _ => {
                        let claim = client.claim("again", content.len() as u64, Digest::of(&content)).await;
                        // A copy that somebody else has just replaced is not taken for good.
                        if claim.is_err() {
                            assert_eq!(code(claim), ErrorCode::Absent);
                            client.put_stream("again", &content).await.unwrap();
                        }
                        client.remove("file").await.unwrap();
                        assert!(client.get("again").await.unwrap() == content, "round {round}");
                        client.remove("again").await.unwrap();
                    }
                }
            }
            client.put_stream("last", &content).await.unwrap();
        }));
    }
    for task in tasks {
        within(PATIENCE, "storing and deleting", task).await.unwrap();
    }
    world.store().settled().await;
    assert_eq!(world.store().blobs().len(), usize::from(size > 65_536));
    world.stop().await;
}

#[tokio::test]
async fn a_file_that_is_stored_again_while_it_is_collected_is_never_lost() {
    store_and_delete_at_once(66_000).await;
}

#[tokio::test]
async fn a_row_that_is_stored_again_while_it_is_deleted_is_never_lost() {
    store_and_delete_at_once(600).await;
}

#[tokio::test]
async fn many_deletions_at_once_leave_nothing() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for number in 0..200 {
        client.put_stream(&format!("f{number}"), &Pattern::new(number, 66_000).whole()).await.unwrap();
    }
    assert_eq!(world.store().blobs().len(), 200);
    for number in 0..200 {
        let path = sealift_tests::client::path(&format!("f{number}"));
        client.push(&sealift_protocol::Request::Remove(sealift_protocol::message::Remove {
            path,
            recursive: false,
            if_match: None,
        }));
    }
    client.flush().await;
    for _ in 0..200 {
        assert_eq!(client.reply().await, Reply::Done {});
    }
    world.store().settled().await;
    assert!(world.store().blobs().is_empty());
}
