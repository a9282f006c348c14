//! Local directories that entries are being put into.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::FileTimes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use sealift_protocol::message::Nanoseconds;
use sealift_types::Digest;

use super::disks::{DiskOperation, FileSystems};
use super::pinned::Pinned;
use super::{FileSite, find_parts, from_nanoseconds, mtime};
use crate::error::TransferError;

/// Directories that are kept open although nobody uses them just now: what is entered next is in one of them.
const RECENT: usize = 8;

/// A local directory that files are being put into.
///
/// It gets its time when the last of them is there, because each of them changes it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    mtime: Option<Nanoseconds>,
    /// The one that it is in; its time is set after this one's.
    above: Option<Arc<Directory>>,
    disks: Arc<FileSystems>,
    /// As long as somebody has it open.
    pinned: Mutex<Weak<Pinned>>,
    recent: Arc<Mutex<VecDeque<Arc<Pinned>>>>,
    /// Whether it has entries that may not survive a power cut.
    changed: AtomicBool,
    /// What earlier runs left in it of downloads, by the names that those had.
    leftovers: OnceLock<Mutex<HashMap<String, Vec<Digest>>>>,
}

impl Directory {
    /// A directory in `above`, or one that its user named.
    pub(crate) fn new(path: PathBuf, mtime: Option<Nanoseconds>, above: Option<Arc<Self>>) -> Self {
        let (disks, recent) = match &above {
            Some(above) => (above.disks.clone(), above.recent.clone()),
            None => Default::default(),
        };
        Self {
            path,
            mtime,
            above,
            disks,
            pinned: Mutex::default(),
            recent,
            changed: AtomicBool::new(false),
            leftovers: OnceLock::new(),
        }
    }

