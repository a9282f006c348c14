//! A tree that is read, or in which something is deleted, without following a link on the way.
//!
//! Between the moment at which an entry of a tree was found and the one at which it is opened, somebody who may write in
//! the tree can put a link in its place, or in the place of a directory above it. So what is in a tree is not opened by
//! its path, but beneath the tree's root, which is held open. On Linux that is one call, openat2(2); elsewhere, and where
//! the kernel is too old, each directory on the way is opened in the one before it.

use std::ffi::OsString;
#[cfg(any(test, not(unix)))]
use std::fs;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(unix)]
use rustix::fs::{AtFlags, Mode, OFlags};

use sealift_protocol::message::Nanoseconds;

use super::FileSite;
use crate::error::{TransferError, Unfit};

/// The root of a tree, held open.
#[derive(Debug)]
pub struct TreeRoot {
    path: PathBuf,
    #[cfg(unix)]
    directory: OwnedFd,
}

impl TreeRoot {
    /// Opens the root of a tree, to which its user may have a link lead. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, TransferError> {
        #[cfg(unix)]
        {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = rustix::fs::open(path, flags, Mode::empty());
            let directory = opened.map_err(|error| TransferError::local("read", path)(error.into()))?;
            Ok(Self { path: path.to_owned(), directory })
        }
        #[cfg(not(unix))]
        {
            fs::read_dir(path).map_err(TransferError::local("read", path))?;
            Ok(Self { path: path.to_owned() })
        }
    }

    /// Where the tree is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file of the tree for reading; a pipe does not block. Blocks.
    pub(crate) fn file(&self, path: &Path) -> Result<File, TransferError> {
        #[cfg(unix)]
        let opened = self.at(path, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from);
        #[cfg(not(unix))]
        let opened = plain(path).and_then(|()| File::open(path));
        opened.map_err(unreadable(path))
    }

    /// The names in a directory of the tree, or in the root itself, and whether each is known to be a file. Blocks.
    pub(crate) fn names(&self, path: &Path) -> Result<Vec<(OsString, bool)>, TransferError> {
        let names = || -> io::Result<Vec<(OsString, bool)>> {
            #[cfg(unix)]
            {
                use std::os::unix::ffi::OsStringExt;
                let directory = self.at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                let mut names = Vec::new();
                for entry in rustix::fs::Dir::new(directory)? {
                    let entry = entry?;
                    let name = entry.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        names.push((OsString::from_vec(name.to_vec()), entry.file_type().is_file()));
                    }
                }
                Ok(names)
            }
            #[cfg(not(unix))]
            {
                if path != self.path {
                    plain(path)?;
                }
                let entry = |entry: io::Result<fs::DirEntry>| {
                    let entry = entry?;
                    Ok((entry.file_name(), entry.file_type()?.is_file()))
                };
                fs::read_dir(path)?.map(entry).collect()
            }
        };
        names().map_err(unreadable(path))
    }

    /// What a link of the tree points to. Blocks.
    pub(crate) fn target(&self, path: &Path) -> Result<PathBuf, TransferError> {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            let target = || {
                let (directory, name) = self.above(path)?;
                let target = rustix::fs::readlinkat(&directory, name, Vec::new())?;
                Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
            };
            target().map_err(unreadable(path))
        }
        #[cfg(not(unix))]
        fs::read_link(path).map_err(unreadable(path))
    }

    /// Deletes an entry of the tree if it is what it was when it was `seen`, and a directory only if it is empty. Blocks.
    ///
    /// # Errors
    /// [`TransferError::Meanwhile`] if it is something else by now, and what the system says otherwise. That nothing is there is an
    /// error of the system.
    pub(crate) fn remove(&self, path: &Path, seen: &EntrySeen) -> Result<(), TransferError> {
        let failed = |error: io::Error| TransferError::local("delete", path)(error);
        let meanwhile = || TransferError::Meanwhile { path: path.display().to_string() };
        #[cfg(unix)]
        {
            let (directory, name) = self.above(path).map_err(failed)?;
            let look = || -> io::Result<EntrySeen> {
                Ok(EntrySeen::of_stat(&rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?))
            };
            if !look().map_err(failed)?.is(seen) {
                return Err(meanwhile());
            }
            let flags = if seen.is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            rustix::fs::unlinkat(&directory, name, flags).map_err(|error| failed(error.into()))
        }
        #[cfg(not(unix))]
        {
            let metadata = path.symlink_metadata().map_err(failed)?;
            if !EntrySeen::of(&metadata).is(seen) {
                return Err(meanwhile());
            }
            let removed = if seen.is_directory { fs::remove_dir(path) } else { fs::remove_file(path) };
            removed.map_err(failed)
        }
    }

    /// Gives an entry of the tree its name at another place, whatever has that. Blocks.
    pub(crate) fn rename(&self, path: &Path, to: &FileSite) -> Result<(), TransferError> {
        let failed = |error: io::Error| TransferError::local("write", to.shown())(error);
        #[cfg(unix)]
        {
            let (directory, name) = self.above(path).map_err(failed)?;
            let renamed = rustix::fs::renameat(&directory, name, rustix::fs::CWD, to.real());
            renamed.map_err(|error| failed(error.into()))
        }
        #[cfg(not(unix))]
        fs::rename(path, to.real()).map_err(failed)
    }

    /// Gives a directory of the tree, or the root itself, its time. Blocks.
    pub(crate) fn set_time(&self, path: &Path, mtime: Nanoseconds) -> Result<(), TransferError> {
        #[cfg(unix)]
        let opened = self.at(path, OFlags::RDONLY | OFlags::DIRECTORY).map(File::from);
        #[cfg(not(unix))]
        let opened = plain(path).and_then(|()| File::open(path));
        opened
            .and_then(|directory| super::set_times(&directory, mtime))
            .map_err(TransferError::local("write", path))
    }

    #[cfg(unix)]
    fn at(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let below = path.strip_prefix(&self.path).unwrap_or(path);
        if below.as_os_str().is_empty() {
            return open_at(self.directory.as_fd(), Path::new("."), flags);
        }
        open_beneath(self.directory.as_fd(), below, flags)
    }

    /// The directory that an entry is in, and its name there.
    #[cfg(unix)]
    fn above<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p std::ffi::OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let above = path.parent().unwrap_or(path);
        Ok((self.at(above, OFlags::RDONLY | OFlags::DIRECTORY)?, name))
    }
}

