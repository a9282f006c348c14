//! Attacks on each limit of memory, queues and unfinished uploads: the limit holds, is told, and concerns its owner only.

use std::time::Duration;

use sealift_protocol::message::{Body, MakeDirectory, Plan, PlannedFile, Put, Reply, Request, Whoami};
use sealift_protocol::{FrameKind, Header};
use sealift_tests::client::{hello, list, path};
use sealift_tests::transfer::{end_of, put};
use sealift_tests::{Client, Launcher, Machine, Pattern, RealServer, Settings, World, eventually};
use sealift_types::ErrorCode;

use crate::watching::{metric, metrics};
use crate::{SEALIFTD, code};

const MIB: u64 = 1024 * 1024;

/// Everything that somebody else does, on connections old and new.
async fn assert_serves(machine: &Machine, client: &mut Client) {
    client.put_inline("small", b"small").await.unwrap();
    client.put_stream("large", &Pattern::new(5, 3 * MIB).whole()).await.unwrap();
    assert_eq!(client.get("large").await.unwrap().len() as u64, 3 * MIB);
    assert_eq!(client.names("").await, ["large", "small"]);
    machine.connect().await.whoami().await.unwrap();
    client.remove("large").await.unwrap();
}

/// A connection of a client that reads nothing, and has asked for this.
async fn deaf(machine: &Machine, requests: &[Request]) -> Client {
    let mut client = machine.dial_with_a_small_window().await;
    client.push(&hello());
    requests.iter().for_each(|request| client.push(request));
    client.flush().await;
    client
}

fn get(file: &str) -> Request {
    Request::Get(sealift_protocol::message::Get {
        path: path(file),
        offset: 0,
        sha256: None,
        length: None,
        preview: false,
    })
}

