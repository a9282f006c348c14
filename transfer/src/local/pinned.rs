//! Directories that are held open: what is put into one is put nowhere else.
//!
//! That a directory is one and no symbolic link was found out before; somebody else who may write beside it could put a
//! link in its place since. So a file of a tree is not written by its path, but in a directory that was entered from the
//! tree's root without following a link. On Linux a path through `/proc/self/fd` leads into the very directory that is
//! open (proc_pid_fd(5)). Elsewhere there is no such path, and the plain one is used.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::TransferError;
#[cfg(target_os = "linux")]
use crate::error::Unfit;

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// For the system.
    path: PathBuf,
    /// The file system that the directory is on.
    device: u64,
    #[cfg(target_os = "linux")]
    directory: rustix::fd::OwnedFd,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameStanding {
    /// A regular file.
    File(Ownership),
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
    /// A pipe, a device or a socket.
    Special,
}

/// Whose a file is, and what its permissions are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// The permissions.
    pub(crate) mode: u32,
    /// The owner.
    pub(crate) user: u32,
    /// The group.
    pub(crate) group: u32,
}

impl Pinned {
    /// The directory itself, as a path for the system.
    pub(crate) fn itself(&self) -> &Path {
        &self.path
    }

    /// The file system that the directory is on.
    pub(crate) fn device(&self) -> u64 {
        self.device
    }

    /// The directory as a file, such as syncing it needs. Blocks.
    pub(crate) fn open_itself(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

#[cfg(target_os = "linux")]
impl Pinned {
    /// Makes a file that was not there. The kernel finds a name in an open directory in less time than a whole path,
    /// which counts where there are thousands of files. Blocks.
    pub(crate) fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.directory, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Opens a file for reading, and for writing if that is `writable`; then it is made if it is missing. Links are not
    /// followed. Blocks.
    pub(crate) fn open(&self, name: &OsStr, writable: bool) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let access = if writable { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDONLY };
        // A pipe in its place must not stop everything.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Opens a file once more, to sync it. Blocks.
    pub(crate) fn reopen(&self, name: &OsStr) -> io::Result<File> {
        self.open(name, false)
    }

    /// Makes a symbolic link, which gets its time if the file system has one for links. Blocks.
    pub(crate) fn link(&self, target: &str, name: &OsStr, time: rustix::fs::Timespec) -> io::Result<()> {
        use rustix::fs::{AtFlags, Timestamps, symlinkat, utimensat};
        symlinkat(target, &self.directory, name)?;
        let times = Timestamps { last_access: time, last_modification: time };
        // A link with another time is still the link.
        let _ = utimensat(&self.directory, name, &times, AtFlags::SYMLINK_NOFOLLOW);
        Ok(())
    }

    /// Gives a file another name in the same directory, whatever has that. Blocks.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.directory, from, &self.directory, to)?)
    }

    /// Removes a file. Blocks.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.directory, name, rustix::fs::AtFlags::empty())?)
    }

    /// What is there under a name, if anything. Blocks.
    pub(crate) fn look(&self, name: &OsStr) -> Option<NameStanding> {
        use rustix::fs::{AtFlags, FileType, statat};
        let found = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {
                let mode = found.st_mode & 0o7777;
                NameStanding::File(Ownership { mode, user: found.st_uid, group: found.st_gid })
            }
            FileType::Symlink => NameStanding::Link,
            FileType::Directory => NameStanding::Directory,
            _ => NameStanding::Special,
        })
    }

    /// The root of a tree: where its user has a link, it leads where they want it to. Blocks.
    pub(crate) fn root(path: &Path) -> io::Result<Self> {
        Self::open_at(rustix::fs::CWD, path, path, rustix::fs::OFlags::empty())
    }

    /// The directory that is that many levels below this one, through no link. `path` is where it is, for messages.
    /// Blocks.
    pub(crate) fn enter(&self, below: &[&OsStr], path: &Path) -> Result<Self, TransferError> {
        match self.enter_at_once(below, path) {
            Some(entered) => Ok(entered),
            None => self.enter_by_step(below, path),
        }
    }

    /// By one call: a tree may have a thousand levels. `None` if that did not work, for whatever reason.
    fn enter_at_once(&self, below: &[&OsStr], path: &Path) -> Option<Self> {
        use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
        let way: PathBuf = below.iter().collect();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        let directory = openat2(&self.directory, &way, flags, Mode::empty(), resolve).ok()?;
        Self::of(directory, path).ok()
    }

    /// One name after the other. It says which of them leads elsewhere.
    fn enter_by_step(&self, below: &[&OsStr], path: &Path) -> Result<Self, TransferError> {
        let mut entered: Option<Self> = None;
        for (number, name) in below.iter().enumerate() {
            let shown = path.ancestors().nth(below.len() - 1 - number).unwrap_or(path);
            let at = entered.as_ref().unwrap_or(self);
            let opened = Self::open_at(&at.directory, Path::new(name), shown, rustix::fs::OFlags::NOFOLLOW);
            entered = Some(opened.map_err(|error| match error.kind() {
                io::ErrorKind::NotADirectory => {
                    TransferError::Unfit { path: shown.to_owned(), unfit: Unfit::LinkInTheWay }
                }
                _ => TransferError::local("write to", shown)(error),
            })?);
        }
        entered.map_or_else(|| Self::root(path).map_err(TransferError::local("write to", path)), Ok)
    }

    fn open_at(
        at: impl rustix::fd::AsFd,
        name: &Path,
        path: &Path,
        more: rustix::fs::OFlags,
    ) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        Self::of(rustix::fs::openat(at, name, flags, Mode::empty())?, path)
    }

    fn of(directory: rustix::fd::OwnedFd, path: &Path) -> io::Result<Self> {
        use rustix::fd::AsRawFd;
        let device = rustix::fs::fstat(&directory)?.st_dev;
        let path = if has_descriptors() {
            PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
        } else {
            path.to_owned()
        };
        Ok(Self { path, device, directory })
    }
}

