//! Contents and what holds their bytes.

use rusqlite::{Connection, OptionalExtension, params};
use sealift_protocol::message::Nanoseconds;
use sealift_types::Digest;
use tracing::warn;

use super::Blobs;
use super::extent::{Extent, PackPlacement, SmallContent};
use crate::clock;
use crate::error::Result;

/// A content's row in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentId(pub(crate) i64);

/// A blob's row in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobId(pub(super) i64);

/// Where a content's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentBytes {
    /// In the catalog.
    Inline(Vec<u8>),
    /// In blobs, in this order.
    Extents(Vec<Extent>),
}

/// The spaces that identity `?1` may read: its own, and those where it or everyone was granted the right to.
const READABLE: &str = "WITH readable (space) AS (
    SELECT id FROM spaces WHERE owner = ?1
    UNION SELECT space FROM grants WHERE identity IN (0, ?1) AND rights & 1)";

/// Keeps a small content in the catalog, unless a good copy of it is there that the identity can read. Any other copy is
/// replaced.
///
/// A copy of others would do, but whoever uploads it must not see from the time that this takes that it is there: the work
/// is the same as for a content that is new.
pub fn keep_inline(connection: &Connection, blobs: &Blobs, small: SmallContent<'_>) -> Result<ContentId> {
    let SmallContent { by, digest, data } = small;
    let size = data.len() as u64;
    let found = look_up(connection, by, digest, size)?;
    if let Some(object) = found.within_reach {
        if is_copy_of(connection, blobs, object, data)? {
            confirm(connection, digest)?;
            return Ok(object);
        }
        warn!(%digest, "the stored copy of a content was damaged: it is replaced by what has just come");
    }
    let object = match found.object {
        Some(object) => {
            rewrite(connection, object)?;
            object
        }
        None => insert_object(connection, digest, size)?,
    };
    drop_extents(connection, object)?;
    replace_row(connection, object, data)?;
    Ok(object)
}

/// Records a content that lies in a pack.
pub fn keep_packed(connection: &Connection, digest: &Digest, place: &PackPlacement) -> Result<ContentId> {
    let object = renewed(connection, digest, place.length)?;
    insert_extent(connection, object, (&place.pack, place.size), place.offset, place.length)?;
    Ok(object)
}

/// Records a content whose bytes are the whole of a blob, which must be durable in its place.
pub fn keep_blob(connection: &Connection, digest: &Digest, size: u64) -> Result<ContentId> {
    if let Some(object) = find(connection, digest)?
        && matches!(bytes(connection, object)?, ContentBytes::Extents(extents) if is_whole_file(&extents, digest))
    {
        // What was put in place has taken the place of the file that the content has had all along. The rows are written
        // again, since a content that is new has to be written, too.
        rewrite(connection, object)?;
        connection
            .prepare_cached("UPDATE blobs SET digest = digest WHERE digest = ?1")?
            .execute([digest.as_bytes()])?;
        connection.prepare_cached("UPDATE extents SET blob = blob WHERE object = ?1")?.execute([object.0])?;
        return Ok(object);
    }
    let object = renewed(connection, digest, size)?;
    insert_extent(connection, object, (digest, size), 0, size)?;
    Ok(object)
}

/// Whether a content is all of the file that has its name.
fn is_whole_file(extents: &[Extent], digest: &Digest) -> bool {
    matches!(extents, [Extent { blob, offset: 0, .. }] if blob == digest)
}

/// The row of a content whose bytes have just come and are about to be recorded; a copy from before is given up.
fn renewed(connection: &Connection, digest: &Digest, size: u64) -> Result<ContentId> {
    // Most contents are new, and no statement is spent on asking.
    if let Some(object) = insert_new(connection, digest, size)? {
        return Ok(object);
    }
    let object = existing(connection, digest)?;
    drop_bytes(connection, object)?;
    rewrite(connection, object)?;
    Ok(object)
}

/// True if what is stored of a content is `data`.
fn is_copy_of(connection: &Connection, blobs: &Blobs, object: ContentId, data: &[u8]) -> Result<bool> {
    Ok(match bytes(connection, object)? {
        ContentBytes::Inline(stored) => stored == data,
        ContentBytes::Extents(extents) => blobs.holds_copy(&extents, data),
    })
}

/// Gives up a file that an upload has just put in place. It is removed, unless the catalog refers to it; then the content that
/// has it is known to be good.
pub fn give_up(connection: &Connection, digest: &Digest) -> Result<()> {
    if let Some(object) = find(connection, digest)?
        && matches!(bytes(connection, object)?, ContentBytes::Extents(extents) if is_whole_file(&extents, digest))
    {
        return set_verified(connection, digest);
    }
    discard(connection, digest)
}

