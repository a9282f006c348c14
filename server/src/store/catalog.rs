//! Access to the catalog: one writer that groups commits, and readers that never wait for it.

mod change;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

pub use self::change::ChangeHeld;
use self::change::{ChangeJob, QueuedChange};
pub use self::turns::WriterLine;
use self::turns::WriterTurns;
use super::Blobs;
use super::open_error::OpenError;
use super::packs::Pack;
use super::schema;
use super::turnstile::Turnstile;
use crate::error::{Result, ServerError};
use crate::monitor::meter::{Counter, GROUPS, Histogram};

/// Changes that share one transaction at most, so that the first one's answer does not wait for ever.
const GROUP: usize = 512;

/// Entries that the changes of one transaction may touch, after which it takes no further change. One change may touch as
/// many as a path has names.
pub(super) const WEIGHT: usize = 2048;

/// How long changes may wait that nobody waits for: a commit costs the disk a sync, whatever is in it. All other changes wait
/// as long while the catalog is opened again and its log is being read.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reading connections that are kept for the next reader.
const READERS: usize = 4;

/// The catalog of a running server. Clones share it.
#[derive(Clone)]
pub struct Catalog {
    path: Arc<PathBuf>,
    writer: turns::ChangeSender,
    /// Where the changes wait that are asked for through this clone.
    line: WriterLine,
    /// Changes of all lines wait in one, so that a test knows their order.
    #[cfg(test)]
    in_order: bool,
    readers: Readers,
    meter: Arc<CommitMeter>,
}

/// Reading connections that wait for the next reader; `None` once the catalog must not be read any more, see [`reopen`].
type Readers = Arc<Mutex<Option<Vec<Connection>>>>;

/// What commits cost.
#[derive(Debug)]
pub struct CommitMeter {
    /// How long they took.
    pub durations: Histogram,
    /// How many changes shared each.
    pub changes: Histogram,
    /// Those that failed, with all changes in them.
    pub failed: Counter,
}

impl Default for CommitMeter {
    fn default() -> Self {
        let (durations, changes) = (Histogram::of_durations(), Histogram::new(GROUPS));
        Self { durations, changes, failed: Counter::default() }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Catalog").field(&self.path).finish()
    }
}

impl Catalog {
    /// Opens the catalog at `path`, which refers to `blobs`, and starts its writer, a thread that ends with the last clone.
    pub fn open(path: &Path, blobs: Blobs) -> Result<(Self, JoinHandle<()>), OpenError> {
        Self::open_with(path, blobs, |_| Ok(()))
    }

    /// The same, with something that is done to the writer's connection first.
    pub(super) fn open_with(
        path: &Path,
        blobs: Blobs,
        prepare: impl Fn(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), OpenError> {
        let writing = CatalogWriter::open(path, &prepare, schema::PATIENCE)?;
        let (writer, changes) = turns::turns();
        let failed = |error: std::io::Error| OpenError::Sqlite {
            path: path.to_owned(),
            source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
        };
        // Only for its clock: the thread is there to block.
        let runtime = Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let meter = Arc::new(CommitMeter::default());
        let readers: Readers = Arc::new(Mutex::new(Some(Vec::new())));
        let thread = thread::Builder::new()
            .name("catalog".into())
            .spawn({
                let (meter, readers, path) = (meter.clone(), readers.clone(), path.to_owned());
                let turnstile = Turnstile::open(&path);
                let again = move || reopen(&path, &prepare, &readers);
                move || runtime.block_on(write(writing, again, changes, blobs, &meter, &turnstile))
            })
            .map_err(failed)?;
        let catalog = Self {
            path: Arc::new(path.to_owned()),
            writer,
            line: WriterLine::Behind,
            #[cfg(test)]
            in_order: false,
            readers,
            meter,
        };
        Ok((catalog, thread))
    }

    /// The catalog for changes that wait in a line; else they wait behind everything.
    pub fn within(&self, line: WriterLine) -> Self {
        #[cfg(test)]
        let line = if self.in_order { self.line } else { line };
        Self { line, ..self.clone() }
    }

    /// The catalog that makes all changes in the order in which they are asked for.
    #[cfg(test)]
    pub(super) fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// Queues a change and returns at once with what will tell its result, after it is durable.
    ///
    /// Changes of one line are made in the order in which they are queued. One that returns an error leaves nothing
    /// behind; the others of its group stand.
    pub async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> PendingCommit<T> {
        self.submit_holding((), |connection, ()| work(connection), |_, (), _| Ok(())).await
    }

    /// The same with something that is held until the change is durable or has failed, and with what is to be noted in
    /// the catalog if `work` fails.
    pub async fn submit_holding<T: Send + 'static, H: ChangeHeld>(
        &self,
        held: H,
        work: impl FnOnce(&Connection, &H) -> Result<T> + Send + 'static,
        otherwise: impl FnOnce(&Connection, &H, &ServerError) -> Result<()> + Send + 'static,
    ) -> PendingCommit<T> {
        let (answer, result) = oneshot::channel();
        let job = ChangeJob {
            urgent: true,
            work: Some(work),
            otherwise: Some(otherwise),
            held,
            result: None,
            trouble: None,
            answer,
        };
        // A writer that has ended drops the job, and with it the answer: `PendingCommit` says so.
        self.writer.send(self.line, Box::new(job)).await;
        PendingCommit(result)
    }

