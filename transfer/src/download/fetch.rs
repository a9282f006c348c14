//! Downloads on their way: what is fetched, and where it goes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use sealift_protocol::message::Nanoseconds;
use sealift_types::{Digest, EntryPath};

use super::stream_output::StreamOutput;
use crate::event::{Event, Events, ServerCopy};
use crate::local::{self, Directory};
use crate::transfer_options::TransferOptions;

/// Something to download.
#[derive(Debug)]
pub struct Download {
    /// What, on the server.
    pub from: EntryPath,
    /// Where its content goes, if it is a file.
    pub to: Destination,
    /// The local directory that receives what is in it, if it is a directory.
    pub tree: Option<PathBuf>,
}

/// Where the content of a download goes.
pub enum Destination {
    /// To a file, which appears when its content is complete and verified.
    File {
        /// Its name.
        path: PathBuf,
        /// Whether its directory may be missing and is to be made then.
        make_directory: bool,
    },
    /// To a writer such as standard output, while it comes: whether it is good is known only at the end.
    Stream(Box<dyn Write + Send>),
    /// Nowhere: only a directory is meant.
    Nowhere,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Nowhere => f.write_str("Nowhere"),
        }
    }
}

/// Where a content goes on its way here.
#[derive(Debug)]
pub(crate) enum FetchTarget {
    /// To a file.
    File {
        /// Its name.
        path: PathBuf,
        /// Whether its directory may be missing and is to be made then.
        make_directory: bool,
    },
    /// To what cannot be read back.
    Stream(StreamOutput),
    /// Nowhere.
    Nowhere,
}

impl From<Destination> for FetchTarget {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::File { path, make_directory } => Self::File { path, make_directory },
            Destination::Stream(writer) => Self::Stream(StreamOutput::new(writer)),
            Destination::Nowhere => Self::Nowhere,
        }
    }
}

/// A file that is being fetched.
#[derive(Debug)]
pub(crate) struct FetchJob {
    pub(crate) id: usize,
    pub(crate) from: EntryPath,
    pub(crate) to: FetchTarget,
    /// The directory that receives what is in it, if it turns out to be a directory.
    pub(super) tree: Option<PathBuf>,
    /// What it holds, as far as anybody has said: a listing, the server, or the name of what an earlier run left.
    pub(super) sha256: Option<Digest>,
    /// The size, where it is known.
    pub(super) size: Option<u64>,
    /// When it was last modified, where that is known.
    pub(super) mtime: Option<Nanoseconds>,
    /// Whether the request that was sent for it asks only what it is.
    pub(super) asked: bool,
    /// Keeps the directory's time from being set too early.
    pub(super) directory: Option<Arc<Directory>>,
    /// What an earlier attempt left was not the content's beginning.
    pub(super) from_start: bool,
    /// It changed while it was fetched in ranges, so it is fetched in one go, which no change disturbs.
    pub(super) in_one_go: bool,
    /// The most bytes that the request for it asked for, and the first of them.
    pub(super) length: Option<u64>,
    pub(super) offset: u64,
    /// The most bytes of an earlier attempt that one went on behind.
    pub(super) kept: u64,
    /// Whether nothing is known of it but its name.
    pub(super) undecided: bool,
}

/// Tells of a file that is known and not going to be fetched; `false` if it is.
pub(super) fn settle(fetch: &FetchJob, manner: TransferOptions, events: Events<'_>) -> bool {
    let (FetchJob { id, to, size, tree, .. }, Some(mtime)) = (fetch, fetch.mtime) else { return false };
    let (id, size) = (*id, *size);
    let path = match to {
        FetchTarget::File { path, .. } => Some(path),
        FetchTarget::Stream(_) | FetchTarget::Nowhere => None,
    };
    if manner.update && path.is_some_and(|path| local::is_newer(path, mtime)) {
        events(Event::Kept { id });
        return true;
    }
    if manner.dry_run {
        let is_named = tree.is_some();
        let check = if is_named { local::check_named_target } else { local::check_target };
        match path.map(|path| check(path)) {
            Some(Err(error)) => events(Event::Failed { id, error }),
            _ => events(Event::Would { id, size, at_server: ServerCopy::No }),
        }
    }
    manner.dry_run
}

impl FetchJob {
    /// What an earlier attempt left: how much, of which content.
    pub(super) fn part(&self) -> Option<(u64, Digest)> {
        let sha256 = self.sha256?;
        let path = match &self.to {
            FetchTarget::File { path, .. } => path,
            FetchTarget::Stream(outlet) => return Some((outlet.written(), sha256)),
            FetchTarget::Nowhere => return None,
        };
        if self.from_start || self.size.is_some_and(|size| size < local::WORTH_KEEPING) {
            return None;
        }
        let part = local::part_path(path, &sha256);
        let length = part.symlink_metadata().ok()?.len();
        // What another process goes on with is of no use here.
        if local::is_held(&part) {
            return None;
        }
        Some((length.min(self.size.unwrap_or(u64::MAX)), sha256))
    }
}
