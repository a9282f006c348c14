//! Requests that do not wait for the replies before them.

use sealift_protocol::message::{Body, EntryKind, Get, List, Put, Remove, Reply, Request, Whoami};
use sealift_tests::client::path;
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{Client, Pattern, World};
use sealift_types::{Digest, ErrorCode};
use serde_json::json;

use crate::code;

#[tokio::test]
async fn a_thousand_small_uploads_are_answered_in_order() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = |number: u64| Pattern::new(number, 100 + number).whole();
    for number in 0..1000 {
        client.push_inline(&format!("d/{number:03}"), &content(number));
    }
    client.flush().await;
    for number in 0..1000 {
        assert_eq!(client.stored().await.unwrap().sha256, Digest::of(&content(number)), "{number}");
    }
    let listed = client.list("d").await.unwrap();
    assert_eq!(listed.len(), 1000);
    for (number, entry) in (0..).zip(&listed) {
        assert_eq!((entry.name.clone(), entry.size), (format!("{number:03}"), 100 + number));
        assert_eq!(entry.sha256, Some(Digest::of(&content(number))));
    }
    assert_eq!(world.store().log().len(), 1000);
    world.store().settled().await;
}

#[tokio::test]
async fn requests_see_what_those_before_them_did() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let list = Request::List(List::of(path("")));
    let get = Request::Get(Get { path: path("a"), offset: 0, sha256: None, length: None, preview: false });
    for round in 0..20 {
        let (one, two) = (format!("one {round}"), Pattern::new(round, 70_000).whole());
        client.push(&list);
        client.push_inline("a", one.as_bytes());
        client.push(&get);
        client.send_stream(&put("a", Body::Stream), &two[..]).await;
        client.push(&get);
        client.push(&list);
        client.push(&Request::Remove(Remove { path: path("a"), recursive: false, if_match: None }));
        client.push(&get);
        client.push_inline("a/b", b"x");
        client.push(&list);
        client.push(&Request::Remove(Remove { path: path("a/b"), recursive: false, if_match: None }));
        client.push(&Request::Remove(Remove { path: path("a"), recursive: false, if_match: None }));
        client.flush().await;

        assert!(entries(&mut client).await.is_empty());
        client.stored().await.unwrap();
        assert_eq!(received(&mut client).await, one.as_bytes());
        client.stored().await.unwrap();
        assert!(received(&mut client).await == two);
        assert_eq!(entries(&mut client).await, [("a".into(), EntryKind::File)]);
        assert_eq!(client.reply().await, Reply::Done {});
        assert_eq!(client.refusal().await.code, ErrorCode::NotFound);
        client.stored().await.unwrap();
        assert_eq!(entries(&mut client).await, [("a".into(), EntryKind::Directory)]);
        assert_eq!(client.reply().await, Reply::Done {});
        assert_eq!(client.reply().await, Reply::Done {});
    }
}

/// The early refusal of a stream sees the changes before it, too, although they still wait for their commit.
#[tokio::test]
async fn a_stream_is_not_refused_for_what_an_earlier_change_takes_away() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for round in 0..20 {
        let content = Pattern::new(round, 70_000).whole();
        client.push_inline("a/b", b"x");
        client.push(&Request::Remove(Remove { path: path("a"), recursive: true, if_match: None }));
        client.send_stream(&put("a", Body::Stream), &content[..]).await;
        client.push(&Request::Remove(Remove { path: path("a"), recursive: false, if_match: None }));
        client.flush().await;
        client.stored().await.unwrap();
        assert_eq!(client.reply().await, Reply::Done {});
        client.stored().await.unwrap();
        assert_eq!(client.reply().await, Reply::Done {});
    }
}

/// A claim is judged when it takes effect, by what is stored then.
#[tokio::test]
async fn a_claim_sees_the_upload_before_it() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for seed in 0..20 {
        let content = Pattern::new(seed, 1000).whole();
        client.push_inline("first", &content);
        client.push(&Request::Put(Put { body: Body::Claim, ..put_inline("second", &content) }));
        client.flush().await;
        client.stored().await.unwrap();
        client.stored().await.expect("the content is there since the upload before");
    }
}

