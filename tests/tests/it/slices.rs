//! Contents that several connections share: whatever each of them does, what is stored is what was sent, or nothing is.

use std::time::Duration;

use sealift_pipeline::FRAME;
use sealift_protocol::message::{
    Body, Get, LogQuery, Put, Reply, Request, SLICE, SLICES, SLICES_AHEAD, Slice, Verdict, WORKING,
};
use sealift_tests::client::path;
use sealift_tests::transfer::{end_of, put};
use sealift_tests::{Client, Machine, PATIENCE, Pattern, Settings, World, eventually, within};
use sealift_types::{Digest, ErrorCode};
use serde_json::json;

use crate::code;

const KEY: u64 = 7;

/// When the files that are uploaded here were last modified.
const MTIME: i64 = 1_700_000_000_000_000_000;

/// The size of a slice.
const WHOLE: usize = 1 << 20;

fn shared(file: &str, content: &[u8]) -> Put {
    let size = Some(content.len() as u64);
    Put { size, mtime: Some(MTIME), key: Some(KEY), ..put(file, Body::Stream) }
}

/// The bytes of a slice.
fn piece(content: &[u8], index: usize) -> &[u8] {
    &content[index * WHOLE..content.len().min((index + 1) * WHOLE)]
}

async fn send(client: &mut Client, bytes: &[u8]) {
    for frame in bytes.chunks(FRAME) {
        client.send_data(frame).await;
    }
}

/// Begins an upload with its first slice.
async fn begin(client: &mut Client, content: &[u8]) {
    client.push(&Request::Put(shared("file", content)));
    send(client, piece(content, 0)).await;
}

/// Sends a slice of the own upload.
async fn turn(client: &mut Client, content: &[u8], index: usize) {
    client.push_turn(index as u64 * SLICE);
    send(client, piece(content, index)).await;
}

/// Sends a slice of another connection's upload, without waiting for the answer.
async fn bring(client: &mut Client, content: &[u8], index: usize) {
    let length = piece(content, index).len() as u64;
    client.push(&Request::Slice(Slice { key: KEY, offset: index as u64 * SLICE, length }));
    send(client, piece(content, index)).await;
}

async fn answer(client: &mut Client) -> Result<(), ErrorCode> {
    match client.reply().await {
        Reply::Done {} => Ok(()),
        Reply::Error(error) => Err(error.code),
        other => panic!("{other:?} does not answer a slice"),
    }
}

/// A further connection that the server takes slices from.
async fn joined(machine: &Machine) -> Client {
    let mut client = machine.connect().await;
    let asking = async {
        loop {
            client.push(&Request::Slice(Slice { key: KEY, offset: 0, length: 0 }));
            client.flush().await;
            match answer(&mut client).await {
                Ok(()) => break,
                Err(code) => assert_eq!(code, ErrorCode::Absent),
            }
        }
    };
    within(PATIENCE, "the upload to join", asking).await;
    client
}

async fn end(client: &mut Client, content: &[u8]) {
    client.push_trailer(&end_of(content));
    client.flush().await;
    let stored = client.stored().await.unwrap();
    assert_eq!((stored.size, stored.sha256), (content.len() as u64, Digest::of(content)));
    assert!(client.get("file").await.unwrap() == content);
}

#[tokio::test]
async fn a_feature_is_named_by_both() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    for (features, named) in [
        (json!(["warp", SLICES, SLICES]), vec![SLICES.to_owned()]),
        (json!([WORKING, "warp"]), vec![WORKING.to_owned()]),
        (json!(["warp"]), vec![]),
        (json!([]), vec![]),
    ] {
        let mut client = alice.dial().await;
        let hello = json!({"type": "hello", "versions": [1], "features": features});
        assert!(
            matches!(client.request_json(&hello).await, Reply::Welcome(welcome) if welcome.features == named)
        );
    }
}

#[tokio::test]
async fn slices_of_two_connections_make_one_file() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 6 * SLICE + 77).whole();
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    let mut second = joined(&alice).await;
    for index in [2, 3, 1] {
        bring(&mut second, &content, index).await;
    }
    turn(&mut first, &content, 6).await;
    turn(&mut first, &content, 4).await;
    // Without another turn, the next one follows.
    send(&mut first, piece(&content, 5)).await;
    for _ in 0..3 {
        answer(&mut second).await.unwrap();
    }
    end(&mut first, &content).await;
    let row = world.store().logged("/alice/file").await;
    assert_eq!(row.bytes, content.len() as u64);
    assert!(row.wire_bytes > row.bytes && row.wire_bytes < row.bytes + 4000, "{row:?}");
    // It is over.
    bring(&mut second, &content, 1).await;
    assert_eq!(answer(&mut second).await, Err(ErrorCode::Absent));
    second.whoami().await.unwrap();
    world.store().without_parts().await;
    world.store().settled().await;
}

