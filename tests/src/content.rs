//! Contents to transfer: of any size, reproducible, never whole in memory unless asked for.

use std::io::{self, Read};
use std::sync::OnceLock;

use sealift_types::{Digest, Hasher};

/// Bytes after which a content begins a new block.
const BLOCK: usize = 64 * 1024;

/// A content that is determined by its seed and size; two seeds give different contents from 8 bytes on.
///
/// Reading it is as fast as copying: every block is the same noise, stamped with the seed and its number.
#[derive(Debug, Clone)]
pub struct Pattern {
    seed: u64,
    size: u64,
    at: u64,
}

impl Pattern {
    /// The content of `size` bytes that belongs to `seed`.
    pub fn new(seed: u64, size: u64) -> Self {
        Self { seed, size, at: 0 }
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content, whole in memory.
    pub fn whole(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        Self::new(self.seed, self.size).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; BLOCK]);
        let mut source = Self::new(self.seed, self.size);
        loop {
            match source.read(&mut buffer).unwrap() {
                0 => return hasher.finish(),
                count => hasher.update(&buffer[..count]),
            }
        }
    }
}

impl Read for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (number, start) = (self.at / BLOCK as u64, usize::try_from(self.at % BLOCK as u64).unwrap());
        let left = usize::try_from(self.size - self.at).unwrap();
        let count = buffer.len().min(BLOCK - start).min(left);
        buffer[..count].copy_from_slice(&noise()[start..start + count]);
        let stamp = [self.seed.to_le_bytes(), number.to_le_bytes()].concat();
        for (byte, stamp) in buffer[..count].iter_mut().zip(stamp.iter().skip(start)) {
            *byte ^= stamp;
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// A block of noise (xorshift64, Marsaglia 2003).
fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(BLOCK);
        while bytes.len() < BLOCK {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_however_it_is_read() {
        let pattern = Pattern::new(7, 3 * BLOCK as u64 + 5);
        let whole = pattern.whole();
        let mut pieces = Vec::new();
        let mut source = pattern.clone();
        let mut buffer = [0; 1000];
        loop {
            match source.read(&mut buffer).unwrap() {
                0 => break,
                count => pieces.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(pieces == whole);
        assert_eq!(pattern.digest(), Digest::of(&whole));
        assert_ne!(Pattern::new(8, 8).whole(), Pattern::new(9, 8).whole());
        assert_ne!(whole[..BLOCK], whole[BLOCK..2 * BLOCK]);
    }
}