/// Marks the file of a blob for removal, unless the catalog refers to it.
pub fn discard(connection: &Connection, digest: &Digest) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO garbage (digest)
               SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)";
    connection.prepare_cached(sql)?.execute([digest.as_bytes()])?;
    Ok(())
}

/// A content that somebody asks about.
#[derive(Debug, Clone, Copy, Default)]
struct ContentLookup {
    /// The content, whoever may know of it.
    object: Option<ContentId>,
    /// The same if whoever asks can read it under some name anyway, and it is not known to be damaged.
    within_reach: Option<ContentId>,
}

/// The content, if the identity can read it under some name anyway: only then may it learn that it is here.
pub fn within_reach(
    connection: &Connection,
    identity: i64,
    digest: &Digest,
    size: u64,
) -> Result<Option<ContentId>> {
    Ok(look_up(connection, identity, digest, size)?.within_reach)
}

/// Looks for a content.
fn look_up(connection: &Connection, identity: i64, digest: &Digest, size: u64) -> Result<ContentLookup> {
    let found = connection.prepare_cached(LOOK_UP)?.query_row(params![digest.as_bytes(), identity], |row| {
        if row.get::<_, [u8; 32]>(0)? != *digest.as_bytes() {
            return Ok(ContentLookup::default());
        }
        let object = ContentId(row.get(1)?);
        let is_good = row.get::<_, Option<i64>>(2)? == Some(size.cast_signed());
        let named_in = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<bool>>(column)? == Some(true));
        // Asked without a short cut, as the catalog is.
        let is_readable = named_in(3)? | named_in(4)? | named_in(5)?;
        Ok(ContentLookup { object: Some(object), within_reach: (is_good && is_readable).then_some(object) })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// The content with the first digest that is not smaller: its digest, its row, its size unless it is suspect, and whether it has
/// a name in a space of the identity's, in one that was granted to it, and in one that everyone may read.
///
/// The work is the same whether a content is unknown or belongs to others, however many names it has there: the catalog
/// is asked for the first digest that is not smaller, which there is in either case but behind the last one, and then for each of
/// the identity's spaces by itself. No space is left out once there is a name in another.
const LOOK_UP: &str = "
    SELECT digest, nearest.id, iif(suspect, NULL, nearest.size),
        (SELECT max(EXISTS (SELECT 1 FROM entries WHERE object = nearest.id AND entries.space = spaces.id))
         FROM spaces WHERE owner = ?2),
        (SELECT max(EXISTS (SELECT 1 FROM entries WHERE object = nearest.id AND entries.space = grants.space))
         FROM grants WHERE identity = ?2 AND rights & 1),
        (SELECT max(EXISTS (SELECT 1 FROM entries WHERE object = nearest.id AND entries.space = grants.space))
         FROM grants WHERE identity = 0 AND rights & 1)
    FROM objects AS nearest WHERE digest >= ?1 ORDER BY digest LIMIT 1";

/// Whether a content of this size is within the identity's reach, so that hashing first can save the transfer.
pub fn size_within_reach(connection: &Connection, identity: i64, size: u64) -> Result<bool> {
    Ok(connection.prepare_cached(&size_reachable())?.exists(params![identity, size.cast_signed()])?)
}

fn size_reachable() -> String {
    format!(
        "{READABLE} SELECT 1 FROM readable WHERE EXISTS (
             SELECT 1 FROM entries JOIN objects ON objects.id = entries.object
             WHERE entries.space = readable.space AND entries.size = ?2 AND NOT suspect)"
    )
}

/// Takes a content that did not verify out of reach, so that the next upload of it puts its bytes in place again.
pub fn quarantine(connection: &Connection, digest: &Digest) -> Result<()> {
    connection
        .prepare_cached("UPDATE objects SET suspect = 1 WHERE digest = ?1")?
        .execute([digest.as_bytes()])?;
    Ok(())
}

/// Where the bytes of a content are.
pub fn bytes(connection: &Connection, object: ContentId) -> Result<ContentBytes> {
    let mut statement = connection.prepare_cached(
        "SELECT data, blobs.digest, offset, length FROM objects
         LEFT JOIN contents ON contents.object = objects.id
         LEFT JOIN extents ON extents.object = objects.id
         LEFT JOIN blobs ON blobs.id = extents.blob
         WHERE objects.id = ?1 ORDER BY position",
    )?;
    let mut rows = statement.query([object.0])?;
    let mut extents = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(data) = row.get(0)? {
            return Ok(ContentBytes::Inline(data));
        }
        if let Some(blob) = row.get(1)? {
            extents.push(Extent {
                blob: Digest::from_bytes(blob),
                offset: row.get::<_, i64>(2)?.cast_unsigned(),
                length: row.get::<_, i64>(3)?.cast_unsigned(),
            });
        }
    }
    Ok(ContentBytes::Extents(extents))
}

