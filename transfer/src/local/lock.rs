//! Locks on files that hold unfinished downloads.
//!
//! A lock belongs to a file and not to its name. Between opening a file and locking it, another process may have removed
//! it, or given it another name. So whoever has a lock looks whether the name still leads to the file, and whoever
//! removes a file or renames it does so while the lock is held.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// What came of the attempt to lock a file.
#[derive(Debug)]
pub(crate) enum LockClaim {
    /// Nobody else has it, as long as this file is open.
    Ours(File),
    /// Somebody else has it.
    Theirs,
    /// Its name leads to another file by now, or to none.
    Gone,
}

/// Locks a file that was opened by this path.
pub(crate) fn claim(file: File, path: &Path) -> LockClaim {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => LockClaim::Theirs,
        // Some file systems know no locks; then nobody else is expected either.
        Ok(()) | Err(TryLockError::Error(_)) if leads_to(path, &file) => LockClaim::Ours(file),
        Ok(()) | Err(TryLockError::Error(_)) => LockClaim::Gone,
    }
}

/// Has a file removed that was opened by this path, while its lock is held: nobody goes on with it in between. Returns
/// whether it is gone; `false` if somebody else has it, or its name leads elsewhere.
pub(crate) fn remove_locked(
    file: File,
    path: &Path,
    remove: impl FnOnce() -> io::Result<()>,
) -> io::Result<bool> {
    match claim(file, path) {
        LockClaim::Ours(_lock) => remove().map(|()| true),
        LockClaim::Theirs | LockClaim::Gone => Ok(false),
    }
}

/// Whether somebody has the lock on a file just now. What cannot be opened is not held, as far as can be told.
pub(crate) fn is_held(path: &Path) -> bool {
    open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Opens a file to lock it: no link is followed where the system can be told so, and a pipe does not block.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    options.open(path)
}

/// Whether a path leads to an open file, through no link. Where a file has no number, its name is trusted.
pub(crate) fn leads_to(path: &Path, file: &File) -> bool {
    let (Ok(there), Ok(open)) = (path.symlink_metadata(), file.metadata()) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (there.dev(), there.ino()) == (open.dev(), open.ino())
    }
    #[cfg(not(unix))]
    {
        there.is_file() == open.is_file()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lock_counts_only_as_long_as_the_name_leads_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, "a").unwrap();
        let (first, second, third) = (open(&path).unwrap(), open(&path).unwrap(), open(&path).unwrap());
        let LockClaim::Ours(first) = claim(first, &path) else { panic!("nobody has it") };
        assert!(is_held(&path));
        assert!(matches!(claim(second, &path), LockClaim::Theirs));
        let second = open(&path).unwrap();
        assert!(!remove_locked(second, &path, || panic!("somebody has it")).unwrap());
        drop(first);
        // Removed while it is held, and while somebody else has opened it already.
        let first = open(&path).unwrap();
        let remove = || {
            assert!(is_held(&path), "somebody could go on with it");
            fs::remove_file(&path)
        };
        assert!(remove_locked(first, &path, remove).unwrap());
        assert!(!is_held(&path));
        if cfg!(unix) {
            assert!(matches!(claim(third, &path), LockClaim::Gone));
            assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