    /// A directory that its user named, on one of `disks`.
    pub(crate) fn root(path: PathBuf, mtime: Option<Nanoseconds>, disks: &Arc<FileSystems>) -> Self {
        let (disks, recent) = (disks.clone(), Arc::default());
        let (pinned, changed, leftovers) = (Mutex::default(), AtomicBool::new(false), OnceLock::new());
        Self { path, mtime, above: None, disks, pinned, recent, changed, leftovers }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Holds it open, entered from the root of the tree: a link that took its place, or that of one above it, is not
    /// followed. Blocks.
    pub(crate) fn pin(&self) -> Result<Arc<Pinned>, TransferError> {
        if let Some(pinned) = self.open_already() {
            return Ok(pinned);
        }
        // From the nearest one above that is open.
        let (mut below, mut nearest): (Vec<&OsStr>, _) = (Vec::new(), self);
        let pinned = loop {
            let Some(above) = &nearest.above else {
                let root =
                    Pinned::root(&nearest.path).map_err(TransferError::local("write to", &nearest.path))?;
                break Arc::new(root);
            };
            below.push(nearest.path.file_name().unwrap_or(nearest.path.as_os_str()));
            nearest = above;
            if let Some(pinned) = nearest.open_already() {
                break pinned;
            }
        };
        below.reverse();
        let pinned = if below.is_empty() { pinned } else { Arc::new(pinned.enter(&below, &self.path)?) };
        self.disks.learn(&pinned);
        *lock(&self.pinned) = Arc::downgrade(&pinned);
        let mut recent = lock(&self.recent);
        recent.push_back(pinned.clone());
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(pinned)
    }

    fn open_already(&self) -> Option<Arc<Pinned>> {
        lock(&self.pinned).upgrade()
    }

    /// A place in it. Blocks.
    pub(crate) fn site(self: &Arc<Self>, path: &Path) -> Result<FileSite, TransferError> {
        Ok(FileSite::inside(self.clone(), self.pin()?, path))
    }

    /// What earlier runs left of downloads to a name in it, but for a content. It is told of each once. Blocks.
    pub(super) fn leftovers(&self, pinned: &Pinned, name: &str, but: &Digest) -> Vec<Digest> {
        let found = self.leftovers.get_or_init(|| Mutex::new(find_parts(pinned.itself())));
        let Some(mut digests) = lock(found).remove(name) else { return Vec::new() };
        digests.retain(|digest| digest != but);
        digests
    }

    /// The file systems that it and its like are on.
    pub(super) fn disks(&self) -> &Arc<FileSystems> {
        &self.disks
    }

    /// Notes that it has a new entry, which is to be synced with others.
    pub(super) fn has_entry(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Notes that it has a new entry for which nobody else sees to it that it is synced.
    pub(crate) fn has_lone_entry(&self) {
        self.has_entry();
        self.disks.change();
        self.disks.note(|| DiskOperation::Enter(self.path.clone()));
    }

    /// Syncs it, and those above that have changed, too: a name is durable only with the way to it. Blocks.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut next = Some(self);
        while let Some(directory) = next {
            if directory.changed.swap(false, Ordering::Relaxed) {
                let pinned = directory.pin().map_err(TransferError::into_io)?;
                self.disks.sync_directory(&pinned, &directory.path)?;
            }
            next = directory.above.as_deref();
        }
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let is_unsynced = self.changed.load(Ordering::Relaxed);
        if self.mtime.is_none() && !is_unsynced {
            return;
        }
        let Ok(pinned) = self.pin() else { return };
        let path = pinned.itself();
        // A directory with another time is still the directory.
        if let Some(time) = self.mtime
            && !path.metadata().is_ok_and(|metadata| mtime(&metadata) == Some(time))
        {
            let times = FileTimes::new()
                .set_modified(from_nanoseconds(time))
                .set_accessed(std::time::SystemTime::now());
            let _ = pinned.open_itself().and_then(|directory| directory.set_times(times));
        }
        // Elsewhere all of the file system is synced at the end.
        if is_unsynced && !self.disks.syncs_whole(pinned.device()) {
            self.disks.keep(self.disks.sync_directory(&pinned, &self.path));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    /// Descriptors of this process that lead to somewhere below a path.
    fn open_below(path: &Path) -> usize {
        let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.starts_with(path))).count()
    }

    #[test]
    fn a_directory_is_written_to_through_its_handle_and_entered_anew_through_no_link() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let root = Arc::new(Directory::new(path("root"), None, None));
        let make = |name: String| {
            fs::create_dir_all(path("root").join(&name)).unwrap();
            Arc::new(Directory::new(path("root").join(name), None, Some(root.clone())))
        };
        let directory = make("d".into());
        directory.pin().unwrap();
        fs::rename(path("root/d"), path("root/moved")).unwrap();
        fs::create_dir(path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(path("elsewhere"), path("root/d")).unwrap();
        directory.pin().unwrap().create("file".as_ref(), 0o600).unwrap();
        assert!(path("root/moved/file").exists());

        let others: Vec<_> = (0..RECENT).map(|number| make(number.to_string())).collect();
        others.iter().for_each(|other| drop(other.pin().unwrap()));
        let error = directory.pin().unwrap_err();
        assert!(error.to_string().contains("root/d is a symbolic link, which is not followed"), "{error}");
        assert_eq!(fs::read_dir(path("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_deep_tree_needs_few_descriptors_and_few_calls() {
        const LEVELS: i32 = 400;
        let place = tempfile::tempdir().unwrap();
        let mut deepest = Arc::new(Directory::new(place.path().to_owned(), None, None));
        for level in 0..LEVELS {
            let path = deepest.path().join("d");
            fs::create_dir(deepest.pin().unwrap().itself().join("d")).unwrap();
            deepest = Arc::new(Directory::new(path, Some(1_000_000_000 + i64::from(level)), Some(deepest)));
        }
        deepest.pin().unwrap();
        // And one by which the file system is synced.
        assert!(open_below(place.path()) <= RECENT + 1, "{}", open_below(place.path()));
        drop(deepest);
        assert_eq!(open_below(place.path()), 0);
        let first = place.path().join("d").metadata().unwrap();
        assert_eq!(mtime(&first), Some(1_000_000_000));
    }
}
