//! Local files: read without missing a change, written under their names only when they are complete.

mod abilities;
mod beneath;
mod commit;
mod directory;
mod disks;
mod lock;
mod ownership;
mod pinned;
mod site;
mod target;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealift_protocol::message::Nanoseconds;
use sealift_types::Digest;

use crate::error::{TransferError, Unfit};
pub(crate) use abilities::{Abilities, FoldedNames, device, fold};
pub(crate) use beneath::EntrySeen;
pub use beneath::TreeRoot;
pub(crate) use commit::{CommittingFile, WritingUnderWay, commit, finish_writing};
pub(crate) use directory::Directory;
pub(crate) use disks::{DiskOperation, FileSystems};
pub(crate) use lock::{is_held, leads_to, open as open_to_lock, remove_locked};
pub(crate) use ownership::{set_times, with_executable};
pub(crate) use pinned::Pinned;
pub(crate) use site::{FileSite, make_directories};
pub(crate) use target::{
    DownloadTarget, WORTH_KEEPING, check_named_target, check_site, check_target, copy, make_link, part_path,
    remove_part, steps,
};

/// What tells whether a file was written to: its size and its time of modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    /// The size in bytes.
    pub(crate) size: u64,
    mtime: Option<SystemTime>,
}

/// The time of modification, as the wire has it: the nearest that it can express. `None` where the system has none.
pub(crate) fn mtime(metadata: &Metadata) -> Option<Nanoseconds> {
    metadata.modified().ok().map(to_nanoseconds)
}

/// Whether the wire had only this as the nearest to a time that lies before 1677 or after 2262.
pub(crate) fn is_clamped(mtime: Nanoseconds) -> bool {
    matches!(mtime, Nanoseconds::MIN | Nanoseconds::MAX)
}

/// What the names of files end in that hold an unfinished download.
const PART: &str = ".sealift-part";

/// Bytes of the target's name in it: with a digest and what is around both, no more than the 143 that a name may have on
/// file systems that encrypt names.
const NAME: usize = 64;

/// The name of the file that holds what has come of a download to `name`.
pub(crate) fn part_name(name: &str, sha256: &Digest) -> String {
    format!(".{}.{sha256}{PART}", shorten(name, NAME))
}

/// A name for a file that is there for a moment only.
pub(crate) fn temporary_name() -> String {
    format!(".sealift-{:016x}{PART}", fastrand::u64(..))
}

/// Whether a name is one that downloads give to their unfinished files. One that only resembles it is somebody's own.
pub(crate) fn is_part(name: &OsStr) -> bool {
    is_temporary(name) || name.to_str().is_some_and(|name| split_part_name(name).is_some())
}

/// Whether a name is that of a file that was to be there for a moment only.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix(".sealift-")?.strip_suffix(PART));
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(is_digit))
}

/// What earlier runs left of downloads. Each directory is read once, however many files go there.
#[derive(Debug, Default)]
pub(crate) struct PartialDownloads(HashMap<PathBuf, HashMap<String, Vec<Digest>>>);

impl PartialDownloads {
    /// The content that a part of is there for `path`.
    pub(crate) fn of(&mut self, path: &Path) -> Option<Digest> {
        let directory = directory_of(path);
        if !self.0.contains_key(directory) {
            self.0.insert(directory.to_owned(), find_parts(directory));
        }
        self.0.get(directory)?.get(shorten(&path.file_name()?.to_string_lossy(), NAME))?.last().copied()
    }
}

/// The unfinished downloads in a directory: the beginnings of the names that they were to get, and their contents.
fn find_parts(directory: &Path) -> HashMap<String, Vec<Digest>> {
    let mut found: HashMap<String, Vec<Digest>> = HashMap::new();
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        if let Some((name, sha256)) = entry.file_name().to_str().and_then(split_part_name) {
            found.entry(name.to_owned()).or_default().push(sha256);
        }
    }
    found
}

/// The names of the unfinished downloads to a file in a directory. Those of a long name are not told, since other names may
/// have the same beginning.
pub(crate) fn part_names(directory: &Path, name: &str) -> Vec<String> {
    if name.len() > NAME {
        return Vec::new();
    }
    let parts = find_parts(directory).remove(name).unwrap_or_default();
    parts.iter().map(|sha256| part_name(name, sha256)).collect()
}

