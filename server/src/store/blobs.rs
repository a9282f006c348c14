//! Blobs: immutable files named by the SHA-256 of their bytes.

mod reading;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use sealift_types::Digest;

use self::reading::ComparedFile;
pub use self::reading::{ExtentReader, PackReader};
use super::disk::DiskReserve;
use super::file_holds::{FileHold, FileHolds};
pub use super::gate::FileGuard;
use super::gate::{FileGate, FileRemoval};
use super::incoming::StagedFile;
use crate::data::inherit_owner;
use crate::error::{Result, ServerError};
use crate::monitor::meter::{Counter, Histogram};

/// The blobs of a data directory. Clones share it.
///
/// The collector must not remove a file between a look into the catalog and the opening of that file, nor between the
/// placing of a file and the commit that refers to it. Whoever does one of these holds a [`FileGuard`], see
/// `gate.rs`. Another process, which can hold no guard, keeps the collector away by [`keep_files`].
#[derive(Debug, Clone)]
pub struct Blobs {
    blobs: Arc<PathBuf>,
    incoming: Arc<PathBuf>,
    holds: FileHolds,
    abandoned: Arc<Mutex<BTreeSet<Digest>>>,
    /// The directories below `blobs/` whose names are known to be durable.
    durable: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Files that uploads have replaced, until the collector comes by.
    replaced: Arc<Mutex<Vec<File>>>,
    coming: Arc<Mutex<Option<Digest>>>,
    compared: Arc<Mutex<ComparedFile>>,
    gate: FileGate,
    lock: Arc<File>,
    meter: Arc<BlobMeter>,
    reserve: DiskReserve,
}

/// What the disk was asked to do.
#[derive(Debug)]
pub struct BlobMeter {
    /// How long syncs took, of files and of directories.
    pub syncs: Histogram,
    /// Files that the collector took away.
    pub removed: Counter,
}

impl Default for BlobMeter {
    fn default() -> Self {
        Self { syncs: Histogram::of_durations(), removed: Counter::default() }
    }
}

/// How many files that were replaced are held open at most.
const HELD: usize = 64;

/// What an upload left in `incoming/`, or has there so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagedLeftover {
    /// The file's number, which is its name.
    pub file: u64,
    /// Bytes that are there.
    pub size: u64,
    /// When the last of them came.
    pub modified: SystemTime,
}

/// The collector's turn with some files.
#[derive(Debug)]
pub struct Sweep {
    lock: Arc<File>,
    removal: FileRemoval,
}

