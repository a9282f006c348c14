//! Places of files.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disks::FileSystems;
use super::{Directory, Pinned, directory_of};
use crate::error::{TransferError, Unfit};

/// Where a file goes: its path as its user knows it, and the directory that holds it, open.
#[derive(Debug, Clone)]
pub(crate) struct FileSite {
    shown: PathBuf,
    directory: Arc<Directory>,
    pinned: Arc<Pinned>,
}

impl FileSite {
    /// A place that its user named, on one of `disks`. Blocks.
    pub(crate) fn named(path: &Path, disks: &Arc<FileSystems>) -> Result<Self, TransferError> {
        let directory = Arc::new(Directory::root(directory_of(path).to_owned(), None, disks));
        directory.site(path).map_err(|error| match error {
            TransferError::Local { source, .. } => TransferError::local("write", path)(source),
            other => other,
        })
    }

    /// A place in a directory that is open.
    pub(super) fn inside(directory: Arc<Directory>, pinned: Arc<Pinned>, path: &Path) -> Self {
        Self { shown: path.to_owned(), directory, pinned }
    }

    /// For messages.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// For the system.
    pub(crate) fn real(&self) -> PathBuf {
        self.pinned.itself().join(self.name())
    }

    /// Its name in the directory.
    pub(crate) fn name(&self) -> &OsStr {
        self.shown.file_name().unwrap_or_default()
    }

    /// The directory that it is in, ...
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// ... which is open.
    pub(super) fn pinned(&self) -> &Pinned {
        &self.pinned
    }
}

/// Makes a directory and those above it that are missing, durably. Blocks.
pub(crate) fn make_directories(path: &Path) -> Result<(), TransferError> {
    make(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            let there = path.ancestors().find(|above| above.symlink_metadata().is_ok()).unwrap_or(path);
            let unfit = if there.is_symlink() { Unfit::LinkInTheWay } else { Unfit::FileInTheWay };
            TransferError::Unfit { path: there.to_owned(), unfit }
        }
        _ => TransferError::local("make the directory", path)(error),
    })
}

fn make(path: &Path) -> io::Result<()> {
    let above = directory_of(path);
    match make_one(path, above) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != path => {
            make(above)?;
            // Once: in a directory that was deleted, everything is not found for ever.
            make_one(path, above)
        }
        made => made,
    }
}

fn make_one(path: &Path, above: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) if cfg!(windows) => Ok(()),
        Ok(()) => fs::File::open(above)?.sync_all(),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_directories_are_made() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        make_directories(&deep).unwrap();
        make_directories(&deep).unwrap();
        assert!(deep.is_dir());
    }

    /// As in a directory that was deleted while a program is in it.
    #[cfg(target_os = "linux")]
    #[test]
    fn where_nothing_can_be_made_there_is_an_end() {
        assert!(make_directories(Path::new("/proc/none/none/none")).is_err());
    }
}
