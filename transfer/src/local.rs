//! Local files: read without missing a change, written under their names only when they are complete.

use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealift_protocol::message::{Content, Nanoseconds};
use tempfile::TempPath;

use crate::error::{Error, Unfit};

/// What tells whether a file was written to: its size and its time of modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The size in bytes.
    pub(crate) size: u64,
    mtime: Option<SystemTime>,
}

impl Stamp {
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
    pub(crate) stamp: Stamp,
    /// Whether it may be executed.
    pub(crate) executable: bool,
}

impl Source {
    /// Opens a regular file; symbolic links are followed. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true);
        // A pipe that took the file's place since it was looked at must not stop everything.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, O_NONBLOCK);
        let file = options.open(path).map_err(Error::local("read", path))?;
        let metadata = file.metadata().map_err(Error::local("read", path))?;
        check_source(path, &metadata)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            stamp: Stamp::of(&metadata),
            executable: is_executable(&metadata),
        })
    }

    /// The time of modification, as the wire has it; `None` for times that it cannot express.
    pub(crate) fn mtime(&self) -> Option<Nanoseconds> {
        self.stamp.mtime.and_then(to_nanoseconds)
    }

    /// Reads the whole of a small file. Blocks.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>, Error> {
        let room = usize::try_from(self.stamp.size).unwrap_or(0);
        let mut content = Vec::with_capacity(room);
        // One byte more shows that it has grown.
        let limited = (&mut self.file).take(self.stamp.size + 1).read_to_end(&mut content);
        limited.map_err(Error::local("read", &self.path))?;
        self.check(content.len() as u64)?;
        Ok(content)
    }

    /// Fails if the file is not what it was when it was opened, after `read` bytes of it were read.
    pub(crate) fn check(&self, read: u64) -> Result<(), Error> {
        let metadata = self.file.metadata().map_err(Error::local("read", &self.path))?;
        let now = Stamp::of(&metadata);
        let (was, is) = (self.stamp.size, if now.size == self.stamp.size { read } else { now.size });
        let change = if was != is {
            format!("from {was} bytes to {is}")
        } else if now != self.stamp {
            "it was written to".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::SourceChanged { path: self.path.clone(), change })
    }

    /// A failure to read it, for `map_err`.
    pub(crate) fn unreadable(&self) -> impl FnOnce(io::Error) -> Error {
        Error::local("read", &self.path)
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
pub(crate) fn check_source(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let unfit = match metadata.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => Unfit::Directory,
        _ => Unfit::Special,
    };
    Err(Error::Unfit { path: path.to_owned(), unfit })
}

/// A download on its way to its name: a temporary file beside the target, removed unless it is committed.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    part: TempPath,
    /// The mode of a new file with all permissions, as the umask leaves it.
    #[cfg(unix)]
    mode: u32,
}

