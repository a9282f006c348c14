//! Packs of which half or more is not needed any more: the rest moves into the catalog.

use rusqlite::{Connection, params};
use sealift_protocol::message::MAX_INLINE;
use sealift_types::Digest;
use tracing::{debug, warn};

use super::blobs::FileGuard;
use super::extent::Extent;
use super::objects::{self, BlobId, ContentId};
use super::{Blobs, Catalog};
use crate::error::Result;

/// What is left of a pack.
pub(super) struct PackRemainder {
    blob: BlobId,
    contents: Vec<(ContentId, Extent, Digest, Vec<u8>)>,
}

/// Moves what is left of packs into the catalog, where half or more is not needed any more. Returns how many packs went.
pub(super) async fn dissolve(catalog: &Catalog, blobs: &Blobs) -> Result<usize> {
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
    guard: &FileGuard,
) -> Result<Option<PackRemainder>> {
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
        Ok((ContentId(row.get(0)?), extent, Digest::from_bytes(row.get(4)?)))
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
    Ok(Some(PackRemainder { blob, contents }))
}

impl PackRemainder {
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
