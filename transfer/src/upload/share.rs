//! A large file that several connections send together.
//!
//! One thread reads and hashes the file from its beginning to its end; whoever is free takes the next slice. Nobody is
//! further ahead of what the server may be missing than it has room for, so it never waits for one connection while
//! another one keeps it from reading that. A slice that a further connection brings is kept until the server has
//! answered it, so that another one can send it again. What the first connection sent needs no answer: should that be
//! lost, all begins again with what the server has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealift_pipeline::{FrameBatch, FrameQueue, FrameRecycler};
use sealift_protocol::message::{SLICE, SLICES_AHEAD, Slice};
use sealift_protocol::{Reply, Request};
use sealift_types::ErrorCode;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::client::Client;
use crate::connection::Connection;
use crate::error::TransferError;
use crate::event::{Event, Events};
use crate::pace::{LEAST, Pace};
use crate::remote::unexpected;
use crate::retry::ConnectionSupply;

/// Slices that a further connection has under way.
const AHEAD_EACH: usize = 4;

/// How often a further connection asks for an upload that the server does not know yet, and the first wait in between.
const ASKS: u32 = 6;
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// A file that is being sent.
pub(super) struct SharedUpload {
    id: usize,
    /// By which the server knows it, if others can help.
    key: Option<u64>,
    /// Where in the content its slices begin.
    start: u64,
    size: u64,
    pace: Pace,
    frames: tokio::sync::Mutex<FrameQueue>,
    recycler: FrameRecycler,
    state: Mutex<SliceState>,
    changed: Notify,
    wire_bytes: AtomicU64,
}

#[derive(Default)]
struct SliceState {
    /// The slice that is read next.
    next: u64,
    /// Whether all was read.
    exhausted: bool,
    /// Slices that have to be sent again.
    again: BTreeMap<u64, FrameBatch>,
    /// Slices that further connections have taken, and the server has not answered.
    unanswered: BTreeSet<u64>,
    /// Bytes that were sent.
    sent: u64,
    over: bool,
}

/// What there is to send.
pub(super) struct SliceToSend {
    pub(super) index: u64,
    pub(super) frames: FrameBatch,
}

impl SharedUpload {
    /// Of a content of `size` bytes those from `start` on.
    pub(super) fn new(
        id: usize,
        key: Option<u64>,
        (start, size): (u64, u64),
        eager: bool,
        frames: FrameQueue,
    ) -> Self {
        Self {
            id,
            key,
            start,
            size,
            pace: Pace::new(eager),
            recycler: frames.recycler(),
            frames: tokio::sync::Mutex::new(frames),
            state: Mutex::default(),
            changed: Notify::new(),
            wire_bytes: AtomicU64::new(0),
        }
    }

    /// The first byte of a slice in the content.
    pub(super) fn offset(&self, index: u64) -> u64 {
        self.start + index * SLICE
    }

    /// Bytes of frames that crossed over further connections.
    pub(super) fn elsewhere(&self) -> u64 {
        self.wire_bytes.load(Ordering::Relaxed)
    }

