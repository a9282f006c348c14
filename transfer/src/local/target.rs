//! Files that are being written: nothing has a file's name before it is complete and verified.

use std::fs::{self, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use sealift_protocol::message::{Content, Nanoseconds};
use sealift_protocol::{Digest, Hasher};
use tempfile::TempPath;

use super::{Site, Source, directory_of, from_nanoseconds, part_name, shorten};
use crate::error::{Error, Unfit};

/// What is smaller is not worth continuing.
pub(crate) const WORTH_KEEPING: u64 = 1024 * 1024;

/// A download on its way to its name, in a file beside its target.
#[derive(Debug)]
pub(crate) struct Target {
    part: Part,
    // Behind the file, which is removed by a path through it.
    site: Site,
}

/// The file that receives the content.
#[derive(Debug)]
enum Part {
    /// It goes when this is dropped.
    Temporary(TempPath),
    /// It stays until it is complete, so that the next attempt continues it.
    Kept(PathBuf),
}

impl Target {
    /// Opens the file that receives a content, which only its owner can read until it is complete. An
    /// earlier attempt may have left something in it. Blocks.
    pub(crate) fn open(site: &Site, content: &Content) -> Result<(Self, File), Error> {
        let opened = Self::open_part(site.real(), content);
        let (part, file) = opened.map_err(|error| error.about(site.shown()))?;
        Ok((Self { part, site: site.clone() }, file))
    }

    fn open_part(path: &Path, content: &Content) -> Result<(Part, File), Error> {
        check_target(path)?;
        if content.size >= WORTH_KEEPING
            && let Some(opened) = Self::open_kept(path, content)?
        {
            return Ok(opened);
        }
        let failed = || Error::local("write", path);
        let mut builder = tempfile::Builder::new();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{}.sealift-", shorten(&name, 200));
        builder.prefix(&prefix).suffix(".sealift-part");
        let (file, part) = builder.tempfile_in(directory_of(path)).map_err(failed())?.into_parts();
        Ok((Part::Temporary(part), file))
    }

    /// The file that the next attempt finds. `None` while another process writes it.
    fn open_kept(path: &Path, content: &Content) -> Result<Option<(Part, File)>, Error> {
        let failed = || Error::local("write", path);
        let part = part_path(path, &content.sha256);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // A link in its place would lead elsewhere.
            options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        }
        let file = options.open(&part).map_err(failed())?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some file systems know no locks; then nobody else is expected either.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(Some((Part::Kept(part), file)))
    }

    /// A failure to write it, for `map_err`.
    pub(crate) fn unwritable(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = self.site.shown().to_owned();
        move |source| Error::Local { action: "write", path, source }
    }

    /// Removes what has come so far: it is of no use to anybody.
    pub(crate) fn discard(self) {
        if let Part::Kept(part) = &self.part {
            // Should this fail, the next attempt finds out that it is of no use.
            let _ = fs::remove_file(part);
        }
    }

    /// Gives the verified file its time, its permissions and its name. Blocks.
    pub(crate) fn commit(self, file: &File, content: &Content) -> Result<(), Error> {
        let failed = self.unwritable();
        let dressed = || {
            #[cfg(unix)]
            {
                let mode = default_mode(directory_of(self.site.real()), content.executable)?;
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
            }
            file.set_times(FileTimes::new().set_modified(from_nanoseconds(content.mtime)))
        };
        if let Err(error) = dressed() {
            return Err(failed(error));
        }
        match self.part {
            Part::Temporary(part) => part.persist(self.site.real()).map_err(|error| failed(error.error)),
            Part::Kept(part) => fs::rename(part, self.site.real()).map_err(failed),
        }
    }
}

/// Removes what has come of a download to a place of a content that nobody wants any more, unless somebody writes it.
pub(crate) fn remove_part(site: &Site, sha256: &Digest) {
    let part = part_path(site.real(), sha256);
    // Should this fail, it is found again, and is as useless then.
    if File::open(&part).is_ok_and(|file| !matches!(file.try_lock(), Err(TryLockError::WouldBlock))) {
        let _ = fs::remove_file(part);
    }
}

/// The path of the file that holds what has come of a download to `path`.
pub(crate) fn part_path(path: &Path, sha256: &Digest) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    directory_of(path).join(part_name(&name, sha256))
}

/// The mode that the system gives to a new file: the umask cannot be asked for without changing it for every thread.
#[cfg(unix)]
fn default_mode(directory: &Path, executable: bool) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    let probe = new_file(executable).tempfile_in(directory)?;
    Ok(probe.as_file().metadata()?.permissions().mode())
}

/// Makes files with the permissions of any new file.
fn new_file(executable: bool) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sealift-").suffix(".sealift-part");
    #[cfg(unix)]
    {
        let mode = if executable { 0o777 } else { 0o666 };
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = executable;
    builder
}

/// Writes a verified content of which all is there. Blocks.
pub(crate) fn write_whole(site: &Site, bytes: &[u8], content: &Content) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    if let Some((directory, name)) = site.parts() {
        use rustix::fs::FileType;
        let unfit = match directory.kind(name) {
            None | Some(FileType::RegularFile | FileType::Symlink) => None,
            Some(FileType::Directory) => Some(Unfit::DirectoryTarget),
            Some(_) => Some(Unfit::SpecialTarget),
        };
        if let Some(unfit) = unfit {
            return Err(Error::Unfit { path: site.shown().to_owned(), unfit });
        }
        let mode = if content.executable { 0o777 } else { 0o666 };
        let fill = |file: &mut File| {
            file.write_all(bytes)?;
            file.set_times(FileTimes::new().set_modified(from_nanoseconds(content.mtime)))
        };
        return directory.write(name, mode, fill).map_err(Error::local("write", site.shown()));
    }
    write_at(site.real(), bytes, content).map_err(|error| error.about(site.shown()))
}

