//! What all connections of a running server share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealift_protocol::Digest;
use sealift_protocol::content::{self, BLOCK, BLOCKS};
use sealift_protocol::message::SLICES_AHEAD;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Config, Live};
use crate::descriptors::Descriptors;
use crate::disturbances::Disturbances;
use crate::handshakes::{HandshakeLimits, Handshakes, Origin};
use crate::join_gate::JoinGate;
use crate::monitor::Monitor;
use crate::pki::Pki;
use crate::shared::Shared;
use crate::store::attempts::Attempts;
use crate::store::copies::Copies;
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
    /// Whether what is stored is good.
    pub copies: Copies,
    /// The authority and the server's own certificate.
    pub pki: Pki,
    /// Wakes the collector.
    pub garbage: Arc<Notify>,
    /// Work on large trees.
    pub trees: Trees,
    /// The open connections.
    pub sessions: Sessions,
    /// The connections that have not shown a certificate yet.
    pub handshakes: Handshakes,
    /// Whether anybody may join.
    pub joining: JoinGate,
    /// Files and sockets that the process may have open.
    pub descriptors: Descriptors,
    /// Room for parts of uploads that are hashed before anybody continues them.
    pub prefixes: Arc<Semaphore>,
    /// The uploads under way that can be continued.
    pub attempts: Attempts,
    /// The uploads under way that further connections may join.
    pub shared: Shared,
    /// What was moved, replaced or deleted lately, for those who list trees.
    pub disturbances: Disturbances,
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
        let copies = Copies::of(catalog.clone(), blobs.clone());
        Self {
            settings,
            catalog,
            blobs,
            copies,
            pki,
            garbage,
            trees: Trees::default(),
            sessions,
            handshakes: Handshakes::default(),
            joining: JoinGate::default(),
            descriptors: Descriptors::current(),
            prefixes,
            attempts,
            shared,
            disturbances: Disturbances::default(),
            monitor,
            room,
            uploads,
        }
    }

    /// The settings as they are now.
    pub fn config(&self) -> Arc<Config> {
        self.settings.now()
    }

    /// How many handshakes may be under way now.
    pub fn handshake_limits(&self) -> HandshakeLimits {
        HandshakeLimits::within(self.descriptors.strangers(), self.config().limits)
    }

    /// How many clients may be connected now.
    pub fn most_connections(&self) -> usize {
        self.config().max_connections.get().min(self.descriptors.clients())
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
    open: Arc<Mutex<OpenSessions>>,
}

#[derive(Debug, Default)]
struct OpenSessions {
    by_number: HashMap<u64, (Digest, CancellationToken)>,
    by_origin: HashMap<Origin, usize>,
    by_identity: HashMap<i64, usize>,
}

/// One open connection; it leaves the list when this is dropped.
#[derive(Debug)]
pub struct Session {
    number: u64,
    sessions: Sessions,
    origin: Origin,
    identity: Option<i64>,
    /// Cancelled when the certificate is revoked.
    pub revoked: CancellationToken,
}

impl Sessions {
    /// Adds a connection from `origin`.
    pub fn enter(&self, fingerprint: Digest, origin: Origin) -> Session {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let revoked = CancellationToken::new();
        let mut open = self.lock();
        open.by_number.insert(number, (fingerprint, revoked.clone()));
        *open.by_origin.entry(origin).or_default() += 1;
        Session { number, sessions: self.clone(), origin, identity: None, revoked }
    }

    /// Tells the connections whose certificates are revoked that they are.
    pub fn revoke_where<E>(&self, is_revoked: impl Fn(&Digest) -> Result<bool, E>) -> Result<(), E> {
        // Asked outside of the lock, which every new connection needs.
        let open: Vec<_> = self.lock().by_number.values().cloned().collect();
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
        self.lock().by_number.len()
    }

    /// How many there are from one address.
    pub fn count_from(&self, origin: Origin) -> usize {
        self.lock().by_origin.get(&origin).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenSessions> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Counts the connection as one of `identity`, once, and returns how many the identity has.
    pub fn belongs_to(&mut self, identity: i64) -> usize {
        let mut open = self.sessions.lock();
        let count = open.by_identity.entry(identity).or_default();
        if self.identity.replace(identity).is_none() {
            *count += 1;
        }
        *count
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        open.by_number.remove(&self.number);
        one_less(&mut open.by_origin, self.origin);
        if let Some(identity) = self.identity {
            one_less(&mut open.by_identity, identity);
        }
    }
}

/// Counts one less, and forgets what is not there any more.
fn one_less<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
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
    fn connections_are_counted_by_address_and_by_identity() {
        let sessions = Sessions::default();
        let origin = |last| Origin::of([192, 0, 2, last].into());
        let enter = |last| sessions.enter(Digest::of(b"certificate"), origin(last));
        let (mut first, mut second, third) = (enter(1), enter(1), enter(2));
        assert_eq!((first.belongs_to(7), second.belongs_to(7), second.belongs_to(7)), (1, 2, 2));
        assert_eq!(
            (sessions.count(), sessions.count_from(origin(1)), sessions.count_from(origin(2))),
            (3, 2, 1)
        );
        drop((first, third));
        assert_eq!(
            (sessions.count(), sessions.count_from(origin(1)), sessions.count_from(origin(2))),
            (1, 1, 0)
        );
        assert_eq!(enter(1).belongs_to(7), 2);
        drop(second);
        let open = sessions.lock();
        assert!(open.by_number.is_empty() && open.by_origin.is_empty() && open.by_identity.is_empty());
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
