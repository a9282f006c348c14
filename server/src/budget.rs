//! Memory that clients make the server use, shared fairly between identities.
//!
//! There is one budget for the blocks of uploads and downloads, for small contents that wait for their commit, for requests
//! that wait for their turn, and for replies that wait for their reader. An identity may take more as long as it then holds
//! no more than is left for others. So an identity that is alone may take half of the budget, the next one half of the rest,
//! and so on; as memory comes back, the shares become equal. An eighth of the budget is only for those who hold very little, so
//! a few identities that work together cannot keep it from all others. What is needed to go on at all comes before what only makes
//! it faster.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealift_pipeline::{MemoryLender, MemoryLoan};
use sealift_types::ErrorCode;
use tokio::sync::oneshot;

use crate::config::LiveConfig;
use crate::error::{Result, ServerError};
use crate::monitor::meter::Counter;

/// How often the memory of blocks that nobody has needed is given back.
const TRIM: Duration = Duration::from_secs(5);

/// The part of the budget that is only for identities who hold little.
const KEPT: u64 = 8;

/// The part of it that is little: enough for an upload and a download in small blocks.
const LITTLE: u64 = 128;

/// Gives the memory of blocks back that are kept for the next transfer, once there is none for a while.
pub async fn trim() {
    loop {
        tokio::time::sleep(TRIM).await;
        sealift_pipeline::trim();
    }
}

/// What memory is taken for, which decides how much of it there is. The most urgent need is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryNeed {
    /// To serve a request at all: an identity may hold as much as it leaves to others.
    Work,
    /// To be faster: half of that.
    Speed,
    /// To take further requests before those before them are served: a quarter of that.
    Queue,
}

/// The budget. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    settings: LiveConfig,
    accounts: Mutex<BudgetAccounts>,
    most: AtomicU64,
    waits: Counter,
    refused: Counter,
}

#[derive(Debug, Default)]
struct BudgetAccounts {
    used: u64,
    /// Those that hold or want memory.
    identities: HashMap<i64, IdentityAccount>,
    /// The number of the next waiter.
    next: u64,
}

#[derive(Debug, Default)]
struct IdentityAccount {
    used: u64,
    /// The most urgent need is served first, and of one need the waiter that has waited for longest.
    waiting: BTreeMap<(MemoryNeed, u64), Waiter>,
}

#[derive(Debug)]
struct Waiter {
    bytes: u64,
    ready: oneshot::Sender<BudgetLoan>,
}

/// A waiter's place in the queue of its identity. The waiter leaves the queue when this is dropped.
struct WaitingLoan<'a> {
    budget: &'a MemoryBudget,
    identity: i64,
    place: (MemoryNeed, u64),
}

/// Memory that an identity holds until this is dropped.
#[derive(Debug)]
pub struct BudgetLoan {
    budget: MemoryBudget,
    identity: i64,
    bytes: u64,
}

/// What an identity may take to be faster.
#[derive(Debug)]
pub struct SpeedLender {
    budget: MemoryBudget,
    identity: i64,
}

impl MemoryNeed {
    /// How many times an identity's memory must fit into what is left.
    fn times(self) -> u64 {
        match self {
            Self::Work => 1,
            Self::Speed => 2,
            Self::Queue => 4,
        }
    }
}

impl MemoryBudget {
    /// As large as the settings say at any time.
    pub fn new(settings: LiveConfig) -> Self {
        let (accounts, most) = (Mutex::default(), AtomicU64::new(0));
        let (waits, refused) = (Counter::default(), Counter::default());
        Self(Arc::new(BudgetState { settings, accounts, most, waits, refused }))
    }

    /// How large it is, in bytes.
    pub fn size(&self) -> u64 {
        self.0.settings.now().memory.budget()
    }

    /// Bytes that are held, and the most that ever were.
    pub fn used(&self) -> (u64, u64) {
        (self.lock().used, self.0.most.load(Ordering::Relaxed))
    }

