//! What is kept of an upload that ends early, and when it goes.

use std::fs::File;
use std::time::{Duration, SystemTime};

use sealift_pipeline::FRAME;
use sealift_protocol::message::{Put, Trailer, Verdict};
use sealift_tests::transfer::end_of;
use sealift_tests::{Pattern, Settings, World, eventually};
use sealift_types::{Digest, ErrorCode, Rights};

use super::{MIB, MTIME, at, begin, cut, dated, left, resumed};
use crate::code;

#[tokio::test]
async fn what_is_not_worth_it_or_not_told_apart_is_not_kept() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let undated = Put { mtime: None, ..dated("undated", &content) };
    let unsized_ = Put { size: None, ..dated("unsized", &content) };
    let cases = [
        (dated("nothing", &content), 0),
        (dated("small", &content), 50_000),
        (dated("less", &content), MIB - 1),
        (undated, 3 * MIB),
        (unsized_, 3 * MIB),
    ];
    for (put, end) in &cases {
        cut(&alice, put, &content, *end).await;
        let path = format!("/alice/{}", put.path);
        assert_eq!(world.store().logged(&path).await.error.as_deref(), Some("interrupted"));
        world.store().without_parts().await;
        let mut client = alice.connect().await;
        let verdict = client.plan_dated(put.path.as_str(), content.len() as u64, MTIME).await;
        assert_eq!(verdict, Verdict::Send, "{path}");
    }
    let world = World::with(Settings::new().keep(Duration::ZERO)).await;
    let alice = world.enrol("alice").await;
    cut(&alice, &dated("file", &content), &content, 3 * MIB).await;
    world.store().logged("/alice/file").await;
    world.store().without_parts().await;
}

#[tokio::test]
async fn a_refused_upload_leaves_nothing() {
    let world = World::start().await;
    world.share("drop");
    world.grant("drop", None, Rights::CREATE);
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let mut client = alice.connect().await;
    let announced = &content[..3 * MIB];
    begin(&mut client, &dated("too-much", announced), &content, content.len()).await;
    assert_eq!(client.refusal().await.code, ErrorCode::SourceFailed);
    world.store().without_parts().await;

    begin(&mut client, &dated("other", &content), &content, content.len()).await;
    client.push_trailer(&Trailer::End { size: content.len() as u64, sha256: Digest::of(b"other") });
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::Integrity);
    world.store().without_parts().await;

    begin(&mut client, &dated("too-little", &content), &content, 3 * MIB).await;
    client.push_trailer(&end_of(&content[..3 * MIB]));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::SourceFailed);
    world.store().without_parts().await;

    // The right goes while the bytes come.
    begin(&mut client, &dated("/drop/file", &content), &content, 3 * MIB).await;
    world.grant("drop", None, Rights::NONE);
    for frame in content[3 * MIB..].chunks(FRAME) {
        client.send_data(frame).await;
    }
    client.push_trailer(&end_of(&content));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::NotAllowed);
    world.store().without_parts().await;

    // The same for one that was continued.
    let offset = left(&alice, "again", &content, 2 * MIB).await;
    begin(&mut client, &resumed("again", &content, offset), &content, content.len()).await;
    client.push_trailer(&end_of(&content[at(offset)..]));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::Integrity, "the trailer is about the whole");
    world.store().without_parts().await;
    world.store().settled().await;
    assert_eq!(world.store().blobs().len(), 0);
}

#[tokio::test]
async fn what_is_stored_in_another_way_takes_the_part_away() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let mut client = alice.connect().await;
    for way in ["inline", "stream", "claim"] {
        left(&alice, "file", &content, 3 * MIB).await;
        let other = left(&alice, "other", &content, 2 * MIB).await;
        match way {
            "inline" => client.put_inline("file", b"small").await.unwrap(),
            "stream" => client.put_stream("file", &content[..2 * MIB]).await.unwrap(),
            _ => client.claim("file", 2 * MIB as u64, Digest::of(&content[..2 * MIB])).await.unwrap(),
        };
        eventually("the part to go", || (world.store().parts().len() == 1).then_some(())).await;
        let verdict = client.plan_dated("other", content.len() as u64, MTIME).await;
        assert_eq!(verdict, Verdict::Resume { offset: other }, "{way}");
        client.put_inline("other", b"small").await.unwrap();
        world.store().without_parts().await;
    }
    world.store().settled().await;
}

#[tokio::test]
async fn parts_go_with_their_time() {
    let content = Pattern::new(1, 3 * MIB as u64).whole();
    let world = World::with(Settings::new().keep(Duration::from_millis(300))).await;
    let alice = world.enrol("alice").await;
    cut(&alice, &dated("file", &content), &content, 2 * MIB).await;
    world.store().logged("/alice/file").await;
    world.store().without_parts().await;

    let world = World::start().await;
    let alice = world.enrol("alice").await;
    left(&alice, "old", &content, 2 * MIB).await;
    let old = world.store().incoming().pop().unwrap();
    let young = left(&alice, "young", &content, 2 * MIB).await;
    let day = Duration::from_secs(86400);
    File::options().write(true).open(old).unwrap().set_modified(SystemTime::now() - day).unwrap();
    // A start looks; the regular look is the collector's own test.
    let world = world.restart().await;
    let mut client = alice.at(world.address).connect().await;
    let size = content.len() as u64;
    assert_eq!(client.plan_dated("old", size, MTIME).await, Verdict::Send);
    assert_eq!(client.plan_dated("young", size, MTIME).await, Verdict::Resume { offset: young });
    assert_eq!(world.store().parts().len(), 1);
    world.store().settled().await;
}

#[tokio::test]
async fn a_revocation_takes_parts_and_what_would_become_one() {
    let world = World::start().await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    left(&alice, "file", &content, 3 * MIB).await;
    let his = left(&bob, "file", &content, 3 * MIB).await;
    let mut running = alice.connect().await;
    begin(&mut running, &dated("running", &content), &content, 3 * MIB).await;
    eventually("three parts", || (world.store().parts().len() == 3).then_some(())).await;
    world.revoke("alice");
    let only_his = || (world.store().parts().len() == 1 && world.store().incoming().len() == 1).then_some(());
    eventually("alice's parts to go", only_his).await;
    let mut again = world.enrol("alice").await.connect().await;
    for file in ["file", "running"] {
        assert_eq!(again.plan_dated(file, content.len() as u64, MTIME).await, Verdict::Send);
    }
    let verdict = bob.connect().await.plan_dated("file", content.len() as u64, MTIME).await;
    assert_eq!(verdict, Verdict::Resume { offset: his });
}