async fn entries(client: &mut Client) -> Vec<(String, EntryKind)> {
    match client.reply().await {
        Reply::Entries { entries, more: false, .. } => {
            entries.into_iter().map(|entry| (entry.name, entry.kind)).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn received(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.receive(&mut bytes).await.unwrap().verified().unwrap();
    bytes
}

/// Sends one upload that is going to be refused, whole, as a pipelining client does.
async fn send_refused(client: &mut Client, kind: &str, size: u64) -> ErrorCode {
    let content = Pattern::new(9, size).whole();
    let (length, digest) = (content.len(), Digest::of(&content).to_string());
    let inline = |file: &str| put_inline(file, &content);
    let stream = |file: &str| put(file, Body::Stream);
    let (request, expected) = match kind {
        "inline into a closed space" => (inline("/bob/x"), ErrorCode::NotAllowed),
        "inline over a directory" => (inline("directory"), ErrorCode::IsADirectory),
        "inline below a file" => (inline("directory/file/below"), ErrorCode::NotADirectory),
        "inline without a digest" => (Put { sha256: None, ..inline("x") }, ErrorCode::BadRequest),
        "inline of another content" => {
            (Put { sha256: Some(Digest::of(b"-")), ..inline("x") }, ErrorCode::Integrity)
        }
        "inline over the root" => (inline(""), ErrorCode::IsADirectory),
        "stream into a closed space" => (stream("/bob/x"), ErrorCode::NotAllowed),
        "stream into the list of spaces" => (stream("/"), ErrorCode::IsADirectory),
        "stream over a directory" => (stream("directory"), ErrorCode::IsADirectory),
        "stream below a file" => (stream("directory/file/below"), ErrorCode::NotADirectory),
        "stream of too much" => (Put { size: Some(1), ..stream("x") }, ErrorCode::SourceFailed),
        "malformed inline" | "malformed stream" | "hostile inline" | "hostile stream" => {
            let body = if kind.ends_with("inline") { "inline" } else { "stream" };
            let (request, expected) = match kind.split_once(' ').unwrap().0 {
                "malformed" => (json!({"type": "put", "path": 5, "body": body}), ErrorCode::BadRequest),
                _ => {
                    let hostile = json!({"type": "put", "path": "../x", "body": body, "size": length, "sha256": digest});
                    (hostile, ErrorCode::NameNotAllowed)
                }
            };
            client.push_json(&request);
            send_body(client, &content, body == "stream").await;
            return expected;
        }
        other => panic!("{other}"),
    };
    let streams = request.body == Body::Stream;
    client.push(&Request::Put(request));
    send_body(client, &content, streams).await;
    expected
}

async fn send_body(client: &mut Client, content: &[u8], streams: bool) {
    if !streams {
        return client.send_data(content).await;
    }
    for frame in content.chunks(50_000) {
        client.send_data(frame).await;
    }
    client.push_trailer(&end_of(content));
}

#[tokio::test]
async fn a_refused_upload_leaves_the_connection_in_step() {
    let world = World::start().await;
    world.enrol("bob").await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("directory/file", b"x").await.unwrap();
    for kind in [
        "inline into a closed space",
        "inline over a directory",
        "inline below a file",
        "inline without a digest",
        "inline of another content",
        "inline over the root",
        "stream into a closed space",
        "stream into the list of spaces",
        "stream over a directory",
        "stream below a file",
        "stream of too much",
        "malformed inline",
        "malformed stream",
        "hostile inline",
        "hostile stream",
    ] {
        let sizes: &[u64] = if kind.contains("inline") { &[1, 30_000] } else { &[1, 0, 30_000, 200_000] };
        for size in sizes {
            if kind == "stream of too much" && *size < 2 {
                continue;
            }
            client.push_inline("before", b"before");
            let expected = send_refused(&mut client, kind, *size).await;
            client.push_inline("after", b"after");
            client.push(&Request::Whoami(Whoami {}));
            client.flush().await;
            client.stored().await.unwrap();
            assert_eq!(code(client.stored().await), expected, "{kind}, {size} bytes");
            assert_eq!(client.stored().await.unwrap().sha256, Digest::of(b"after"), "{kind}, {size} bytes");
            assert!(matches!(client.reply().await, Reply::Identity(_)), "{kind}, {size} bytes");
            assert_eq!(client.names("").await, ["after", "before", "directory"], "{kind}, {size} bytes");
        }
    }
    world.store().settled().await;
    assert_eq!(world.store().blobs().len(), 0, "nothing of what was refused is kept");
}

/// The upload before it makes the name a directory after the check at the beginning of the stream had passed. Its bytes
/// were in place by then, and must go again.
#[tokio::test]
async fn an_upload_that_is_refused_at_its_end_leaves_no_file() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 200_000).whole();
    client.push(&Request::Put(put("name", Body::Stream)));
    client.send_data(&content[..100_000]).await;
    // The server has begun: now somebody else takes the name.
    sealift_tests::eventually("the upload under way", || world.store().incoming().pop()).await;
    let mut other = world.enrol("alice").await.connect().await;
    other.put_inline("name/below", b"x").await.unwrap();
    client.send_data(&content[100_000..]).await;
    client.push_trailer(&end_of(&content));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::IsADirectory);
    world.store().settled().await;
    assert_eq!(world.store().blobs().len(), 0);
}
