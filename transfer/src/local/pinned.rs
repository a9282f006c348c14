//! Directories that are held open: what is put into one is put nowhere else.
//!
//! That a directory is one and no symbolic link was found out before; somebody else who may write beside it could put a
//! link in its place since. So a file of a tree is not written by its path, but in a directory that was entered from the
//! tree's root, one name after the other, without following a link. On Linux a path through `/proc/self/fd` leads into the
//! very directory that is open (proc_pid_fd(5)). Elsewhere there is no such path, and the plain one is used.

#[cfg(target_os = "linux")]
use std::ffi::OsStr;
#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(target_os = "linux")]
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::PART;
use crate::error::Error;
#[cfg(target_os = "linux")]
use crate::error::Unfit;

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// For the system.
    path: PathBuf,
    #[cfg(target_os = "linux")]
    directory: rustix::fd::OwnedFd,
}

impl Pinned {
    /// The directory itself, as a path for the system.
    pub(crate) fn itself(&self) -> &Path {
        &self.path
    }
}

#[cfg(target_os = "linux")]
impl Pinned {
    /// Gives a file that is written in one go its name when it is complete. The kernel finds a name in an open directory
    /// in less time than a whole path, which counts where there are thousands of files.
    pub(super) fn write(
        &self,
        name: &OsStr,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (temporary, file) = loop {
            let temporary = format!(".sealift-{:016x}{PART}", fastrand::u64(..));
            match openat(&self.directory, &temporary, flags, Mode::from_raw_mode(mode)) {
                Ok(file) => break (temporary, file),
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut file = File::from(file);
        let written =
            fill(&mut file).and_then(|()| Ok(renameat(&self.directory, &temporary, &self.directory, name)?));
        if written.is_err() {
            // Should this fail, too, its name tells what it is.
            let _ = unlinkat(&self.directory, &temporary, AtFlags::empty());
        }
        written
    }

    /// What is there under a name, if anything.
    pub(super) fn kind(&self, name: &OsStr) -> Option<rustix::fs::FileType> {
        let found = rustix::fs::statat(&self.directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(rustix::fs::FileType::from_raw_mode(found.st_mode))
    }

    /// The root of a tree: where its user has a link, it leads where they want it to.
    pub(crate) fn root(path: &Path) -> Result<Self, Error> {
        Self::open(rustix::fs::CWD, path, path, rustix::fs::OFlags::empty())
    }

    /// The directory that is at `path`, which is in this one, and no link.
    pub(crate) fn enter(&self, path: &Path) -> Result<Self, Error> {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        Self::open(&self.directory, name, path, rustix::fs::OFlags::NOFOLLOW)
    }

    fn open(
        at: impl rustix::fd::AsFd,
        name: &Path,
        path: &Path,
        more: rustix::fs::OFlags,
    ) -> Result<Self, Error> {
        use rustix::fd::AsRawFd;
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        let directory = rustix::fs::openat(at, name, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::NOTDIR => Error::Unfit { path: path.to_owned(), unfit: Unfit::LinkInTheWay },
            other => Error::local("write to", path)(other.into()),
        })?;
        let through = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        // Not everywhere is there a /proc.
        let path = if through.exists() { through } else { path.to_owned() };
        Ok(Self { path, directory })
    }
}

#[cfg(not(target_os = "linux"))]
impl Pinned {
    /// The root of a tree.
    pub(crate) fn root(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned() })
    }

    /// The directory that is at `path`.
    pub(crate) fn enter(&self, path: &Path) -> Result<Self, Error> {
        Self::root(path)
    }
}

/// Where a file goes: its path as its user knows it, and as the system is to find it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    shown: PathBuf,
    real: PathBuf,
    /// As long as it is open, the other path leads into it.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    directory: Option<Arc<Pinned>>,
}

impl Site {
    /// A place that its user named.
    pub(crate) fn named(path: &Path) -> Self {
        Self { shown: path.to_owned(), real: path.to_owned(), directory: None }
    }

    /// A place in a directory of a tree.
    pub(crate) fn inside(directory: Arc<Pinned>, path: &Path) -> Self {
        let real = path.file_name().map_or_else(|| path.to_owned(), |name| directory.itself().join(name));
        Self { shown: path.to_owned(), real, directory: Some(directory) }
    }

    /// The directory that it is in and its name there, if that is held open.
    #[cfg(target_os = "linux")]
    pub(super) fn parts(&self) -> Option<(&Pinned, &OsStr)> {
        self.directory.as_deref().zip(self.shown.file_name())
    }

    /// For messages.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// For the system.
    pub(crate) fn real(&self) -> &Path {
        &self.real
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
        fs::create_dir_all(path("root/a")).unwrap();
        fs::create_dir(path("elsewhere")).unwrap();
        let root = Pinned::root(&path("root")).unwrap();
        let pinned = Arc::new(root.enter(&path("root/a")).unwrap());
        fs::rename(path("root/a"), path("root/moved")).unwrap();
        symlink(path("elsewhere"), path("root/a")).unwrap();
        let site = Site::inside(pinned, &path("root/a/file"));
        fs::write(site.real(), b"x").unwrap();
        assert_eq!(fs::read(path("root/moved/file")).unwrap(), b"x");
        assert_eq!(fs::read_dir(path("elsewhere")).unwrap().count(), 0);
        assert_eq!(site.shown(), path("root/a/file"));
        // Entered anew, the link is found.
        let error = root.enter(&path("root/a")).unwrap_err();
        assert!(matches!(error, Error::Unfit { unfit: Unfit::LinkInTheWay, .. }), "{error}");
        // The root may be reached through one.
        symlink(path("root"), path("link")).unwrap();
        Pinned::root(&path("link")).unwrap();
    }
}
