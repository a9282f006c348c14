//! What uploads that broke off have left, so that they can be continued.
//!
//! A part is a file in `incoming/` with a row that says whose upload it began: the identity, the path, and the size and
//! modification time of what was being sent. The row is queued while the upload runs, so a server that is killed finds
//! the part again at its next start. Only the one who began a part learns of it. Nothing vouches for its bytes but the
//! digest that the client sends along: after a power cut they may be anything.
//!
//! Rows and files are changed one after the other, and either may be missing after a crash: a row without a file is
//! never offered, and the collector removes both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};
use sealift_pipeline::ALIGNMENT;
use tracing::debug;

use super::blobs::StagedLeftover;
use super::collected::Collected;
use super::file_holds::FileHold;
pub use super::upload_key::{PartialUploadKey, UploadPath};
use super::{Blobs, Catalog};
use crate::background::blocking;
use crate::error::Result;

/// Bytes that must have come before an upload is worth a row. Below, sending again costs less than keeping.
pub const LEAST: u64 = 1024 * 1024;

/// Rows that the collector looks at in one transaction.
const SLICE: usize = 256;

/// A part that can be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeOffer {
    /// The number of its file.
    pub file: u64,
    /// From where on: a multiple of the alignment that direct writes need.
    pub offset: u64,
}

/// Records that a file in `incoming/` holds the beginning of an upload.
pub fn insert(connection: &Connection, file: u64, key: &PartialUploadKey) -> Result<()> {
    let PartialUploadKey { target, size, mtime } = key;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO parts (file, identity, space, path, size, mtime)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            file.cast_signed(),
            target.identity,
            target.space,
            target.path,
            size.cast_signed(),
            mtime
        ])?;
    Ok(())
}

