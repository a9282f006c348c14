//! What is put is what is got, at and around every threshold.

use sealift_pipeline::FRAME;
use sealift_protocol::frame::MAX_DATA;
use sealift_protocol::message::{Body, MAX_INLINE, Put, Reply, Request, Trailer};
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{Client, Launcher, Pattern, World};
use sealift_types::{Digest, ErrorCode};

use crate::{SEALIFTD, code};

/// At and around what changes with the size: nothing, the limit of a small content, a frame, two frames.
fn sizes() -> Vec<u64> {
    let frame = FRAME as u64;
    let mut sizes = vec![0, 1, MAX_INLINE - 1, MAX_INLINE, MAX_INLINE + 1, (1 << 20) + 1];
    sizes.extend([frame - 1, frame, frame + 1, 2 * frame - 1, 2 * frame, 2 * frame + 1]);
    sizes
}

#[tokio::test]
async fn contents_of_every_size_come_back_whole() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    for size in sizes() {
        let content = Pattern::new(size, size).whole();
        let sha256 = Digest::of(&content);
        for way in ["inline", "announced", "unannounced"] {
            let file = format!("{size}-{way}");
            let stored = match way {
                "inline" if size > MAX_INLINE => continue,
                "inline" => client.put_inline(&file, &content).await,
                "announced" => client.put_stream(&file, &content).await,
                _ => client.put_from(&file, &content[..], None).await,
            };
            let stored = stored.unwrap();
            assert_eq!((stored.size, stored.sha256), (size, sha256), "{file}");
            assert!(client.get(&file).await.unwrap() == content, "{file}");
        }
        let in_a_file = world.store().blob(&sha256).exists();
        assert_eq!(
            in_a_file,
            size > MAX_INLINE,
            "small contents live in the catalog, others in files: {size}"
        );
    }
    // The names of the files are the digests of their bytes, and no content is there twice.
    world.store().settled().await;
    assert_eq!(world.store().count("objects"), i64::try_from(sizes().len()).unwrap());
    client.close().await;
    world.stop().await;
}

#[tokio::test]
async fn a_download_can_begin_anywhere() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for size in [0, 1, MAX_INLINE, MAX_INLINE + 1, 3 * FRAME as u64 + 7] {
        let content = Pattern::new(3, size).whole();
        client.put_stream("file", &content).await.unwrap();
        for offset in [0, 1, size / 2, FRAME as u64, FRAME as u64 + 1, size.saturating_sub(1), size] {
            if offset > size {
                continue;
            }
            let mut rest = Vec::new();
            client.ask("file", offset).await;
            let fetched = client.receive(&mut rest).await.unwrap();
            assert!(rest == content[usize::try_from(offset).unwrap()..], "{size} from {offset}");
            let whole = (fetched.content.size, fetched.content.sha256);
            assert_eq!(whole, (size, Digest::of(&content)), "the announcement is of the whole content");
            assert_eq!(fetched.trailer, end_of(&content), "and so is the trailer");
        }
        for beyond in [size + 1, u64::MAX] {
            client.ask("file", beyond).await;
            assert_eq!(client.refusal().await.code, ErrorCode::BadRequest, "{size} from {beyond}");
        }
    }
}

#[tokio::test]
async fn frames_of_any_length_make_one_content() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for (seed, lengths) in [
        vec![0],
        vec![0, 1, 0, 1, 0],
        vec![MAX_DATA],
        vec![1, MAX_DATA, 1],
        vec![65_536, 1],
        vec![65_535, 1],
        vec![1; 300],
        vec![70_000, 0, 0, 1],
    ]
    .into_iter()
    .enumerate()
    {
        let size: usize = lengths.iter().sum();
        let content = Pattern::new(seed as u64, size as u64).whole();
        client.push(&Request::Put(put("file", Body::Stream)));
        let mut at = 0;
        for length in lengths {
            client.send_data(&content[at..at + length]).await;
            at += length;
        }
        client.push_trailer(&end_of(&content));
        client.flush().await;
        assert_eq!(client.stored().await.unwrap().sha256, Digest::of(&content));
        assert!(client.get("file").await.unwrap() == content);
    }
}

