//! Downloads that go on.

use sealift_tests::transfer::end_of;
use sealift_tests::{Pattern, World};
use sealift_types::{Digest, ErrorCode};

use super::at;

#[tokio::test]
async fn a_download_goes_on_only_with_the_content_that_it_is_of() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for size in [40_000, 3_000_000] {
        let content = Pattern::new(1, size).whole();
        let sha256 = client.put_stream("file", &content).await.unwrap().sha256;
        let other = Digest::of(b"other");
        for (offset, meant, sent_from) in [
            (0, Some(sha256), 0),
            (0, Some(other), 0),
            (30_000, None, 30_000),
            (30_000, Some(sha256), 30_000),
            (30_000, Some(other), 0),
            (size, Some(sha256), size),
            (size, Some(other), 0),
            (size + 1, Some(other), 0),
        ] {
            let mut got = Vec::new();
            client.ask_meaning("file", offset, meant).await;
            let fetched = client.receive(&mut got).await.unwrap();
            assert_eq!(fetched.content.offset, sent_from, "{offset} {meant:?}");
            assert_eq!((fetched.content.size, fetched.content.sha256), (size, sha256));
            assert_eq!(fetched.trailer, end_of(&content));
            assert!(got == content[at(sent_from)..], "{offset} {meant:?}");
        }
        for meant in [None, Some(sha256)] {
            client.ask_meaning("file", size + 1, meant).await;
            assert_eq!(client.refusal().await.code, ErrorCode::BadRequest);
        }
    }
}
