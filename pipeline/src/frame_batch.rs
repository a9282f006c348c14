//! Data frames that are handed on together.

use std::io::{self, Read};

use sealift_protocol::frame::HEADER;
use sealift_protocol::{FrameKind, Header};

use crate::memory::BlockMemory;
use crate::sizes::{ALIGNMENT, FRAME};

/// Data frames with their headers, ready to be written; all but the last are full.
#[derive(Debug)]
pub struct FrameBatch {
    memory: BlockMemory,
    filled: usize,
}

impl FrameBatch {
    /// Room for so many frames.
    pub fn new(count: usize) -> Self {
        debug_assert!(count * HEADER <= ALIGNMENT);
        Self { memory: BlockMemory::new(count * FRAME), filled: 0 }
    }

    /// The frames one by one: header and payload.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.memory.bytes()[..self.filled].chunks(HEADER + FRAME)
    }

    /// Payload bytes of all of them.
    pub fn payload(&self) -> u64 {
        self.iter().map(|frame| (frame.len() - HEADER) as u64).sum()
    }

    /// Returns true if there is no frame.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Empties them for reuse.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Adds a frame of up to `want` bytes from `source`, at most [`FRAME`]; there must be room for it. Returns its payload,
    /// which is empty at the end of the source.
    ///
    /// # Errors
    /// Fails when the source does.
    pub fn fill(&mut self, source: &mut impl Read, want: usize) -> io::Result<&[u8]> {
        let (header, payload) = self.memory.bytes_mut()[self.filled..][..HEADER + want].split_at_mut(HEADER);
        let count = read_full(source, payload)?;
        if count > 0 {
            let made =
                Header::new(FrameKind::Data, count).expect("FRAME is within MAX_DATA, as asserted above");
            header.copy_from_slice(&made.encode());
            self.filled += HEADER + count;
        }
        Ok(&payload[..count])
    }
}

/// Reads until `buffer` is full or the source ends; interruptions are not failures.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
