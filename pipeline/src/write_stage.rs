//! The receiving side: an asynchronous task fills blocks, and threads hash and write them.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;

use sealift_types::{Digest, Hasher};

use crate::loan::MemoryLender;
use crate::reorder::{self, Block, BlockReceiver, BlockRecycler};
use crate::sizes::ALIGNMENT;

/// What sees every byte of a content as it passes.
pub trait ByteObserver {
    /// What comes of it.
    type Outcome;
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// What came of all of them.
    fn finish(self) -> Self::Outcome;
}

impl ByteObserver for Hasher {
    type Outcome = Digest;

    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }

    fn finish(self) -> Digest {
        Self::finish(self)
    }
}

/// The blocking half of a receiver: run it on a thread that may block.
#[derive(Debug)]
pub struct WriteStage {
    full: blocking::Receiver<Block>,
    empty: BlockRecycler,
    /// Blocks that are written by one call at most.
    together: usize,
}

/// The two halves that carry a content from the wire to a writer, in so many blocks of `size` bytes, a multiple of
/// [`ALIGNMENT`].
pub fn write_stage(size: usize, blocks: usize) -> (BlockReceiver, WriteStage) {
    write_stage_with_loans(size, blocks, None)
}

/// The same where all blocks but the first have to be lent: with fewer the content takes longer.
pub fn write_stage_with_loans(
    size: usize,
    blocks: usize,
    lender: Option<Arc<dyn MemoryLender>>,
) -> (BlockReceiver, WriteStage) {
    debug_assert!(size > 0 && size.is_multiple_of(ALIGNMENT));
    let (first, full, empty) = reorder::begin(size, blocks, lender);
    (first, WriteStage { full, empty, together: blocks_per_write(blocks).max(1) })
}

/// How many of the blocks that circulate are written by one call at most. As many wait only for a disk that is behind,
/// which gets several requests at once, while the others are filled.
pub const fn blocks_per_write(blocks: usize) -> usize {
    blocks * 3 / 8
}

impl WriteStage {
    /// Writes and hashes everything that is handed on, until the other half is dropped.
    ///
    /// `target` gets aligned memory, and whole blocks but for the last.
    pub fn run<T: ByteObserver>(self, mut target: impl Write, mut tally: T) -> io::Result<(u64, T::Outcome)> {
        let mut total = 0;
        while let Ok(block) = self.full.recv() {
            tally.update(block.bytes());
            target.write_all(block.bytes())?;
            total += block.bytes().len() as u64;
            self.empty.give(block);
        }
        target.flush()?;
        Ok((total, tally.finish()))
    }

    /// The same with a second thread for the writing, so that a slow disk does not wait for the hash, nor the hash for
    /// the disk.
    pub fn run_beside<T: ByteObserver>(
        self,
        mut target: impl Write + Send,
        mut tally: T,
    ) -> io::Result<(u64, T::Outcome)> {
        let Self { full, empty, together } = self;
        let (hashed, hashed_blocks) = blocking::channel::<Block>();
        thread::scope(|scope| {
            let write = move || {
                while let Ok(block) = hashed_blocks.recv() {
                    let mut blocks = vec![block];
                    blocks.extend(hashed_blocks.try_iter().take(together - 1));
                    write_together(&mut target, blocks.iter().map(Block::bytes))?;
                    blocks.into_iter().for_each(|block| empty.give(block));
                }
                target.flush()
            };
            let writing = thread::Builder::new().name("write".into()).spawn_scoped(scope, write)?;
            let mut total = 0;
            while let Ok(block) = full.recv() {
                tally.update(block.bytes());
                total += block.bytes().len() as u64;
                if hashed.send(block).is_err() {
                    // The writing has failed, and says why.
                    break;
                }
            }
            drop(hashed);
            match writing.join() {
                Ok(written) => written.map(|()| (total, tally.finish())),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Writes all that is in the slices, with as few calls as the target needs.
pub(crate) fn write_together<'a>(
    target: &mut impl Write,
    slices: impl Iterator<Item = &'a [u8]>,
) -> io::Result<()> {
    let mut slices: Vec<_> = slices.map(IoSlice::new).collect();
    let mut left = &mut slices[..];
    // Skips what is empty.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match target.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