    /// Queues a change whose result nobody waits for, in order with the others; it may be committed a little later.
    pub async fn note(&self, work: impl FnOnce(&Connection) -> Result<()> + Send + 'static) {
        self.writer.send(self.line, unawaited(false, work)).await;
    }

    /// Queues a change whose result nobody waits for, where nothing can be awaited.
    pub fn post(&self, work: impl FnOnce(&Connection) -> Result<()> + Send + 'static) {
        self.writer.post(self.line, unawaited(true, work));
    }

    /// Makes a change and waits until it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(work).await.wait().await
    }

    /// Reads a consistent state of the catalog.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let catalog = self.clone();
        tokio::task::spawn_blocking(move || catalog.read_here(work))
            .await
            .map_err(|_| ServerError::Stopped)?
    }

    /// The same on this thread, which must be one that may block.
    pub fn read_here<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let kept = self.readers().as_mut().ok_or(ServerError::Stopped)?.pop();
        let connection = match kept {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let transaction = connection.unchecked_transaction()?;
        let result = work(&transaction);
        drop(transaction);
        match &mut *self.readers() {
            Some(readers) if readers.len() < READERS => readers.push(connection),
            _ => {}
        }
        result
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Option<Vec<Connection>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What commits have cost so far.
    pub fn meter(&self) -> &CommitMeter {
        &self.meter
    }

    /// Whether the writer is there; one that has panicked is not.
    pub fn can_write(&self) -> bool {
        !self.writer.is_closed()
    }

    /// Returns when the writer has ended, which it does before the last clone is dropped only if the disk keeps failing.
    pub async fn closed(&self) {
        self.writer.closed().await;
    }

    /// The file, for a reader that watches it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn unawaited(
    urgent: bool,
    work: impl FnOnce(&Connection) -> Result<()> + Send + 'static,
) -> Box<dyn QueuedChange> {
    let (answer, _) = oneshot::channel();
    let work = move |connection: &Connection, (): &()| work(connection);
    let otherwise = |_: &Connection, (): &(), _: &ServerError| Ok(());
    Box::new(ChangeJob {
        urgent,
        work: Some(work),
        otherwise: Some(otherwise),
        held: (),
        result: None,
        trouble: None,
        answer,
    })
}

/// The result of a change to come.
#[derive(Debug)]
pub struct PendingCommit<T>(oneshot::Receiver<Result<T>>);

impl<T> PendingCommit<T> {
    /// The result, if there is one already.
    pub fn try_now(mut self) -> std::result::Result<Result<T>, Self> {
        match self.0.try_recv() {
            Ok(result) => Ok(result),
            Err(oneshot::error::TryRecvError::Closed) => Ok(Err(ServerError::Stopped)),
            Err(oneshot::error::TryRecvError::Empty) => Err(self),
        }
    }

    /// Waits until the change is durable or has failed.
    pub async fn wait(self) -> Result<T> {
        self.0.await.map_err(|_| ServerError::Stopped)?
    }
}

/// The writer's connection.
struct CatalogWriter {
    connection: Connection,
    /// Set while a commit is wanted: see [`fence`].
    committing: Arc<AtomicBool>,
    /// False if others were reading the log when it was to be emptied.
    log_is_empty: bool,
}

