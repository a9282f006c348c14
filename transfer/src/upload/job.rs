//! Uploads on their way: the file, its request, and what follows from the answer.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use sealift_protocol::message::{Nanoseconds, Verdict};
use sealift_types::{Digest, EntryPath};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::TransferError;
use crate::local::{self, FileStamp, TreeRoot};
use crate::transfer_options::TransferOptions;

/// What a stream is called where it cannot be read.
pub(super) const INPUT: &str = "the input";

/// Something to upload.
#[derive(Debug)]
pub struct Upload {
    /// What events call it.
    pub id: usize,
    /// Where it comes from.
    pub source: UploadSource,
    /// Where it goes.
    pub to: EntryPath,
    /// Where it goes if `to` turns out to be a directory.
    pub inside: Option<EntryPath>,
}

/// Where an upload comes from.
pub enum UploadSource {
    /// A local file; symbolic links are followed.
    File(PathBuf),
    /// A file of a local tree; no symbolic link is followed on the way to it.
    Inside {
        /// The tree.
        root: Arc<TreeRoot>,
        /// The file's whole path.
        path: PathBuf,
        /// Whether it may be executed, where somebody knows better than its file system.
        executable: Option<bool>,
    },
    /// Whatever the reader yields, such as standard input.
    Stream(Box<dyn Read + Send>),
    /// A directory, without what is in it.
    Directory {
        /// Which.
        path: PathBuf,
        /// When it was last modified.
        mtime: Option<Nanoseconds>,
    },
    /// A symbolic link, to be stored as one.
    Link {
        /// Which.
        path: PathBuf,
        /// What it points to.
        target: String,
        /// When it was last modified.
        mtime: Option<Nanoseconds>,
    },
}

impl std::fmt::Debug for UploadSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inside { path, .. } => f.debug_tuple("Inside").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Directory { path, .. } => f.debug_tuple("Directory").field(path).finish(),
            Self::Link { path, target, .. } => f.debug_tuple("Link").field(path).field(target).finish(),
        }
    }
}

/// An upload on its way.
#[derive(Debug, Clone)]
pub(super) struct UploadJob {
    pub(super) id: usize,
    pub(super) path: PathBuf,
    /// The tree that it was found in.
    pub(super) root: Option<Arc<TreeRoot>>,
    /// Whether it may be executed, where its file system cannot tell.
    pub(super) executable: Option<bool>,
    pub(super) what: UploadKind,
    pub(super) to: EntryPath,
    pub(super) inside: Option<EntryPath>,
    /// What the content was when it was hashed for a claim: if the file is still that, no second hash is needed.
    pub(super) known: Option<(FileStamp, Digest)>,
    pub(super) manner: TransferOptions,
    /// Whether the server's part of an earlier attempt is of use; one that was not the file's beginning is not.
    pub(super) resumable: bool,
}

/// What is uploaded.
#[derive(Debug, Clone)]
pub(super) enum UploadKind {
    File,
    Pipe,
    Directory { mtime: Option<Nanoseconds> },
    Link { target: String, mtime: Option<Nanoseconds> },
}

impl UploadJob {
    pub(super) fn has_content(&self) -> bool {
        matches!(self.what, UploadKind::File | UploadKind::Pipe)
    }

    /// Opens the file. Blocks.
    pub(super) fn open(&self) -> Result<local::Source, TransferError> {
        let source = match &self.root {
            Some(root) => local::Source::inside(root, &self.path),
            None => local::Source::open(&self.path),
        };
        let allow_changing = self.manner.allow_changing;
        source.map(|source| source.allow_changing(allow_changing).known_executable(self.executable))
    }
}

/// A file that is too large to travel with its request.
#[derive(Debug)]
pub(super) struct LargeUpload {
    pub(super) job: UploadJob,
    pub(super) size: u64,
    pub(super) mtime: Option<Nanoseconds>,
}

/// What was sent of a content.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentContent {
    pub(super) size: u64,
    pub(super) sha256: Digest,
    pub(super) wire_bytes: u64,
}

/// A request whose answer is due.
#[derive(Debug)]
pub(super) struct PendingReply {
    pub(super) started: Instant,
    /// What the request counts for in the sender's window.
    pub(super) weight: usize,
    pub(super) kind: PendingKind,
}

#[derive(Debug)]
pub(super) enum PendingKind {
    /// What to do about these?
    Plan(Vec<LargeUpload>),
    /// A directory or a link.
    Made(UploadJob),
    /// A file that travelled with its request.
    Inline(UploadJob, SentContent),
    /// A file whose content may be there already.
    Claim(LargeUpload, SentContent),
    /// A file that is being streamed. The channel carries what was sent, or why it could not be; that nobody listens
    /// any more tells the sender that the server has refused it.
    Stream(UploadJob, oneshot::Receiver<Result<SentContent, TransferError>>),
}

/// What the sender learns from an answer.
#[derive(Debug)]
pub(super) struct ReplyFeedback {
    pub(super) weight: usize,
    pub(super) next: NextStep,
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum NextStep {
    Nothing,
    /// Begin again with a file.
    Again(UploadJob),
    /// Do as the server says.
    Decided(Vec<(LargeUpload, Verdict)>),
}
