//! Many clients at once.

use sealift_protocol::Request;
use sealift_protocol::message::{MakeDirectory, Reply};
use sealift_tests::{PATIENCE, Pattern, Refusal, Settings, World, within};
use sealift_types::ErrorCode;

use crate::code;

#[tokio::test]
async fn fifty_clients_at_once() {
    let world = World::start().await;
    let mut machines = Vec::new();
    for number in 0..10 {
        machines.push(world.enrol(&format!("user-{number}")).await);
    }
    let mut tasks = Vec::new();
    for number in 0..50_u64 {
        let machine = machines[usize::try_from(number).unwrap() % machines.len()].clone();
        tasks.push(tokio::spawn(async move {
            let mut client = machine.connect().await;
            let directory = format!("d{number}");
            for (index, size) in [0, 10, 5_000, 65_536, 65_537, 300_000].into_iter().enumerate() {
                let content = Pattern::new(number, size).whole();
                let file = format!("{directory}/f{index}");
                client.put_stream(&file, &content).await.unwrap();
                assert!(client.get(&file).await.unwrap() == content, "{file}");
            }
            assert_eq!(client.names(&directory).await, ["f0", "f1", "f2", "f3", "f4", "f5"]);
            client.mv(&format!("{directory}/f1"), &format!("{directory}/g1")).await.unwrap();
            client.remove(&format!("{directory}/f5")).await.unwrap();
            assert_eq!(client.names(&directory).await, ["f0", "f2", "f3", "f4", "g1"]);
            assert_eq!(code(client.get(&format!("{directory}/f5")).await), ErrorCode::NotFound);
            client.close().await;
        }));
    }
    for task in tasks {
        within(PATIENCE, "one of fifty clients", task).await.unwrap();
    }
    for machine in &machines {
        assert_eq!(machine.connect().await.names("").await.len(), 5);
    }
    world.store().settled().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let world = World::with(Settings::new().max_connections(2)).await;
    let alice = world.enrol("alice").await;
    let (first, mut second) = (alice.connect().await, alice.connect().await);
    match alice.try_connect().await {
        Err(Refusal::Said(error)) => assert!(error.code == ErrorCode::Busy && error.retry, "{error:?}"),
        other => panic!("{other:?}"),
    }
    second.whoami().await.unwrap();
    first.close().await;
    // The place is free as soon as the server has seen the end of the first connection.
    let mut third = None;
    while third.is_none() {
        third = alice.try_connect().await.ok();
    }
    third.unwrap().0.whoami().await.unwrap();
}

/// One file in a directory, changed by many hands: whatever is read is one of the contents, whole.
#[tokio::test]
async fn writers_of_one_name_never_mix_their_contents() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    alice.connect().await.put_stream("file", &Pattern::new(0, 70_000).whole()).await.unwrap();
    let mut tasks = Vec::new();
    for seed in 1..=4 {
        let mut client = alice.connect().await;
        tasks.push(tokio::spawn(async move {
            for round in 0..10 {
                let size = if round % 2 == 0 { 70_000 + seed } else { 100 };
                client.put_stream("file", &Pattern::new(seed * 100 + round, size).whole()).await.unwrap();
            }
        }));
    }
    for _ in 0..2 {
        let mut client = alice.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..40 {
                client.get("file").await.unwrap();
            }
        }));
    }
    for task in tasks {
        within(PATIENCE, "readers and writers of one name", task).await.unwrap();
    }
    world.store().settled().await;
    assert_eq!(world.store().count("objects"), 1);
}

/// Changes that touch many entries each, sent as fast as one identity can, make nobody else wait for all of them; and what is
/// still waiting when their client goes away is not made any more.
#[tokio::test]
async fn the_changes_of_one_identity_take_turns_with_those_of_others() {
    const CHANGES: i64 = 240;
    let world = World::start().await;
    let mut alice = world.enrol("alice").await.connect().await;
    let mut bob = world.enrol("bob").await.connect().await;
    let deep = "d/".repeat(1_500);
    alice.make_directory(&deep, None).await.unwrap();
    let before = world.store().count("entries");
    for number in 0..CHANGES {
        let path = sealift_tests::client::path(&format!("{deep}{number}"));
        alice.push(&Request::MakeDirectory(MakeDirectory { path, mtime: None, if_absent: false }));
    }
    alice.flush().await;
    assert_eq!(alice.reply().await, Reply::Done {});
    bob.put_inline("file", b"content").await.unwrap();
    let made = world.store().count("entries") - before - 1;
    assert!(made < CHANGES / 2, "{made} were made first");
    drop(alice);
    // The collector of what nobody refers to waits for everything before it, too.
    world.store().settled().await;
    bob.put_inline("another", b"content").await.unwrap();
    let made = world.store().count("entries") - before - 2;
    assert!(made < CHANGES, "{made} were made for nobody");
    world.stop().await;
}