/// The answer says that everything up to the slice has come.
#[tokio::test]
async fn a_slice_ahead_of_its_turn_is_answered_when_it_has_come() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 40 * SLICE).whole();
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    let (mut second, mut third) = (joined(&alice).await, joined(&alice).await);
    // Farther ahead than there is room for: it is not read, so nor is what stands behind it.
    let far = 3 + SLICES_AHEAD;
    let sending = async {
        bring(&mut third, &content, far).await;
        answer(&mut third).await.unwrap();
    };
    let rest = async {
        bring(&mut second, &content, 2).await;
        let nothing = tokio::time::timeout(Duration::from_millis(50), second.reply()).await;
        assert!(nothing.is_err(), "slice 1 is missing");
        send(&mut first, piece(&content, 1)).await;
        answer(&mut second).await.unwrap();
        for index in 3..far {
            turn(&mut first, &content, index).await;
        }
    };
    tokio::join!(sending, rest);
    for index in far + 1..40 {
        turn(&mut first, &content, index).await;
    }
    end(&mut first, &content).await;
}

#[tokio::test]
async fn nobody_else_and_nothing_that_is_no_slice_gets_in() {
    let world = World::start().await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let content = Pattern::new(1, 4 * SLICE + 5).whole();
    let size = content.len() as u64;
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    let (mut second, mut stranger) = (joined(&alice).await, bob.connect().await);
    bring(&mut stranger, &vec![9; content.len()], 1).await;
    assert_eq!(answer(&mut stranger).await, Err(ErrorCode::Absent), "another identity's upload");
    stranger.whoami().await.unwrap();
    let (absent, bad) = (ErrorCode::Absent, ErrorCode::BadRequest);
    for (key, offset, length, expected) in [
        (KEY + 1, SLICE, SLICE, absent),
        (KEY, SLICE + 1, SLICE, bad),
        (KEY, SLICE, SLICE - 1, bad),
        (KEY, SLICE, SLICE + 1, bad),
        (KEY, SLICE, 2 * SLICE, bad),
        (KEY, 4 * SLICE, SLICE, bad),
        (KEY, 4 * SLICE, 6, bad),
        (KEY, 4 * SLICE, 4, bad),
        (KEY, 5 * SLICE, 5, bad),
        (KEY, size, 1, bad),
        (KEY, u64::MAX, u64::MAX, bad),
        (KEY, u64::MAX - SLICE + 1, SLICE, bad),
    ] {
        second.push(&Request::Slice(Slice { key, offset, length }));
        send(&mut second, &[9; 1000]).await;
        assert_eq!(answer(&mut second).await, Err(expected), "{key} {offset} {length}");
        second.whoami().await.unwrap();
    }
    // More comes than was announced.
    second.push(&Request::Slice(Slice { key: KEY, offset: 4 * SLICE, length: 5 }));
    send(&mut second, b"6 byte").await;
    assert_eq!(answer(&mut second).await, Err(bad));
    second.whoami().await.unwrap();
    // What comes twice is taken once, and a second upload cannot take the first one's number.
    let mut other = alice.connect().await;
    other.push(&Request::Put(Put { path: path("other"), ..shared("file", &content) }));
    send(&mut other, piece(&content, 0)).await;
    for _ in 0..2 {
        bring(&mut second, &content, 1).await;
        answer(&mut second).await.unwrap();
    }
    turn(&mut first, &content, 1).await;
    for index in 2..5 {
        turn(&mut first, &content, index).await;
    }
    end(&mut first, &content).await;
    turn(&mut other, &content, 1).await;
    assert_eq!(code(other.stored().await), absent, "it is not shared");
    send(&mut other, piece(&content, 2)).await;
    turn(&mut other, &content, 3).await;
    other.push_trailer(&end_of(&content));
    other.flush().await;
    other.whoami().await.unwrap();
}

#[tokio::test]
async fn turns_that_lead_nowhere_are_refused() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 4 * SLICE + 5).whole();
    let (absent, bad) = (ErrorCode::Absent, ErrorCode::BadRequest);
    for (key, offset, expected) in [
        (None, SLICE, absent),
        (Some(KEY), SLICE + 1, bad),
        (Some(KEY), 5 * SLICE, bad),
        (Some(KEY), u64::MAX, bad),
    ] {
        let mut client = alice.connect().await;
        client.push(&Request::Put(Put { key, ..shared("file", &content) }));
        send(&mut client, piece(&content, 0)).await;
        client.push_turn(offset);
        client.flush().await;
        assert_eq!(code(client.stored().await), expected, "{key:?} {offset}");
        client.push_trailer(&end_of(&content));
        client.whoami().await.unwrap();
    }
    // In the middle of a slice.
    let mut client = alice.connect().await;
    client.push(&Request::Put(shared("file", &content)));
    send(&mut client, &content[..WHOLE + 1000]).await;
    client.push_turn(3 * SLICE);
    client.flush().await;
    assert_eq!(code(client.stored().await), bad);
    world.store().settled().await;
    assert_eq!(world.store().count("entries"), 0);
}