/// What the name of an unfinished download says.
fn split_part_name(name: &str) -> Option<(&str, Digest)> {
    let (name, sha256) = name.strip_prefix('.')?.strip_suffix(PART)?.rsplit_once('.')?;
    let fits = (1..=NAME).contains(&name.len());
    Some((name, sha256.parse().ok().filter(|_| fits)?))
}

/// The directory that a path's last part is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl FileStamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.len(), mtime: metadata.modified().ok() }
    }
}

/// A file that is open for reading, with what it was when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: File,
    /// Size and time when it was opened.
    pub(crate) stamp: FileStamp,
    /// Whether it is shown as one that may be executed.
    shows_executable: bool,
    /// Whether it may be executed, where somebody knows better than its file system.
    known_executable: Option<bool>,
    device: Option<u64>,
    /// Whether it may be written to while it is read.
    allow_changing: bool,
}

impl Source {
    /// Opens a regular file; symbolic links are followed. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, TransferError> {
        let mut options = OpenOptions::new();
        options.read(true);
        // A pipe that took the file's place since it was looked at must not stop everything.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, O_NONBLOCK);
        Self::of(path, options.open(path).map_err(TransferError::local("read", path))?)
    }

    /// Opens a regular file of a tree; no link on the way is followed. Blocks.
    pub(crate) fn inside(root: &TreeRoot, path: &Path) -> Result<Self, TransferError> {
        Self::of(path, root.file(path)?)
    }

    fn of(path: &Path, file: File) -> Result<Self, TransferError> {
        let metadata = file.metadata().map_err(TransferError::local("read", path))?;
        check_source(path, &metadata)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            stamp: FileStamp::of(&metadata),
            shows_executable: is_executable(&metadata),
            known_executable: None,
            device: device(&metadata),
            allow_changing: false,
        })
    }

    /// The same, with a file that may be written to meanwhile, or may not: then the first bytes count, as many as there
    /// were when it was opened.
    pub(crate) fn allow_changing(self, allow_changing: bool) -> Self {
        Self { allow_changing, ..self }
    }

    /// The same, where it is known whether it may be executed although its file system cannot tell.
    pub(crate) fn known_executable(self, known_executable: Option<bool>) -> Self {
        Self { known_executable, ..self }
    }

    /// Whether it may be executed. Blocks where it is not known yet what its file system can tell.
    pub(crate) fn executable(&self) -> bool {
        let tells = || Abilities::on(self.device, directory_of(&self.path), true).executable;
        self.known_executable.unwrap_or_else(|| self.shows_executable && tells())
    }

    /// The time of modification, as the wire has it: the nearest that it can express.
    pub(crate) fn mtime(&self) -> Option<Nanoseconds> {
        self.stamp.mtime.map(to_nanoseconds)
    }

    /// Reads the whole of a small file. Blocks.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>, TransferError> {
        let room = usize::try_from(self.stamp.size).unwrap_or(0);
        let mut content = Vec::with_capacity(room);
        // One byte more shows that it has grown.
        let limit = self.stamp.size + u64::from(!self.allow_changing);
        let limited = (&mut self.file).take(limit).read_to_end(&mut content);
        limited.map_err(TransferError::local("read", &self.path))?;
        self.check(content.len() as u64)?;
        Ok(content)
    }

    /// Fails if the file is not what it was when it was opened, after `read` bytes of it were read.
    pub(crate) fn check(&self, read: u64) -> Result<(), TransferError> {
        if self.allow_changing && read == self.stamp.size {
            return Ok(());
        }
        let metadata = self.file.metadata().map_err(TransferError::local("read", &self.path))?;
        let now = FileStamp::of(&metadata);
        let (was, is) = (self.stamp.size, if now.size == self.stamp.size { read } else { now.size });
        if (was, now.size) == (0, 0) && read > 0 {
            return Err(TransferError::Unfit { path: self.path.clone(), unfit: Unfit::Sizeless });
        }
        if now == self.stamp && read != was {
            return Err(TransferError::Unfit { path: self.path.clone(), unfit: Unfit::WrongSize });
        }
        let change = if was != is {
            format!("from {was} bytes to {is}")
        } else if now != self.stamp {
            "it was written to".to_owned()
        } else {
            return Ok(());
        };
        Err(TransferError::SourceChanged { path: self.path.clone(), change })
    }

    /// A failure to read it, for `map_err`.
    pub(crate) fn unreadable(&self) -> impl FnOnce(io::Error) -> TransferError {
        TransferError::local("read", &self.path)
    }
}

