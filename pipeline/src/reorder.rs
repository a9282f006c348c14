//! Received blocks on their way to whoever takes them in order, by whichever connection they come.
//!
//! A content has one first connection, whose bytes follow each other unless it says otherwise, and may have further
//! ones that bring blocks of it. What comes ahead of its turn waits here, in bounded memory; what is too far ahead has
//! no room yet, so its connection is not read, and its sender waits. Whoever hashes and writes sees nothing of this: for
//! them every content comes from its beginning to its end.

use std::collections::BTreeMap;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_protocol::Header;
use sealift_protocol::io::{FrameReader, StreamError};
use tokio::io::AsyncRead;
use tokio::sync::{Notify, watch};

use crate::loan::{MemoryLender, MemoryLoan};
use crate::memory::BlockMemory;
use crate::sizes::ALIGNMENT;

/// Received bytes; the memory is aligned to [`ALIGNMENT`].
#[derive(Debug)]
pub(super) struct Block {
    memory: BlockMemory,
    start: usize,
    size: usize,
    filled: usize,
    /// Given back with the memory.
    _lent: Option<MemoryLoan>,
}

impl Block {
    fn new(size: usize, lent: Option<MemoryLoan>) -> Self {
        let memory = BlockMemory::new(size);
        let start = memory.bytes().as_ptr().align_offset(ALIGNMENT);
        Self { memory, start, size, filled: 0, _lent: lent }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory.bytes()[self.start..self.start + self.filled]
    }

    /// Up to `want` bytes of what is free.
    fn room(&mut self, want: usize) -> &mut [u8] {
        let count = want.min(self.size - self.filled);
        &mut self.memory.bytes_mut()[self.start + self.filled..][..count]
    }
}

/// The order of one content's blocks. They are counted from 0, where the receiver began.
#[derive(Debug)]
pub struct ReorderBuffer {
    size: usize,
    state: Mutex<ReorderState>,
    changed: Notify,
    front: watch::Sender<ReorderProgress>,
}

#[derive(Debug)]
struct ReorderState {
    /// Where the blocks go, as long as any may come.
    full: Option<blocking::Sender<Block>>,
    empty: Vec<Block>,
    /// How many more may be made.
    unmade: usize,
    made: usize,
    /// How many of those that are made need not be lent.
    owned: usize,
    lender: Option<Arc<dyn MemoryLender>>,
    next: u64,
    /// How far ahead of the next a block may be.
    reach: u64,
    ahead: BTreeMap<u64, Block>,
}

/// How far a content has come.
#[derive(Debug, Clone, Copy, Default)]
struct ReorderProgress {
    next: u64,
    closed: bool,
}

/// A block that is being filled. Dropped before it was passed on, it leaves its place to another.
#[derive(Debug)]
pub struct OpenBlock {
    order: Arc<ReorderBuffer>,
    index: u64,
    /// Until it is passed on.
    block: Option<Block>,
}

/// The first connection's end of a receiver. When it is dropped, what has come in order is still handed on.
#[derive(Debug)]
pub struct BlockReceiver {
    order: Arc<ReorderBuffer>,
    index: u64,
    current: Option<OpenBlock>,
}

/// Gives blocks back. When it is dropped, nobody takes any more.
#[derive(Debug)]
pub(super) struct BlockRecycler(Arc<ReorderBuffer>);

/// The beginning of an order of so many blocks of `size` bytes, and where they go.
pub(super) fn begin(
    size: usize,
    blocks: usize,
    lender: Option<Arc<dyn MemoryLender>>,
) -> (BlockReceiver, blocking::Receiver<Block>, BlockRecycler) {
    let (full, full_blocks) = blocking::channel();
    let state = ReorderState {
        full: Some(full),
        empty: Vec::new(),
        unmade: blocks,
        made: 0,
        owned: 1,
        lender,
        next: 0,
        reach: 0,
        ahead: BTreeMap::new(),
    };
    let (state, front) = (Mutex::new(state), watch::Sender::new(ReorderProgress::default()));
    let order = Arc::new(ReorderBuffer { size, state, changed: Notify::new(), front });
    (BlockReceiver { order: order.clone(), index: 0, current: None }, full_blocks, BlockRecycler(order))
}

impl ReorderBuffer {
    /// Lets blocks come so many places ahead of their turn, and makes room for as many, which nobody has to lend: so
    /// those ahead never take the last one from the one whose turn it is.
    pub fn widen(&self, reach: usize) {
        let mut state = self.state();
        state.reach += reach as u64;
        state.unmade += reach;
        state.owned += reach;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The first block that has not been handed on.
    pub fn next(&self) -> u64 {
        self.state().next
    }

    /// Waits until there is room for the block, which is neither too far ahead nor one too many. `None` if no more are
    /// taken. A block that came already has room, too, and leads nowhere.
    pub async fn fill(self: &Arc<Self>, index: u64) -> Option<OpenBlock> {
        loop {
            // Before the look, so that no change is missed between the two.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                state.full.as_ref()?;
                if index <= state.next + state.reach
                    && let Some(block) = state.empty.pop().or_else(|| state.make(self.size))
                {
                    return Some(OpenBlock { order: self.clone(), index, block: Some(block) });
                }
            }
            changed.await;
        }
    }

    /// Waits until the block and all before it were handed on; `false` if that will not be.
    pub async fn passed(&self, index: u64) -> bool {
        let mut front = self.front.subscribe();
        front.wait_for(|front| front.next > index || front.closed).await.is_ok_and(|front| front.next > index)
    }

