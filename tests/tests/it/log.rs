//! The transfer log: every transfer is a row, however it ended.

use std::time::Duration;

use sealift_protocol::WireError;
use sealift_protocol::message::{Body, Direction, LogQuery, Put, Request, Trailer, Transfer};
use sealift_tests::transfer::{put, put_inline};
use sealift_tests::{Client, Pattern, Settings, World, eventually};
use sealift_types::{Digest, ErrorCode};
use serde_json::json;

use crate::code;

fn all() -> LogQuery {
    LogQuery { limit: 1000, ..LogQuery::default() }
}

/// The newest row about `path`, once it is there: a row is written behind the reply that it is about.
async fn row(client: &mut Client, path: &str, direction: Direction) -> Transfer {
    loop {
        let rows = client.log(all()).await.unwrap();
        if let Some(row) =
            rows.into_iter().find(|row| row.path.as_str() == path && row.direction == direction)
        {
            return row;
        }
    }
}

#[tokio::test]
async fn what_goes_well_is_logged_to_the_byte() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for (name, size) in [("empty", 0), ("small", 1000), ("large", 300_000)] {
        let content = Pattern::new(1, size).whole();
        let path = format!("/alice/d/{name}");
        let (begun, sent) = (sealift_server::clock::now(), client.writer.bytes());
        client.put_stream(&format!("d/{name}"), &content).await.unwrap();
        let sent = client.writer.bytes() - sent;
        let put = row(&mut client, &path, Direction::Put).await;
        assert_eq!((put.bytes, put.wire_bytes, put.error), (size, sent, None), "{put:?}");
        assert_eq!((put.identity.as_str(), &put.address), ("alice", &client.local.to_string()));
        assert_eq!(put.sha256, Some(Digest::of(&content)));
        let ended = put.started + i64::try_from(put.duration_us).unwrap() * 1000;
        assert!(
            begun <= put.started && put.duration_us > 0 && ended <= sealift_server::clock::now(),
            "{put:?}"
        );

        let received = client.reader.bytes();
        client.get(&path).await.unwrap();
        let received = client.reader.bytes() - received;
        let get = row(&mut client, &path, Direction::Get).await;
        assert_eq!((get.bytes, get.wire_bytes, get.error), (size, received, None), "{get:?}");
        assert!(get.id > put.id && get.started >= put.started);
    }
    let content = Pattern::new(1, 300_000).whole();
    client.ask("d/large", 299_000).await;
    client.receive(&mut Vec::new()).await.unwrap();
    let partly = eventually("the second download's row", || world.store().log().get(6).cloned()).await;
    assert_eq!((partly.bytes, partly.error), (1000, None), "only what crossed counts");
    client.claim("d/claimed", 300_000, Digest::of(&content)).await.unwrap();
    let claimed = row(&mut client, "/alice/d/claimed", Direction::Put).await;
    assert_eq!((claimed.bytes, claimed.error), (300_000, None));
    assert!(claimed.wire_bytes < 300, "{claimed:?}");
}

