//! What is still to be downloaded, for any number of connections.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_types::EntryPath;
use tokio::sync::Notify;

use super::commit_queue::CommitQueue;
use super::fetch::{Destination, Download, FetchJob, FetchTarget, settle};
use super::share::{self, SharedDownload};
use super::stream_output::StreamOutput;
use super::tree::{ListedTree, LocalEntryPlan};
use crate::client::Client;
use crate::error::TransferError;
use crate::event::{Event, Events, ServerCopy};
use crate::local::{Directory, FileSite, FileSystems, PartialDownloads, check_named_target, directory_of};
use crate::transfer_options::TransferOptions;
use crate::tree::{Omitted, WalkOptions};

/// When fewer files than this wait, the next page of a tree is asked for.
const LOW: usize = 1500;

/// What one request is for.
#[derive(Debug)]
pub(crate) enum DownloadTask {
    /// A file.
    File(Box<FetchJob>),
    /// The next page of a tree.
    Page(Box<ListedTree>),
}

/// The queue.
pub(crate) struct DownloadQueue {
    state: Mutex<QueueState>,
    changed: Notify,
    walking: WalkOptions,
    manner: TransferOptions,
    sharing: SharingPolicy,
    /// What is verified and not durable yet.
    commits: CommitQueue,
    /// The directory of the last file that its user named: those that follow each other are often in one.
    named: Mutex<Option<Arc<Directory>>>,
}

/// How one file is shared among connections.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SharingPolicy {
    /// How many there may be.
    connections: usize,
    /// Whether they come at once.
    pub(crate) eager: bool,
}

/// What there is to do.
pub(crate) enum QueueStep {
    /// There may be a task.
    Task,
    /// Another connection has a file that can be shared.
    Help(Arc<SharedDownload>),
    /// Nothing, ever.
    Over,
}

#[derive(Default)]
struct QueueState {
    files: VecDeque<Box<FetchJob>>,
    /// Bytes of the files that wait, as far as they are known.
    bytes: u64,
    trees: VecDeque<Box<ListedTree>>,
    /// Tasks that somebody has taken.
    taken: usize,
    /// Trees among them.
    listing: usize,
    /// Whether somebody else finds files.
    feeding: bool,
    next: usize,
    /// Paths that were named and of which nothing is known.
    undecided: usize,
    /// Directories and links among those that were found.
    without_content: usize,
    /// Bytes of all files that were found.
    found: u64,
    told: bool,
    /// Grows with everything that is done and with every part of a file that another attempt went on behind.
    achieved: u64,
    /// What is written to and cannot be read back.
    outlets: Vec<StreamOutput>,
    /// Files that are being fetched and can be shared.
    shared: Vec<Arc<SharedDownload>>,
    /// Trees of which all pages have come.
    listed: VecDeque<Box<ListedTree>>,
    /// What was not there any more when it was asked for, while a page of its tree was on its way.
    missed: Vec<EntryPath>,
    /// Whether the server tells whether a listing is of one state.
    tells_state: bool,
}

impl DownloadQueue {
    pub(crate) fn new(
        downloads: Vec<Download>,
        walking: &WalkOptions,
        manner: TransferOptions,
        sharing: SharingPolicy,
        events: Events<'_>,
    ) -> Self {
        let queue = Self { walking: walking.clone(), manner, ..Self::empty(sharing, Arc::default()) };
        let mut parts = PartialDownloads::default();
        for Download { from, to, tree } in downloads {
            match (to, tree) {
                (Destination::Nowhere, Some(root)) => queue.add_tree(from, root, events),
                (to, tree) => {
                    let mut state = queue.state();
                    let id = state.next();
                    let local = match &to {
                        Destination::File { path, .. } => path.clone(),
                        Destination::Stream(_) | Destination::Nowhere => PathBuf::from("-"),
                    };
                    let sha256 = parts.of(&local);
                    events(Event::Found { id, remote: from.clone(), local, size: None, content: true });
                    let to = FetchTarget::from(to);
                    if let FetchTarget::Stream(outlet) = &to {
                        state.outlets.push(outlet.clone());
                    }
                    let fetch = FetchJob {
                        id,
                        from,
                        to,
                        tree,
                        sha256,
                        size: None,
                        mtime: None,
                        asked: false,
                        directory: None,
                        from_start: false,
                        in_one_go: false,
                        length: None,
                        offset: 0,
                        kept: 0,
                        undecided: true,
                    };
                    state.undecided += 1;
                    state.files.push_back(Box::new(fetch));
                }
            }
        }
        queue.tell(events);
        queue
    }

