//! The sending side: a thread reads and hashes a content, and an asynchronous task sends its frames.

use std::io::{self, Read};
use std::sync::mpsc as blocking;

use sealift_types::{Digest, Hasher};
use tokio::sync::mpsc;

use crate::frame_batch::FrameBatch;
use crate::sizes::{BLOCK, BLOCKS, FRAME, LARGE};

/// The blocking half of a sender: run it on a thread that may block.
#[derive(Debug)]
pub struct ReadStage {
    full: mpsc::Sender<FrameBatch>,
    empty: blocking::Receiver<FrameBatch>,
    kept: usize,
}

/// The asynchronous half of a sender.
#[derive(Debug)]
pub struct FrameQueue {
    full: mpsc::Receiver<FrameBatch>,
    empty: blocking::Sender<FrameBatch>,
}

/// The two halves that carry a content from a reader to the wire.
pub fn read_stage() -> (ReadStage, FrameQueue) {
    read_stage_with_spare(0)
}

/// The same where so many blocks more may be kept by whoever sends them.
pub fn read_stage_with_spare(kept: usize) -> (ReadStage, FrameQueue) {
    let (full, full_frames) = mpsc::channel(BLOCKS);
    let (empty, empty_frames) = blocking::channel();
    let filler = ReadStage { full, empty: empty_frames, kept };
    (filler, FrameQueue { full: full_frames, empty })
}

impl ReadStage {
    /// Reads `source` to its end, or up to `limit` bytes, and hands on one block of frames after another.
    ///
    /// `hasher` has seen what lies before the source's position; without one no digest is computed. Returns the bytes
    /// read. When nobody takes the frames any more, it stops early with [`io::ErrorKind::BrokenPipe`].
    pub fn run(
        self,
        mut source: impl Read,
        limit: Option<u64>,
        mut hasher: Option<Hasher>,
    ) -> io::Result<(u64, Option<Digest>)> {
        let mut made = 0;
        let mut total = 0;
        let mut more = true;
        let (frames, blocks) = circulation(limit);
        while more {
            let mut block = match self.empty.try_recv() {
                Ok(block) => block,
                Err(_) if made < blocks + self.kept => {
                    made += 1;
                    FrameBatch::new(frames)
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
            if !block.is_empty() {
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

impl FrameQueue {
    /// The next frames, or `None` when the [`ReadStage`] has ended.
    pub async fn next(&mut self) -> Option<FrameBatch> {
        self.full.recv().await
    }

    /// Gives frames back for reuse.
    pub fn recycle(&self, frames: FrameBatch) {
        // The filler may have ended already; then nobody needs them.
        let _ = self.empty.send(frames);
    }

    /// Where frames are given back while somebody waits for the next.
    pub fn recycler(&self) -> FrameRecycler {
        FrameRecycler(self.empty.clone())
    }
}

/// Takes frames back for reuse.
#[derive(Debug)]
pub struct FrameRecycler(blocking::Sender<FrameBatch>);

impl FrameRecycler {
    /// Gives frames back.
    pub fn recycle(&self, frames: FrameBatch) {
        let _ = self.0.send(frames);
    }
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