    /// How often somebody had to wait for memory, and how often in vain.
    pub fn counts(&self) -> (&Counter, &Counter) {
        (&self.0.waits, &self.0.refused)
    }

    /// Takes memory if there is some, and no waiter of the identity has a need that is as urgent.
    pub fn try_take(&self, identity: i64, bytes: u64, need: MemoryNeed) -> Option<BudgetLoan> {
        let size = self.size();
        let mut accounts = self.lock();
        let first = accounts.identities.get(&identity).and_then(|account| account.waiting.first_key_value());
        let waits = first.is_some_and(|((most_urgent, _), _)| *most_urgent <= need);
        if waits || !accounts.fits(size, identity, bytes, need) {
            return None;
        }
        accounts.add(identity, bytes);
        self.0.most.fetch_max(accounts.used, Ordering::Relaxed);
        Some(BudgetLoan { budget: self.clone(), identity, bytes })
    }

    /// Takes memory as soon as there is some. A waiter holds up only those of its identity whose need is not more urgent.
    pub async fn take(&self, identity: i64, bytes: u64, need: MemoryNeed) -> Result<BudgetLoan> {
        if let Some(loan) = self.try_take(identity, bytes, need) {
            return Ok(loan);
        }
        self.0.waits.count();
        let (ready, mut loan) = oneshot::channel();
        // Declared after the receiver, so that a waiter that gives up leaves the queue before its receiver is gone.
        let _waiting = self.enqueue(identity, need, Waiter { bytes, ready });
        // Some may have come back between the two looks.
        self.serve_waiting();
        (&mut loan).await.map_err(|_| ServerError::Stopped)
    }

