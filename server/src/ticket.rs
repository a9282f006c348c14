//! The log's record of a transfer, from its first byte to its end, however it ends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rusqlite::Connection;
use sealift_protocol::message::Direction;
use sealift_protocol::{Digest, ErrorCode, RemotePath};
use tracing::info;

use crate::clock;
use crate::error::Result;
use crate::session::Caller;
use crate::store::transfers::{self, Record};
use crate::store::{Catalog, entries};

/// A transfer under way. Dropped without having been closed, it is logged as interrupted: connections break, and
/// revocation cuts them, at any moment.
#[derive(Debug)]
pub struct Ticket {
    catalog: Catalog,
    begun: Instant,
    /// Until it is closed.
    record: Mutex<Option<Record>>,
}

impl Ticket {
    /// Begins a record.
    pub fn new(catalog: &Catalog, caller: &Caller, direction: Direction, path: &RemotePath) -> Self {
        let whole = match path.locate(&caller.name) {
            Ok(sealift_protocol::Location::In { space, names }) => entries::display(&space, &names),
            _ => "/".to_owned(),
        };
        let record = Record {
            started: clock::now(),
            duration_us: 0,
            identity: caller.identity,
            address: caller.address.clone(),
            direction,
            path: whole,
            bytes: 0,
            wire_bytes: 0,
            digest: None,
            error: None,
        };
        Self { catalog: catalog.clone(), begun: Instant::now(), record: Mutex::new(Some(record)) }
    }

    /// Notes how far the transfer has come: bytes of the content, bytes of frames.
    pub fn progress(&self, bytes: u64, wire_bytes: u64) {
        if let Some(record) = self.lock().as_mut() {
            record.bytes = bytes;
            record.wire_bytes = wire_bytes;
        }
    }

    /// Notes which content it is.
    pub fn identify(&self, digest: Digest) {
        if let Some(record) = self.lock().as_mut() {
            record.digest = Some(digest);
        }
    }

    /// Notes that nothing was stored, since what was there is newer: the record tells what crossed, and names no content.
    pub fn leave(&self, crossed: bool) {
        if let Some(record) = self.lock().as_mut() {
            record.digest = None;
            if !crossed {
                record.bytes = 0;
            }
        }
    }

    /// Writes no record: what was transferred is part of another one's.
    pub fn withdraw(self) {
        *self.lock() = None;
    }

    /// Writes the record as part of a transaction, so that the log and the tree agree.
    pub fn record_in(&self, connection: &Connection, error: Option<ErrorCode>) -> Result<()> {
        match self.close(error) {
            Some(record) => transfers::insert(connection, &record),
            None => Ok(()),
        }
    }

    /// Queues the record, in order with all else that changes the catalog; nobody waits until it is written.
    pub async fn finish(self, error: Option<ErrorCode>) {
        if let Some(record) = self.close(error) {
            self.catalog.note(move |connection| transfers::insert(connection, &record)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, error: Option<ErrorCode>) -> Option<Record> {
        let mut record = self.lock().take()?;
        record.duration_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        record.error = error;
        info!(
            direction = ?record.direction,
            path = record.path,
            bytes = record.bytes,
            wire_bytes = record.wire_bytes,
            ms = record.duration_us / 1000,
            error = ?record.error,
            "transfer"
        );
        Some(record)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(record) = self.close(Some(ErrorCode::Interrupted)) {
            self.catalog.post(move |connection| transfers::insert(connection, &record));
        }
    }
}