/// Waits until somebody has to wait for memory.
async fn exhausted(world: &World) {
    while metric(&metrics(world).await, "sealift_memory_waits_total") == 0.0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn unread_downloads_hold_half_of_the_memory_and_others_go_on() {
    let world = World::with(Settings::new().metrics().line("memory.budget = '24MiB'")).await;
    let (mallory, bob) = (world.enrol("mallory").await, world.enrol("bob").await);
    let mut other = bob.connect().await;
    let mut first = mallory.connect().await;
    first.put_stream("file", &Pattern::new(1, 16 * MIB).whole()).await.unwrap();
    first.put_stream("short", &Pattern::new(2, MIB).whole()).await.unwrap();
    let mut unread = Vec::new();
    for number in 0..60 {
        let file = ["file", "short"][number % 2];
        unread.push(deaf(&mallory, &[get(file), get(file), get("file")]).await);
    }
    exhausted(&world).await;
    assert_serves(&bob, &mut other).await;
    let page = metrics(&world).await;
    let most = metric(&page, "sealift_memory_most_bytes");
    // What mallory may have, and what bob has beside it.
    assert!(most > (8 * MIB) as f64 && most <= (24 * MIB) as f64, "{most}");
    assert_serves(&bob, &mut other).await;
    // Who reads after all gets all.
    let mut late = unread.remove(0);
    assert!(matches!(late.reply().await, sealift_protocol::message::Reply::Welcome(_)));
    for _ in 0..2 {
        late.receive(std::io::sink()).await.unwrap().verified().unwrap();
    }
    drop((late, unread, first, other));
    let given_back = async {
        while metric(&metrics(&world).await, "sealift_memory_used_bytes") > 0.0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    sealift_tests::within(sealift_tests::PATIENCE, "the memory of all that has ended", given_back).await;
}

#[tokio::test]
async fn requests_and_listings_that_nobody_reads_hold_no_more_than_their_queue() {
    let settings = Settings::new().metrics().line("memory.budget = '24MiB'").line("memory.queue = '256KiB'");
    let world = World::with(settings).await;
    let (mallory, bob) = (world.enrol("mallory").await, world.enrol("bob").await);
    let mut other = bob.connect().await;
    let mut first = mallory.connect().await;
    first.put_stream("file", &Pattern::new(1, 16 * MIB).whole()).await.unwrap();
    for number in 0..500 {
        first.push_inline(&format!("{}{number}", "n".repeat(200)), b"x");
    }
    first.flush().await;
    for _ in 0..500 {
        first.stored().await.unwrap();
    }
    let file = PlannedFile { path: path("a"), size: 1, mtime: None, update: false, sha256: None };
    let plan = serde_json::to_vec(&Request::Plan(Plan { files: vec![file; 1000] })).unwrap();
    let plan = [&Header::new(FrameKind::Control, plan.len()).unwrap().encode()[..], &plan].concat();
    let mut clients = Vec::new();
    for number in 0..30 {
        let ahead = [get("file"), Request::List(list(""))][number % 2].clone();
        clients.push(deaf(&mallory, &[ahead.clone(), ahead.clone(), ahead]).await);
    }
    let mut sending = Vec::new();
    for mut client in clients {
        let plan = plan.clone();
        // As many as the server takes: then nobody reads what is sent, and the sender hangs.
        sending.push(tokio::spawn(async move { while client.writer.write_frame(&plan).await.is_ok() {} }));
    }
    exhausted(&world).await;
    assert_serves(&bob, &mut other).await;
    let most = metric(&metrics(&world).await, "sealift_memory_most_bytes");
    assert!(most <= (24 * MIB) as f64, "{most}");
    sending.iter().for_each(tokio::task::JoinHandle::abort);
    assert_serves(&bob, &mut other).await;
}

#[tokio::test]
async fn large_uploads_under_way_are_counted_for_each_identity() {
    let world = World::with(Settings::new().metrics().line("uploads.unfinished = 3")).await;
    let (mallory, bob) = (world.enrol("mallory").await, world.enrol("bob").await);
    let content = Pattern::new(1, 300_000).whole();
    let begin = async |machine: &Machine| {
        let mut client = machine.connect().await;
        client.push(&Request::Put(put("file", Body::Stream)));
        client.send_data(&content[..200_000]).await;
        client
    };
    let mut under_way = Vec::new();
    for number in 1..=3 {
        under_way.push(begin(&mallory).await);
        let begun = || (world.store().incoming().len() == number).then_some(());
        eventually("an upload under way", begun).await;
    }
    let mut fourth = begin(&mallory).await;
    let refused = fourth.refusal().await;
    assert_eq!(refused.code, ErrorCode::Busy);
    assert!(
        refused.message.contains("3 large uploads") && refused.message.contains("`uploads.unfinished`"),
        "{refused}"
    );
    // In step, and small ones are not meant.
    fourth.push_trailer(&end_of(&content[..200_000]));
    fourth.put_inline("small", b"small").await.unwrap();
    bob.connect().await.put_stream("file", &content).await.unwrap();
    let mut one = under_way.pop().unwrap();
    one.send_data(&content[200_000..]).await;
    one.push_trailer(&end_of(&content));
    one.flush().await;
    one.stored().await.unwrap();
    fourth.put_stream("fourth", &content).await.unwrap();
    assert_eq!(metric(&metrics(&world).await, "sealift_unfinished_refused_total"), 1.0);
}

/// Nothing is answered while somebody else keeps the catalog, so all of it is in flight.
#[tokio::test]
async fn requests_in_flight_are_counted_for_each_identity() {
    let settings = Settings::new().metrics().line("limits.requests_per_identity = 8");
    let world = World::with(settings.stall(Duration::from_millis(500))).await;
    let (mallory, bob) = (world.enrol("mallory").await, world.enrol("bob").await);
    let (mut first, mut second) = (mallory.connect().await, mallory.connect().await);
    let mut other = bob.connect().await;
    let mut late = world.enrol("mallory").await.connect().await;
    let make = |name: &str, number: i64| {
        Request::MakeDirectory(MakeDirectory {
            path: path(&format!("{name}{number}")),
            mtime: None,
            if_absent: false,
        })
    };
    let catalog = rusqlite::Connection::open(world.data.join("catalog.db")).unwrap();
    catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The first request of a connection is always taken, and eight more of all of them.
    for number in 0..9 {
        first.push(&make("first", number));
    }
    first.flush().await;
    let in_flight = async { while metric(&metrics(&world).await, "sealift_requests_in_flight") < 8.0 {} };
    sealift_tests::within(sealift_tests::PATIENCE, "eight requests in flight", in_flight).await;
    for number in 0..2 {
        second.push(&make("second", number));
    }
    second.flush().await;
    let refused = async { while metric(&metrics(&world).await, "sealift_requests_refused_total") < 1.0 {} };
    sealift_tests::within(sealift_tests::PATIENCE, "a refusal", refused).await;
    // A connection that asks for one thing after the other goes on, and so does everybody else.
    late.whoami().await.unwrap();
    let question = Request::Whoami(Whoami {});
    for _ in 0..20 {
        other.push(&question);
    }
    other.flush().await;
    for _ in 0..20 {
        assert!(matches!(other.reply().await, Reply::Identity(_)));
    }
    catalog.execute_batch("ROLLBACK").unwrap();
    for _ in 0..9 {
        assert!(matches!(first.reply().await, Reply::Done {}));
    }
    assert!(matches!(second.reply().await, Reply::Done {}));
    let refusal = second.last_words().await.expect("a reason");
    assert!(refusal.code == ErrorCode::Busy && refusal.retry, "{refusal:?}");
    assert!(
        refusal.message.contains("8 requests") && refusal.message.contains("`limits.requests_per_identity`"),
        "{refusal}"
    );
    mallory.connect().await.make_directory("again", None).await.unwrap();
    let page = metrics(&world).await;
    assert_eq!(metric(&page, "sealift_requests_in_flight"), 0.0);
    assert!(metric(&page, "sealift_requests_waits_total") >= 1.0);
}

/// A plan whose memory counts in the budget.
fn large_plan() -> Request {
    let file =
        PlannedFile { path: path(&"a".repeat(200)), size: 1, mtime: None, update: false, sha256: None };
    Request::Plan(Plan { files: vec![file; 200] })
}

/// Unread downloads hold so much memory that their identity has none to queue further requests in.
#[tokio::test]
async fn a_request_that_may_wait_holds_up_no_other_and_is_told_to_come_back() {
    let settings = Settings::new().metrics().line("memory.budget = '24MiB'");
    let world = World::with(settings.stall(Duration::from_secs(8))).await;
    let mallory = world.enrol("mallory").await;
    let (mut first, mut later) = (mallory.connect().await, mallory.connect().await);
    let mut stuck = mallory.connect().await;
    first.put_stream("file", &Pattern::new(1, 16 * MIB).whole()).await.unwrap();
    let mut unread = Vec::new();
    for _ in 0..5 {
        unread.push(deaf(&mallory, &[get("file")]).await);
    }
    let used = async || metric(&metrics(&world).await, "sealift_memory_used_bytes");
    let held = async { while used().await < (6 * MIB) as f64 {} };
    sealift_tests::within(sealift_tests::PATIENCE, "memory in use", held).await;
    // Nothing changes while somebody else keeps the catalog.
    let catalog = rusqlite::Connection::open(world.data.join("catalog.db")).unwrap();
    catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
    stuck.push(&Request::MakeDirectory(MakeDirectory { path: path("d"), mtime: None, if_absent: false }));
    stuck.push(&large_plan());
    stuck.flush().await;
    exhausted(&world).await;
    // Neither the first request of a connection waits for the one above, nor do those behind it.
    assert!(matches!(first.request(&large_plan()).await, Reply::Plan { .. }));
    (0..3).for_each(|_| later.push(&large_plan()));
    later.flush().await;
    for _ in 0..3 {
        assert!(matches!(later.reply().await, Reply::Plan { .. }));
    }
    let refused = async { while metric(&metrics(&world).await, "sealift_memory_refused_total") < 1.0 {} };
    sealift_tests::within(sealift_tests::PATIENCE, "a refusal", refused).await;
    catalog.execute_batch("ROLLBACK").unwrap();
    stuck.reply().await;
    let refusal = stuck.last_words().await.expect("a reason");
    assert!(refusal.code == ErrorCode::Busy && refusal.retry, "{refusal:?}");
    assert!(refusal.message.contains("`memory.budget`"), "{refusal}");
}

/// The paths of uploads that can be continued.
fn rows(world: &World) -> Vec<String> {
    world.administer(|connection| {
        let mut statement = connection.prepare("SELECT path FROM parts ORDER BY path").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    })
}

#[tokio::test]
async fn what_broke_off_makes_room_for_what_comes_the_oldest_first() {
    let world = World::with(Settings::new().line("uploads.unfinished = 3")).await;
    let (mallory, bob) = (world.enrol("mallory").await, world.enrol("bob").await);
    let content = Pattern::new(1, 4 * MIB).whole();
    let break_off = async |machine: &Machine, file: &str| {
        let mut client = machine.connect().await;
        let request = Put { size: Some(4 * MIB), mtime: Some(1), ..put(file, Body::Stream) };
        client.push(&Request::Put(request));
        for frame in content[..2 << 20].chunks(250_000) {
            client.send_data(frame).await;
        }
        drop(client);
        let has_row = || rows(&world).iter().any(|part| part == file).then_some(());
        eventually("the row of a part", has_row).await;
        let let_go = async {
            while matches!(
                machine.connect().await.plan_dated(file, 4 * MIB, 1).await,
                sealift_protocol::message::Verdict::Send
            ) {}
        };
        sealift_tests::within(sealift_tests::PATIENCE, "an offer to continue", let_go).await;
    };
    break_off(&bob, "of-bob").await;
    for number in 0..6 {
        break_off(&mallory, &format!("part{number}")).await;
    }
    let few = || (world.store().incoming().len() == 4).then_some(());
    eventually("three parts of mallory and one of bob", few).await;
    assert_eq!(rows(&world), ["of-bob", "part3", "part4", "part5"]);
}

#[tokio::test]
async fn bytes_of_unfinished_uploads_are_bounded() {
    let world = World::with(Settings::new().metrics().line("uploads.unfinished_bytes = '4MiB'")).await;
    let (mallory, bob) = (world.enrol("mallory").await, world.enrol("bob").await);
    let content = Pattern::new(1, 5 * MIB).whole();
    let mut client = mallory.connect().await;
    for announced in [Some(5 * MIB), None] {
        let refused = client.put_from("file", &content[..], announced).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NoSpace, "{announced:?}");
        assert!(
            refused.message.contains("4 MiB") && refused.message.contains("`uploads.unfinished_bytes`"),
            "{refused}"
        );
    }
    assert_eq!(code(client.get("file").await), ErrorCode::NotFound);
    let mut under_way = mallory.connect().await;
    under_way.push(&Request::Put(put("other", Body::Stream)));
    for frame in content[..3 << 20].chunks(250_000) {
        under_way.send_data(frame).await;
    }
    let there = || {
        world
            .store()
            .incoming()
            .first()
            .is_some_and(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > MIB))
            .then_some(())
    };
    eventually("most of an upload", there).await;
    assert_eq!(code(client.put_stream("file", &content[..3 << 20]).await), ErrorCode::NoSpace);
    assert_eq!(metric(&metrics(&world).await, "sealift_unfinished_refused_total"), 3.0);
    bob.connect().await.put_stream("file", &content[..3 << 20]).await.unwrap();
    under_way.push_trailer(&end_of(&content[..3 << 20]));
    under_way.flush().await;
    under_way.stored().await.unwrap();
    client.put_stream("file", &content[..3 << 20]).await.unwrap();
}

/// The server's memory as its system sees it, with default settings.
#[tokio::test]
async fn many_unread_downloads_by_one_identity_leave_the_process_small() {
    let server: RealServer = Launcher::new(SEALIFTD)
        .settings(Settings::new().line("limits.connections_per_identity = 1000"))
        .start()
        .await;
    let (mallory, bob) = (server.enrol("mallory").await, server.enrol("bob").await);
    let mut other = bob.connect().await;
    mallory.connect().await.put_from("file", Pattern::new(1, 64 * MIB), None).await.unwrap();
    let mut unread = Vec::new();
    for _ in 0..300 {
        unread.push(deaf(&mallory, &[get("file")]).await);
    }
    assert_serves(&bob, &mut other).await;
    assert!(server.threads() < 120, "{} threads", server.threads());
    assert!(server.peak_memory() < 200 * MIB, "{} MiB", server.peak_memory() / MIB);
    let burst = server.memory();
    drop((unread, other));
    // Blocks are given back when nobody has needed them for two looks.
    let given_back = || (server.memory() + 48 * MIB < burst).then_some(());
    eventually("the memory of a burst", given_back).await;
}
