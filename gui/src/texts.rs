//! Every text of the window, in one place, so that it can be translated.

mod messages;
mod servers;

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sealift_protocol::message::Nanoseconds;
use sealift_types::EntryPath;

use crate::model::conflict::Conflict;
use crate::model::queue::{Facts, Totals};
pub(crate) use messages::*;
pub(crate) use servers::*;

/// The program's name.
pub(crate) const NAME: &str = "Sealift";
/// How many records of the log are shown at most.
pub(crate) const LOG_PAGE: u64 = 2000;

// Joining.
pub(crate) const JOIN_TITLE: &str = "Connect to a server";
pub(crate) const JOIN_LEAD: &str = "Paste the token that the server's administrator gave you. It works once, and connects this computer for good.";
pub(crate) const JOIN_AGAIN_LEAD: &str = "Paste the new token that the server's administrator gave you. The server keeps its name here, and its transfers go on.";
pub(crate) const JOIN_TOKEN: &str = "Token";
pub(crate) const JOIN_TOKEN_HINT: &str = "sealift-join:\u{2026}";
pub(crate) const JOIN_NAME: &str = "Name on this computer (optional)";
pub(crate) const JOIN_NAME_HINT: &str = "work, home, \u{2026}";
pub(crate) const JOIN_GO: &str = "Connect";
pub(crate) const JOIN_BUSY: &str = "Connecting\u{2026}";
pub(crate) const JOIN_NO_TOKEN: &str = "No token yet? On the server, `sealiftd invite NAME` prints one.";
pub(crate) const RENEWED: &str = "The certificate is renewed";

// The side bar.
pub(crate) const SERVERS: &str = "Servers";
pub(crate) const SPACES: &str = "Spaces";
pub(crate) const ADD_SERVER: &str = "Add a server";
pub(crate) const ALL_SPACES: &str = "All spaces";
pub(crate) const LOG: &str = "Transfer log";
pub(crate) const RENEW: &str = "Renew now";
pub(crate) const JOIN_AGAIN: &str = "Join again";
pub(crate) const RENAME_SERVER: &str = "Rename\u{2026}";
pub(crate) const REMOVE_SERVER: &str = "Remove\u{2026}";
pub(crate) const SERVER_NAME: &str = "Name on this computer";
pub(crate) const DO_REMOVE: &str = "Remove";
pub(crate) const REMOVE_SERVER_LEAD: &str = "This computer's key for it is deleted and cannot be brought back: to connect again you need a new token from the server's administrator. What is stored on the server stays there.";
pub(crate) const APPEARANCE: &str = "Appearance";
pub(crate) const SCHEME_SYSTEM: &str = "As the desktop";
pub(crate) const SCHEME_LIGHT: &str = "Light";
pub(crate) const SCHEME_DARK: &str = "Dark";
pub(crate) const CONNECTING: &str = "Connecting\u{2026}";
pub(crate) const NOT_CONNECTED: &str = "Not connected";
pub(crate) const NOT_LISTED: &str = "This cannot be shown";

// The tool bar.
pub(crate) const BACK: &str = "Back";
pub(crate) const UP: &str = "Folder above";
pub(crate) const REFRESH: &str = "Refresh";
pub(crate) const UPLOAD: &str = "Upload";
pub(crate) const UPLOAD_FILES: &str = "Files\u{2026}";
pub(crate) const UPLOAD_FOLDER: &str = "Folder\u{2026}";
pub(crate) const UPLOAD_PATH: &str = "By its path\u{2026}";
pub(crate) const PICK_FILES: &str = "Files to upload";
pub(crate) const PICK_FOLDER: &str = "Folder to upload";
pub(crate) const DOWNLOAD: &str = "Download";
pub(crate) const NEW_FOLDER: &str = "New folder";
pub(crate) const FILTER: &str = "Filter";
pub(crate) const DETAILS: &str = "Information";
pub(crate) const TRANSFERS: &str = "Transfers";