#[tokio::test]
async fn what_fails_is_logged_with_its_reason() {
    let world = World::start().await;
    world.enrol("bob").await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("d/f", b"x").await.unwrap();
    let content = Pattern::new(1, 1000).whole();

    assert_eq!(code(client.put_inline("d", &content).await), ErrorCode::IsADirectory);
    assert_eq!(row(&mut client, "/alice/d", Direction::Put).await.error, Some(ErrorCode::IsADirectory));
    assert_eq!(code(client.put_stream("/bob/stream", &content).await), ErrorCode::NotAllowed);
    assert_eq!(row(&mut client, "/bob/stream", Direction::Put).await.error, Some(ErrorCode::NotAllowed));
    assert_eq!(code(client.put_inline("/bob/inline", &content).await), ErrorCode::NotAllowed);
    assert_eq!(row(&mut client, "/bob/inline", Direction::Put).await.error, Some(ErrorCode::NotAllowed));

    assert_eq!(code(client.claim("claim", 5, Digest::of(b"none")).await), ErrorCode::Absent);
    let claim = row(&mut client, "/alice/claim", Direction::Put).await;
    assert_eq!(claim.error, Some(ErrorCode::Absent));

    client.push(&Request::Put(Put { sha256: Some(Digest::of(b"")), ..put_inline("wrong", &content) }));
    client.send_data(&content).await;
    assert_eq!(code(client.stored().await), ErrorCode::Integrity);
    let wrong = row(&mut client, "/alice/wrong", Direction::Put).await;
    assert_eq!((wrong.error, wrong.bytes), (Some(ErrorCode::Integrity), 1000));

    client.push(&Request::Put(put("given-up", Body::Stream)));
    client.send_data(&content).await;
    client.push_trailer(&Trailer::Error(WireError::new(ErrorCode::SourceFailed, "no")));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::SourceFailed);
    let given_up = row(&mut client, "/alice/given-up", Direction::Put).await;
    assert_eq!((given_up.error, given_up.bytes), (Some(ErrorCode::SourceFailed), 1000));

    assert_eq!(code(client.get("nothing").await), ErrorCode::NotFound);
    let nothing = row(&mut client, "/alice/nothing", Direction::Get).await;
    assert_eq!((nothing.error, nothing.bytes), (Some(ErrorCode::NotFound), 0));
    assert_eq!(code(client.get("/bob/x").await), ErrorCode::NotAllowed);
    assert_eq!(row(&mut client, "/bob/x", Direction::Get).await.error, Some(ErrorCode::NotAllowed));
}

#[tokio::test]
async fn what_breaks_off_is_logged_as_far_as_it_came() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    let (content, address) = (Pattern::new(1, 200_000).whole(), client.local.to_string());
    client.push(&Request::Put(put("cut", Body::Stream)));
    client.send_data(&content[..100_000]).await;
    client.send_data(&content[100_000..150_000]).await;
    eventually("the upload under way", || world.store().incoming().pop()).await;
    drop(client);
    let row = world.store().logged("/alice/cut").await;
    assert_eq!(
        (row.error.as_deref(), row.bytes, row.direction.as_str()),
        (Some("interrupted"), 150_000, "put")
    );
    assert_eq!((row.address, row.identity.as_str()), (address, "alice"));
    assert!(row.wire_bytes > 150_000 && row.duration_us > 0);

    let mut other = alice.connect().await;
    assert_eq!(code(other.get("cut").await), ErrorCode::NotFound);
    other.put_from("large", Pattern::new(2, 40 << 20), None).await.unwrap();
    let mut client = alice.connect_with_a_small_window().await;
    client.ask("large", 0).await;
    client.reply().await;
    drop(client);
    let row = eventually("the download's row", || {
        world.store().log().into_iter().find(|row| row.path == "/alice/large" && row.direction == "get")
    });
    let row = row.await;
    assert_eq!(row.error.as_deref(), Some("interrupted"));
    assert!(row.bytes < 40 << 20 && row.wire_bytes < 41 << 20, "{row:?}");
    world.store().settled().await;
}

#[tokio::test]
async fn a_transfer_that_the_server_ends_is_logged_too() {
    let world = World::with(Settings::new().stall(Duration::from_millis(300))).await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    client.push(&Request::Put(put("stalled", Body::Stream)));
    client.send_data(&[1; 1000]).await;
    let row = world.store().logged("/alice/stalled").await;
    assert_eq!((row.error.as_deref(), row.bytes), (Some("interrupted"), 1000));
    let mut client = alice.connect().await;
    client.push(&Request::Put(put("garbled", Body::Stream)));
    client.push_json(&json!({ "type": "whoami" }));
    client.flush().await;
    assert_eq!(world.store().logged("/alice/garbled").await.error.as_deref(), Some("interrupted"));
}

