//! What a large content is written to.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::time::{Duration, Instant};

use sealift_pipeline::DirectFile;
use sealift_types::Hasher;

/// Bytes from which on a content goes past the page cache: 128 MiB. Fresh pages for it cost more than everything else,
/// and push out what others would read; what is smaller may be opened next, and is then still in memory.
const PAST_CACHE: u64 = 128 * 1024 * 1024;

/// Blocks that wait for a disk that is slower than what comes. The page cache may be faster then, and the disk has it later.
const BEHIND: usize = sealift_pipeline::blocks_per_write(sealift_pipeline::MANY_BLOCKS);

/// So many zeros in a row become a hole: the file system keeps nothing for them. 64 KiB.
const HOLE: usize = 64 * 1024;

/// Bytes that tell how fast a way is: disks pause, and so does a thread whose core others want. 32 MiB.
const TRIAL: f64 = 32.0 * 1024.0 * 1024.0;

/// A file that takes a content.
pub(super) struct DownloadFile {
    file: DirectFile,
    ways: Option<WritePaths>,
}

/// The two ways to write a content that is to go past the page cache as long as the disk keeps up.
#[derive(Default)]
pub(super) struct WritePaths {
    behind: bool,
    past_cache: WriteCost,
    cached: WriteCost,
}

impl WritePaths {
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
struct WriteCost {
    /// Bytes that went this way.
    seen: f64,
    /// Seconds for each of the last [`TRIAL`] of them or so.
    seconds: f64,
}

impl WriteCost {
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

impl DownloadFile {
    /// A file that is to hold `size` bytes.
    pub(super) fn new(file: File, size: u64) -> Self {
        let large = size >= PAST_CACHE;
        Self { file: DirectFile::new(file, large), ways: large.then(WritePaths::default) }
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        self.file.file()
    }

    /// Hashes what an earlier attempt left, the first `count` bytes; what is written next comes behind them. Blocks.
    pub(super) fn hash_part(&mut self, hasher: &mut Hasher, count: u64) -> io::Result<()> {
        let part = self.file.file();
        // Not without need: after a truncation ext4 writes the whole file out when it is closed.
        if part.metadata()?.len() != count {
            part.set_len(count)?;
        }
        hasher.read(part, count)?;
        self.file.go_to(count);
        Ok(())
    }
}

impl Write for DownloadFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self { file, ways } = self;
        let slices = match before_zeros(slices) {
            Ok(slices) => slices,
            Err(zeros) => {
                // There is nothing yet: what an earlier attempt left ends here.
                file.go_to(file.position() + zeros as u64);
                return Ok(zeros);
            }
        };
        let slices = &slices[..];
        let Some(ways) = ways else { return file.write_vectored(slices) };
        let past_cache = ways.past_cache(slices.len());
        file.want(past_cache);
        let begun = Instant::now();
        let offset = file.position();
        let count = file.write_vectored(slices)?;
        if !past_cache {
            // The sync at the end waits for all that is not on the disk by then.
            file.begin_to_write(offset, count);
        }
        let cost = if past_cache { &mut ways.past_cache } else { &mut ways.cached };
        cost.note(count, begun.elapsed());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        // A hole at the end has nothing behind it.
        let (file, end) = (self.file.file(), self.file.position());
        if file.metadata()?.len() < end { file.set_len(end) } else { Ok(()) }
    }
}

/// What comes before the first zeros that become a hole, or how many of those it begins with.
fn before_zeros<'a>(slices: &'a [IoSlice<'_>]) -> Result<Vec<IoSlice<'a>>, usize> {
    let mut before = Vec::with_capacity(slices.len());
    for slice in slices {
        let zeros = |piece: &[u8]| piece.len() == HOLE && is_zero(piece);
        match slice.chunks(HOLE).position(zeros) {
            None => before.push(IoSlice::new(slice)),
            Some(0) if before.is_empty() => {
                return Err(slice.chunks(HOLE).take_while(|piece| zeros(piece)).count() * HOLE);
            }
            Some(pieces) => {
                before.push(IoSlice::new(&slice[..pieces * HOLE]));
                break;
            }
        }
    }
    Ok(before)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use sealift_pipeline::{ALIGNMENT, BLOCK};
    use sealift_types::Digest;

    use super::*;

    #[test]
    fn a_cost_is_that_of_late() {
        let mut cost = WriteCost::default();
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
            let (mut sink, mut hasher) = (DownloadFile::new(part, PAST_CACHE), Hasher::new());
            sink.hash_part(&mut hasher, left as u64).unwrap();
            assert_eq!(hasher.finish(), Digest::of(&content[..left]));
            let memory = [vec![0; ALIGNMENT], content[left..].to_vec()].concat();
            sink.write_all(&memory[ALIGNMENT..]).unwrap();
            assert!(std::fs::read(&path).unwrap() == content);
        }
    }

    #[test]
    fn zeros_become_holes_wherever_they_are() {
        let part = |byte, count| vec![byte; count * HOLE];
        let content = [part(0, 40), part(1, 3), vec![7; 100], part(0, 20), part(2, 1), part(0, 33)].concat();
        for left in [0, HOLE, 41 * HOLE + 5] {
            for past_cache in [0, PAST_CACHE] {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("part");
                // Of what lies beyond it nothing is used.
                std::fs::write(&path, [&content[..left], &[9; 100_000]].concat()).unwrap();
                let file = File::options().read(true).write(true).open(&path).unwrap();
                let (mut sink, mut hasher) = (DownloadFile::new(file, past_cache), Hasher::new());
                sink.hash_part(&mut hasher, left as u64).unwrap();
                for block in content[left..].chunks(BLOCK) {
                    sink.write_all(block).unwrap();
                }
                sink.flush().unwrap();
                assert!(std::fs::read(&path).unwrap() == content);
                #[cfg(target_os = "linux")]
                if left == 0 {
                    let used = std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap()) * 512;
                    assert!(used < 8 * HOLE as u64, "{used} bytes are used");
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_behind_is_written_the_faster_way() {
        let memory = vec![1; 2 * ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        let block = IoSlice::new(&memory[start..start + ALIGNMENT]);
        let mut sink = DownloadFile::new(tempfile::tempfile().unwrap(), PAST_CACHE);
        let can = fcntl_setfl(tempfile::tempfile().unwrap(), OFlags::DIRECT).is_ok();
        let cost = |seen, seconds| WriteCost { seen, seconds };
        for (blocks, cached, expected) in [
            (1, cost(0.0, 0.0), can),
            (BEHIND - 1, cost(0.0, 0.0), can),
            (BEHIND, cost(0.0, 0.0), false),
            (1, cost(TRIAL / 2.0, 3.0), false),
            (1, cost(TRIAL, 1.0), false),
            (1, cost(TRIAL, 3.0), can),
            (BEHIND, cost(TRIAL, 3.0), can),
        ] {
            let Some(ways) = &mut sink.ways else { unreachable!() };
            (ways.past_cache, ways.cached) = (cost(TRIAL, 2.0), cached);
            assert_eq!(sink.write_vectored(&vec![block; blocks]).unwrap(), blocks * ALIGNMENT);
            let direct = fcntl_getfl(sink.file()).unwrap().contains(OFlags::DIRECT);
            assert_eq!(direct, expected, "{blocks}");
        }
    }
}
