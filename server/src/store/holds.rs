//! Who is writing which file in `incoming/`.
//!
//! A file there has one writer at most, and the collector touches none that has one. Files go by numbers; a number is
//! never given to a second file while the server runs, so what was learnt about the beginning of one stays true.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The files that are in use. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Holds {
    next: Arc<AtomicU64>,
    held: Arc<Mutex<HashSet<u64>>>,
    released: Arc<Notify>,
}

/// The use of one file, until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Hold(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: u64,
    holds: Holds,
    kept: AtomicBool,
    /// Whether the collector is to look at the file afterwards.
    wakes: bool,
}

impl Holds {
    /// Holds for a directory whose files have numbers below `next`.
    pub fn starting_at(next: u64) -> Self {
        Self { next: Arc::new(AtomicU64::new(next)), ..Self::default() }
    }

    /// A number that no file has.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a file, unless it is in use.
    pub fn hold(&self, file: u64) -> Option<Hold> {
        self.take(file, true)
    }

    /// The same for the collector, which would wake itself.
    pub fn hold_quietly(&self, file: u64) -> Option<Hold> {
        self.take(file, false)
    }

    /// Whether a file is in use.
    pub fn is_held(&self, file: u64) -> bool {
        self.lock().contains(&file)
    }

    /// Told whenever a file is no longer in use.
    pub fn released(&self) -> Arc<Notify> {
        self.released.clone()
    }

    fn take(&self, file: u64, wakes: bool) -> Option<Hold> {
        let taken = self.lock().insert(file);
        let inner = || Inner { file, holds: self.clone(), kept: AtomicBool::new(false), wakes };
        taken.then(|| Hold(Arc::new(inner())))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// The file's number.
    pub fn file(&self) -> u64 {
        self.0.file
    }

    /// From now on the file stays, however the upload ends.
    pub fn keep(&self) {
        self.0.kept.store(true, Ordering::SeqCst);
    }

    /// The file goes with the upload. Returns whether it would have stayed.
    pub fn discard(&self) -> bool {
        self.0.kept.swap(false, Ordering::SeqCst)
    }

    /// Whether the file stays.
    pub fn is_kept(&self) -> bool {
        self.0.kept.load(Ordering::SeqCst)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.holds.lock().remove(&self.file);
        if self.wakes {
            self.holds.released.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_writer_until_its_last_hold_is_gone() {
        let holds = Holds::starting_at(7);
        let hold = holds.hold(holds.number()).unwrap();
        assert_eq!((hold.file(), holds.number()), (7, 8));
        let second = hold.clone();
        second.keep();
        drop(second);
        assert!(hold.is_kept() && holds.is_held(7) && holds.hold(7).is_none());
        assert!(hold.discard() && !hold.discard());
        drop(hold);
        assert!(!holds.is_held(7) && holds.hold_quietly(7).is_some());
    }
}
