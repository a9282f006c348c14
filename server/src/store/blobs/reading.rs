//! Reading blobs, and looking at what is stored.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sealift_protocol::message::{MAX_INLINE, Nanoseconds};
use sealift_types::Digest;

use super::Blobs;
use crate::error::{Result, ServerError};
use crate::store::extent::{self, Extent};
use crate::store::gate::FileGuard;

/// A file that is being written beside the transaction that needs it.
#[derive(Debug)]
pub(in crate::store) struct PackInFlight<'a>(&'a Blobs);

impl Drop for PackInFlight<'_> {
    fn drop(&mut self) {
        *self.0.coming() = None;
    }
}

/// The file that contents were last compared with.
#[derive(Debug, Default)]
pub(super) struct ComparedFile {
    /// Whether it stays open for the next content.
    stays_open: bool,
    last: Option<(Digest, File)>,
}

/// Keeps the file open that contents are compared with, one after the other.
#[derive(Debug)]
pub(in crate::store) struct Comparing<'a>(&'a Blobs);

impl Drop for Comparing<'_> {
    fn drop(&mut self) {
        *self.0.compared() = ComparedFile::default();
    }
}

impl Blobs {
    /// Whether the files that hold the extents are there and long enough, or are about to be; their bytes are not looked at.
    pub fn has(&self, extents: &[Extent]) -> bool {
        extents.iter().all(|extent| {
            let size = || fs::metadata(self.path(&extent.blob)).map(|file| file.len());
            let holds = |size| extent.end().is_some_and(|end| size >= end);
            self.is_coming(&extent.blob) || size().is_ok_and(holds)
        })
    }

    /// True if the extents hold `data`, which has just come. What is about to be written for the transaction at hand does.
    pub(in crate::store) fn holds_copy(&self, extents: &[Extent], data: &[u8]) -> bool {
        let mut rest = data;
        extents.iter().all(|extent| {
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            let Some((run, left)) = rest.split_at_checked(length) else { return false };
            rest = left;
            self.is_coming(&extent.blob) || self.is_copy(extent, run).unwrap_or(false)
        }) && rest.is_empty()
    }

    /// True if the file has `run` at the extent's place.
    fn is_copy(&self, extent: &Extent, run: &[u8]) -> io::Result<bool> {
        let mut compared = self.compared();
        let (blob, mut file) = match compared.last.take() {
            Some((blob, file)) if blob == extent.blob => (blob, file),
            _ => (extent.blob, File::open(self.path(&extent.blob))?),
        };
        file.seek(SeekFrom::Start(extent.offset))?;
        let mut stored = vec![0; run.len()];
        file.read_exact(&mut stored)?;
        if compared.stays_open {
            compared.last = Some((blob, file));
        }
        Ok(stored == run)
    }

    /// Keeps the file open that contents were last compared with, until the result is dropped: those that are uploaded together
    /// again lie together. To be held no longer than a transaction, so that a file that somebody mends is soon looked at anew.
    pub(in crate::store) fn compare_many(&self) -> Comparing<'_> {
        self.compared().stays_open = true;
        Comparing(self)
    }

    fn compared(&self) -> MutexGuard<'_, ComparedFile> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the files that hold the extents are there, long enough, and were not written to after `time`.
    pub(in crate::store) fn are_unchanged(&self, extents: &[Extent], time: Nanoseconds) -> bool {
        let since = SystemTime::UNIX_EPOCH + Duration::from_nanos(time.max(0).cast_unsigned());
        self.has(extents)
            && extents.iter().all(|extent| {
                let modified = fs::metadata(self.path(&extent.blob)).and_then(|file| file.modified());
                self.is_coming(&extent.blob) || modified.is_ok_and(|modified| modified <= since)
            })
    }

    /// Notes that a file is being written that the transaction at hand does not commit without. Until the result is dropped,
    /// what the transaction looks for in it counts as there.
    pub(in crate::store) fn expect(&self, digest: Digest) -> PackInFlight<'_> {
        *self.coming() = Some(digest);
        PackInFlight(self)
    }

    fn is_coming(&self, digest: &Digest) -> bool {
        self.coming().as_ref() == Some(digest)
    }

    fn coming(&self) -> MutexGuard<'_, Option<Digest>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of the extents, one after the other, from byte `offset` of them all. The guard must have been taken
    /// before the extents were looked up; it is no longer needed when this returns.
    pub fn read(&self, extents: &[Extent], offset: u64, _guard: &FileGuard) -> Result<ExtentReader> {
        let mut skip = offset;
        let mut runs = Vec::new();
        for extent in extents {
            let skipped = skip.min(extent.length);
            skip -= skipped;
            if skipped == extent.length {
                continue;
            }
            let path = self.path(&extent.blob);
            extent.end().ok_or_else(out_of_range).map_err(ServerError::file(&path))?;
            let mut file = File::open(&path).map_err(ServerError::file(&path))?;
            file.seek(SeekFrom::Start(extent.offset + skipped)).map_err(ServerError::file(&path))?;
            runs.push(file.take(extent.length - skipped));
        }
        runs.reverse();
        Ok(ExtentReader { runs })
    }

    /// All bytes of the extents, which are few. The transaction that asks must have found them itself, so that the collector
    /// leaves their files alone.
    pub(in crate::store) fn read_few(&self, extents: &[Extent]) -> Result<Vec<u8>> {
        PackReader { blobs: self, last: None }.read(extents)
    }

    /// A reader of small contents that lie in packs. The guard must have been taken before they were looked up.
    pub fn packs<'a>(&'a self, _guard: &'a FileGuard) -> PackReader<'a> {
        PackReader { blobs: self, last: None }
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

/// Reads small contents, of which those that are asked for together often lie in the same pack.
#[derive(Debug)]
pub struct PackReader<'a> {
    blobs: &'a Blobs,
    /// The file that was read last.
    last: Option<(Digest, File)>,
}

impl PackReader<'_> {
    /// All bytes of the extents, which are few: a small content has no more than [`MAX_INLINE`]. No memory is taken for
    /// what a damaged catalog says beyond that.
    pub fn read(&mut self, extents: &[Extent]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let is_small = extent::length(extents) <= MAX_INLINE;
        for extent in extents {
            let failed = |error| ServerError::file(&self.blobs.path(&extent.blob))(error);
            if !is_small || extent.end().is_none() {
                return Err(failed(out_of_range()));
            }
            let file = match &mut self.last {
                Some((blob, file)) if *blob == extent.blob => file,
                last => {
                    let file = File::open(self.blobs.path(&extent.blob)).map_err(failed)?;
                    &mut last.insert((extent.blob, file)).1
                }
            };
            let start = bytes.len();
            bytes.resize(start + usize::try_from(extent.length).unwrap_or(usize::MAX), 0);
            file.seek(SeekFrom::Start(extent.offset)).map_err(failed)?;
            file.read_exact(&mut bytes[start..]).map_err(failed)?;
        }
        Ok(bytes)
    }
}

/// Why an extent cannot be read that no file has.
fn out_of_range() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the catalog places a content where no file reaches")
}
