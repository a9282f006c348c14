//! What people do with files: upload, download, rename, move, delete.

use std::path::PathBuf;
use std::time::Instant;

use sealift_protocol::message::{Entry, EntryKind};
use sealift_types::{EntryPath, Name};

use super::conflict::{Choice, Relocation};
use super::queue::{Facts, ItemId, Spec, TransferQueue, Wanted};
use super::{Dialog, Model, Undo};
use crate::engine::{CollisionAnswer, EngineCommand};
use crate::texts;

/// Where uploads go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTarget {
    /// With whose server.
    pub profile: Name,
    /// Which directory.
    pub directory: EntryPath,
}

impl Model {
    /// Everything that is selected, with its path.
    pub fn selected(&self) -> Vec<(EntryPath, Entry)> {
        let with_path = |entry: &Entry| Some((self.browser.path_of(entry)?, entry.clone()));
        self.browser.selection().filter_map(with_path).collect()
    }

    /// Uploads local files and directories to the directory that is shown.
    pub fn upload(&mut self, paths: Vec<PathBuf>) {
        if let Some(target) = self.target() {
            self.upload_to(target, paths);
        }
    }

    /// The directory that is shown, for what is chosen later.
    pub fn target(&self) -> Option<UploadTarget> {
        Some(UploadTarget { profile: self.profile.clone()?, directory: self.browser.path.clone() })
    }

    /// Uploads local files and directories.
    pub fn upload_to(&mut self, target: UploadTarget, paths: Vec<PathBuf>) {
        if paths.is_empty() {
            return;
        }
        let UploadTarget { profile, directory: to } = target;
        if to.as_str() == "/" {
            let trouble = texts::upload_needs_a_space();
            self.notices.complain(&trouble, Instant::now());
            return;
        }
        self.commands.push(EngineCommand::PlanUploads { profile, paths, to });
    }

    /// Uploads files that were copied in a file manager: they come as their paths or addresses, one on each line.
    pub fn paste(&mut self, text: &str) {
        let paths = text.lines().map(|line| local_path(line.trim()));
        self.upload(paths.filter(|path| path.is_absolute() && path.exists()).collect());
    }

    /// Asks where to put what is selected.
    pub fn ask_where_to_download(&mut self) {
        let entries: Vec<_> = self
            .selected()
            .into_iter()
            .filter(|(_, entry)| entry.kind != EntryKind::Link)
            .map(|(path, entry)| Wanted { path, facts: Facts::from(&entry) })
            .collect();
        let Some(profile) = self.profile.clone().filter(|_| !entries.is_empty()) else { return };
        self.dialog = Some(Dialog::download_to(profile, entries, self.downloads.clone(), None));
    }

    /// Asks for another place for a download that failed.
    pub fn ask_for_another_place(&mut self, id: ItemId) {
        let Some(spec) = self.queue().item(id).map(|item| item.spec.clone()) else { return };
        let facts = Facts { is_folder: spec.tree, size: spec.size, modified: None };
        let entries = vec![Wanted { path: spec.remote.clone(), facts }];
        let place = self.downloads.clone();
        self.dialog = Some(Dialog::download_to(spec.profile.clone(), entries, place, Some(id)));
    }

    /// Downloads into a local directory, in the place of an entry of the queue or in addition.
    pub fn download(&mut self, profile: Name, entries: Vec<Wanted>, to: PathBuf, instead: Option<ItemId>) {
        self.downloads.clone_from(&to);
        self.commands.push(EngineCommand::PlanDownloads { profile, entries, to, instead });
    }

    /// Decides about names that are taken.
    pub fn decide(&mut self, choice: Choice, all: bool) {
        let decided = self.conflicts.decide(choice, all);
        self.enqueue(decided.specs);
        self.replace(decided.replacements);
        for Relocation { profile, from, to, copy, is_folder } in decided.relocations {
            let how = if choice == Choice::Replace {
                CollisionAnswer::Replace
            } else {
                CollisionAnswer::KeepBoth { is_folder }
            };
            self.commands.push(EngineCommand::Relocate { profile, pairs: vec![(from, to)], copy, how });
        }
    }

    pub(super) fn enqueue(&mut self, specs: Vec<Spec>) {
        if !specs.is_empty() {
            self.queue().add(specs);
            self.commands.push(EngineCommand::Stir);
        }
    }

