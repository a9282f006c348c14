//! However an upload breaks off, the next attempt goes on with what is there, and the right content comes of it.

use std::cell::Cell;
use std::time::Duration;

use proptest::test_runner::{Config, TestRunner};
use sealift_pipeline::{ALIGNMENT, FRAME};
use sealift_protocol::message::{Trailer, Verdict};
use sealift_protocol::{FrameKind, Header, WireError};
use sealift_tests::{Launcher, Machine, Pattern, Settings, World, eventually};
use sealift_types::{Digest, ErrorCode};

use super::{MIB, MTIME, at, begin, dated, failed, go_on, left, offered, resumed, whole};
use crate::{SEALIFTD, code};

#[tokio::test]
async fn a_lost_connection_costs_no_more_than_the_frame_that_it_cut() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 9 * MIB as u64 + 17).whole();
    for (index, end) in
        [MIB, MIB + 100_000, 3 * MIB + 5, 8 * MIB, content.len() - 1, content.len()].into_iter().enumerate()
    {
        let file = format!("file-{index}");
        let offset = left(&alice, &file, &content, end).await;
        assert!(offset.is_multiple_of(ALIGNMENT as u64));
        assert!(at(offset) + FRAME + ALIGNMENT > end && at(offset) <= end, "{offset} of {end}");
        let mut client = alice.connect().await;
        assert_eq!(
            offered(&mut client, &file, content.len() as u64).await,
            offset,
            "a plan reserves nothing"
        );
        let stored = go_on(&mut client, &file, &content, offset).await.unwrap();
        assert_eq!((stored.size, stored.sha256), (content.len() as u64, Digest::of(&content)));
        assert!(client.get(&file).await.unwrap() == content);
        let path = format!("/alice/{file}");
        let log = world.store().log().into_iter();
        let puts = log.filter(|row| row.path == path && row.direction == "put").collect::<Vec<_>>();
        assert_eq!(puts[0].error.as_deref(), Some("interrupted"));
        let (rest, row) = (content.len() as u64 - offset, &puts[1]);
        assert_eq!(row.bytes, rest, "what crossed now");
        assert!(row.wire_bytes > rest && row.wire_bytes < rest + 2000, "{row:?}");
    }
    world.store().settled().await;
    world.store().without_parts().await;
    assert_eq!(world.store().blobs().len(), 1);
}

#[tokio::test]
async fn a_client_that_gives_up_may_go_on_at_once() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 8 * MIB as u64).whole();
    begin(&mut client, &dated("file", &content), &content, 5 * MIB).await;
    client.push_trailer(&Trailer::Error(WireError::new(ErrorCode::SourceFailed, "unplugged")));
    client.flush().await;
    assert_eq!(code(client.stored().await), ErrorCode::SourceFailed);
    let verdict = client.plan_dated("file", content.len() as u64, MTIME).await;
    assert_eq!(verdict, Verdict::Resume { offset: 5 * MIB as u64 });
    go_on(&mut client, "file", &content, 5 * MIB as u64).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
    world.store().settled().await;
}

#[tokio::test]
async fn a_client_that_falls_silent_may_come_back() {
    let world = World::with(Settings::new().stall(Duration::from_millis(400))).await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 6 * MIB as u64).whole();
    let mut silent = alice.connect().await;
    begin(&mut silent, &dated("file", &content), &content, 4 * MIB).await;
    assert_eq!(silent.last_words().await.map(|error| error.code), Some(ErrorCode::Timeout));
    let mut client = alice.connect().await;
    let offset = offered(&mut client, "file", content.len() as u64).await;
    assert_eq!(at(offset), 4 * MIB);
    go_on(&mut client, "file", &content, offset).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
}

#[tokio::test]
async fn what_is_continued_is_stored_once() {
    let world = World::start().await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let content = Pattern::new(1, 5 * MIB as u64).whole();
    let offset = left(&alice, "file", &content, 4 * MIB).await;
    bob.connect().await.put_stream("his", &content).await.unwrap();
    let mut client = alice.connect().await;
    let verdict = client.plan_dated("file", content.len() as u64, MTIME).await;
    assert_eq!(verdict, Verdict::Resume { offset }, "bob's content changes nothing for alice");
    go_on(&mut client, "file", &content, offset).await.unwrap();
    world.store().settled().await;
    assert_eq!((world.store().blobs().len(), world.store().count("objects")), (1, 1));
}

