//! A request that fails while its body is on its way: whatever the body holds, none of it passes for requests.

use std::fs;
use std::path::PathBuf;

use sealift_protocol::message::{Body, Put, Reply, Request, Slice};
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{Client, World};
use sealift_types::{Digest, ErrorCode};
use serde_json::json;

use crate::code;

/// A body that is, from its first byte and after each of its frames' headers, a series of requests to delete `victim`.
fn malicious(bytes: usize) -> Vec<u8> {
    let request =
        serde_json::to_vec(&json!({"type": "remove", "path": "victim", "recursive": true})).unwrap();
    let [_, a, b, c] = u32::try_from(request.len()).unwrap().to_be_bytes();
    let frame = [&[b'J', a, b, c][..], &request].concat();
    frame.iter().copied().cycle().take(bytes).collect()
}

/// Sizes of a body that stays in memory, of one that goes to a file with its second frame, and of one that fills blocks.
const SIZES: [usize; 3] = [60_000, 100_000, 3_000_000];

/// Sends the body in frames of every kind of size.
async fn send(client: &mut Client, request: Put, body: &[u8]) {
    client.push(&Request::Put(request));
    let (small, rest) = body.split_at(body.len().min(70_001));
    for frame in small.chunks(70_001).chain(rest.chunks(250_000)) {
        client.send_data(frame).await;
    }
    client.push_trailer(&end_of(body));
    client.flush().await;
}

/// The next reply belongs to the upload, the one after it to the request behind it, and nothing was deleted.
async fn assert_in_step(client: &mut Client, step: &str) -> ErrorCode {
    let refused = match client.reply().await {
        Reply::Error(error) => error.code,
        other => panic!("{step}: {other:?} came where a refusal was due"),
    };
    client.whoami().await.unwrap();
    assert_eq!(client.get("victim").await.unwrap(), b"still here", "{step}");
    refused
}

/// Breaks one step of an upload on the server, and mends it when it is dropped.
struct Broken(PathBuf, PathBuf);

impl Broken {
    /// Without this directory the step that needs it fails.
    fn without(world: &World, directory: &str) -> Self {
        let path = world.data.join(directory);
        let aside = world.data.join("aside");
        fs::rename(&path, &aside).unwrap();
        Self(path, aside)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        fs::rename(&self.1, &self.0).unwrap();
    }
}

#[tokio::test]
async fn a_body_whose_upload_fails_at_the_server_is_not_executed() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("victim", b"still here").await.unwrap();
    for size in SIZES.into_iter().filter(|size| *size > 65_536) {
        let body = malicious(size);
        for announced in [None, Some(size as u64)] {
            for directory in ["incoming", "blobs"] {
                let broken = Broken::without(&world, directory);
                let request = Put { size: announced, ..put("file", Body::Stream) };
                send(&mut client, request, &body).await;
                let step = format!("{size} bytes without {directory}/");
                assert_eq!(assert_in_step(&mut client, &step).await, ErrorCode::Internal, "{step}");
                drop(broken);
            }
        }
        client.put_stream("file", &body).await.unwrap();
        client.remove("file").await.unwrap();
    }
}

#[tokio::test]
async fn a_body_whose_request_is_refused_is_not_executed() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    world.enrol("bob").await;
    client.put_inline("victim", b"still here").await.unwrap();
    client.make_directory("directory", None).await.unwrap();
    for size in SIZES {
        let body = malicious(size);
        let announced = body.len() as u64;
        let part = sealift_protocol::message::Part { size: 4096, sha256: Digest::of(b"") };
        let stream = |file: &str| put(file, Body::Stream);
        for (request, expected) in [
            (stream("directory"), ErrorCode::IsADirectory),
            (stream("slash/"), ErrorCode::IsADirectory),
            (stream("victim/file"), ErrorCode::NotADirectory),
            (stream("/bob/file"), ErrorCode::NotFound),
            (stream("/nobody/file"), ErrorCode::NotFound),
            (Put { update: true, ..stream("file") }, ErrorCode::BadRequest),
            (Put { size: Some(announced - 1), ..stream("file") }, ErrorCode::SourceFailed),
            (Put { size: Some(announced + 1), ..stream("file") }, ErrorCode::SourceFailed),
            (Put { sha256: Some(Digest::of(b"else")), ..stream("file") }, ErrorCode::Integrity),
            (
                Put { size: Some(announced), mtime: Some(1), resume: Some(part), ..stream("file") },
                ErrorCode::Absent,
            ),
            (put("file", Body::Inline), ErrorCode::BadRequest),
        ] {
            let step = format!("{size} bytes, {request:?}");
            send(&mut client, request, &body).await;
            let refused = assert_in_step(&mut client, &step).await;
            let unseen = expected == ErrorCode::NotFound && refused == ErrorCode::NotAllowed;
            assert!(refused == expected || unseen, "{step}: {refused:?}");
        }
    }
}

/// A peer cannot announce an endless body, be refused, and go on for ever.
#[tokio::test]
async fn a_body_that_goes_on_for_long_after_its_refusal_ends_the_connection() {
    const FRAME: usize = 256 * 1024;
    const LIMIT: usize = 64 * 1024 * 1024;
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let frame = vec![0; FRAME];
    for (frames, ends) in [(LIMIT / FRAME - 1, false), (LIMIT / FRAME, true)] {
        let mut client = alice.connect().await;
        client.push(&Request::Put(Put { size: Some(1 << 63), ..put("slash/", Body::Stream) }));
        for _ in 0..frames {
            client.send_data(&frame).await;
        }
        client.flush().await;
        // The refusal comes first, whatever becomes of the connection.
        assert_eq!(client.refusal().await.code, ErrorCode::IsADirectory);
        if ends {
            let end = client.last_words().await.unwrap();
            assert!(end.code == ErrorCode::BadRequest && end.message.contains("64 MiB"), "{end:?}");
        } else {
            client.push_trailer(&end_of(b""));
            client.whoami().await.unwrap();
        }
    }
}

/// What is not understood may have a body, too.
#[tokio::test]
async fn a_body_behind_a_request_that_is_not_understood_is_not_executed() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("victim", b"still here").await.unwrap();
    let body = malicious(100_000);
    for request in [
        json!({"type": "put", "path": "a/../b", "body": "stream"}),
        json!({"type": "put", "path": "file", "body": "carrier-pigeon"}),
        json!({"type": "put-later", "path": "file"}),
    ] {
        client.push_json(&request);
        client.send_data(&body).await;
        client.push_trailer(&end_of(&body));
        client.flush().await;
        assert_in_step(&mut client, &request.to_string()).await;
    }
    // A slice has no trailer.
    client.push(&Request::Slice(Slice { key: 7, offset: 0, length: 100_000 }));
    client.send_data(&body).await;
    client.flush().await;
    assert_eq!(assert_in_step(&mut client, "a slice").await, ErrorCode::Absent);
    for (announced, sent) in [(100_000, 60_000), (60_000, 100_000), (10, 60_000)] {
        let request = Put { size: Some(announced), ..put_inline("file", &body) };
        client.push(&Request::Put(request));
        client.send_data(&malicious(sent)).await;
        assert_eq!(assert_in_step(&mut client, "an inline body").await, ErrorCode::BadRequest);
    }
    // The test's own weapon works: as a request the body is carried out.
    client.push_json(&json!({"type": "remove", "path": "victim", "recursive": true}));
    client.flush().await;
    assert_eq!(client.reply().await, Reply::Done {});
    assert_eq!(code(client.get("victim").await), ErrorCode::NotFound);
}
