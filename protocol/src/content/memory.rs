//! Memory of blocks that is used again.
//!
//! The first touch of fresh memory costs a page fault every 4 KiB, and an allocator gives large pieces back to the
//! system as soon as they are free: among many contents of a few MiB each that was a tenth of all CPU time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ALIGNMENT;

/// Bytes that are kept, whoever used them, for whoever needs some next.
const KEPT: usize = 32 * 1024 * 1024;

static FREE: Mutex<Free> = Mutex::new(Free { pieces: VecDeque::new(), bytes: 0 });

struct Free {
    /// The ones used last, which a core's cache may still hold, are at the back.
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// Memory for `size` bytes, and [`ALIGNMENT`] more for whoever aligns them or puts headers between them. What is in it
/// is left from before.
#[derive(Debug)]
pub(super) struct Memory(Vec<u8>);

impl Memory {
    pub(super) fn new(size: usize) -> Self {
        let length = size + ALIGNMENT;
        // Zeroed memory is not touched before it is used: a small content costs only its own pages.
        Self(free().take(length).unwrap_or_else(|| vec![0; length]))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        free().give(std::mem::take(&mut self.0));
    }
}

impl Free {
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let last = self.pieces.iter().rposition(|piece| piece.len() == length)?;
        self.bytes -= length;
        self.pieces.remove(last)
    }

    fn give(&mut self, piece: Vec<u8>) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        while self.bytes > KEPT
            && let Some(oldest) = self.pieces.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_the_same_size_is_used_again_the_last_first_and_no_more_is_kept_than_agreed() {
        let mut free = Free { pieces: VecDeque::new(), bytes: 0 };
        for (content, size) in [(1, KEPT / 4), (2, KEPT / 4), (3, 7), (4, KEPT / 2)] {
            free.give(vec![content; size]);
        }
        assert_eq!(free.bytes, KEPT * 3 / 4 + 7, "the oldest made room");
        assert!(free.take(8).is_none());
        assert_eq!(free.take(7).unwrap(), [3; 7]);
        free.give(vec![5; KEPT / 4]);
        assert_eq!(free.take(KEPT / 4).unwrap()[0], 5);
        assert_eq!(free.take(KEPT / 4).unwrap()[0], 2);
        assert!(free.take(KEPT / 4).is_none());
        assert_eq!(free.bytes, KEPT / 2);
    }
}