/// What tells whether an entry was changed since it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntrySeen {
    pub(crate) is_directory: bool,
    /// Of a file or a link; what is in a directory is looked at by itself.
    size: u64,
    /// Seconds and nanoseconds.
    mtime: (i64, i64),
    /// Device and number, where the system has them.
    inode: (u64, u64),
}

impl EntrySeen {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Self {
                is_directory: metadata.is_dir(),
                size: metadata.size(),
                mtime: (metadata.mtime(), metadata.mtime_nsec()),
                inode: (metadata.dev(), metadata.ino()),
            }
        }
        #[cfg(not(unix))]
        {
            let mtime = super::mtime(metadata);
            let (is_directory, size) = (metadata.is_dir(), metadata.len());
            Self { is_directory, size, mtime: (mtime.unwrap_or(0), 0), inode: (0, 0) }
        }
    }

    #[cfg(unix)]
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, clippy::cast_lossless)] // systems differ
    fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self {
            is_directory: rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir(),
            size: stat.st_size.unsigned_abs(),
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            inode: (stat.st_dev as u64, stat.st_ino as u64),
        }
    }

    /// Whether it is the same entry, unchanged.
    pub(crate) fn is(&self, seen: &Self) -> bool {
        let same = (self.is_directory, self.inode) == (seen.is_directory, seen.inode);
        same && (self.is_directory || (self.size, self.mtime) == (seen.size, seen.mtime))
    }
}

/// A failure to read an entry of a tree, for `map_err`.
fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> TransferError {
    move |error| {
        let kind = error.kind();
        // A link, or what is no directory, stands where something else was found.
        if is_loop(&error) || matches!(kind, io::ErrorKind::NotADirectory | io::ErrorKind::CrossesDevices) {
            return TransferError::Unfit { path: path.to_owned(), unfit: Unfit::Replaced };
        }
        TransferError::local("read", path)(error)
    }
}

/// Whether a link was met where none is followed.
fn is_loop(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    #[cfg(not(unix))]
    return false;
}

/// Refuses a link, as far as a look can.
#[cfg(not(unix))]
fn plain(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_symlink() { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(()) }
}

