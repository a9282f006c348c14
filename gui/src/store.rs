//! What the window keeps between two starts: the queue, and how it looked.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_types::Name;
use serde::{Deserialize, Serialize};

use crate::model::queue::{Spec, State, TransferQueue};
use crate::saved_queue::{self, SavedQueue};

/// Where the window keeps things, and the lock that says that it is the only one to do so.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// `None` if another window has it.
    lock: Option<Arc<File>>,
}

/// The file of the queue. Whoever has it may write it.
#[derive(Debug, Clone)]
pub struct QueueFile {
    path: PathBuf,
    _lock: Arc<File>,
}

/// How the window looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// The window's size, in points.
    pub size: [f32; 2],
    /// Whether it filled the screen.
    pub maximized: bool,
    /// How large everything was drawn.
    pub zoom: f32,
    /// Whether the list of transfers was shown.
    pub queue: bool,
    /// Whether the information panel was shown.
    pub details: bool,
    /// How many transfers were under way at most.
    pub parallel: usize,
    /// The server that was shown.
    pub profile: Option<Name>,
    /// Whether it is light or dark.
    pub scheme: Scheme,
    /// Where downloads went.
    #[serde(with = "crate::any_path::option")]
    pub downloads: Option<PathBuf>,
}

/// Whether the window is light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// As the desktop is.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            size: [1120.0, 720.0],
            maximized: false,
            zoom: 1.0,
            queue: true,
            details: true,
            parallel: 2,
            profile: None,
            scheme: Scheme::System,
            downloads: None,
        }
    }
}

impl Store {
    /// Opens the directory, which comes into being.
    ///
    /// # Errors
    /// Fails when it cannot be made or written.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        sealift_certs::files::create_private_dir(&directory)?;
        let lock = File::create(directory.join("lock"))?;
        let lock = match lock.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            // Some file systems know no locks; then nobody else is expected either.
            Ok(()) | Err(TryLockError::Error(_)) => Some(Arc::new(lock)),
        };
        Ok(Self { directory, lock })
    }

    /// The file of the queue; none if another window has it.
    pub fn queue_file(&self) -> Option<QueueFile> {
        let lock = self.lock.clone()?;
        Some(QueueFile { path: self.directory.join("queue.jsonl"), _lock: lock })
    }

    /// How the window looked; as it does at first, if nobody can tell.
    pub fn look(&self) -> Look {
        let text = fs::read(self.directory.join("window.json")).unwrap_or_default();
        let look: Look = serde_json::from_slice(&text).unwrap_or_default();
        let sane = |value: f32, least: f32, most: f32| {
            if value.is_finite() { value.clamp(least, most) } else { least }
        };
        let size = [sane(look.size[0], 480.0, 16_384.0), sane(look.size[1], 320.0, 16_384.0)];
        Look { size, zoom: sane(look.zoom, 0.5, 4.0), parallel: look.parallel.clamp(1, 16), ..look }
    }

    /// Keeps how the window looks.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn save_look(&self, look: &Look) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(look)?;
        replace(&self.directory.join("window.json"), |file| file.write_all(&text))
    }
}

impl QueueFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the saved queue into `queue`. A file that is damaged is set aside, and what can be read of it is taken all the
    /// same. Returns the file, unless saving would destroy what could be neither read nor set aside, and a sentence that
    /// says what is wrong.
    pub fn load(self, queue: &mut TransferQueue) -> (Option<Self>, Option<String>) {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Some(self), None),
            Err(error) => {
                let reason = sealift_transfer::error::plain(&error);
                return (None, Some(crate::texts::queue_unreadable(&self.path, &reason)));
            }
        };
        let SavedQueue { entries, damaged } = SavedQueue::read(&bytes);
        for (spec, state) in entries {
            queue.insert(Arc::new(spec), state);
        }
        if !damaged {
            return (Some(self), None);
        }
        let aside = self.path.with_extension("damaged");
        // A copy: should the window end now, the next one finds the same.
        match fs::write(&aside, &bytes) {
            Ok(()) => (Some(self), Some(crate::texts::queue_damaged(&aside))),
            Err(error) => {
                let reason = sealift_transfer::error::plain(&error);
                (None, Some(crate::texts::queue_damaged_alone(&self.path, &aside, &reason)))
            }
        }
    }

    /// Writes the queue, whole or not at all.
    ///
    /// # Errors
    /// Fails when it cannot be written; what was saved before is still there then.
    pub fn save(&self, items: &[(Arc<Spec>, State)]) -> io::Result<()> {
        let entries = items.iter().map(|(spec, state)| (&**spec, state));
        replace(&self.path, |file| saved_queue::write(file, entries))
    }
}

