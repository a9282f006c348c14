//! Who is writing which file in `incoming/`, and what is known about the digest of its beginning.
//!
//! A file there has one writer at most, and the collector touches none that has one. Files go by numbers; a number is
//! never given to a second file while the server runs, so what was learnt about the beginning of one stays true.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sealift_pipeline::{ALIGNMENT, ByteObserver};
use sealift_types::{Digest, Hasher};
use tokio::sync::Notify;

use super::upload_leases::UploadLease;

/// The files that are in use. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FileHolds {
    next: Arc<AtomicU64>,
    held: Arc<Mutex<HashSet<u64>>>,
    marks: Arc<Mutex<HashMap<u64, HashCheckpoint>>>,
    released: Arc<Notify>,
}

/// A hasher that has seen the first bytes of a file, up to where an upload can go on.
#[derive(Debug, Clone)]
pub struct HashCheckpoint {
    /// How many.
    pub offset: u64,
    /// What saw them.
    pub hasher: Hasher,
}

/// Hashes an upload, and marks the last place at which it can go on.
#[derive(Debug)]
pub struct CheckpointingHasher {
    hasher: Hasher,
    total: u64,
    mark: HashCheckpoint,
}

/// The use of one file, until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct FileHold(Arc<HoldsState>);

#[derive(Debug)]
struct HoldsState {
    file: u64,
    holds: FileHolds,
    kept: AtomicBool,
    /// Whether the collector is to look at the file afterwards.
    wakes: bool,
    /// Dropped after the file was released, so that whoever waits for the end of the attempt finds it free.
    lease: OnceLock<UploadLease>,
}

impl FileHolds {
    /// Holds for a directory whose files have numbers below `next`.
    pub fn starting_at(next: u64) -> Self {
        Self { next: Arc::new(AtomicU64::new(next)), ..Self::default() }
    }

    /// A number that no file has.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a file, unless it is in use.
    pub fn hold(&self, file: u64) -> Option<FileHold> {
        self.take(file, true)
    }

    /// The same for the collector, which would wake itself.
    pub fn hold_quietly(&self, file: u64) -> Option<FileHold> {
        self.take(file, false)
    }

    /// Whether a file is in use.
    pub fn is_held(&self, file: u64) -> bool {
        self.lock().contains(&file)
    }

    /// What is known about a file that was left. After a restart nothing is.
    pub fn mark(&self, file: u64) -> Option<HashCheckpoint> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).get(&file).cloned()
    }

    /// Told whenever a file is no longer in use.
    pub fn released(&self) -> Arc<Notify> {
        self.released.clone()
    }

    fn take(&self, file: u64, wakes: bool) -> Option<FileHold> {
        let taken = self.lock().insert(file);
        let (kept, lease) = (AtomicBool::new(false), OnceLock::new());
        let inner = || HoldsState { file, holds: self.clone(), kept, wakes, lease };
        taken.then(|| FileHold(Arc::new(inner())))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileHold {
    /// The file's number.
    pub fn file(&self) -> u64 {
        self.0.file
    }

    /// Keeps what is known about the file's beginning as long as the file itself is kept.
    pub fn remember(&self, mark: HashCheckpoint) {
        self.0.holds.marks.lock().unwrap_or_else(PoisonError::into_inner).insert(self.0.file, mark);
    }

    /// The attempt that the file is used for lasts as long as its use.
    pub fn belongs_to(&self, lease: UploadLease) {
        // A use is for one attempt, so there was none before.
        let _ = self.0.lease.set(lease);
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

impl CheckpointingHasher {
    /// Goes on behind a mark.
    pub fn behind(mark: HashCheckpoint) -> Self {
        Self { hasher: mark.hasher.clone(), total: mark.offset, mark }
    }
}

impl Default for CheckpointingHasher {
    fn default() -> Self {
        Self::behind(HashCheckpoint { offset: 0, hasher: Hasher::new() })
    }
}

impl ByteObserver for CheckpointingHasher {
    type Outcome = (Digest, HashCheckpoint);

    fn update(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % ALIGNMENT);
        self.hasher.update(whole);
        self.total += whole.len() as u64;
        if self.total.is_multiple_of(ALIGNMENT as u64) {
            self.mark = HashCheckpoint { offset: self.total, hasher: self.hasher.clone() };
        }
        self.hasher.update(rest);
        self.total += rest.len() as u64;
    }

    fn finish(self) -> (Digest, HashCheckpoint) {
        (self.hasher.finish(), self.mark)
    }
}

impl Drop for HoldsState {
    fn drop(&mut self) {
        if !*self.kept.get_mut() {
            self.holds.marks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.file);
        }
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
        let holds = FileHolds::starting_at(7);
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

    #[test]
    fn a_mark_is_the_digest_of_whole_blocks_and_lives_as_long_as_its_file() {
        let content: Vec<u8> = (0..3 * ALIGNMENT + 77).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut marking = CheckpointingHasher::default();
        marking.update(&content[..2 * ALIGNMENT]);
        let (_, mark) = marking.finish();
        assert_eq!(mark.offset, 2 * ALIGNMENT as u64);
        let mut marking = CheckpointingHasher::behind(mark);
        marking.update(&content[2 * ALIGNMENT..]);
        let (digest, mark) = marking.finish();
        assert_eq!(digest, Digest::of(&content));
        assert_eq!(mark.offset, 3 * ALIGNMENT as u64);
        assert_eq!(mark.hasher.clone().finish(), Digest::of(&content[..3 * ALIGNMENT]));

        let holds = FileHolds::default();
        let hold = holds.hold(3).unwrap();
        hold.keep();
        hold.remember(mark);
        drop(hold);
        assert_eq!(holds.mark(3).map(|mark| mark.offset), Some(3 * ALIGNMENT as u64));
        drop(holds.hold_quietly(3));
        assert!(holds.mark(3).is_none());
    }
}