fn write_at(path: &Path, bytes: &[u8], content: &Content) -> Result<(), Error> {
    check_target(path)?;
    let failed = || Error::local("write", path);
    let (mut file, part) =
        new_file(content.executable).tempfile_in(directory_of(path)).map_err(failed())?.into_parts();
    file.write_all(bytes).map_err(failed())?;
    file.set_times(FileTimes::new().set_modified(from_nanoseconds(content.mtime))).map_err(failed())?;
    part.persist(path).map_err(|error| failed()(error.error))
}

/// Copies a file that is here to another name, where it appears when its content is verified. Blocks.
pub(crate) fn copy(source: &Path, path: &Path, content: &Content) -> Result<(), Error> {
    let failed = || Error::local("write", path);
    let opened = Source::open(source)?;
    let (target, mut file) = Target::open(&Site::named(path), &Content { size: 0, ..content.clone() })?;
    let copied = io::copy(&mut &opened, &mut file).map_err(failed())?;
    opened.check(content.size)?;
    let mut hasher = Hasher::new();
    file.rewind().and_then(|()| hasher.read(&file, copied)).map_err(failed())?;
    if hasher.finish() != content.sha256 {
        return Err(Error::SourceChanged { path: source.to_owned(), change: "it was written to".to_owned() });
    }
    target.commit(&file, content)
}

/// Makes a symbolic link, which replaces a file or a link but no directory. Blocks.
pub(crate) fn make_link(site: &Site, target: &str, mtime: Nanoseconds) -> Result<(), Error> {
    make_link_at(site.real(), target, mtime).map_err(|error| error.about(site.shown()))
}

fn make_link_at(path: &Path, target: &str, mtime: Nanoseconds) -> Result<(), Error> {
    check_target(path)?;
    let failed = || Error::local("make the link", path);
    #[cfg(unix)]
    {
        let link =
            new_file(false).make_in(directory_of(path), |link| std::os::unix::fs::symlink(target, link));
        let link = link.map_err(failed())?.into_temp_path();
        let time = timespec(mtime);
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, &*link, &times, flags).map_err(|e| failed()(e.into()))?;
        link.persist(path).map_err(|error| failed()(error.error))
    }
    #[cfg(not(unix))]
    {
        let _ = (target, mtime, failed);
        Err(Error::Unfit { path: path.to_owned(), unfit: Unfit::LinkTarget })
    }
}

#[cfg(unix)]
fn timespec(nanoseconds: Nanoseconds) -> rustix::fs::Timespec {
    const SECOND: i64 = 1_000_000_000;
    rustix::fs::Timespec { tv_sec: nanoseconds.div_euclid(SECOND), tv_nsec: nanoseconds.rem_euclid(SECOND) }
}

/// Refuses to replace what is neither a file nor a link.
pub(crate) fn check_target(path: &Path) -> Result<(), Error> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let kind = metadata.file_type();
    let unfit = if kind.is_dir() { Unfit::DirectoryTarget } else { Unfit::SpecialTarget };
    if kind.is_file() || kind.is_symlink() {
        return Ok(());
    }
    Err(Error::Unfit { path: path.to_owned(), unfit })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn content(mtime: Nanoseconds, executable: bool) -> Content {
        Content { size: 3, sha256: Digest::of(b"abc"), mtime, executable, offset: 0 }
    }

    #[test]
    fn what_is_worth_it_is_kept_for_the_next_attempt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let content = Content { size: WORTH_KEEPING, ..content(0, false) };
        let (target, mut file) = Target::open(&Site::named(&path), &content).unwrap();
        file.write_all(b"abc").unwrap();
        // Another process does not disturb the one that has it.
        let (other, _) = Target::open(&Site::named(&path), &content).unwrap();
        assert!(matches!(other.part, Part::Temporary(_)));
        drop((target, file, other));
        assert_eq!(super::super::Parts::default().of(&path), Some(content.sha256));
        let (target, file) = Target::open(&Site::named(&path), &content).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
        target.commit(&file, &content).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let (target, _) = Target::open(&Site::named(&path), &content).unwrap();
        target.discard();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let content = content(0, false);
        let (target, mut file) = Target::open(&Site::named(&path), &content).unwrap();
        file.write_all(b"abc").unwrap();
        drop(target);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(Target::open(&Site::named(&directory.path().join("no/x")), &content).is_err());
    }

    #[test]
    fn long_names_have_room_for_their_temporary_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("é".repeat(127));
        write_whole(&Site::named(&path), b"abc", &content(0, false)).unwrap();
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
        write_whole(&Site::named(&path), b"abc", &content(5_000_000_007, true)).unwrap();
        let metadata = path.symlink_metadata().unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::new(5, 7));
        assert_eq!(metadata.permissions().mode() & 0o700, 0o700);
        assert_eq!(std::fs::read(&other).unwrap(), b"keep");

        write_whole(&Site::named(&path), b"abc", &content(0, false)).unwrap();
        let plain = directory.path().join("plain");
        std::fs::write(&plain, b"").unwrap();
        assert_eq!(path.metadata().unwrap().permissions(), plain.metadata().unwrap().permissions());
    }
}
