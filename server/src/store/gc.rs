//! Garbage collection: removes the files of blobs that nothing refers to.
//!
//! The transaction that drops the last reference marks the blob as garbage. The collector takes marked files away
//! while nobody holds a [`Guard`](super::blobs::Guard): no download is between its look into the catalog and the
//! opening of the file, and no upload between the placing of a file and its commit. A download that has the file open
//! reads on. Files that no row knows are what a crash left between placing and commit; they are looked for once, after
//! each start. What uploads left in `incoming/` is collected beside it, see [`parts`], and packs of which little
//! is needed are dissolved, see [`packs`].

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use sealift_protocol::Digest;
use tokio::sync::Notify;
use tracing::{debug, error, info};

use super::{Blobs, Catalog, packs, parts};
use crate::error::{Error, Result};

/// Files that are taken away in one turn, while others wait for a guard.
const TURN: usize = 64;

/// How often it is looked for parts of uploads that have become too old, at least.
const LOOK: Duration = Duration::from_secs(600);

/// Collects garbage until it is dropped: first what a crash may have left, then whatever `wake` announces, and parts of
/// uploads that nobody has continued for the time `keep`.
pub async fn run(catalog: Catalog, blobs: Blobs, wake: Arc<Notify>, keep: Duration) {
    let look = if keep.is_zero() { LOOK } else { keep.clamp(Duration::from_millis(100), LOOK) };
    if let Err(error) = adopt_orphans(&catalog, &blobs).await {
        error!(%error, "files that no row knows could not be looked for");
    }
    loop {
        let collected = async {
            packs::dissolve(&catalog, &blobs).await?;
            collect(&catalog, &blobs).await
        };
        if let Err(error) = collected.await {
            error!(%error, "garbage could not be collected");
        }
        if let Err(error) = parts::collect(&catalog, &blobs, SystemTime::now(), keep).await {
            error!(%error, "what uploads left could not be collected");
        }
        // Whether something woke it or time has passed, there is one thing to do.
        let _ = tokio::time::timeout(look, wake.notified()).await;
    }
}

/// Removes all that is marked. Returns how many files went.
pub async fn collect(catalog: &Catalog, blobs: &Blobs) -> Result<usize> {
    let mut removed = 0;
    // Looked at beforehand, so that nobody waits for nothing.
    while !catalog.read(marked).await?.is_empty() {
        let sweep = blobs.sweep().await;
        let marked = catalog.read(marked).await?;
        let mut aside = Vec::new();
        for digest in &marked {
            aside.extend(blobs.take_away(digest, &sweep)?);
        }
        catalog
            .write(move |connection| {
                let mut statement = connection.prepare_cached("DELETE FROM garbage WHERE digest = ?1")?;
                marked.iter().try_for_each(|digest| statement.execute([digest.as_bytes()]).map(drop))?;
                Ok(())
            })
            .await?;
        drop(sweep);
        removed += aside.len();
        debug!(files = aside.len(), "collected garbage");
        let deleting = tokio::task::spawn_blocking(move || {
            aside.iter().try_for_each(|path| fs::remove_file(path).map_err(Error::file(path)))
        });
        deleting.await.map_err(|_| Error::Stopped)??;
    }
    Ok(removed)
}

/// Marks files that no row knows.
async fn adopt_orphans(catalog: &Catalog, blobs: &Blobs) -> Result<()> {
    for number in 0..=u8::MAX {
        let here = blobs.clone();
        // During a sweep no upload is between placing and commit, so a file without a row is nobody's.
        let sweep = blobs.sweep().await;
        let files = tokio::task::spawn_blocking(move || here.in_directory(number)).await;
        let files = files.map_err(|_| Error::Stopped)??;
        let orphans = catalog.read(move |connection| unknown(connection, files)).await?;
        if orphans.is_empty() {
            continue;
        }
        info!(files = orphans.len(), "found files that an interrupted run left");
        catalog
            .write(move |connection| {
                let mut statement =
                    connection.prepare_cached("INSERT OR IGNORE INTO garbage (digest) VALUES (?1)")?;
                orphans.iter().try_for_each(|digest| statement.execute([digest.as_bytes()]).map(drop))?;
                Ok(())
            })
            .await?;
        drop(sweep);
    }
    Ok(())
}

/// Garbage that has not come back to life, up to a turn's worth.
fn marked(connection: &Connection) -> Result<Vec<Digest>> {
    let mut statement = connection.prepare_cached("SELECT digest FROM garbage LIMIT ?1")?;
    let rows = statement
        .query_map([i64::try_from(TURN).unwrap_or(i64::MAX)], |row| row.get(0).map(Digest::from_bytes))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn unknown(connection: &Connection, files: Vec<Digest>) -> Result<Vec<Digest>> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?;
    let mut unknown = Vec::new();
    for digest in files {
        if !statement.exists([digest.as_bytes()])? {
            unknown.push(digest);
        }
    }
    Ok(unknown)
}
