use super::*;
use crate::sizes::BLOCKS;
use crate::write_stage::{WriteStage, write_stage, write_stage_with_loans};
use sealift_protocol::FrameKind;
use sealift_protocol::frame::HEADER;
use sealift_types::{Digest, Hasher};
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::{JoinHandle, spawn_blocking};

fn drain(drainer: WriteStage) -> JoinHandle<(Vec<u8>, Digest)> {
    spawn_blocking(move || {
        let mut target = Vec::new();
        let (_, digest) = drainer.run(&mut target, Hasher::new()).unwrap();
        (target, digest)
    })
}

/// Fills the block with what a frame brings.
async fn bring(order: &Arc<ReorderBuffer>, index: u64, bytes: &[u8]) {
    let mut filling = order.fill(index).await.unwrap();
    let frame = [&Header::new(FrameKind::Data, bytes.len()).unwrap().encode()[..], bytes].concat();
    let mut reader = FrameReader::new(&frame[..], Duration::from_secs(10));
    let header = reader.header(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(frame.len(), HEADER + header.length());
    filling.receive(&mut reader, header).await.unwrap();
    filling.pass();
}

fn content(blocks: u64, rest: usize) -> Vec<u8> {
    let size = usize::try_from(blocks).unwrap() * ALIGNMENT + rest;
    (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn blocks_in_any_order_and_more_than_once_are_taken_in_theirs(
        order in Just((0..20_u64).collect::<Vec<_>>()).prop_shuffle(),
        twice in proptest::collection::vec(0..20_u64, 0..5),
        rest in prop_oneof![Just(1usize), 1..ALIGNMENT],
    ) {
        let content = content(19, rest);
        let (target, digest) = runtime().block_on(async {
            let (first, drainer) = write_stage(ALIGNMENT, BLOCKS);
            first.order().widen(20);
            let draining = drain(drainer);
            for index in twice.iter().chain(&order) {
                let start = usize::try_from(*index).unwrap() * ALIGNMENT;
                let end = (start + ALIGNMENT).min(content.len());
                bring(&first.order(), *index, &content[start..end]).await;
            }
            assert!(first.order().passed(19).await);
            drop(first);
            draining.await.unwrap()
        });
        prop_assert!(target == content);
        prop_assert_eq!(digest, Digest::of(&content));
    }
}

#[tokio::test]
async fn what_is_too_far_ahead_has_to_wait_and_no_more_is_held_than_was_agreed() {
    let (mut first, drainer) = write_stage(ALIGNMENT, BLOCKS);
    let order = first.order();
    order.widen(3);
    let block = content(1, 0);
    for index in [3, 1, 2] {
        bring(&order, index, &block).await;
    }
    let mut far = std::pin::pin!(order.fill(4));
    assert!(futures_are_pending(far.as_mut()).await, "one too far");
    let mut held = Vec::new();
    for _ in 0..BLOCKS {
        held.push(order.fill(0).await.unwrap());
    }
    let mut more = std::pin::pin!(order.fill(0));
    assert!(futures_are_pending(more.as_mut()).await, "one too many");
    // One that is given up leaves its place.
    held.clear();
    drop(more.await.unwrap());
    let draining = drain(drainer);
    assert!(first.copy(&block).await);
    assert!(order.passed(3).await);
    far.await.unwrap().pass();
    drop(first);
    assert_eq!(draining.await.unwrap().0.len(), 4 * ALIGNMENT);
    assert!(order.fill(5).await.is_none() && !order.passed(5).await && order.passed(3).await);
}

#[tokio::test]
async fn only_what_came_in_order_is_handed_on_at_the_end() {
    let (mut first, drainer) = write_stage(ALIGNMENT, BLOCKS);
    let order = first.order();
    order.widen(4);
    let draining = drain(drainer);
    assert!(first.copy(&content(1, 5)).await);
    assert!(!first.turn_to(3), "in the middle of a block");
    // What would follow if the block before it were whole.
    for index in [2, 3] {
        bring(&order, index, &content(1, 0)).await;
    }
    drop(first);
    assert_eq!(draining.await.unwrap().0, content(1, 5));

    let (mut first, drainer) = write_stage(ALIGNMENT, BLOCKS);
    let order = first.order();
    order.widen(4);
    let draining = drain(drainer);
    assert!(first.copy(&content(1, 0)).await && first.turn_to(2));
    assert!(first.copy(b"ahead").await);
    drop(first);
    assert_eq!(draining.await.unwrap().0, content(1, 0));
    order.closed().await;
}

/// Lends so many bytes in all.
#[derive(Debug)]
struct Purse(Arc<std::sync::atomic::AtomicUsize>);

impl MemoryLender for Purse {
    fn lend(&self, bytes: usize) -> Option<MemoryLoan> {
        use std::sync::atomic::Ordering::SeqCst;
        struct Back(Arc<std::sync::atomic::AtomicUsize>, usize);
        impl Drop for Back {
            fn drop(&mut self) {
                self.0.fetch_add(self.1, SeqCst);
            }
        }
        self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(bytes)).ok()?;
        Some(MemoryLoan::new(Back(self.0.clone(), bytes)))
    }
}

#[tokio::test]
async fn a_content_makes_do_with_the_blocks_that_are_lent_and_gives_them_back() {
    for lent in [0, 2, 100] {
        let left = Arc::new(std::sync::atomic::AtomicUsize::new(lent * ALIGNMENT));
        let (mut first, drainer) =
            write_stage_with_loans(ALIGNMENT, BLOCKS, Some(Arc::new(Purse(left.clone()))));
        let order = first.order();
        let mut held = Vec::new();
        for _ in 0..=lent.min(BLOCKS - 1) {
            held.push(order.fill(0).await.unwrap());
        }
        assert!(futures_are_pending(std::pin::pin!(order.fill(0))).await, "one more than was lent");
        drop(held);
        let draining = drain(drainer);
        assert!(first.copy(&content(30, 7)).await);
        drop(first);
        assert_eq!(draining.await.unwrap().0, content(30, 7));
        assert_eq!(left.load(std::sync::atomic::Ordering::SeqCst), lent * ALIGNMENT, "all is back");
    }
}

#[tokio::test]
async fn where_nothing_is_lent_those_ahead_leave_one_to_the_one_whose_turn_it_is() {
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (first, drainer) = write_stage_with_loans(ALIGNMENT, BLOCKS, Some(Arc::new(Purse(left))));
    let order = first.order();
    order.widen(3);
    for index in [3, 1, 2] {
        bring(&order, index, &content(1, 0)).await;
    }
    let draining = drain(drainer);
    bring(&order, 0, &content(1, 0)).await;
    assert!(order.passed(3).await);
    drop(first);
    assert_eq!(draining.await.unwrap().0.len(), 4 * ALIGNMENT);
}

/// Whether a future is not ready yet, however often the runtime turns to others.
async fn futures_are_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    for _ in 0..5 {
        tokio::task::yield_now().await;
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        });
        if !polled.await {
            return false;
        }
    }
    true
}