/// The longest part of the upload that nobody is writing to, if there is one.
pub fn offer(connection: &Connection, blobs: &Blobs, key: &PartialUploadKey) -> Result<Option<ResumeOffer>> {
    let PartialUploadKey { target: UploadPath { identity, space, path }, size, mtime } = key;
    let mut statement = connection.prepare_cached(
        "SELECT file FROM parts WHERE identity = ?1 AND space = ?2 AND path = ?3 AND size = ?4 AND mtime = ?5",
    )?;
    let files = statement
        .query_map(params![identity, space, path, size.cast_signed(), mtime], |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut best = None;
    for file in files.into_iter().map(i64::cast_unsigned).filter(|file| !blobs.holds().is_held(*file)) {
        let usable = blobs.leftover(file)?.and_then(|left| usable(left, *size));
        best = best.max(usable.map(|offset| (offset, file)));
    }
    Ok(best.map(|(offset, file)| ResumeOffer { file, offset }))
}

/// Takes an offered part for an upload; `None` if somebody was faster.
pub fn take(blobs: &Blobs, offer: ResumeOffer, size: u64) -> Result<Option<FileHold>> {
    let Some(hold) = blobs.holds().hold(offer.file) else { return Ok(None) };
    let usable = blobs.leftover(offer.file)?.and_then(|left| usable(left, size));
    Ok((usable == Some(offer.offset)).then_some(hold))
}

/// How much of a file can be continued, if any.
fn usable(left: StagedLeftover, size: u64) -> Option<u64> {
    let offset = left.size - left.size % ALIGNMENT as u64;
    (offset > 0 && left.size <= size).then_some(offset)
}

/// Forgets a part, whose file is the caller's to remove.
pub fn remove(connection: &Connection, file: u64) -> Result<()> {
    connection.prepare_cached("DELETE FROM parts WHERE file = ?1")?.execute([file.cast_signed()])?;
    Ok(())
}

/// Forgets all parts of uploads to a place at which something has been stored, but those that somebody else is writing
/// to. `own` is the upload that was stored. The collector removes the files.
pub fn supersede(
    connection: &Connection,
    blobs: &Blobs,
    target: &UploadPath,
    own: Option<&FileHold>,
) -> Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT file FROM parts WHERE identity = ?1 AND space = ?2 AND path = ?3")?;
    let files = statement
        .query_map(params![target.identity, target.space, target.path], |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for file in files.into_iter().map(i64::cast_unsigned) {
        if own.is_some_and(|own| own.file() == file) || !blobs.holds().is_held(file) {
            remove(connection, file)?;
        }
    }
    Ok(())
}

/// The oldest parts of an identity that nobody is writing to, as many as are beyond these limits.
pub fn oldest_beyond(
    connection: &Connection,
    blobs: &Blobs,
    identity: i64,
    most: u64,
    bytes: u64,
) -> Result<Vec<u64>> {
    let mut statement =
        connection.prepare_cached("SELECT file FROM parts WHERE identity = ?1 ORDER BY file DESC")?;
    let files = statement.query_map([identity], |row| row.get::<_, i64>(0))?;
    let (mut kept, mut size, mut beyond) = (0, 0, Vec::new());
    for file in files {
        let file = file?.cast_unsigned();
        // Numbers rise, so the newest come first.
        if let Some(left) = blobs.leftover(file)?.filter(|_| !blobs.holds().is_held(file)) {
            (kept, size) = (kept + 1, size + left.size);
            if kept > most || size > bytes {
                beyond.push(file);
            }
        }
    }
    Ok(beyond)
}

/// Forgets all parts of an identity's uploads. The collector removes the files.
pub fn forget_identity(connection: &Connection, identity: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM parts WHERE identity = ?1")?.execute([identity])?;
    Ok(())
}

/// Removes what nobody will continue: files without a row, rows without a file, parts that nothing was added to for the
/// time `keep` before `now`, and all but the longest part of each upload.
pub async fn collect(catalog: &Catalog, blobs: &Blobs, now: SystemTime, keep: Duration) -> Result<Collected> {
    let here = blobs.clone();
    let files = blocking(move || here.leftovers()).await?;
    if !files.is_empty() {
        // An upload that has let go of its file may have queued the removal of its row. The look comes after that.
        catalog.write(|_| Ok(())).await?;
    }
    let rows = catalog.read(rows).await?;
    let mut collected = Collected::default();
    let mut doomed = doomed(files, &rows, now, keep).into_iter();
    loop {
        let slice: Vec<_> = doomed.by_ref().take(SLICE).collect();
        if slice.is_empty() {
            return Ok(collected);
        }
        let removed = remove_slice(catalog, blobs, &rows, slice).await?;
        collected.files += removed.files;
        collected.bytes += removed.bytes;
    }
}

/// Removes rows and files of what nobody is writing to.
async fn remove_slice(
    catalog: &Catalog,
    blobs: &Blobs,
    rows: &BTreeMap<u64, PartialUploadKey>,
    doomed: Vec<(u64, Option<StagedLeftover>)>,
) -> Result<Collected> {
    let (mut holds, mut files) = (HashMap::new(), Vec::new());
    for (file, seen) in doomed {
        // Somebody may be at it again, or may have been.
        if let Some(hold) = blobs.holds().hold_quietly(file)
            && blobs.leftover(file)? == seen
        {
            holds.insert(file, (hold, seen.map_or(0, |left| left.size)));
            files.push((file, rows.contains_key(&file)));
        }
    }
    if files.is_empty() {
        return Ok(Collected::default());
    }
    // In the writer's turn, since an upload queues its row before it lets go of its file: one that nobody is writing to
    // and that has no row by then is nobody's for ever.
    let removed = catalog.write(move |connection| remove_known(connection, &files)).await?;
    let gone: Vec<_> = removed.iter().filter_map(|file| holds.remove(file)).collect();
    let here = blobs.clone();
    blocking(move || {
        gone.iter().try_for_each(|(hold, _)| here.remove_upload(hold))?;
        debug!(files = gone.len(), "removed what uploads had left");
        Ok(Collected { files: gone.len() as u64, bytes: gone.iter().map(|(_, bytes)| bytes).sum() })
    })
    .await
}

/// Forgets parts, each given with whether it had a row. Leaves those that have got one since, and returns the others.
fn remove_known(connection: &Connection, files: &[(u64, bool)]) -> Result<Vec<u64>> {
    let mut row = connection.prepare_cached("SELECT 1 FROM parts WHERE file = ?1")?;
    let mut removed = Vec::new();
    for (file, had_row) in files {
        if *had_row {
            remove(connection, *file)?;
        } else if row.exists([file.cast_signed()])? {
            continue;
        }
        removed.push(*file);
    }
    Ok(removed)
}

fn rows(connection: &Connection) -> Result<BTreeMap<u64, PartialUploadKey>> {
    let mut statement =
        connection.prepare_cached("SELECT file, identity, space, path, size, mtime FROM parts")?;
    let rows = statement.query_map([], |row| {
        let target = UploadPath { identity: row.get(1)?, space: row.get(2)?, path: row.get(3)? };
        let key =
            PartialUploadKey { target, size: row.get::<_, i64>(4)?.cast_unsigned(), mtime: row.get(5)? };
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), key))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The numbers of what is to go, each with its file as it was seen.
fn doomed(
    files: Vec<StagedLeftover>,
    rows: &BTreeMap<u64, PartialUploadKey>,
    now: SystemTime,
    keep: Duration,
) -> Vec<(u64, Option<StagedLeftover>)> {
    let seen: BTreeSet<_> = files.iter().map(|left| left.file).collect();
    let mut doomed: Vec<_> =
        rows.keys().filter(|file| !seen.contains(file)).map(|file| (*file, None)).collect();
    let mut longest: BTreeMap<&PartialUploadKey, StagedLeftover> = BTreeMap::new();
    for left in files {
        let Some(key) = rows.get(&left.file) else {
            doomed.push((left.file, Some(left)));
            continue;
        };
        // A time in the future, because the clock went back, is no age.
        if now.duration_since(left.modified).is_ok_and(|age| age >= keep) {
            doomed.push((left.file, Some(left)));
            continue;
        }
        let shorter = match longest.get(key) {
            Some(other) if other.size >= left.size => Some(left),
            _ => longest.insert(key, left),
        };
        doomed.extend(shorter.map(|left| (left.file, Some(left))));
    }
    doomed
}

#[cfg(test)]
mod tests;