/// Keeps the collectors of all processes away from the files while it lives.
#[derive(Debug)]
pub struct CollectorLock(#[allow(dead_code)] Option<File>);

/// Keeps the collectors of all processes away from the files of a data directory. What the catalog refers to at any
/// moment from then on stays until the result is dropped, or its process ends: a collector removes only what nothing
/// refers to in a look that it takes under the same lock.
pub fn keep_files(data: &Path) -> Result<CollectorLock> {
    match collector_lock(data) {
        Ok((lock, path)) => {
            lock.lock_shared().map_err(ServerError::file(&path))?;
            Ok(CollectorLock(Some(lock)))
        }
        // Nobody collects on read-only media.
        Err(ServerError::File { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Ok(CollectorLock(None))
        }
        Err(error) => Err(error),
    }
}

fn collector_lock(data: &Path) -> Result<(File, PathBuf)> {
    let path = data.join("gc.lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ServerError::file(&path))?;
    inherit_owner(&path).map_err(ServerError::file(&path))?;
    Ok((lock, path))
}

impl Sweep {
    /// Returns true if the file of `digest` may be taken away.
    pub fn has(&self, digest: &Digest) -> bool {
        self.removal.has(digest)
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        // Should it fail, nothing is collected any more, and nothing is lost.
        let _ = self.lock.unlock();
    }
}

impl Blobs {
    /// The blobs below `data`. Files that an earlier run was about to delete go now; which uploads are worth keeping
    /// is for [`partial_uploads::collect`](super::partial_uploads::collect) to find out.
    pub fn open(data: &Path) -> Result<Self> {
        let (blobs, incoming) = (data.join("blobs"), data.join("incoming"));
        let mut next = 0;
        for entry in fs::read_dir(&incoming).map_err(ServerError::file(&incoming))? {
            let path = entry.map_err(ServerError::file(&incoming))?.path();
            match number(&path) {
                Some(file) => next = next.max(file.saturating_add(1)),
                None => fs::remove_file(&path).map_err(ServerError::file(&path))?,
            }
        }
        Ok(Self {
            lock: Arc::new(collector_lock(data)?.0),
            blobs: Arc::new(blobs),
            incoming: Arc::new(incoming),
            holds: FileHolds::starting_at(next),
            abandoned: Arc::default(),
            durable: Arc::default(),
            replaced: Arc::default(),
            coming: Arc::default(),
            compared: Arc::default(),
            gate: FileGate::default(),
            meter: Arc::default(),
            reserve: DiskReserve::new(data),
        })
    }

    /// What the disk was asked to do so far.
    pub fn meter(&self) -> &BlobMeter {
        &self.meter
    }

    /// The room on the disk that uploads cannot use.
    pub fn reserve(&self) -> &DiskReserve {
        &self.reserve
    }

    /// Does `sync` and notes how long it took.
    fn timed(&self, sync: impl FnOnce() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        let synced = sync();
        self.meter.syncs.time(begun.elapsed());
        synced
    }

    /// Where the blob's file is.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        path_below(&self.blobs, digest)
    }

    /// Keeps the collector away.
    pub fn guard(&self) -> FileGuard {
        self.gate.guard()
    }

    /// Waits until all guards are gone that there are now: nobody who has looked into the catalog before is about to open
    /// a file.
    pub async fn grace(&self) {
        self.gate.grace().await;
    }

    /// Takes the files of those of `digests` that nobody is placing; `None` while another process keeps the files. What the
    /// catalog says of them has to be looked up while the result lives, and its writer must not be waited for.
    pub fn sweep(&self, digests: impl IntoIterator<Item = Digest>) -> Result<Option<Sweep>> {
        match self.lock.try_lock() {
            Ok(()) => Ok(Some(Sweep { lock: self.lock.clone(), removal: self.gate.remove(digests) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(ServerError::file(Path::new("gc.lock"))(error)),
        }
    }

    /// Begins an upload, past the page cache if that can be had.
    pub fn receive(&self) -> Result<StagedFile> {
        drop(self.reserve.grant(0, 1)?);
        Ok(self.begin(true)?.within(self.reserve.clone()))
    }

    /// Begins an upload that is soon read again, of bytes that the reserve has granted.
    pub fn receive_cached(&self) -> Result<StagedFile> {
        self.begin(false)
    }

    fn begin(&self, past_the_cache: bool) -> Result<StagedFile> {
        loop {
            let file = self.holds.number();
            // Before the file is there, so that the collector never takes it for nobody's.
            if let Some(hold) = self.holds.hold(file) {
                return StagedFile::create(self.upload(file), hold, past_the_cache);
            }
        }
    }

    /// Goes on with an upload behind its first `offset` bytes.
    pub fn resume(&self, hold: FileHold, offset: u64) -> Result<StagedFile> {
        Ok(StagedFile::reopen(self.upload(hold.file()), hold, offset)?.within(self.reserve.clone()))
    }

    /// Who is writing what.
    pub fn holds(&self) -> &FileHolds {
        &self.holds
    }

    /// Where an upload's file is, while there is one.
    pub fn upload(&self, file: u64) -> PathBuf {
        self.incoming.join(file.to_string())
    }

    /// What is there of an upload; `None` if its file has gone.
    pub fn leftover(&self, file: u64) -> Result<Option<StagedLeftover>> {
        let path = self.upload(file);
        match fs::metadata(&path).and_then(|facts| Ok((facts.len(), facts.modified()?))) {
            Ok((size, modified)) => Ok(Some(StagedLeftover { file, size, modified })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ServerError::file(&path)(error)),
        }
    }

    /// The uploads that nobody is writing.
    pub fn leftovers(&self) -> Result<Vec<StagedLeftover>> {
        let mut leftovers = Vec::new();
        for entry in fs::read_dir(&*self.incoming).map_err(ServerError::file(&self.incoming))? {
            let path = entry.map_err(ServerError::file(&self.incoming))?.path();
            if let Some(file) = number(&path).filter(|file| !self.holds.is_held(*file)) {
                leftovers.extend(self.leftover(file)?);
            }
        }
        Ok(leftovers)
    }

    /// Removes an upload's file; the hold keeps everybody else off it.
    pub fn remove_upload(&self, hold: &FileHold) -> Result<()> {
        let path = self.upload(hold.file());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ServerError::file(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Makes an upload a blob: durable when this returns. The guard must live until the catalog refers to it, the hold
    /// until the catalog has forgotten the upload.
    pub fn place(&self, mut incoming: StagedFile, digest: &Digest, guard: &FileGuard) -> Result<FileHold> {
        guard.place(digest);
        self.timed(|| incoming.sync())?;
        let target = self.path(digest);
        let directory = target.parent().unwrap_or(&self.blobs);
        self.make_durable(directory)?;
        // The file that is replaced is held open, so that the disk gives its space back later: whoever uploads must not see
        // from the time that this takes that there was one.
        let replaced = File::open(&target).ok();
        let hold = incoming.place(&target)?;
        let mut held = self.replaced();
        if held.len() < HELD {
            held.extend(replaced);
        }
        drop(held);
        // A file whose name may be lost again is nobody's, unless the content was there before.
        self.timed(|| sync_directory(directory)).inspect_err(|_| self.abandon(*digest))?;
        Ok(hold)
    }

    /// Gives up the files that uploads have replaced.
    pub(super) fn give_up_replaced(&self) {
        let replaced = std::mem::take(&mut *self.replaced());
        drop(replaced);
    }

    fn replaced(&self) -> MutexGuard<'_, Vec<File>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a directory below `blobs/`, unless it is there, and its name durable. That it is there says nothing: somebody else
    /// may be about to sync its name, or may have failed to.
    fn make_durable(&self, directory: &Path) -> Result<()> {
        // Whoever comes second waits for the sync.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(directory) && directory.exists() {
            return Ok(());
        }
        let is_new = match fs::create_dir(directory) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(ServerError::file(directory)(error)),
        };
        let made = match is_new {
            true => inherit_owner(directory).map_err(ServerError::file(directory)),
            false => Ok(()),
        };
        // All that are there now become durable by one sync.
        let known = made.and_then(|()| subdirectories(&self.blobs));
        let synced = known.and_then(|known| self.timed(|| sync_directory(&self.blobs)).map(|()| known));
        match synced {
            Ok(known) => durable.extend(known),
            Err(error) => {
                if is_new {
                    // A second sync would succeed without doing anything, so the next attempt needs a new name to sync.
                    let _ = fs::remove_dir(directory);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Notes that a file was placed whose commit failed. The collector looks whether the catalog knows of it all the same; no
    /// row is needed for that, since the catalog may have no room for one.
    pub fn abandon(&self, digest: Digest) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    /// Up to `limit` files whose commits failed.
    pub(super) fn abandoned(&self, limit: usize) -> Vec<Digest> {
        let abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        abandoned.iter().take(limit).copied().collect()
    }

    /// Forgets files whose commits failed, now that they have gone or are needed.
    pub(super) fn forget_abandoned(&self, digests: &[Digest]) {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in digests {
            abandoned.remove(digest);
        }
    }

    /// Takes a blob's file away. Returns the path under which it waits to be deleted, since deleting a large file takes
    /// longer than others should have to wait; `None` if there was no such file. The sweep must have it.
    pub fn take_away(&self, digest: &Digest, sweep: &Sweep) -> Result<Option<PathBuf>> {
        if !sweep.has(digest) {
            return Ok(None);
        }
        let path = self.path(digest);
        let aside = self.incoming.join(format!("{}.gone", self.holds.number()));
        match fs::rename(&path, &aside) {
            Ok(()) => {
                self.meter.removed.count();
                Ok(Some(aside))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ServerError::file(&path)(error)),
        }
    }

    /// The digests of all files in one of the 256 directories below `blobs/`.
    pub fn in_directory(&self, number: u8) -> Result<Vec<Digest>> {
        in_directory(&self.blobs, number)
    }
}

/// Where a blob's file is, below the directory of all blobs.
pub(crate) fn path_below(blobs: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    blobs.join(&name[..2]).join(name)
}

/// The digests of all files in one of the 256 directories below that of all blobs.
pub(crate) fn in_directory(blobs: &Path, number: u8) -> Result<Vec<Digest>> {
    let directory = blobs.join(format!("{number:02x}"));
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ServerError::file(&directory)(error)),
    };
    let mut digests = Vec::new();
    for entry in entries {
        let name = entry.map_err(ServerError::file(&directory))?.file_name();
        // Files of other names are not ours to touch.
        digests.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
    }
    Ok(digests)
}

/// The number of an upload's file; `None` for whatever else is in `incoming/`.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.parse().ok().filter(|number: &u64| number.to_string() == name)
}

/// The directories below `blobs`.
fn subdirectories(blobs: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(blobs).map_err(ServerError::file(blobs))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<io::Result<_>>().map_err(ServerError::file(blobs))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    // Windows has no such call; there the rename is journaled by the file system.
    if cfg!(unix) {
        File::open(path).and_then(|file| file.sync_all()).map_err(ServerError::file(path))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
