//! What interrupted downloads left on this computer.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::TransferError;
use crate::local::{directory_of, is_held, is_part, is_temporary, open_to_lock, part_names, remove_locked};

/// A file for a moment that is older than this belongs to nobody any more: one hour.
const MOMENT: Duration = Duration::from_secs(60 * 60);

/// A file that an interrupted download left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftoverFile {
    /// Where.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The leftovers of downloads to one file, but for those that somebody writes. Blocks.
///
/// Of a long name none are found, since another file may have left them.
pub fn of_file(path: &Path) -> Vec<LeftoverFile> {
    let directory = directory_of(path);
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return Vec::new() };
    let parts = part_names(directory, name).into_iter();
    parts.filter_map(|part| leftover(directory.join(&part), part.as_ref())).collect()
}

/// The leftovers below directories, but for those that somebody writes. Links are not followed. Blocks.
#[derive(Debug)]
pub struct Leftovers {
    directories: Vec<PathBuf>,
    found: std::vec::IntoIter<LeftoverFile>,
}

impl Leftovers {
    /// Looks for them below `directory`.
    pub fn below(directory: PathBuf) -> Self {
        Self { directories: vec![directory], found: Vec::new().into_iter() }
    }

    /// Reads one directory.
    fn read(&mut self, directory: &Path) -> Result<(), TransferError> {
        let entries = fs::read_dir(directory).map_err(TransferError::local("read", directory))?;
        let (mut found, mut below) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(TransferError::local("read", directory))?;
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                below.push(entry.path());
            } else if kind.is_file() && is_part(&entry.file_name()) {
                found.extend(leftover(entry.path(), &entry.file_name()));
            }
        }
        found.sort_by(|one: &LeftoverFile, other| one.path.cmp(&other.path));
        below.sort_by(|one, other| other.cmp(one));
        self.found = found.into_iter();
        self.directories.append(&mut below);
        Ok(())
    }
}

impl Iterator for Leftovers {
    type Item = Result<LeftoverFile, TransferError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.found.next() {
                return Some(Ok(found));
            }
            let directory = self.directories.pop()?;
            if let Err(error) = self.read(&directory) {
                return Some(Err(error));
            }
        }
    }
}

impl LeftoverFile {
    /// Removes it, unless somebody has begun to write it. Returns whether it is gone. Blocks.
    ///
    /// # Errors
    /// Fails when the system does not let it be removed.
    pub fn remove(&self) -> Result<bool, TransferError> {
        let failed = || TransferError::local("delete", &self.path);
        let file = open_to_lock(&self.path).map_err(failed())?;
        remove_locked(file, &self.path, || fs::remove_file(&self.path)).map_err(failed())
    }
}

/// The leftover that a file is, unless somebody writes it.
pub(crate) fn leftover(path: PathBuf, name: &OsStr) -> Option<LeftoverFile> {
    // Opening a pipe would wait for its other end.
    let metadata = path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
    // Those have no lock, because there are thousands of them.
    let is_young = is_temporary(name) && changed(&metadata).elapsed().is_ok_and(|age| age < MOMENT);
    (!is_young && !is_held(&path)).then_some(LeftoverFile { bytes: metadata.len(), path })
}

/// When the file was last touched, whatever time it was given.
#[cfg(unix)]
fn changed(metadata: &fs::Metadata) -> SystemTime {
    let seconds = u64::try_from(std::os::unix::fs::MetadataExt::ctime(metadata)).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(not(unix))]
fn changed(metadata: &fs::Metadata) -> SystemTime {
    metadata.created().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use sealift_types::Digest;

    use super::*;
    use crate::local::{part_name, temporary_name};

    #[test]
    fn a_file_has_its_own_leftovers() {
        let root = tempfile::tempdir().unwrap();
        let part = |name: &str, content: &[u8]| root.path().join(part_name(name, &Digest::of(content)));
        let long = "n".repeat(100);
        for path in [part("x", b"1"), part("x", b"2"), part("x.y", b"1"), part(&long, b"1")] {
            fs::write(path, b"abc").unwrap();
        }
        let mut found: Vec<_> = of_file(&root.path().join("x")).into_iter().map(|left| left.path).collect();
        found.sort();
        let mut wanted = [part("x", b"1"), part("x", b"2")];
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(of_file(&root.path().join(long)), []);
        assert_eq!(of_file(&root.path().join("no/x")), []);
    }

    #[test]
    fn what_nobody_writes_is_found_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        let part = |directory: &Path, name| directory.join(part_name(name, &Digest::of(b"")));
        let (left, busy) = (part(root.path(), "x"), part(&below, "busy"));
        let young = below.join(temporary_name());
        for path in
            [&left, &busy, &young, &part(&below, "y"), &below.join("kept"), &root.path().join(".hidden")]
        {
            fs::write(path, b"abc").unwrap();
        }
        let lock = fs::File::open(&busy).unwrap();
        lock.lock().unwrap();
        let found: Vec<_> = Leftovers::below(root.path().to_owned()).map(Result::unwrap).collect();
        assert_eq!(found, [left.clone(), part(&below, "y")].map(|path| LeftoverFile { path, bytes: 3 }));
        let again = fs::File::open(&left).unwrap();
        again.lock().unwrap();
        assert!(!found[0].remove().unwrap(), "somebody goes on with it");
        drop(again);
        assert!(found[0].remove().unwrap() && found[1].remove().unwrap());
        assert!(busy.exists() && young.exists() && below.join("kept").exists());
        assert_eq!(Leftovers::below(root.path().to_owned()).count(), 0);
        assert!(Leftovers::below(root.path().join("no")).next().unwrap().is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_leftover_and_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let name = part_name("x", &Digest::of(b"1"));
        let pipe = root.path().join(&name);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(leftover(pipe, name.as_ref()), None);
    }
}
