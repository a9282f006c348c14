//! What all connections of a running server share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealift_protocol::Digest;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::Config;
use crate::pki::Pki;
use crate::store::{Blobs, Catalog};

/// Bytes of small uploads that may be held in memory at once, over all connections.
const ROOM: usize = 32 * 1024 * 1024;

/// The state of a running server.
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub config: Config,
    /// The catalog.
    pub catalog: Catalog,
    /// The blobs.
    pub blobs: Blobs,
    /// The authority and the server's own certificate.
    pub pki: Pki,
    /// Wakes the collector.
    pub garbage: Arc<Notify>,
    /// The open connections.
    pub sessions: Sessions,
    room: Arc<Semaphore>,
}

impl State {
    /// The state of a server that has just opened its data.
    pub fn new(config: Config, catalog: Catalog, blobs: Blobs, pki: Pki) -> Self {
        let (garbage, sessions) = (Arc::default(), Sessions::default());
        Self { config, catalog, blobs, pki, garbage, sessions, room: Arc::new(Semaphore::new(ROOM)) }
    }

    /// Waits until there is room in memory for a small upload of this many bytes.
    pub async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.min(ROOM)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.room.clone().acquire_many_owned(permits).await.ok()
    }
}

/// The open connections, by certificate, so that a revocation finds them.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    next: Arc<AtomicU64>,
    open: Arc<Mutex<HashMap<u64, (Digest, CancellationToken)>>>,
}

/// One open connection; it leaves the list when this is dropped.
#[derive(Debug)]
pub struct Session {
    number: u64,
    sessions: Sessions,
    /// Cancelled when the certificate is revoked.
    pub revoked: CancellationToken,
}

impl Sessions {
    /// Adds a connection.
    pub fn enter(&self, fingerprint: Digest) -> Session {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let revoked = CancellationToken::new();
        self.lock().insert(number, (fingerprint, revoked.clone()));
        Session { number, sessions: self.clone(), revoked }
    }

    /// Tells the connections whose certificates are revoked that they are.
    pub fn revoke_where<E>(&self, is_revoked: impl Fn(&Digest) -> Result<bool, E>) -> Result<(), E> {
        // Asked outside of the lock, which every new connection needs.
        let open: Vec<_> = self.lock().values().cloned().collect();
        for (fingerprint, token) in open {
            if !token.is_cancelled() && is_revoked(&fingerprint)? {
                info!(%fingerprint, "ending a connection: its certificate was revoked");
                token.cancel();
            }
        }
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (Digest, CancellationToken)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.number);
    }
}