    /// The next slice; `None` if there will be none. Loses nothing when it is cancelled.
    pub(super) async fn take(&self) -> Option<SliceToSend> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let may_read = {
                let mut state = self.state();
                if state.over || state.exhausted && state.again.is_empty() && state.unanswered.is_empty() {
                    return None;
                }
                if let Some((index, frames)) = state.again.pop_first() {
                    return Some(SliceToSend { index, frames });
                }
                // All that was sent over the first connection alone arrives, sooner or later.
                let missing = state.unanswered.first().copied().unwrap_or(state.next);
                !state.exhausted && state.next < missing + SLICES_AHEAD as u64
            };
            if !may_read {
                changed.await;
                continue;
            }
            tokio::select! {
                biased;
                read = async { self.frames.lock().await.next().await } => {
                    let mut state = self.state();
                    let Some(frames) = read else {
                        state.exhausted = true;
                        drop(state);
                        self.changed.notify_waiters();
                        continue;
                    };
                    state.next += 1;
                    return Some(SliceToSend { index: state.next - 1, frames });
                }
                // Somebody else may have read, so that the next one is too far ahead, or lost what comes before it.
                () = changed => {}
            }
        }
    }

    /// Gives frames back for reuse.
    pub(super) fn recycle(&self, frames: FrameBatch) {
        self.recycler.recycle(frames);
    }

    /// Notes what was sent. Returns how much has been in all.
    pub(super) fn sent(&self, bytes: u64) -> u64 {
        let mut state = self.state();
        state.sent += bytes;
        self.start + state.sent
    }

    /// Whether others are to be called now.
    pub(super) fn wants_others(&self) -> bool {
        let sent = self.state().sent;
        self.key.is_some() && self.pace.wants_others(sent, self.rest(sent))
    }

    fn rest(&self, sent: u64) -> u64 {
        (self.size - self.start).saturating_sub(sent)
    }

    /// The first connection has no use for anybody any more.
    fn end(&self) {
        self.state().over = true;
        self.changed.notify_waiters();
    }

    /// Whether that is so.
    pub(super) fn is_over(&self) -> bool {
        self.state().over
    }

    /// Whether so much is left that another connection is worth it, beside `number` that there are.
    fn is_worth(&self, number: usize) -> bool {
        let state = self.state();
        !state.over && self.rest(state.sent) >= number as u64 * LEAST
    }

    async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().over {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, SliceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slice that a further connection has taken. It is sent again by somebody else unless it is answered.
struct TakenSlice<'a> {
    share: &'a SharedUpload,
    index: u64,
    frames: Option<FrameBatch>,
}

impl<'a> TakenSlice<'a> {
    fn new(share: &'a SharedUpload, SliceToSend { index, frames }: SliceToSend) -> Self {
        share.state().unanswered.insert(index);
        Self { share, index, frames: Some(frames) }
    }

    fn request(&self) -> Request {
        let length = self.frames.as_ref().map_or(0, FrameBatch::payload);
        let (key, offset) = (self.share.key.unwrap_or(0), self.share.offset(self.index));
        Request::Slice(Slice { key, offset, length })
    }

    /// The server has it.
    fn answered(mut self, events: Events<'_>) {
        if let Some(frames) = self.frames.take() {
            self.share.state().unanswered.remove(&self.index);
            let bytes = self.share.sent(frames.payload());
            self.share.recycle(frames);
            self.share.changed.notify_waiters();
            events(Event::Progress { id: self.share.id, bytes });
        }
    }
}

impl Drop for TakenSlice<'_> {
    fn drop(&mut self) {
        if let Some(frames) = self.frames.take() {
            let mut state = self.share.state();
            state.unanswered.remove(&self.index);
            state.again.insert(self.index, frames);
            drop(state);
            self.share.changed.notify_waiters();
        }
    }
}

/// The files under way that others can help with. Clones share it.
#[derive(Clone, Default)]
pub(super) struct UploadOffers {
    state: watch::Sender<OfferedUpload>,
    pub(super) connections: usize,
    pub(super) eager: bool,
}

#[derive(Default)]
struct OfferedUpload {
    /// Connections that look for files of their own.
    workers: usize,
    shares: Vec<Arc<SharedUpload>>,
}

/// A connection that looks for files of its own, until this is dropped.
pub(super) struct BusyWorker(UploadOffers);

/// A file that is offered to others, until this is dropped.
pub(super) struct UploadOffer {
    offers: UploadOffers,
    share: Arc<SharedUpload>,
}

impl UploadOffers {
    pub(super) fn of(client: &Client) -> Self {
        Self { state: watch::Sender::default(), connections: client.connections(), eager: client.eager() }
    }

    pub(super) fn worker(&self) -> BusyWorker {
        self.state.send_modify(|open| open.workers += 1);
        BusyWorker(self.clone())
    }

    /// Calls others to a file.
    pub(super) fn offer(&self, share: &Arc<SharedUpload>) -> UploadOffer {
        self.state.send_modify(|open| open.shares.push(share.clone()));
        UploadOffer { offers: self.clone(), share: share.clone() }
    }

