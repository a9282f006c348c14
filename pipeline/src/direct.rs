//! Writes past the page cache.
//!
//! For a large content that is written once, the page cache would only be a detour: a copy into fresh pages, which other
//! contents have to make room for. Whole blocks go to the disk directly (`O_DIRECT`); a last part of a block and memory
//! that is not aligned go the ordinary way, as does everything on file systems that cannot do that.

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;

use crate::sizes::ALIGNMENT;

/// A file that is written from a place on, past the page cache where that can be had.
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    position: u64,
    /// Whether whole blocks are to go directly.
    wanted: bool,
    /// Whether they can.
    able: bool,
    /// Whether the file is set to that now.
    direct: bool,
}

impl DirectFile {
    /// Writes a file from its start, past the cache if `wanted`.
    pub fn new(file: File, wanted: bool) -> Self {
        Self { file, position: 0, wanted, able: true, direct: false }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the next byte goes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at that place.
    pub fn go_to(&mut self, position: u64) {
        self.position = position;
    }

    /// Writes what follows past the cache or through it.
    pub fn want(&mut self, past_cache: bool) {
        self.wanted = past_cache;
    }

    /// Lets the system begin to write what its cache holds of a range to the disk, where that can be had, and waits for
    /// nothing: a later sync has less left to do.
    #[cfg(target_os = "linux")]
    pub fn begin_to_write(&self, offset: u64, length: usize) {
        use rustix::fs::{Advice, fadvise};
        // It is not needed in the cache before it is on the disk, either. A system that takes no advice writes it later.
        if let Some(length) = NonZeroU64::new(length as u64) {
            let _ = fadvise(&self.file, offset, Some(length), Advice::DontNeed);
        }
    }

    /// Lets the system begin to write what its cache holds of a range to the disk, where that can be had.
    #[cfg(not(target_os = "linux"))]
    pub fn begin_to_write(&self, _offset: u64, _length: usize) {}

    /// Sets the file to direct writes, or back; whether that could be had.
    fn set(&mut self, direct: bool) -> bool {
        if self.direct != direct && set_direct(&self.file, direct).is_ok() {
            self.direct = direct;
        }
        self.direct == direct
    }

    /// Writes whole blocks directly; `None` if that cannot be done.
    fn write_direct(&mut self, blocks: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        if blocks.is_empty() || !self.wanted || !self.able || !self.position.is_multiple_of(ALIGNMENT as u64)
        {
            return None;
        }
        self.able = self.set(true);
        if !self.able {
            return None;
        }
        match self.write_here(blocks) {
            // Set, but not written directly: some file systems find out late.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.able = false;
                None
            }
            written => Some(written),
        }
    }

    fn write_here(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.position))?;
        let count = self.file.write_vectored(slices)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for DirectFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut whole: Vec<_> = slices.iter().map(|slice| whole_blocks(slice)).collect();
        // What follows a part of a block would be at a place that is not a block's.
        let end = whole.iter().zip(slices).take_while(|(whole, slice)| whole.len() == slice.len()).count();
        whole.truncate(end + 1);
        whole.retain(|blocks| !blocks.is_empty());
        if let Some(written) = self.write_direct(&whole) {
            return written;
        }
        self.set(false);
        self.write_here(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning that can be written directly.
fn whole_blocks(bytes: &[u8]) -> IoSlice<'_> {
    let aligned = bytes.as_ptr().addr().is_multiple_of(ALIGNMENT);
    IoSlice::new(if aligned { &bytes[..bytes.len() - bytes.len() % ALIGNMENT] } else { &[] })
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_: &File, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::sizes::BLOCK;
    use crate::write_stage::write_together;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_in_any_steps_is_in_the_file(
            size in prop_oneof![0..3usize, (BLOCK - 2)..(BLOCK + 2), 0..3 * BLOCK],
            step in prop_oneof![Just(ALIGNMENT), Just(BLOCK), 1..300_000usize],
            start in prop_oneof![Just(0), Just(1usize)],
            direct in prop::collection::vec(any::<bool>(), 1..4),
            together in 1..4usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            // Aligned unless it starts at 1.
            let memory: Vec<u8> = (0..size + 2 * ALIGNMENT).map(|i| u8::try_from(i % 253).unwrap()).collect();
            let start = start + memory.as_ptr().align_offset(ALIGNMENT);
            let content = &memory[start..start + size];
            let mut file = DirectFile::new(File::create(&path).unwrap(), true);
            for (parts, direct) in content.chunks(step * together).zip(direct.into_iter().cycle()) {
                file.want(direct);
                write_together(&mut file, parts.chunks(step)).unwrap();
            }
            prop_assert!(fs::read(&path).unwrap() == content);
        }
    }
}
