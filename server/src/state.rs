//! What all connections of a running server share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealift_pipeline::{BLOCK, MANY_BLOCKS, MemoryLender};
use sealift_protocol::message::SLICES_AHEAD;
use sealift_types::Digest;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::budget::{BudgetLoan, MemoryBudget, MemoryNeed};
use crate::config::{LiveConfig, ServerConfig};
use crate::descriptors::Descriptors;
use crate::disturbances::Disturbances;
use crate::error::Result;
use crate::handshakes::{AddressGroup, HandshakeLimits, Handshakes};
use crate::in_flight::RequestsInFlight;
use crate::join_gate::JoinGate;
use crate::joinable_uploads::JoinableUploads;
use crate::monitor::Monitor;
use crate::pki::Pki;
use crate::store::copies::CopyVerifier;
use crate::store::upload_leases::UploadLeases;
use crate::store::{Blobs, Catalog, TreeUpkeep};
use crate::turns::HandshakeTurns;
use crate::unfinished_uploads::UnfinishedUploads;

/// The smallest block of an upload, however many there are.
const MIN_BLOCK: usize = 64 * 1024;

/// Contents that are read from the disk at once, over all connections: more do not make a disk faster.
const READS: usize = 64;

/// Parts of uploads that are hashed at once, over all connections, before anybody continues them.
const PREFIXES: usize = 4;

/// The state of a running server.
#[derive(Debug)]
pub struct ServerState {
    /// The settings, which may change.
    pub settings: LiveConfig,
    /// The catalog.
    pub catalog: Catalog,
    /// The blobs.
    pub blobs: Blobs,
    /// Whether what is stored is good.
    pub copies: CopyVerifier,
    /// The authority and the server's own certificate.
    pub pki: Pki,
    /// Wakes the collector.
    pub garbage: Arc<Notify>,
    /// Work on large trees.
    pub trees: TreeUpkeep,
    /// The open connections.
    pub sessions: SessionRegistry,
    /// Requests that are not answered yet.
    pub in_flight: RequestsInFlight,
    /// The connections that have not shown a certificate yet.
    pub handshakes: Handshakes,
    /// Turns at computing for them.
    pub turns: HandshakeTurns,
    /// Whether anybody may join.
    pub joining: JoinGate,
    /// Files and sockets that the process may have open.
    pub descriptors: Descriptors,
    /// Room for parts of uploads that are hashed before anybody continues them.
    pub prefixes: Arc<Semaphore>,
    /// The uploads under way that can be continued.
    pub leases: UploadLeases,
    /// The uploads under way that further connections may join.
    pub shared: JoinableUploads,
    /// What was moved, replaced or deleted lately, for those who list trees.
    pub disturbances: Disturbances,
    /// The large uploads under way, by whose they are.
    pub unfinished: UnfinishedUploads,
    /// What the server counts of itself.
    pub monitor: Monitor,
    /// Memory for all that clients send and fetch.
    pub budget: MemoryBudget,
    /// Turns at reading contents from the disk.
    pub reads: Arc<Semaphore>,
}

/// The memory of a large upload that is under way. One block is its own; the others have to be lent.
#[derive(Debug)]
pub struct UploadMemory {
    /// Bytes of a block.
    pub block: usize,
    /// How many blocks there are at most.
    pub blocks: usize,
    /// Who lends all blocks but the first.
    pub lender: Arc<dyn MemoryLender>,
    _first: BudgetLoan,
}

impl ServerState {
    /// The state of a server that has just opened its data.
    pub fn new(settings: LiveConfig, catalog: Catalog, blobs: Blobs, pki: Pki) -> Self {
        let (garbage, sessions) = (blobs.holds().released(), SessionRegistry::default());
        let budget = MemoryBudget::new(settings.clone());
        let reads = Arc::new(Semaphore::new(READS));
        let prefixes = Arc::new(Semaphore::new(PREFIXES));
        let (leases, shared, unfinished) =
            (UploadLeases::default(), JoinableUploads::default(), UnfinishedUploads::default());
        let monitor = Monitor::new(catalog.clone());
        let copies = CopyVerifier::of(&catalog, blobs.clone());
        Self {
            settings,
            catalog,
            blobs,
            copies,
            pki,
            garbage,
            trees: TreeUpkeep::default(),
            sessions,
            in_flight: RequestsInFlight::default(),
            handshakes: Handshakes::default(),
            turns: HandshakeTurns::default(),
            joining: JoinGate::default(),
            descriptors: Descriptors::current(),
            prefixes,
            leases,
            shared,
            disturbances: Disturbances::default(),
            unfinished,
            monitor,
            budget,
            reads,
        }
    }

