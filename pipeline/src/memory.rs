//! Memory of blocks that is used again.
//!
//! The first touch of fresh memory costs a page fault every 4 KiB: among many contents of a few MiB each that was a tenth of
//! all CPU time. So up to 32 MiB are kept for whoever needs a block next. A process that runs for long calls [`trim`] from
//! time to time, which gives back what nobody has needed since the last call; in others it is kept until their end.
//!
//! Blocks are mapped, and allocated only where the system maps nothing more. An allocator that has seen a few of them come and go keeps their memory for
//! itself, or cannot give it back because something small lies behind it.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use memmap2::MmapMut;

use crate::sizes::ALIGNMENT;

/// Bytes that are kept, whoever used them, for whoever needs some next.
const KEPT: usize = 32 * 1024 * 1024;

/// Half of what the allocator of the C library may keep behind what is in use: 512 KiB.
///
/// Records of TLS are allocated and freed, a quarter of a MiB at a time. At first glibc gives back whatever exceeds 128 KiB, and
/// the next records fault the same pages in again: a tenth of the time of an upload. Once memory of this size, which it maps,
/// has been freed, it keeps twice as much, see `M_MMAP_THRESHOLD` in mallopt(3). Other allocators take no notice.
const LESSON: usize = 512 * 1024;

static FREE: Mutex<BlockPool> = Mutex::new(BlockPool { pieces: VecDeque::new(), bytes: 0, least: 0 });

struct BlockPool {
    /// The ones used last, which a core's cache may still hold, are at the back.
    pieces: VecDeque<MemoryPiece>,
    bytes: usize,
    /// The fewest bytes that there were since somebody asked: so many nobody has needed.
    least: usize,
}

/// A run of bytes.
#[derive(Debug)]
enum MemoryPiece {
    Mapped(MmapMut),
    /// Where the system maps nothing more.
    Allocated(Vec<u8>),
}

/// Memory for `size` bytes, and [`ALIGNMENT`] more for whoever aligns them or puts headers between them. What is in it
/// is left from before.
#[derive(Debug)]
pub(super) struct BlockMemory(Option<MemoryPiece>);

impl BlockMemory {
    pub(super) fn new(size: usize) -> Self {
        let length = size + ALIGNMENT;
        let kept = free().take(length);
        Self(Some(kept.unwrap_or_else(|| MemoryPiece::new(length))))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], MemoryPiece::bytes)
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], MemoryPiece::bytes_mut)
    }
}

impl Drop for BlockMemory {
    fn drop(&mut self) {
        let unneeded = self.0.take().map(|piece| free().give(piece));
        // Outside of the lock: this takes the system some time.
        drop(unneeded);
    }
}

/// Gives the memory back to the system that nobody has needed since this was last called.
pub fn trim() {
    let unneeded = free().trim();
    drop(unneeded);
}

impl MemoryPiece {
    fn new(length: usize) -> Self {
        static TAUGHT: Once = Once::new();
        TAUGHT.call_once(|| drop(black_box(Vec::<u8>::with_capacity(LESSON))));
        // Its pages are not there before they are touched: a small content costs only its own.
        MmapMut::map_anon(length).map_or_else(|_| Self::Allocated(vec![0; length]), Self::Mapped)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Allocated(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Allocated(bytes) => bytes,
        }
    }

    fn length(&self) -> usize {
        self.bytes().len()
    }
}

impl BlockPool {
    fn take(&mut self, length: usize) -> Option<MemoryPiece> {
        let last = self.pieces.iter().rposition(|piece| piece.length() == length)?;
        self.bytes -= length;
        self.least = self.least.min(self.bytes);
        self.pieces.remove(last)
    }

    /// Keeps a piece. Returns those that are not kept any more.
    fn give(&mut self, piece: MemoryPiece) -> Vec<MemoryPiece> {
        self.bytes += piece.length();
        self.pieces.push_back(piece);
        self.drop_oldest(KEPT)
    }

    /// Returns what nobody has needed since this was last called.
    fn trim(&mut self) -> Vec<MemoryPiece> {
        let unneeded = self.drop_oldest(self.bytes - self.least.min(self.bytes));
        self.least = self.bytes;
        unneeded
    }

    /// Returns the oldest pieces, as many as there are above so many bytes.
    fn drop_oldest(&mut self, keep: usize) -> Vec<MemoryPiece> {
        let mut dropped = Vec::new();
        while self.bytes > keep
            && let Some(oldest) = self.pieces.pop_front()
        {
            self.bytes -= oldest.length();
            dropped.push(oldest);
        }
        dropped
    }
}

fn free() -> MutexGuard<'static, BlockPool> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(content: u8, length: usize) -> MemoryPiece {
        let mut piece = MemoryPiece::new(length);
        piece.bytes_mut()[0] = content;
        piece
    }

    fn none() -> BlockPool {
        BlockPool { pieces: VecDeque::new(), bytes: 0, least: 0 }
    }

    #[test]
    fn memory_of_the_same_size_is_used_again_the_last_first_and_no_more_is_kept_than_agreed() {
        let mut free = none();
        for (content, size) in [(1, KEPT / 4), (2, KEPT / 4), (3, 7), (4, KEPT / 2)] {
            free.give(piece(content, size));
        }
        assert_eq!(free.bytes, KEPT * 3 / 4 + 7, "the oldest made room");
        assert!(free.take(8).is_none());
        assert_eq!(free.take(7).unwrap().bytes(), [3, 0, 0, 0, 0, 0, 0]);
        free.give(piece(5, KEPT / 4));
        assert_eq!(free.take(KEPT / 4).unwrap().bytes()[0], 5);
        assert_eq!(free.take(KEPT / 4).unwrap().bytes()[0], 2);
        assert!(free.take(KEPT / 4).is_none());
        assert_eq!(free.bytes, KEPT / 2);
    }

    #[test]
    fn what_nobody_needs_between_two_looks_is_given_back() {
        let mut free = none();
        for content in 0..4 {
            free.give(piece(content, 100));
        }
        assert!(free.trim().is_empty(), "all of it was in use since the last look");
        let used = free.take(100).unwrap();
        free.give(used);
        assert_eq!(free.trim().len(), 3, "one was needed");
        assert_eq!((free.trim().len(), free.bytes), (1, 0));
        assert!(free.trim().is_empty());
    }
}
