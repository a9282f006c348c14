//! Giving a content that is here already its place.

use std::fs::{self, File};
use std::path::Path;

use sealift_protocol::message::{Content, Entry};

use crate::error::Error;
use crate::local::{self, Abilities, Seen, Site, Target};

/// Renames a file whose content is the right one, if it is what it was when it was `seen`.
pub(super) fn relocate(
    source: &Path,
    seen: &Seen,
    path: &Path,
    entry: &Entry,
    abilities: Abilities,
) -> Result<(), Error> {
    local::check_target(path)?;
    let metadata = source.symlink_metadata().map_err(Error::local("read", source))?;
    if !Seen::of(&metadata).is(seen) {
        return Err(Error::Meanwhile { path: source.display().to_string() });
    }
    dress(source, entry, abilities)?;
    fs::rename(source, path).map_err(Error::local("write", path))
}

/// Copies a file, and verifies the copy, which gets its name when the target is committed.
pub(super) fn copy(source: &Path, site: &Site, entry: &Entry) -> Result<Target, Error> {
    let Some(sha256) = entry.sha256 else { return Err(Error::Protocol("a file has no digest".into())) };
    let Entry { size, mtime, executable, .. } = *entry;
    local::copy(source, site, &Content { size, sha256, mtime, executable, offset: 0 })
}

/// Gives a file that is there already its time and its permissions, as far as its file system can hold them. Returns
/// whether that changed anything.
pub(super) fn dress(path: &Path, entry: &Entry, abilities: Abilities) -> Result<bool, Error> {
    let failed = || Error::local("write", path);
    let file = File::open(path).map_err(failed())?;
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
    local::set_times(&file, entry.mtime).map_err(failed())?;
    let after = file.metadata().map_err(failed())?;
    let is = |metadata| (local::mtime(metadata), local::is_executable(metadata));
    Ok(is(&before) != is(&after))
}
