//! What a large content is written to.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::time::{Duration, Instant};

use sealift_protocol::Hasher;
use sealift_protocol::content::PastCache;

/// Bytes from which on a content goes past the page cache: 128 MiB. Fresh pages for it cost more than everything else,
/// and push out what others would read; what is smaller may be opened next, and is then still in memory.
const PAST_CACHE: u64 = 128 * 1024 * 1024;

/// Bytes that tell how fast the disk is.
const TRIAL: u64 = 32 * 1024 * 1024;

/// How long they may take: a disk of less than 256 MiB/s is better written to through the cache, which does it while
/// the next bytes come.
const PATIENCE: Duration = Duration::from_millis(125);

/// A file, or whatever else takes bytes.
pub(super) enum Sink {
    File { file: PastCache, trial: Option<Trial> },
    Stream(Box<dyn Write + Send>),
}

/// The first writes past the page cache.
#[derive(Default)]
pub(super) struct Trial {
    bytes: u64,
    took: Duration,
}

impl Sink {
    /// A file that is to hold `size` bytes.
    pub(super) fn new(file: File, size: u64) -> Self {
        let direct = size >= PAST_CACHE;
        Self::File { file: PastCache::new(file, direct), trial: direct.then(Trial::default) }
    }

    /// What cannot be read back.
    pub(super) fn stream(writer: Box<dyn Write + Send>) -> Self {
        Self::Stream(writer)
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<&File> {
        match self {
            Self::File { file, .. } => Some(file.file()),
            Self::Stream(_) => None,
        }
    }

    /// Hashes what an earlier attempt left, the first `count` bytes; what is written next comes behind them. Blocks.
    pub(super) fn hash_part(&mut self, hasher: &mut Hasher, count: u64) -> io::Result<()> {
        let Self::File { file, .. } = self else { return Ok(()) };
        let part = file.file();
        // Not without need: after a truncation ext4 writes the whole file out when it is closed.
        if part.metadata()?.len() != count {
            part.set_len(count)?;
        }
        hasher.read(part, count)?;
        file.go_to(count);
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::File { file, trial: None } => file.write_vectored(slices),
            Self::File { file, trial: trial @ Some(_) } => {
                let begun = Instant::now();
                let count = file.write_vectored(slices)?;
                if let Some(Trial { bytes, took }) = trial {
                    *bytes += count as u64;
                    *took += begun.elapsed();
                    if *took > PATIENCE {
                        file.use_cache();
                    }
                    if *took > PATIENCE || *bytes >= TRIAL {
                        *trial = None;
                    }
                }
                Ok(count)
            }
            Self::Stream(writer) => writer.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            Self::Stream(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sealift_protocol::Digest;
    use sealift_protocol::content::{ALIGNMENT, BLOCK};

    use super::*;

    #[test]
    fn what_goes_past_the_cache_continues_what_was_left() {
        let content: Vec<u8> = (0..3 * BLOCK + 7).map(|i| u8::try_from(i % 251).unwrap()).collect();
        for left in [0, 5, ALIGNMENT, BLOCK + 1] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("part");
            // Of what lies beyond it nothing is used.
            std::fs::write(&path, [&content[..left], b"anything"].concat()).unwrap();
            let part = File::options().read(true).write(true).open(&path).unwrap();
            let (mut sink, mut hasher) = (Sink::new(part, PAST_CACHE), Hasher::new());
            sink.hash_part(&mut hasher, left as u64).unwrap();
            assert_eq!(hasher.finish(), Digest::of(&content[..left]));
            let memory = [vec![0; ALIGNMENT], content[left..].to_vec()].concat();
            sink.write_all(&memory[ALIGNMENT..]).unwrap();
            assert!(std::fs::read(&path).unwrap() == content);
        }
    }

    #[test]
    fn a_slow_disk_is_written_through_the_cache() {
        let file = tempfile::tempfile().unwrap();
        let mut sink = Sink::new(file, PAST_CACHE);
        if let Sink::File { trial: Some(trial), .. } = &mut sink {
            trial.took = PATIENCE;
        }
        sink.write_all(&[1; ALIGNMENT]).unwrap();
        assert!(matches!(sink, Sink::File { trial: None, .. }));
    }
}