// The table.
pub(crate) const COLUMN_NAME: &str = "Name";
pub(crate) const COLUMN_SIZE: &str = "Size";
pub(crate) const COLUMN_MODIFIED: &str = "Modified";
pub(crate) const COLUMN_OWNER: &str = "Owner";
pub(crate) const OPEN: &str = "Open";
pub(crate) const RENAME: &str = "Rename\u{2026}";
pub(crate) const MOVE: &str = "Move to\u{2026}";
pub(crate) const COPY: &str = "Copy to\u{2026}";
pub(crate) const COPY_PATH: &str = "Copy path";
pub(crate) const DELETE: &str = "Delete\u{2026}";
pub(crate) const EMPTY_TITLE: &str = "This folder is empty";
pub(crate) const EMPTY_LEAD: &str = "Drop files here, or choose some to upload.";
pub(crate) const NO_SPACES_TITLE: &str = "There is no space for you yet";
pub(crate) const NO_SPACES_LEAD: &str =
    "Your own space appears with the first file. The administrator shares others with `sealiftd grant`.";
pub(crate) const NO_MATCH: &str = "Nothing here matches the filter";
pub(crate) const CLEAR_FILTER: &str = "Clear the filter";
pub(crate) const CHOOSE_FILES: &str = "Choose files\u{2026}";
pub(crate) const DROP_HERE: &str = "Drop to upload to";
pub(crate) const TRY_AGAIN: &str = "Try again";
pub(crate) const OTHER_PLACE: &str = "Choose another place\u{2026}";

// Dialogs.
pub(crate) const CANCEL: &str = "Cancel";
pub(crate) const CREATE: &str = "Create";
pub(crate) const DO_RENAME: &str = "Rename";
pub(crate) const DO_MOVE: &str = "Move";
pub(crate) const DO_COPY: &str = "Copy";
pub(crate) const DO_DELETE: &str = "Delete";
pub(crate) const BROWSE: &str = "Browse\u{2026}";
pub(crate) const FOLDER_NAME: &str = "Name of the folder";
pub(crate) const NEW_NAME: &str = "New name";
pub(crate) const TARGET_FOLDER: &str = "Folder on the server";
pub(crate) const LOCAL_PATH: &str = "File or folder on this computer";
pub(crate) const LOCAL_FOLDER: &str = "Folder on this computer";
pub(crate) const DELETE_FOREVER: &str =
    "The server has no trash: what is deleted is gone at once, and cannot be brought back.";
pub(crate) const DELETE_FOLDERS: &str = "Folders are deleted with everything in them.";
pub(crate) const REPLACE: &str = "Replace";
pub(crate) const MERGE: &str = "Merge";
pub(crate) const KEEP_BOTH: &str = "Keep both";
pub(crate) const SKIP: &str = "Skip";
pub(crate) const THERE: &str = "There now";
pub(crate) const NEW: &str = "New";
pub(crate) const FOLDER: &str = "folder";
pub(crate) const UNKNOWN_SIZE: &str = "unknown size";

// Transfers.
pub(crate) const PAUSE: &str = "Pause";
pub(crate) const RESUME: &str = "Resume";
pub(crate) const PAUSE_ALL: &str = "Pause all";
pub(crate) const RESUME_ALL: &str = "Resume all";
pub(crate) const RETRY: &str = "Retry";
pub(crate) const RETRY_ALL: &str = "Retry all failed";
pub(crate) const CLEAR: &str = "Clear finished";
pub(crate) const REMOVE: &str = "Remove from the list";
pub(crate) const START_AGAIN: &str = "Start again";
pub(crate) const PARALLEL: &str = "At once";
pub(crate) const DRAG: &str = "Drag to change the order";
pub(crate) const NO_TRANSFERS: &str = "No transfers. What you upload and download appears here.";
pub(crate) const WAITING: &str = "waiting";
pub(crate) const PAUSED: &str = "paused";
pub(crate) const DONE: &str = "done";
pub(crate) const CANCELLED: &str = "cancelled";
pub(crate) const HAD: &str = "not sent: the server had it";
pub(crate) const COMPARING: &str = "comparing with the server";
pub(crate) const STARTING: &str = "starting";
pub(crate) const FOLDERS: &str = "Folders";
pub(crate) const FILES: &str = "Files";
pub(crate) const PROGRESS_ALL: &str = "All transfers";

