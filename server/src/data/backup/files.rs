//! Copies of blobs: made, recognised as verified, read again, and replaced when they are damaged.
//!
//! A copy never shares its inode with the server's file: a change of mode, owner or bytes on one side must not reach the
//! other. Where the file system can, both share disk blocks (`FICLONE`) until one of them is changed.
//!
//! A copy whose SHA-256 was compared with its name has a fixed modification time, see [`verified`]. Every write to the file
//! changes that time, so a later backup reads only the copies that somebody has touched. Bits that rot on the disk change
//! no time: only a backup with `--verify` finds them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use sealift_types::{Digest, Hasher};

/// Bytes that are read at once.
const BUFFER: usize = 1024 * 1024;

/// The modification time of verified copies: 2000-01-01 00:00:00 UTC, which every file system can hold.
fn verified() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800)
}

/// The file that a copy is made in before it gets its name.
#[derive(Debug)]
pub(super) struct CopyFile<'a> {
    /// Where the copy is made: on the file system of the backup.
    pub(super) unfinished: &'a Path,
    /// The directory whose owner gets the copy.
    pub(super) owner: &'a Path,
}

/// What has become of a copy that a backup was to make.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CopyOutcome {
    /// The copy is in place, and its bytes are what its name says.
    Whole,
    /// The server's file is damaged, and its copy likewise.
    Damaged,
    /// The server's file is damaged, and what the backup had before is still there.
    Refused,
    /// The server has no such file.
    Missing,
}

/// What a backup knows of a copy that is there already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KnownCopy {
    /// Its bytes were compared with its name, and it was not written to since.
    Verified,
    /// Its bytes are not known to be good.
    Unknown,
    /// It is the server's own file under a second name, as earlier versions made it.
    Linked,
    /// It has not the right size, or is not there.
    Useless {
        /// Whether something is there.
        exists: bool,
    },
}

/// Looks at a copy without reading it.
pub(super) fn look(original: &Path, copy: &Path, size: u64) -> io::Result<KnownCopy> {
    let facts = match fs::symlink_metadata(copy) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(KnownCopy::Useless { exists: false });
        }
        Err(error) => return Err(error),
    };
    if !facts.is_file() || facts.len() != size {
        return Ok(KnownCopy::Useless { exists: true });
    }
    if is_linked(&facts, original) {
        return Ok(KnownCopy::Linked);
    }
    let is_verified = facts.modified().is_ok_and(|moment| moment == verified());
    Ok(if is_verified { KnownCopy::Verified } else { KnownCopy::Unknown })
}

/// Reads a copy and compares its bytes with its name. One that is good is marked so, and is durable when this returns.
pub(super) fn verify(copy: &Path, digest: &Digest, size: u64) -> io::Result<bool> {
    let mut file = File::open(copy)?;
    let mut hasher = Hasher::new();
    match hasher.read(&mut file, size) {
        Ok(()) if hasher.finish() == *digest => {}
        // The disk does not give its bytes, or gives others: the copy is of no use.
        _ => return Ok(false),
    }
    mark(&file);
    file.sync_all()?;
    Ok(true)
}

impl CopyFile<'_> {
    /// Copies the server's file and verifies its bytes on the way. A damaged file does not replace a copy that is there.
    /// Durable but for its name when this returns.
    pub(super) fn copy(
        &self,
        original: &Path,
        copy: &Path,
        digest: &Digest,
        size: u64,
    ) -> io::Result<CopyOutcome> {
        let mut from = match File::open(original) {
            Ok(from) => from,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(CopyOutcome::Missing),
            Err(error) => return Err(error),
        };
        let mut to = create(self.unfinished)?;
        let is_whole = transfer(&mut from, &mut to)? == Some((*digest, size));
        if is_whole {
            mark(&to);
        } else if copy.exists() {
            fs::remove_file(self.unfinished)?;
            return Ok(CopyOutcome::Refused);
        }
        to.sync_all()?;
        drop(to);
        crate::data::owner::give(self.owner, self.unfinished)?;
        fs::rename(self.unfinished, copy)?;
        // A damaged pack still holds other contents that are whole.
        Ok(if is_whole { CopyOutcome::Whole } else { CopyOutcome::Damaged })
    }
}

/// Copies all bytes; returns their digest and number, or `None` if the disk did not give all of them.
fn transfer(from: &mut File, to: &mut File) -> io::Result<Option<(Digest, u64)>> {
    let is_cloned = clone(from, to);
    let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; BUFFER]);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(Some((hasher.finish(), size))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(None),
        };
        hasher.update(&buffer[..count]);
        if !is_cloned {
            to.write_all(&buffer[..count])?;
        }
        size += count as u64;
    }
}

/// Lets both files share their blocks, if the file system can.
#[cfg(target_os = "linux")]
fn clone(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clone(_: &File, _: &File) -> bool {
    false
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Marks a copy as verified. A file system that refuses has its copies read by each backup.
fn mark(file: &File) {
    let _ = file.set_modified(verified());
}

#[cfg(unix)]
fn is_linked(copy: &Metadata, original: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    copy.nlink() > 1
        && fs::metadata(original)
            .is_ok_and(|original| (original.dev(), original.ino()) == (copy.dev(), copy.ino()))
}

#[cfg(not(unix))]
fn is_linked(_: &Metadata, _: &Path) -> bool {
    false
}
