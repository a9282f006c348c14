//! Whether the stored copy of a content is good: nothing else may be referred to.
//!
//! A copy counts as good for a time after the server had all of its bytes before it, unless its file was written to since.
//! After that it is read once more before anybody's upload is spared by it.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use sealift_protocol::message::{MAX_INLINE, Nanoseconds};
use sealift_types::{Digest, Hasher};
use tokio::sync::Semaphore;
use tracing::error;

use super::catalog::WriterLine;
use super::extent::{self, Extent};
use super::objects::{self, ContentBytes, ContentId};
use super::{Blobs, Catalog};
use crate::background::background;
use crate::clock;
use crate::error::{Result, ServerError};

/// Contents that are read at once, over all connections.
const READINGS: usize = 2;

/// Reported contents that wait to be read. What is reported beyond is not read.
const REPORTED: usize = 64;

/// Bytes that are read by one call.
const RUN: usize = 1024 * 1024;

/// Reads stored copies to see whether they are good. Clones share it.
#[derive(Debug, Clone)]
pub struct CopyVerifier {
    catalog: Catalog,
    blobs: Blobs,
    turns: Arc<Semaphore>,
    reported: Arc<ReportedContents>,
}

/// Contents that clients have reported, and that are not read yet.
#[derive(Debug)]
struct ReportedContents {
    waiting: Mutex<HashSet<Digest>>,
    /// One at a time, so that a reading stays for those who wait for one.
    turn: Semaphore,
}

impl CopyVerifier {
    /// Of a store.
    pub fn of(catalog: &Catalog, blobs: Blobs) -> Self {
        let reported = ReportedContents { waiting: Mutex::default(), turn: Semaphore::new(1) };
        let catalog = catalog.within(WriterLine::Server);
        Self { catalog, blobs, turns: Arc::new(Semaphore::new(READINGS)), reported: Arc::new(reported) }
    }

    /// Reads the copy of a content that a client has reported, whenever it was read before: a file can change without a later
    /// time. `None` if that is about to be done anyway, or too many wait.
    pub async fn read_reported(&self, digest: &Digest) -> Option<Result<bool>> {
        let _waiting = self.reported.enter(*digest)?;
        let _turn = self.reported.turn.acquire().await.ok()?;
        Some(self.are_good(digest, Duration::ZERO).await)
    }

    /// True if the copy is good that the catalog has of a content now. It is read, unless that was done within `trust` and
    /// its file has not changed since. A content that is not stored is not good.
    ///
    /// A copy that is damaged is taken out of reach, so that the next upload replaces it.
    pub async fn are_good(&self, digest: &Digest, trust: Duration) -> Result<bool> {
        let digest = *digest;
        if let Some(known) = self.known(digest, trust).await? {
            return Ok(known);
        }
        let _turn = self.turns.acquire().await.map_err(|_| ServerError::Stopped)?;
        // Somebody else may have read it meanwhile.
        if let Some(known) = self.known(digest, trust).await? {
            return Ok(known);
        }
        let (here, guard) = (self.blobs.clone(), self.blobs.guard());
        let open = move |connection: &Connection| {
            let Some(object) = objects::find(connection, &digest)? else { return Ok(None) };
            Ok(Some(match objects::bytes(connection, object)? {
                ContentBytes::Inline(data) => Ok(Digest::of(&data) == digest),
                ContentBytes::Extents(extents) => Err(here.read(&extents, 0, &guard)),
            }))
        };
        let good = match self.catalog.read(open).await? {
            None => return Ok(false),
            Some(Ok(good)) => good,
            Some(Err(Err(error))) if is_disk_trouble(&error) => return Err(error),
            Some(Err(Err(_))) => false,
            Some(Err(Ok(reader))) => {
                let reading = background("verification", move || hash(reader));
                let read = reading
                    .map_err(ServerError::file(std::path::Path::new("a thread for a verification")))?;
                read.wait().await?.is_ok_and(|read| read == digest)
            }
        };
        self.catalog.write(move |connection| note(connection, &digest, good)).await?;
        Ok(good)
    }

    /// What is known without reading.
    async fn known(&self, digest: Digest, trust: Duration) -> Result<Option<bool>> {
        let blobs = self.blobs.clone();
        let look = move |connection: &Connection| {
            let Some(object) = objects::find(connection, &digest)? else { return Ok(Some(false)) };
            Ok(is_trusted(connection, &blobs, object, trust)?.then_some(true))
        };
        self.catalog.read(look).await
    }
}

