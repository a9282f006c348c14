//! Uploads under way that further connections may bring slices of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sealift_pipeline::ReorderBuffer;
use sealift_protocol::message::{SLICE, SLICES_AHEAD};
use sealift_types::ErrorCode;

use crate::budget::BudgetLoan;
use crate::error::{Result, ServerError};
use crate::liveness::Liveness;
use crate::store::upload_leases::UploadLease;

/// An identity and the number that it chose for an upload.
type JoinKey = (i64, u64);

/// The uploads that can be joined. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct JoinableUploads(Arc<Mutex<HashMap<JoinKey, Arc<JoinableUpload>>>>);

/// One of them.
#[derive(Debug)]
pub struct JoinableUpload {
    order: Arc<ReorderBuffer>,
    /// Where the order begins in the content.
    start: u64,
    size: u64,
    lease: Option<UploadLease>,
    /// Room for what comes ahead of its turn, once anything may.
    room: OnceLock<Option<BudgetLoan>>,
    bytes: AtomicU64,
    wire_bytes: AtomicU64,
}

/// An upload that can be joined as long as this is there.
#[derive(Debug)]
pub struct OpenUpload {
    shared: JoinableUploads,
    key: JoinKey,
    upload: Arc<JoinableUpload>,
}

impl JoinableUploads {
    /// Lets others of the identity join an upload of `size` bytes, which receives those from `start` on. `None` if they
    /// have another one of this number under way.
    pub fn open(
        &self,
        key: JoinKey,
        order: Arc<ReorderBuffer>,
        start: u64,
        size: u64,
        lease: Option<UploadLease>,
    ) -> Option<OpenUpload> {
        let (room, bytes, wire_bytes) = (OnceLock::new(), AtomicU64::new(0), AtomicU64::new(0));
        let upload = Arc::new(JoinableUpload { order, start, size, lease, room, bytes, wire_bytes });
        let mut open = self.lock();
        if open.contains_key(&key) {
            return None;
        }
        open.insert(key, upload.clone());
        Some(OpenUpload { shared: self.clone(), key, upload })
    }

    /// The upload to which an identity gave this number.
    pub fn find(&self, identity: i64, number: u64) -> Option<Arc<JoinableUpload>> {
        self.lock().get(&(identity, number)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JoinKey, Arc<JoinableUpload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JoinableUpload {
    /// The order in which slices are taken.
    pub fn order(&self) -> &Arc<ReorderBuffer> {
        &self.order
    }

    /// The place of a slice in the order, if it is one.
    pub fn index(&self, offset: u64, length: u64) -> Result<u64> {
        let index = self.place(offset)?;
        if length != SLICE.min(self.size - offset) {
            let message = "a slice has 1048576 bytes, but for the last of a content: send as many";
            return Err(ServerError::refused(ErrorCode::BadRequest, message));
        }
        Ok(index)
    }

    /// The place of the slice that begins there.
    pub fn place(&self, offset: u64) -> Result<u64> {
        let behind = offset.checked_sub(self.start).filter(|_| offset < self.size);
        behind.filter(|behind| behind.is_multiple_of(SLICE)).map(|behind| behind / SLICE).ok_or_else(|| {
            let message = "no slice of the content begins there: count 1048576 bytes for each before it";
            ServerError::refused(ErrorCode::BadRequest, message)
        })
    }

    /// Makes room for slices ahead of their turn, in memory that `lend` gives. Returns false if it gives none.
    pub fn widen(&self, lend: impl FnOnce() -> Option<BudgetLoan>) -> bool {
        let widen = || {
            let room = lend()?;
            self.order.widen(SLICES_AHEAD);
            Some(room)
        };
        self.room.get_or_init(widen).is_some()
    }

    /// Somebody else brings slices: as long as they do, the upload's client is not silent.
    pub fn watch(&self, liveness: &Arc<Liveness>) {
        if let Some(lease) = &self.lease {
            lease.joined(liveness);
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

impl std::ops::Deref for OpenUpload {
    type Target = JoinableUpload;

    fn deref(&self) -> &JoinableUpload {
        &self.upload
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.key);
    }
}
