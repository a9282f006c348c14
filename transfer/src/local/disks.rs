//! Making what was written survive a power cut.
//!
//! Many small files are synced together: one `syncfs` takes as long as a few `fsync`s. That is done on file systems of
//! which it is known that the one call does what the others do; everywhere else each file and directory is synced by
//! itself.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::pinned::Pinned;
use crate::error::TransferError;

/// The file systems that are written to.
#[derive(Debug, Default)]
pub(crate) struct FileSystems {
    known: Mutex<Vec<FileSystem>>,
    /// Whether there are changes that only syncing a whole file system makes durable.
    changed: AtomicBool,
    /// Why something could not be synced that nobody waits for.
    failed: Mutex<Option<io::Error>>,
    #[cfg(test)]
    record: Mutex<Vec<DiskOperation>>,
}

#[derive(Debug)]
struct FileSystem {
    device: u64,
    /// By which it is synced as a whole, if it can be.
    whole: Option<Arc<File>>,
}

/// What was done, as tests take it down, in the order in which it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "tests look at it"))]
pub(crate) enum DiskOperation {
    /// A file got its content. Its final path.
    Write(std::path::PathBuf),
    /// A file was synced. Its final path.
    SyncFile(std::path::PathBuf),
    /// A file got its name.
    Publish(std::path::PathBuf),
    /// A directory got an entry that is durable without a group's commit.
    Enter(std::path::PathBuf),
    /// A directory was synced.
    SyncDirectory(std::path::PathBuf),
    /// A whole file system was synced.
    SyncWhole,
    /// It was told that a transfer is done.
    Tell(usize),
}

impl FileSystems {
    /// Takes the file system of a directory in, before anything is written there: what fails to reach the disk is told
    /// only to those who were there by then.
    pub(super) fn learn(&self, pinned: &Pinned) {
        let mut known = lock(&self.known);
        if known.iter().all(|disk| disk.device != pinned.device()) {
            let whole = as_a_whole(pinned).map(Arc::new);
            known.push(FileSystem { device: pinned.device(), whole });
        }
    }

    fn whole(&self, device: u64) -> Option<Arc<File>> {
        lock(&self.known).iter().find(|disk| disk.device == device)?.whole.clone()
    }

    /// Whether a file system can be synced as a whole.
    pub(super) fn syncs_whole(&self, device: u64) -> bool {
        self.whole(device).is_some()
    }

    /// Syncs a whole file system, if it can be. Blocks.
    pub(super) fn sync_whole(&self, device: u64) -> Option<io::Result<()>> {
        let whole = self.whole(device)?;
        self.note(|| DiskOperation::SyncWhole);
        Some(sync_whole(&whole))
    }

    /// Notes a change that [`settle`](Self::settle) makes durable.
    pub(crate) fn change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Makes everything durable that nobody has waited for. Blocks.
    ///
    /// # Errors
    /// Fails when something could not be synced since the last time.
    pub(crate) fn settle(&self) -> Result<(), TransferError> {
        if self.changed.swap(false, Ordering::Relaxed) {
            let wholes: Vec<_> = lock(&self.known).iter().filter_map(|disk| disk.whole.clone()).collect();
            for whole in wholes {
                self.note(|| DiskOperation::SyncWhole);
                self.keep(sync_whole(&whole));
            }
        }
        match lock(&self.failed).take() {
            None => Ok(()),
            Some(error) => Err(TransferError::local("sync", Path::new("what was fetched"))(error)),
        }
    }

    /// Keeps a failure for [`settle`](Self::settle).
    pub(super) fn keep(&self, synced: io::Result<()>) {
        if let Err(error) = synced {
            lock(&self.failed).get_or_insert(error);
        }
    }

    /// Syncs a file, or what is left of it where `more` of the same disk follow at once. Blocks.
    pub(super) fn sync_file(&self, file: &File, more: bool, _shown: &Path) -> io::Result<()> {
        self.note(|| DiskOperation::SyncFile(_shown.to_owned()));
        // There std empties the disk's own cache every time; once, behind the last one, is enough.
        #[cfg(target_vendor = "apple")]
        if more {
            return Ok(rustix::fs::fsync(file)?);
        }
        let _ = more;
        file.sync_all()
    }

    /// Syncs the entries of a directory. Blocks.
    pub(super) fn sync_directory(&self, pinned: &Pinned, _shown: &Path) -> io::Result<()> {
        self.note(|| DiskOperation::SyncDirectory(_shown.to_owned()));
        if cfg!(windows) {
            // The system has no such call.
            return Ok(());
        }
        match pinned.open_itself() {
            Ok(directory) => directory.sync_all(),
            // What may be written to and not read can be synced only with everything else.
            #[cfg(unix)]
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                rustix::fs::sync();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "tests take it down")]
    pub(crate) fn note(&self, _operation: impl FnOnce() -> DiskOperation) {}

    #[cfg(test)]
    pub(crate) fn note(&self, operation: impl FnOnce() -> DiskOperation) {
        lock(&self.record).push(operation());
    }

    /// Has everything on a file system synced by itself, as on those that cannot be synced as a whole.
    #[cfg(test)]
    pub(crate) fn sync_each(&self, device: u64) {
        lock(&self.known).push(FileSystem { device, whole: None });
    }

    /// What was done so far.
    #[cfg(test)]
    pub(crate) fn record(&self) -> Vec<DiskOperation> {
        lock(&self.record).clone()
    }
}

/// Opens what a whole file system is synced by, if that does what syncing each of its files would.
#[cfg(target_os = "linux")]
fn as_a_whole(pinned: &Pinned) -> Option<File> {
    /// ext2 to ext4, XFS, btrfs, F2FS, bcachefs, ZFS, tmpfs, overlayfs.
    const FIT: [u64; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1, 0x0102_1994, 0x794c_7630];
    // Before Linux 5.8 the call is silent about bytes that did not reach the disk.
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    if (numbers.next()?, numbers.next()?) < (5, 8) {
        return None;
    }
    let file = pinned.open_itself().ok()?;
    let kind = u64::try_from(rustix::fs::fstatfs(&file).ok()?.f_type).ok()? & 0xffff_ffff;
    FIT.contains(&kind).then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn as_a_whole(_pinned: &Pinned) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn sync_whole(file: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(file: &File) -> io::Result<()> {
    file.sync_all()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
