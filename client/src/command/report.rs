//! What uploads and downloads tell the user: results, failures, progress, a summary.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealift_protocol::Name;
use sealift_protocol::message::Direction;
use sealift_transfer::event::Done;
use sealift_transfer::plan::Skipped;
use sealift_transfer::{Error, Event};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::outcome::together;
use crate::printer::Printer;
use crate::progress::Bar;
use crate::text::{self, absolute};

/// How often JSON lines tell of progress.
const INTERVAL: Duration = Duration::from_millis(500);

/// Below this many bytes a rate says more about waiting than about bytes.
const NOTABLE: u64 = 1024 * 1024;

/// What the two ends of a transfer are called.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The absolute path on the server.
    pub(crate) remote: String,
    /// The local file, or `-`.
    pub(crate) local: String,
}

/// Takes a run's events, and knows at the end how it went.
pub(crate) struct Report<'a> {
    state: Mutex<State<'a>>,
}

struct State<'a> {
    printer: &'a mut Printer,
    direction: Direction,
    own: Name,
    ends: Vec<Ends>,
    bar: Bar,
    began: Instant,
    /// When a JSON line last told of progress.
    told: Instant,
    /// Sizes of files as far as they are known.
    sizes: Vec<Option<u64>>,
    /// The file that is being compared with what the server has.
    hashing: Option<usize>,
    /// The files that are complete, how many of them the server had, and all bytes of them.
    finished: usize,
    deduplicated: usize,
    bytes: u64,
    /// The last file that is complete.
    last: Option<usize>,
    failures: Vec<Exit>,
    /// What to fail with when standard output cannot be written.
    broken: Option<Failure>,
}

impl<'a> Report<'a> {
    /// For transfers between `ends`, of a caller whose own space is `own`.
    pub(crate) fn new(printer: &'a mut Printer, direction: Direction, own: Name, ends: Vec<Ends>) -> Self {
        let (bar, now) = (Bar::new(printer.wants_bar()), Instant::now());
        let sizes = vec![None; ends.len()];
        let state = State {
            printer,
            direction,
            own,
            ends,
            bar,
            began: now,
            told: now,
            sizes,
            hashing: None,
            finished: 0,
            deduplicated: 0,
            bytes: 0,
            last: None,
            failures: Vec::new(),
            broken: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// Takes an event of the engine.
    pub(crate) fn take(&self, event: Event) {
        self.state().take(event);
    }

    /// Tells of local files that cannot be transferred at all.
    pub(crate) fn skip(&self, skipped: Vec<Skipped>) {
        let mut state = self.state();
        for Skipped { path, error } in skipped {
            state.failed(None, &path.display().to_string(), error);
        }
    }

    /// Tells how it all went.
    pub(crate) fn end(self, result: Result<(), Error>) -> Result<Exit, Failure> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.bar.clear();
        if let Some(failure) = state.broken.take() {
            return Err(failure);
        }
        let total = state.ends.len();
        if let Err(error) = result {
            let mut failure = Failure::from(error);
            if total > 1 && state.finished > 0 {
                failure.message += &format!("; {} of {total} files were done before", state.finished);
            }
            return Err(failure);
        }
        state.summarize();
        Ok(together(state.finished + state.failures.len(), &state.failures))
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Planned { bytes, .. } => self.bar.set_length(bytes),
            Event::Started { id, size } => {
                self.sizes[id] = size;
                self.hashing = None;
                if self.ends.len() == 1 {
                    self.bar.set_length(size);
                }
                self.name(id, "");
            }
            Event::Redirected { id, to } => self.ends[id].remote = absolute(&to, &self.own),
            Event::Hashed { id, bytes } => {
                if self.hashing.replace(id) != Some(id) {
                    self.name(id, "comparing ");
                }
                self.bar.set_position(self.bytes + bytes);
            }
            Event::Progress { id, bytes } => {
                self.bar.set_position(self.bytes + bytes);
                self.tell_progress(id, bytes);
            }
            Event::Finished { id, done } => self.finished(id, &done),
            Event::Failed { id, error } => {
                let local = self.ends[id].local.clone();
                self.failed(Some(id), &local, error);
            }
        }
    }

