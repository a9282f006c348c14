//! Packs: blobs of many small contents that came at the same moment.
//!
//! A small content is a row of the catalog. SQLite writes each row twice, into its log and into its file, and a row of
//! 4 KiB takes two pages each time. So small contents that wait for the same commit are written one after the other into
//! one blob instead, while the transaction is made up; before it commits, the blob is durable. Each content is an object
//! whose one extent lies in the pack.
//!
//! When half of a pack is not needed any more, what is left of it moves into the catalog and the pack goes.

use std::collections::HashSet;
use std::io::Write;

use rusqlite::{Connection, params};
use sealift_protocol::Digest;
use sealift_protocol::message::MAX_INLINE;
use tracing::{debug, warn};

use super::blobs::Guard;
use super::holds::Hold;
use super::objects::{self, BlobId, Extent, ObjectId, Small};
use super::{Blobs, Catalog};
use crate::error::{Error, Result};

/// What is smaller is no more work for the catalog than its place in a pack would be.
const SMALLEST: usize = 1024;

/// Bytes for which it is worth making a file and syncing it.
const LEAST: usize = 256 * 1024;

/// Bytes after which a pack takes no further content, so that what is left of one is never much.
const MOST: usize = 8 * 1024 * 1024;

/// Where a small content is going to be. The pack goes by its digest: its row in the catalog comes with the first content
/// that is recorded in it, and may go and come again as long as the transaction runs.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// The pack.
    pub pack: Digest,
    /// Its size.
    pub size: u64,
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// Small contents that are not here yet, one after the other.
#[derive(Debug)]
pub(super) struct Pack {
    bytes: Vec<u8>,
    digest: Digest,
    /// The numbers of the contents in it, and their places.
    places: Vec<(usize, Placement)>,
    /// Keeps the collector off the file until the commit.
    guard: Guard,
}