    /// Waits for a file that is worth a connection beside `number` others; `None` if there will be none.
    pub(super) async fn next(&self, number: usize) -> Option<Arc<SharedUpload>> {
        let find = |open: &OfferedUpload| open.shares.iter().find(|share| share.is_worth(number)).cloned();
        let mut open = self.state.subscribe();
        // The sender is in `self`.
        let open = open.wait_for(|open| open.workers == 0 || find(open).is_some()).await.ok()?;
        find(&open)
    }
}

impl Drop for BusyWorker {
    fn drop(&mut self) {
        self.0.state.send_modify(|open| open.workers -= 1);
    }
}

impl Drop for UploadOffer {
    fn drop(&mut self) {
        self.share.end();
        self.offers.state.send_modify(|open| open.shares.retain(|share| !Arc::ptr_eq(share, &self.share)));
    }
}

/// Helps with a file for as long as that is of use. Returns the connection, if it is good for more.
pub(super) async fn help(
    client: &Client,
    connection: Option<Connection>,
    share: &SharedUpload,
    events: Events<'_>,
) -> Option<Connection> {
    let mut line = ConnectionSupply::new(client, connection, events);
    let helping = async {
        let mut achieved = 0;
        loop {
            let attempt = async {
                let mut connection = line.connection().await?;
                send(&mut connection, share, &mut achieved, events).await?;
                Ok(connection)
            };
            let error = match attempt.await {
                Ok(connection) => return Some(connection),
                Err(error) => error,
            };
            // The others do without this one.
            line.pause(error, achieved).await.ok()?;
        }
    };
    tokio::select! {
        biased;
        helped = helping => helped,
        // Nobody is to wait for a connection that is not needed any more.
        () = share.over() => None,
    }
}

/// Sends slices until there are no more.
async fn send(
    connection: &mut Connection,
    share: &SharedUpload,
    achieved: &mut u64,
    events: Events<'_>,
) -> Result<(), TransferError> {
    if !is_welcome(connection, share).await? {
        share.over().await;
        return Ok(());
    }
    connection.enter();
    let mut asked: VecDeque<TakenSlice<'_>> = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            // A server that is given the rest by others may take its time with what it has.
            arrived = connection.replies.arrival_while(|| share.state().sent), if !asked.is_empty() => {
                arrived?;
                let reply = connection.replies.next().await?;
                share.wire_bytes.fetch_add(connection.replies.last_bytes(), Ordering::Relaxed);
                match (reply, asked.pop_front()) {
                    (Reply::Done {}, Some(held)) => {
                        held.answered(events);
                        *achieved += 1;
                    }
                    // The upload is over, one way or the other; what is still expected says the same.
                    (Reply::Error(_), _) => {
                        asked.clear();
                        return Ok(());
                    }
                    (other, _) => return Err(unexpected(other)),
                }
            }
            taken = share.take(), if asked.len() < AHEAD_EACH => match taken {
                Some(taken) => {
                    let held = TakenSlice::new(share, taken);
                    let before = connection.requests.bytes();
                    connection.push(&held.request())?;
                    asked.push_back(held);
                    if let Some(frames) = asked.back().and_then(|held| held.frames.as_ref()) {
                        let requests = &mut connection.requests;
                        for frame in frames.iter() {
                            requests.write_frame(frame).await.map_err(|error| connection.replies.explain(error))?;
                        }
                    }
                    connection.flush().await?;
                    let crossed = connection.requests.bytes() - before;
                    share.wire_bytes.fetch_add(crossed, Ordering::Relaxed);
                }
                None => break,
            },
        }
    }
    // Nothing is taken only when nothing is under way, or all is over.
    if asked.is_empty() {
        connection.leave();
    }
    Ok(())
}

/// Whether the server takes slices of the upload over another connection. It may not have seen its beginning yet.
async fn is_welcome(connection: &mut Connection, share: &SharedUpload) -> Result<bool, TransferError> {
    let question = Request::Slice(Slice { key: share.key.unwrap_or(0), offset: 0, length: 0 });
    for attempt in 0..ASKS {
        match connection.ask(&question).await? {
            Reply::Done {} => return Ok(true),
            Reply::Error(error) if error.code == ErrorCode::Absent => sleep(ASK_AGAIN * (1 << attempt)).await,
            Reply::Error(error) => return Err(error.into()),
            other => return Err(unexpected(other)),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
