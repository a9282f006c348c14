//! Files that are being written: nothing has a file's name before it is complete and verified.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_protocol::message::{Content, Nanoseconds};
use sealift_types::{Digest, Hasher};

use super::disks::DiskOperation;
use super::lock::{LockClaim, claim, remove_locked};
use super::ownership::dress;
use super::pinned::{NameStanding, Pinned};
use super::{Directory, FileSite, NAME, Source, TreeRoot, directory_of, part_name, temporary_name};
use crate::error::{TransferError, Unfit};

/// How often a file that others remove is opened anew.
const ATTEMPTS: usize = 8;

/// What is smaller is not worth continuing.
pub(crate) const WORTH_KEEPING: u64 = 1024 * 1024;

/// A download on its way to its name, in a file beside its target.
///
/// When it is dropped before it got its name, the file is removed, unless the next attempt can continue it.
#[derive(Debug)]
pub(crate) struct DownloadTarget {
    directory: Arc<Directory>,
    /// Its final path.
    shown: PathBuf,
    /// The name of the file that receives the content.
    temporary: OsString,
    /// Whether the next attempt continues it.
    kept: bool,
    /// Keeps other processes off one that is kept.
    lock: Option<File>,
    sha256: Digest,
    published: bool,
}

impl DownloadTarget {
    /// Opens the file that receives a content, which only its owner can read until it is complete. An
    /// earlier attempt may have left something in it. Blocks.
    pub(crate) fn open(site: &FileSite, content: &Content) -> Result<(Self, File), TransferError> {
        check_site(site)?;
        if content.size >= WORTH_KEEPING
            && let Some(opened) = Self::open_kept(site, content)?
        {
            return Ok(opened);
        }
        Self::create(site, 0o600, content)
    }

    /// A file of a name that nobody knows.
    fn create(site: &FileSite, mode: u32, content: &Content) -> Result<(Self, File), TransferError> {
        let (temporary, file) =
            create(site.pinned(), mode).map_err(TransferError::local("write", site.shown()))?;
        Ok((Self::new(site, content, temporary, None), file))
    }

    /// One with a lock is kept.
    fn new(site: &FileSite, content: &Content, temporary: OsString, lock: Option<File>) -> Self {
        let (directory, shown, sha256) = (site.directory().clone(), site.shown().to_owned(), content.sha256);
        Self { directory, shown, temporary, kept: lock.is_some(), lock, sha256, published: false }
    }

    /// The file that the next attempt finds. `None` while another process writes it.
    fn open_kept(site: &FileSite, content: &Content) -> Result<Option<(Self, File)>, TransferError> {
        let failed = || TransferError::local("write", site.shown());
        let part = OsString::from(part_name(&site.name().to_string_lossy(), &content.sha256));
        for _ in 0..ATTEMPTS {
            // A link in its place would lead elsewhere.
            let file = site.pinned().open(&part, true).map_err(failed())?;
            match claim(file, &site.pinned().itself().join(&part)) {
                LockClaim::Ours(file) if file.metadata().map_err(failed())?.is_file() => {
                    let lock = file.try_clone().map_err(failed())?;
                    return Ok(Some((Self::new(site, content, part, Some(lock)), file)));
                }
                LockClaim::Ours(_) | LockClaim::Theirs => return Ok(None),
                LockClaim::Gone => {}
            }
        }
        Ok(None)
    }

    /// A verified content of which all is there. Returns what it could not be given, too. Blocks.
    pub(crate) fn whole(
        site: &FileSite,
        bytes: &[u8],
        content: &Content,
    ) -> Result<(Self, Option<TransferError>), TransferError> {
        let standing = check_site(site)?;
        let mode = match standing {
            // Who could not read what was there must not read what comes.
            Some(NameStanding::File(_)) => 0o600,
            _ if content.executable => 0o777,
            _ => 0o666,
        };
        let (target, mut file) = Self::create(site, mode, content)?;
        file.write_all(bytes).map_err(TransferError::local("write", site.shown()))?;
        target.directory.disks().note(|| DiskOperation::Write(target.shown.clone()));
        let wanting = dress(site.pinned(), site.name(), &file, standing, None, content);
        Ok((target, wanting.map(TransferError::local("keep the permissions or the time of", site.shown()))))
    }

