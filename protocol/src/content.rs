//! Contents on their way between files and frames.
//!
//! Reading, hashing and writing block, so they run on threads of their own beside the one that encrypts and sends or
//! receives and decrypts. They pass a few blocks back and forth: that is all the memory a transfer uses, whatever the
//! file's size, and each side waits for the other when it is ahead. A block is larger than a frame because each
//! hand-over wakes a thread, and frames are smaller because they are the grain of progress on a slow line.

mod lent;
mod memory;
mod order;
mod past_cache;

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

use crate::frame::{HEADER, MAX_DATA};
use crate::{Digest, FrameKind, Hasher, Header};
pub use lent::{Lender, Lent};
use memory::Memory;
pub use memory::trim;
use order::{Block, Returns};
pub use order::{EmptyBlocks, Filling, Order};
pub use past_cache::PastCache;

/// Payload bytes of a data frame: large enough to spread the cost of a frame, small enough for a core's cache.
pub const FRAME: usize = 256 * 1024;

/// Payload bytes of a block, the unit in which threads hand a content on.
pub const BLOCK: usize = 4 * FRAME;

/// Blocks that circulate in one transfer: one for each of its threads, and some that are ready, so that a disk that
/// pauses for a few milliseconds stops nobody.
pub const BLOCKS: usize = 8;

/// Blocks that circulate where a long content is received and memory is no concern: disks pause for longer than networks.
pub const MANY_BLOCKS: usize = 2 * BLOCKS;

/// How many blocks circulate where a content of `size` bytes is received, if that is known: [`MANY_BLOCKS`] if it fills them.
pub fn blocks_for(size: Option<u64>) -> usize {
    if size.is_none_or(|size| size >= (MANY_BLOCKS * BLOCK) as u64) { MANY_BLOCKS } else { BLOCKS }
}

/// Bytes from which on a content is handed on in whole blocks, so that others can be called to it, each of whom takes one:
/// 8 MiB. One that is soon over costs more by the first touch of large blocks than it saves in hand-overs.
pub const LARGE: u64 = (BLOCKS * BLOCK) as u64;

/// What a received block's memory is aligned to, for writes past the page cache; block sizes of disks are powers of
/// two up to this.
pub const ALIGNMENT: usize = 4096;

const _: () = assert!(FRAME <= MAX_DATA);

/// Data frames with their headers, ready to be written; all but the last are full.
#[derive(Debug)]
pub struct Frames {
    memory: Memory,
    filled: usize,
}

impl Frames {
    /// Room for so many frames.
    pub fn new(count: usize) -> Self {
        debug_assert!(count * HEADER <= ALIGNMENT);
        Self { memory: Memory::new(count * FRAME), filled: 0 }
    }

