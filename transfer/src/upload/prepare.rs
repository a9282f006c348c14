//! Looks at files before they are sent, and reads and hashes the small ones.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use sealift_protocol::Request;
use sealift_protocol::message::{Link, MAX_INLINE, MakeDirectory, Nanoseconds};
use sealift_types::Digest;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::spawn_blocking;

use super::job::{INPUT, LargeUpload, Upload, UploadJob, UploadKind, UploadSource};
use crate::error::TransferError;
use crate::transfer_options::TransferOptions;
use crate::tree::Omitted;

/// Batches that are read ahead of the connections.
const AHEAD: usize = 4;

/// Files of a batch: handing one over wakes a thread, which costs more than reading a small file.
const BATCH: usize = 32;

/// Bytes of small contents in a batch; one file more may exceed them.
const BATCH_BYTES: usize = 256 * 1024;

/// A transfer that is ready for the connection.
pub(super) enum Prepared {
    /// A directory or a link.
    Request(UploadJob, Request),
    /// A small file.
    Inline(Inline),
    /// One that is to be planned.
    Large(LargeUpload),
    /// One of unknown size, and more than fits in a request.
    Stream(UploadJob, Box<dyn Read + Send>),
    /// One that is only talked about, and about which there is nothing to ask.
    DryRun(UploadJob),
    /// One that cannot be read.
    Failed(UploadJob, TransferError),
}

/// A content that travels with its request.
pub(super) struct Inline {
    pub(super) job: UploadJob,
    pub(super) content: Vec<u8>,
    pub(super) sha256: Digest,
    pub(super) mtime: Option<Nanoseconds>,
    pub(super) executable: bool,
}

/// How much was found so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FoundAmount {
    pub(super) all: usize,
    /// Those with contents, and bytes of them.
    pub(super) contents: usize,
    pub(super) bytes: u64,
}

type PreparedBatch = Vec<Result<Prepared, Omitted>>;

/// What is prepared, for any number of connections.
#[derive(Clone)]
pub(super) struct PreparedSupply {
    batches: Arc<Mutex<mpsc::Receiver<PreparedBatch>>>,
    /// Closed when everything was found.
    pub(super) amount: watch::Receiver<FoundAmount>,
}

/// Prepares all uploads on a thread of its own, a few batches ahead.
pub(super) fn start(
    uploads: impl Iterator<Item = Result<Upload, Omitted>> + Send + 'static,
    manner: TransferOptions,
) -> PreparedSupply {
    let (ready, batches) = mpsc::channel(AHEAD);
    let (found, amount) = watch::channel(FoundAmount::default());
    spawn_blocking(move || {
        let (mut batch, mut bytes, mut all) = (PreparedBatch::new(), 0, FoundAmount::default());
        for upload in uploads {
            let prepared = upload.map(|upload| first(upload, manner));
            if let Ok(Prepared::Inline(inline)) = &prepared {
                bytes += inline.content.len();
            }
            if let Ok(prepared) = &prepared {
                all.all += 1;
                all.contents += usize::from(prepared.job().has_content());
                all.bytes += prepared.size();
            }
            batch.push(prepared);
            if batch.len() == BATCH || bytes > BATCH_BYTES {
                bytes = 0;
                found.send_replace(all);
                if ready.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return; // the connections are gone
                }
            }
        }
        found.send_replace(all);
        if !batch.is_empty() {
            let _ = ready.blocking_send(batch);
        }
    });
    PreparedSupply { batches: Arc::new(Mutex::new(batches)), amount }
}

/// What one connection takes from the supply, and what an earlier connection did not finish.
pub(super) struct Intake {
    supply: PreparedSupply,
    batch: std::vec::IntoIter<Result<Prepared, Omitted>>,
    again: VecDeque<UploadJob>,
}

/// What an [`Intake`] yields.
pub(super) enum IntakeItem {
    /// Something that was not seen before.
    New(Prepared),
    /// Something that begins again.
    Again(Prepared),
    /// Something that is not transferred.
    Omitted(Omitted),
}

impl Intake {
    pub(super) fn new(supply: PreparedSupply) -> Self {
        Self { supply, batch: PreparedBatch::new().into_iter(), again: VecDeque::new() }
    }

    /// Adds what has to begin again.
    pub(super) fn repeat(&mut self, jobs: impl IntoIterator<Item = UploadJob>) {
        self.again.extend(jobs);
    }

    /// The next upload; `None` after the last. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Option<IntakeItem> {
        if let Some(job) = self.again.front() {
            let prepared = again(job.clone()).await;
            self.again.pop_front();
            return Some(IntakeItem::Again(prepared));
        }
        if self.batch.as_slice().is_empty() {
            let batch = self.supply.batches.lock().await.recv().await?;
            self.batch = batch.into_iter();
        }
        self.batch.next().map(|taken| match taken {
            Ok(prepared) => IntakeItem::New(prepared),
            Err(omitted) => IntakeItem::Omitted(omitted),
        })
    }
}