    /// The settings as they are now.
    pub fn config(&self) -> Arc<ServerConfig> {
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

    /// Waits for the memory that a large upload of `size` bytes, if that is known, cannot do without.
    pub async fn share(&self, identity: i64, size: Option<u64>) -> Result<UploadMemory> {
        let (blocks, block) = division(self.budget.left_for_speed(identity), size);
        let _first = self.memory(identity, block).await?;
        Ok(UploadMemory { block, blocks, lender: self.budget.speed(identity), _first })
    }

    /// Takes the memory for what further connections bring ahead of its turn, if it is not needed otherwise.
    pub fn room_ahead(&self, identity: i64) -> Option<BudgetLoan> {
        self.budget.try_take(identity, (SLICES_AHEAD * BLOCK) as u64, MemoryNeed::Speed)
    }

    /// Waits for memory that a request of an identity cannot do without.
    pub async fn memory(&self, identity: i64, bytes: usize) -> Result<BudgetLoan> {
        // The client must not take the wait for a broken connection.
        let patience = self.config().timeouts.stall() / 2;
        self.budget.take_within(patience, identity, bytes as u64, MemoryNeed::Work).await
    }
}

/// The number of blocks of an upload of `size` bytes, if that is known, and their size, where so much memory may be lent
/// to its identity.
fn division(left: u64, size: Option<u64>) -> (usize, usize) {
    let blocks = sealift_pipeline::blocks_for(size);
    let most = |bytes: u64| usize::try_from(bytes).map_or(BLOCK, |bytes| bytes.clamp(MIN_BLOCK, BLOCK));
    // Memory is used again if it is of the same size, so there are few.
    let fair = 1 << most(left / MANY_BLOCKS as u64).ilog2();
    (blocks, fair.min(size.map_or(BLOCK, most).next_power_of_two()))
}

/// The open connections, by certificate, so that a revocation finds them.
#[derive(Debug, Clone, Default)]
pub struct SessionRegistry {
    next: Arc<AtomicU64>,
    open: Arc<Mutex<SessionsByCertificate>>,
}

#[derive(Debug, Default)]
struct SessionsByCertificate {
    by_number: HashMap<u64, (Digest, CancellationToken)>,
    by_origin: HashMap<AddressGroup, usize>,
    by_identity: HashMap<i64, usize>,
}

/// One open connection; it leaves the list when this is dropped.
#[derive(Debug)]
pub struct OpenSession {
    number: u64,
    sessions: SessionRegistry,
    origin: AddressGroup,
    identity: Option<i64>,
    /// Cancelled when the certificate is revoked.
    pub revoked: CancellationToken,
}

impl SessionRegistry {
    /// Adds a connection from `origin`.
    pub fn enter(&self, fingerprint: Digest, origin: AddressGroup) -> OpenSession {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let revoked = CancellationToken::new();
        let mut open = self.lock();
        open.by_number.insert(number, (fingerprint, revoked.clone()));
        *open.by_origin.entry(origin).or_default() += 1;
        OpenSession { number, sessions: self.clone(), origin, identity: None, revoked }
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
    pub fn count_from(&self, origin: AddressGroup) -> usize {
        self.lock().by_origin.get(&origin).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SessionsByCertificate> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenSession {
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

impl Drop for OpenSession {
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
    use sealift_pipeline::{BLOCKS, LARGE};

    use super::*;

    #[test]
    fn connections_are_counted_by_address_and_by_identity() {
        let sessions = SessionRegistry::default();
        let origin = |last| AddressGroup::of([192, 0, 2, last].into());
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
    fn an_upload_gets_whole_blocks_as_long_as_there_is_memory_and_no_larger_ones_than_it_needs() {
        let (long, plenty) = (Some(1 << 30), 64 << 20);
        assert_eq!(division(plenty, long), (MANY_BLOCKS, BLOCK));
        assert_eq!(division(16 << 20, long), (MANY_BLOCKS, BLOCK));
        assert_eq!(division(15 << 20, long), (MANY_BLOCKS, BLOCK / 2));
        assert_eq!(division(0, long), (MANY_BLOCKS, MIN_BLOCK));
        assert_eq!(division(plenty, None), (MANY_BLOCKS, BLOCK), "as it may be long");
        assert_eq!(division(plenty, Some(2 * LARGE - 1)), (BLOCKS, BLOCK));
        assert_eq!(division(plenty, Some(70_000)), (BLOCKS, 128 * 1024));
        assert_eq!(division(plenty, Some(0)), (BLOCKS, MIN_BLOCK));
        assert_eq!(division(u64::MAX, Some(u64::MAX)), (MANY_BLOCKS, BLOCK));
    }
}
