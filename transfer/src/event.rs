//! What a transfer tells the front end while it runs.

use std::path::PathBuf;
use std::time::Duration;

use sealift_types::{Digest, EntryPath};

use crate::TransferError;
use crate::tree::Omitted;

/// Takes events. It is called in the middle of transfers, so it must be quick and must not block.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// Whether a server has a content that would be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCopy {
    /// It has not, or is sent the content all the same because that is small.
    No,
    /// It has one of the same size, and is too old to say more.
    Perhaps,
    /// It has.
    Yes,
}

/// One thing that happened. Transfers are told apart by an `id`.
///
/// Each transfer that was found ends in one [`Finished`](Self::Finished), [`Made`](Self::Made),
/// [`Kept`](Self::Kept), [`Would`](Self::Would), [`Vanished`](Self::Vanished) or [`Failed`](Self::Failed), unless the whole run ends with an error. Ids are not used again within a run.
#[derive(Debug)]
pub enum Event {
    /// Another transfer is to be done.
    Found {
        /// What the other events call it.
        id: usize,
        /// Where on the server.
        remote: EntryPath,
        /// Where here; `-` is standard input or output.
        local: PathBuf,
        /// The content's size, where it is known.
        size: Option<u64>,
        /// Whether it has a content, as far as is known: directories and links have none.
        content: bool,
    },
    /// How many transfers there are in all, of which some may not have been told of yet. It comes again when a run begins
    /// another pass, which may find more.
    FoundAll {
        /// How many.
        count: usize,
        /// How many of them have contents.
        contents: usize,
        /// Bytes of their contents, as far as they are known.
        bytes: u64,
    },
    /// Something is not going to be transferred.
    Omitted(Omitted),
    /// The connection was lost. What is not finished begins again after a while.
    Retrying {
        /// Why.
        error: TransferError,
        /// How long that is.
        wait: Duration,
    },
    /// A transfer begins. It comes again for a transfer that begins anew, or turns out to have begun earlier.
    Started {
        /// Which.
        id: usize,
        /// The content's size, where it is known.
        size: Option<u64>,
        /// Bytes that an earlier attempt has moved.
        offset: u64,
    },
    /// An upload's target turned out to be a directory: the file goes into it.
    Redirected {
        /// Which.
        id: usize,
        /// Where it goes now.
        to: EntryPath,
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
        done: TransferSummary,
    },
    /// A file could not be given all that it should have beside its content, which is good.
    Imperfect {
        /// Which.
        id: usize,
        /// What, and why not.
        error: TransferError,
    },
    /// A directory or a link is there.
    Made {
        /// Which.
        id: usize,
    },
    /// A file stays as it is at the other end: it is newer there.
    Kept {
        /// Which.
        id: usize,
    },
    /// A transfer that is only talked about would be done now.
    Would {
        /// Which.
        id: usize,
        /// The content's size; nothing for a link, and where it is not known.
        size: Option<u64>,
        /// Whether the server has the content, so that an upload would not send it.
        at_server: ServerCopy,
    },
    /// What was to be transferred is not there any more: nobody is to be blamed.
    Vanished {
        /// Which.
        id: usize,
    },
    /// Something else was done, or would be.
    Changed(TreeChange),
    /// A transfer failed; the others go on.
    Failed {
        /// Which.
        id: usize,
        /// Why.
        error: TransferError,
    },
}

impl Event {
    /// The transfer that it is about.
    pub(crate) fn id_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Found { id, .. }
            | Self::Started { id, .. }
            | Self::Redirected { id, .. }
            | Self::Hashed { id, .. }
            | Self::Progress { id, .. }
            | Self::Finished { id, .. }
            | Self::Imperfect { id, .. }
            | Self::Made { id }
            | Self::Kept { id }
            | Self::Would { id, .. }
            | Self::Vanished { id }
            | Self::Failed { id, .. } => Some(id),
            Self::FoundAll { .. } | Self::Omitted(_) | Self::Retrying { .. } | Self::Changed(_) => None,
        }
    }
}

/// Something that was done beside transfers, or that a run which only talks would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// What.
    pub action: TreeChangeKind,
    /// To what.
    pub place: EitherPath,
    /// From where it was moved or copied.
    pub from: Option<EitherPath>,
    /// The content's size, where there is one.
    pub size: Option<u64>,
    /// Whether it was only talked about.
    pub dry_run: bool,
}

/// What a [`TreeChange`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeChangeKind {
    /// Stores what is new on the server.
    Store,
    /// Fetches what is new here.
    Fetch,
    /// Replaces what differs.
    Update,
    /// Gives what is there already its new name.
    Move,
    /// Gives what is there already one more name.
    Copy,
    /// Deletes what the other side does not have.
    Delete,
    /// Makes a directory.
    MakeDirectory,
    /// Changes the time, or whether it may be executed, and nothing else.
    Touch,
}

/// A place on either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EitherPath {
    /// On the server.
    Remote(EntryPath),
    /// Here.
    Local(PathBuf),
}

/// A complete transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferSummary {
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
