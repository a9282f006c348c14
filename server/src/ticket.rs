//! The log's record of a transfer, from its first byte to its end, however it ends.

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
    record: Option<Record>,
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
        Self { catalog: catalog.clone(), begun: Instant::now(), record: Some(record) }
    }

    /// Notes how far the transfer has come: bytes of the content, bytes of frames.
    pub fn progress(&mut self, bytes: u64, wire_bytes: u64) {
        if let Some(record) = &mut self.record {
            record.bytes = bytes;
            record.wire_bytes = wire_bytes;
        }
    }

    /// Notes which content it is.
    pub fn identify(&mut self, digest: Digest) {
        if let Some(record) = &mut self.record {
            record.digest = Some(digest);
        }
    }

    /// Writes the record of a success as part of a transaction, so that the log and the tree agree.
    pub fn succeed_in(mut self, connection: &Connection) -> Result<()> {
        match self.close(None) {
            Some(record) => transfers::insert(connection, &record),
            None => Ok(()),
        }
    }

    /// Queues the record, in order with all else that changes the catalog; nobody waits until it is written.
    pub async fn finish(mut self, error: Option<ErrorCode>) {
        if let Some(record) = self.close(error) {
            drop(self.catalog.submit(move |connection| transfers::insert(connection, &record)).await);
        }
    }

    /// The same from where nothing may be waited for.
    pub fn finish_soon(mut self, error: Option<ErrorCode>) {
        self.post(error);
    }

    fn post(&mut self, error: Option<ErrorCode>) {
        if let Some(record) = self.close(error) {
            self.catalog.post(move |connection| transfers::insert(connection, &record));
        }
    }

    fn close(&mut self, error: Option<ErrorCode>) -> Option<Record> {
        let mut record = self.record.take()?;
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
        self.post(Some(ErrorCode::Interrupted));
    }
}