    /// A queue that somebody else fills, until [`end_feeding`](Self::end_feeding).
    pub(crate) fn fed(sharing: SharingPolicy, disks: Arc<FileSystems>) -> Self {
        let queue = Self::empty(sharing, disks);
        queue.state().feeding = true;
        queue
    }

    fn empty(sharing: SharingPolicy, disks: Arc<FileSystems>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            walking: WalkOptions::default(),
            manner: TransferOptions::default(),
            sharing,
            commits: CommitQueue::new(disks),
            named: Mutex::default(),
        }
    }

    /// What is verified and not durable yet.
    pub(super) fn commits(&self) -> &CommitQueue {
        &self.commits
    }

    /// Waits until there is room for more files.
    pub(crate) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().files.len() < LOW {
                return;
            }
            changed.await;
        }
    }

    /// Nobody else finds files any more.
    pub(crate) fn end_feeding(&self, events: Events<'_>) {
        self.state().feeding = false;
        self.tell(events);
        self.changed.notify_waiters();
    }

    /// How the downloads are done.
    pub(crate) fn manner(&self) -> TransferOptions {
        self.manner
    }

    /// The place of a file, in the directory of its tree if it is part of one. Blocks.
    pub(crate) fn site(
        &self,
        directory: Option<&Arc<Directory>>,
        path: &Path,
    ) -> Result<FileSite, TransferError> {
        if let Some(directory) = directory {
            return directory.site(path);
        }
        check_named_target(path)?;
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = named.as_ref().filter(|directory| directory.path() == directory_of(path)) {
            return directory.site(path);
        }
        let site = FileSite::named(path, self.commits.disks())?;
        *named = Some(site.directory().clone());
        Ok(site)
    }

    /// Takes the next task; `None` if there is none just now.
    pub(crate) fn take(&self) -> Option<TaskLease<'_>> {
        let mut state = self.state();
        let task = if state.page_is_due() {
            state.listing += 1;
            DownloadTask::Page(state.trees.pop_front()?)
        } else {
            let fetch = state.files.pop_front()?;
            state.bytes = state.bytes.saturating_sub(fetch.size.unwrap_or(0));
            DownloadTask::File(fetch)
        };
        state.taken += 1;
        drop(state);
        self.commits.idle(false);
        Some(TaskLease { queue: self, task: Some(task) })
    }

    /// Waits until there is something to do.
    pub(crate) async fn wait(&self) -> QueueStep {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if !state.files.is_empty() || state.page_is_due() {
                    return QueueStep::Task;
                }
                if let Some(share) = state.shared.first() {
                    return QueueStep::Help(share.clone());
                }
                if state.is_over() {
                    return QueueStep::Over;
                }
            }
            changed.await;
        }
    }

    /// Waits until nothing is left to do.
    pub(crate) async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().is_over() {
                return;
            }
            changed.await;
        }
    }

    /// The most bytes to ask for of a file at first: of one that others may help with, because there is nothing else for
    /// them to do.
    pub(super) fn first_range(&self, fetch: &FetchJob) -> Option<u64> {
        let state = self.state();
        let is_last =
            state.files.is_empty() && state.trees.is_empty() && state.listing == 0 && !state.feeding;
        let can_begin_anew = matches!(fetch.to, FetchTarget::File { .. }) && !fetch.in_one_go;
        let is_large = fetch.size.is_none_or(|size| size > share::FIRST);
        (self.sharing.connections > 1 && is_last && can_begin_anew && is_large).then_some(share::FIRST)
    }

    /// How one file is shared.
    pub(super) fn sharing(&self) -> SharingPolicy {
        self.sharing
    }

    /// Calls others to a file.
    pub(super) fn share(&self, share: Arc<SharedDownload>) {
        self.state().shared.push(share);
        self.changed.notify_waiters();
    }

    /// Nobody is needed for a file any more.
    pub(super) fn end_sharing(&self, share: &Arc<SharedDownload>) {
        self.state().shared.retain(|other| !Arc::ptr_eq(other, share));
    }

    /// Waits until `number` times so many files or bytes wait, or one file is worth another connection; `false` if that
    /// will not be.
    pub(crate) async fn holds(&self, number: usize, files: usize, bytes: u64) -> bool {
        let (files, bytes) = (number * files, number as u64 * bytes);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.files.len() >= files || (state.files.len() > 1 && state.bytes >= bytes) {
                    return true;
                }
                if state.shared.iter().any(|share| share.is_worth(number)) {
                    return true;
                }
                if state.is_over() {
                    return false;
                }
            }
            changed.await;
        }
    }

    /// Adds what a listing has yielded.
    pub(crate) fn add(
        &self,
        found: impl Iterator<Item = Result<LocalEntryPlan, Omitted>>,
        events: Events<'_>,
    ) {
        for found in found {
            let mut state = self.state();
            match found {
                Ok(LocalEntryPlan::File { entry, from, path, directory }) => {
                    let (id, size) = (state.next(), Some(entry.size));
                    events(Event::Found {
                        id,
                        remote: from.clone(),
                        local: path.clone(),
                        size,
                        content: true,
                    });
                    state.found = state.found.saturating_add(entry.size);
                    let fetch = FetchJob {
                        id,
                        from,
                        to: FetchTarget::File { path, make_directory: false },
                        tree: None,
                        sha256: entry.sha256,
                        size,
                        mtime: Some(entry.mtime),
                        asked: false,
                        directory,
                        from_start: false,
                        in_one_go: false,
                        length: None,
                        offset: 0,
                        kept: 0,
                        undecided: false,
                    };
                    if !settle(&fetch, self.manner, events) {
                        state.bytes = state.bytes.saturating_add(entry.size);
                        state.files.push_back(Box::new(fetch));
                    }
                }
                Ok(LocalEntryPlan::Link { from, path }) => {
                    let id = state.next();
                    state.without_content += 1;
                    events(Event::Found { id, remote: from, local: path, size: None, content: false });
                    events(if self.manner.dry_run {
                        Event::Would { id, size: None, at_server: ServerCopy::No }
                    } else {
                        Event::Made { id }
                    });
                }
                Ok(LocalEntryPlan::Had { from, path, done, landing }) => {
                    let (id, size) = (state.next(), Some(done.size));
                    state.found = state.found.saturating_add(done.size);
                    events(Event::Found { id, remote: from, local: path, size, content: true });
                    self.commits.add(id, landing, done);
                }
                Ok(LocalEntryPlan::Changed(change)) => {
                    if !change.dry_run {
                        self.commits.disks().change();
                    }
                    events(Event::Changed(change));
                }
                Err(omitted) => events(Event::Omitted(omitted)),
            }
        }
        self.changed.notify_waiters();
    }

    /// A file turned out to be a directory.
    pub(crate) fn list(&self, mut task: TaskLease<'_>, events: Events<'_>) {
        if let Some(DownloadTask::File(fetch)) = task.task.take() {
            let FetchJob { id, from, tree, undecided, .. } = *fetch;
            self.state().undecided -= usize::from(undecided);
            self.state().without_content += 1;
            events(Event::Made { id });
            if let Some(root) = tree {
                self.add_tree(from, root, events);
            }
        }
        task.finished(false);
        self.tell(events);
    }

    /// All pages of a tree have come. It may have to be listed again.
    pub(super) fn listed(&self, mut task: TaskLease<'_>, events: Events<'_>) {
        if let Some(DownloadTask::Page(tree)) = task.task.take() {
            self.state().listed.push_back(tree);
        }
        self.achieve();
        task.finished(true);
        self.tell(events);
    }

    /// The server tells whether a listing is of one state.
    pub(super) fn tells_state(&self) {
        self.state().tells_state = true;
    }

    /// An entry of a tree was not there any more. Returns whether the tree is listed once more for that: what was renamed
    /// has another name now. One that is still being listed is so at its end.
    pub(super) fn is_looked_for(&self, from: &EntryPath) -> bool {
        let mut state = self.state();
        if !state.tells_state {
            return false;
        }
        let mut known = false;
        for tree in &mut state.trees {
            // Another listing is about to begin anyway.
            let begun = !tree.begins_again();
            known |= tree.miss(from, begun);
        }
        let (mut looked_for, mut listed) = (true, VecDeque::new());
        for mut tree in std::mem::take(&mut state.listed) {
            if !tree.miss(from, true) {
                listed.push_back(tree);
                continue;
            }
            known = true;
            if tree.look_again().is_ok() {
                state.trees.push_back(tree);
            } else {
                looked_for = false;
                listed.push_back(tree);
            }
        }
        state.listed = listed;
        if !known {
            looked_for = state.listing > 0;
            if looked_for {
                state.missed.push(from.clone());
            }
        }
        looked_for
    }

    /// Tells a tree of which a page has come what was not there any more meanwhile.
    pub(super) fn tell_missed(&self, tree: &mut ListedTree) {
        self.state().missed.retain(|from| !tree.miss(from, true));
    }

    /// How much waits to be told to its tree.
    #[cfg(test)]
    pub(super) fn missed(&self) -> usize {
        self.state().missed.len()
    }

    /// Tells of trees that are not here as they were on the server at any time. Blocks.
    pub(super) fn tell_leftovers(&self, events: Events<'_>) {
        for tree in &mut self.state().listed {
            tree.tidy();
            if let Some(error) = tree.leftover() {
                let path = PathBuf::from(tree.from.to_string());
                events(Event::Omitted(Omitted { path, error, in_tree: false }));
            }
        }
    }

    /// Notes that something was achieved that no other attempt has to do again.
    pub(crate) fn achieve(&self) {
        self.state().achieved += 1;
    }

    /// How much was achieved so far, in no unit. Waits until what has come for standard output is written.
    pub(crate) async fn achieved(&self) -> u64 {
        let (mut achieved, outlets) = {
            let state = self.state();
            (state.achieved, state.outlets.clone())
        };
        for outlet in outlets {
            outlet.idle().await;
            achieved += outlet.written();
        }
        achieved
    }

    /// It is known what a path that was named is: a file of a size, a directory, or nothing.
    pub(super) fn decide(&self, fetch: &mut FetchJob, events: Events<'_>) {
        if std::mem::take(&mut fetch.undecided) {
            self.state().undecided -= 1;
            self.tell(events);
        }
    }

    /// Tells once that everything is found.
    pub(crate) fn tell(&self, events: Events<'_>) {
        let mut state = self.state();
        let is_known = state.undecided == 0 && state.trees.is_empty() && state.listing == 0;
        if !state.told && is_known && !state.feeding {
            state.told = true;
            let contents = state.next - state.without_content;
            events(Event::FoundAll { count: state.next, contents, bytes: state.found });
        }
    }

    fn add_tree(&self, from: EntryPath, root: PathBuf, events: Events<'_>) {
        let (walking, disks) = (self.walking.clone(), self.commits.disks().clone());
        let mut tree = Box::new(ListedTree::new(from, root.clone(), walking, self.manner.dry_run, disks));
        match tree.begin() {
            Ok(()) => self.state().trees.push_back(tree),
            Err(error) => events(Event::Omitted(Omitted { path: root, error, in_tree: false })),
        }
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharingPolicy {
    pub(crate) fn of(client: &Client) -> Self {
        Self { connections: client.connections(), eager: client.eager() }
    }
}

impl QueueState {
    /// Whether nothing is left, nor can be found.
    fn is_over(&self) -> bool {
        self.files.is_empty() && self.trees.is_empty() && self.taken == 0 && !self.feeding
    }

    /// Whether the next page of a tree is to be asked for. A tree is listed again when all is fetched that it had before:
    /// of two contents of one name the later one is to stay.
    fn page_is_due(&self) -> bool {
        let is_at_rest = self.files.is_empty() && self.taken == 0;
        let may_be = |tree: &ListedTree| is_at_rest || !tree.begins_again();
        self.files.len() < LOW && self.trees.front().is_some_and(|tree| may_be(tree))
    }

    fn next(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }
}

/// A task that somebody works on. It goes back into the queue unless it is done.
pub(crate) struct TaskLease<'a> {
    queue: &'a DownloadQueue,
    task: Option<DownloadTask>,
}