    /// Gives the verified file its time and its permissions. Returns why, if it could not be given all of them. Blocks.
    pub(crate) fn dress(
        &self,
        file: &File,
        content: &Content,
    ) -> Result<Option<TransferError>, TransferError> {
        let pinned = self.directory.pin()?;
        self.directory.disks().note(|| DiskOperation::Write(self.shown.clone()));
        let standing = pinned.look(self.name());
        let fresh = default_mode(&pinned, content.executable);
        let wanting = dress(&pinned, self.name(), file, standing, fresh, content);
        Ok(wanting.map(TransferError::local("keep the permissions or the time of", &self.shown)))
    }

    /// A failure to write it, for `map_err`.
    pub(crate) fn unwritable(&self) -> impl FnOnce(io::Error) -> TransferError + use<> {
        let path = self.shown.clone();
        move |source| TransferError::Local { action: "write", path, source }
    }

    /// Removes what has come so far: it is of no use to anybody. Blocks.
    pub(crate) fn discard(mut self) {
        self.kept = false;
    }

    /// The directory that it is in.
    pub(super) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Its final path.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Makes its content durable; `more` of them follow at once. Blocks.
    pub(super) fn sync(&self, more: bool) -> Result<(), TransferError> {
        let disks = self.directory.disks();
        let synced = match &self.lock {
            Some(file) => disks.sync_file(file, more, &self.shown),
            None => {
                let file = self.directory.pin()?.reopen(&self.temporary);
                file.and_then(|file| disks.sync_file(&file, more, &self.shown))
            }
        };
        synced.map_err(self.unwritable())
    }

    /// Gives it its name, which is durable when the directory is synced. Blocks.
    pub(super) fn publish(mut self) -> Result<(), TransferError> {
        let pinned = self.directory.pin()?;
        let renamed = pinned.rename(&self.temporary, self.name());
        renamed.map_err(self.unwritable())?;
        self.remove_superseded(&pinned);
        self.published = true;
        self.directory.has_entry();
        self.directory.disks().note(|| DiskOperation::Publish(self.shown.clone()));
        Ok(())
    }

    /// Removes what earlier runs left of other contents for the same name, unless somebody writes it. Blocks.
    fn remove_superseded(&self, pinned: &Pinned) {
        // Of a name that does not fit into a part's, another one may have the same beginning.
        let Some(name) = self.name().to_str().filter(|name| name.len() <= NAME) else { return };
        for sha256 in self.directory.leftovers(pinned, name, &self.sha256) {
            remove_part_in(pinned, name, &sha256);
        }
    }

    fn name(&self) -> &OsStr {
        self.shown.file_name().unwrap_or_default()
    }
}

impl Drop for DownloadTarget {
    fn drop(&mut self) {
        if !self.published && !self.kept {
            // Should this fail, its name tells what it is.
            let _ = self.directory.pin().map(|pinned| pinned.remove(&self.temporary));
        }
    }
}

/// Makes a file of a name that nobody knows, which tells what it is.
fn create(pinned: &Pinned, mode: u32) -> io::Result<(OsString, File)> {
    loop {
        let name = OsString::from(temporary_name());
        match pinned.create(&name, mode) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes what has come of a download to a place of a content that nobody wants any more, unless somebody writes it.
pub(crate) fn remove_part(site: &FileSite, sha256: &Digest) {
    remove_part_in(site.pinned(), &site.name().to_string_lossy(), sha256);
}

fn remove_part_in(pinned: &Pinned, name: &str, sha256: &Digest) {
    let part = OsString::from(part_name(name, sha256));
    let Ok(file) = pinned.open(&part, false) else { return };
    // Should this fail, it is found again, and is as useless then.
    let _ = remove_locked(file, &pinned.itself().join(&part), || pinned.remove(&part));
}

/// The path of the file that holds what has come of a download to `path`.
pub(crate) fn part_path(path: &Path, sha256: &Digest) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    directory_of(path).join(part_name(&name, sha256))
}

/// The mode that the system gives to a new file: the umask cannot be asked for without changing it for every thread, and
/// the directory may have a say. `None` if nobody can tell.
fn default_mode(pinned: &Pinned, executable: bool) -> Option<u32> {
    let (name, file) = create(pinned, if executable { 0o777 } else { 0o666 }).ok()?;
    let _ = pinned.remove(&name);
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().ok()?.permissions());
    #[cfg(not(unix))]
    let mode = file.metadata().ok().map(|_| 0)?;
    Some(mode & 0o777)
}