impl Prepared {
    pub(super) fn job(&self) -> &UploadJob {
        match self {
            Self::Request(job, _) | Self::Stream(job, _) | Self::DryRun(job) | Self::Failed(job, _) => job,
            Self::Inline(inline) => &inline.job,
            Self::Large(large) => &large.job,
        }
    }

    /// When it was last modified, as far as it is known.
    pub(super) fn mtime(&self) -> Option<Nanoseconds> {
        match self {
            Self::Request(job, _) => match job.what {
                UploadKind::Directory { mtime } | UploadKind::Link { mtime, .. } => mtime,
                UploadKind::File | UploadKind::Pipe => None,
            },
            Self::Inline(inline) => inline.mtime,
            Self::Large(large) => large.mtime,
            Self::Stream(..) | Self::DryRun(_) | Self::Failed(..) => None,
        }
    }

    /// The content's size, as far as it is known.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Inline(inline) => inline.content.len() as u64,
            Self::Large(large) => large.size,
            Self::Request(..) | Self::Stream(..) | Self::DryRun(_) | Self::Failed(..) => 0,
        }
    }
}

/// Prepares one upload once more.
pub(super) async fn again(job: UploadJob) -> Prepared {
    let failed = job.clone();
    match spawn_blocking(move || prepare(job)).await {
        Ok(prepared) => prepared,
        Err(panic) => Prepared::Failed(failed, thread_failed(panic)),
    }
}

/// What a thread's panic means for the file it was busy with.
pub(super) fn thread_failed(panic: tokio::task::JoinError) -> TransferError {
    TransferError::Local { action: "read", path: PathBuf::from("the file"), source: io::Error::other(panic) }
}

fn first(upload: Upload, manner: TransferOptions) -> Prepared {
    let Upload { id, source, to, inside } = upload;
    let job = |path, what| UploadJob {
        id,
        path,
        root: None,
        executable: None,
        what,
        to,
        inside,
        known: None,
        manner,
        resumable: true,
    };
    match source {
        UploadSource::File(path) => prepare(job(path, UploadKind::File)),
        UploadSource::Inside { root, path, executable } => {
            prepare(UploadJob { root: Some(root), executable, ..job(path, UploadKind::File) })
        }
        UploadSource::Directory { path, mtime } => prepare(job(path, UploadKind::Directory { mtime })),
        UploadSource::Link { path, target, mtime } => prepare(job(path, UploadKind::Link { target, mtime })),
        // Whatever is in standard input stays there.
        UploadSource::Stream(_) if manner.dry_run => {
            Prepared::DryRun(job(PathBuf::from("-"), UploadKind::Pipe))
        }
        UploadSource::Stream(reader) => stream(job(PathBuf::from("-"), UploadKind::Pipe), reader),
    }
}

fn prepare(job: UploadJob) -> Prepared {
    match &job.what {
        UploadKind::File | UploadKind::Pipe => file(job),
        UploadKind::Directory { .. } | UploadKind::Link { .. } if job.manner.dry_run => Prepared::DryRun(job),
        UploadKind::Directory { mtime } => {
            let request = Request::MakeDirectory(MakeDirectory {
                path: job.to.clone(),
                mtime: *mtime,
                if_absent: false,
            });
            Prepared::Request(job, request)
        }
        UploadKind::Link { target, mtime } => {
            let request = Request::Link(Link { path: job.to.clone(), target: target.clone(), mtime: *mtime });
            Prepared::Request(job, request)
        }
    }
}

fn file(job: UploadJob) -> Prepared {
    let prepare = || {
        let mut source = job.open()?;
        if source.stamp.size > MAX_INLINE || job.manner.ask_first || job.manner.dry_run {
            return Ok(Prepared::Large(LargeUpload {
                size: source.stamp.size,
                mtime: source.mtime(),
                job: job.clone(),
            }));
        }
        let content = source.read()?;
        let (sha256, mtime, executable) = (Digest::of(&content), source.mtime(), source.executable());
        Ok(Prepared::Inline(Inline { job: job.clone(), content, sha256, mtime, executable }))
    };
    prepare().unwrap_or_else(|error| Prepared::Failed(job, error))
}

fn stream(job: UploadJob, mut reader: Box<dyn Read + Send>) -> Prepared {
    let mut content = Vec::new();
    match reader.by_ref().take(MAX_INLINE + 1).read_to_end(&mut content) {
        Err(error) => {
            let unreadable = TransferError::local("read", INPUT.as_ref())(error);
            Prepared::Failed(job, unreadable)
        }
        Ok(count) if count as u64 > MAX_INLINE => {
            Prepared::Stream(job, Box::new(Cursor::new(content).chain(reader)))
        }
        Ok(_) => {
            let sha256 = Digest::of(&content);
            Prepared::Inline(Inline { job, content, sha256, mtime: None, executable: false })
        }
    }
}
