//! Keeps the collector off files that somebody is about to use. Nobody waits for the collector.
//!
//! Two things must not be disturbed: a reader between its look into the catalog and the opening of the file, and an upload
//! between the placing of a file and its commit. Both hold a [`FileGuard`] meanwhile.
//!
//! - A file that nothing refers to is found by no reader who comes later. So the collector waits until all guards of
//!   before are gone ([`FileGate::grace`]). New ones come as they like.
//! - A file that is placed while its digest is collected must stay. So an upload tells which digest it places, and the
//!   collector leaves that alone. The other way round, a digest that is being removed cannot be placed until that is done:
//!   this takes a look into the catalog and a few renames.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sealift_types::Digest;
use tokio::sync::Notify;

/// Who uses which files. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct FileGate(Arc<GateShared>);

#[derive(Debug, Default)]
struct GateShared {
    uses: Mutex<FileUses>,
    /// A guard has gone.
    gone: Notify,
    /// A removal has ended.
    removed: Condvar,
}

#[derive(Debug, Default)]
struct FileUses {
    next: u64,
    guards: BTreeSet<u64>,
    placing: HashMap<Digest, usize>,
    removing: HashSet<Digest>,
}

/// Keeps the collector away while it lives. Short-lived: it spans a commit or the opening of a file, not a transfer.
#[derive(Debug)]
pub struct FileGuard {
    gate: FileGate,
    number: u64,
    placed: Mutex<Vec<Digest>>,
}

/// Digests that nobody places while it lives.
#[derive(Debug)]
pub(super) struct FileRemoval {
    gate: FileGate,
    digests: HashSet<Digest>,
}

impl FileGate {
    /// Keeps the collector away.
    pub(super) fn guard(&self) -> FileGuard {
        let mut uses = self.lock();
        let number = uses.next;
        uses.next += 1;
        uses.guards.insert(number);
        FileGuard { gate: self.clone(), number, placed: Mutex::default() }
    }

    /// Waits until all guards are gone that there are now.
    pub(super) async fn grace(&self) {
        let end = self.lock().next;
        loop {
            let mut gone = pin!(self.0.gone.notified());
            gone.as_mut().enable();
            if self.lock().guards.first().is_none_or(|first| *first >= end) {
                return;
            }
            gone.await;
        }
    }

    /// Begins the removal of those of `digests` that nobody is placing. Whoever holds it must not wait for the catalog's
    /// writer, who may be placing one.
    pub(super) fn remove(&self, digests: impl IntoIterator<Item = Digest>) -> FileRemoval {
        let mut uses = self.lock();
        let mut taken = HashSet::new();
        for digest in digests {
            if !uses.placing.contains_key(&digest) && uses.removing.insert(digest) {
                taken.insert(digest);
            }
        }
        FileRemoval { gate: self.clone(), digests: taken }
    }

    fn lock(&self) -> MutexGuard<'_, FileUses> {
        self.0.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileGuard {
    /// Tells which digest is about to be placed. Waits while it is removed.
    pub(super) fn place(&self, digest: &Digest) {
        let mut uses = self.gate.lock();
        while uses.removing.contains(digest) {
            uses = self.gate.0.removed.wait(uses).unwrap_or_else(PoisonError::into_inner);
        }
        *uses.placing.entry(*digest).or_default() += 1;
        drop(uses);
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).push(*digest);
    }
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        let mut uses = self.gate.lock();
        uses.guards.remove(&self.number);
        for digest in self.placed.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(count) = uses.placing.get_mut(&digest) {
                *count -= 1;
                if *count == 0 {
                    uses.placing.remove(&digest);
                }
            }
        }
        drop(uses);
        self.gate.0.gone.notify_waiters();
    }
}

impl FileRemoval {
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.digests.contains(digest)
    }
}

impl Drop for FileRemoval {
    fn drop(&mut self) {
        let mut uses = self.gate.lock();
        for digest in &self.digests {
            uses.removing.remove(digest);
        }
        drop(uses);
        self.gate.0.removed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// True if a future is done as soon as it can be.
    async fn is_done(future: impl Future<Output = ()>) -> bool {
        tokio::time::timeout(Duration::ZERO, future).await.is_ok()
    }

    #[tokio::test]
    async fn the_collector_waits_for_older_guards_and_nobody_for_the_collector() {
        let gate = FileGate::default();
        assert!(is_done(gate.grace()).await);
        let old = gate.guard();
        let mut grace = pin!(gate.grace());
        assert!(!is_done(grace.as_mut()).await);
        let new = gate.guard();
        drop(old);
        assert!(is_done(grace.as_mut()).await, "newer guards do not count");
        drop(new);
    }

    #[test]
    fn what_is_being_placed_is_not_removed_and_what_is_removed_is_placed_afterwards() {
        let gate = FileGate::default();
        let (placed, other) = (Digest::of(b"placed"), Digest::of(b"other"));
        let guard = gate.guard();
        guard.place(&placed);
        let removal = gate.remove([placed, other]);
        assert!(!removal.has(&placed) && removal.has(&other));
        std::thread::scope(|scope| {
            let gate = &gate;
            let placing = scope.spawn(move || {
                let guard = gate.guard();
                guard.place(&other);
                assert!(!gate.lock().removing.contains(&other));
                guard
            });
            drop(removal);
            let later = placing.join().unwrap();
            assert!(!gate.remove([other]).has(&other));
            drop(later);
        });
        assert!(gate.remove([other]).has(&other));
        drop(guard);
        assert!(gate.remove([placed]).has(&placed));
    }
}