// Information and log.
pub(crate) const NO_SELECTION: &str = "Select a file to look into it.";
pub(crate) const KIND: &str = "Kind";
pub(crate) const STORED: &str = "Stored";
pub(crate) const STORED_BY: &str = "Stored by";
pub(crate) const STORED_BYTES: &str = "On the server";
pub(crate) const TARGET: &str = "Points to";
pub(crate) const DIGEST: &str = "SHA-256";
pub(crate) const COPY_DIGEST: &str = "Copy the SHA-256";
pub(crate) const NO_PREVIEW: &str = "No preview";
pub(crate) const LOADING: &str = "Loading\u{2026}";
pub(crate) const LOG_EMPTY: &str = "Nothing was transferred yet, or nothing matches the filter.";
pub(crate) const LOG_DIRECTION: &str = "Direction";
pub(crate) const LOG_ALL: &str = "Both ways";
pub(crate) const LOG_UP: &str = "Uploads";
pub(crate) const LOG_DOWN: &str = "Downloads";
pub(crate) const LOG_FAILED: &str = "Only failures";
pub(crate) const LOG_WHEN: &str = "When";
pub(crate) const LOG_WHO: &str = "Who";
pub(crate) const LOG_PATH: &str = "What";
pub(crate) const LOG_RESULT: &str = "Result";
pub(crate) const UNDO: &str = "Undo";
pub(crate) const DISMISS: &str = "Dismiss";
pub(crate) const BACK_TO_FILES: &str = "Back to the files";

/// A message as a sentence of its own; the engine's are parts of sentences.
pub(crate) fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// `1 file`, `2 files`.
pub(crate) fn items(count: usize) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{} items", thousands(count)) }
}

fn transfers(count: usize) -> String {
    if count == 1 { "1 transfer".to_owned() } else { format!("{} transfers", thousands(count)) }
}

/// `100,000`.
pub(crate) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is shown below the table.
pub(crate) fn counts(shown: usize, total: usize, selected: usize) -> String {
    let all = if shown == total { items(total) } else { format!("{} of {}", thousands(shown), items(total)) };
    if selected == 0 { all } else { format!("{all}, {} selected", thousands(selected)) }
}

pub(crate) fn loading(count: usize) -> String {
    if count == 0 { LOADING.to_owned() } else { format!("Loading\u{2026} {}", items(count)) }
}

/// A moment in the local time zone, to the minute.
pub(crate) fn minute(time: Nanoseconds) -> String {
    let time = Timestamp::from_nanosecond(time.into()).unwrap_or_default();
    time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// How long a certificate is good for.
pub(crate) fn expiry(expires: SystemTime, now: SystemTime) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match expires.duration_since(now) {
        Err(_) => "The certificate has expired".to_owned(),
        Ok(left) if left.as_secs() < DAY => "The certificate expires today".to_owned(),
        Ok(left) if left.as_secs() < 2 * DAY => "The certificate expires tomorrow".to_owned(),
        Ok(left) => format!("Certificate valid for {} days", left.as_secs() / DAY),
    }
}

/// `3 min left`, as exact as it is known.
pub(crate) fn left(bytes: u64, rate: u64) -> Option<String> {
    let seconds = bytes.checked_div(rate)?;
    Some(match seconds {
        0..5 => "a few seconds left".to_owned(),
        5..60 => format!("{} s left", seconds / 5 * 5),
        60..3600 => format!("{} min left", seconds.div_ceil(60)),
        _ => format!("{} h {} min left", seconds / 3600, seconds / 60 % 60),
    })
}

pub(crate) fn rate(bytes: u64) -> String {
    format!("{}/s", sealift_transfer::figures::size(bytes))
}

/// One line for all transfers.
pub(crate) fn summary(totals: &Totals) -> String {
    let mut parts = Vec::new();
    let mut part = |count: usize, what: &str| {
        if count > 0 {
            parts.push(format!("{} {what}", thousands(count)));
        }
    };
    part(totals.running, "running");
    part(totals.waiting, "waiting");
    part(totals.paused, "paused");
    part(totals.done, "done");
    part(totals.failed, "failed");
    if totals.had > 0 {
        parts.push(format!("{} already there", thousands(totals.had)));
    }
    parts.join(", ")
}

/// How fast bytes cross, and how long that will take, while some do.
pub(crate) fn speed(totals: &Totals, bytes: u64) -> String {
    if totals.running == 0 || bytes == 0 {
        return String::new();
    }
    let left = left(totals.bytes - totals.moved, bytes);
    left.map_or_else(|| rate(bytes), |left| format!("{}, {left}", rate(bytes)))
}

