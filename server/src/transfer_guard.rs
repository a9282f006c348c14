//! The log's record of a transfer, from its first byte to its end, however it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use sealift_protocol::message::{Direction, Nanoseconds};
use sealift_types::{Digest, EntryPath, ErrorCode};

use crate::caller::Caller;
use crate::clock;
use crate::error::{Result, ServerError};
use crate::monitor::running::RunningTransfer;
use crate::state::ServerState;
use crate::store::catalog::WriterLine;
use crate::store::transfers::{self, TransferRow};
use crate::store::{Catalog, entries};

/// A transfer under way. Dropped without having been closed, it is logged as interrupted: connections break, and
/// revocation cuts them, at any moment.
#[derive(Debug)]
pub struct TransferGuard {
    catalog: Catalog,
    transfer: Arc<RunningTransfer>,
    started: Nanoseconds,
    identity: i64,
    direction: Direction,
    preview: bool,
    digest: Mutex<Option<Digest>>,
    /// How it ends, once a transaction has its record, if that is committed.
    recorded: Mutex<Option<Option<ErrorCode>>>,
    closed: AtomicBool,
}

impl TransferGuard {
    /// Begins a record.
    pub fn new(state: &ServerState, caller: &Caller, direction: Direction, path: &EntryPath) -> Self {
        let whole = match path.locate(&caller.name) {
            Ok(sealift_types::Location::In { space, names }) => entries::display(&space, &names),
            _ => "/".to_owned(),
        };
        let (who, from) = (caller.name.to_string(), caller.address.clone());
        Self {
            catalog: state.catalog.within(WriterLine::Of(caller.identity)),
            transfer: state.monitor.transfers.begin(direction, who, from, whole),
            started: clock::now(),
            identity: caller.identity,
            direction,
            preview: false,
            digest: Mutex::default(),
            recorded: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The same, of a content that is only shown.
    pub fn of_preview(mut self) -> Self {
        self.preview = true;
        self
    }

    /// True if the content is only shown.
    pub fn is_preview(&self) -> bool {
        self.preview
    }

    /// Whose it is.
    pub fn identity(&self) -> i64 {
        self.identity
    }

    /// What others may see of it.
    pub fn transfer(&self) -> &Arc<RunningTransfer> {
        &self.transfer
    }

    /// Notes how far the transfer has come: bytes of the content, bytes of frames.
    pub fn progress(&self, bytes: u64, wire_bytes: u64) {
        self.transfer.progress(bytes, wire_bytes);
    }

    /// Notes which content it is.
    pub fn identify(&self, digest: Digest) {
        self.set_digest(Some(digest));
    }

    /// Notes that nothing was stored, since what was there is newer: the record tells what crossed, and names no content.
    pub fn leave(&self, crossed: bool) {
        self.set_digest(None);
        if !crossed {
            self.transfer.forget_content();
        }
    }

    /// Writes no record: what was transferred is part of another one's.
    pub fn withdraw(self) {
        self.closed.store(true, Ordering::Relaxed);
        self.transfer.leave();
    }

    /// Writes the record as part of a transaction, so that the log and the tree agree. It is not true before
    /// [`conclude`](Self::conclude) is told that the transaction is durable.
    pub fn record_in(&self, connection: &Connection, error: Option<ErrorCode>) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        transfers::insert(connection, &self.record(error))?;
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Ok(())
    }

    /// Ends the transfer as its record says, or as one that failed if the record was lost with its transaction: then it is
    /// written once more.
    pub fn conclude(&self, commit: Result<(), &ServerError>) {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (commit, recorded) {
            (Ok(()), Some(error)) => drop(self.close(error)),
            (Ok(()), None) => {}
            (Err(error), _) => {
                if let Some(record) = self.close(Some(error.to_wire().code)) {
                    self.catalog.post(move |connection| transfers::insert(connection, &record));
                }
            }
        }
    }

    /// Queues the record, in order with what else the identity changes; nobody waits until it is written.
    pub async fn finish(self, error: Option<ErrorCode>) {
        if let Some(record) = self.close(error) {
            self.catalog.note(move |connection| transfers::insert(connection, &record)).await;
        }
    }

    fn set_digest(&self, digest: Option<Digest>) {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = digest;
    }

    fn close(&self, error: Option<ErrorCode>) -> Option<TransferRow> {
        if self.closed.swap(true, Ordering::Relaxed) {
            return None;
        }
        self.transfer.end(error);
        Some(self.record(error))
    }

    fn record(&self, error: Option<ErrorCode>) -> TransferRow {
        let (bytes, wire_bytes) = self.transfer.crossed();
        TransferRow {
            started: self.started,
            // In whole milliseconds: finer, it would tell what the catalog did.
            duration_us: u64::try_from(self.transfer.elapsed().as_millis() + 1)
                .unwrap_or(u64::MAX)
                .saturating_mul(1000),
            identity: self.identity,
            address: self.transfer.address().to_owned(),
            direction: self.direction,
            preview: self.preview,
            path: self.transfer.path().to_owned(),
            bytes,
            wire_bytes,
            digest: *self.digest.lock().unwrap_or_else(PoisonError::into_inner),
            error,
        }
    }
}

impl Drop for TransferGuard {
    fn drop(&mut self) {
        if let Some(record) = self.close(Some(ErrorCode::Interrupted)) {
            self.catalog.post(move |connection| transfers::insert(connection, &record));
        }
    }
}
