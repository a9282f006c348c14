//! A large content that several connections fetch together.
//!
//! The first connection asks for the content range by range, so that there is always a rest for others. As long as it is
//! alone, its ranges are as long as a quarter of a second of what comes. Once others are called, whoever is free takes
//! the next block, a few ahead, so that no round trip is waited for. What a lost connection had taken is taken by
//! another one. Should the first be lost, all begins again with what has come, as with any download.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_pipeline::{BlockReceiver, ReorderBuffer};
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Content, Get, Trailer};
use sealift_protocol::{Reply, Request};
use sealift_types::EntryPath;
use tokio::sync::Notify;

use super::queue::DownloadQueue;
use crate::connection::{Connection, ContentPiece, ReplyReader, RequestWriter};
use crate::error::TransferError;
use crate::event::{Event, Events};
use crate::pace::{LEAST, Pace};
use crate::remote::unexpected;

const BLOCK: u64 = sealift_pipeline::BLOCK as u64;

/// The most bytes to ask for before it is known how much there is.
pub(super) const FIRST: u64 = 4 * BLOCK;

/// The longest range of a connection that is alone, in blocks.
const LONGEST: u64 = 64;

/// How many ranges a connection that is alone asks for ahead of what it receives, that one included, ...
const AHEAD: usize = 2;

/// ... and how many blocks each does of those that share a content.
const AHEAD_EACH: usize = 4;

/// How many blocks may come ahead of one that is missing.
const REACH: usize = 32;

/// A content that is fetched in ranges.
#[derive(Debug)]
pub(crate) struct SharedDownload {
    id: usize,
    from: EntryPath,
    content: Content,
    order: Arc<ReorderBuffer>,
    pace: Pace,
    state: Mutex<RangeState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct RangeState {
    /// The first block that nobody has asked for.
    next: u64,
    /// Blocks before it that have to be asked for again.
    again: BTreeSet<u64>,
    /// Whether others were called.
    called: bool,
    /// Whether the path holds another content by now, or none.
    replaced: bool,
    over: bool,
    /// Bytes that came.
    bytes: u64,
    /// Bytes of frames over other connections than the first.
    elsewhere: u64,
}

/// A row of blocks.
#[derive(Debug, Clone, Copy)]
struct BlockRange {
    index: u64,
    blocks: u64,
}

/// A block that is asked for again by somebody else unless it has come.
struct TakenBlock<'a> {
    share: &'a SharedDownload,
    index: u64,
    come: bool,
}

/// How a content that was fetched in ranges ended.
pub(super) enum RangedEnd {
    /// All of it has come.
    Complete,
    /// Nobody takes it any more.
    Untaken,
    /// It is not what it was.
    Replaced,
}

impl SharedDownload {
    /// Whether so much is left that another connection is worth it, beside `number` that there are.
    pub(super) fn is_worth(&self, number: usize) -> bool {
        self.rest() >= number as u64 * LEAST
    }

    fn rest(&self) -> u64 {
        self.content.size - self.content.offset - self.state().bytes
    }

    /// How many blocks there are.
    fn blocks(&self) -> u64 {
        (self.content.size - self.content.offset).div_ceil(BLOCK)
    }

    /// The bytes of a range.
    fn length(&self, range: BlockRange) -> u64 {
        let start = self.content.offset + range.index * BLOCK;
        (range.blocks * BLOCK).min(self.content.size - start)
    }

    fn request(&self, range: BlockRange) -> Request {
        Request::Get(Get {
            path: self.from.clone(),
            offset: self.content.offset + range.index * BLOCK,
            sha256: Some(self.content.sha256),
            length: Some(self.length(range)),
            preview: false,
        })
    }

    /// What to ask for next; `None` if there is nothing just now.
    fn take(&self) -> Option<BlockRange> {
        let mut state = self.state();
        if !self.has_more(&state) {
            return None;
        }
        if let Some(index) = state.again.pop_first() {
            return Some(BlockRange { index, blocks: 1 });
        }
        let left = self.blocks() - state.next;
        let blocks = match state.called {
            true => 1,
            // Nobody will be called to so little.
            false if left * BLOCK < LEAST => left,
            false => (self.pace.rate(state.bytes) / 4 / BLOCK).clamp(1, LONGEST).min(left),
        };
        let range = BlockRange { index: state.next, blocks };
        state.next += blocks;
        Some(range)
    }

