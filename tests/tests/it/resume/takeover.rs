//! Who comes back before the server knows that they were gone takes over what they had sent.

use std::time::{Duration, Instant};

use sealift_pipeline::FRAME;
use sealift_protocol::WireError;
use sealift_protocol::message::{Trailer, Verdict};
use sealift_tests::transfer::end_of;
use sealift_tests::{Pattern, Settings, World};
use sealift_types::ErrorCode;

use super::{MIB, MTIME, begin, beside, dated, failed, go_on, left, resumed};

/// Long enough for a test's client that is not silent.
const SILENCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_newer_attempt_ends_a_silent_one_and_goes_on_with_its_part() {
    let world = World::with(Settings::new().yield_after(SILENCE)).await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 6 * MIB as u64).whole();
    let size = content.len() as u64;
    let (mut vanished, mut client) = (alice.connect().await, alice.connect().await);
    begin(&mut vanished, &dated("file", &content), &content, 4 * MIB).await;
    // In the middle of a frame it is the same.
    vanished.send_raw(&[b'D', 0, 4, 0, 1, 2, 3]).await;
    let verdict = client.plan_dated("file", size, MTIME).await;
    let Verdict::Resume { offset } = verdict else { panic!("{verdict:?}") };
    assert!(offset + FRAME as u64 >= 4 * MIB as u64, "{offset}");
    assert_eq!(vanished.last_words().await.map(|error| error.code), Some(ErrorCode::Timeout));
    failed(&world.store(), "/alice/file", 1).await;
    assert_eq!(world.store().logged("/alice/file").await.error.as_deref(), Some("interrupted"));

    // The one that took over may be taken over from, too.
    begin(&mut client, &resumed("file", &content, offset), &content, 5 * MIB).await;
    let mut third = alice.connect().await;
    let verdict = third.plan_dated("file", size, MTIME).await;
    let Verdict::Resume { offset } = verdict else { panic!("{verdict:?}") };
    assert_eq!(offset, 5 * MIB as u64);
    go_on(&mut third, "file", &content, offset).await.unwrap();
    assert!(third.get("file").await.unwrap() == content);
    world.store().without_parts().await;
    world.store().settled().await;
}

#[tokio::test]
async fn one_that_receives_goes_on_undisturbed() {
    let world = World::with(Settings::new().yield_after(SILENCE)).await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let size = content.len() as u64;
    let (mut first, mut second) = (alice.connect().await, alice.connect().await);
    begin(&mut first, &dated("file", &content), &content, 2 * MIB).await;
    assert_eq!(beside(&mut first, second.plan_dated("file", size, MTIME)).await, Verdict::Send);
    for frame in content[2 * MIB..].chunks(FRAME) {
        first.send_data(frame).await;
    }
    first.push_trailer(&end_of(&content));
    first.flush().await;
    first.stored().await.unwrap();
    assert_eq!(second.plan_dated("file", size, MTIME).await, Verdict::Hash);
}

/// A silent upload is nobody's business who does not want to go on with that very one.
#[tokio::test]
async fn other_uploads_disturb_nobody_and_wait_for_nobody() {
    let world = World::with(Settings::new().yield_after(Duration::from_secs(100))).await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let size = content.len() as u64;
    let (mut first, mut second, mut his) =
        (alice.connect().await, alice.connect().await, bob.connect().await);
    begin(&mut first, &dated("file", &content), &content, 2 * MIB).await;
    let begun = Instant::now();
    assert_eq!(second.plan_dated("file", size, MTIME + 1).await, Verdict::Send);
    assert_eq!(second.plan_dated("file", size + 1, MTIME).await, Verdict::Send);
    assert_eq!(second.plan_dated("other", size, MTIME).await, Verdict::Send);
    assert_eq!(his.plan_dated("file", size, MTIME).await, Verdict::Send);
    assert!(begun.elapsed() < Duration::from_secs(50));
    first.push_trailer(&Trailer::Error(WireError::new(ErrorCode::SourceFailed, "enough")));
    first.flush().await;
    assert_eq!(first.refusal().await.code, ErrorCode::SourceFailed);
}

/// What was sent before the connection was lost counts, however quickly the client is back.
#[tokio::test]
async fn a_client_that_is_back_at_once_goes_on() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 12 * MIB as u64).whole();
    let size = content.len() as u64;
    for round in 0..20 {
        let file = format!("file-{round}");
        let mut client = alice.connect().await;
        begin(&mut client, &dated(&file, &content), &content, 10 * MIB).await;
        let mut back = alice.connect().await;
        drop(client);
        let verdict = back.plan_dated(&file, size, MTIME).await;
        let Verdict::Resume { offset } = verdict else { panic!("{verdict:?}") };
        assert!(offset > 9 * MIB as u64, "{offset}");
    }
    assert!(left(&alice, "last", &content, 10 * MIB).await > 9 * MIB as u64);
}
