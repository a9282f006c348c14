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
mod tests {
    use super::*;
    use crate::sizes::BLOCKS;
    use crate::write_stage::{WriteStage, write_stage, write_stage_with_loans};
    use sealift_protocol::FrameKind;
    use sealift_protocol::frame::HEADER;
    use sealift_types::{Digest, Hasher};
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::task::{JoinHandle, spawn_blocking};

    fn drain(drainer: WriteStage) -> JoinHandle<(Vec<u8>, Digest)> {
        spawn_blocking(move || {
            let mut target = Vec::new();
            let (_, digest) = drainer.run(&mut target, Hasher::new()).unwrap();
            (target, digest)
        })
    }

    /// Fills the block with what a frame brings.
    async fn bring(order: &Arc<ReorderBuffer>, index: u64, bytes: &[u8]) {
        let mut filling = order.fill(index).await.unwrap();
        let frame = [&Header::new(FrameKind::Data, bytes.len()).unwrap().encode()[..], bytes].concat();
        let mut reader = FrameReader::new(&frame[..], Duration::from_secs(10));
        let header = reader.header(Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(frame.len(), HEADER + header.length());
        filling.receive(&mut reader, header).await.unwrap();
        filling.pass();
    }

    fn content(blocks: u64, rest: usize) -> Vec<u8> {
        let size = usize::try_from(blocks).unwrap() * ALIGNMENT + rest;
        (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn blocks_in_any_order_and_more_than_once_are_taken_in_theirs(
            order in Just((0..20_u64).collect::<Vec<_>>()).prop_shuffle(),
            twice in proptest::collection::vec(0..20_u64, 0..5),
            rest in prop_oneof![Just(1usize), 1..ALIGNMENT],
        ) {
            let content = content(19, rest);
            let (target, digest) = runtime().block_on(async {
                let (first, drainer) = write_stage(ALIGNMENT, BLOCKS);
                first.order().widen(20);
                let draining = drain(drainer);
                for index in twice.iter().chain(&order) {
                    let start = usize::try_from(*index).unwrap() * ALIGNMENT;
                    let end = (start + ALIGNMENT).min(content.len());
                    bring(&first.order(), *index, &content[start..end]).await;
                }
                assert!(first.order().passed(19).await);
                drop(first);
                draining.await.unwrap()
            });
            prop_assert!(target == content);
            prop_assert_eq!(digest, Digest::of(&content));
        }
    }

    #[tokio::test]
    async fn what_is_too_far_ahead_has_to_wait_and_no_more_is_held_than_was_agreed() {
        let (mut first, drainer) = write_stage(ALIGNMENT, BLOCKS);
        let order = first.order();
        order.widen(3);
        let block = content(1, 0);
        for index in [3, 1, 2] {
            bring(&order, index, &block).await;
        }
        let mut far = std::pin::pin!(order.fill(4));
        assert!(futures_are_pending(far.as_mut()).await, "one too far");
        let mut held = Vec::new();
        for _ in 0..BLOCKS {
            held.push(order.fill(0).await.unwrap());
        }
        let mut more = std::pin::pin!(order.fill(0));
        assert!(futures_are_pending(more.as_mut()).await, "one too many");
        // One that is given up leaves its place.
        held.clear();
        drop(more.await.unwrap());
        let draining = drain(drainer);
        assert!(first.copy(&block).await);
        assert!(order.passed(3).await);
        far.await.unwrap().pass();
        drop(first);
        assert_eq!(draining.await.unwrap().0.len(), 4 * ALIGNMENT);
        assert!(order.fill(5).await.is_none() && !order.passed(5).await && order.passed(3).await);
    }

    #[tokio::test]
    async fn only_what_came_in_order_is_handed_on_at_the_end() {
        let (mut first, drainer) = write_stage(ALIGNMENT, BLOCKS);
        let order = first.order();
        order.widen(4);
        let draining = drain(drainer);
        assert!(first.copy(&content(1, 5)).await);
        assert!(!first.turn_to(3), "in the middle of a block");
        // What would follow if the block before it were whole.
        for index in [2, 3] {
            bring(&order, index, &content(1, 0)).await;
        }
        drop(first);
        assert_eq!(draining.await.unwrap().0, content(1, 5));

        let (mut first, drainer) = write_stage(ALIGNMENT, BLOCKS);
        let order = first.order();
        order.widen(4);
        let draining = drain(drainer);
        assert!(first.copy(&content(1, 0)).await && first.turn_to(2));
        assert!(first.copy(b"ahead").await);
        drop(first);
        assert_eq!(draining.await.unwrap().0, content(1, 0));
        order.closed().await;
    }

    /// Lends so many bytes in all.
    #[derive(Debug)]
    struct Purse(Arc<std::sync::atomic::AtomicUsize>);

    impl MemoryLender for Purse {
        fn lend(&self, bytes: usize) -> Option<MemoryLoan> {
            use std::sync::atomic::Ordering::SeqCst;
            struct Back(Arc<std::sync::atomic::AtomicUsize>, usize);
            impl Drop for Back {
                fn drop(&mut self) {
                    self.0.fetch_add(self.1, SeqCst);
                }
            }
            self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(bytes)).ok()?;
            Some(MemoryLoan::new(Back(self.0.clone(), bytes)))
        }
    }

    #[tokio::test]
    async fn a_content_makes_do_with_the_blocks_that_are_lent_and_gives_them_back() {
        for lent in [0, 2, 100] {
            let left = Arc::new(std::sync::atomic::AtomicUsize::new(lent * ALIGNMENT));
            let (mut first, drainer) =
                write_stage_with_loans(ALIGNMENT, BLOCKS, Some(Arc::new(Purse(left.clone()))));
            let order = first.order();
            let mut held = Vec::new();
            for _ in 0..=lent.min(BLOCKS - 1) {
                held.push(order.fill(0).await.unwrap());
            }
            assert!(futures_are_pending(std::pin::pin!(order.fill(0))).await, "one more than was lent");
            drop(held);
            let draining = drain(drainer);
            assert!(first.copy(&content(30, 7)).await);
            drop(first);
            assert_eq!(draining.await.unwrap().0, content(30, 7));
            assert_eq!(left.load(std::sync::atomic::Ordering::SeqCst), lent * ALIGNMENT, "all is back");
        }
    }

    #[tokio::test]
    async fn where_nothing_is_lent_those_ahead_leave_one_to_the_one_whose_turn_it_is() {
        let left = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (first, drainer) = write_stage_with_loans(ALIGNMENT, BLOCKS, Some(Arc::new(Purse(left))));
        let order = first.order();
        order.widen(3);
        for index in [3, 1, 2] {
            bring(&order, index, &content(1, 0)).await;
        }
        let draining = drain(drainer);
        bring(&order, 0, &content(1, 0)).await;
        assert!(order.passed(3).await);
        drop(first);
        assert_eq!(draining.await.unwrap().0.len(), 4 * ALIGNMENT);
    }

    /// Whether a future is not ready yet, however often the runtime turns to others.
    async fn futures_are_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        for _ in 0..5 {
            tokio::task::yield_now().await;
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
            });
            if !polled.await {
                return false;
            }
        }
        true
    }
}