#[tokio::test]
async fn what_is_missing_at_the_end_is_no_file() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 5 * SLICE).whole();
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    for index in [1, 2, 4] {
        turn(&mut first, &content, index).await;
    }
    first.push_trailer(&end_of(&content));
    first.flush().await;
    assert_eq!(code(first.stored().await), ErrorCode::Integrity);
    // What came of a wrong content cannot be told from what came of the right one.
    let mut second = joined_to_a_new_one(&alice, &mut first, &content).await;
    let mut wrong = content.clone();
    wrong[2 * WHOLE] ^= 1;
    bring(&mut second, &wrong, 2).await;
    for index in [1, 3, 4] {
        turn(&mut first, &content, index).await;
    }
    answer(&mut second).await.unwrap();
    first.push_trailer(&end_of(&content));
    first.flush().await;
    assert_eq!(code(first.stored().await), ErrorCode::Integrity);
    world.store().without_parts().await;
    world.store().settled().await;
    assert_eq!(world.store().count("entries"), 0);
}

async fn joined_to_a_new_one(machine: &Machine, first: &mut Client, content: &[u8]) -> Client {
    begin(first, content).await;
    joined(machine).await
}

#[tokio::test]
async fn a_further_connection_that_breaks_or_falls_silent_takes_nothing_with_it() {
    let world = World::with(Settings::new().stall(Duration::from_millis(400))).await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 6 * SLICE).whole();
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    let (mut silent, mut lost, mut third) =
        (joined(&alice).await, joined(&alice).await, joined(&alice).await);
    for (client, index) in [(&mut silent, 1), (&mut lost, 2)] {
        client.push(&Request::Slice(Slice { key: KEY, offset: index * SLICE, length: SLICE }));
        client.send_data(&[9; 1000]).await;
    }
    drop(lost);
    turn(&mut first, &content, 3).await;
    let waiting = async {
        loop {
            first.send_data(&[]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        said = silent.last_words() => assert_eq!(said.map(|error| error.code), Some(ErrorCode::Timeout)),
        () = waiting => unreachable!("it waits for ever"),
    }
    bring(&mut third, &content, 1).await;
    bring(&mut third, &content, 2).await;
    answer(&mut third).await.unwrap();
    answer(&mut third).await.unwrap();
    turn(&mut first, &content, 4).await;
    turn(&mut first, &content, 5).await;
    end(&mut first, &content).await;
    world.store().settled().await;
}

/// What is left is the beginning without a gap, and the next attempt counts its slices from there.
#[tokio::test]
async fn an_upload_that_breaks_off_goes_on_with_what_came_in_order() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 12 * SLICE + 5).whole();
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    let mut second = joined(&alice).await;
    for index in [1, 3, 4, 5] {
        bring(&mut second, &content, index).await;
    }
    answer(&mut second).await.unwrap();
    send(&mut first, piece(&content, 1)).await;
    // A part of a slice that is next can be used, one that is ahead cannot.
    client_turns(&mut first, 2, &content[2 * WHOLE..2 * WHOLE + 70_000]).await;
    drop(first);
    assert_eq!(answer(&mut second).await, Err(ErrorCode::Absent));
    let mut first = alice.connect().await;
    let offset = eventually_offered(&mut first, content.len() as u64).await;
    assert_eq!(offset, 2 * SLICE + 69_632);
    let start = usize::try_from(offset).unwrap();
    let part = sealift_protocol::message::Part { size: offset, sha256: Digest::of(&content[..start]) };
    first.push(&Request::Put(Put { resume: Some(part), ..shared("file", &content) }));
    send(&mut first, &content[start..start + WHOLE]).await;
    let mut second = joined(&alice).await;
    let rest = &content[start..];
    for index in [2, 1] {
        let offset = offset + index as u64 * SLICE;
        second.push(&Request::Slice(Slice { key: KEY, offset, length: SLICE }));
        send(&mut second, piece(rest, index)).await;
    }
    for _ in 0..2 {
        answer(&mut second).await.unwrap();
    }
    for index in 3..rest.len().div_ceil(WHOLE) {
        first.push_turn(offset + index as u64 * SLICE);
        send(&mut first, piece(rest, index)).await;
    }
    end(&mut first, &content).await;
    world.store().without_parts().await;
    world.store().settled().await;
}

async fn client_turns(client: &mut Client, index: u64, bytes: &[u8]) {
    client.push_turn(index * SLICE);
    send(client, bytes).await;
}