impl CatalogWriter {
    /// Opens the catalog and brings what its log holds into the file, so that everything that is believed from here on has
    /// been written and synced anew. After a failed sync the system may show pages that the disk does not have. Others who
    /// read the log get the time `patience` to end.
    fn open(
        path: &Path,
        prepare: &impl Fn(&mut Connection) -> rusqlite::Result<()>,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let mut connection = schema::open(path)?;
        connection.busy_timeout(patience).map_err(sqlite)?;
        let log_is_empty = match schema::empty_log(&connection) {
            Ok(log_is_empty) => log_is_empty,
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                warn!(%error, "the catalog's log stays, since the disk is full");
                false
            }
            Err(error) => return Err(sqlite(error)),
        };
        connection.busy_timeout(schema::PATIENCE).map_err(sqlite)?;
        match schema::rebuild(&connection) {
            Ok(false) => {}
            Ok(true) => {
                info!("the catalog was written anew: from now on it gives free pages back to the disk");
            }
            Err(error) => warn!(%error, "the catalog cannot be written anew, and keeps its free pages"),
        }
        prepare(&mut connection).map_err(sqlite)?;
        let committing = fence(&mut connection).map_err(sqlite)?;
        Ok(Self { connection, committing, log_is_empty })
    }

    /// Opens the catalog again after a commit whose sync failed, and settles whether that commit is part of the catalog.
    ///
    /// Its pages may lie in the log, behind the end that SQLite knows of: nobody sees them until the next start finds them.
    /// If others read the log, so that it cannot be emptied, a commit of no consequence is written over these pages.
    fn open_again(
        path: &Path,
        prepare: &impl Fn(&mut Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, OpenError> {
        let writing = Self::open(path, prepare, PATIENCE)?;
        if !writing.log_is_empty {
            let version = || writing.connection.pragma_query_value(None, "user_version", |row| row.get(0));
            writing.committing.store(true, Ordering::Relaxed);
            let written = version()
                .and_then(|version: i64| writing.connection.pragma_update(None, "user_version", version));
            writing.committing.store(false, Ordering::Relaxed);
            written.map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
        }
        Ok(writing)
    }
}

/// Opens the catalog again after a commit whose sync failed. If that fails, nobody reads the catalog any more: a client could
/// be told one thing now and another one after the next start, and the collector would remove files that the catalog refers
/// to then.
fn reopen(
    path: &Path,
    prepare: &impl Fn(&mut Connection) -> rusqlite::Result<()>,
    readers: &Readers,
) -> Result<CatalogWriter, OpenError> {
    let kept = |connections| *readers.lock().unwrap_or_else(PoisonError::into_inner) = connections;
    // They may remember what the disk does not have.
    kept(Some(Vec::new()));
    let reopened = CatalogWriter::open_again(path, prepare);
    if reopened.is_err() {
        kept(None);
    }
    reopened
}

/// Makes changes until nobody can ask for any, or until the disk fails in such a way that the catalog cannot be opened again.
async fn write(
    mut writing: CatalogWriter,
    again: impl Fn() -> Result<CatalogWriter, OpenError>,
    mut changes: WriterTurns,
    blobs: Blobs,
    meter: &CommitMeter,
    turnstile: &Turnstile,
) {
    let mut group = Vec::new();
    while gather(&mut changes, &mut group).await {
        turnstile.let_others_pass();
        let begun = std::time::Instant::now();
        blobs.reserve().make_room();
        let committed = commit(&mut writing, &blobs, &mut group);
        meter.durations.time(begun.elapsed());
        meter.changes.take(group.len() as u64);
        if let Err(error) = &committed {
            meter.failed.count();
            error.log(&format!("a commit failed, of {} changes", group.len()));
            if error.is_disk_full() {
                // The next ones, deletions among them, have more room.
                blobs.reserve().release();
            }
        }
        if matches!(committed, Err(ServerError::Uncertain(_))) {
            // Closed first, so that nothing is taken over from it.
            drop(writing);
            let reopened = again();
            conclude(&mut group, &committed);
            match reopened {
                Ok(again) => writing = again,
                Err(error) => return error!(%error, "the catalog cannot be used any more"),
            }
        } else {
            conclude(&mut group, &committed);
        }
    }
}

fn conclude(group: &mut Vec<Box<dyn QueuedChange>>, committed: &Result<()>) {
    let commit = committed.as_ref().copied();
    for change in &mut *group {
        change.held().concluded(commit);
    }
    // The last one first: whoever answers a client waits for its first change, and finds the others when it wakes.
    while let Some(change) = group.pop() {
        change.answer(commit);
    }
}

/// Waits for changes, and for more if nobody waits for those; `false` when there will be none.
async fn gather(changes: &mut WriterTurns, group: &mut Vec<Box<dyn QueuedChange>>) -> bool {
    let Some(first) = changes.recv().await else { return false };
    let deadline = Instant::now() + PATIENCE;
    let (mut next, mut weight, mut urgent) = (Some(first), 0, false);
    while let Some(mut change) = next.take() {
        weight += change.held().weight();
        urgent |= change.is_urgent();
        group.push(change);
        if group.len() == GROUP || weight >= WEIGHT {
            break;
        }
        next = match changes.next() {
            Some(change) => Some(change),
            None if urgent => None,
            None => timeout_at(deadline, changes.recv()).await.ok().flatten(),
        };
    }
    true
}

/// Makes the changes of a group, all or none of them. A change that is refused leaves nothing, and the others stand.
fn commit(writing: &mut CatalogWriter, blobs: &Blobs, group: &mut [Box<dyn QueuedChange>]) -> Result<()> {
    let CatalogWriter { connection, committing, .. } = writing;
    // A transaction whose beginning or end has failed may be open still.
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let _comparing = blobs.compare_many();
    let end = |transaction: Transaction<'_>| {
        committing.store(true, Ordering::Relaxed);
        let committed = transaction.commit();
        committing.store(false, Ordering::Relaxed);
        committed.map_err(of_commit)
    };
    let Some(pack) = pack(&transaction, blobs, group)? else {
        apply_all(&transaction, group)?;
        return end(transaction);
    };
    // The disk writes while this thread makes the changes, some of which may want what is being written.
    let _coming = blobs.expect(pack.digest());
    let committed = thread::scope(|scope| {
        let writing = thread::Builder::new().name("pack".into()).spawn_scoped(scope, || pack.write(blobs));
        let applied = apply_all(&transaction, group);
        let written = writing.map_err(ServerError::file(Path::new("a thread for a pack")))?;
        let _hold = written.join().map_err(|_| ServerError::Stopped)??;
        applied?;
        pack.settle(&transaction)?;
        end(transaction)
    });
    if committed.is_err() {
        blobs.abandon(pack.digest());
    }
    committed
}

