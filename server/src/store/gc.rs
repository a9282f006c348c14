//! Garbage collection: removes the files of blobs that nothing refers to.
//!
//! A transaction that takes a name away notes which content has lost one. The collector drops those contents that have no
//! other name, and with the last reference to a blob marks that as garbage. It takes marked files away
//! when everybody is gone who was about to open a file by then, and leaves alone what somebody is placing, see
//! `gate.rs`. A download that has the file open reads on. The collector waits for others, others not for it. Files that no row knows are what a crash left between placing and commit; they are looked for after each
//! start, and when an administrator asks. What uploads left in `incoming/` is collected beside it, see [`partial_uploads`], and packs of which little
//! is needed are dissolved, see `dissolve.rs`.
//!
//! Another process that copies the files keeps the collector away by a lock, see
//! [`keep_files`](super::blobs::keep_files). One that wants a collection asks for it in the catalog, since only the server
//! knows what its transfers are about.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use sealift_types::Digest;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, error, info};

pub use super::collected::Collected;
use super::{Blobs, Catalog, dissolve, facts, objects, partial_uploads, schema, transfers};
use crate::background::blocking;
use crate::clock;
use crate::config::{LiveConfig, TransferLogSettings};
use crate::error::{Result, ServerError};

/// Files that are taken away in one turn.
const TURN: usize = 64;

/// How often it is looked for parts of uploads that have become too old, at least.
const LOOK: Duration = Duration::from_secs(600);

/// The time between two collections at least. Each commit of uploads calls for one, and a collection that finds nothing costs as
/// much as some uploads do.
const PAUSE: Duration = Duration::from_millis(100);

/// How soon it is tried again while another process keeps the files.
const AGAIN: Duration = Duration::from_secs(1);

/// What a server has to say about the collection that it was last asked for.
#[derive(Debug, Serialize, Deserialize)]
struct CollectionReply {
    asked: String,
    outcome: CollectionOutcome,
}

/// How a collection ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum CollectionOutcome {
    /// Well.
    Done(Collected),
    /// Another process keeps the files.
    Kept,
    /// Badly.
    Failed(String),
}

/// Collects garbage until it is dropped: first what a crash may have left, then whatever `wake` announces, and parts of
/// uploads that nobody has continued for as long as the settings say.
pub async fn run(catalog: Catalog, blobs: Blobs, wake: Arc<Notify>, settings: LiveConfig) {
    let mut orphans = true;
    loop {
        let next = Instant::now() + PAUSE;
        let keep = settings.now().uploads.keep();
        let asked = catalog.read(asked).await.ok().flatten();
        let here = blobs.clone();
        // An error means that the server ends, and with it the files are given up.
        let _ = tokio::task::spawn_blocking(move || here.give_up_replaced()).await;
        let outcome = everything(&catalog, &blobs, keep, orphans || asked.is_some()).await;
        // Orphans are marked once, and stay marked while a backup keeps their files.
        orphans &= matches!(outcome, CollectionOutcome::Failed(_));
        let look = match &outcome {
            CollectionOutcome::Kept => AGAIN,
            _ if keep.is_zero() => LOOK,
            _ => keep.clamp(Duration::from_millis(100), LOOK),
        };
        if let Some(asked) = asked
            && let Err(error) = catalog.write(move |connection| answer(connection, asked, outcome)).await
        {
            error!(%error, "whoever asked for a collection could not be answered");
        }
        if let Err(error) = shorten(&catalog, settings.now().transfers).await {
            error!(%error, "the log of transfers or the catalog could not be made shorter");
        }
        // Whether something woke it or time has passed, there is one thing to do.
        let _ = tokio::time::timeout(look, wake.notified()).await;
        tokio::time::sleep_until(next).await;
    }
}

/// Deletes records of transfers that are too old or too many, and gives the catalog's free pages back to the disk, both in
/// slices with other changes in between.
async fn shorten(catalog: &Catalog, log: TransferLogSettings) -> Result<()> {
    let keep = i64::try_from(log.keep().as_nanos()).unwrap_or(i64::MAX);
    let (oldest, most) = (clock::now().saturating_sub(keep), log.most.get());
    // Looked at beforehand, so that nothing is written for nothing.
    while catalog.read(move |connection| transfers::is_too_long(connection, oldest, most)).await? {
        catalog.write(move |connection| transfers::prune(connection, oldest, most)).await?;
    }
    while catalog.read(schema::has_many_free_pages).await? {
        catalog.write(schema::give_back).await?;
    }
    Ok(())
}

/// Removes all that nobody needs; on demand, files that no row knows as well.
pub async fn everything(
    catalog: &Catalog,
    blobs: &Blobs,
    keep: Duration,
    orphans: bool,
) -> CollectionOutcome {
    let files = async {
        if orphans {
            adopt_orphans(catalog, blobs).await?;
        }
        while catalog.read(objects::are_released).await? {
            catalog.write(objects::drop_released).await?;
        }
        dissolve::dissolve(catalog, blobs).await?;
        collect(catalog, blobs).await
    };
    let files = files.await;
    // Neither waits for the other to go well.
    let parts = partial_uploads::collect(catalog, blobs, SystemTime::now(), keep).await;
    match (files, parts) {
        (Ok(Some(files)), Ok(parts)) => CollectionOutcome::Done(files.and(parts)),
        (Ok(None), Ok(_)) => CollectionOutcome::Kept,
        (Err(error), _) | (_, Err(error)) => {
            error!(%error, "garbage could not be collected");
            CollectionOutcome::Failed(error.to_string())
        }
    }
}

