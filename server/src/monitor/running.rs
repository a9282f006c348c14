//! Transfers under way, and what has crossed over all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sealift_protocol::message::Direction;
use sealift_types::ErrorCode;
use serde::{Deserialize, Serialize};
use tracing::{Span, info};

use super::meter::{Counter, Histogram};

/// Stands for a size that nobody has told.
const UNKNOWN: u64 = u64::MAX;

/// What crosses in one direction.
#[derive(Debug)]
pub struct ByteFlow {
    /// Bytes of contents that crossed or were claimed.
    pub content: Counter,
    /// Bytes of frames.
    pub wire: Counter,
    /// Transfers that ended well, were refused, failed at the server, or broke off.
    pub ended: [Counter; 4],
    /// How long they took.
    pub durations: Histogram,
}

/// How transfers end, by the names that the metrics give it.
pub const ENDINGS: [&str; 4] = ["ok", "refused", "failed", "interrupted"];

/// All transfers of a running server. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RunningTransfers(Arc<TransfersState>);

#[derive(Debug, Default)]
struct TransfersState {
    running: Mutex<(u64, BTreeMap<u64, Arc<RunningTransfer>>)>,
    up: ByteFlow,
    down: ByteFlow,
}

/// One transfer, from its first byte on. Its line of the log is written when nobody has it any more: not on the
/// catalog's thread, which all uploads wait for, as long as whoever answers the client has a clone.
#[derive(Debug)]
pub struct RunningTransfer {
    transfers: RunningTransfers,
    number: u64,
    begun: Instant,
    direction: Direction,
    identity: String,
    address: String,
    path: String,
    size: AtomicU64,
    bytes: AtomicU64,
    wire_bytes: AtomicU64,
    ended: OnceLock<(Option<ErrorCode>, Duration)>,
    /// That of the request, once it has one.
    span: OnceLock<Span>,
}

/// A transfer under way, as `sealiftd status` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransferView {
    /// Tells it from others of this run.
    pub number: u64,
    /// `put` or `get`.
    pub direction: Direction,
    /// Who.
    pub identity: String,
    /// From where.
    pub address: String,
    /// The whole path.
    pub path: String,
    /// Bytes of the content, if that is known.
    pub size: Option<u64>,
    /// Bytes that have crossed.
    pub bytes: u64,
    /// Since when.
    pub seconds: f64,
}

impl Default for ByteFlow {
    fn default() -> Self {
        let (content, wire, ended) = (Counter::default(), Counter::default(), Default::default());
        Self { content, wire, ended, durations: Histogram::of_durations() }
    }
}

impl RunningTransfers {
    /// Notes that a transfer begins.
    pub fn begin(
        &self,
        direction: Direction,
        identity: String,
        address: String,
        path: String,
    ) -> Arc<RunningTransfer> {
        let mut running = self.lock();
        let (next, running) = &mut *running;
        *next += 1;
        let transfer = Arc::new(RunningTransfer {
            transfers: self.clone(),
            number: *next,
            begun: Instant::now(),
            direction,
            identity,
            address,
            path,
            size: AtomicU64::new(UNKNOWN),
            bytes: AtomicU64::new(0),
            wire_bytes: AtomicU64::new(0),
            ended: OnceLock::new(),
            span: OnceLock::new(),
        });
        running.insert(*next, transfer.clone());
        transfer
    }

    /// Those under way, the oldest first, at most `limit`.
    pub fn running(&self, limit: usize) -> Vec<TransferView> {
        self.lock().1.values().take(limit).map(|transfer| transfer.look()).collect()
    }

    /// How many are under way in a direction.
    pub fn count(&self, direction: Direction) -> usize {
        self.lock().1.values().filter(|transfer| transfer.direction == direction).count()
    }

    /// What has crossed in a direction.
    pub fn flow(&self, direction: Direction) -> &ByteFlow {
        match direction {
            Direction::Put => &self.0.up,
            _ => &self.0.down,
        }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Arc<RunningTransfer>>)> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningTransfer {
    /// Notes that this is where the transfer's request is served: its line of the log says so, whoever writes it.
    pub fn serve_here(&self) {
        let _ = self.span.set(Span::current());
    }

    /// Notes how large the content is.
    pub fn expect(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Notes how far the transfer has come: bytes of the content, bytes of frames.
    pub fn progress(&self, bytes: u64, wire_bytes: u64) {
        let flow = self.transfers.flow(self.direction);
        flow.content.add(bytes.saturating_sub(self.bytes.swap(bytes, Ordering::Relaxed)));
        flow.wire.add(wire_bytes.saturating_sub(self.wire_bytes.swap(wire_bytes, Ordering::Relaxed)));
    }

    /// Takes back what was noted of the content.
    pub fn forget_content(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Bytes of the content, bytes of frames.
    pub fn crossed(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.wire_bytes.load(Ordering::Relaxed))
    }

    /// How long it has been under way.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// From where.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The whole path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Notes that it is over, and how it ended.
    pub fn end(&self, error: Option<ErrorCode>) {
        self.leave();
        let duration = self.elapsed();
        if self.ended.set((error, duration)).is_ok() {
            let flow = self.transfers.flow(self.direction);
            flow.durations.time(duration);
            flow.ended[ending(error)].count();
        }
    }

    /// Takes it off the list of those under way.
    pub fn leave(&self) {
        self.transfers.lock().1.remove(&self.number);
    }

    fn look(&self) -> TransferView {
        let size = self.size.load(Ordering::Relaxed);
        TransferView {
            number: self.number,
            direction: self.direction,
            identity: self.identity.clone(),
            address: self.address.clone(),
            path: self.path.clone(),
            size: (size != UNKNOWN).then_some(size),
            bytes: self.crossed().0,
            seconds: self.elapsed().as_secs_f64(),
        }
    }
}

impl Drop for RunningTransfer {
    fn drop(&mut self) {
        let Some((error, duration)) = self.ended.get() else { return };
        let (bytes, wire_bytes) = self.crossed();
        let _request = self.span.get().map(Span::enter);
        info!(
            direction = ?self.direction,
            path = self.path,
            bytes,
            wire_bytes,
            ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            error = ?error,
            "transfer"
        );
    }
}

/// The place of an end among [`ENDINGS`].
fn ending(error: Option<ErrorCode>) -> usize {
    match error {
        Some(ErrorCode::Interrupted) => 3,
        error => super::requests::RequestOutcome::of_error(error) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crosses_is_counted_once_and_what_ends_is_gone() {
        let transfers = RunningTransfers::default();
        let begin = || transfers.begin(Direction::Put, "a".into(), "1".into(), "/a/b".into());
        let (one, two) = (begin(), begin());
        one.expect(100);
        for bytes in [10, 10, 70] {
            one.progress(bytes, bytes + 1);
        }
        two.progress(5, 6);
        let up = transfers.flow(Direction::Put);
        assert_eq!((up.content.get(), up.wire.get()), (75, 77));
        let running = transfers.running(9);
        let seen = running.iter().map(|transfer| (transfer.size, transfer.bytes)).collect::<Vec<_>>();
        assert_eq!(seen, [(Some(100), 70), (None, 5)]);
        one.end(None);
        one.end(Some(ErrorCode::Interrupted));
        two.end(Some(ErrorCode::NotAllowed));
        assert_eq!(up.ended.each_ref().map(Counter::get), [1, 1, 0, 0]);
        assert_eq!((transfers.count(Direction::Put), up.durations.distribution().count), (0, 2));
    }
}
