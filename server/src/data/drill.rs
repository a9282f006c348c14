//! Serving a data directory without a change to it: for drills on a backup, and on media that cannot be written to.
//!
//! The server works in a directory of its own, which is gone afterwards: there it has a copy of the catalog, so that it
//! can upgrade it and write its log, and links to the contents and to the authority. Nothing that it does reaches the
//! directory that it serves. The lock on that directory is shared: drills can run beside each other, but no server and no
//! backup changes the files meanwhile.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use sealift_certs::files::create_private_dir;

use super::{DataDirectory, DataError, LOCK_PATIENCE, Lock, file, lock_within};

/// Opens the data directory at `path` for a server that changes nothing in it.
pub(crate) fn open(path: &Path) -> Result<(DataDirectory, Lock), DataError> {
    let path = &path.canonicalize().map_err(file(path))?;
    let original = DataDirectory::look(path, super::owner::is_root())?;
    let shared = share(&original)?;
    let scratch =
        tempfile::Builder::new().prefix("sealiftd-").tempdir().map_err(file(&std::env::temp_dir()))?;
    let data = DataDirectory(scratch.path().to_owned());
    for name in ["incoming", "pki"] {
        let directory = data.0.join(name);
        create_private_dir(&directory).map_err(file(&directory))?;
    }
    for side in ["", "-wal"] {
        let name = format!("catalog.db{side}");
        copy(&original.0.join(&name), &data.0.join(&name))?;
    }
    link(&original.0.join("blobs"), &data.0.join("blobs"))?;
    for name in ["ca.pem", "ca.key", super::revocations::FILE] {
        // The list of revocations may come into being later.
        link(&original.pki(name), &data.pki(name))?;
    }
    let lock = data.lock()?;
    Ok((data, Lock { scratch: Some(scratch), shared, ..lock }))
}

/// Keeps servers and backups away from the directory, where there is a lock for it.
fn share(original: &DataDirectory) -> Result<Option<File>, DataError> {
    let path = original.0.join("lock");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file(&path)(error)),
    };
    match lock_within(LOCK_PATIENCE, || lock.try_lock_shared()) {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(DataError::InUse(original.0.clone())),
        Err(TryLockError::Error(source)) => Err(file(&path)(source)),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), DataError> {
    let mut original = match File::open(from) {
        Ok(original) => original,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(from)(error)),
    };
    // Not `fs::copy`: a mode that forbids writing is not to come along.
    let mut copy = File::create(to).map_err(file(to))?;
    io::copy(&mut original, &mut copy).map(drop).map_err(file(to))
}

#[cfg(unix)]
fn link(original: &Path, name: &Path) -> Result<(), DataError> {
    std::os::unix::fs::symlink(original, name).map_err(file(name))
}

#[cfg(not(unix))]
fn link(original: &Path, name: &Path) -> Result<(), DataError> {
    let linked = match original.is_dir() {
        true => std::os::windows::fs::symlink_dir(original, name),
        false => std::os::windows::fs::symlink_file(original, name),
    };
    linked.map_err(file(name))
}