async fn eventually_offered(client: &mut Client, size: u64) -> u64 {
    let asking = async {
        loop {
            match client.plan_dated("file", size, MTIME).await {
                Verdict::Resume { offset } => return offset,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    within(PATIENCE, "an offer to go on", asking).await
}

/// As long as any of its connections brings something, an upload is not taken for one whose client is gone.
#[tokio::test]
async fn an_upload_lives_as_long_as_one_of_its_connections() {
    let world = World::with(Settings::new().yield_after(Duration::from_millis(300))).await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 8 * SLICE).whole();
    let mut first = alice.connect().await;
    begin(&mut first, &content).await;
    let mut second = joined(&alice).await;
    let mut other = alice.connect().await;
    let planning = other.plan_dated("file", content.len() as u64, MTIME);
    let going_on = async {
        let mut frames = piece(&content, 1).chunks(WHOLE / 64);
        second.push(&Request::Slice(Slice { key: KEY, offset: SLICE, length: SLICE }));
        for frame in frames.by_ref() {
            second.send_data(frame).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        answer(&mut second).await
    };
    let (verdict, answered) = tokio::join!(planning, going_on);
    assert_eq!(verdict, Verdict::Send, "the other one is under way");
    answered.unwrap();
    for index in 2..8 {
        turn(&mut first, &content, index).await;
    }
    end(&mut first, &content).await;
}

/// There is memory for a few uploads that are shared, and the others go on over one connection each.
#[tokio::test]
async fn only_so_many_are_shared_as_there_is_memory_for() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 3 * SLICE).whole();
    let mut firsts = Vec::new();
    let mut helper = alice.connect().await;
    let mut refused = 0;
    for key in 0..8 {
        let mut first = alice.connect().await;
        first.push(&Request::Put(Put {
            key: Some(key),
            path: path(&key.to_string()),
            ..shared("x", &content)
        }));
        send(&mut first, piece(&content, 0)).await;
        let parts = || (world.store().parts().len() as u64 > key).then_some(());
        eventually("the upload under way", parts).await;
        helper.push(&Request::Slice(Slice { key, offset: 0, length: 0 }));
        helper.flush().await;
        refused += usize::from(answer(&mut helper).await.is_err());
        firsts.push(first);
    }
    assert!((1..8).contains(&refused), "{refused}");
    for (key, mut first) in firsts.into_iter().enumerate() {
        send(&mut first, &content[WHOLE..]).await;
        first.push_trailer(&end_of(&content));
        first.flush().await;
        first.stored().await.unwrap();
        assert!(first.get(&key.to_string()).await.unwrap() == content);
    }
}

#[tokio::test]
async fn ranges_of_a_download_share_a_row_of_the_log() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for size in [50_000_usize, 3_000_000] {
        let content = Pattern::new(1, size as u64).whole();
        let sha256 = client.put_stream("file", &content).await.unwrap().sha256;
        for (offset, length, expected) in [
            (0, 0, 0),
            (0, 1000, 1000),
            (size / 2, 7, 7),
            (size - 5, 100, 5),
            (size, 1, 0),
            (3, size, size - 3),
        ] {
            let mut got = Vec::new();
            let (offset, length) = (offset as u64, Some(length as u64));
            client.push(&Request::Get(Get {
                path: path("file"),
                offset,
                sha256: Some(sha256),
                length,
                preview: false,
            }));
            client.flush().await;
            let fetched = client.receive(&mut got).await.unwrap();
            assert_eq!((fetched.content.size, fetched.content.sha256), (size as u64, sha256));
            assert_eq!(fetched.trailer, end_of(&content));
            let start = usize::try_from(offset).unwrap();
            assert!(got == content[start..start + expected], "{offset} {length:?}");
        }
        // Of another content the beginning is sent, and no more of it than was asked for.
        let mut got = Vec::new();
        let other = Some(Digest::of(b"other"));
        client.push(&Request::Get(Get {
            path: path("file"),
            offset: 9,
            sha256: other,
            length: Some(10),
            preview: false,
        }));
        client.flush().await;
        assert_eq!(client.receive(&mut got).await.unwrap().content.offset, 0);
        assert!(got == content[..10]);
    }
    // Which commits what is noted.
    client.log(LogQuery::default()).await.unwrap();
    let rows: Vec<_> = world.store().log().into_iter().filter(|row| row.direction == "get").collect();
    // A row ends with the end of the content, so there are four for each.
    let bytes: Vec<_> = rows.iter().map(|row| row.bytes).collect();
    assert_eq!(bytes[..4], [1012, 0, 49_997, 10], "{rows:?}");
    assert!(rows.iter().all(|row| row.error.is_none() && row.wire_bytes > row.bytes), "{rows:?}");
    assert_eq!(rows.len(), 8);
}