/// Writes a file beside its place, and puts it there when it is complete.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = BufWriter::new(File::create(&new)?);
    write(&mut file)?;
    file.into_inner()?.sync_data()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::queue::Trouble;
    use sealift_protocol::message::Direction;
    use sealift_transfer::Remedy;

    fn spec(name: &str) -> Spec {
        Spec {
            profile: "default".parse().unwrap(),
            direction: Direction::Put,
            local: PathBuf::from("/home").join(name),
            remote: format!("/alice/{name}").parse().unwrap(),
            tree: false,
            size: Some(7),
        }
    }

    fn shown(queue: &TransferQueue) -> Vec<(String, State)> {
        let row = |row| queue.row(row).unwrap().1;
        let tell = |item: &crate::model::queue::Item| (item.spec.name().to_owned(), item.state.clone());
        (0..queue.len()).map(|at| tell(row(at))).collect()
    }

    #[test]
    fn a_queue_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let file = Store::open(directory.path().into()).unwrap().queue_file().unwrap();
        let mut queue = TransferQueue::new(1);
        let ids = queue.add(["a", "b", "c"].map(spec));
        queue.pause(ids[1]);
        let job = queue.take_job(0).unwrap();
        queue.job_ended(&job, Some((Trouble { message: "no".into(), mend: Remedy::OtherPlace }, false)));
        file.save(&queue.saved()).unwrap();
        let mut again = TransferQueue::new(1);
        assert_eq!(file.load(&mut again).1, None);
        assert_eq!(shown(&again), shown(&queue));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_what_is_good_of_it_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = Store::open(directory.path().into()).unwrap().queue_file().unwrap();
        let mut queue = TransferQueue::new(1);
        queue.add(["a", "b"].map(spec));
        file.save(&queue.saved()).unwrap();
        let good = fs::read(file.path()).unwrap();
        for bad in [&b"\xff\xfe\x00 nonsense"[..], b"{\"local\":", b"[]\n{}\n", b"null"] {
            let bytes = [&good, bad].concat();
            fs::write(file.path(), &bytes).unwrap();
            let mut again = TransferQueue::new(1);
            let (writable, message) = file.clone().load(&mut again);
            assert!(writable.is_some() && message.unwrap().contains("queue.damaged"));
            assert_eq!(again.len(), 2);
            assert_eq!(fs::read(directory.path().join("queue.damaged")).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_that_can_be_neither_read_nor_set_aside_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().into()).unwrap();
        let file = store.queue_file().unwrap();
        let mut queue = TransferQueue::new(1);
        queue.add([spec("a")]);
        file.save(&queue.saved()).unwrap();
        let bytes = [&fs::read(file.path()).unwrap()[..], b"nonsense"].concat();
        fs::write(file.path(), &bytes).unwrap();
        // Nothing can be written in the place of a directory.
        fs::create_dir(directory.path().join("queue.damaged")).unwrap();
        let mut again = TransferQueue::new(1);
        let (writable, message) = file.clone().load(&mut again);
        assert!(writable.is_none() && message.unwrap().contains("not saved"));
        assert_eq!(again.len(), 1);

        fs::remove_file(file.path()).unwrap();
        fs::create_dir(file.path()).unwrap();
        let (writable, message) = file.load(&mut TransferQueue::new(1));
        assert!(writable.is_none() && message.unwrap().contains("not saved"));
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_no_text_come_back_too() {
        use std::os::unix::ffi::OsStringExt;
        let odd = PathBuf::from(std::ffi::OsString::from_vec(b"/home/caf\xe9/a".to_vec()));
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().into()).unwrap();
        let file = store.queue_file().unwrap();
        let mut queue = TransferQueue::new(1);
        queue.add([Spec { local: odd.clone(), ..spec("a") }, spec("b")]);
        file.save(&queue.saved()).unwrap();
        let mut again = TransferQueue::new(1);
        assert_eq!(file.load(&mut again).1, None);
        let local = |row| again.row(row).unwrap().1.spec.local.clone();
        assert_eq!((local(0), local(1)), (odd.clone(), PathBuf::from("/home/b")));

        let look = Look { downloads: Some(odd), ..Look::default() };
        store.save_look(&look).unwrap();
        assert_eq!(store.look(), look);
    }

    #[test]
    fn two_windows_do_not_share_a_queue() {
        let directory = tempfile::tempdir().unwrap();
        let first = Store::open(directory.path().into()).unwrap();
        assert!(Store::open(directory.path().into()).unwrap().queue_file().is_none());
        drop(first);
        assert!(Store::open(directory.path().into()).unwrap().queue_file().is_some());
    }

    #[test]
    fn a_look_that_nobody_can_use_is_mended() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().into()).unwrap();
        assert_eq!(store.look(), Look::default());
        let look = Look { zoom: 1.5, queue: false, ..Look::default() };
        store.save_look(&look).unwrap();
        assert_eq!(store.look(), look);
        for bad in ["", "{", "{\"size\": [0, -5], \"zoom\": 1e30, \"parallel\": 0}"] {
            fs::write(directory.path().join("window.json"), bad).unwrap();
            let look = store.look();
            assert!(look.size[0] >= 480.0 && look.zoom <= 4.0 && look.parallel >= 1, "{look:?}");
        }
    }
}
