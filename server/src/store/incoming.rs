//! An upload on its way to the disk.
//!
//! A blob is synced before it is acknowledged, so the page cache would only be a detour for its bytes: they go to the
//! disk directly (`O_DIRECT`), in large aligned pieces, from a thread of their own. That spares the copy into fresh
//! pages, keeps what others read in the cache, and leaves the last fsync little more than the metadata. File systems
//! that cannot do that get ordinary writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Error, Result};

/// Bytes of a piece: enough to keep a disk busy, and a multiple of every block size.
const PIECE: usize = 512 * 1024;

/// Pieces of one upload: one is filled while the other is written.
const PIECES: usize = 4;

/// What direct writes want of addresses, offsets and lengths; block sizes are powers of two up to this.
const ALIGNMENT: usize = 4096;

/// An upload on its way; the file goes when this is dropped before it was placed.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    path: PathBuf,
    piece: Piece,
    /// Bytes in pieces that were handed over.
    handed_over: u64,
    disk: Option<Disk>,
    placed: bool,
}

/// The thread that writes pieces.
#[derive(Debug)]
struct Disk {
    full: SyncSender<Piece>,
    empty: Receiver<Piece>,
    made: usize,
    thread: JoinHandle<io::Result<()>>,
}

/// Aligned memory, partly filled.
#[derive(Debug, Default)]
struct Piece {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Incoming {
    /// Begins an upload in a new file.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(Error::file(&path))?;
        Ok(Self { file, path, piece: Piece::default(), handed_over: 0, disk: None, placed: false })
    }

    /// Brings everything to the disk, so that it survives a power cut.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.finish().map_err(Error::file(&self.path))
    }

    /// Gives the file, which must have been synced, its place.
    pub(super) fn place(mut self, target: &Path) -> Result<()> {
        fs::rename(&self.path, target).map_err(Error::file(target))?;
        self.placed = true;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(disk) = self.disk.take() {
            disk.end()?;
        }
        self.file.seek(SeekFrom::Start(self.handed_over))?;
        self.file.write_all(self.piece.bytes())?;
        // A failure is final: after it, pages may be lost and a second attempt succeed all the same.
        self.file.sync_all()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            None => self.disk.insert(Disk::start(&self.path, &self.file)?),
        };
        let piece = std::mem::take(&mut self.piece);
        self.handed_over += piece.filled as u64;
        match disk.exchange(piece) {
            Some(empty) => self.piece = empty,
            // The thread has ended, which only a failure makes it do.
            None => self.disk.take().map_or(Ok(()), Disk::end)?,
        }
        Ok(())
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.filled == PIECE {
            self.hand_over()?;
        }
        Ok(self.piece.take(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(disk) = self.disk.take() {
            let _ = disk.end();
        }
        if !self.placed {
            // Should this fail, the next start empties the directory.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Disk {
    fn start(path: &Path, file: &File) -> io::Result<Self> {
        let (full, pieces) = sync_channel::<Piece>(PIECES);
        let (written, empty) = channel();
        let mut file = match open_direct(path) {
            Some(direct) => direct,
            None => file.try_clone()?,
        };
        let path = path.to_owned();
        let write = move || {
            let mut offset = 0;
            for mut piece in pieces {
                let mut result = file.write_all(piece.bytes());
                if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput) {
                    // Opened, but not written directly: some file systems find out late.
                    file = OpenOptions::new().write(true).open(&path)?;
                    file.seek(SeekFrom::Start(offset))?;
                    result = file.write_all(piece.bytes());
                }
                result?;
                offset += piece.filled as u64;
                piece.filled = 0;
                let _ = written.send(piece);
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("disk".into()).spawn(write)?;
        Ok(Self { full, empty, made: 1, thread })
    }

    /// Gives a full piece and takes an empty one, which may be waited for. `None` when the thread has ended.
    fn exchange(&mut self, piece: Piece) -> Option<Piece> {
        self.full.send(piece).ok()?;
        if self.made < PIECES {
            self.made += 1;
            return Some(Piece::default());
        }
        self.empty.recv().ok()
    }

    /// Waits until all pieces are written.
    fn end(self) -> io::Result<()> {
        drop(self.full);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that writes the file panicked")))
    }
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }

    /// Takes as much as there is room for; returns how much.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.memory.is_empty() {
            // Not touched before it is used: a small upload costs only its own pages.
            self.memory = vec![0; PIECE + ALIGNMENT];
            self.start = self.memory.as_ptr().align_offset(ALIGNMENT);
        }
        let count = bytes.len().min(PIECE - self.filled);
        let begin = self.start + self.filled;
        self.memory[begin..begin + count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }
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
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_in_any_steps_is_in_the_file(
            size in prop_oneof![0..3usize, (PIECE - 2)..(PIECE + 2), 0..3 * PIECE], step in 1..300_000usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let content: Vec<u8> = (0..size).map(|i| u8::try_from(i % 253).unwrap()).collect();
            let mut incoming = Incoming::create(dir.path().join("upload")).unwrap();
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
        let mut incoming = Incoming::create(dir.path().join("upload")).unwrap();
        incoming.write_all(&vec![1; 2 * PIECE + 1]).unwrap();
        drop(incoming);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