impl ReportedContents {
    /// Until the result is dropped, the content waits.
    fn enter(&self, digest: Digest) -> Option<ReportedContent<'_>> {
        let mut waiting = self.lock();
        let enters = waiting.len() < REPORTED && waiting.insert(digest);
        // Not made before it is known: what is dropped leaves.
        enters.then(|| ReportedContent(self, digest))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct ReportedContent<'a>(&'a ReportedContents, Digest);

impl Drop for ReportedContent<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

/// True if a file could not be opened for a reason that says nothing about the content.
fn is_disk_trouble(error: &ServerError) -> bool {
    !error.is_damage() && error.is_internal()
}

fn hash(mut reader: impl Read) -> io::Result<Digest> {
    let (mut hasher, mut run) = (Hasher::new(), vec![0; RUN]);
    loop {
        match reader.read(&mut run)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&run[..count]),
        }
    }
}

fn note(connection: &Connection, digest: &Digest, good: bool) -> Result<()> {
    if good {
        return objects::set_verified(connection, digest);
    }
    error!(%digest, "a stored content is damaged: restore it from a backup, or put the file again");
    objects::quarantine(connection, digest)
}

/// True if a copy was found good within `trust`, and its file has not changed since.
fn is_trusted(connection: &Connection, blobs: &Blobs, object: ContentId, trust: Duration) -> Result<bool> {
    let verified = objects::verified_at(connection, object)?;
    Ok(is_recent(verified, trust)
        && match objects::bytes(connection, object)? {
            ContentBytes::Inline(_) => true,
            ContentBytes::Extents(extents) => blobs.are_unchanged(&extents, verified),
        })
}

fn is_recent(verified: Nanoseconds, trust: Duration) -> bool {
    let age = clock::now().saturating_sub(verified);
    (0..=i64::try_from(trust.as_nanos()).unwrap_or(i64::MAX)).contains(&age)
}

/// True if the copy of a content can be referred to. A small one is read if it is not trusted any more; a large one has to
/// have been read before, by [`CopyVerifier::are_good`], and must not have been written to since.
///
/// To be called in the transaction that is to refer to it.
pub fn can_be_shared(
    connection: &Connection,
    blobs: &Blobs,
    object: ContentId,
    digest: &Digest,
    trust: Duration,
) -> Result<bool> {
    let stored = objects::bytes(connection, object)?;
    let verified = objects::verified_at(connection, object)?;
    if is_recent(verified, trust) {
        return Ok(match &stored {
            ContentBytes::Inline(_) => true,
            ContentBytes::Extents(extents) if blobs.are_unchanged(extents, verified) => true,
            ContentBytes::Extents(extents) if is_small(extents) => read_small(blobs, extents, digest),
            ContentBytes::Extents(_) => false,
        });
    }
    let good = match &stored {
        ContentBytes::Inline(data) => Digest::of(data) == *digest,
        ContentBytes::Extents(extents) if is_small(extents) => read_small(blobs, extents, digest),
        // It was good a moment ago, or is not trusted: then its bytes are asked for.
        ContentBytes::Extents(_) => return Ok(false),
    };
    if good {
        objects::set_verified(connection, digest)?;
    }
    Ok(good)
}

fn is_small(extents: &[Extent]) -> bool {
    extent::length(extents) <= MAX_INLINE
}

fn read_small(blobs: &Blobs, extents: &[Extent], digest: &Digest) -> bool {
    blobs.read_few(extents).is_ok_and(|data| Digest::of(&data) == *digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_content_waits_once_and_others_within_a_limit() {
        let reported = ReportedContents { waiting: Mutex::default(), turn: Semaphore::new(1) };
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        let first = reported.enter(digest(0)).unwrap();
        assert!(reported.enter(digest(0)).is_none(), "it waits already");
        let others: Vec<_> = (1..REPORTED).map(|number| reported.enter(digest(number)).unwrap()).collect();
        assert!(reported.enter(digest(REPORTED)).is_none(), "too many wait");
        drop(first);
        assert!(reported.enter(digest(0)).is_some());
        drop(others);
    }
}