/// Removes all that is marked, and files whose commits failed. `None` while another process keeps the files. Nobody waits
/// for it but uploads of the very contents that are being removed.
pub async fn collect(catalog: &Catalog, blobs: &Blobs) -> Result<Option<Collected>> {
    let mut collected = Collected::default();
    loop {
        let abandoned = blobs.abandoned(TURN);
        let marked = catalog.read(marked).await?;
        if marked.is_empty() && abandoned.is_empty() {
            return Ok(Some(collected));
        }
        // Nobody who comes from now on can find them.
        blobs.grace().await;
        let (here, catalog_here) = (blobs.clone(), catalog.clone());
        let turn = blocking(move || take_away(&catalog_here, &here, marked, abandoned)).await?;
        let Some(CollectionTurn { marked, abandoned, aside }) = turn else { return Ok(None) };
        if marked.is_empty() && abandoned == 0 {
            // Somebody is placing all of these, and calls the collector when that is done.
            return Ok(Some(collected));
        }
        let cleared = if marked.is_empty() {
            Ok(())
        } else {
            catalog.write(move |connection| clear(connection, &marked)).await
        };
        debug!(files = aside.len(), "collected garbage");
        let deleting = blocking(move || {
            aside.iter().try_fold(Collected::default(), |gone, path| {
                let bytes = fs::metadata(path).map_err(ServerError::file(path))?.len();
                fs::remove_file(path).map_err(ServerError::file(path))?;
                Ok(gone.and(Collected { files: 1, bytes }))
            })
        });
        collected = collected.and(deleting.await?);
        // Not before: a full disk needs the room.
        cleared?;
    }
}

/// A row of the garbage.
type GarbageRow = (i64, Digest);

/// What a turn of the collector has taken away.
struct CollectionTurn {
    marked: Vec<GarbageRow>,
    /// How many of the files whose commits failed have been looked at.
    abandoned: usize,
    /// Where the files wait to be deleted.
    aside: Vec<PathBuf>,
}

/// Takes away the files of what is still marked, all of it with the same numbers: what has another number by now was needed
/// in between, and a reader may have found it. Takes away those of abandoned files that the catalog does not know. `None`
/// while another process keeps the files.
fn take_away(
    catalog: &Catalog,
    blobs: &Blobs,
    marked: Vec<GarbageRow>,
    abandoned: Vec<Digest>,
) -> Result<Option<CollectionTurn>> {
    let digests = marked.iter().map(|(_, digest)| digest).chain(&abandoned).copied();
    let Some(sweep) = blobs.sweep(digests)? else { return Ok(None) };
    let (marked, abandoned, unneeded) = catalog.read_here(|connection| {
        let mut statement = connection.prepare_cached("SELECT 1 FROM garbage WHERE id = ?1")?;
        let mut still = Vec::new();
        for (id, digest) in marked.into_iter().filter(|(_, digest)| sweep.has(digest)) {
            if statement.exists([id])? {
                still.push((id, digest));
            }
        }
        let abandoned: Vec<_> = abandoned.into_iter().filter(|digest| sweep.has(digest)).collect();
        let unneeded = unknown(connection, abandoned.clone())?;
        Ok((still, abandoned, unneeded))
    })?;
    let mut aside = Vec::new();
    for digest in marked.iter().map(|(_, digest)| digest).chain(&unneeded) {
        aside.extend(blobs.take_away(digest, &sweep)?);
    }
    blobs.forget_abandoned(&abandoned);
    Ok(Some(CollectionTurn { marked, abandoned: abandoned.len(), aside }))
}

/// Takes the marks off files that have gone.
fn clear(connection: &Connection, marked: &[GarbageRow]) -> Result<()> {
    // By its number: what has come back and gone again meanwhile has another.
    let mut statement = connection.prepare_cached("DELETE FROM garbage WHERE id = ?1")?;
    marked.iter().try_for_each(|(id, _)| statement.execute([id]).map(drop))?;
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
pub fn outcome(connection: &Connection) -> Result<Option<CollectionOutcome>> {
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

fn last_answer(connection: &Connection) -> Result<Option<CollectionReply>> {
    Ok(facts::read(connection, facts::GC_ANSWER)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn answer(connection: &Connection, asked: String, outcome: CollectionOutcome) -> Result<()> {
    let answer = serde_json::to_string(&CollectionReply { asked, outcome }).unwrap_or_default();
    facts::set(connection, facts::GC_ANSWER, &answer)
}

/// Marks files that no row knows. One that an upload has just placed is unmarked by its commit, and not collected before.
async fn adopt_orphans(catalog: &Catalog, blobs: &Blobs) -> Result<()> {
    for number in 0..=u8::MAX {
        let here = blobs.clone();
        let files = blocking(move || here.in_directory(number)).await?;
        let orphans = catalog.read(move |connection| unknown(connection, files)).await?;
        for some in orphans.chunks(TURN) {
            info!(files = some.len(), "found files that an interrupted run left");
            let some = some.to_vec();
            let mark = move |connection: &Connection| {
                some.iter().try_for_each(|digest| objects::discard(connection, digest))
            };
            catalog.write(mark).await?;
        }
    }
    Ok(())
}

/// Garbage that has not come back to life, up to a turn's worth.
fn marked(connection: &Connection) -> Result<Vec<GarbageRow>> {
    let mut statement = connection.prepare_cached("SELECT id, digest FROM garbage LIMIT ?1")?;
    let rows = statement.query_map([i64::try_from(TURN).unwrap_or(i64::MAX)], |row| {
        Ok((row.get(0)?, Digest::from_bytes(row.get(1)?)))
    })?;
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