    /// Puts transfers in the place of entries of the queue.
    pub(super) fn replace(&mut self, replacements: Vec<(ItemId, Spec)>) {
        for (id, spec) in replacements {
            self.with_queue(|queue| queue.replace(id, spec));
        }
    }

    /// Changes the queue, and has the engine look at it.
    pub fn with_queue(&mut self, change: impl FnOnce(&mut TransferQueue)) {
        change(&mut self.queue());
        self.commands.push(EngineCommand::Stir);
    }

    /// Makes a folder in the directory that is shown.
    pub fn make_folder(&mut self, name: &str) {
        match self.browser.path.join(name.trim()) {
            Ok(path) => self.command(|profile| EngineCommand::MakeFolder { profile, path }),
            Err(error) => self.complain_about(&error.into()),
        }
    }

    /// Gives an entry another name in its directory.
    pub fn rename(&mut self, path: EntryPath, name: &str) {
        let text = path.as_str();
        let above = text.rsplit_once('/').map_or("", |(above, _)| above);
        match sealift_types::path::check_name(name).and_then(|()| format!("{above}/{name}").parse()) {
            Ok(to) if to == path => {}
            Ok(to) => self.relocate(vec![(path, to)], false, CollisionAnswer::Ask),
            Err(error) => self.complain_about(&error.into()),
        }
    }

    /// Moves or copies entries into a directory.
    pub fn transplant(&mut self, paths: Vec<EntryPath>, to: &str, copy: bool) {
        let directory = match to.trim().parse::<EntryPath>() {
            Ok(directory) => directory,
            Err(error) => return self.complain_about(&error.into()),
        };
        let target = |path: EntryPath| {
            let to = directory.join(path.file_name()?).ok()?;
            (to != path).then_some((path, to))
        };
        let pairs: Vec<_> = paths.into_iter().filter_map(target).collect();
        if pairs.is_empty() {
            return;
        }
        self.relocate(pairs, copy, CollisionAnswer::Ask);
    }

    fn relocate(&mut self, pairs: Vec<(EntryPath, EntryPath)>, copy: bool, how: CollisionAnswer) {
        self.command(|profile| EngineCommand::Relocate { profile, pairs, copy, how });
    }

    /// Deletes entries, directories with all that is in them.
    pub fn delete(&mut self, paths: Vec<EntryPath>) {
        self.command(|profile| EngineCommand::Delete { profile, paths });
    }

    /// Takes back what a message tells of.
    pub fn undo(&mut self, undo: Undo) {
        // The server that is shown may be another one by now.
        self.commands.push(match undo {
            Undo::MoveBack { profile, pairs } => {
                EngineCommand::Relocate { profile, pairs, copy: false, how: CollisionAnswer::Back }
            }
            Undo::RemoveFolder { profile, path, etag } => EngineCommand::RemoveFolder { profile, path, etag },
        });
    }
}

/// A path, or a `file:` address as RFC 8089 has it, in which other bytes than those of plain letters are escaped.
fn local_path(text: &str) -> PathBuf {
    let Some(escaped) = text.strip_prefix("file://") else { return text.into() };
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let escaped = (digit(0).zip(digit(1))).filter(|_| *first == b'%');
        // Two digits are at most 255.
        let byte = escaped.and_then(|(high, low)| u8::try_from(16 * high + low).ok());
        rest = if byte.is_some() { &behind[2..] } else { behind };
        bytes.push(byte.unwrap_or(*first));
    }
    system_path(bytes)
}

#[cfg(unix)]
fn system_path(bytes: Vec<u8>) -> PathBuf {
    <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into()
}

/// Of `/C:/x` without its first slash.
#[cfg(not(unix))]
fn system_path(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).trim_start_matches('/').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn pasted_addresses_are_paths() {
        use std::os::unix::ffi::OsStrExt;
        let path = |text: &str| local_path(text).as_os_str().as_bytes().to_vec();
        assert_eq!(path("/home/a%20b"), b"/home/a%20b");
        assert_eq!(path("file:///home/a%20b/100%25"), b"/home/a b/100%");
        assert_eq!(path("file:///caf%E9%zz%"), b"/caf\xe9%zz%");
        assert_eq!(path("file:///%+1"), b"/%+1", "no digits");
    }
}