    /// The frames one by one: header and payload.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.memory.bytes()[..self.filled].chunks(HEADER + FRAME)
    }

    /// Payload bytes of all of them.
    pub fn payload(&self) -> u64 {
        self.iter().map(|frame| (frame.len() - HEADER) as u64).sum()
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

/// What became of a content that was read: its size and digest, or why it could not be read.
pub type Outcome = io::Result<(u64, Option<Digest>)>;

/// The blocking half of a sender: run it on a thread that may block.
#[derive(Debug)]
pub struct Filler {
    full: mpsc::Sender<Frames>,
    empty: blocking::Receiver<Frames>,
    kept: usize,
}

/// The asynchronous half of a sender.
#[derive(Debug)]
pub struct FullFrames {
    full: mpsc::Receiver<Frames>,
    empty: blocking::Sender<Frames>,
}

/// The two halves that carry a content from a reader to the wire.
pub fn sender() -> (Filler, FullFrames) {
    sender_beside(0)
}

/// The same where so many blocks more may be kept by whoever sends them.
pub fn sender_beside(kept: usize) -> (Filler, FullFrames) {
    let (full, full_frames) = mpsc::channel(BLOCKS);
    let (empty, empty_frames) = blocking::channel();
    let filler = Filler { full, empty: empty_frames, kept };
    (filler, FullFrames { full: full_frames, empty })
}

impl Filler {
    /// Reads `source` to its end, or up to `limit` bytes, and hands on one block of frames after another.
    ///
    /// `hasher` has seen what lies before the source's position; without one no digest is computed. Returns the bytes
    /// read. When nobody takes the frames any more, it stops early with [`io::ErrorKind::BrokenPipe`].
    pub fn run(self, mut source: impl Read, limit: Option<u64>, mut hasher: Option<Hasher>) -> Outcome {
        let mut made = 0;
        let mut total = 0;
        let mut more = true;
        let (frames, blocks) = circulation(limit);
        while more {
            let mut block = match self.empty.try_recv() {
                Ok(block) => block,
                Err(_) if made < blocks + self.kept => {
                    made += 1;
                    Frames::new(frames)
                }
                Err(_) => self.empty.recv().map_err(|_| gone())?,
            };
            block.clear();
            for _ in 0..frames {
                let left = limit.map_or(FRAME as u64, |limit| limit - total);
                let want = usize::try_from(left).map_or(FRAME, |left| left.min(FRAME));
                let payload = block.fill(&mut source, want)?;
                if let Some(hasher) = &mut hasher {
                    hasher.update(payload);
                }
                total += payload.len() as u64;
                more = payload.len() == FRAME;
                if !more {
                    break;
                }
            }
            if block.filled > 0 {
                self.full.blocking_send(block).map_err(|_| gone())?;
            }
        }
        Ok((total, hasher.map(Hasher::finish)))
    }
}

/// How many frames are handed on together, and how many such blocks circulate. What comes from a pipe should not wait for
/// more than it must; for what is soon over, the first touch of more memory costs more than it saves in waiting.
fn circulation(limit: Option<u64>) -> (usize, usize) {
    match limit {
        Some(limit) if limit >= LARGE => (BLOCK / FRAME, BLOCKS),
        Some(_) => (1, BLOCKS / 2),
        None => (1, BLOCKS),
    }
}

impl FullFrames {
    /// The next frames, or `None` when the [`Filler`] has ended.
    pub async fn next(&mut self) -> Option<Frames> {
        self.full.recv().await
    }

    /// Gives frames back for reuse.
    pub fn recycle(&self, frames: Frames) {
        // The filler may have ended already; then nobody needs them.
        let _ = self.empty.send(frames);
    }

    /// Where frames are given back while somebody waits for the next.
    pub fn recycler(&self) -> Recycler {
        Recycler(self.empty.clone())
    }
}

/// Takes frames back for reuse.
#[derive(Debug)]
pub struct Recycler(blocking::Sender<Frames>);

impl Recycler {
    /// Gives frames back.
    pub fn recycle(&self, frames: Frames) {
        let _ = self.0.send(frames);
    }
}

/// What sees every byte of a content as it passes.
pub trait Tally {
    /// What comes of it.
    type Outcome;
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// What came of all of them.
    fn finish(self) -> Self::Outcome;
}

impl Tally for Hasher {
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
pub struct Drainer {
    full: blocking::Receiver<Block>,
    empty: Returns,
    /// Blocks that are written by one call at most.
    together: usize,
}

/// The two halves that carry a content from the wire to a writer, in so many blocks of `size` bytes, a multiple of
/// [`ALIGNMENT`].
pub fn receiver(size: usize, blocks: usize) -> (EmptyBlocks, Drainer) {
    receiver_within(size, blocks, None)
}

/// The same where all blocks but the first have to be lent: with fewer the content takes longer.
pub fn receiver_within(
    size: usize,
    blocks: usize,
    lender: Option<Arc<dyn Lender>>,
) -> (EmptyBlocks, Drainer) {
    debug_assert!(size > 0 && size.is_multiple_of(ALIGNMENT));
    let (first, full, empty) = order::begin(size, blocks, lender);
    (first, Drainer { full, empty, together: together(blocks).max(1) })
}

/// How many of the blocks that circulate are written by one call at most. As many wait only for a disk that is behind,
/// which gets several requests at once, while the others are filled.
pub const fn together(blocks: usize) -> usize {
    blocks * 3 / 8
}

impl Drainer {
    /// Writes and hashes everything that is handed on, until the other half is dropped.
    ///
    /// `target` gets aligned memory, and whole blocks but for the last.
    pub fn run<T: Tally>(self, mut target: impl Write, mut tally: T) -> io::Result<(u64, T::Outcome)> {
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
    pub fn run_beside<T: Tally>(
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

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Writes all that is in the slices, with as few calls as the target needs.
fn write_together<'a>(target: &mut impl Write, slices: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use proptest::prelude::*;

    fn across(
        content: &[u8],
        limit: Option<u64>,
        beside: bool,
    ) -> (Vec<u8>, Outcome, io::Result<(u64, Digest)>) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(async {
            let (filler, mut full) = sender();
            let (mut empty, drainer) = receiver(ALIGNMENT * 3, BLOCKS);
            let source = content.to_vec();
            let filling =
                tokio::task::spawn_blocking(move || filler.run(&source[..], limit, Some(Hasher::new())));
            let draining = tokio::task::spawn_blocking(move || {
                let mut target = Vec::new();
                let outcome = if beside {
                    drainer.run_beside(&mut target, Hasher::new())
                } else {
                    drainer.run(&mut target, Hasher::new())
                };
                (target, outcome)
            });
            while let Some(frames) = full.next().await {
                for (index, frame) in frames.iter().enumerate() {
                    let mut reader = crate::io::FrameReader::new(frame, Duration::from_secs(10));
                    let header = reader.header(Duration::ZERO).await.unwrap().unwrap();
                    if index % 2 == 0 {
                        assert!(empty.receive(&mut reader, header).await.unwrap());
                    } else {
                        assert!(empty.copy(&frame[HEADER..]).await);
                    }
                }
                full.recycle(frames);
            }
            drop(empty);
            let (target, drained) = draining.await.unwrap();
            (target, filling.await.unwrap(), drained)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn contents_of_any_size_arrive_whole(
            frames in 0usize..10, rest in prop_oneof![Just(0usize), Just(1), 0..FRAME], limited: bool, beside: bool,
        ) {
            let content: Vec<u8> = (0..frames * FRAME + rest).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let limit = limited.then_some(content.len() as u64 / 2);
            let sent = &content[..limit.map_or(content.len(), |l| usize::try_from(l).unwrap())];
            let (arrived, filled, drained) = across(&content, limit, beside);
            prop_assert!(arrived == sent);
            prop_assert_eq!(filled.unwrap(), (sent.len() as u64, Some(Digest::of(sent))));
            prop_assert_eq!(drained.unwrap(), (sent.len() as u64, Digest::of(sent)));
        }
    }

    #[test]
    fn a_filler_whose_frames_nobody_takes_ends() {
        let (filler, full) = sender();
        drop(full);
        let outcome = filler.run(io::repeat(7), None, None);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_drainer_that_fails_stops_the_receiver() {
        for beside in [false, true] {
            fails(beside).await;
        }
    }

    async fn fails(beside: bool) {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut empty, drainer) = receiver(ALIGNMENT, BLOCKS);
        let draining = tokio::task::spawn_blocking(move || {
            if beside { drainer.run_beside(Full, Hasher::new()) } else { drainer.run(Full, Hasher::new()) }
        });
        let mut passed = 0;
        while empty.copy(&[1; ALIGNMENT]).await {
            passed += 1;
            assert!(passed <= BLOCKS);
        }
        drop(empty);
        assert_eq!(draining.await.unwrap().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
