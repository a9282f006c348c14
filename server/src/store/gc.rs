//! Garbage collection: removes the files of blobs that nothing refers to.
//!
//! The transaction that drops the last reference marks the blob as garbage. The collector takes marked files away
//! while nobody holds a [`Guard`](super::blobs::Guard): no download is between its look into the catalog and the
//! opening of the file, and no upload between the placing of a file and its commit. A download that has the file open
//! reads on. Files that no row knows are what a crash left between placing and commit; they are looked for after each
//! start, and when an administrator asks. What uploads left in `incoming/` is collected beside it, see [`parts`], and packs of which little
//! is needed are dissolved, see [`packs`].
//!
//! Another process that copies the files keeps the collector away by a lock, see
//! [`keep_files`](super::blobs::keep_files). One that wants a collection asks for it in the catalog, since only the server
//! knows what its transfers are about.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use sealift_protocol::Digest;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::{debug, error, info};

use super::{Blobs, Catalog, facts, packs, parts};
use crate::config::Live;
use crate::error::{Error, Result};

/// Files that are taken away in one turn, while others wait for a guard.
const TURN: usize = 64;

/// How often it is looked for parts of uploads that have become too old, at least.
const LOOK: Duration = Duration::from_secs(600);

/// How soon it is tried again while another process keeps the files.
const AGAIN: Duration = Duration::from_secs(1);

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What a server has to say about the collection that it was last asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    asked: String,
    outcome: Outcome,
}

/// How a collection ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// Well.
    Done(Collected),
    /// Another process keeps the files.
    Kept,
    /// Badly.
    Failed(String),
}

impl Collected {
    fn and(self, other: Self) -> Self {
        Self { files: self.files + other.files, bytes: self.bytes + other.bytes }
    }
}

/// Collects garbage until it is dropped: first what a crash may have left, then whatever `wake` announces, and parts of
/// uploads that nobody has continued for as long as the settings say.
pub async fn run(catalog: Catalog, blobs: Blobs, wake: Arc<Notify>, settings: Live) {
    let mut orphans = true;
    loop {
        let keep = settings.now().uploads.keep();
        let asked = catalog.read(asked).await.ok().flatten();
        let outcome = everything(&catalog, &blobs, keep, orphans || asked.is_some()).await;
        orphans &= matches!(outcome, Outcome::Kept);
        let look = match &outcome {
            Outcome::Kept => AGAIN,
            _ if keep.is_zero() => LOOK,
            _ => keep.clamp(Duration::from_millis(100), LOOK),
        };
        if let Some(asked) = asked
            && let Err(error) = catalog.write(move |connection| answer(connection, asked, outcome)).await
        {
            error!(%error, "whoever asked for a collection could not be answered");
        }
        // Whether something woke it or time has passed, there is one thing to do.
        let _ = tokio::time::timeout(look, wake.notified()).await;
    }
}

/// Removes all that nobody needs; on demand, files that no row knows as well.
pub async fn everything(catalog: &Catalog, blobs: &Blobs, keep: Duration, orphans: bool) -> Outcome {
    let files = async {
        if orphans && !adopt_orphans(catalog, blobs).await? {
            return Ok(None);
        }
        packs::dissolve(catalog, blobs).await?;
        collect(catalog, blobs).await
    };
    let files = files.await;
    // Neither waits for the other to go well.
    let parts = parts::collect(catalog, blobs, SystemTime::now(), keep).await;
    match (files, parts) {
        (Ok(Some(files)), Ok(parts)) => Outcome::Done(files.and(parts)),
        (Ok(None), Ok(_)) => Outcome::Kept,
        (Err(error), _) | (_, Err(error)) => {
            error!(%error, "garbage could not be collected");
            Outcome::Failed(error.to_string())
        }
    }
}

/// Removes all that is marked, and files whose commits failed. `None` while another process keeps the files.
pub async fn collect(catalog: &Catalog, blobs: &Blobs) -> Result<Option<Collected>> {
    let mut collected = Collected::default();
    // Looked at beforehand, so that nobody waits for nothing.
    while !blobs.abandoned(1).is_empty() || !catalog.read(marked).await?.is_empty() {
        let Some(sweep) = blobs.sweep().await? else { return Ok(None) };
        let abandoned = blobs.abandoned(TURN);
        let looked_at = abandoned.clone();
        let (marked, unneeded) = catalog
            .read(move |connection| Ok((marked(connection)?, unknown(connection, abandoned)?)))
            .await?;
        let mut aside = Vec::new();
        for digest in marked.iter().chain(&unneeded) {
            aside.extend(blobs.take_away(digest, &sweep)?);
        }
        blobs.forget_abandoned(&looked_at);
        let cleared = if marked.is_empty() {
            Ok(())
        } else {
            catalog.write(move |connection| clear(connection, &marked)).await
        };
        drop(sweep);
        debug!(files = aside.len(), "collected garbage");
        let deleting = tokio::task::spawn_blocking(move || {
            aside.iter().try_fold(Collected::default(), |gone, path| {
                let bytes = fs::metadata(path).map_err(Error::file(path))?.len();
                fs::remove_file(path).map_err(Error::file(path))?;
                Ok::<_, Error>(gone.and(Collected { files: 1, bytes }))
            })
        });
        collected = collected.and(deleting.await.map_err(|_| Error::Stopped)??);
        // Not before: a full disk needs the room.
        cleared?;
    }
    Ok(Some(collected))
}

/// Takes the marks off files that have gone.
fn clear(connection: &Connection, marked: &[Digest]) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM garbage WHERE digest = ?1")?;
    marked.iter().try_for_each(|digest| statement.execute([digest.as_bytes()]).map(drop))?;
    Ok(())
}

/// Asks the server that uses this catalog to collect now, orphans included.
pub fn ask(connection: &Connection, name: &str) -> Result<()> {
    facts::set(connection, facts::GC_ASKED, name)
}

/// Whether a server is asked to collect, and has not answered.
pub fn is_asked_for(connection: &Connection) -> bool {
    asked(connection).is_ok_and(|asked| asked.is_some())
}

/// How the collection ended that was last asked for; `None` if there was no answer yet.
pub fn outcome(connection: &Connection) -> Result<Option<Outcome>> {
    if asked(connection)?.is_some() {
        return Ok(None);
    }
    Ok(last_answer(connection)?.map(|answer| answer.outcome))
}

/// The question that was not answered yet.
fn asked(connection: &Connection) -> Result<Option<String>> {
    let Some(asked) = facts::read(connection, facts::GC_ASKED)? else { return Ok(None) };
    let answered = last_answer(connection)?.is_some_and(|answer| answer.asked == asked);
    Ok((!answered).then_some(asked))
}

fn last_answer(connection: &Connection) -> Result<Option<Answer>> {
    Ok(facts::read(connection, facts::GC_ANSWER)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn answer(connection: &Connection, asked: String, outcome: Outcome) -> Result<()> {
    let answer = serde_json::to_string(&Answer { asked, outcome }).unwrap_or_default();
    facts::set(connection, facts::GC_ANSWER, &answer)
}

/// Marks files that no row knows. Returns `false` if another process keeps the files.
async fn adopt_orphans(catalog: &Catalog, blobs: &Blobs) -> Result<bool> {
    for number in 0..=u8::MAX {
        let here = blobs.clone();
        // During a sweep no upload is between placing and commit, so a file without a row is nobody's.
        let Some(sweep) = blobs.sweep().await? else { return Ok(false) };
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
    Ok(true)
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