    /// Resolves when no more blocks are taken.
    pub async fn closed(&self) {
        // The sender is in `self`.
        let _ = self.front.subscribe().wait_for(|front| front.closed).await;
    }

    fn pass(&self, index: u64, block: Block) {
        let mut state = self.state();
        let state = &mut *state;
        if index < state.next || state.ahead.contains_key(&index) {
            state.give_back(block);
        } else {
            state.ahead.insert(index, block);
            while let (Some(full), Some(block)) = (&state.full, state.ahead.remove(&state.next)) {
                // Should nobody take it any more, whoever begins the next block is told.
                let _ = full.send(block);
                state.next += 1;
            }
            self.front.send_modify(|front| front.next = state.next);
        }
        self.changed.notify_waiters();
    }

    fn give_back(&self, block: Block) {
        self.state().give_back(block);
        self.changed.notify_waiters();
    }

    /// Takes no more blocks, and forgets those whose turn did not come. The last one need not be full, so nothing may
    /// follow it.
    fn close(&self, last: Option<(u64, Block)>) {
        let mut state = self.state();
        if let (Some(full), Some((index, block))) = (&state.full, last)
            && index == state.next
        {
            let _ = full.send(block);
        }
        (state.full, state.empty) = (None, Vec::new());
        state.ahead.clear();
        drop(state);
        self.front.send_modify(|front| front.closed = true);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, ReorderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReorderState {
    fn make(&mut self, size: usize) -> Option<Block> {
        let unmade = self.unmade.checked_sub(1)?;
        let lent = match &self.lender {
            Some(lender) if self.made >= self.owned => Some(lender.lend(size)?),
            _ => None,
        };
        (self.unmade, self.made) = (unmade, self.made + 1);
        Some(Block::new(size, lent))
    }

    fn give_back(&mut self, mut block: Block) {
        if self.full.is_some() {
            block.filled = 0;
            self.empty.push(block);
        }
    }
}

impl OpenBlock {
    /// Bytes that there is still room for.
    pub fn room(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.size - block.filled)
    }

    /// Reads the payload of a data frame whose header was just read, which must not be longer than the room.
    pub async fn receive<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut FrameReader<R>,
        header: Header,
    ) -> Result<(), StreamError> {
        debug_assert!(header.length() <= self.room());
        self.read(reader, header.length()).await.map(drop)
    }

    /// Hands the block on when its turn comes.
    pub fn pass(mut self) {
        if let Some(block) = self.block.take() {
            self.order.pass(self.index, block);
        }
    }

    /// Reads as much of `want` bytes as there is room for.
    async fn read<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut FrameReader<R>,
        want: usize,
    ) -> Result<usize, StreamError> {
        let Some(block) = &mut self.block else { return Ok(0) };
        let room = block.room(want);
        let count = room.len();
        reader.payload(room).await?;
        block.filled += count;
        Ok(count)
    }

    /// Takes as many bytes as there is room for.
    fn copy(&mut self, bytes: &[u8]) -> usize {
        let Some(block) = &mut self.block else { return 0 };
        let room = block.room(bytes.len());
        let count = room.len();
        room.copy_from_slice(&bytes[..count]);
        block.filled += count;
        count
    }
}

impl Drop for OpenBlock {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.order.give_back(block);
        }
    }
}

impl BlockReceiver {
    /// The order of the blocks, for further connections that bring some.
    pub fn order(&self) -> Arc<ReorderBuffer> {
        self.order.clone()
    }

    /// Goes on with this block. `false` in the middle of another one.
    pub fn turn_to(&mut self, index: u64) -> bool {
        if self.current.is_none() {
            self.index = index;
        }
        self.current.is_none()
    }

    /// Reads the payload of a data frame whose header was just read. `false`: the [`WriteStage`](crate::WriteStage) has
    /// failed, and the payload was dropped.
    pub async fn receive<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut FrameReader<R>,
        header: Header,
    ) -> Result<bool, StreamError> {
        let mut left = header.length();
        while left > 0 {
            let Some(block) = self.block().await else {
                reader.skip_payload(left).await?;
                return Ok(false);
            };
            left -= block.read(reader, left).await?;
            self.pass_if_full();
        }
        Ok(true)
    }

    /// Takes bytes that were received otherwise. `false`: the [`WriteStage`](crate::WriteStage) has failed.
    pub async fn copy(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Some(block) = self.block().await else { return false };
            let count = block.copy(bytes);
            self.pass_if_full();
            bytes = &bytes[count..];
        }
        true
    }

    /// Hands on the last block of a content, which need not be full.
    pub fn pass(&mut self) {
        if let Some(block) = self.current.take() {
            self.index += 1;
            block.pass();
        }
    }

    /// The block that is being filled; `None` when the drainer has failed.
    async fn block(&mut self) -> Option<&mut OpenBlock> {
        if self.current.is_none() {
            self.current = Some(self.order.fill(self.index).await?);
        }
        self.current.as_mut()
    }

    fn pass_if_full(&mut self) {
        if self.current.as_ref().is_some_and(|block| block.room() == 0) {
            self.pass();
        }
    }
}

impl Drop for BlockReceiver {
    fn drop(&mut self) {
        let last = self.current.take();
        self.order.close(last.and_then(|mut filling| Some((filling.index, filling.block.take()?))));
    }
}

impl BlockRecycler {
    pub(super) fn give(&self, block: Block) {
        self.0.give_back(block);
    }
}

impl Drop for BlockRecycler {
    fn drop(&mut self) {
        self.0.close(None);
    }
}

#[cfg(test)]
mod tests;