impl TaskLease<'_> {
    pub(crate) fn task(&mut self) -> &mut DownloadTask {
        self.task.as_mut().expect("a task is there until it is done or put back, which both take self")
    }

    /// Whether it is a file of which a range was asked for.
    pub(crate) fn is_ranged(&mut self) -> bool {
        matches!(self.task(), DownloadTask::File(fetch) if !fetch.asked && fetch.length.is_some())
    }

    pub(crate) fn done(mut self) {
        let listing = matches!(self.task.take(), Some(DownloadTask::Page(_)));
        self.queue.achieve();
        self.finished(listing);
    }

    /// It is to be done once more.
    pub(crate) fn put_back(self) {}

    fn finished(&mut self, listing: bool) {
        let mut state = self.queue.state();
        state.taken -= 1;
        state.listing -= usize::from(listing);
        let idle = state.taken == 0;
        drop(state);
        if idle {
            self.queue.commits.idle(true);
        }
        self.queue.changed.notify_waiters();
    }
}

impl Drop for TaskLease<'_> {
    fn drop(&mut self) {
        let listing = match self.task.take() {
            None => return,
            Some(DownloadTask::Page(tree)) => {
                self.queue.state().trees.push_front(tree);
                true
            }
            Some(DownloadTask::File(fetch)) => {
                let mut state = self.queue.state();
                let at = state.files.partition_point(|other| other.id < fetch.id);
                state.bytes = state.bytes.saturating_add(fetch.size.unwrap_or(0));
                state.files.insert(at, fetch);
                false
            }
        };
        self.finished(listing);
    }
}
