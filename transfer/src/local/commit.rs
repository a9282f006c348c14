//! Verified files get their names, many at a time: contents are synced, then named, then the names are synced.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Directory, DownloadTarget, Pinned};
use crate::error::TransferError;

/// Of so many files each is synced by itself: a whole file system may hold what others write, which takes longer.
const FEW: usize = 8;

/// A file that is to become durable under its name.
#[derive(Debug)]
pub(crate) enum CommittingFile {
    /// It gets its name then.
    Target(DownloadTarget),
    /// It has its name already.
    There {
        /// The directory that it is in.
        directory: Arc<Directory>,
        /// Where.
        path: PathBuf,
    },
}

impl CommittingFile {
    fn directory(&self) -> &Arc<Directory> {
        match self {
            Self::Target(target) => target.directory(),
            Self::There { directory, .. } => directory,
        }
    }

    fn sync(&self, more: bool) -> Result<(), TransferError> {
        match self {
            Self::Target(target) => target.sync(more),
            Self::There { directory, path } => {
                let failed = TransferError::local("sync", path);
                let file = directory.pin()?.reopen(path.file_name().unwrap_or_default());
                file.and_then(|file| directory.disks().sync_file(&file, more, path)).map_err(failed)
            }
        }
    }

    /// Gives up a file whose sync failed. Its bytes may be lost, and a second sync would succeed all the same: the next attempt
    /// must not continue it.
    fn discard(self) {
        if let Self::Target(target) = self {
            target.discard();
        }
    }

    fn publish(self) -> Result<(), TransferError> {
        match self {
            Self::Target(target) => target.publish(),
            Self::There { directory, .. } => {
                directory.has_entry();
                Ok(())
            }
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Target(target) => target.shown().to_owned(),
            Self::There { path, .. } => path.clone(),
        }
    }
}

/// What this process writes and has not written yet.
static UNDER_WAY: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Something that is written to disk, until this is dropped: files that get their names, or what came of a download.
#[derive(Debug)]
pub(crate) struct WritingUnderWay(());

impl WritingUnderWay {
    /// Counts one more.
    pub(crate) fn begin() -> Self {
        *UNDER_WAY.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for WritingUnderWay {
    fn drop(&mut self) {
        *UNDER_WAY.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        UNDER_WAY.1.notify_all();
    }
}

/// Waits until all of that is written, for a while: a process that ends before leaves files without a name, or downloads without
/// what had come of them. Blocks.
pub(crate) fn finish_writing(patience: Duration) {
    let count = UNDER_WAY.0.lock().unwrap_or_else(PoisonError::into_inner);
    // Should it take longer, what is left is found by its names.
    let _ = UNDER_WAY.1.wait_timeout_while(count, patience, |count| *count > 0);
}

/// Makes files durable under their names. Returns how it went with each, in their order. Blocks.
pub(crate) fn commit(group: Vec<CommittingFile>) -> Vec<Result<(), TransferError>> {
    let is_small = group.len() <= FEW;
    let mut wholes = SyncedFileSystems { asked: BTreeMap::new(), is_small };
    // Contents.
    let count = group.len();
    let synced: Vec<Result<Option<u64>, TransferError>> = group
        .iter()
        .enumerate()
        .map(|(number, landing)| {
            let pinned = landing.directory().pin()?;
            match wholes.sync(landing.directory(), &pinned) {
                Some(Ok(())) => Ok(Some(pinned.device())),
                Some(Err(error)) => Err(TransferError::local("write", &landing.path())(error)),
                None => landing.sync(number + 1 < count).map(|()| None),
            }
        })
        .collect();
    // Names.
    let named: Vec<_> = group
        .into_iter()
        .zip(synced)
        .map(|(landing, synced)| {
            let device = match synced {
                Ok(device) => device,
                Err(error) => {
                    landing.discard();
                    return Err(error);
                }
            };
            let (directory, path) = (landing.directory().clone(), landing.path());
            landing.publish().map(|()| (directory, path, device))
        })
        .collect();
    // The names' directories.
    let mut wholes = SyncedFileSystems { asked: BTreeMap::new(), is_small };
    named
        .into_iter()
        .map(|named| {
            let (directory, path, device) = named?;
            let synced = match device {
                Some(_) => directory
                    .pin()
                    .map_err(TransferError::into_io)
                    .and_then(|pinned| wholes.sync(&directory, &pinned).unwrap_or_else(|| directory.sync())),
                None => directory.sync(),
            };
            synced.map_err(TransferError::local("sync the directory of", &path))
        })
        .collect()
}

/// The file systems that were synced as a whole, and how that went.
struct SyncedFileSystems {
    asked: BTreeMap<u64, Option<Result<(), io::ErrorKind>>>,
    is_small: bool,
}

impl SyncedFileSystems {
    /// Syncs the file system of a directory, once; `None` if it cannot be, or is not worth it.
    fn sync(&mut self, directory: &Directory, pinned: &Pinned) -> Option<io::Result<()>> {
        if self.is_small {
            return None;
        }
        let synced = self.asked.entry(pinned.device()).or_insert_with(|| {
            let synced = directory.disks().sync_whole(pinned.device())?;
            Some(synced.map_err(|error| error.kind()))
        });
        synced.map(|synced| synced.map_err(io::Error::from))
    }
}