impl Target {
    /// Makes the temporary file, which only its owner can read until it is complete. Blocks.
    pub(crate) fn create(path: &Path) -> Result<(Self, File), Error> {
        let failed = || Error::local("write", path);
        if let Ok(metadata) = path.symlink_metadata() {
            let kind = metadata.file_type();
            let unfit = if kind.is_dir() { Unfit::DirectoryTarget } else { Unfit::SpecialTarget };
            if !kind.is_file() && !kind.is_symlink() {
                return Err(Error::Unfit { path: path.to_owned(), unfit });
            }
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{}.sealift-", shorten(&name, 200));
        builder.prefix(&prefix).suffix(".part");
        // The system applies the umask, which cannot be asked for without changing it for every thread.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let (file, part) = builder.tempfile_in(directory).map_err(failed())?.into_parts();
        #[cfg(unix)]
        let mode = {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata().map_err(failed())?.permissions().mode();
            file.set_permissions(PermissionsExt::from_mode(0o600)).map_err(failed())?;
            mode
        };
        let target = Self {
            path: path.to_owned(),
            part,
            #[cfg(unix)]
            mode,
        };
        Ok((target, file))
    }

    /// A failure to write it, for `map_err`.
    pub(crate) fn unwritable(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Local { action: "write", path, source }
    }

    /// Gives the verified file its time, its permissions and its name. Blocks.
    pub(crate) fn commit(self, file: &File, content: &Content) -> Result<(), Error> {
        let failed = self.unwritable();
        let dressed = || {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = if content.executable { self.mode } else { self.mode & 0o666 };
                file.set_permissions(PermissionsExt::from_mode(mode))?;
            }
            file.set_times(FileTimes::new().set_modified(from_nanoseconds(content.mtime)))
        };
        match dressed() {
            Ok(()) => self.part.persist(&self.path).map_err(|error| failed(error.error)),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Writes a verified content of which all is there. Blocks.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], content: &Content) -> Result<(), Error> {
    let (target, mut file) = Target::create(path)?;
    file.write_all(bytes).map_err(target.unwritable())?;
    target.commit(&file, content)
}

/// The first characters of a name, `most` bytes or fewer.
fn shorten(name: &str, most: usize) -> &str {
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    &name[..end.unwrap_or(0)]
}

fn to_nanoseconds(time: SystemTime) -> Option<Nanoseconds> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanoseconds| -nanoseconds),
    }
}

fn from_nanoseconds(nanoseconds: Nanoseconds) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time =
        if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_protocol::Digest;

    fn content(mtime: Nanoseconds, executable: bool) -> Content {
        Content { size: 3, sha256: Digest::of(b"abc"), mtime, executable, offset: 0 }
    }

    #[test]
    fn times_survive_both_ways() {
        for time in [0, 1, -1, 1_700_000_000_123_456_789, -2_000_000_000_000_000_000] {
            assert_eq!(to_nanoseconds(from_nanoseconds(time)), Some(time));
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
        assert!(matches!(source.check(4), Err(Error::SourceChanged { .. })));

        let source = Source::open(&path).unwrap();
        assert!(source.check(4).is_ok());
        assert!(matches!(source.check(2), Err(Error::SourceChanged { .. })), "cut short");
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let unfit = |error| matches!(error, Error::Unfit { unfit, .. } if unfit != Unfit::NotUtf8);
        assert!(unfit(Source::open(&pipe).unwrap_err()));
        assert!(unfit(Source::open(directory.path()).unwrap_err()));
        assert!(unfit(Target::create(&pipe).unwrap_err()));
        assert!(unfit(Target::create(directory.path()).unwrap_err()));
        assert!(matches!(
            Source::open(&directory.path().join("no")),
            Err(Error::Local { source, .. }) if source.kind() == io::ErrorKind::NotFound
        ));
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let (target, mut file) = Target::create(&path).unwrap();
        file.write_all(b"abc").unwrap();
        drop(target);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(Target::create(&directory.path().join("no/x")).is_err());
    }

    #[test]
    fn long_names_have_room_for_their_temporary_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("é".repeat(127));
        write_whole(&path, b"abc", &content(0, false)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }

    #[cfg(unix)]
    #[test]
    fn files_get_time_and_permissions_and_replace_links_not_what_they_lead_to() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("x"), directory.path().join("other"));
        std::fs::write(&other, b"keep").unwrap();
        symlink(&other, &path).unwrap();
        write_whole(&path, b"abc", &content(5_000_000_007, true)).unwrap();
        let metadata = path.symlink_metadata().unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::new(5, 7));
        assert_eq!(metadata.permissions().mode() & 0o700, 0o700);
        assert_eq!(std::fs::read(&other).unwrap(), b"keep");

        write_whole(&path, b"abc", &content(0, false)).unwrap();
        let plain = directory.path().join("plain");
        std::fs::write(&plain, b"").unwrap();
        assert_eq!(path.metadata().unwrap().permissions(), plain.metadata().unwrap().permissions());
    }
}