/// Whether there are paths to open files: not everywhere is there a `/proc`.
#[cfg(target_os = "linux")]
fn has_descriptors() -> bool {
    static FOUND: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| Path::new("/proc/self/fd").exists())
}

#[cfg(not(target_os = "linux"))]
impl Pinned {
    /// Makes a file that was not there. Blocks.
    pub(crate) fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        options.open(self.path.join(name))
    }

    /// Opens a file for reading, and for writing if that is `writable`; then it is made if it is missing. Links are not
    /// followed where the system can be told so. Blocks.
    pub(crate) fn open(&self, name: &OsStr, writable: bool) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(writable).create(writable);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.mode(0o600).custom_flags(flags.bits().cast_signed());
        }
        options.open(self.path.join(name))
    }

    /// Opens a file once more, to sync it. Blocks.
    pub(crate) fn reopen(&self, name: &OsStr) -> io::Result<File> {
        // Windows syncs only what is open for writing.
        File::options().read(true).write(cfg!(windows)).open(self.path.join(name))
    }

    /// Makes a symbolic link, which gets its time if the file system has one for links. Blocks.
    #[cfg(unix)]
    pub(crate) fn link(&self, target: &str, name: &OsStr, time: rustix::fs::Timespec) -> io::Result<()> {
        use rustix::fs::{AtFlags, CWD, Timestamps, utimensat};
        let path = self.path.join(name);
        std::os::unix::fs::symlink(target, &path)?;
        let times = Timestamps { last_access: time, last_modification: time };
        // A link with another time is still the link.
        let _ = utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW);
        Ok(())
    }

    /// Gives a file another name in the same directory, whatever has that. Blocks.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Removes a file. Blocks.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    /// What is there under a name, if anything. Blocks.
    pub(crate) fn look(&self, name: &OsStr) -> Option<NameStanding> {
        let metadata = self.path.join(name).symlink_metadata().ok()?;
        #[cfg(unix)]
        let dress = {
            use std::os::unix::fs::MetadataExt;
            Ownership { mode: metadata.mode() & 0o7777, user: metadata.uid(), group: metadata.gid() }
        };
        #[cfg(not(unix))]
        let dress = Ownership::default();
        Some(match metadata.file_type() {
            kind if kind.is_file() => NameStanding::File(dress),
            kind if kind.is_symlink() => NameStanding::Link,
            kind if kind.is_dir() => NameStanding::Directory,
            _ => NameStanding::Special,
        })
    }

    /// The root of a tree. Blocks.
    pub(crate) fn root(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        #[cfg(unix)]
        let device = std::os::unix::fs::MetadataExt::dev(&metadata);
        #[cfg(not(unix))]
        let device = 0;
        Ok(Self { path: path.to_owned(), device })
    }

    /// The directory that is that many levels below this one. Blocks.
    pub(crate) fn enter(&self, _below: &[&OsStr], path: &Path) -> Result<Self, TransferError> {
        Self::root(path).map_err(TransferError::local("write to", path))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_takes_a_directorys_place_later_is_not_written_to() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("root/a/b")).unwrap();
        fs::create_dir(path("elsewhere")).unwrap();
        let root = Pinned::root(&path("root")).unwrap();
        let below = ["a", "b"].map(OsStr::new);
        let pinned = root.enter(&below, &path("root/a/b")).unwrap();
        fs::rename(path("root/a"), path("root/moved")).unwrap();
        symlink(path("elsewhere"), path("root/a")).unwrap();
        fs::create_dir(path("elsewhere/b")).unwrap();
        fs::write(pinned.itself().join("file"), b"x").unwrap();
        assert_eq!(fs::read(path("root/moved/b/file")).unwrap(), b"x");
        assert_eq!(fs::read_dir(path("elsewhere/b")).unwrap().count(), 0);
        // Entered anew, the link is found, wherever on the way it is, and named.
        for (below, there) in [(&below[..1], "root/a"), (&below[..], "root/a/b")] {
            let error = root.enter(below, &path(there)).unwrap_err();
            assert!(
                matches!(&error, TransferError::Unfit { path: named, unfit: Unfit::LinkInTheWay }
                if *named == path("root/a")),
                "{error}"
            );
            assert!(root.enter_at_once(below, &path(there)).is_none());
        }
        // The root may be reached through one.
        symlink(path("root"), path("link")).unwrap();
        Pinned::root(&path("link")).unwrap();
    }

    #[test]
    fn a_way_too_long_for_one_call_is_gone_by_step() {
        let place = tempfile::tempdir().unwrap();
        let name = "n".repeat(200);
        let names: Vec<&OsStr> = (0..30).map(|_| OsStr::new(&name)).collect();
        let root = Pinned::root(place.path()).unwrap();
        let mut deepest = Pinned::root(place.path()).unwrap();
        let mut path = place.path().to_owned();
        for name in &names {
            fs::create_dir(deepest.itself().join(name)).unwrap();
            path.push(name);
            deepest = deepest.enter(&[name], &path).unwrap();
        }
        assert!(root.enter_at_once(&names, &path).is_none());
        root.enter(&names, &path).unwrap();
    }
}
