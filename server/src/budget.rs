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
mod tests;
