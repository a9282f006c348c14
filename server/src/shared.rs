//! Uploads under way that further connections may bring slices of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sealift_protocol::ErrorCode;
use sealift_protocol::content::Order;
use sealift_protocol::message::{SLICE, SLICES_AHEAD};

use crate::budget::Loan;
use crate::error::{Error, Result};
use crate::pulse::Pulse;
use crate::state::State;
use crate::store::attempts::Attempt;

/// An identity and the number that it chose for an upload.
type Key = (i64, u64);

/// The uploads that can be joined. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<HashMap<Key, Arc<Upload>>>>);

/// One of them.
#[derive(Debug)]
pub struct Upload {
    order: Arc<Order>,
    /// Where the order begins in the content.
    start: u64,
    size: u64,
    attempt: Option<Attempt>,
    /// Room for what comes ahead of its turn, once anything may.
    room: OnceLock<Option<Loan>>,
    bytes: AtomicU64,
    wire_bytes: AtomicU64,
}

/// An upload that can be joined as long as this is there.
#[derive(Debug)]
pub struct Open {
    shared: Shared,
    key: Key,
    upload: Arc<Upload>,
}

impl Shared {
    /// Lets others of the identity join an upload of `size` bytes, which receives those from `start` on. `None` if they
    /// have another one of this number under way.
    pub fn open(
        &self,
        key: Key,
        order: Arc<Order>,
        start: u64,
        size: u64,
        attempt: Option<Attempt>,
    ) -> Option<Open> {
        let (room, bytes, wire_bytes) = (OnceLock::new(), AtomicU64::new(0), AtomicU64::new(0));
        let upload = Arc::new(Upload { order, start, size, attempt, room, bytes, wire_bytes });
        let mut open = self.lock();
        if open.contains_key(&key) {
            return None;
        }
        open.insert(key, upload.clone());
        Some(Open { shared: self.clone(), key, upload })
    }

    /// The upload to which an identity gave this number.
    pub fn find(&self, identity: i64, number: u64) -> Option<Arc<Upload>> {
        self.lock().get(&(identity, number)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Upload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// The order in which slices are taken.
    pub fn order(&self) -> &Arc<Order> {
        &self.order
    }

    /// The place of a slice in the order, if it is one.
    pub fn index(&self, offset: u64, length: u64) -> Result<u64> {
        let index = self.place(offset)?;
        if length != SLICE.min(self.size - offset) {
            let message = "a slice has 1048576 bytes, but for the last of a content: send as many";
            return Err(Error::refused(ErrorCode::BadRequest, message));
        }
        Ok(index)
    }

    /// The place of the slice that begins there.
    pub fn place(&self, offset: u64) -> Result<u64> {
        let behind = offset.checked_sub(self.start).filter(|_| offset < self.size);
        behind.filter(|behind| behind.is_multiple_of(SLICE)).map(|behind| behind / SLICE).ok_or_else(|| {
            let message = "no slice of the content begins there: count 1048576 bytes for each before it";
            Error::refused(ErrorCode::BadRequest, message)
        })
    }

    /// Makes room for slices ahead of their turn, unless there is no memory for them.
    pub fn widen(&self, state: &State, identity: i64) -> bool {
        let widen = || {
            let room = state.room_ahead(identity)?;
            self.order.widen(SLICES_AHEAD);
            Some(room)
        };
        self.room.get_or_init(widen).is_some()
    }

    /// Somebody else brings slices: as long as they do, the upload's client is not silent.
    pub fn watch(&self, pulse: &Arc<Pulse>) {
        if let Some(attempt) = &self.attempt {
            attempt.joined(pulse);
        }
    }

    /// Notes what has come over further connections.
    pub fn received(&self, bytes: u64, wire_bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.wire_bytes.fetch_add(wire_bytes, Ordering::Relaxed);
    }

    /// Bytes of the content, and of frames, that have come over further connections.
    pub fn brought(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.wire_bytes.load(Ordering::Relaxed))
    }
}

impl std::ops::Deref for Open {
    type Target = Upload;

    fn deref(&self) -> &Upload {
        &self.upload
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.key);
    }
}
