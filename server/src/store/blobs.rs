//! Blobs: immutable files named by the SHA-256 of their bytes.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealift_protocol::Digest;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::incoming::Incoming;
use super::objects::Extent;
use crate::error::{Error, Result};

/// The blobs of a data directory. Clones share it.
///
/// The collector must not remove a file between a look into the catalog and the opening of that file, nor between the
/// placing of a file and the commit that refers to it. Whoever does one of these holds a [`Guard`]; the collector
/// waits for them all.
#[derive(Debug, Clone)]
pub struct Blobs {
    blobs: Arc<PathBuf>,
    incoming: Arc<PathBuf>,
    next: Arc<AtomicU64>,
    gate: Arc<RwLock<()>>,
}

/// Keeps the collector away while it lives. Short-lived: it spans a commit or the opening of a file, not a transfer.
#[derive(Debug)]
pub struct Guard(#[allow(dead_code)] OwnedRwLockReadGuard<()>);

/// The collector's turn.
#[derive(Debug)]
pub struct Sweep(#[allow(dead_code)] OwnedRwLockWriteGuard<()>);

impl Blobs {
    /// The blobs below `data`. What an earlier run left half-received is removed.
    pub fn open(data: &Path) -> Result<Self> {
        let (blobs, incoming) = (data.join("blobs"), data.join("incoming"));
        for entry in fs::read_dir(&incoming).map_err(Error::file(&incoming))? {
            let path = entry.map_err(Error::file(&incoming))?.path();
            fs::remove_file(&path).map_err(Error::file(&path))?;
        }
        Ok(Self {
            blobs: Arc::new(blobs),
            incoming: Arc::new(incoming),
            next: Arc::default(),
            gate: Arc::default(),
        })
    }

    /// Where the blob's file is.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.blobs.join(&name[..2]).join(name)
    }

    /// Keeps the collector away.
    pub async fn guard(&self) -> Guard {
        Guard(self.gate.clone().read_owned().await)
    }

    /// Waits until nobody holds a guard, and keeps others from taking one.
    pub async fn sweep(&self) -> Sweep {
        Sweep(self.gate.clone().write_owned().await)
    }

    /// Begins an upload.
    pub fn receive(&self) -> Result<Incoming> {
        // Names need to be unique in this run only: at start the directory is emptied.
        Incoming::create(self.incoming.join(self.next.fetch_add(1, Ordering::Relaxed).to_string()))
    }

    /// Makes an upload a blob: durable when this returns. The guard must live until the catalog refers to it.
    pub fn place(&self, mut incoming: Incoming, digest: &Digest, _guard: &Guard) -> Result<()> {
        incoming.sync()?;
        let target = self.path(digest);
        let directory = target.parent().unwrap_or(&self.blobs);
        if !directory.exists() {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::file(directory)(error));
                }
                _ => sync_directory(&self.blobs)?,
            }
        }
        incoming.place(&target)?;
        sync_directory(directory)
    }

    /// Takes a blob's file away. Returns the path under which it waits to be deleted, since deleting a large file takes
    /// longer than others should have to wait; `None` if there was no such file.
    pub fn take_away(&self, digest: &Digest, _sweep: &Sweep) -> Result<Option<PathBuf>> {
        let path = self.path(digest);
        let aside = self.incoming.join(format!("{}.gone", self.next.fetch_add(1, Ordering::Relaxed)));
        match fs::rename(&path, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(&path)(error)),
        }
    }

    /// Whether the files that hold the extents are there and long enough; their bytes are not looked at.
    pub fn has(&self, extents: &[Extent]) -> bool {
        extents.iter().all(|extent| {
            let size = fs::metadata(self.path(&extent.blob)).map(|file| file.len());
            size.is_ok_and(|size| size >= extent.offset + extent.length)
        })
    }

    /// A reader of the extents, one after the other, from byte `offset` of them all. The guard must have been taken
    /// before the extents were looked up; it is no longer needed when this returns.
    pub fn read(&self, extents: &[Extent], offset: u64, _guard: &Guard) -> Result<ExtentReader> {
        let mut skip = offset;
        let mut runs = Vec::new();
        for extent in extents {
            let skipped = skip.min(extent.length);
            skip -= skipped;
            if skipped == extent.length {
                continue;
            }
            let path = self.path(&extent.blob);
            let mut file = File::open(&path).map_err(Error::file(&path))?;
            file.seek(SeekFrom::Start(extent.offset + skipped)).map_err(Error::file(&path))?;
            runs.push(file.take(extent.length - skipped));
        }
        runs.reverse();
        Ok(ExtentReader { runs })
    }

    /// The digests of all files in one of the 256 directories below `blobs/`.
    pub fn in_directory(&self, number: u8) -> Result<Vec<Digest>> {
        let directory = self.blobs.join(format!("{number:02x}"));
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&directory)(error)),
        };
        let mut digests = Vec::new();
        for entry in entries {
            let name = entry.map_err(Error::file(&directory))?.file_name();
            // Files of other names are not ours to touch.
            digests.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
        }
        Ok(digests)
    }
}

/// Reads runs of bytes from files, one after the other.
#[derive(Debug)]
pub struct ExtentReader {
    /// The current run is the last.
    runs: Vec<io::Take<File>>,
}

impl Read for ExtentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(run) = self.runs.last_mut() {
            let count = run.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if run.limit() > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.runs.pop();
        }
        Ok(0)
    }
}

/// Makes the names in a directory durable.
fn sync_directory(path: &Path) -> Result<()> {
    // Windows has no such call; there the rename is journaled by the file system.
    if cfg!(unix) {
        File::open(path).and_then(|file| file.sync_all()).map_err(Error::file(path))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["blobs", "incoming"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let blobs = Blobs::open(dir.path()).unwrap();
        (dir, blobs)
    }

    async fn place(blobs: &Blobs, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let mut incoming = blobs.receive().unwrap();
        incoming.write_all(content).unwrap();
        blobs.place(incoming, &digest, &blobs.guard().await).unwrap();
        digest
    }

    #[tokio::test]
    async fn extents_are_read_as_one_content_from_any_offset() {
        let (_dir, blobs) = blobs();
        let (a, b) = (place(&blobs, b"abcdef").await, place(&blobs, b"ghi").await);
        let extents = [
            Extent { blob: a, offset: 1, length: 3 },
            Extent { blob: b, offset: 0, length: 3 },
            Extent { blob: a, offset: 5, length: 1 },
        ];
        for offset in 0..=7 {
            let mut text = String::new();
            let guard = blobs.guard().await;
            let mut reader = blobs.read(&extents, offset, &guard).unwrap();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "bcdghif"[usize::try_from(offset).unwrap()..]);
        }
    }

    #[tokio::test]
    async fn a_blob_cut_short_is_an_error() {
        let (_dir, blobs) = blobs();
        let digest = place(&blobs, b"abcdef").await;
        fs::write(blobs.path(&digest), b"abc").unwrap();
        let extents = [Extent { blob: digest, offset: 0, length: 6 }];
        let mut reader = blobs.read(&extents, 0, &blobs.guard().await).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_not_placed_leaves_nothing_and_a_start_clears_the_rest() {
        let (dir, blobs) = blobs();
        blobs.receive().unwrap().write_all(b"half").unwrap();
        let left = || fs::read_dir(dir.path().join("incoming")).unwrap().count();
        assert_eq!(left(), 0);
        std::mem::forget(blobs.receive().unwrap());
        assert_eq!(left(), 1);
        Blobs::open(dir.path()).unwrap();
        assert_eq!(left(), 0);
    }
}
