//! Reads a content ahead of whoever sends it.
//!
//! A thread reads as long as there are blocks to fill, then it lets go: a client that does not take what was read costs
//! the memory of a few blocks, and no thread.

use std::io;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use sealift_pipeline::{BLOCK, BLOCKS, FRAME, FrameBatch, LARGE, MemoryLender, MemoryLoan};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle};

use crate::store::blobs::ExtentReader;

/// A content that is being read.
#[derive(Debug)]
pub(super) struct ContentReadAhead {
    /// While nobody reads.
    job: Option<ReadJob>,
    /// While somebody does.
    reading: Option<JoinHandle<Result<ReadJob, JoinError>>>,
    full: mpsc::UnboundedReceiver<FilledBatch>,
    empty: blocking::Sender<FilledBatch>,
    turns: Arc<Semaphore>,
}

/// A block of frames that were read.
#[derive(Debug)]
pub(super) struct FilledBatch {
    frames: FrameBatch,
    _lent: Option<MemoryLoan>,
}

/// What a thread needs to read on.
#[derive(Debug)]
struct ReadJob {
    source: ExtentReader,
    /// Bytes that are still to be read.
    left: u64,
    /// Why no more can be.
    failed: Option<io::Error>,
    /// Frames of a block.
    frames: usize,
    /// How many blocks there may be, and how many there are.
    blocks: usize,
    made: usize,
    /// The first block, if that was lent.
    first: Option<MemoryLoan>,
    lender: Arc<dyn MemoryLender>,
    empty: blocking::Receiver<FilledBatch>,
    full: mpsc::UnboundedSender<FilledBatch>,
}

impl FilledBatch {
    /// The frames one by one: header and payload.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter()
    }
}

impl ContentReadAhead {
    /// Of `length` bytes of `source`. One block of a frame is the caller's affair, all others are lent. `turns` bounds how
    /// many contents are read at once.
    pub(super) fn new(
        source: ExtentReader,
        length: u64,
        lender: Arc<dyn MemoryLender>,
        turns: Arc<Semaphore>,
    ) -> Self {
        let (full, full_blocks) = mpsc::unbounded_channel();
        let (empty, empty_blocks) = blocking::channel();
        let first = Some(length).filter(|length| *length >= LARGE).and_then(|_| lender.lend(BLOCK));
        // For what is soon over, the first touch of more memory costs more than it saves in waiting.
        let (frames, blocks) = if first.is_some() { (BLOCK / FRAME, BLOCKS) } else { (1, BLOCKS / 2) };
        let job = ReadJob {
            source,
            left: length,
            failed: None,
            frames,
            blocks,
            made: 0,
            first,
            lender,
            empty: empty_blocks,
            full,
        };
        Self { job: Some(job), reading: None, full: full_blocks, empty, turns }
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    /// Fails when the source does, or ends too soon.
    pub(super) async fn next(&mut self) -> io::Result<Option<FilledBatch>> {
        loop {
            if let Ok(filled) = self.full.try_recv() {
                self.read_on(false).await?;
                return Ok(Some(filled));
            }
            if let Some(reading) = &mut self.reading {
                tokio::select! {
                    biased;
                    Some(filled) = self.full.recv() => return Ok(Some(filled)),
                    job = reading => {
                        self.reading = None;
                        self.job = Some(finished(job)?);
                    }
                }
            } else if let Some(error) = self.job.as_mut().and_then(|job| job.failed.take()) {
                return Err(error);
            } else if self.job.as_ref().is_none_or(|job| job.left == 0) {
                return Ok(None);
            } else {
                self.read_on(true).await?;
            }
        }
    }

    /// Gives a block back for reuse.
    pub(super) fn recycle(&self, filled: FilledBatch) {
        // Should nobody read any more, nobody needs it.
        let _ = self.empty.send(filled);
    }

    /// Has a thread read on, if nobody does and half of the blocks can be filled at once, or if it `must` be.
    async fn read_on(&mut self, must: bool) -> io::Result<()> {
        if let Some(reading) = self.reading.take_if(|reading| reading.is_finished()) {
            self.job = Some(finished(reading.await)?);
        }
        let waiting = self.full.len();
        let worth =
            |job: &mut ReadJob| job.left > 0 && job.failed.is_none() && (must || waiting * 2 <= job.made);
        if let Some(job) = self.job.take_if(worth) {
            let turns = self.turns.clone();
            self.reading = Some(tokio::spawn(async move {
                // Never closed.
                let _turn = turns.acquire_owned().await;
                tokio::task::spawn_blocking(move || job.run()).await
            }));
        }
        Ok(())
    }
}

fn finished(job: Result<Result<ReadJob, JoinError>, JoinError>) -> io::Result<ReadJob> {
    job.and_then(|job| job).map_err(io::Error::other)
}

impl ReadJob {
    /// Fills blocks as long as there are any.
    fn run(mut self) -> Self {
        while self.left > 0
            && self.failed.is_none()
            && let Some(mut filled) = self.block()
        {
            self.failed = self.fill(&mut filled.frames).err();
            // Should nobody take it any more, that is the end of it.
            if self.full.send(filled).is_err() {
                self.left = 0;
            }
        }
        self
    }

    /// A block to fill: one that came back, or another one if there is memory for it.
    fn block(&mut self) -> Option<FilledBatch> {
        if let Ok(mut filled) = self.empty.try_recv() {
            filled.frames.clear();
            return Some(filled);
        }
        let lent = match self.made {
            0 => self.first.take(),
            made if made < self.blocks => Some(self.lender.lend(self.frames * FRAME)?),
            _ => return None,
        };
        self.made += 1;
        Some(FilledBatch { frames: FrameBatch::new(self.frames), _lent: lent })
    }

    fn fill(&mut self, frames: &mut FrameBatch) -> io::Result<()> {
        for _ in 0..self.frames {
            let want = usize::try_from(self.left).map_or(FRAME, |left| left.min(FRAME));
            let count = frames.fill(&mut self.source, want)?.len();
            self.left -= count as u64;
            if count < want {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.left == 0 {
                break;
            }
        }
        Ok(())
    }
}
