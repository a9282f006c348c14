//! What a large content is written to.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::time::{Duration, Instant};

use sealift_protocol::Hasher;
use sealift_protocol::content::{self, PastCache};

/// Bytes from which on a content goes past the page cache: 128 MiB. Fresh pages for it cost more than everything else,
/// and push out what others would read; what is smaller may be opened next, and is then still in memory.
const PAST_CACHE: u64 = 128 * 1024 * 1024;

/// Blocks that wait for a disk that is slower than what comes. The page cache may be faster then, and the disk has it later.
const BEHIND: usize = content::together(content::MANY_BLOCKS);

/// Bytes that tell how fast a way is: disks pause, and so does a thread whose core others want. 32 MiB.
const TRIAL: f64 = 32.0 * 1024.0 * 1024.0;

/// A file, or whatever else takes bytes.
pub(super) enum Sink {
    File { file: PastCache, ways: Option<Ways> },
    Stream(Box<dyn Write + Send>),
}

/// The two ways to write a content that is to go past the page cache as long as the disk keeps up.
#[derive(Default)]
pub(super) struct Ways {
    behind: bool,
    past_cache: Cost,
    cached: Cost,
}

impl Ways {
    /// Whether so many blocks are to go past the cache. Where memory is touched for the first time, or too much waits for
    /// the disk already, the cache may be the slower way, so both are measured.
    fn past_cache(&mut self, blocks: usize) -> bool {
        self.behind |= blocks >= BEHIND;
        let tried = self.cached.seen >= TRIAL;
        !self.behind || tried && self.past_cache.seconds <= self.cached.seconds
    }
}

/// What a byte costs on one way.
#[derive(Default)]
struct Cost {
    /// Bytes that went this way.
    seen: f64,
    /// Seconds for each of the last [`TRIAL`] of them or so.
    seconds: f64,
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "a write is far below 2^52 bytes")]
    fn note(&mut self, bytes: usize, took: Duration) {
        let bytes = bytes as f64;
        if bytes > 0.0 {
            self.seen += bytes;
            self.seconds +=
                (took.as_secs_f64() / bytes - self.seconds) * (bytes / self.seen.min(TRIAL)).min(1.0);
        }
    }
}

impl Sink {
    /// A file that is to hold `size` bytes.
    pub(super) fn new(file: File, size: u64) -> Self {
        let large = size >= PAST_CACHE;
        Self::File { file: PastCache::new(file, large), ways: large.then(Ways::default) }
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
            Self::File { file, ways: None } => file.write_vectored(slices),
            Self::File { file, ways: Some(ways) } => {
                let past_cache = ways.past_cache(slices.len());
                file.want(past_cache);
                let begun = Instant::now();
                let count = file.write_vectored(slices)?;
                let cost = if past_cache { &mut ways.past_cache } else { &mut ways.cached };
                cost.note(count, begun.elapsed());
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
    #[cfg(target_os = "linux")]
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use sealift_protocol::Digest;
    use sealift_protocol::content::{ALIGNMENT, BLOCK};

    use super::*;

    #[test]
    fn a_cost_is_that_of_late() {
        let mut cost = Cost::default();
        let mut write = |millis| {
            cost.note(8 << 20, Duration::from_millis(millis));
            (cost.seconds * TRIAL / 4.0 * 1000.0).round()
        };
        assert_eq!([10, 30].map(&mut write), [10.0, 20.0], "the average of all");
        assert_eq!([20, 20, 60].map(&mut write), [20.0, 20.0, 30.0], "a quarter of it is new");
        assert_eq!(write(2), 23.0);
    }

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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_behind_is_written_the_faster_way() {
        let memory = vec![1; 2 * ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        let block = IoSlice::new(&memory[start..start + ALIGNMENT]);
        let mut sink = Sink::new(tempfile::tempfile().unwrap(), PAST_CACHE);
        let can = fcntl_setfl(tempfile::tempfile().unwrap(), OFlags::DIRECT).is_ok();
        let cost = |seen, seconds| Cost { seen, seconds };
        for (blocks, cached, expected) in [
            (1, cost(0.0, 0.0), can),
            (BEHIND - 1, cost(0.0, 0.0), can),
            (BEHIND, cost(0.0, 0.0), false),
            (1, cost(TRIAL / 2.0, 3.0), false),
            (1, cost(TRIAL, 1.0), false),
            (1, cost(TRIAL, 3.0), can),
            (BEHIND, cost(TRIAL, 3.0), can),
        ] {
            let Sink::File { ways: Some(ways), .. } = &mut sink else { unreachable!() };
            (ways.past_cache, ways.cached) = (cost(TRIAL, 2.0), cached);
            assert_eq!(sink.write_vectored(&vec![block; blocks]).unwrap(), blocks * ALIGNMENT);
            let direct = fcntl_getfl(sink.file().unwrap()).unwrap().contains(OFlags::DIRECT);
            assert_eq!(direct, expected, "{blocks}");
        }
    }
}