/// What is known of several entries.
pub(crate) fn several(count: usize) -> String {
    format!("{} selected", items(count))
}

/// What became of a stretch of work.
pub(crate) fn work_is_done(before: Totals, after: Totals) -> String {
    let done = after.done.saturating_sub(before.done);
    let failed = after.failed.saturating_sub(before.failed);
    match (done, failed) {
        (0, 0) => String::new(),
        (done, 0) => format!("{} done", transfers(done)),
        (0, failed) => format!("{} failed", transfers(failed)),
        (done, failed) => format!("{} done, {} failed", transfers(done), thousands(failed)),
    }
}

pub(crate) fn files_of(done: usize, found: usize) -> String {
    format!("{} of {} files", thousands(done), thousands(found))
}

pub(crate) fn had_of_tree(had: usize) -> String {
    format!("{} not sent: the server had them", thousands(had))
}

/// What of a tree is not transferred.
pub(crate) fn skipped(count: usize, first: &Path) -> String {
    const WHY: &str = "links, pipes and devices are not transferred";
    let first = first.display();
    match count {
        1 => format!("\u{201c}{first}\u{201d} was skipped: {WHY}"),
        _ => format!("{} were skipped, \u{201c}{first}\u{201d} first: {WHY}", thousands(count)),
    }
}

pub(crate) fn retrying(why: &str) -> String {
    format!("trying again: {why}")
}

pub(crate) fn conflict(name: &str) -> String {
    format!("\u{201c}{name}\u{201d} is there already")
}

pub(crate) fn conflict_lead(conflict: &Conflict) -> &'static str {
    if conflict.merges() {
        "Merging replaces files of the same name in it, and leaves the others alone."
    } else if conflict.can_replace() {
        "Replacing it cannot be undone."
    } else {
        "A folder is never replaced, and nothing is replaced by a folder."
    }
}

/// What is known of one of two that want the same name: `12.3 kB, modified 2026-10-05 10:00`.
pub(crate) fn facts(facts: &Facts) -> String {
    let what = match (facts.is_folder, facts.size) {
        (true, _) => FOLDER.to_owned(),
        (false, Some(size)) => sealift_transfer::figures::size(size),
        (false, None) => UNKNOWN_SIZE.to_owned(),
    };
    match facts.modified {
        Some(time) => format!("{what}, modified {}", minute(time)),
        None => what,
    }
}

pub(crate) fn apply_to_all(further: usize) -> String {
    if further == 1 {
        "Do the same for 1 more".to_owned()
    } else {
        format!("Do the same for {} more", thousands(further))
    }
}

pub(crate) fn rename_title(name: &str) -> String {
    format!("{DO_RENAME} \u{201c}{name}\u{201d}")
}

pub(crate) fn delete_title(paths: &[EntryPath]) -> String {
    match paths {
        [one] => format!("Delete \u{201c}{}\u{201d}?", one.file_name().unwrap_or_default()),
        several => format!("Delete {}?", items(several.len())),
    }
}

/// What an entry is.
pub(crate) fn kind(kind: sealift_protocol::message::EntryKind) -> &'static str {
    use sealift_protocol::message::EntryKind;
    match kind {
        EntryKind::File => "File",
        EntryKind::Directory => "Folder",
        EntryKind::Link => "Symbolic link",
        EntryKind::Space => "Space",
    }
}

/// How long something took.
pub(crate) fn took(microseconds: u64) -> String {
    sealift_transfer::figures::duration(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(100_000), "100,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(counts(3, 1000, 1), "3 of 1,000 items, 1 selected");
        assert_eq!(left(10, 0), None);
        assert_eq!(left(100 * 90, 100).unwrap(), "2 min left");
        assert_eq!(left(7300 * 5, 5).unwrap(), "2 h 1 min left");
    }

    #[test]
    fn an_expiry_is_told_in_days() {
        let now = SystemTime::now();
        let at = |hours: u64| expiry(now + Duration::from_secs(hours * 3600 + 1), now);
        assert_eq!(at(5), "The certificate expires today");
        assert_eq!(at(30), "The certificate expires tomorrow");
        assert_eq!(at(24 * 90), "Certificate valid for 90 days");
        assert!(expiry(now, now + Duration::from_secs(1)).contains("expired"));
    }
}
