//! How far a run has come: the bar for people, lines for programs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{OpenTransfer, ReportState, Total};
use crate::text;

/// How often JSON lines tell of progress.
const INTERVAL: Duration = Duration::from_millis(500);

impl ReportState<'_> {
    /// Takes down how much of a file has crossed, or was read to compare it, and shows it.
    pub(super) fn advance(&mut self, id: usize, crossed: u64, compared: u64) {
        if let Some(open) = self.open.get_mut(&id) {
            self.crossing = self.crossing - open.crossed + crossed;
            self.comparing = self.comparing - open.compared + compared;
            (open.crossed, open.compared) = (crossed, compared);
        }
        self.show_position();
    }

    /// Shows how much is done.
    pub(super) fn show_position(&mut self) {
        // What is read to compare it may cross still: of several files it counts when it is known not to.
        let comparing = if self.found == 1 { self.comparing } else { 0 };
        self.bar.set_position(self.bytes + self.crossing + comparing);
    }

    /// An earlier attempt has moved the beginning of a file: that much is done, and was not done now.
    pub(super) fn begin_behind(&mut self, id: usize, offset: u64) {
        let Some(open) = self.open.get_mut(&id) else { return };
        self.kept_crossing = self.kept_crossing - open.offset + offset;
        open.offset = offset;
        if offset > 0 {
            self.advance(id, offset, 0);
            self.bar.forget_rate();
        }
    }

    /// Shows how much there is in all, once that is known, of several files.
    pub(super) fn show_length(&mut self) {
        if let Some(Total { all: 2.., bytes, .. }) = self.total {
            self.bar.set_length(Some(bytes.saturating_add(self.late_bytes)));
        }
    }

    /// Puts a file's name beside the bar.
    pub(super) fn name(&self, id: usize, what: &str) {
        if let Some(OpenTransfer { local, .. }) = self.open.get(&id) {
            self.bar.set_message(|| format!("{what}{local}"));
        }
    }

    /// Shows how many files are left, and what needs no transfer, unless there is only one.
    pub(super) fn show_count(&mut self) {
        if self.found < 2 {
            return;
        }
        let (left, total) = (self.left(), self.total);
        let (had, had_bytes) = (self.deduplicated, self.had_bytes);
        self.bar.set_count(|| {
            let mut count = match (left, total) {
                (1, Some(_)) => "1 file left".to_owned(),
                (left, Some(_)) => format!("{left} files left"),
                (left, None) => format!("{left}+ files left"),
            };
            if had > 0 {
                count += &format!(", {had} skipped ({})", text::size(had_bytes));
            }
            count
        });
    }

    /// Tells programs how far it is, on account of a file under way, unless they were told a moment ago.
    pub(super) fn tell_progress(&mut self, id: usize) {
        if let Some(rate) = self.rate_to_tell()
            && let Some(open) = self.open.get(&id)
        {
            let line = self.progress(open, rate);
            self.print(&line);
        }
    }

    /// Bytes per second since programs were told last; nothing if that is not long ago.
    pub(super) fn rate_to_tell(&mut self) -> Option<u64> {
        let (told, told_bytes) = self.told;
        let since = told.elapsed();
        if !self.printer.wants_json() || since < INTERVAL {
            return None;
        }
        // What the server had did not cross.
        let kept = self.kept_bytes + self.kept_crossing;
        let crossed = (self.bytes + self.crossing).saturating_sub(self.had_bytes + kept);
        self.told = (Instant::now(), crossed);
        Some(per_second(crossed.saturating_sub(told_bytes), since))
    }

    /// A line for programs.
    pub(super) fn progress(&self, open: &OpenTransfer, rate: u64) -> Value {
        let OpenTransfer { remote, local, size, crossed, .. } = open;
        let done = self.bytes + self.crossing;
        let seconds_left = match self.total {
            Some(total) if rate > 0 => {
                Some(total.bytes.saturating_add(self.late_bytes).saturating_sub(done).div_ceil(rate))
            }
            _ => None,
        };
        json!({
            "type": "progress",
            "path": remote,
            "local": local,
            "bytes": crossed,
            "size": size,
            "files_done": self.finished,
            "files_found": self.found_files,
            "files_left": self.left(),
            "bytes_done": done,
            "bytes_found": self.found_bytes.saturating_add(self.late_bytes),
            "found_all": self.total.is_some(),
            "bytes_per_second": rate,
            "seconds_left": seconds_left,
            "deduplicated_files": self.deduplicated,
            "deduplicated_bytes": self.had_bytes,
        })
    }

    /// Files that were found and are not complete, and those that are known of and were not told of yet.
    fn left(&self) -> usize {
        self.open_files + self.total.map_or(0, |total| total.files.saturating_sub(self.found_files))
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let rate = u128::from(bytes) * 1000 / time.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