impl Read for &Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }
}

/// `O_NONBLOCK`, which changes nothing for regular files.
#[cfg(unix)]
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Refuses what is not a regular file.
pub(crate) fn check_source(path: &Path, metadata: &Metadata) -> Result<(), TransferError> {
    let unfit = match metadata.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => Unfit::Directory,
        _ => Unfit::Special,
    };
    Err(TransferError::Unfit { path: path.to_owned(), unfit })
}

/// The first characters of a name, `most` bytes or fewer.
fn shorten(name: &str, most: usize) -> &str {
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    &name[..end.unwrap_or(0)]
}

/// Whether there is a file that was modified after `mtime`. What cannot be looked at is not.
pub(crate) fn is_newer(path: &Path, mtime: Nanoseconds) -> bool {
    let Ok(metadata) = path.symlink_metadata() else { return false };
    metadata.is_file() && self::mtime(&metadata).is_some_and(|modified| modified > mtime)
}

fn to_nanoseconds(time: SystemTime) -> Nanoseconds {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanoseconds| -nanoseconds)
        }
    }
}

pub(crate) fn from_nanoseconds(nanoseconds: Nanoseconds) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time =
        if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(unix)]
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_executable(_metadata: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_both_ways() {
        for time in [0, 1, -1, 1_700_000_000_123_456_789, -2_000_000_000_000_000_000] {
            assert_eq!(to_nanoseconds(from_nanoseconds(time)), time);
        }
        let far = Duration::from_secs(20_000_000_000);
        assert_eq!(to_nanoseconds(UNIX_EPOCH + far), i64::MAX);
        assert_eq!(to_nanoseconds(UNIX_EPOCH - far), i64::MIN);
    }

    #[test]
    fn only_the_names_that_downloads_make_are_theirs() {
        let digest = Digest::of(b"");
        let long = "n".repeat(NAME + 1);
        for name in [part_name("x", &digest), part_name("a.b", &digest), part_name(&long, &digest)] {
            assert!(is_part(name.as_ref()) && !is_temporary(name.as_ref()), "{name}");
        }
        let name = temporary_name();
        assert!(is_part(name.as_ref()) && is_temporary(name.as_ref()), "{name}");
        for name in [
            ".x.sealift-part".to_owned(),
            ".sealift-part".to_owned(),
            ".sealift-notes.sealift-part".to_owned(),
            ".sealift-0123456789ABCDEF.sealift-part".to_owned(),
            ".x.0123456789abcdef.sealift-part".to_owned(),
            format!("..{digest}{PART}"),
            format!("x.{digest}{PART}"),
            format!(".x.{digest}{PART}.bak"),
            format!(".{long}.{digest}{PART}"),
        ] {
            assert!(!is_part(name.as_ref()) && !is_temporary(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn a_change_while_reading_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, b"abc").unwrap();
        let mut source = Source::open(&path).unwrap();
        assert_eq!(source.read().unwrap(), b"abc");
        std::fs::write(&path, b"abcd").unwrap();
        assert!(source.check(3).unwrap_err().to_string().contains("from 3 bytes to 4"));

        let source = Source::open(&path).unwrap();
        File::open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        assert!(matches!(source.check(4), Err(TransferError::SourceChanged { .. })));

        let mut source = Source::open(&path).unwrap().allow_changing(true);
        std::fs::write(&path, b"abcdef").unwrap();
        assert_eq!(source.read().unwrap(), b"abcd", "as long as it was");
        assert!(source.check(3).is_err(), "cut short");
        std::fs::write(&path, b"abcd").unwrap();

        let source = Source::open(&path).unwrap();
        assert!(source.check(4).is_ok());
        assert!(
            matches!(source.check(2), Err(TransferError::Unfit { unfit: Unfit::WrongSize, .. })),
            "cut short"
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let unfit = |error| matches!(error, TransferError::Unfit { unfit, .. } if unfit != Unfit::NotUtf8);
        assert!(unfit(Source::open(&pipe).unwrap_err()));
        assert!(unfit(Source::open(directory.path()).unwrap_err()));
        assert!(unfit(target::check_target(&pipe).unwrap_err()));
        assert!(unfit(target::check_target(directory.path()).unwrap_err()));
        assert!(matches!(
            Source::open(&directory.path().join("no")),
            Err(TransferError::Local { source, .. }) if source.kind() == io::ErrorKind::NotFound
        ));
    }
}