    fn enqueue(&self, identity: i64, need: MemoryNeed, waiter: Waiter) -> WaitingLoan<'_> {
        let mut accounts = self.lock();
        let place = (need, accounts.next);
        accounts.next += 1;
        accounts.identities.entry(identity).or_default().waiting.insert(place, waiter);
        WaitingLoan { budget: self, identity, place }
    }

    /// The same within a time; then the caller is told what the limit is.
    pub async fn take_within(
        &self,
        patience: Duration,
        identity: i64,
        bytes: u64,
        need: MemoryNeed,
    ) -> Result<BudgetLoan> {
        match tokio::time::timeout(patience, self.take(identity, bytes, need)).await {
            Ok(taken) => taken,
            Err(_) => {
                self.0.refused.count();
                let whose =
                    match self.lock().identities.get(&identity).is_some_and(|account| account.used > 0) {
                        true => "your other transfers hold all memory of the server that one identity may",
                        false => "the transfers of others hold all memory of the server",
                    };
                Err(ServerError::refused(
                    ErrorCode::Busy,
                    format!(
                        "{whose}: try again when some have ended, or ask the administrator for more than `memory.budget` = \
                         {} MiB",
                        self.size() >> 20
                    ),
                ))
            }
        }
    }

    /// Whoever lends an identity what makes its transfers faster.
    pub fn speed(&self, identity: i64) -> Arc<SpeedLender> {
        Arc::new(SpeedLender { budget: self.clone(), identity })
    }

    /// Bytes that an identity may still take to be faster.
    pub fn left_for_speed(&self, identity: i64) -> u64 {
        let size = self.size();
        let accounts = self.lock();
        let times = MemoryNeed::Speed.times();
        let mine = accounts.identities.get(&identity).map_or(0, |account| account.used);
        let left = size.saturating_sub(accounts.used);
        // So many more that `times` of what it holds then is what is left.
        let fair = left.saturating_sub(times * mine) / (times + 1);
        fair.min(left.saturating_sub(size / KEPT).max((size / LITTLE).saturating_sub(mine)))
    }

    fn give_back(&self, identity: i64, bytes: u64) {
        self.lock().subtract(identity, bytes);
        self.serve_waiting();
    }

    /// Gives what is free to those who wait, first to the one with the least.
    fn serve_waiting(&self) {
        let size = self.size();
        loop {
            let mut accounts = self.lock();
            let Some((identity, waiter)) = accounts.next(size) else { return };
            accounts.add(identity, waiter.bytes);
            self.0.most.fetch_max(accounts.used, Ordering::Relaxed);
            drop(accounts);
            let loan = BudgetLoan { budget: self.clone(), identity, bytes: waiter.bytes };
            if let Err(mut unsent) = waiter.ready.send(loan) {
                // The waiter has just given up. Its loan is emptied here, because dropping a full one calls this function
                // again, and thousands of them would need too much stack.
                let bytes = mem::take(&mut unsent.bytes);
                self.lock().subtract(identity, bytes);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BudgetAccounts> {
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetAccounts {
    /// Whether an identity may take so much more.
    fn fits(&self, size: u64, identity: i64, bytes: u64, need: MemoryNeed) -> bool {
        let mine = self.identities.get(&identity).map_or(0, |account| account.used);
        // Were it not for this, a request that is larger than the budget would wait for ever.
        if self.used == 0 {
            return true;
        }
        let Some(left) = size.checked_sub(self.used + bytes) else { return false };
        // The first of an identity finds what the others leave, however many they are.
        let is_fair = (mine + bytes) * need.times() <= left;
        mine == 0 && need == MemoryNeed::Work
            || is_fair && (mine + bytes <= size / LITTLE || left >= size / KEPT)
    }

    fn add(&mut self, identity: i64, bytes: u64) {
        self.used += bytes;
        self.identities.entry(identity).or_default().used += bytes;
    }

    fn subtract(&mut self, identity: i64, bytes: u64) {
        self.used -= bytes;
        if let Some(account) = self.identities.get_mut(&identity) {
            account.used -= bytes;
            self.forget_if_idle(identity);
        }
    }

    fn forget_if_idle(&mut self, identity: i64) {
        let is_idle = |account: &IdentityAccount| account.used == 0 && account.waiting.is_empty();
        if self.identities.get(&identity).is_some_and(is_idle) {
            self.identities.remove(&identity);
        }
    }

    /// Takes the next waiter that can be served out of its queue.
    fn next(&mut self, size: u64) -> Option<(i64, Waiter)> {
        let waiting = self.identities.iter().filter(|(_, account)| !account.waiting.is_empty());
        let mut waiting: Vec<_> = waiting.map(|(identity, account)| (account.used, *identity)).collect();
        waiting.sort_unstable();
        for (_, identity) in waiting {
            let first = self.identities.get(&identity).and_then(|account| account.waiting.first_key_value());
            let Some((need, bytes)) = first.map(|((need, _), waiter)| (*need, waiter.bytes)) else {
                continue;
            };
            if self.fits(size, identity, bytes, need) {
                let (_, waiter) = self.identities.get_mut(&identity)?.waiting.pop_first()?;
                return Some((identity, waiter));
            }
        }
        None
    }
}

impl MemoryLender for SpeedLender {
    fn lend(&self, bytes: usize) -> Option<MemoryLoan> {
        let loan = self.budget.try_take(self.identity, bytes as u64, MemoryNeed::Speed)?;
        Some(MemoryLoan::new(loan))
    }
}

impl Drop for BudgetLoan {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.identity, self.bytes);
        }
    }
}

impl Drop for WaitingLoan<'_> {
    fn drop(&mut self) {
        let mut accounts = self.budget.lock();
        let account = accounts.identities.get_mut(&self.identity);
        let gave_up = account.is_some_and(|account| account.waiting.remove(&self.place).is_some());
        accounts.forget_if_idle(self.identity);
        drop(accounts);
        if gave_up {
            // Those behind it may need less.
            self.budget.serve_waiting();
        }
    }
}

#[cfg(test)]
mod tests {
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
            budget
                .take_within(Duration::from_millis(1), 2, MIB, MemoryNeed::Work)
                .await
                .unwrap_err()
                .to_wire()
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
}
