//! What a run came to.

use sealift_protocol::message::Direction;
use sealift_transfer::sync::SyncOutcome;
use serde_json::json;

use super::{NOTABLE, OpenTransfer, ReportState, files};
use crate::text;

impl ReportState<'_> {
    pub(super) fn summarize(&mut self) {
        let stored = self.direction == Direction::Put;
        self.tell_imperfect();
        self.summary_for_programs();
        let kept = match (self.kept, stored) {
            (0, _) => String::new(),
            (1, true) => "; 1 file is newer on the server and stays".to_owned(),
            (count, true) => format!("; {count} files are newer on the server and stay"),
            (1, false) => "; 1 file is newer here and stays".to_owned(),
            (count, false) => format!("; {count} files are newer here and stay"),
        };
        if self.manner.dry_run {
            let verb = if stored { "store" } else { "fetch" };
            let size = text::size(self.bytes);
            let mut there = String::new();
            for (count, bytes, has) in [
                (self.there, self.there_bytes, "has"),
                (self.may_be_there, self.may_be_there_bytes, "may have"),
            ] {
                if count > 0 {
                    let size = text::size(bytes);
                    there +=
                        &format!("; the server {has} {count} of them ({size}) and need not be sent those");
                }
            }
            let note =
                format!("would {verb} {} ({size}){there}; nothing was changed{kept}", files(self.would));
            self.printer.note(&note);
            return;
        }
        let Some(last) = &self.last else {
            if self.kept > 0 {
                let verb = if stored { "stored" } else { "fetched" };
                self.printer.note(&format!("{verb} nothing{kept}"));
            } else if self.made > 0 && self.failures.is_empty() {
                let verb = if stored { "stored" } else { "fetched" };
                self.printer.note(&format!("{verb} {} entries without content", self.made));
            } else if self.found == 0 && self.failures.is_empty() {
                let verb = if stored { "stored" } else { "fetched" };
                self.printer.note(&format!("{verb} nothing: all that was named is left out"));
            }
            return;
        };
        let took = self.began.elapsed();
        let mut facts = format!("{} in {}", text::size(self.bytes), text::duration(took));
        if let Some(rate) = text::rate(self.crossed(), took).filter(|_| self.crossed() > NOTABLE) {
            facts = format!("{facts}, {rate}");
        }
        if self.kept_bytes > 0 {
            facts = format!("{facts}; continued, {} were there", text::size(self.kept_bytes));
        }
        let OpenTransfer { remote, local, .. } = last;
        let one = self.finished == 1 && self.found == 1;
        let summary = match (stored, one, self.deduplicated) {
            (true, true, 0) => format!("stored {remote} ({facts})"),
            (true, true, _) => {
                format!("stored {remote} ({facts}): the server had it, nothing was sent")
            }
            (false, true, _) => {
                let local = if local == "-" { remote } else { local };
                format!("fetched {local} ({facts})")
            }
            (true, false, 0) => format!("stored {} ({facts})", files(self.finished)),
            (true, false, had) => {
                let all = files(self.finished);
                match had {
                    1 => format!("stored {all} ({facts}): 1 of them was not sent, the server had it"),
                    _ => format!("stored {all} ({facts}): {had} of them were not sent, the server had them"),
                }
            }
            (false, false, _) => format!("fetched {} ({facts})", files(self.finished)),
        };
        self.printer.note(&(summary + &kept));
    }

    pub(super) fn summarize_sync(&mut self, outcome: &SyncOutcome) {
        let SyncOutcome { unchanged, deleted, moved, touched, .. } = *outcome;
        let touched = touched + self.touched;
        self.tell_imperfect();
        let dry_run = self.manner.dry_run;
        let transferred = if dry_run { self.would } else { self.finished - self.deduplicated };
        let bytes = self.bytes - self.had_bytes;
        if self.printer.wants_json() {
            self.print(&json!({
                "type": "summary",
                "direction": self.direction,
                "dry_run": dry_run,
                "files": transferred,
                "bytes": bytes,
                "deduplicated_files": self.deduplicated,
                "deduplicated_bytes": self.had_bytes,
                "moved": moved,
                "touched": touched,
                "unchanged": unchanged,
                "deleted": deleted,
                "failed": self.failures.len(),
            }));
        }
        let verb = match (self.direction, dry_run) {
            (Direction::Put, false) => "stored",
            (Direction::Get, false) => "fetched",
            (Direction::Put, true) => "would store",
            (Direction::Get, true) => "would fetch",
        };
        let mut note = format!("{verb} {} ({}", files(transferred), text::size(bytes));
        if self.kept_bytes > 0 {
            note += &format!(", {} of it earlier,", text::size(self.kept_bytes));
        }
        if !dry_run {
            note += &format!(" in {}", text::duration(self.began.elapsed()));
        }
        note += ")";
        for (count, what) in [(moved, "moved or copied there"), (touched, "touched"), (deleted, "deleted")] {
            if count > 0 {
                note += &format!(", {count} {what}");
            }
        }
        note += &format!("; {unchanged} unchanged");
        if dry_run {
            note += "; nothing was changed";
        }
        let is_nothing = transferred + moved + touched + deleted == 0;
        // What comes of that is told in a moment, and is all that came of it.
        if !(is_nothing && outcome.withheld.is_some()) {
            self.printer.note(&note);
        }
    }

    /// Bytes of complete files that crossed in this run.
    fn crossed(&self) -> u64 {
        self.bytes.saturating_sub(self.had_bytes + self.kept_bytes)
    }

    fn tell_imperfect(&mut self) {
        if self.imperfect > 1 {
            let count = self.imperfect;
            self.printer.note(&format!("{count} files could not be given their permissions or their time"));
        }
    }

    fn summary_for_programs(&mut self) {
        if self.printer.wants_json() {
            self.print(&json!({
                "type": "summary",
                "direction": self.direction,
                "files": self.finished,
                "bytes": self.bytes,
                "deduplicated_files": self.deduplicated,
                "deduplicated_bytes": self.had_bytes,
                "would": self.would,
                "kept": self.kept,
                "failed": self.failures.len(),
            }));
        }
    }
}