/// Whatever is lost on the way, the file arrives, and less than all of it is sent twice.
#[test]
fn any_cuts_end_in_the_right_content() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (world, alice) = runtime.block_on(async {
        let world = World::start().await;
        let alice = world.enrol("alice").await;
        (world, alice)
    });
    let number = Cell::new(0);
    // Which part of what is missing each attempt sends in whole frames, and what comes of one more frame.
    let cuts = proptest::collection::vec((0..=100_usize, 0..FRAME), 0..5);
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let case = |cuts: Vec<(usize, usize)>| {
        number.set(number.get() + 1);
        runtime.block_on(any_cuts(&world, &alice, number.get(), &cuts));
        Ok(())
    };
    runner.run(&cuts, case).unwrap();
    runtime.block_on(world.store().settled());
}

async fn any_cuts(world: &World, alice: &Machine, number: u64, cuts: &[(usize, usize)]) {
    const SIZE: usize = 8 * MIB + 123;
    let (file, content) = (format!("file-{number}"), Pattern::new(number, SIZE as u64).whole());
    let (mut offset, mut sent) = (0, 0);
    for (index, (percent, torn)) in cuts.iter().enumerate() {
        let put = if offset == 0 { dated(&file, &content) } else { resumed(&file, &content, offset) };
        let end = at(offset) + (SIZE - at(offset)) * percent / 100;
        let next = FRAME.min(SIZE - end);
        let torn = (*torn).min(next);
        let mut client = alice.connect().await;
        begin(&mut client, &put, &content, end).await;
        // A whole frame is announced, and only its beginning comes.
        let header = Header::new(FrameKind::Data, next).unwrap().encode();
        client.send_raw(&[&header[..], &content[end..end + torn]].concat()).await;
        drop(client);
        sent += end + torn - at(offset);
        failed(&world.store(), &format!("/alice/{file}"), index + 1).await;
        offset = if world.store().parts().is_empty() {
            0
        } else {
            offered(&mut alice.connect().await, &file, SIZE as u64).await
        };
    }
    let mut client = alice.connect().await;
    let stored = if offset == 0 {
        whole(&mut client, &file, &content).await
    } else {
        go_on(&mut client, &file, &content, offset).await
    };
    stored.unwrap();
    sent += SIZE - at(offset);
    assert!(client.get(&file).await.unwrap() == content, "{cuts:?}");
    assert!(sent < 2 * SIZE, "{sent} of {SIZE} with {cuts:?}");
    client.remove(&file).await.unwrap();
    world.store().without_parts().await;
}

#[tokio::test]
async fn a_killed_server_goes_on_after_its_next_start() {
    let launcher = Launcher::new(SEALIFTD);
    let mut server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let content = Pattern::new(1, 24 * MIB as u64).whole();
    let mut offset = 0;
    for end in [9 * MIB, 15 * MIB + 1000, 21 * MIB] {
        let mut client = alice.at(server.address).connect().await;
        let put = if offset == 0 { dated("file", &content) } else { resumed("file", &content, offset) };
        begin(&mut client, &put, &content, end).await;
        let (store, enough) = (server.store(), end as u64 - 6 * MIB as u64);
        let written = || {
            let long = |file| std::fs::metadata(file).is_ok_and(|file| file.len() >= enough);
            (!store.parts().is_empty() && store.incoming().into_iter().any(long)).then_some(())
        };
        eventually("a part on the disk", written).await;
        server.kill();
        std::fs::write(launcher.data().join("incoming/9999"), b"nobody's").unwrap();
        server = launcher.start().await;
        assert_eq!((server.store().incoming().len(), server.store().parts().len()), (1, 1));
        let mut client = alice.at(server.address).connect().await;
        let now = offered(&mut client, "file", content.len() as u64).await;
        assert!(now >= offset && now >= enough - ALIGNMENT as u64 && at(now) <= end, "{now} of {end}");
        offset = now;
    }
    let mut client = alice.at(server.address).connect().await;
    go_on(&mut client, "file", &content, offset).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
    server.store().without_parts().await;
    server.store().settled().await;
}

#[tokio::test]
async fn a_server_that_stops_in_order_leaves_what_it_did_not_wait_for() {
    let launcher = Launcher::new(SEALIFTD).settings(Settings::new().drain(Duration::from_millis(300)));
    let mut server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let content = Pattern::new(1, 6 * MIB as u64).whole();
    let mut client = alice.connect().await;
    begin(&mut client, &dated("file", &content), &content, 5 * MIB).await;
    let written = || {
        let long = |file| std::fs::metadata(file).is_ok_and(|file| file.len() >= 4 * MIB as u64);
        server.store().incoming().into_iter().any(long).then_some(())
    };
    eventually("a part on the disk", written).await;
    server.terminate();
    assert_eq!(server.exit_code().await, Some(0));
    let server = launcher.start().await;
    let mut client = alice.at(server.address).connect().await;
    let offset = offered(&mut client, "file", content.len() as u64).await;
    assert!(at(offset) >= 4 * MIB);
    go_on(&mut client, "file", &content, offset).await.unwrap();
    assert!(client.get("file").await.unwrap() == content);
    server.store().settled().await;
}
