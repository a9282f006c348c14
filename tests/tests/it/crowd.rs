//! What one client, or very many, can hold without letting go: it must never be what others need.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealift_protocol::message::{Body, Request};
use sealift_server::descriptors::Descriptors;
use sealift_tests::client::hello;
use sealift_tests::transfer::{put, put_inline};
use sealift_tests::{Client, Machine, Pattern, Settings, World, eventually, within};
use serde_json::json;

/// By when others must be served: far below every time-out that would help the server out.
const SOON: Duration = Duration::from_secs(5);

/// More connections than the runtime has threads that may block, which are 512.
const CROWD: u64 = 600;

/// Lets this process have as many files open as the system allows it.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// So many that one identity may have the whole crowd.
const CONNECTIONS: &str = "limits.connections_per_identity = 1000";

/// A server that lets one identity have so many connections.
async fn crowded() -> World {
    Descriptors::raise();
    World::with(Settings::new().line(CONNECTIONS)).await
}

/// Connections that all have sent what `begin` sends.
async fn crowd(machine: &Machine, begin: impl AsyncFn(&mut Client, u64)) -> Vec<Client> {
    allow_many_files();
    let mut clients = Vec::new();
    for number in 0..CROWD {
        let what = format!("welcome beside {number} others");
        let mut client = within(SOON, &what, machine.connect()).await;
        begin(&mut client, number).await;
        clients.push(client);
    }
    clients
}

/// Every kind of request, on an open connection and on a new one.
async fn assert_serves_others(client: &mut Client, machine: &Machine, beside: &str) {
    let what = |request: &str| format!("{request} beside {beside}");
    within(SOON, &what("a listing"), client.list("")).await.unwrap();
    within(SOON, &what("a small upload"), client.put_inline("other", &[1; 60_000])).await.unwrap();
    within(SOON, &what("a small download"), client.get("other")).await.unwrap();
    within(SOON, &what("a large upload"), client.put_stream("large", &[2; 400_000])).await.unwrap();
    within(SOON, &what("a large download"), client.get("large")).await.unwrap();
    within(SOON, &what("a deletion"), client.remove("large")).await.unwrap();
    let mut second = within(SOON, &what("another connection"), machine.connect()).await;
    within(SOON, &what("its request"), second.whoami()).await.unwrap();
}

#[tokio::test]
async fn many_slow_large_uploads_leave_room_for_others() {
    // More than one identity may have, so that it is the server's own means that are put to the test.
    let limits = ["uploads.unfinished = 1000", "memory.budget = '1GiB'", CONNECTIONS];
    let world = World::with(limits.into_iter().fold(Settings::new(), Settings::line)).await;
    Descriptors::raise();
    let alice = world.enrol("alice").await;
    let mut other = alice.connect().await;
    let _slow = crowd(&alice, async |client, number| {
        client.push(&Request::Put(put(&format!("slow-{number}"), Body::Stream)));
        client.send_data(&[7; 70_000]).await;
    })
    .await;
    let under_way = || (world.store().incoming().len() as u64 == CROWD).then_some(());
    within(SOON, "all uploads under way", eventually("all uploads under way", under_way)).await;
    assert_serves_others(&mut other, &alice, "many slow large uploads").await;
}

#[tokio::test]
async fn many_slow_small_uploads_leave_room_for_others() {
    let world = crowded().await;
    let alice = world.enrol("alice").await;
    let mut other = alice.connect().await;
    let content = vec![7; 65_536];
    let _slow = crowd(&alice, async |client, number| {
        client.push(&Request::Put(put_inline(&format!("slow-{number}"), &content)));
        // The frame's header, and the first byte of its payload.
        client.send_raw(b"D\x01\x00\x00\x07").await;
    })
    .await;
    assert_serves_others(&mut other, &alice, "many slow small uploads").await;
}

#[tokio::test]
async fn many_unread_downloads_leave_room_for_others() {
    let world = crowded().await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let mut other = bob.connect().await;
    alice.connect().await.put_from("file", Pattern::new(1, 20 << 20), None).await.unwrap();
    allow_many_files();
    let mut unread = Vec::new();
    for _ in 0..CROWD {
        let mut client = alice.dial_with_a_small_window().await;
        client.push(&hello());
        client.ask("file", 0).await;
        unread.push(client);
    }
    assert_serves_others(&mut other, &bob, "many unread downloads").await;
}

/// Strangers need no certificate to connect, so they must not be able to fill a queue that others wait in.
#[tokio::test]
async fn silent_strangers_keep_nobody_out() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut other = alice.connect().await;
    let mut strangers = Vec::new();
    for _ in 0..300 {
        strangers.push(world.knock().await);
    }
    assert_serves_others(&mut other, &alice, "300 silent strangers").await;
}

/// An upload keeps the collector away until it is committed, but not until its client cares to read the reply: the
/// collector waits for every such guard, and everybody waits for the collector.
#[tokio::test]
async fn a_client_that_reads_no_replies_holds_up_nobody() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut other = alice.connect().await;
    other.put_stream("garbage-to-be", &[3; 100_000]).await.unwrap();

    let mut deaf = alice.connect_with_a_small_window().await;
    let content = Pattern::new(1, 66_000).whole();
    // Refusals that quote long paths fill the buffers between the two, with an upload here and there.
    let hostile = json!({ "type": "get", "path": format!("a//{}", "x".repeat(3900)) });
    let round = async |client: &mut Client| {
        for _ in 0..60 {
            client.push_json(&hostile);
        }
        client.send_stream(&put("deaf", Body::Stream), &content[..]).await;
    };
    // Until the server reads no further, because nobody takes its replies.
    while tokio::time::timeout(Duration::from_millis(500), round(&mut deaf)).await.is_ok() {}

    other.remove("garbage-to-be").await.unwrap();
    assert_serves_others(&mut other, &alice, "a client that reads no replies").await;
}
