//! What all connections of a running server share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealift_protocol::Digest;
use sealift_protocol::content::{self, BLOCK, BLOCKS};
use sealift_protocol::message::SLICES_AHEAD;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Config, Live};
use crate::monitor::Monitor;
use crate::pki::Pki;
use crate::shared::Shared;
use crate::store::attempts::Attempts;
use crate::store::{Blobs, Catalog, Trees};

/// Bytes of small uploads that may be held in memory at once, over all connections.
const ROOM: usize = 32 * 1024 * 1024;

/// Bytes of memory that the large uploads of all connections are to share.
const BLOCK_ROOM: usize = 64 * 1024 * 1024;

/// Large uploads that this is enough for, with whole blocks.
const FULL: usize = BLOCK_ROOM / BLOCKS / BLOCK;

/// The smallest block of an upload, however many there are.
const MIN_BLOCK: usize = 64 * 1024;

/// Parts of uploads that are hashed at once, over all connections, before anybody continues them.
const PREFIXES: usize = 4;

/// The state of a running server.
#[derive(Debug)]
pub struct State {
    /// The settings, which may change.
    pub settings: Live,
    /// The catalog.
    pub catalog: Catalog,
    /// The blobs.
    pub blobs: Blobs,
    /// The authority and the server's own certificate.
    pub pki: Pki,
    /// Wakes the collector.
    pub garbage: Arc<Notify>,
    /// Work on large trees.
    pub trees: Trees,
    /// The open connections.
    pub sessions: Sessions,
    /// Room for parts of uploads that are hashed before anybody continues them.
    pub prefixes: Arc<Semaphore>,
    /// The uploads under way that can be continued.
    pub attempts: Attempts,
    /// The uploads under way that further connections may join.
    pub shared: Shared,
    /// What the server counts of itself.
    pub monitor: Monitor,
    room: Arc<Semaphore>,
    uploads: Arc<AtomicUsize>,
}

/// A large upload that is under way, and its share of the memory.
#[derive(Debug)]
pub struct Share {
    uploads: Arc<AtomicUsize>,
    /// For how many uploads it counts.
    weight: usize,
    /// Bytes of a block.
    pub block: usize,
    /// How many blocks.
    pub blocks: usize,
}

impl State {
    /// The state of a server that has just opened its data.
    pub fn new(settings: Live, catalog: Catalog, blobs: Blobs, pki: Pki) -> Self {
        let (garbage, sessions) = (blobs.holds().released(), Sessions::default());
        let (room, uploads) = (Arc::new(Semaphore::new(ROOM)), Arc::default());
        let prefixes = Arc::new(Semaphore::new(PREFIXES));
        let (attempts, shared) = (Attempts::default(), Shared::default());
        let monitor = Monitor::new(catalog.clone());
        Self {
            settings,
            catalog,
            blobs,
            pki,
            garbage,
            trees: Trees::default(),
            sessions,
            prefixes,
            attempts,
            shared,
            monitor,
            room,
            uploads,
        }
    }

    /// The settings as they are now.
    pub fn config(&self) -> Arc<Config> {
        self.settings.now()
    }

    /// Counts a large upload of `size` bytes, if that is known, and divides the memory among all that are under way.
    pub fn share(&self, size: Option<u64>) -> Share {
        let uploads = self.uploads.fetch_add(1, Ordering::Relaxed) + 1;
        let (weight, blocks, block) = division(uploads, size);
        self.uploads.fetch_add(weight - 1, Ordering::Relaxed);
        Share { uploads: self.uploads.clone(), weight, block, blocks }
    }

    /// Takes the memory for what further connections bring ahead of its turn, as long as there is some that no other
    /// upload needs.
    pub fn room_ahead(&self) -> Option<Share> {
        const WEIGHT: usize = SLICES_AHEAD.div_ceil(BLOCKS);
        let more = |uploads: usize| Some(uploads + WEIGHT).filter(|uploads| *uploads <= FULL);
        self.uploads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Share { uploads: self.uploads.clone(), weight: WEIGHT, block: BLOCK, blocks: BLOCKS })
    }

    /// Waits until there is room in memory for a small upload of this many bytes.
    pub async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.min(ROOM)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.room.clone().acquire_many_owned(permits).await.ok()
    }
}

/// What an upload of `size` bytes gets, if that is known, when so many are under way, itself counted once: for how many
/// it counts, its blocks, and their size.
fn division(uploads: usize, size: Option<u64>) -> (usize, usize, usize) {
    let fair = (BLOCK_ROOM / BLOCKS / uploads).clamp(MIN_BLOCK, BLOCK);
    let needed =
        size.and_then(|size| usize::try_from(size).ok()).map_or(BLOCK, |size| size.clamp(MIN_BLOCK, BLOCK));
    // Memory is used again if it is of the same size, so there are few.
    let block = (1 << fair.ilog2()).min(needed.next_power_of_two());
    let blocks = if uploads < FULL { content::blocks_for(size) } else { BLOCKS };
    (blocks / BLOCKS, blocks, block)
}

impl Drop for Share {
    fn drop(&mut self) {
        self.uploads.fetch_sub(self.weight, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use sealift_protocol::content::{LARGE, MANY_BLOCKS};

    use super::*;

    #[test]
    fn the_first_long_uploads_fill_the_memory_and_the_others_get_less_each() {
        let long = Some(1 << 30);
        let (mut uploads, mut memory) = (0, 0);
        while uploads < FULL {
            let (weight, blocks, block) = division(uploads + 1, long);
            uploads += weight;
            memory += blocks * block;
        }
        assert_eq!(memory, BLOCK_ROOM);
        assert_eq!(division(9, long), (1, BLOCKS, BLOCK / 2));
        assert_eq!(division(33, long), (1, BLOCKS, BLOCK / 8));
        assert_eq!(division(10_000, long), (1, BLOCKS, MIN_BLOCK));
    }

    #[test]
    fn an_upload_gets_no_larger_blocks_than_it_needs() {
        assert_eq!(division(1, None), (2, MANY_BLOCKS, BLOCK), "as it may be long");
        assert_eq!(division(1, Some(2 * LARGE - 1)), (1, BLOCKS, BLOCK));
        assert_eq!(division(1, Some(70_000)), (1, BLOCKS, 128 * 1024));
        assert_eq!(division(1, Some(0)), (1, BLOCKS, MIN_BLOCK));
        assert_eq!(division(1, Some(u64::MAX)), (2, MANY_BLOCKS, BLOCK));
    }
}
