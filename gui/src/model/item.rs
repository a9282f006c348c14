//! One entry of the queue.

use std::path::PathBuf;
use std::sync::Arc;

pub use crate::saved_queue::{Spec, State, Trouble};
use sealift_protocol::message::{Description, Entry, EntryKind, Nanoseconds};
use sealift_types::EntryPath;

/// What an entry of the queue is called as long as the window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u64);

/// Something to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What, on the server.
    pub path: EntryPath,
    /// What is known of it.
    pub facts: Facts,
}

/// What is known of a file or folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is a folder.
    pub is_folder: bool,
    /// A file's size.
    pub size: Option<u64>,
    /// When it was last modified.
    pub modified: Option<Nanoseconds>,
}

impl From<&Entry> for Facts {
    fn from(entry: &Entry) -> Self {
        let is_folder = matches!(entry.kind, EntryKind::Directory | EntryKind::Space);
        let size = (entry.kind == EntryKind::File).then_some(entry.size);
        Self { is_folder, size, modified: Some(entry.mtime) }
    }
}

impl From<&Description> for Facts {
    fn from(description: &Description) -> Self {
        let is_folder = matches!(description.kind, EntryKind::Directory | EntryKind::Space);
        Self { is_folder, size: description.size, modified: Some(description.mtime) }
    }
}

impl From<&std::fs::Metadata> for Facts {
    fn from(metadata: &std::fs::Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
        let modified = modified.and_then(|time| Nanoseconds::try_from(time.as_nanosecond()).ok());
        Self { is_folder: metadata.is_dir(), size: metadata.is_file().then_some(metadata.len()), modified }
    }
}

/// One entry of the queue.
#[derive(Debug, Clone)]
pub struct Item {
    /// What is to be transferred.
    pub spec: Arc<Spec>,
    /// Where it is in its life.
    pub state: State,
    /// The job that is at it.
    pub(super) job: Option<u64>,
    /// Bytes in all, as far as they are known.
    pub size: u64,
    /// Bytes that have crossed, or that the server had.
    pub moved: u64,
    /// How far the file was read for comparing; 0 when nothing is compared.
    pub compared: u64,
    /// Files that are done and that there are, of a tree.
    pub files: Option<Box<Files>>,
    /// Whether none of it was sent, because the server had it.
    pub had: bool,
    /// Why it is tried again, while it is.
    pub retrying: Option<Box<str>>,
}

/// What is known of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Files, links and directories that were found.
    pub found: usize,
    /// Those that are done.
    pub done: usize,
    /// Files that were not sent because the server had them.
    pub had: usize,
    /// Those that failed.
    pub failed: usize,
    /// Links and special files that are not transferred.
    pub skipped: usize,
    /// The first of those, by its path in the tree.
    pub first_skipped: Option<PathBuf>,
    /// Bytes of finished files.
    pub finished_bytes: u64,
    /// Bytes that have crossed of those under way, by their numbers.
    pub(super) open: std::collections::HashMap<usize, u64>,
    /// The first failure, which speaks for the others.
    pub(super) trouble: Option<Trouble>,
}

impl Item {
    pub(super) fn new(spec: Arc<Spec>) -> Self {
        let size = spec.size.unwrap_or(0);
        let files = spec.tree.then(Box::default);
        Self {
            spec,
            state: State::Waiting,
            job: None,
            size,
            moved: 0,
            compared: 0,
            files,
            had: false,
            retrying: None,
        }
    }

    /// How much of it is there, from 0 to 1.
    pub fn fraction(&self) -> f32 {
        match self.state {
            State::Done => 1.0,
            _ if self.size == 0 => 0.0,
            // Bars are a few hundred pixels wide.
            #[allow(clippy::cast_possible_truncation)]
            _ => (self.moved.max(self.compared) as f64 / self.size as f64).min(1.0) as f32,
        }
    }

    /// Forgets what an earlier attempt has reached.
    pub(super) fn begin_anew(&mut self) {
        self.moved = 0;
        self.compared = 0;
        self.had = false;
        self.retrying = None;
        self.job = None;
        self.size = self.spec.size.unwrap_or(0);
        self.files = self.spec.tree.then(Box::default);
    }
}
