//! Watching the server: what it counts of itself, and who may ask.
//!
//! What happens often is counted where it happens, by adding to a number; nothing is sent anywhere and nobody waits. What
//! the store holds is counted when somebody asks, and rarely. The catalog and the blobs have meters of their own.

pub mod census;
pub mod control;
#[cfg(not(unix))]
mod elsewhere;
pub mod exposition;
pub mod health;
pub mod http;
pub mod meter;
pub mod requests;
pub mod running;
#[cfg(unix)]
pub mod service;

#[cfg(not(unix))]
pub use self::elsewhere::service;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use self::census::StoreCensus;
use self::meter::Counter;
use self::requests::RequestCounts;
use self::running::RunningTransfers;
use crate::store::Catalog;

/// What a running server knows of itself.
#[derive(Debug)]
pub struct Monitor {
    /// When the server started.
    pub started: SystemTime,
    /// The same on a clock that is never set.
    pub begun: Instant,
    /// What came of requests.
    pub requests: RequestCounts,
    /// Transfers.
    pub transfers: RunningTransfers,
    /// What the store holds.
    pub census: StoreCensus,
    /// Connections that were accepted.
    pub connections: Counter,
    /// Handshakes that failed, by [`HandshakeFailure`].
    pub handshakes: [Counter; HANDSHAKES.len()],
    /// Clients that were refused because of a limit, by [`LimitReached`].
    pub limited: [Counter; LIMITS.len()],
    /// Machines that joined.
    pub joined: Counter,
    /// Where clients connect.
    pub address: OnceLock<SocketAddr>,
    /// Where the metrics are.
    pub metrics: OnceLock<SocketAddr>,
    stopping: AtomicBool,
}

/// Why a handshake fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// One of the ends does not accept the other.
    Refused,
    /// It took too long.
    Timeout,
    /// It made room for others.
    Displaced,
    /// The client wants to join, and no invitation is open.
    NoInvitation,
}

/// The same by the names that the metrics give it.
pub const HANDSHAKES: [&str; 4] = ["refused", "timeout", "displaced", "no-invitation"];

/// Which limit refuses a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// The connections of all clients.
    All,
    /// The connections from its address.
    Address,
    /// The connections of its identity.
    Identity,
}

/// The same by the names that the metrics give it.
pub const LIMITS: [&str; 3] = ["all", "address", "identity"];

impl Monitor {
    /// Of a server that starts.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            started: SystemTime::now(),
            begun: Instant::now(),
            requests: RequestCounts::default(),
            transfers: RunningTransfers::default(),
            census: StoreCensus::of(catalog),
            connections: Counter::default(),
            handshakes: Default::default(),
            limited: Default::default(),
            joined: Counter::default(),
            address: OnceLock::new(),
            metrics: OnceLock::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Counts a handshake that failed.
    pub fn handshake_failed(&self, why: HandshakeFailure) {
        self.handshakes[why as usize].count();
    }

    /// Counts a client that a limit refuses.
    pub fn limited(&self, limit: LimitReached) {
        self.limited[limit as usize].count();
    }

    /// Notes that the server stops.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