/// Stores the small contents of a group together, if that is worth it.
fn pack(connection: &Connection, blobs: &Blobs, group: &mut [Box<dyn QueuedChange>]) -> Result<Option<Pack>> {
    let held: Vec<&dyn ChangeHeld> = group.iter_mut().map(|change| &*change.held()).collect();
    let contents = held.iter().enumerate().filter_map(|(number, held)| Some((number, held.content()?)));
    let pack = Pack::make(connection, blobs, contents)?;
    for (number, place) in pack.iter().flat_map(Pack::places) {
        group[*number].held().packed(*place);
    }
    Ok(pack)
}

fn apply_all(transaction: &Connection, group: &mut [Box<dyn QueuedChange>]) -> Result<()> {
    group.iter_mut().try_for_each(|change| apply(transaction, change.as_mut()))
}

/// One change, fenced off from the others of its group. An error ends the group.
fn apply(transaction: &Connection, change: &mut dyn QueuedChange) -> Result<()> {
    if change.held().checks_first() {
        // A savepoint would copy each page that the change touches.
        let before = transaction.total_changes();
        let applied = change.apply(transaction);
        still_open(transaction, change)?;
        if applied || (transaction.total_changes() == before && change.recover(transaction)) {
            return still_open(transaction, change);
        }
        return Err(change.failure());
    }
    transaction.prepare_cached("SAVEPOINT change")?.execute([])?;
    if !change.apply(transaction) {
        still_open(transaction, change)?;
        transaction.prepare_cached("ROLLBACK TO change")?.execute([])?;
        if !change.recover(transaction) {
            still_open(transaction, change)?;
            transaction.prepare_cached("ROLLBACK TO change")?.execute([])?;
        }
    }
    still_open(transaction, change)?;
    transaction.prepare_cached("RELEASE change")?.execute([])?;
    Ok(())
}

/// Why a commit failed. An error of the disk leaves it open whether what was to be committed is there after the next start.
fn of_commit(error: rusqlite::Error) -> ServerError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::SystemIoFailure) => ServerError::Uncertain(error),
        _ => error.into(),
    }
}

/// Fails if SQLite has ended the transaction by itself, as it does when the disk is full or fails: nothing of the group
/// stands any more, and whatever came next would stand alone.
fn still_open(transaction: &Connection, change: &dyn QueuedChange) -> Result<()> {
    if transaction.is_autocommit() { Err(change.failure()) } else { Ok(()) }
}

/// Keeps statements from committing by themselves, whatever becomes of the transaction that they were to be part of.
/// Only what happens while the result is set is committed.
fn fence(connection: &mut Connection) -> rusqlite::Result<Arc<AtomicBool>> {
    let committing = Arc::new(AtomicBool::new(false));
    let allowed = committing.clone();
    connection.commit_hook(Some(move || !allowed.load(Ordering::Relaxed)))?;
    Ok(committing)
}

#[cfg(test)]
mod tests;