/// Notes that a content has lost a name. Whether it has another is for the collector to find out: whoever took the name away
/// must not see from the time that this takes whether others have the content.
///
/// To be called in the transaction that took the name away.
pub fn release(connection: &Connection, object: ContentId) -> Result<()> {
    connection.prepare_cached("INSERT OR IGNORE INTO released (object) VALUES (?1)")?.execute([object.0])?;
    Ok(())
}

/// Whether contents have lost names that nobody has looked at since.
pub fn are_released(connection: &Connection) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM released LIMIT 1")?.exists([])?)
}

/// Drops those of the contents that have lost names which have none any more, up to a turn's worth.
pub fn drop_released(connection: &Connection) -> Result<()> {
    /// So few that the catalog's log has room for them where the disk is full.
    const TURN: i64 = 32;
    let mut statement = connection.prepare_cached("SELECT object FROM released LIMIT ?1")?;
    let released = statement.query_map([TURN], |row| row.get(0).map(ContentId))?;
    for object in released.collect::<rusqlite::Result<Vec<_>>>()? {
        drop_unnamed(connection, object)?;
        connection.prepare_cached("DELETE FROM released WHERE object = ?1")?.execute([object.0])?;
    }
    Ok(())
}

/// Drops a content if no entry names it, and marks the blobs that nothing refers to then for removal.
pub fn drop_unnamed(connection: &Connection, object: ContentId) -> Result<()> {
    if connection.prepare_cached("SELECT 1 FROM entries WHERE object = ?1 LIMIT 1")?.exists([object.0])? {
        return Ok(());
    }
    drop_bytes(connection, object)?;
    connection.prepare_cached("DELETE FROM objects WHERE id = ?1")?.execute([object.0])?;
    Ok(())
}

/// Drops what holds a content's bytes.
fn drop_bytes(connection: &Connection, object: ContentId) -> Result<()> {
    drop_extents(connection, object)?;
    connection.prepare_cached("DELETE FROM contents WHERE object = ?1")?.execute([object.0])?;
    Ok(())
}

/// Drops a content's bytes as far as they are in files.
fn drop_extents(connection: &Connection, object: ContentId) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM extents WHERE object = ?1 RETURNING blob")?;
    let blobs = statement.query_map([object.0], |row| row.get(0).map(BlobId))?;
    let mut blobs = blobs.collect::<rusqlite::Result<Vec<_>>>()?;
    blobs.dedup();
    blobs.into_iter().try_for_each(|blob| review(connection, blob))
}

/// Looks at a blob that contents have left, or have not come to: marks its file for removal if there is no other in it,
/// or leaves it for the collector to look at.
pub(super) fn review(connection: &Connection, blob: BlobId) -> Result<()> {
    if connection.prepare_cached("SELECT 1 FROM extents WHERE blob = ?1 LIMIT 1")?.exists([blob.0])? {
        connection.prepare_cached("INSERT OR IGNORE INTO thinned (blob) VALUES (?1)")?.execute([blob.0])?;
        return Ok(());
    }
    for sql in [
        "INSERT OR IGNORE INTO garbage (digest) SELECT digest FROM blobs WHERE id = ?1",
        "DELETE FROM thinned WHERE blob = ?1",
        "DELETE FROM blobs WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([blob.0])?;
    }
    Ok(())
}

