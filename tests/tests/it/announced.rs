//! What is announced and what comes: where they differ, nothing is stored.

use sealift_protocol::WireError;
use sealift_protocol::message::{Body, MAX_INLINE, Put, Request, Trailer};
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{Client, Pattern, World};
use sealift_types::{Digest, ErrorCode};

use crate::code;

/// Nothing of a failed upload is there: no name, no content, no file; and the connection is in step.
async fn assert_nothing_stored(world: &World, client: &mut Client) {
    assert!(client.list("").await.unwrap().is_empty());
    assert_eq!(code(client.get("file").await), ErrorCode::NotFound);
    world.store().settled().await;
    assert_eq!((world.store().count("objects"), world.store().blobs().len()), (0, 0));
}

/// Small enough for the catalog, and large enough for a file.
fn contents() -> [Vec<u8>; 2] {
    [Pattern::new(1, 1000).whole(), Pattern::new(2, 300_000).whole()]
}

async fn send(client: &mut Client, request: Put, content: &[u8], trailer: &Trailer) {
    client.push(&Request::Put(request));
    for frame in content.chunks(100_000) {
        client.send_data(frame).await;
    }
    client.push_trailer(trailer);
    client.flush().await;
}

#[tokio::test]
async fn a_stream_with_the_wrong_digest_is_refused() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for content in contents() {
        let size = content.len() as u64;
        let trailer = Trailer::End { size, sha256: Digest::of(b"something else") };
        send(&mut client, put("file", Body::Stream), &content, &trailer).await;
        assert_eq!(code(client.stored().await), ErrorCode::Integrity);
        assert_nothing_stored(&world, &mut client).await;
    }
}

/// A client that hashes first announces the digest; what comes then is not what it meant to store.
#[tokio::test]
async fn a_stream_of_another_digest_than_its_request_announced_is_refused() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for content in contents() {
        let request = Put { sha256: Some(Digest::of(b"as it was")), ..put("file", Body::Stream) };
        send(&mut client, request, &content, &end_of(&content)).await;
        assert_eq!(code(client.stored().await), ErrorCode::Integrity);
        assert_nothing_stored(&world, &mut client).await;
        let request = Put { sha256: Some(Digest::of(&content)), ..put("right", Body::Stream) };
        send(&mut client, request, &content, &end_of(&content)).await;
        client.stored().await.unwrap();
        client.remove("right").await.unwrap();
    }
}

#[tokio::test]
async fn a_small_upload_with_the_wrong_digest_is_refused() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.push(&Request::Put(Put { sha256: Some(Digest::of(b"abd")), ..put_inline("file", b"abc") }));
    client.send_data(b"abc").await;
    assert_eq!(code(client.stored().await), ErrorCode::Integrity);
    assert_nothing_stored(&world, &mut client).await;
}

#[tokio::test]
async fn a_small_upload_of_another_size_is_refused() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let over = MAX_INLINE + 1;
    for (announced, sent) in [(3, 2), (3, 4), (0, 1), (1, 0), (over, over), (over, 3), (u64::MAX, 3)] {
        let content = Pattern::new(1, sent).whole();
        client.push(&Request::Put(Put { size: Some(announced), ..put_inline("file", &content) }));
        client.send_data(&content).await;
        assert_eq!(code(client.stored().await), ErrorCode::BadRequest, "{announced} announced, {sent} sent");
        assert_nothing_stored(&world, &mut client).await;
    }
}

#[tokio::test]
async fn a_stream_of_more_or_fewer_bytes_than_announced_is_refused() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for content in contents() {
        let size = content.len() as u64;
        for announced in [0, 1, size - 1, size + 1, u64::MAX] {
            let request = Put { size: Some(announced), ..put("file", Body::Stream) };
            send(&mut client, request, &content, &end_of(&content)).await;
            let refused = code(client.stored().await);
            // No disk has so much room.
            let expected = if announced == u64::MAX { ErrorCode::NoSpace } else { ErrorCode::SourceFailed };
            assert_eq!(refused, expected, "{announced} announced, {size} sent");
            assert_nothing_stored(&world, &mut client).await;
        }
        for claimed in [0, size - 1, size + 1, u64::MAX] {
            let trailer = Trailer::End { size: claimed, sha256: Digest::of(&content) };
            send(&mut client, put("file", Body::Stream), &content, &trailer).await;
            assert_eq!(
                code(client.stored().await),
                ErrorCode::Integrity,
                "{claimed} of {size} in the trailer"
            );
            assert_nothing_stored(&world, &mut client).await;
        }
    }
}

#[tokio::test]
async fn a_sender_that_gives_up_has_stored_nothing() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for content in contents() {
        let sorry = WireError::new(ErrorCode::SourceFailed, "the file changed while it was read");
        send(&mut client, put("file", Body::Stream), &content, &Trailer::Error(sorry.clone())).await;
        assert_eq!(client.stored().await.unwrap_err().code, sorry.code);
        assert_nothing_stored(&world, &mut client).await;
    }
}

/// The server need not repeat all that a client says about its failure, but it has to answer.
#[tokio::test]
async fn a_sender_that_gives_up_with_many_words_gets_an_answer() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let frame = |words: usize| serde_json::json!({ "type": "error", "code": "source-failed", "message": "x".repeat(words) });
    let most = 65_536 - serde_json::to_vec(&frame(0)).unwrap().len();
    client.push(&Request::Put(put("file", Body::Stream)));
    client.push_json(&frame(most));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::SourceFailed);
    assert_nothing_stored(&world, &mut client).await;
}

#[tokio::test]
async fn uploads_without_what_they_must_announce_are_refused() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let whole = put_inline("file", b"abc");
    for request in [Put { size: None, ..whole.clone() }, Put { sha256: None, ..whole.clone() }] {
        client.push(&Request::Put(request.clone()));
        client.send_data(b"abc").await;
        assert_eq!(code(client.stored().await), ErrorCode::BadRequest);
        client.push(&Request::Put(Put { body: Body::Claim, ..request }));
        client.flush().await;
        assert_eq!(code(client.stored().await), ErrorCode::BadRequest);
        assert_nothing_stored(&world, &mut client).await;
    }
}

#[tokio::test]
async fn an_empty_content_is_a_content() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("a", b"").await.unwrap();
    client.put_stream("b", b"").await.unwrap();
    client.put_from("c", &b""[..], None).await.unwrap();
    client.claim("d", 0, Digest::of(b"")).await.unwrap();
    for file in ["a", "b", "c", "d"] {
        assert_eq!(client.get(file).await.unwrap(), b"");
        assert_eq!(client.info(file).await.unwrap().size, Some(0));
    }
    world.store().settled().await;
    assert_eq!((world.store().count("objects"), world.store().blobs().len()), (1, 0));
}