    fn has_more(&self, state: &RangeState) -> bool {
        let reach = if state.called { REACH as u64 } else { u64::MAX };
        let within = state.next < self.blocks() && state.next - self.order.next().min(state.next) < reach;
        !state.over && !state.replaced && (within || !state.again.is_empty())
    }

    /// Waits until there is something to ask for; `false` if there will be nothing.
    async fn wait(&self, first: bool) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if self.has_more(&state) {
                    return true;
                }
                // The first connection ends it for all.
                if state.over || first && (state.replaced || self.order.next() >= self.blocks()) {
                    return false;
                }
            }
            changed.await;
        }
    }

    /// Notes that bytes came, and tells how many have in all, with those of an earlier attempt.
    fn came(&self, bytes: u64, events: Events<'_>) {
        let mut state = self.state();
        state.bytes += bytes;
        let bytes = self.content.offset + state.bytes;
        drop(state);
        events(Event::Progress { id: self.id, bytes });
    }

    fn update(&self, change: impl FnOnce(&mut RangeState)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, RangeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first connection's part.
pub(super) struct RangeFetcher<'a> {
    requests: &'a mut RequestWriter,
    queue: &'a DownloadQueue,
    events: Events<'a>,
    share: Arc<SharedDownload>,
    asked: VecDeque<BlockRange>,
}

impl<'a> RangeFetcher<'a> {
    /// Goes on with a content of which the first range was asked for and `content` is the answer.
    pub(super) fn new(
        requests: &'a mut RequestWriter,
        queue: &'a DownloadQueue,
        events: Events<'a>,
        (id, from, content): (usize, EntryPath, Content),
        order: Arc<ReorderBuffer>,
    ) -> Self {
        let state = Mutex::new(RangeState { next: FIRST / BLOCK, ..RangeState::default() });
        let (pace, changed) = (Pace::new(queue.sharing().eager), Notify::new());
        let share = Arc::new(SharedDownload { id, from, content, order, pace, state, changed });
        let asked = VecDeque::from([BlockRange { index: 0, blocks: FIRST / BLOCK }]);
        Self { requests, queue, events, share, asked }
    }

    /// Bytes of frames that crossed over other connections.
    pub(super) fn elsewhere(&self) -> u64 {
        self.share.state().elsewhere
    }

    /// Fetches everything, with others where that is worth it.
    pub(super) async fn fetch(
        &mut self,
        replies: &mut ReplyReader,
        blocks: &mut BlockReceiver,
    ) -> Result<RangedEnd, TransferError> {
        let share = self.share.clone();
        let mut announced = true;
        self.call_others();
        loop {
            self.ask().await.map_err(|error| replies.explain(error))?;
            let Some(range) = self.asked.pop_front() else {
                match share.wait(true).await {
                    true => continue,
                    false if share.state().replaced => return Ok(RangedEnd::Replaced),
                    false => return Ok(RangedEnd::Complete),
                }
            };
            if !std::mem::take(&mut announced) && !share.goes_on(replies.next().await?, range)? {
                return Ok(RangedEnd::Replaced);
            }
            blocks.turn_to(range.index);
            let mut left = share.length(range);
            loop {
                match replies.piece().await? {
                    ContentPiece::Data(header) => {
                        let length = header.length() as u64;
                        left = left.checked_sub(length).ok_or_else(|| share.too_much())?;
                        if !replies.receive(header, blocks).await? {
                            return Ok(RangedEnd::Untaken);
                        }
                        share.came(length, self.events);
                        self.call_others();
                    }
                    ContentPiece::End(Trailer::End { .. }) if left == 0 => break,
                    // Whatever the reason, it is told once more when the rest is asked for in one go.
                    ContentPiece::End(_) => return Ok(RangedEnd::Replaced),
                }
            }
            // The last one need not be full.
            blocks.pass();
            share.changed.notify_waiters();
        }
    }