/// Copies a file of a tree to another name, which the copy gets when the target is committed. Blocks.
pub(crate) fn copy(
    tree: &TreeRoot,
    source: &Path,
    site: &FileSite,
    content: &Content,
) -> Result<DownloadTarget, TransferError> {
    let failed = || TransferError::local("write", site.shown());
    let opened = Source::inside(tree, source)?;
    let (target, mut file) = DownloadTarget::open(site, &Content { size: 0, ..content.clone() })?;
    let copied = io::copy(&mut &opened, &mut file).map_err(failed())?;
    opened.check(content.size)?;
    let mut hasher = Hasher::new();
    file.rewind().and_then(|()| hasher.read(&file, copied)).map_err(failed())?;
    if hasher.finish() != content.sha256 {
        return Err(TransferError::SourceChanged {
            path: source.to_owned(),
            change: "it was written to".to_owned(),
        });
    }
    // A copy with another time is still the copy.
    target.dress(&file, content)?;
    Ok(target)
}

/// Makes a symbolic link, which replaces a file or a link but no directory. Blocks.
pub(crate) fn make_link(site: &FileSite, target: &str, mtime: Nanoseconds) -> Result<(), TransferError> {
    check_site(site)?;
    #[cfg(unix)]
    {
        let failed = || TransferError::local("make the link", site.shown());
        let pinned = site.pinned();
        let link = loop {
            let name = OsString::from(temporary_name());
            match pinned.link(target, &name, timespec(mtime)) {
                Ok(()) => break name,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed()(error)),
            }
        };
        if let Err(error) = pinned.rename(&link, site.name()) {
            let _ = pinned.remove(&link);
            return Err(failed()(error));
        }
        site.directory().has_lone_entry();
        Ok(())
    }
    #[cfg(not(unix))]
    {
        let _ = (target, mtime);
        Err(TransferError::Unfit { path: site.shown().to_owned(), unfit: Unfit::LinkTarget })
    }
}

#[cfg(unix)]
fn timespec(nanoseconds: Nanoseconds) -> rustix::fs::Timespec {
    const SECOND: i64 = 1_000_000_000;
    rustix::fs::Timespec { tv_sec: nanoseconds.div_euclid(SECOND), tv_nsec: nanoseconds.rem_euclid(SECOND) }
}

/// Refuses to replace what is neither a file nor a link. Returns what is there.
pub(crate) fn check_site(site: &FileSite) -> Result<Option<NameStanding>, TransferError> {
    let standing = site.pinned().look(site.name());
    let unfit = match standing {
        None | Some(NameStanding::File(_) | NameStanding::Link) => return Ok(standing),
        Some(NameStanding::Directory) => Unfit::DirectoryTarget,
        Some(NameStanding::Special) => Unfit::SpecialTarget,
    };
    Err(TransferError::Unfit { path: site.shown().to_owned(), unfit })
}

/// The same for a file that its user named, by its path: behind a link to a device, or to an open file of some process
/// as `/dev/stdout` is one, nobody expects a file. What links of a tree lead to does not matter.
pub(crate) fn check_named_target(path: &Path) -> Result<(), TransferError> {
    check_target(path)?;
    if !path.is_symlink() {
        return Ok(());
    }
    let is_special = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
        || leads_to_open_file(path);
    if is_special {
        Err(TransferError::Unfit { path: path.to_owned(), unfit: Unfit::LinkToSpecial })
    } else {
        Ok(())
    }
}

/// Whether a link leads to a file by the number under which some process has it open.
fn leads_to_open_file(path: &Path) -> bool {
    steps(path).any(|step| ["/proc", "/dev/fd"].iter().any(|directory| step.starts_with(directory)))
}

/// A path, and where each link leads to, one after the other.
pub(crate) fn steps(path: &Path) -> impl Iterator<Item = PathBuf> {
    // As many as Linux follows.
    const MOST: usize = 40;
    let next = |step: &PathBuf| Some(directory_of(step).join(step.read_link().ok()?));
    std::iter::successors(Some(path.to_owned()), next).take(MOST)
}

/// Whether something may be written there, by a path.
pub(crate) fn check_target(path: &Path) -> Result<(), TransferError> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let kind = metadata.file_type();
    let unfit = if kind.is_dir() { Unfit::DirectoryTarget } else { Unfit::SpecialTarget };
    if kind.is_file() || kind.is_symlink() {
        return Ok(());
    }
    Err(TransferError::Unfit { path: path.to_owned(), unfit })
}

#[cfg(test)]
mod tests;
