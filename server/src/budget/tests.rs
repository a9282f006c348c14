use std::pin::Pin;
use std::task::Poll;

use super::*;
use crate::config::ServerConfig;

const MIB: u64 = 1024 * 1024;

fn budget(size: &str) -> MemoryBudget {
    MemoryBudget::new(ServerConfig::from_toml(&format!("memory.budget = '{size}'")).unwrap().into())
}

/// Takes a MiB after the other.
fn grab(budget: &MemoryBudget, identity: i64, need: MemoryNeed) -> Vec<BudgetLoan> {
    std::iter::from_fn(|| budget.try_take(identity, MIB, need)).collect()
}

/// Returns true if a future, polled once, has to wait.
async fn waits(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}

#[test]
fn an_identity_holds_no_more_than_it_leaves_to_others() {
    for (need, alone) in [(MemoryNeed::Work, 30), (MemoryNeed::Speed, 20), (MemoryNeed::Queue, 12)] {
        let budget = budget("60MiB");
        let first = grab(&budget, 1, need);
        assert_eq!(first.len(), alone, "{need:?}");
        let second = grab(&budget, 2, need);
        assert!(!second.is_empty() && second.len() < alone, "{need:?}");
        drop((first, second));
        assert_eq!(budget.used().0, 0);
        assert!(budget.lock().identities.is_empty());
    }
}

/// Nobody has to give anything back, so those who hold on to what they have leave half of the rest to the next.
#[test]
fn whoever_comes_next_finds_half_of_what_is_left() {
    let budget = budget("64MiB");
    let held: Vec<_> = (0..6).map(|identity| grab(&budget, identity, MemoryNeed::Work)).collect();
    assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [32, 16, 8, 1, 1, 1]);
}

/// With the default, ten identities that take all they can leave enough for those who come later.
#[test]
fn a_part_is_only_for_those_who_hold_little() {
    let budget = budget("192MiB");
    let greedy: Vec<_> = (0..10)
        .map(|identity| {
            let take = || budget.try_take(identity, MIB / 4, MemoryNeed::Work);
            std::iter::from_fn(take).collect::<Vec<_>>()
        })
        .collect();
    let honest = grab(&budget, 10, MemoryNeed::Work);
    assert_eq!(honest.len(), 1);
    assert_eq!(budget.left_for_speed(10), MIB / 2);
    assert!(budget.try_take(10, MIB / 2, MemoryNeed::Speed).is_some());
    drop((greedy, honest));
    assert_eq!(budget.left_for_speed(10), 64 * MIB);
}

#[test]
fn what_is_needed_comes_before_what_is_faster() {
    let budget = budget("60MiB");
    let fast = grab(&budget, 1, MemoryNeed::Speed);
    assert_eq!(budget.left_for_speed(1), 0);
    assert!(budget.try_take(1, MIB, MemoryNeed::Queue).is_none());
    assert_eq!(grab(&budget, 1, MemoryNeed::Work).len(), 10);
    drop(fast);
    assert_eq!(budget.left_for_speed(1), 20 * MIB);
}

#[tokio::test]
async fn those_who_wait_are_served_in_order_and_the_one_with_the_least_first() {
    let budget = budget("64MiB");
    let mut held = grab(&budget, 1, MemoryNeed::Work);
    let others = grab(&budget, 2, MemoryNeed::Work);
    let wait = |identity, bytes| {
        let budget = budget.clone();
        tokio::spawn(async move { budget.take(identity, bytes, MemoryNeed::Work).await.unwrap() })
    };
    let (large, small) = (wait(1, 20 * MIB), wait(1, MIB));
    tokio::task::yield_now().await;
    assert!(budget.try_take(1, 1, MemoryNeed::Work).is_none(), "nobody overtakes");
    // A waiter that gives up leaves the queue.
    let given_up = wait(1, MIB);
    tokio::task::yield_now().await;
    given_up.abort();
    held.truncate(8);
    drop(others);
    let large = large.await.unwrap();
    let small = small.await.unwrap();
    drop((held, large, small));
    assert_eq!((budget.used().0, budget.counts().0.get()), (0, 3));
    let refused = {
        let _all = budget.take(1, 100 * MIB, MemoryNeed::Work).await.unwrap();
        budget.take_within(Duration::from_millis(1), 2, MIB, MemoryNeed::Work).await.unwrap_err().to_wire()
    };
    assert_eq!((refused.code, budget.counts().1.get()), (ErrorCode::Busy, 1));
    assert!(refused.message.contains("`memory.budget` = 64 MiB"), "{refused}");
}

#[tokio::test]
async fn a_request_that_may_wait_holds_up_nothing_more_urgent() {
    let budget = budget("60MiB");
    let fast = grab(&budget, 1, MemoryNeed::Speed);
    let wait = |need| {
        let budget = budget.clone();
        tokio::spawn(async move { budget.take(1, 10 * MIB, need).await.unwrap() })
    };
    let queued = wait(MemoryNeed::Queue);
    while budget.counts().0.get() < 1 {
        tokio::task::yield_now().await;
    }
    let now = budget.take_within(Duration::ZERO, 1, MIB, MemoryNeed::Work).await.unwrap();
    let working = wait(MemoryNeed::Work);
    while budget.counts().0.get() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(
        budget.try_take(1, 1, MemoryNeed::Queue).is_none()
            && budget.try_take(1, 1, MemoryNeed::Work).is_none()
    );
    drop(now);
    let working = working.await.unwrap();
    assert!(!queued.is_finished());
    drop((fast, working));
    drop(queued.await.unwrap());
    assert!(budget.lock().identities.is_empty());
}

#[tokio::test]
async fn a_waiter_that_gives_up_leaves_nothing_and_lets_those_behind_it_go_on() {
    let budget = budget("60MiB");
    let held = grab(&budget, 1, MemoryNeed::Speed);
    for _ in 0..100 {
        budget.take_within(Duration::ZERO, 1, 40 * MIB, MemoryNeed::Work).await.unwrap_err();
    }
    assert!(budget.lock().identities[&1].waiting.is_empty());
    let mut large = Box::pin(budget.take(1, 40 * MIB, MemoryNeed::Work));
    let mut small = Box::pin(budget.take(1, MIB, MemoryNeed::Work));
    assert!(waits(&mut large).await && waits(&mut small).await);
    drop(large);
    small.await.unwrap();
    drop(held);
    assert!(budget.lock().identities.is_empty());
}

/// Each waiter gives up after it was taken out of the queue and before its loan was sent.
#[tokio::test]
async fn thousands_of_waiters_that_gave_up_are_passed_over() {
    let budget = budget("60MiB");
    let held = grab(&budget, 1, MemoryNeed::Work);
    for _ in 0..10_000 {
        let (ready, _) = oneshot::channel();
        mem::forget(budget.enqueue(1, MemoryNeed::Work, Waiter { bytes: MIB, ready }));
    }
    let mut live = Box::pin(budget.take(1, MIB, MemoryNeed::Work));
    assert!(waits(&mut live).await);
    drop(held);
    drop(live.await.unwrap());
    assert_eq!(budget.used().0, 0);
    assert!(budget.lock().identities.is_empty());
}