#[tokio::test]
async fn a_stream_of_unknown_size_grows_from_small_to_large() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for size in [10, MAX_INLINE, 20 << 20] {
        let pattern = Pattern::new(4, size);
        client.put_from("from-a-pipe", pattern.clone(), None).await.unwrap();
        assert!(client.get("from-a-pipe").await.unwrap() == pattern.whole());
    }
    world.store().settled().await;
    assert_eq!(world.store().count("objects"), 1, "what was replaced is gone");
}

#[tokio::test]
async fn times_and_the_executable_bit_are_kept() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for mtime in [0, -1, 1_700_000_000_123_456_789, i64::MIN, i64::MAX] {
        for executable in [false, true] {
            let request = Put { mtime: Some(mtime), executable, ..put_inline("file", b"x") };
            client.push(&Request::Put(request));
            client.send_data(b"x").await;
            client.stored().await.unwrap();
            client.ask("file", 0).await;
            let fetched = client.receive(&mut Vec::new()).await.unwrap();
            assert_eq!((fetched.content.mtime, fetched.content.executable), (mtime, executable));
            let info = client.info("file").await.unwrap();
            assert_eq!((info.mtime, info.executable), (mtime, executable));
            let entry = client.list("file").await.unwrap().remove(0);
            assert_eq!((entry.mtime, entry.executable), (mtime, executable));
        }
    }
    let before = sealift_server::clock::now();
    client.put_inline("undated", b"x").await.unwrap();
    let info = client.info("undated").await.unwrap();
    assert!(info.mtime >= before, "without a time it is that of the arrival");
    assert!(info.stored_at >= before && !info.executable);
}

#[tokio::test]
async fn what_is_stored_outlives_the_server() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let (small, large) = (Pattern::new(1, 1000).whole(), Pattern::new(2, 100_000).whole());
    let mut client = alice.connect().await;
    client.put_inline("d/small", &small).await.unwrap();
    client.put_stream("d/large", &large).await.unwrap();
    client.close().await;

    let world = world.restart().await;
    let mut client = alice.at(world.address).connect().await;
    assert_eq!(client.names("d").await, ["large", "small"]);
    assert!(client.get("d/small").await.unwrap() == small);
    assert!(client.get("d/large").await.unwrap() == large);
    world.store().settled().await;
}

/// The largest content here crosses the program, so that its memory can be looked at.
#[tokio::test]
async fn three_hundred_mebibytes_need_little_memory() {
    let server = Launcher::new(SEALIFTD).start().await;
    let mut client = server.enrol("alice").await.connect().await;
    client.put_stream("warm", &Pattern::new(1, 1 << 20).whole()).await.unwrap();
    let content = Pattern::new(5, 300 << 20);
    let stored = client.put_from("large", content.clone(), Some(content.size())).await.unwrap();
    let sha256 = content.digest();
    assert_eq!((stored.size, stored.sha256), (content.size(), sha256));
    client.ask("large", 0).await;
    let fetched = client.receive(std::io::sink()).await.unwrap();
    fetched.verified().unwrap();
    assert_eq!(fetched.sha256, sha256);
    assert_eq!(fetched.trailer, Trailer::End { size: content.size(), sha256 });
    let peak = server.peak_memory();
    assert!(peak < 64 << 20, "the server took {peak} bytes");
    server.store().settled().await;
}

#[tokio::test]
async fn a_file_is_replaced_by_the_next_of_its_name() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let contents = [
        Pattern::new(1, 10).whole(),
        Pattern::new(2, 100_000).whole(),
        Pattern::new(3, 0).whole(),
        Pattern::new(4, 200_000).whole(),
    ];
    for content in &contents {
        client.put_stream("file", content).await.unwrap();
        assert!(client.get("file").await.unwrap() == *content);
        assert_eq!(client.names("").await, ["file"]);
    }
    world.store().settled().await;
    assert_eq!(world.store().blobs().len(), 1);
    assert_unchanged_by_refused_put(&mut client, &contents[3]).await;
}

async fn assert_unchanged_by_refused_put(client: &mut Client, content: &[u8]) {
    client.push(&Request::Put(put("file", Body::Stream)));
    client.send_data(b"new").await;
    client.push_trailer(&end_of(b"old"));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::Integrity);
    assert!(client.get("file").await.unwrap() == *content);
    assert!(matches!(
        client.request(&Request::Whoami(sealift_protocol::message::Whoami {})).await,
        Reply::Identity(_)
    ));
}
