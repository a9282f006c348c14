//! The owner of what comes into being in a data directory.

use std::path::Path;

/// Whether this process may do everything anyway.
#[cfg(unix)]
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
pub(super) fn is_root() -> bool {
    false
}

/// Gives what root has made at `path` to the owner of `like`.
#[cfg(unix)]
pub(super) fn give(like: &Path, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if !is_root() {
        return Ok(());
    }
    let facts = like.metadata()?;
    if facts.uid() != 0 {
        std::os::unix::fs::chown(path, Some(facts.uid()), Some(facts.gid()))?;
    }
    Ok(())
}

/// Gives a file or directory that root has just made to the owner of the directory that it is in.
///
/// Called wherever something comes into being in a data directory: the administrator's commands may run as root, and the
/// server, which runs as another user, must be able to use what they leave.
pub(crate) fn inherit_owner(path: &Path) -> std::io::Result<()> {
    give(path.parent().unwrap_or(path), path)
}

#[cfg(not(unix))]
pub(super) fn give(_: &Path, _: &Path) -> std::io::Result<()> {
    Ok(())
}