/// The content, whoever may know of it.
pub(crate) fn find(connection: &Connection, digest: &Digest) -> Result<Option<ContentId>> {
    Ok(connection
        .prepare_cached("SELECT id FROM objects WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| row.get(0).map(ContentId))
        .optional()?)
}

/// The row of a content that is known to be in the catalog.
fn existing(connection: &Connection, digest: &Digest) -> Result<ContentId> {
    Ok(find(connection, digest)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

/// Notes that a content was looked at and is good, which lifts a suspicion. What is written to its file later makes it one that
/// has to be looked at again, so the note is never left out.
pub fn set_verified(connection: &Connection, digest: &Digest) -> Result<()> {
    verified_before(connection, digest, i64::MAX)
}

/// The same with as much written as for a new row, also in its indexes, so that the time tells nothing.
fn rewrite(connection: &Connection, object: ContentId) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE objects SET digest = digest, size = size, suspect = 0, verified_at = ?2 WHERE id = ?1",
        )?
        .execute(params![object.0, clock::now()])?;
    Ok(())
}

/// The same for a content of which somebody has just brought another copy, which many may do: not more often than is of use.
fn confirm(connection: &Connection, digest: &Digest) -> Result<()> {
    const GRAIN: i64 = 60_000_000_000;
    verified_before(connection, digest, clock::now() - GRAIN)
}

/// Notes that a content is good now, unless it was found so at `time` or later.
fn verified_before(connection: &Connection, digest: &Digest, time: Nanoseconds) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE objects SET suspect = 0, verified_at = ?2 WHERE digest = ?1 AND (suspect OR verified_at < ?3)",
        )?
        .execute(params![digest.as_bytes(), clock::now(), time])?;
    Ok(())
}

/// When a content was last looked at and found good.
pub fn verified_at(connection: &Connection, object: ContentId) -> Result<Nanoseconds> {
    let sql = "SELECT verified_at FROM objects WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([object.0], |row| row.get(0))?)
}

/// Puts a content's bytes into the catalog.
pub(super) fn insert_row(connection: &Connection, object: ContentId, data: &[u8]) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO contents (object, data) VALUES (?1, ?2)")?
        .execute(params![object.0, data])?;
    Ok(())
}

/// Puts a content's bytes into the catalog, in the place of others that may be there.
///
/// The same bytes would not be written again, and those that are deleted first leave free pages behind that have to be
/// written. So the row is emptied in between.
fn replace_row(connection: &Connection, object: ContentId, data: &[u8]) -> Result<()> {
    let emptied = connection
        .prepare_cached("UPDATE contents SET data = zeroblob(?2) WHERE object = ?1")?
        .execute(params![object.0, i64::try_from(data.len()).unwrap_or(i64::MAX)])?;
    if emptied == 0 {
        return insert_row(connection, object, data);
    }
    connection
        .prepare_cached("UPDATE contents SET data = ?2 WHERE object = ?1")?
        .execute(params![object.0, data])?;
    Ok(())
}

/// Makes a content's bytes one run of a file below `blobs/`, given by its digest and size, that is durable before the
/// transaction commits.
///
/// The file's row is found by the digest each time, and its id never kept: the row goes with the last content that leaves
/// the file, and a later row of the file has another id.
fn insert_extent(
    connection: &Connection,
    object: ContentId,
    (file, size): (&Digest, u64),
    offset: u64,
    length: u64,
) -> Result<()> {
    // Ignored where the file has no row. Unlike INSERT ... SELECT, this needs no journal for each statement.
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO extents (object, position, blob, offset, length)
         VALUES (?1, 0, (SELECT id FROM blobs WHERE digest = ?2), ?3, ?4)",
    )?;
    let extent = params![object.0, file.as_bytes(), offset.cast_signed(), length.cast_signed()];
    // Others may lie in it already: it may be a pack, or what somebody stored as one content may be somebody else's pack.
    if insert.execute(extent)? == 0 {
        connection.prepare_cached("DELETE FROM garbage WHERE digest = ?1")?.execute([file.as_bytes()])?;
        connection
            .prepare_cached("INSERT INTO blobs (digest, size) VALUES (?1, ?2)")?
            .execute(params![file.as_bytes(), size.cast_signed()])?;
        if insert.execute(extent)? == 0 {
            return Err(rusqlite::Error::StatementChangedRows(0).into());
        }
    }
    Ok(())
}

/// Makes a row for a content that has none.
fn insert_object(connection: &Connection, digest: &Digest, size: u64) -> Result<ContentId> {
    connection
        .prepare_cached("INSERT INTO objects (digest, size, verified_at) VALUES (?1, ?2, ?3)")?
        .execute(params![digest.as_bytes(), size.cast_signed(), clock::now()])?;
    Ok(ContentId(connection.last_insert_rowid()))
}

/// Makes a row for a content, unless there is one.
fn insert_new(connection: &Connection, digest: &Digest, size: u64) -> Result<Option<ContentId>> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO objects (digest, size, verified_at) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO NOTHING",
        )?
        .execute(params![digest.as_bytes(), size.cast_signed(), clock::now()])?;
    Ok((inserted > 0).then(|| ContentId(connection.last_insert_rowid())))
}

#[cfg(test)]
mod tests;