impl Pack {
    /// Packs those of the numbered `contents` that are worth it, if they are worth a file together.
    ///
    /// To be called in the transaction that is to refer to them.
    pub(super) fn make<'a>(
        connection: &Connection,
        blobs: &Blobs,
        contents: impl Iterator<Item = (usize, Small<'a>)> + Clone,
    ) -> Result<Option<Self>> {
        let contents = contents.filter(|(_, small)| small.data.len() >= SMALLEST);
        if contents.clone().map(|(_, small)| small.data.len()).sum::<usize>() < LEAST {
            return Ok(None);
        }
        // A file needs an inode, rows need none.
        if !blobs.reserve().has_inode() {
            return Ok(None);
        }
        let guard = blobs.guard();
        let (mut bytes, mut runs, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (number, Small { by, digest, data }) in contents {
            // What only others have is stored again, as by objects::keep_inline.
            let is_wanted = || {
                Ok::<_, Error>(objects::within_reach(connection, by, digest, data.len() as u64)?.is_none())
            };
            if bytes.len() < MOST && seen.insert(digest) && is_wanted()? {
                runs.push((number, bytes.len() as u64, data.len() as u64));
                bytes.extend_from_slice(data);
            }
        }
        if bytes.len() < LEAST {
            return Ok(None);
        }
        let digest = Digest::of(&bytes);
        let (pack, size) = (digest, bytes.len() as u64);
        let place = |(number, offset, length)| (number, Placement { pack, size, offset, length });
        let places = runs.into_iter().map(place).collect();
        Ok(Some(Self { bytes, digest, places, guard }))
    }

    /// The numbers of the contents in it, and their places.
    pub(super) fn places(&self) -> &[(usize, Placement)] {
        &self.places
    }

    /// Writes the file: durable when this returns. The hold must live until the commit.
    pub(super) fn write(&self, blobs: &Blobs) -> Result<Hold> {
        // Through the page cache: what is small is soon read again, by whoever lists what came or takes it elsewhere.
        let mut incoming = blobs.receive_cached()?;
        incoming.write_all(&self.bytes).map_err(Error::file(&blobs.upload(incoming.hold().file())))?;
        blobs.place(incoming, &self.digest, &self.guard)
    }

    /// The name of its file.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Has the file removed if none of its contents was stored. To be called when the changes that bring them were made.
    pub(super) fn settle(&self, connection: &Connection) -> Result<()> {
        objects::discard(connection, &self.digest)
    }
}

/// What is left of a pack.
pub(super) struct Rest {
    blob: BlobId,
    contents: Vec<(ObjectId, Extent, Digest, Vec<u8>)>,
}

/// Moves what is left of packs into the catalog, where half or more is not needed any more. Returns how many packs went.
pub async fn dissolve(catalog: &Catalog, blobs: &Blobs) -> Result<usize> {
    let thinned = catalog.read(thinned).await?;
    if thinned.is_empty() {
        return Ok(0);
    }
    let mut gone = 0;
    for &blob in &thinned {
        // Until the bytes are read: somebody else may take the last of them away.
        let (guard, here) = (blobs.guard(), blobs.clone());
        let Some(rest) = catalog.read(move |connection| rest(connection, &here, blob, &guard)).await? else {
            continue;
        };
        for few in rest.split() {
            catalog.write(move |connection| few.keep(connection)).await?;
        }
        gone += 1;
    }
    catalog
        .write(move |connection| {
            let mut statement = connection.prepare_cached("DELETE FROM thinned WHERE blob = ?1")?;
            thinned.iter().try_for_each(|blob| statement.execute([blob.0]).map(drop))?;
            Ok(())
        })
        .await?;
    debug!(packs = gone, "dissolved packs");
    Ok(gone)
}

/// Blobs that contents have left, up to a turn's worth.
pub(super) fn thinned(connection: &Connection) -> Result<Vec<BlobId>> {
    let mut statement = connection.prepare_cached("SELECT blob FROM thinned LIMIT 64")?;
    let rows = statement.query_map([], |row| row.get(0).map(BlobId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Reads what is left of a pack; `None` while more than half of it is needed.
pub(super) fn rest(
    connection: &Connection,
    blobs: &Blobs,
    blob: BlobId,
    guard: &Guard,
) -> Result<Option<Rest>> {
    let mut statement = connection.prepare_cached(
        "SELECT objects.id, blobs.digest, extents.offset, length, objects.digest, blobs.size
         FROM blobs JOIN extents ON extents.blob = blobs.id JOIN objects ON objects.id = extents.object
         WHERE blobs.id = ?1 AND position = 0 AND length = objects.size",
    )?;
    let mut size = 0;
    let rows = statement.query_map([blob.0], |row| {
        size = row.get::<_, i64>(5)?.cast_unsigned();
        let extent = Extent {
            blob: Digest::from_bytes(row.get(1)?),
            offset: row.get::<_, i64>(2)?.cast_unsigned(),
            length: row.get::<_, i64>(3)?.cast_unsigned(),
        };
        Ok((ObjectId(row.get(0)?), extent, Digest::from_bytes(row.get(4)?)))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let needed = rows.iter().fold(0u64, |sum, (_, extent, _)| sum.saturating_add(extent.length));
    if needed.saturating_mul(2) > size || rows.iter().any(|(_, extent, _)| extent.length > MAX_INLINE) {
        return Ok(None);
    }
    let (mut contents, mut packs) = (Vec::with_capacity(rows.len()), blobs.packs(guard));
    for (object, extent, digest) in rows {
        // Damage stays where it can be seen: the name of the pack's file tells.
        match packs.read(&[extent]) {
            Ok(data) if Digest::of(&data) == digest => contents.push((object, extent, digest, data)),
            _ => {
                warn!(%digest, pack = %extent.blob, "a stored content is damaged, and its pack stays");
                return Ok(None);
            }
        }
    }
    Ok(Some(Rest { blob, contents }))
}

impl Rest {
    /// In portions that do not keep the writer for long.
    fn split(self) -> Vec<Self> {
        const BYTES: usize = 512 * 1024;
        let mut portions = vec![Self { blob: self.blob, contents: Vec::new() }];
        let mut bytes = 0;
        for content in self.contents {
            if bytes > BYTES {
                portions.push(Self { blob: self.blob, contents: Vec::new() });
                bytes = 0;
            }
            bytes += content.3.len();
            if let Some(portion) = portions.last_mut() {
                portion.contents.push(content);
            }
        }
        portions
    }

    pub(super) fn keep(self, connection: &Connection) -> Result<()> {
        for (object, extent, digest, data) in self.contents {
            // It may have gone meanwhile, and its number may be another's.
            let moved = connection
                .prepare_cached(
                    "DELETE FROM extents WHERE object = ?1 AND position = 0 AND blob = ?2 AND offset = ?3
                     AND EXISTS (SELECT 1 FROM objects WHERE id = ?1 AND digest = ?4)",
                )?
                .execute(params![object.0, self.blob.0, extent.offset.cast_signed(), digest.as_bytes()])?;
            if moved > 0 {
                objects::insert_row(connection, object, &data)?;
            }
        }
        objects::review(connection, self.blob)
    }
}

#[cfg(test)]
mod tests;