#[cfg(unix)]
fn open_at(directory: BorrowedFd<'_>, name: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

#[cfg(target_os = "linux")]
fn open_beneath(root: BorrowedFd<'_>, below: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    use rustix::io::Errno;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags_here = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(root, below, flags_here, Mode::empty(), resolve) {
        // Too old, or hidden by a sandbox.
        Err(Errno::NOSYS | Errno::PERM) => open_each(root, below, flags),
        // Renames in other places can disturb the way.
        Err(Errno::AGAIN) => open_each(root, below, flags),
        opened => Ok(opened?),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn open_beneath(root: BorrowedFd<'_>, below: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open_each(root, below, flags)
}

/// The same, one directory after the other.
#[cfg(unix)]
fn open_each(root: BorrowedFd<'_>, below: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut names = below.components().map(|component| match component {
        std::path::Component::Normal(name) => Ok(Path::new(name)),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    });
    let mut next = names.next().ok_or(io::ErrorKind::InvalidInput)??;
    let mut directory = None;
    for name in names {
        let at = directory.as_ref().map_or(root, AsFd::as_fd);
        directory = Some(open_at(at, next, OFlags::RDONLY | OFlags::DIRECTORY)?);
        next = name?;
    }
    open_at(directory.as_ref().map_or(root, AsFd::as_fd), next, flags)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn is_replaced<T>(result: &Result<T, TransferError>) -> bool {
        matches!(result, Err(TransferError::Unfit { unfit: Unfit::Replaced, .. }))
    }

    #[test]
    fn links_that_take_the_place_of_something_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("root/a/b")).unwrap();
        fs::create_dir_all(path("secret/b")).unwrap();
        fs::write(path("root/a/b/file"), "mine").unwrap();
        fs::write(path("secret/b/file"), "secret").unwrap();
        symlink(path("root"), path("way")).unwrap();
        for root in ["root", "way"] {
            let root = TreeRoot::open(&path(root)).unwrap();
            let file = root.path().join("a/b/file");
            let mut text = String::new();
            root.file(&file).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "mine");
            assert_eq!(root.names(root.path()).unwrap(), [("a".into(), false)]);
            assert_eq!(root.names(&root.path().join("a/b")).unwrap(), [("file".into(), true)]);
        }
        let root = TreeRoot::open(&path("root")).unwrap();
        let seen = EntrySeen::of(&path("root/a/b/file").symlink_metadata().unwrap());
        fs::rename(path("root/a"), path("root/moved")).unwrap();
        symlink(path("secret"), path("root/a")).unwrap();
        symlink("moved/b/file", path("root/link")).unwrap();
        assert!(is_replaced(&root.file(&path("root/a/b/file"))));
        assert!(is_replaced(&root.names(&path("root/a"))));
        assert!(is_replaced(&root.names(&path("root/a/b"))));
        assert!(is_replaced(&root.file(&path("root/link"))));
        assert!(root.remove(&path("root/a/b/file"), &seen).is_err());
        assert_eq!(fs::read(path("secret/b/file")).unwrap(), b"secret");
        assert_eq!(root.target(&path("root/link")).unwrap(), Path::new("moved/b/file"));
        // The same without openat2.
        let each = |below: &str| open_each(root.directory.as_fd(), Path::new(below), OFlags::RDONLY);
        assert!(each("moved/b/file").is_ok() && each("moved").is_ok());
        for below in ["a/b/file", "link", "../secret/b/file", ""] {
            assert!(each(below).is_err(), "{below}");
        }
    }

    #[test]
    fn only_what_is_unchanged_is_deleted() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let root = TreeRoot::open(place.path()).unwrap();
        let see = |name: &str| EntrySeen::of(&path(name).symlink_metadata().unwrap());
        let write = |name: &str, content: &str| fs::write(path(name), content).unwrap();
        let time = |name: &str, seconds| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::options().write(true).open(path(name)).unwrap().set_modified(time).unwrap();
        };
        for (change, name) in [("size", "a"), ("time", "b"), ("file", "c"), ("kind", "d"), ("nothing", "e")] {
            write(name, "old");
            time(name, 5);
            let seen = see(name);
            match change {
                "size" => write(name, "longer"),
                "time" => time(name, 6),
                "file" => {
                    write("new", "new");
                    time("new", 5);
                    fs::rename(path("new"), path(name)).unwrap();
                }
                "kind" => {
                    fs::remove_file(path(name)).unwrap();
                    fs::create_dir(path(name)).unwrap();
                }
                _ => {
                    root.remove(&path(name), &seen).unwrap();
                    assert!(!path(name).exists());
                    continue;
                }
            }
            let refused = root.remove(&path(name), &seen);
            assert!(matches!(refused, Err(TransferError::Meanwhile { .. })), "{change}: {refused:?}");
            assert!(path(name).exists(), "{change}");
        }
        fs::create_dir(path("dir")).unwrap();
        let seen = see("dir");
        write("dir/new", "");
        assert!(root.remove(&path("dir"), &seen).is_err());
        fs::remove_file(path("dir/new")).unwrap();
        root.remove(&path("dir"), &seen).unwrap();
    }
}
