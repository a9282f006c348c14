//! An upload on its way to the disk.
//!
//! A blob is synced before it is acknowledged, so the page cache would only be a detour for its bytes: they go to the
//! disk directly (`O_DIRECT`), block by block as they come from the wire. That spares the copy into fresh pages, keeps
//! what others read in the cache, and leaves the last fsync little more than the metadata. File systems that cannot do
//! that get ordinary writes, as do a last part of a block and memory that is not aligned.
//!
//! An upload that breaks off can leave its file behind, to be continued: see [`parts`](super::parts).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sealift_protocol::content::ALIGNMENT;

use super::holds::Hold;
use crate::error::{Error, Result};

/// An upload on its way. When this is dropped before it was placed, the file goes, unless its hold says that it stays.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    /// The same file, opened for writes past the page cache.
    direct: Option<File>,
    path: PathBuf,
    written: u64,
    placed: bool,
    hold: Hold,
}

impl Incoming {
    /// Begins an upload in a new file.
    pub(super) fn create(path: PathBuf, hold: Hold) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(Error::file(&path))?;
        Ok(Self { file, direct: None, path, written: 0, placed: false, hold })
    }

    /// Writes past the page cache from here on, where that can be had.
    pub(super) fn past_the_cache(mut self) -> Self {
        self.direct = open_direct(&self.path);
        self
    }

    /// Goes on with an upload in its file, behind its first `offset` bytes; what lies beyond them is dropped.
    pub(super) fn reopen(path: PathBuf, hold: Hold, offset: u64) -> Result<Self> {
        let file = OpenOptions::new().write(true).open(&path).map_err(Error::file(&path))?;
        file.set_len(offset).map_err(Error::file(&path))?;
        let direct = open_direct(&path);
        Ok(Self { file, direct, path, written: offset, placed: false, hold })
    }

    /// The use of the file.
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Brings everything to the disk, so that it survives a power cut.
    pub(super) fn sync(&mut self) -> Result<()> {
        // A failure is final: after it, pages may be lost and a second attempt succeed all the same. So from here on
        // the file becomes a blob or goes; what was lost must not be continued.
        self.hold.discard();
        self.file.sync_all().map_err(Error::file(&self.path))
    }

    /// Gives the file, which must have been synced, its place. Its number stays in use as long as what is returned.
    pub(super) fn place(mut self, target: &Path) -> Result<Hold> {
        fs::rename(&self.path, target).map_err(Error::file(target))?;
        self.placed = true;
        Ok(self.hold.clone())
    }

    /// Writes whole blocks directly; `None` if these bytes cannot be written so.
    fn write_direct(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let whole = bytes.len() - bytes.len() % ALIGNMENT;
        let aligned = self.written.is_multiple_of(ALIGNMENT as u64)
            && bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
            && whole > 0;
        let direct = self.direct.as_mut().filter(|_| aligned)?;
        match write_at(direct, &bytes[..whole], self.written) {
            // Opened, but not written directly: some file systems find out late.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.direct = None;
                None
            }
            written => Some(written),
        }
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self.write_direct(bytes) {
            Some(written) => written?,
            None => write_at(&mut self.file, bytes, self.written)?,
        };
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.placed && !self.hold.is_kept() {
            // Should this fail, the collector finds it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write_at(file: &mut File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.write(bytes)
}

/// The file, for writes past the page cache; `None` where that cannot be had.
#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(direct).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &Path) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sealift_protocol::content::BLOCK;

    use super::*;
    use crate::store::holds::Holds;

    fn hold() -> Hold {
        Holds::default().hold(0).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_in_any_steps_is_in_the_file(
            size in prop_oneof![0..3usize, (BLOCK - 2)..(BLOCK + 2), 0..3 * BLOCK],
            step in prop_oneof![Just(ALIGNMENT), Just(BLOCK), 1..300_000usize],
            start in prop_oneof![Just(0), Just(1usize)],
            direct: bool,
        ) {
            let dir = tempfile::tempdir().unwrap();
            // Aligned unless it starts at 1.
            let memory: Vec<u8> = (0..size + 2 * ALIGNMENT).map(|i| u8::try_from(i % 253).unwrap()).collect();
            let start = start + memory.as_ptr().align_offset(ALIGNMENT);
            let content = &memory[start..start + size];
            let mut incoming = Incoming::create(dir.path().join("upload"), hold()).unwrap();
            if direct {
                incoming = incoming.past_the_cache();
            }
            for part in content.chunks(step) {
                incoming.write_all(part).unwrap();
            }
            incoming.sync().unwrap();
            incoming.place(&dir.path().join("blob")).unwrap();
            prop_assert!(fs::read(dir.path().join("blob")).unwrap() == content);
            prop_assert!(!dir.path().join("upload").exists());
        }
    }

    #[test]
    fn an_upload_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut incoming = Incoming::create(dir.path().join("upload"), hold()).unwrap();
        incoming.write_all(&vec![1; 2 * BLOCK + 1]).unwrap();
        drop(incoming);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    #[test]
    fn an_upload_that_is_kept_goes_on_where_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hold) = (dir.path().join("upload"), hold());
        let mut incoming = Incoming::create(path.clone(), hold.clone()).unwrap();
        incoming.write_all(&vec![1; 3 * ALIGNMENT + 5]).unwrap();
        hold.keep();
        drop(incoming);
        assert_eq!(fs::metadata(&path).unwrap().len(), 3 * ALIGNMENT as u64 + 5);
        let mut incoming = Incoming::reopen(path.clone(), hold.clone(), 2 * ALIGNMENT as u64).unwrap();
        incoming.write_all(&vec![2; ALIGNMENT / 2]).unwrap();
        drop(incoming);
        assert_eq!(fs::read(&path).unwrap(), [vec![1; 2 * ALIGNMENT], vec![2; ALIGNMENT / 2]].concat());
        let mut incoming = Incoming::reopen(path.clone(), hold, 0).unwrap();
        incoming.sync().unwrap();
        drop(incoming);
        assert!(!path.exists(), "what was to become a blob is never continued");
    }
}