    /// Asks for as much as may go ahead.
    async fn ask(&mut self) -> Result<(), StreamError> {
        let ahead = if self.share.state().called { AHEAD_EACH } else { AHEAD };
        while self.asked.len() < ahead
            && let Some(range) = self.share.take()
        {
            self.requests.push(&self.share.request(range))?;
            self.asked.push_back(range);
        }
        self.requests.flush().await
    }

    /// Calls others once they are worth it.
    fn call_others(&mut self) {
        let (bytes, called) = {
            let state = self.share.state();
            (state.bytes, state.called)
        };
        if !called && self.share.pace.wants_others(bytes, self.share.rest()) {
            self.share.order.widen(REACH);
            self.share.update(|state| state.called = true);
            self.queue.share(self.share.clone());
        }
    }
}

impl Drop for RangeFetcher<'_> {
    fn drop(&mut self) {
        self.queue.end_sharing(&self.share);
        self.share.update(|state| state.over = true);
    }
}

/// Helps to fetch a content until there is nothing to do for this connection any more.
pub(super) async fn help(
    connection: &mut Connection,
    share: &SharedDownload,
    events: Events<'_>,
) -> Result<(), TransferError> {
    let mut asked = VecDeque::new();
    loop {
        let before = connection.requests.bytes() + connection.replies.bytes();
        while asked.len() < AHEAD_EACH
            && let Some(BlockRange { index, .. }) = share.take()
        {
            let held = TakenBlock { share, index, come: false };
            connection.push(&share.request(held.range()))?;
            asked.push_back(held);
        }
        connection.flush().await?;
        match asked.pop_front() {
            Some(held) => held.receive(&mut connection.replies, events).await?,
            None if share.wait(false).await => {}
            None => return Ok(()),
        }
        let after = connection.requests.bytes() + connection.replies.bytes();
        share.state().elsewhere += after - before;
    }
}

impl SharedDownload {
    /// Whether this answer announces more of the content.
    fn goes_on(&self, reply: Reply, range: BlockRange) -> Result<bool, TransferError> {
        let Content { size, sha256, offset, .. } = &self.content;
        match reply {
            Reply::Content(content) => Ok((content.size, content.sha256, content.offset)
                == (*size, *sha256, offset + range.index * BLOCK)),
            Reply::Error(_) => Ok(false),
            other => Err(unexpected(other)),
        }
    }

    fn too_much(&self) -> TransferError {
        TransferError::Protocol(format!("more comes of {} than was asked for", self.from))
    }
}

impl TakenBlock<'_> {
    fn range(&self) -> BlockRange {
        BlockRange { index: self.index, blocks: 1 }
    }

    /// Takes the answer. One that is of no use to anybody is dropped, for the sake of the connection.
    async fn receive(mut self, replies: &mut ReplyReader, events: Events<'_>) -> Result<(), TransferError> {
        let reply = replies.next().await?;
        let has_body = matches!(reply, Reply::Content(_));
        let goes_on = self.share.goes_on(reply, self.range())?;
        if !goes_on {
            self.share.update(|state| state.replaced = true);
        }
        if !has_body {
            return Ok(());
        }
        let mut filling = if goes_on { self.share.order.fill(self.index).await } else { None };
        let mut left = self.share.length(self.range());
        loop {
            match (replies.piece().await?, &mut filling) {
                (ContentPiece::Data(header), Some(filling)) => {
                    left = left.checked_sub(header.length() as u64).ok_or_else(|| self.share.too_much())?;
                    replies.fill(header, filling).await?;
                }
                (ContentPiece::Data(header), None) => replies.skip(header).await?,
                (ContentPiece::End(Trailer::End { .. }), _) if left == 0 => break,
                (ContentPiece::End(_), None) => break,
                (ContentPiece::End(_), Some(_)) => {
                    self.share.update(|state| state.replaced = true);
                    return Ok(());
                }
            }
        }
        if let Some(filling) = filling {
            filling.pass();
            self.come = true;
            self.share.came(self.share.length(self.range()), events);
        }
        Ok(())
    }
}

impl Drop for TakenBlock<'_> {
    fn drop(&mut self) {
        self.share.update(|state| {
            if !self.come {
                state.again.insert(self.index);
            }
        });
    }
}
