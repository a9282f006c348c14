//! Replies that are due on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealift_pipeline::ReorderBuffer;
use sealift_protocol::WireError;
use sealift_protocol::message::{Reply, Request};

use super::room::RequestCharge;
use crate::monitor::requests::AskedRequest;
use crate::monitor::running::RunningTransfer;
use crate::store::catalog::PendingCommit;

/// What is under way on a connection.
#[derive(Debug)]
pub(super) struct SessionActivity {
    pub(super) requests: AtomicUsize,
    pub(super) opened: Instant,
    /// When the last reply was done, in milliseconds after `opened`.
    pub(super) ended: AtomicU64,
    /// Whether the client went away without a goodbye.
    pub(super) cut: AtomicBool,
    /// Whether the client knows the reply that says that the server is working.
    pub(super) knows_working: AtomicBool,
}

impl Default for SessionActivity {
    fn default() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            opened: Instant::now(),
            ended: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            knows_working: AtomicBool::new(false),
        }
    }
}

impl SessionActivity {
    /// Counts a request. Returns true if no other is under way.
    pub(super) fn begin(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub(super) fn end(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended.store(now, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_millis(self.ended.load(Ordering::Relaxed)))
    }
}

/// A reply in the making, and the request that it answers.
pub(super) struct QueuedReply {
    /// None for last words that nobody asked for.
    pub(super) asked: Option<AskedRequest>,
    /// The request's number on its connection, as the log has it.
    pub(super) number: u64,
    /// The memory that it takes until it is answered.
    pub(super) charge: Option<RequestCharge>,
    pub(super) slot: ReplySlot,
}

/// What there is of a reply.
pub(super) enum ReplySlot {
    /// It is known.
    Ready(Box<Reply>),
    /// A change that waits for its commit.
    Changed(PendingCommit<Reply>, Option<Arc<RunningTransfer>>),
    /// A slice that waits for what comes before it.
    Slice(Arc<ReorderBuffer>, u64),
    /// A request that is served in its turn.
    Serve(Box<Request>),
    /// The last words.
    Close(WireError),
}
