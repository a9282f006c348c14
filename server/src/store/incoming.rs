//! An upload on its way to the disk.
//!
//! A blob is synced before it is acknowledged, so the page cache would only be a detour for its bytes: they go to the
//! disk directly, block by block as they come from the wire. That spares the copy into fresh pages, keeps what others
//! read in the cache, and leaves the last fsync little more than the metadata.
//!
//! An upload that breaks off can leave its file behind, to be continued: see [`partial_uploads`](super::partial_uploads).

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use sealift_pipeline::DirectFile;

use super::disk::{DiskGrant, DiskReserve};
use super::file_holds::FileHold;
use crate::data::inherit_owner;
use crate::error::{Result, ServerError};

/// An upload on its way. When this is dropped before it was placed, the file goes, unless its hold says that it stays.
#[derive(Debug)]
pub struct StagedFile {
    file: DirectFile,
    path: PathBuf,
    placed: bool,
    hold: FileHold,
    /// What has to grant the bytes before they are written.
    reserve: Option<DiskReserve>,
}

impl StagedFile {
    /// Begins an upload in a new file, which is written past the page cache if `direct`.
    pub(super) fn create(path: PathBuf, hold: FileHold, direct: bool) -> Result<Self> {
        let file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(ServerError::file(&path))?;
        inherit_owner(&path).map_err(ServerError::file(&path))?;
        Ok(Self { file: DirectFile::new(file, direct), path, placed: false, hold, reserve: None })
    }

    /// Goes on with an upload in its file, behind its first `offset` bytes; what lies beyond them is dropped.
    pub(super) fn reopen(path: PathBuf, hold: FileHold, offset: u64) -> Result<Self> {
        let file = OpenOptions::new().write(true).open(&path).map_err(ServerError::file(&path))?;
        file.set_len(offset).map_err(ServerError::file(&path))?;
        let mut file = DirectFile::new(file, true);
        file.go_to(offset);
        Ok(Self { file, path, placed: false, hold, reserve: None })
    }

    /// Writes only what the reserve grants.
    pub(super) fn within(mut self, reserve: DiskReserve) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// Has so many bytes granted.
    fn granted(&self, bytes: usize) -> io::Result<Option<DiskGrant>> {
        let granted = self.reserve.as_ref().map(|reserve| reserve.grant(bytes as u64, 0)).transpose();
        granted.map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error.to_wire()))
    }

    /// The use of the file.
    pub fn hold(&self) -> &FileHold {
        &self.hold
    }

    /// Brings everything to the disk, so that it survives a power cut.
    pub(super) fn sync(&mut self) -> Result<()> {
        // A failure is final: after it, pages may be lost and a second attempt succeed all the same. So from here on
        // the file becomes a blob or goes; what was lost must not be continued.
        self.hold.discard();
        self.file.file().sync_all().map_err(ServerError::file(&self.path))
    }

    /// Gives the file, which must have been synced, its place. Its number stays in use as long as what is returned.
    pub(super) fn place(mut self, target: &Path) -> Result<FileHold> {
        fs::rename(&self.path, target).map_err(ServerError::file(target))?;
        self.placed = true;
        Ok(self.hold.clone())
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _granted = self.granted(bytes.len())?;
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let _granted = self.granted(slices.iter().map(|slice| slice.len()).sum())?;
        self.file.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed && !self.hold.is_kept() {
            // Should this fail, the collector finds it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use sealift_pipeline::{ALIGNMENT, BLOCK};

    use super::*;
    use crate::store::file_holds::FileHolds;

    fn hold() -> FileHold {
        FileHolds::default().hold(0).unwrap()
    }

    #[test]
    fn an_upload_that_is_placed_has_all_its_bytes() {
        for direct in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let content: Vec<u8> = (0..BLOCK + 5).map(|i| u8::try_from(i % 253).unwrap()).collect();
            let mut incoming = StagedFile::create(dir.path().join("upload"), hold(), direct).unwrap();
            incoming.write_all(&content).unwrap();
            incoming.sync().unwrap();
            incoming.place(&dir.path().join("blob")).unwrap();
            assert!(fs::read(dir.path().join("blob")).unwrap() == content);
            assert!(!dir.path().join("upload").exists());
        }
    }

    #[test]
    fn an_upload_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut incoming = StagedFile::create(dir.path().join("upload"), hold(), true).unwrap();
        incoming.write_all(&vec![1; 2 * BLOCK + 1]).unwrap();
        drop(incoming);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_upload_that_is_kept_goes_on_where_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hold) = (dir.path().join("upload"), hold());
        let mut incoming = StagedFile::create(path.clone(), hold.clone(), true).unwrap();
        incoming.write_all(&vec![1; 3 * ALIGNMENT + 5]).unwrap();
        hold.keep();
        drop(incoming);
        assert_eq!(fs::metadata(&path).unwrap().len(), 3 * ALIGNMENT as u64 + 5);
        let mut incoming = StagedFile::reopen(path.clone(), hold.clone(), 2 * ALIGNMENT as u64).unwrap();
        incoming.write_all(&vec![2; ALIGNMENT / 2]).unwrap();
        drop(incoming);
        assert_eq!(fs::read(&path).unwrap(), [vec![1; 2 * ALIGNMENT], vec![2; ALIGNMENT / 2]].concat());
        let mut incoming = StagedFile::reopen(path.clone(), hold, 0).unwrap();
        incoming.sync().unwrap();
        drop(incoming);
        assert!(!path.exists(), "what was to become a blob is never continued");
    }
}
