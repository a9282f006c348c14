//! Giving a content that is here already its place.
//!
//! What is here is reached through the root of its tree, and its new place through the directory that it is in, both held
//! open: a link that takes the place of something meanwhile is not followed.

use std::fs::File;
use std::path::Path;

use sealift_protocol::message::{Content, Entry};

use crate::error::TransferError;
use crate::local::{self, Abilities, DownloadTarget, EntrySeen, FileSite, TreeRoot};

/// Renames a file whose content is the right one, if it is what it was when it was `seen`.
pub(super) fn relocate(
    tree: &TreeRoot,
    source: &Path,
    seen: &EntrySeen,
    site: &FileSite,
    entry: &Entry,
    abilities: Abilities,
) -> Result<(), TransferError> {
    local::check_site(site)?;
    let file = open(tree, source, seen)?;
    dress_open(&file, source, entry, abilities)?;
    tree.rename(source, site)?;
    // Had somebody put another entry in its place, that has come instead; what is fetched replaces it.
    if local::leads_to(&site.real(), &file) { Ok(()) } else { Err(meanwhile(source)) }
}

/// Copies a file, and verifies the copy, which gets its name when the target is committed.
pub(super) fn copy(
    tree: &TreeRoot,
    source: &Path,
    site: &FileSite,
    entry: &Entry,
) -> Result<DownloadTarget, TransferError> {
    let Some(sha256) = entry.sha256 else {
        return Err(TransferError::Protocol("a file has no digest".into()));
    };
    let Entry { size, mtime, executable, .. } = *entry;
    local::copy(tree, source, site, &Content { size, sha256, mtime, executable, offset: 0 })
}

/// Gives a file that is there already its time and its permissions, as far as its file system can hold them, if it is
/// what it was when it was `seen`. Returns whether that changed anything.
pub(super) fn dress(
    tree: &TreeRoot,
    path: &Path,
    seen: &EntrySeen,
    entry: &Entry,
    abilities: Abilities,
) -> Result<bool, TransferError> {
    dress_open(&open(tree, path, seen)?, path, entry, abilities)
}

fn open(tree: &TreeRoot, path: &Path, seen: &EntrySeen) -> Result<File, TransferError> {
    let file = tree.file(path)?;
    let metadata = file.metadata().map_err(TransferError::local("read", path))?;
    if metadata.is_file() && EntrySeen::of(&metadata).is(seen) { Ok(file) } else { Err(meanwhile(path)) }
}

fn meanwhile(path: &Path) -> TransferError {
    TransferError::Meanwhile { path: path.display().to_string() }
}

fn dress_open(file: &File, path: &Path, entry: &Entry, abilities: Abilities) -> Result<bool, TransferError> {
    let failed = || TransferError::local("write", path);
    let before = file.metadata().map_err(failed())?;
    #[cfg(unix)]
    if abilities.executable {
        use std::os::unix::fs::PermissionsExt;
        let mode = before.permissions().mode();
        let wanted = local::with_executable(mode, entry.executable);
        if wanted != mode {
            file.set_permissions(PermissionsExt::from_mode(wanted)).map_err(failed())?;
        }
    }
    local::set_times(file, entry.mtime).map_err(failed())?;
    let after = file.metadata().map_err(failed())?;
    let is = |metadata| (local::mtime(metadata), local::is_executable(metadata));
    Ok(is(&before) != is(&after))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use sealift_protocol::message::EntryKind;
    use sealift_types::Digest;

    use super::*;

    /// Somebody puts a link in the place of what was compared, or of the directory that it is in.
    #[test]
    fn links_that_take_the_place_of_something_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let entry = Entry {
            name: "x".into(),
            kind: EntryKind::File,
            size: 4,
            mtime: 1_000_000_000,
            executable: true,
            sha256: Some(Digest::of(b"mine")),
            target: None,
            by: None,
            etag: None,
        };
        for by_directory in [false, true] {
            fs::create_dir_all(path("root/d")).unwrap();
            fs::create_dir_all(path("other/d")).unwrap();
            fs::write(path("root/d/x"), "mine").unwrap();
            fs::write(path("other/d/x"), "mine").unwrap();
            let before = path("other/d/x").metadata().unwrap();
            let tree = TreeRoot::open(&path("root")).unwrap();
            let (source, site) =
                (path("root/d/x"), FileSite::named(&path("root/y"), &Arc::default()).unwrap());
            let seen = EntrySeen::of(&source.symlink_metadata().unwrap());
            if by_directory {
                fs::rename(path("root/d"), path("away")).unwrap();
                symlink(path("other/d"), path("root/d")).unwrap();
            } else {
                fs::remove_file(&source).unwrap();
                symlink(path("other/d/x"), &source).unwrap();
            }
            let abilities = Abilities::of(place.path(), false);
            dress(&tree, &source, &seen, &entry, abilities).unwrap_err();
            relocate(&tree, &source, &seen, &site, &entry, abilities).unwrap_err();
            copy(&tree, &source, &site, &entry).unwrap_err();
            let after = path("other/d/x").metadata().unwrap();
            assert_eq!(after.modified().unwrap(), before.modified().unwrap());
            assert_eq!(after.permissions(), before.permissions());
            assert!(path("root/y").symlink_metadata().is_err());
            fs::remove_dir_all(path("root")).unwrap();
        }
    }

    #[test]
    fn a_file_is_moved_into_the_directory_that_was_meant() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("root/to")).unwrap();
        fs::create_dir_all(path("other")).unwrap();
        fs::write(path("root/x"), "mine").unwrap();
        let tree = TreeRoot::open(&path("root")).unwrap();
        let seen = EntrySeen::of(&path("root/x").symlink_metadata().unwrap());
        let site = FileSite::named(&path("root/to/y"), &Arc::default()).unwrap();
        fs::rename(path("root/to"), path("root/moved")).unwrap();
        symlink(path("other"), path("root/to")).unwrap();
        let entry = Entry {
            name: "to/y".into(),
            kind: EntryKind::File,
            size: 4,
            mtime: 1_000_000_000,
            executable: false,
            sha256: Some(Digest::of(b"mine")),
            target: None,
            by: None,
            etag: None,
        };
        let moved =
            relocate(&tree, &path("root/x"), &seen, &site, &entry, Abilities::of(place.path(), false));
        if cfg!(target_os = "linux") {
            moved.unwrap();
            assert_eq!(fs::read(path("root/moved/y")).unwrap(), b"mine");
            assert_eq!(fs::read_dir(path("other")).unwrap().count(), 0);
        }
    }
}
