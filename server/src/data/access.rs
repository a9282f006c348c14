//! Whose a data directory is, and who else gets at it.
//!
//! The authority's key is worth every file and every identity, so it is not used where others can read it. A directory in
//! which some files belong to another user, because somebody once ran a server as root, would fail in mid-work.

use std::path::Path;

use super::DataDirectory;
use super::data_error::{DataError, file};

/// Read, write and enter for everybody else, and write for the group: a group that may read is the administrator's
/// decision.
#[cfg(unix)]
const OTHERS: u32 = 0o027;

/// Everything for everybody but the owner.
#[cfg(unix)]
const ALL_BUT_OWNER: u32 = 0o077;

/// Refuses a directory that is not this process's own, unless `foreign` allows that, or that is open to others.
#[cfg(unix)]
pub(super) fn check(data: &DataDirectory, foreign: bool) -> Result<(), DataError> {
    let path = data.path();
    let parts = [
        (path.to_owned(), OTHERS, 0o700),
        (data.pki(""), ALL_BUT_OWNER, 0o700),
        (data.pki("ca.key"), ALL_BUT_OWNER, 0o600),
        (data.pki("server.key"), ALL_BUT_OWNER, 0o600),
        // What keeps others out of these is the directory that they are in.
        (data.pki("ca.pem"), 0, 0),
        (data.catalog(), 0, 0),
        (path.join("blobs"), 0, 0),
        (path.join("incoming"), 0, 0),
    ];
    for (path, forbidden, right) in parts {
        match path.metadata() {
            Ok(facts) => judge(&path, &facts, forbidden, right, foreign)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(file(&path)(error)),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn judge(
    path: &Path,
    facts: &std::fs::Metadata,
    forbidden: u32,
    right: u32,
    foreign: bool,
) -> Result<(), DataError> {
    use std::os::unix::fs::MetadataExt;
    let (user, owner) = (rustix::process::geteuid().as_raw(), facts.uid());
    if owner != user && !foreign {
        return Err(DataError::Owner { path: path.to_owned(), owner, user });
    }
    let mode = facts.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(DataError::Mode { path: path.to_owned(), mode, right });
    }
    Ok(())
}

/// Closes a directory that is about to be initialised to others, if it is there; it must be this process's own.
#[cfg(unix)]
pub(super) fn claim(path: &Path) -> Result<(), DataError> {
    match path.metadata() {
        Ok(facts) => {
            judge(path, &facts, 0, 0, false)?;
            close(path).map_err(file(path))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(file(path)(error)),
    }
}

/// Closes a directory to others.
#[cfg(unix)]
pub(super) fn close(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if path.metadata()?.permissions().mode() & OTHERS != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Elsewhere the directory's permissions are inherited from where it is.
#[cfg(not(unix))]
pub(super) fn check(_: &DataDirectory, _: bool) -> Result<(), DataError> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn claim(_: &Path) -> Result<(), DataError> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn close(_: &Path) -> std::io::Result<()> {
    Ok(())
}
