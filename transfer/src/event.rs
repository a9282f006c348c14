//! What a transfer tells the front end while it runs.

use std::time::Duration;

use sealift_protocol::{Digest, RemotePath};

use crate::Error;

/// Takes events. It is called in the middle of transfers, so it must be quick and must not block.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// One thing that happened. Transfers are told apart by the `id` that the plan gave them.
///
/// Each planned transfer ends in one [`Finished`](Self::Finished) or one [`Failed`](Self::Failed), unless the whole
/// run ends with an error.
#[derive(Debug)]
pub enum Event {
    /// So many files are going to be tried, of so many bytes in all, where that is known.
    Planned {
        /// Files.
        files: usize,
        /// Bytes of their contents.
        bytes: Option<u64>,
    },
    /// A transfer begins. It comes again for a transfer that begins anew.
    Started {
        /// Which.
        id: usize,
        /// The content's size, where it is known.
        size: Option<u64>,
    },
    /// An upload's target turned out to be a directory: the file goes into it.
    Redirected {
        /// Which.
        id: usize,
        /// Where it goes now.
        to: RemotePath,
    },
    /// A file is being read to find out whether the server has its content already.
    Hashed {
        /// Which.
        id: usize,
        /// Bytes read so far.
        bytes: u64,
    },
    /// A content is on its way.
    Progress {
        /// Which.
        id: usize,
        /// Bytes that crossed so far.
        bytes: u64,
    },
    /// A transfer is complete and verified: durable on the server, or under its name here.
    Finished {
        /// Which.
        id: usize,
        /// What it was.
        done: Done,
    },
    /// A transfer failed; the others go on.
    Failed {
        /// Which.
        id: usize,
        /// Why.
        error: Error,
    },
}

/// A complete transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The content's size, in bytes.
    pub size: u64,
    /// The content's digest.
    pub sha256: Digest,
    /// Whether the server had the content already, so that none of it was sent.
    pub deduplicated: bool,
    /// From the request to the last answer; requests that wait for others are counted from when they were sent.
    pub duration: Duration,
    /// Bytes of frames that crossed for it in both directions, TLS records not included.
    pub wire_bytes: u64,
}