/// More refusals than the catalog's queue holds: none is lost.
#[tokio::test]
async fn every_refusal_is_logged_under_load() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    alice.connect().await.put_inline("d/f", b"x").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..12 {
        let mut client = alice.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..250 {
                client.push_inline("d", b"x");
            }
            client.flush().await;
            for _ in 0..250 {
                assert_eq!(client.refusal().await.code, ErrorCode::IsADirectory);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let complete = || (world.store().count("transfers") == 1 + 12 * 250).then_some(());
    let waited = tokio::time::timeout(Duration::from_secs(5), eventually("all rows", complete)).await;
    assert!(waited.is_ok(), "{} of {} rows", world.store().count("transfers"), 1 + 12 * 250);
}

#[tokio::test]
async fn queries_filter_and_page() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for number in 0..60 {
        client.push_inline(&format!("d/{number:02}"), &end_bytes(number));
    }
    client.flush().await;
    for _ in 0..60 {
        client.stored().await.unwrap();
    }
    client.put_inline("d0", b"x").await.unwrap();
    client.put_inline("d%", b"x").await.unwrap();
    client.get("d/07").await.unwrap();
    assert_eq!(code(client.get("d/none").await), ErrorCode::NotFound);
    row(&mut client, "/alice/d/none", Direction::Get).await;

    let everything = client.log(all()).await.unwrap();
    assert_eq!(everything.len(), 64);
    assert!(everything.is_sorted_by(|newer, older| newer.id > older.id));

    let mut paged: Vec<Transfer> = Vec::new();
    loop {
        let before = paged.last().map(|row| row.id);
        let page = client.log(LogQuery { limit: 7, before, ..all() }).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, everything);

    let of = |path: &str| LogQuery { path: Some(path.parse().unwrap()), ..all() };
    let gets = LogQuery { direction: Some(Direction::Get), ..all() };
    let failed = LogQuery { failed: true, ..all() };
    for (query, count) in [
        (of("d"), 62),
        (of("/alice/d/"), 62),
        (of("d/07"), 2),
        (of("d%"), 1),
        (of("d/0"), 0),
        (of("/"), 64),
        (of(""), 64),
        (of("/bob"), 0),
        (gets.clone(), 2),
        (LogQuery { direction: Some(Direction::Put), ..all() }, 62),
        (failed.clone(), 1),
        (LogQuery { failed: true, direction: Some(Direction::Put), ..all() }, 0),
        (LogQuery { path: of("d/07").path, ..gets }, 1),
        (LogQuery { limit: 1, ..all() }, 1),
        (LogQuery { limit: 0, ..all() }, 64),
        (LogQuery { limit: u32::MAX, ..all() }, 64),
        (LogQuery { before: Some(i64::MIN), ..all() }, 0),
        (LogQuery { before: Some(i64::MAX), ..all() }, 64),
    ] {
        assert_eq!(client.log(query.clone()).await.unwrap().len(), count, "{query:?}");
    }
}

fn end_bytes(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

/// Rows with the longest paths, so that a thousand of them take many replies.
#[tokio::test]
async fn a_thousand_long_rows_fill_many_replies() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let long = format!("{}/{}/", "\"".repeat(250), "\\".repeat(250)).repeat(7) + "f";
    client.put_inline(&long, b"x").await.unwrap();
    for round in 0..11 {
        for _ in 0..100 {
            client.push_inline(&long, b"x");
        }
        client.flush().await;
        for _ in 0..100 {
            client.stored().await.unwrap();
        }
        assert_eq!(world.store().count("transfers"), 1 + 100 * (round + 1));
    }
    let rows = client.log(LogQuery { limit: 5000, ..all() }).await.unwrap();
    assert_eq!(rows.len(), 1000, "at most so many in one answer");
    assert!(rows.iter().all(|row| row.path.as_str() == format!("/alice/{long}")));
}

#[tokio::test]
async fn nobody_sees_the_transfers_of_others() {
    let world = World::start().await;
    let mut alice = world.enrol("alice").await.connect().await;
    let mut mallory = world.enrol("mallory").await.connect().await;
    alice.put_inline("secret-name", b"x").await.unwrap();
    assert_eq!(code(mallory.get("/alice/x").await), ErrorCode::NotAllowed);
    row(&mut mallory, "/alice/x", Direction::Get).await;
    for path in [None, Some("/alice"), Some("/alice/secret-name"), Some("/")] {
        let path = path.map(|path| path.parse().unwrap());
        let rows = mallory.log(LogQuery { path, ..all() }).await.unwrap();
        assert!(rows.iter().all(|row| row.identity.as_str() == "mallory"), "{rows:?}");
    }
    assert_eq!(alice.log(all()).await.unwrap().len(), 1, "not even of those that were after her files");
    // A second machine of the same identity has the same log.
    let mut second = world.enrol("alice").await.connect().await;
    assert_eq!(second.log(all()).await.unwrap().len(), 1);
}
