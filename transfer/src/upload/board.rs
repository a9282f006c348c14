//! What one connection has taken on and not finished: it begins again when the connection is lost.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealift_protocol::WireError;
use sealift_protocol::message::Stored;
use sealift_types::ErrorCode;

use super::job::{UploadJob, UploadKind};
use crate::error::TransferError;
use crate::event::{Event, Events, ServerCopy, TransferSummary};

/// The open jobs of one worker, and whom to tell how they end.
pub(super) struct JobBoard<'a> {
    pub(super) events: Events<'a>,
    state: Mutex<BoardState>,
}

#[derive(Default)]
struct BoardState {
    open: BTreeMap<usize, UploadJob>,
    /// Grows with everything that ends, and with every byte that the server keeps of what does not.
    achieved: u64,
    /// The most bytes that the server had of each job at the beginning of an attempt.
    kept_there: BTreeMap<usize, u64>,
    /// Whether the server takes slices of a content.
    knows_slices: bool,
}

impl<'a> JobBoard<'a> {
    pub(super) fn new(events: Events<'a>) -> Self {
        Self { events, state: Mutex::default() }
    }

    /// Takes a job on.
    pub(super) fn open(&self, job: &UploadJob) {
        self.state().open.insert(job.id, job.clone());
    }

    /// Takes the jobs off that are not finished. `None` if one of them cannot begin again.
    pub(super) fn unfinished(&self) -> Option<Vec<UploadJob>> {
        let mut state = self.state();
        let repeatable = state.open.values().all(|job| !matches!(job.what, UploadKind::Pipe));
        repeatable.then(|| std::mem::take(&mut state.open).into_values().collect())
    }

    /// How much was achieved so far, in no unit.
    pub(super) fn achieved(&self) -> u64 {
        self.state().achieved
    }

    /// Notes whether the server takes slices of a content over further connections.
    pub(super) fn learn(&self, knows_slices: bool) {
        self.state().knows_slices = knows_slices;
    }

    /// Whether it does, as far as it has said.
    pub(super) fn knows_slices(&self) -> bool {
        self.state().knows_slices
    }

    pub(super) fn progress(&self, id: usize, bytes: u64) {
        (self.events)(Event::Progress { id, bytes });
    }

    /// Notes that the server has so much of a content, from earlier attempts.
    pub(super) fn kept_there(&self, id: usize, bytes: u64) {
        let mut state = self.state();
        let before = state.kept_there.insert(id, bytes).unwrap_or(0);
        if bytes > before {
            state.achieved += 1;
        } else {
            state.kept_there.insert(id, before);
        }
    }

    pub(super) fn made(&self, id: usize) {
        self.close(id);
        (self.events)(Event::Made { id });
    }

    pub(super) fn kept(&self, id: usize) {
        self.close(id);
        (self.events)(Event::Kept { id });
    }

    pub(super) fn would(&self, id: usize, size: Option<u64>, at_server: ServerCopy) {
        self.close(id);
        (self.events)(Event::Would { id, size, at_server });
    }

    /// Tells that a file is stored, if it is the one that was sent.
    pub(super) fn stored(&self, job: &UploadJob, stored: &Stored, done: TransferSummary) {
        if stored.size == done.size && stored.sha256 == done.sha256 {
            self.close(job.id);
            (self.events)(Event::Finished { id: job.id, done });
            return;
        }
        let reason = format!(
            "{} bytes with the SHA-256 {} were sent, and the server stored {} with {}",
            done.size, done.sha256, stored.size, stored.sha256
        );
        self.failed(job.id, TransferError::Integrity { path: job.to.clone(), reason });
    }

    pub(super) fn failed(&self, id: usize, error: TransferError) {
        let in_tree = self.state().open.get(&id).is_some_and(|job| job.root.is_some());
        self.close(id);
        // Nobody asked for the file itself, only for what is in the tree.
        let vanished = in_tree && error.is_absence();
        (self.events)(if vanished { Event::Vanished { id } } else { Event::Failed { id, error } });
    }

    /// Sends a file into the directory that its target turned out to be, if the server refused the file for that reason.
    pub(super) fn redirected(&self, job: &UploadJob, refusal: &WireError) -> Option<UploadJob> {
        let to = job.inside.clone().filter(|_| refusal.code == ErrorCode::IsADirectory)?;
        (self.events)(Event::Redirected { id: job.id, to: to.clone() });
        let job = UploadJob { to, inside: None, ..job.clone() };
        self.open(&job);
        Some(job)
    }

    fn close(&self, id: usize) {
        let mut state = self.state();
        state.open.remove(&id);
        state.achieved += 1;
    }

    fn state(&self) -> MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
