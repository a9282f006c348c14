//! What was done, and what is in the way.

use std::path::Path;

use sealift_types::EntryPath;

use super::{DO_COPY, DO_MOVE, DOWNLOAD, items};
use crate::model::queue::Trouble;

fn what(paths: &[(EntryPath, EntryPath)]) -> String {
    match paths {
        [(from, _)] => format!("\u{201c}{}\u{201d}", from.file_name().unwrap_or_default()),
        several => items(several.len()),
    }
}

pub(crate) fn moved(pairs: &[(EntryPath, EntryPath)]) -> String {
    match pairs {
        [(from, to)] if parent(from) == parent(to) => {
            format!("Renamed to \u{201c}{}\u{201d}", to.file_name().unwrap_or_default())
        }
        [(_, to), ..] => format!("Moved {} to {}", what(pairs), parent(to)),
        [] => String::new(),
    }
}

pub(crate) fn moved_back(count: usize) -> String {
    format!("Moved {} back", items(count))
}

pub(crate) fn copied(pairs: &[(EntryPath, EntryPath)]) -> String {
    let to = pairs.first().map(|(_, to)| parent(to)).unwrap_or_default();
    format!("Copied {} to {to}", what(pairs))
}

pub(crate) fn deleted(paths: &[EntryPath], count: usize) -> String {
    match paths {
        [one] => format!("Deleted \u{201c}{}\u{201d}", one.file_name().unwrap_or_default()),
        _ => format!("Deleted {}", items(count)),
    }
}

pub(crate) fn made_folder(path: &EntryPath) -> String {
    format!("Made the folder \u{201c}{}\u{201d}", path.file_name().unwrap_or_default())
}

fn parent(path: &EntryPath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(above, _)| above)
}

pub(crate) fn transplant_title(count: usize, copy: bool) -> String {
    format!("{} {}", if copy { DO_COPY } else { DO_MOVE }, items(count))
}

pub(crate) fn download_title(count: usize) -> String {
    format!("{DOWNLOAD} {}", items(count))
}

pub(crate) fn held(profile: &str, why: &str) -> String {
    format!("Transfers with {profile} wait: {why}")
}

pub(crate) fn queue_unreadable(path: &Path, reason: &str) -> String {
    format!(
        "The saved transfers cannot be read ({}: {reason}): check the permissions of the file. Until then transfers are \
         not saved",
        path.display()
    )
}

pub(crate) fn queue_damaged(aside: &Path) -> String {
    let aside = aside.display();
    format!(
        "Some of the saved transfers could not be read: add them again; the damaged file is kept as {aside}"
    )
}

/// A damaged queue that could not be copied.
pub(crate) fn queue_damaged_alone(path: &Path, aside: &Path, reason: &str) -> String {
    let (path, aside) = (path.display(), aside.display());
    format!(
        "Some of the saved transfers in {path} could not be read, and {aside} cannot be written ({reason}): move the \
         damaged file away. Until then transfers are not saved"
    )
}

pub(crate) fn queue_elsewhere() -> Trouble {
    Trouble::of_person(
        "Another window of Sealift has the saved transfers: what is added here goes when this one is closed",
    )
}

pub(crate) fn state_unusable(path: &Path, reason: &str) -> Trouble {
    Trouble::of_person(format!(
        "Nothing can be kept in {} ({reason}): transfers end with this window; check its permissions",
        path.display()
    ))
}

pub(crate) fn upload_needs_a_space() -> Trouble {
    Trouble::of_person("This is the list of spaces: open one, and upload there")
}

pub(crate) fn not_opened(name: &str, reason: &str) -> Trouble {
    Trouble::of_person(format!(
        "No program has opened \u{201c}{name}\u{201d} ({reason}): download it, and open it there"
    ))
}

/// What to do where the system shows no file dialog.
pub(crate) fn no_file_dialog(for_downloads: bool) -> Trouble {
    let way = match for_downloads {
        true => "type the folder's path",
        false => "upload by path with Ctrl+U",
    };
    Trouble::of_person(format!(
        "This system shows no file dialog: {way}, or install zenity or the xdg-desktop-portal of this desktop"
    ))
}
