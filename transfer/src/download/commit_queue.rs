//! Verified files on the way to their names: they get them in groups, because syncing many costs little more than
//! syncing one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::error::TransferError;
use crate::event::{Event, Events, TransferSummary};
use crate::local::{CommittingFile, DiskOperation, FileSystems, WritingUnderWay, commit};

/// A group takes so many files, ...
const MOST_FILES: usize = 4096;

/// ... so many bytes of contents, ...
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// ... and waits no longer than so for more.
const MOST_TIME: Duration = Duration::from_millis(500);

/// The files that are verified, and have no names or no durable ones yet.
#[derive(Debug, Default)]
pub(super) struct CommitQueue {
    disks: Arc<FileSystems>,
    waiting: Mutex<Uncommitted>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Uncommitted {
    files: Vec<(usize, CommittingFile, TransferSummary)>,
    bytes: u64,
    /// Whether no more is to come, for a while or ever.
    idle: bool,
    over: bool,
}

impl CommitQueue {
    /// Commits of files on `disks`.
    pub(super) fn new(disks: Arc<FileSystems>) -> Self {
        Self { disks, ..Self::default() }
    }

    /// The file systems that are written to.
    pub(super) fn disks(&self) -> &Arc<FileSystems> {
        &self.disks
    }

    /// Adds a file whose content is verified.
    pub(super) fn add(&self, id: usize, landing: CommittingFile, done: TransferSummary) {
        let mut waiting = self.waiting();
        waiting.bytes += done.size;
        waiting.files.push((id, landing, done));
        drop(waiting);
        self.changed.notify_one();
    }

    /// Notes whether more may come soon.
    pub(super) fn idle(&self, idle: bool) {
        self.waiting().idle = idle;
        if idle {
            self.changed.notify_one();
        }
    }

    /// No more files come.
    pub(super) fn end(&self) {
        self.waiting().over = true;
        self.changed.notify_one();
    }

    /// Makes everything durable that comes until the end, and tells of it then.
    ///
    /// # Errors
    /// Fails when a directory cannot be made durable; that a file cannot is told by an event.
    pub(super) async fn run(&self, events: Events<'_>) -> Result<(), TransferError> {
        while let Some(group) = self.next().await {
            let (mut told, mut landings) = (Vec::new(), Vec::new());
            for (id, landing, done) in group {
                told.push((id, done));
                landings.push(landing);
            }
            let under_way = WritingUnderWay::begin();
            let committing = spawn_blocking(move || {
                let _under_way = under_way;
                commit(landings)
            });
            let committed = match committing.await {
                Ok(committed) => committed,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            for ((id, done), committed) in told.into_iter().zip(committed) {
                self.disks.note(|| DiskOperation::Tell(id));
                events(match committed {
                    Ok(()) => Event::Finished { id, done },
                    Err(error) => Event::Failed { id, error },
                });
            }
        }
        let disks = self.disks.clone();
        match spawn_blocking(move || disks.settle()).await {
            Ok(settled) => settled,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// The next group; `None` after the last.
    async fn next(&self) -> Option<Vec<(usize, CommittingFile, TransferSummary)>> {
        let mut latest: Option<Instant> = None;
        loop {
            {
                let mut waiting = self.waiting();
                let is_late = latest.is_some_and(|latest| Instant::now() >= latest);
                if waiting.files.is_empty() {
                    if waiting.over {
                        return None;
                    }
                } else if waiting.over || waiting.idle || is_late || waiting.is_full() {
                    waiting.bytes = 0;
                    return Some(std::mem::take(&mut waiting.files));
                } else {
                    latest.get_or_insert_with(|| Instant::now() + MOST_TIME);
                }
            }
            match latest {
                Some(latest) => {
                    let _ = timeout_at(latest, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Uncommitted> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uncommitted {
    fn is_full(&self) -> bool {
        self.files.len() >= MOST_FILES || self.bytes >= MOST_BYTES
    }
}
