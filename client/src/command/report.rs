//! What uploads and downloads tell the user: results, failures, progress, a summary.

mod progress;
mod summary;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealift_protocol::message::Direction;
use sealift_transfer::event::{EitherPath, ServerCopy, TransferSummary, TreeChange, TreeChangeKind};
use sealift_transfer::sync::{SyncOutcome, Withheld};
use sealift_transfer::tree::Omitted;
use sealift_transfer::{Event, TransferError, TransferOptions};
use sealift_types::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::outcome::together;
use crate::printer::Printer;
use crate::progress::Bar;
use crate::text::{self, absolute};

/// Below this many bytes a rate says more about waiting than about bytes.
const NOTABLE: u64 = 1024 * 1024;

/// A transfer that is not over yet.
#[derive(Debug)]
struct OpenTransfer {
    /// The absolute path on the server.
    remote: String,
    /// The local file, or `-`.
    local: String,
    size: Option<u64>,
    /// Whether it has a content.
    content: bool,
    /// Bytes that an earlier attempt has moved.
    offset: u64,
    /// Bytes that have crossed, or had.
    crossed: u64,
    /// Bytes that were read to find out whether the server has them.
    compared: u64,
}

/// How much there is in all.
#[derive(Debug, Clone, Copy)]
struct Total {
    /// With directories and links.
    all: usize,
    files: usize,
    /// Of the files, as far as they are known.
    bytes: u64,
}

/// Takes a run's events, and knows at the end how it went.
pub(crate) struct RunReport<'a> {
    state: Mutex<ReportState<'a>>,
}

struct ReportState<'a> {
    printer: &'a mut Printer,
    direction: Direction,
    manner: TransferOptions,
    own: Name,
    open: HashMap<usize, OpenTransfer>,
    bar: Bar,
    began: Instant,
    /// When a JSON line last told of progress, and how many bytes had crossed then.
    told: (Instant, u64),
    /// What was found so far, the files among that, and bytes of them as far as they are known.
    found: usize,
    found_files: usize,
    found_bytes: u64,
    /// The same of all, once that is known.
    total: Option<Total>,
    /// Files that are not complete.
    open_files: usize,
    /// Bytes that earlier attempts have moved, of the files that are complete and of those under way.
    kept_bytes: u64,
    kept_crossing: u64,
    /// The file that is being compared with what the server has.
    hashing: Option<usize>,
    /// Bytes of the transfers under way, and of those that are being compared.
    crossing: u64,
    comparing: u64,
    /// The files that are complete, how many of them the server had, and all bytes of them.
    finished: usize,
    deduplicated: usize,
    bytes: u64,
    /// Directories and links that are there.
    made: usize,
    /// Files that were newer at the other end.
    kept: usize,
    /// Files and links that would be transferred if this were not only talk.
    would: usize,
    /// Those among them that the server has, and bytes of them.
    there: usize,
    there_bytes: u64,
    /// Those among them that the server may have, and bytes of them.
    may_be_there: usize,
    may_be_there_bytes: u64,
    /// Other changes, and those of them that are no more than another time or mode.
    changed: usize,
    touched: usize,
    /// Bytes of the files that the destination had.
    had_bytes: u64,
    /// Bytes of files whose sizes were not known when they were found.
    late_bytes: u64,
    /// Failures that are not about the file: how often each came, and what to say of it.
    common: Vec<(usize, Failure)>,
    /// The last file that is complete.
    last: Option<OpenTransfer>,
    /// What was found and was not there any more.
    vanished: usize,
    /// Files without all that they should have beside their content.
    imperfect: usize,
    failures: Vec<Exit>,
    /// What to fail with when standard output cannot be written.
    broken: Option<Failure>,
}