    /// Puts a file's name before the bar.
    fn name(&mut self, id: usize, what: &str) {
        let (number, total, local) =
            (self.finished + self.failures.len() + 1, self.ends.len(), &self.ends[id].local);
        self.bar.set_message(|| {
            if total == 1 { format!("{what}{local}") } else { format!("[{number}/{total}] {what}{local}") }
        });
    }

    fn tell_progress(&mut self, id: usize, bytes: u64) {
        if self.printer.wants_json() && self.told.elapsed() >= INTERVAL {
            self.told = Instant::now();
            let Ends { remote, local } = &self.ends[id];
            let line = json!({
                "type": "progress", "path": remote, "local": local, "bytes": bytes, "size": self.sizes[id],
            });
            self.print(&line);
        }
    }

    fn finished(&mut self, id: usize, done: &Done) {
        self.finished += 1;
        self.deduplicated += usize::from(done.deduplicated);
        self.bytes += done.size;
        self.last = Some(id);
        self.bar.set_position(self.bytes);
        if self.printer.wants_json() {
            let Ends { remote, local } = &self.ends[id];
            let line = json!({
                "type": "finished",
                "direction": self.direction,
                "path": remote,
                "local": local,
                "size": done.size,
                "sha256": done.sha256,
                "deduplicated": done.deduplicated,
                "seconds": done.duration.as_secs_f64(),
                "wire_bytes": done.wire_bytes,
            });
            self.print(&line);
        }
    }

    fn failed(&mut self, id: Option<usize>, local: &str, error: Error) {
        let remote = id.map(|id| self.ends[id].remote.as_str());
        // The server names the path as it was asked for; what is local names the local file.
        let known = matches!(error, Error::Local { .. } | Error::Unfit { .. } | Error::SourceChanged { .. });
        let about = remote.filter(|_| !known).unwrap_or(local);
        let failure = Failure::from(error).about(about);
        self.failures.push(failure.exit);
        if self.printer.wants_json() {
            let line = json!({
                "type": "failed",
                "direction": self.direction,
                "path": remote,
                "local": local,
                "code": failure.code,
                "message": failure.message,
                "hint": failure.hint,
                "exit": failure.exit.code(),
            });
            self.print(&line);
        }
        let printer = &mut *self.printer;
        self.bar.suspend(|| printer.failure(&failure));
    }

    fn print(&mut self, line: &serde_json::Value) {
        // Whoever reads JSON lines wants them now, not when a buffer is full.
        if let Err(failure) = self.printer.object(line).and_then(|()| self.printer.flush()) {
            self.broken.get_or_insert(failure);
        }
    }

    fn summarize(&mut self) {
        let Some(last) = self.last else { return };
        let took = self.began.elapsed();
        let mut facts = format!("{} in {}", text::size(self.bytes), text::duration(took));
        if let Some(rate) =
            text::rate(self.bytes, took).filter(|_| self.bytes > NOTABLE && self.deduplicated < self.finished)
        {
            facts = format!("{facts}, {rate}");
        }
        let Ends { remote, local } = &self.ends[last];
        let summary = match (self.direction, self.finished, self.deduplicated) {
            (Direction::Put, 1, 0) => format!("stored {remote} ({facts})"),
            (Direction::Put, 1, _) => {
                format!("stored {remote} ({facts}): the server had it, nothing was sent")
            }
            (Direction::Get, 1, _) => {
                let local = if local == "-" { remote } else { local };
                format!("fetched {local} ({facts})")
            }
            (Direction::Put, files, 0) => format!("stored {files} files ({facts})"),
            (Direction::Put, files, had) => {
                format!("stored {files} files ({facts}): the server had {had} of them")
            }
            (Direction::Get, files, _) => format!("fetched {files} files ({facts})"),
        };
        self.printer.note(&summary);
    }
}
