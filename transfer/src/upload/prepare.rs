//! Looks at files before they are sent, and reads and hashes the small ones.

use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use sealift_protocol::Digest;
use sealift_protocol::message::{MAX_INLINE, Nanoseconds};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{Job, Large, Source, Upload};
use crate::error::Error;
use crate::local;

/// Files that are read ahead of the connection; with [`MAX_INLINE`] the bound of the memory that they take.
const AHEAD: usize = 32;

/// A file that is ready for the connection.
pub(super) enum Prepared {
    /// A small one.
    Inline(Inline),
    /// One that is to be planned.
    Large(Large),
    /// One of unknown size, and more than fits in a request.
    Stream(Job, Box<dyn Read + Send>),
    /// One that cannot be read.
    Failed(usize, Error),
}

/// A content that travels with its request.
pub(super) struct Inline {
    pub(super) job: Job,
    pub(super) content: Vec<u8>,
    pub(super) sha256: Digest,
    pub(super) mtime: Option<Nanoseconds>,
    pub(super) executable: bool,
}

/// Prepares all files on a thread of its own, a few ahead.
pub(super) fn start(uploads: Vec<Upload>) -> mpsc::Receiver<Prepared> {
    let (ready, prepared) = mpsc::channel(AHEAD);
    spawn_blocking(move || {
        for upload in uploads {
            if ready.blocking_send(first(upload)).is_err() {
                break; // the connection is gone
            }
        }
    });
    prepared
}

/// Prepares one file once more.
pub(super) async fn again(job: Job) -> Prepared {
    let id = job.id;
    match spawn_blocking(move || file(job)).await {
        Ok(prepared) => prepared,
        Err(panic) => Prepared::Failed(id, thread_failed(panic)),
    }
}

/// What a thread's panic means for the file it was busy with.
pub(super) fn thread_failed(panic: tokio::task::JoinError) -> Error {
    Error::Local { action: "read", path: PathBuf::from("the file"), source: io::Error::other(panic) }
}

fn first(upload: Upload) -> Prepared {
    let Upload { id, source, to, inside, .. } = upload;
    match source {
        Source::File(path) => file(Job { id, path, to, inside, known: None }),
        Source::Stream(reader) => {
            stream(Job { id, path: PathBuf::from("standard input"), to, inside: None, known: None }, reader)
        }
    }
}

fn file(job: Job) -> Prepared {
    let id = job.id;
    let prepare = || {
        let mut source = local::Source::open(&job.path)?;
        if source.stamp.size > MAX_INLINE {
            return Ok(Prepared::Large(Large { size: source.stamp.size, job }));
        }
        let content = source.read()?;
        let (sha256, mtime, executable) = (Digest::of(&content), source.mtime(), source.executable);
        Ok(Prepared::Inline(Inline { job, content, sha256, mtime, executable }))
    };
    prepare().unwrap_or_else(|error| Prepared::Failed(id, error))
}

fn stream(job: Job, mut reader: Box<dyn Read + Send>) -> Prepared {
    let mut content = Vec::new();
    match reader.by_ref().take(MAX_INLINE + 1).read_to_end(&mut content) {
        Err(error) => Prepared::Failed(job.id, Error::local("read", &job.path)(error)),
        Ok(count) if count as u64 > MAX_INLINE => {
            Prepared::Stream(job, Box::new(Cursor::new(content).chain(reader)))
        }
        Ok(_) => {
            let sha256 = Digest::of(&content);
            Prepared::Inline(Inline { job, content, sha256, mtime: None, executable: false })
        }
    }
}