impl<'a> RunReport<'a> {
    /// For the transfers of a caller whose own space is `own`.
    pub(crate) fn new(
        printer: &'a mut Printer,
        direction: Direction,
        manner: TransferOptions,
        own: Name,
    ) -> Self {
        let (bar, now) = (Bar::new(printer.wants_bar()), Instant::now());
        let state = ReportState {
            printer,
            direction,
            manner,
            own,
            open: HashMap::new(),
            bar,
            began: now,
            told: (now, 0),
            found: 0,
            found_files: 0,
            open_files: 0,
            kept_bytes: 0,
            kept_crossing: 0,
            found_bytes: 0,
            total: None,
            hashing: None,
            crossing: 0,
            comparing: 0,
            finished: 0,
            deduplicated: 0,
            bytes: 0,
            made: 0,
            kept: 0,
            would: 0,
            there: 0,
            there_bytes: 0,
            may_be_there: 0,
            may_be_there_bytes: 0,
            changed: 0,
            touched: 0,
            had_bytes: 0,
            late_bytes: 0,
            common: Vec::new(),
            last: None,
            vanished: 0,
            imperfect: 0,
            failures: Vec::new(),
            broken: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// Takes an event of the engine.
    pub(crate) fn take(&self, event: Event) {
        self.state().take(event);
    }

    /// Tells how it all went.
    pub(crate) fn end(self, result: Result<(), TransferError>) -> Result<Exit, Failure> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.bar.clear();
        if let Some(failure) = state.broken.take() {
            return Err(failure);
        }
        state.tell_common();
        if let Err(error) = result {
            return Err(state.gave_up(error));
        }
        state.summarize();
        let ended = state.finished + state.made + state.kept + state.would + state.failures.len();
        Ok(together(ended, &state.failures))
    }

    /// Tells how syncing went.
    pub(crate) fn end_sync(self, result: Result<SyncOutcome, TransferError>) -> Result<Exit, Failure> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.bar.clear();
        if let Some(failure) = state.broken.take() {
            return Err(failure);
        }
        state.tell_common();
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return Err(state.gave_up(error)),
        };
        state.summarize_sync(&outcome);
        match outcome.withheld {
            Some(Withheld::TooMuch { going, of }) => {
                let message = format!(
                    "nothing was deleted: {going} of the {} in the destination would go, which is more than half",
                    files(of)
                );
                let hint =
                    "check that the source is the right one; --delete-anyway deletes them all the same";
                return Err(Failure::new(Exit::Other, "too-much", message).hint(hint));
            }
            Some(Withheld::TooMany { known }) => {
                let message = format!(
                    "nothing was deleted: more than {known} entries would go, which is too many to remember at once"
                );
                let hint = "delete directories that are not wanted with sealift rm -r first, or sync the directories \
                            in it one by one";
                return Err(Failure::new(Exit::Other, "too-many", message).hint(hint));
            }
            Some(Withheld::Failures) => {
                let message = "nothing was deleted, because not everything could be transferred";
                let failure = Failure::new(Exit::Some, "failures", message).hint("mend that, and sync again");
                state.printer.warning(&failure);
            }
            Some(Withheld::Restless) => {
                let message = "the directory on the server changed each time it was listed: what was renamed \
                               meanwhile may be missing here, and nothing was deleted";
                let failure =
                    Failure::new(Exit::Some, "restless", message).hint("sync again when it is quiet");
                state.failures.push(failure.exit);
                state.printer.warning(&failure);
            }
            None => {}
        }
        // What is equal already was a part of the task, too.
        Ok(together(state.failures.len() + 1, &state.failures))
    }

    fn state(&self) -> MutexGuard<'_, ReportState<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReportState<'_> {
    /// What to say when the whole run ended with an error.
    fn gave_up(&self, error: TransferError) -> Failure {
        let mut failure = Failure::from(error);
        if self.found > 1 && self.finished > 0 {
            let of = self.total.map_or_else(String::new, |total| format!(" of {}", total.files));
            failure.message += &format!("; {}{of} files were done before", self.finished);
        }
        failure
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Found { id, remote, local, size, content } => {
                self.found += 1;
                self.found_files += usize::from(content);
                self.open_files += usize::from(content);
                self.found_bytes = self.found_bytes.saturating_add(size.unwrap_or(0));
                let (remote, local) = (absolute(&remote, &self.own), local.display().to_string());
                let open = OpenTransfer { remote, local, size, content, offset: 0, crossed: 0, compared: 0 };
                self.open.insert(id, open);
            }
            Event::FoundAll { count, contents, bytes } => {
                self.total = Some(Total { all: count, files: contents, bytes });
                self.show_length();
            }
            Event::Omitted(omitted) => self.omitted(omitted),
            Event::Retrying { error, wait } => self.retrying(error, wait),
            Event::Started { id, size, offset } => {
                self.hashing = None;
                self.advance(id, 0, 0);
                if let Some(open) = self.open.get_mut(&id) {
                    if open.size.is_none() {
                        self.late_bytes = self.late_bytes.saturating_add(size.unwrap_or(0));
                    }
                    open.size = size;
                }
                if self.found == 1 {
                    self.bar.set_length(size);
                } else {
                    self.show_length();
                }
                self.begin_behind(id, offset);
                self.name(id, "");
            }
            Event::Redirected { id, to } => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.remote = absolute(&to, &self.own);
                }
            }
            Event::Hashed { id, bytes } => {
                if self.hashing.replace(id) != Some(id) {
                    self.name(id, "comparing ");
                }
                self.advance(id, 0, bytes);
            }
            Event::Progress { id, bytes } => {
                self.advance(id, bytes, 0);
                self.tell_progress(id);
            }
            Event::Finished { id, done } => {
                self.finished(id, &done);
            }
            Event::Imperfect { error, .. } => self.imperfect(error),
            Event::Made { id } => {
                // What looked like a file may be a directory.
                self.found_files -= usize::from(self.close(id).is_some_and(|open| open.content));
                self.made += 1;
            }
            Event::Kept { id } => self.kept(id),
            Event::Would { id, size, at_server } => self.would(id, size, at_server),
            Event::Changed(change) => self.changed(&change),
            Event::Vanished { id } => self.has_vanished(id),
            Event::Failed { id, error } => {
                self.advance(id, 0, 0);
                if let Some(OpenTransfer { remote, local, .. }) = self.close(id) {
                    self.failed(Some(&remote), &local, error);
                }
            }
        }
        self.show_count();
    }

    /// Takes out what has ended.
    fn close(&mut self, id: usize) -> Option<OpenTransfer> {
        let open = self.open.remove(&id)?;
        self.open_files -= usize::from(open.content);
        self.kept_crossing -= open.offset;
        Some(open)
    }

    fn finished(&mut self, id: usize, done: &TransferSummary) {
        self.finished += 1;
        self.deduplicated += usize::from(done.deduplicated);
        self.had_bytes += if done.deduplicated { done.size } else { 0 };
        self.bytes += done.size;
        let Some(mut open) = self.close(id) else { return };
        self.kept_bytes += open.offset;
        // At once: a bar that goes back for a moment forgets its rate.
        self.crossing -= open.crossed;
        self.comparing -= open.compared;
        self.show_position();
        if self.printer.wants_json() {
            let OpenTransfer { remote, local, .. } = &open;
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
            // Of a small file nothing is told before its end.
            if let (true, Some(rate)) = (self.found > 1, self.rate_to_tell()) {
                open.crossed = if done.deduplicated { 0 } else { done.size };
                let line = self.progress(&open, rate);
                self.print(&line);
            }
        }
        self.last = Some(open);
    }

    /// A file is newer at the other end.
    fn kept(&mut self, id: usize) {
        self.advance(id, 0, 0);
        self.kept += 1;
        let Some(OpenTransfer { remote, local, .. }) = self.close(id) else { return };
        if self.printer.wants_json() {
            let direction = self.direction;
            self.print(&json!({ "type": "kept", "direction": direction, "path": remote, "local": local }));
        }
    }

    /// What was found has gone before it was transferred.
    fn has_vanished(&mut self, id: usize) {
        self.advance(id, 0, 0);
        let Some(OpenTransfer { remote, local, .. }) = self.close(id) else { return };
        let what = if self.direction == Direction::Put { &local } else { &remote };
        self.gone(&local, what);
    }

    /// A file would be transferred.
    fn would(&mut self, id: usize, size: Option<u64>, at_server: ServerCopy) {
        let Some(OpenTransfer { remote, local, .. }) = self.close(id) else { return };
        self.would += 1;
        self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
        let (count, bytes) = match at_server {
            ServerCopy::No => (&mut 0, &mut 0),
            ServerCopy::Perhaps => (&mut self.may_be_there, &mut self.may_be_there_bytes),
            ServerCopy::Yes => (&mut self.there, &mut self.there_bytes),
        };
        *count += 1;
        *bytes = bytes.saturating_add(size.unwrap_or(0));
        let (action, path) = match self.direction {
            Direction::Put => ("store", &remote),
            Direction::Get => ("fetch", if local == "-" { &remote } else { &local }),
        };
        if self.printer.wants_json() {
            let mut would = json!({
                "type": "would", "action": action, "path": remote, "local": local, "size": size,
            });
            if self.direction == Direction::Put && at_server != ServerCopy::Perhaps {
                would["at_server"] = (at_server == ServerCopy::Yes).into();
            }
            self.print(&would);
            return;
        }
        let size = size.map_or_else(String::new, |size| format!(" ({})", text::size(size)));
        let line = format!("would {action} {}{size}", self.printer.name(path));
        self.line(&line);
    }

    /// Something else was done, or would be.
    fn changed(&mut self, change: &TreeChange) {
        let TreeChange { action, place, from, size, dry_run } = change;
        self.changed += 1;
        self.touched += usize::from(*action == TreeChangeKind::Touch);
        if *dry_run
            && matches!(action, TreeChangeKind::Store | TreeChangeKind::Fetch | TreeChangeKind::Update)
        {
            self.would += 1;
            self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
        }
        let action = action_name(*action);
        let shown = |place: &EitherPath| match place {
            EitherPath::Remote(path) => {
                let slash = if path.means_directory() && path.as_str() != "/" { "/" } else { "" };
                absolute(path, &self.own) + slash
            }
            EitherPath::Local(path) => path.display().to_string(),
        };
        let key = if matches!(place, EitherPath::Remote(_)) { "path" } else { "local" };
        let (place, from) = (shown(place), from.as_ref().map(shown));
        if self.printer.wants_json() {
            let kind = if *dry_run { "would" } else { "did" };
            self.print(&json!({ "type": kind, "action": action, key: place, "from": from, "size": size }));
        } else if *dry_run {
            let from = from.map_or_else(String::new, |from| format!("{} -> ", self.printer.name(&from)));
            let size = size.map_or_else(String::new, |size| format!(" ({})", text::size(size)));
            let line = format!("would {action} {from}{}{size}", self.printer.name(&place));
            self.line(&line);
        }
    }

    /// Prints a line of data.
    fn line(&mut self, line: &str) {
        let printer = &mut *self.printer;
        let printed = self.bar.suspend(|| printer.line(line).and_then(|()| printer.flush()));
        if let Err(failure) = printed {
            self.broken.get_or_insert(failure);
        }
    }

    fn omitted(&mut self, omitted: Omitted) {
        let harmless = omitted.is_harmless();
        let Omitted { path, error, .. } = omitted;
        if !harmless {
            self.failed(None, &path.display().to_string(), error);
            return;
        }
        let path = path.display().to_string();
        match error {
            TransferError::Local { .. } => self.gone(&path, &path),
            error => self.skipped(&path, &Failure::from(error), true),
        }
    }

    /// Something that was found is not there any more. The first one is told, and at the end how many more there were.
    fn gone(&mut self, local: &str, what: &str) {
        let failure = Failure::new(Exit::Done, "vanished", format!("{what} vanished, and was skipped"));
        self.vanished += 1;
        self.skipped(local, &failure, self.vanished == 1);
    }

    fn skipped(&mut self, local: &str, failure: &Failure, is_told: bool) {
        if self.printer.wants_json() {
            self.print(&json!({
                "type": "skipped",
                "direction": self.direction,
                "local": local,
                "message": failure.message,
            }));
        }
        if is_told {
            let printer = &mut *self.printer;
            self.bar.suspend(|| printer.warning(failure));
        }
    }

    /// A file has its content, and not all that it should have beside it. Where one has not, many have not.
    fn imperfect(&mut self, error: TransferError) {
        self.imperfect += 1;
        let is_unfit = matches!(error, TransferError::Unfit { .. });
        let mut failure = Failure::from(error);
        if !is_unfit {
            failure = failure.hint(
                "the content is complete: the file system cannot hold them, or the file is somebody else's",
            );
        }
        if self.printer.wants_json() {
            self.print(&json!({ "type": "imperfect", "message": failure.message }));
        } else if self.imperfect == 1 {
            let printer = &mut *self.printer;
            self.bar.suspend(|| printer.warning(&failure));
        }
    }

    fn retrying(&mut self, error: TransferError, wait: Duration) {
        let failure = Failure::from(error);
        let message = format!("{}; trying again in {:.1} s", failure.message, wait.as_secs_f64());
        if self.printer.wants_json() {
            let line = json!({
                "type": "retrying", "code": failure.code, "message": failure.message, "seconds": wait.as_secs_f64(),
            });
            self.print(&line);
        }
        let printer = &mut *self.printer;
        self.bar.suspend(|| printer.note(&message));
    }

    fn failed(&mut self, remote: Option<&str>, local: &str, error: TransferError) {
        // The server names the path as it was asked for; what is local names the local file.
        let known = matches!(
            error,
            TransferError::Local { .. } | TransferError::Unfit { .. } | TransferError::SourceChanged { .. }
        );
        let about = remote.filter(|_| !known).unwrap_or(local);
        let common = Failure::common(&error);
        let failure = Failure::from(error);
        // Standard input, and what a command prints, have no name.
        let failure = if about == "-" { failure } else { failure.about(about) };
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
        // Of what would fail every file the first one is told, and at the end how many more there were.
        if let Some(common) = common {
            if let Some((times, _)) = self.common.iter_mut().find(|(_, known)| *known == common) {
                *times += 1;
                return;
            }
            self.common.push((1, common));
        }
        let printer = &mut *self.printer;
        self.bar.suspend(|| printer.failure(&failure));
    }

    /// Tells how many more files failed for a reason that was told of one.
    fn tell_common(&mut self) {
        if self.vanished > 1 {
            let message = format!("{} more vanished, and were skipped", files(self.vanished - 1));
            self.printer.warning(&Failure::new(Exit::Done, "vanished", message));
        }
        for (times, mut failure) in std::mem::take(&mut self.common) {
            if times > 1 {
                let more = files(times - 1);
                failure.message = format!("{more} more failed for the same reason: {}", failure.message);
                self.printer.failure(&failure);
            }
        }
    }

    fn print(&mut self, line: &serde_json::Value) {
        // Whoever reads JSON lines wants them now, not when a buffer is full.
        if let Err(failure) = self.printer.object(line).and_then(|()| self.printer.flush()) {
            self.broken.get_or_insert(failure);
        }
    }
}

/// `1 file`, `2 files`.
fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// An action as programs and people know it.
fn action_name(action: TreeChangeKind) -> &'static str {
    match action {
        TreeChangeKind::Store => "store",
        TreeChangeKind::Fetch => "fetch",
        TreeChangeKind::Update => "update",
        TreeChangeKind::Move => "move",
        TreeChangeKind::Copy => "copy",
        TreeChangeKind::Delete => "delete",
        TreeChangeKind::MakeDirectory => "mkdir",
        TreeChangeKind::Touch => "touch",
    }
}
