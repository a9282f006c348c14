//! A copy of a data directory, taken beside a running server.
//!
//! Why it is consistent: the copy of the catalog is one snapshot, taken while the collectors of all processes are kept away
//! from the files ([`keep_files`]). Whatever that snapshot refers to was in its place before the snapshot was taken, since
//! no commit comes before its files, and stays in its place until the lock is released, since nothing but a collector
//! removes files. Uploads and deletions go on meanwhile; the server's disk gets its space back afterwards.
//!
//! Why it can be interrupted at any moment: new files are added first, then the catalog is replaced by renaming it, then
//! files go that only the earlier catalog needed. A first backup becomes a data directory by its last file, the
//! authority's certificate, as every data directory does.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use sealift_certs::files::{create_private_dir, write_private};
use sealift_certs::{fingerprint, pem::certificate_from_pem};
use sealift_protocol::Digest;

use super::{DataDirectory, DataError, Lock, access};
use crate::error::Error;
use crate::store::blobs::{in_directory, keep_files, path_below, sync_directory};
use crate::store::schema;

/// What a backup has done.
#[derive(Debug, Default)]
pub struct Taken {
    /// Files below `blobs/` that share their bytes on disk with the server's.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Bytes in those.
    pub bytes: u64,
    /// Files that were there already.
    pub kept: u64,
    /// Files that an earlier backup needed and this one does not.
    pub removed: u64,
    /// Files that the server itself does not have any more.
    pub missing: Vec<Digest>,
}

/// Why no backup was taken. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The destination is in the data directory.
    #[error("{} is inside the data directory: name a directory elsewhere, on another disk if you can", .0.display())]
    Inside(PathBuf),
    /// The destination has become, or always was, a server's own.
    #[error("{} is a data directory of its own and no backup: name another one, nothing was changed", .0.display())]
    OfItsOwn(PathBuf),
    /// The destination is a backup of something else.
    #[error("{} is a backup of another server: name another directory, nothing was changed", .0.display())]
    OfAnother(PathBuf),
    /// The destination cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The copying failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A backup that is being taken.
struct Copying<'a> {
    source: &'a DataDirectory,
    target: DataDirectory,
    taken: Taken,
    /// Directories below `blobs/` with new names in them.
    changed: BTreeSet<PathBuf>,
    _lock: Lock,
}

/// Copies `source`, whose catalog `connection` has open, to the directory `destination`: a new or an empty one, or that of
/// an earlier backup. Durable when this returns.
pub fn take(
    source: &DataDirectory,
    connection: &Connection,
    destination: &Path,
) -> Result<Taken, BackupError> {
    refuse_inside(source, destination)?;
    let mark = mark(source)?;
    let target = DataDirectory(destination.to_owned());
    if !recognise(&target, &mark)? {
        target.refuse_strangers()?;
    }
    create_private_dir(destination).map_err(file(destination))?;
    access::close(destination).map_err(file(destination))?;
    source.own(destination)?;
    for name in ["blobs", "incoming", "pki"] {
        let directory = destination.join(name);
        create_private_dir(&directory).map_err(file(&directory))?;
        source.own(&directory)?;
    }
    let lock = target.lock()?;
    source.own(&destination.join("lock"))?;
    let mut copying =
        Copying { source, target, taken: Taken::default(), changed: BTreeSet::new(), _lock: lock };
    copying.private(&copying.target.backup_mark(), mark.as_bytes())?;

    let kept = keep_files(&source.0)?;
    let new = destination.join("catalog.db.new");
    let blobs = copy_catalog(connection, &new)?;
    copying.blobs(&blobs)?;
    drop(kept);
    copying.keys()?;
    copying.replace_catalog(&new)?;
    // Last: from here on it is a data directory.
    copying.key("ca.pem")?;
    copying.tidy(&blobs)?;
    Ok(copying.taken)
}

impl Copying<'_> {
    /// Puts every file in its place that is not there yet.
    fn blobs(&mut self, blobs: &[(Digest, u64)]) -> Result<(), BackupError> {
        let (from, to) = (self.source.0.join("blobs"), self.target.0.join("blobs"));
        for (digest, size) in blobs {
            let (original, copy) = (path_below(&from, digest), path_below(&to, digest));
            if fs::metadata(&copy).is_ok_and(|facts| facts.len() == *size) {
                self.taken.kept += 1;
                continue;
            }
            let directory = copy.parent().unwrap_or(&to).to_owned();
            if !self.changed.contains(&directory) {
                create_private_dir(&directory).map_err(file(&directory))?;
                self.source.own(&directory)?;
                self.changed.insert(directory);
            }
            match self.blob(&original, &copy) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && !original.exists() => {
                    self.taken.missing.push(*digest);
                }
                Err(error) => return Err(Error::file(&copy)(error).into()),
            }
        }
        self.changed.iter().try_for_each(|directory| sync_directory(directory))?;
        Ok(sync_directory(&to)?)
    }

    fn blob(&mut self, original: &Path, copy: &Path) -> io::Result<()> {
        match fs::remove_file(copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if fs::hard_link(original, copy).is_ok() {
            // Its bytes were synced before the catalog knew of it.
            self.taken.linked += 1;
            return Ok(());
        }
        // Another disk, or a file system without links.
        let unfinished = self.target.0.join("incoming").join("backup");
        let mut from = File::open(original)?;
        let mut to = File::create(&unfinished)?;
        self.taken.bytes += io::copy(&mut from, &mut to)?;
        to.sync_all()?;
        access::give(&self.source.0, &unfinished)?;
        fs::rename(&unfinished, copy)?;
        self.taken.copied += 1;
        Ok(())
    }

    /// Copies the keys and certificates, all but the one that makes a data directory.
    fn keys(&self) -> Result<(), BackupError> {
        let pki = self.source.pki("");
        for entry in fs::read_dir(&pki).map_err(file(&pki))? {
            let name = entry.map_err(file(&pki))?.file_name();
            // What begins with a dot is a file that is just being written.
            if let Some(name) = name.to_str().filter(|name| *name != "ca.pem" && !name.starts_with('.')) {
                self.key(name)?;
            }
        }
        Ok(())
    }

    fn key(&self, name: &str) -> Result<(), BackupError> {
        let original = self.source.pki(name);
        let contents = fs::read(&original).map_err(file(&original))?;
        self.private(&self.target.pki(name), &contents)
    }

    fn private(&self, path: &Path, contents: &[u8]) -> Result<(), BackupError> {
        if fs::read(path).is_ok_and(|there| there == contents) {
            return Ok(());
        }
        write_private(path, contents).map_err(file(path))?;
        Ok(self.source.own(path)?)
    }

    fn replace_catalog(&self, new: &Path) -> Result<(), BackupError> {
        let catalog = self.target.catalog();
        if catalog.exists() {
            // Whoever has looked at the backup may have left a log beside it, which belongs to no other catalog.
            drop(schema::open(&catalog).map_err(DataError::from)?);
        }
        for side in ["-wal", "-shm"] {
            let path = self.target.0.join(format!("catalog.db{side}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(file(&path)(error).into());
                }
                _ => {}
            }
        }
        self.source.own(new)?;
        fs::rename(new, &catalog).map_err(file(&catalog))?;
        Ok(sync_directory(&self.target.0)?)
    }

    /// Removes what the catalog does not refer to, and what an interrupted backup left.
    fn tidy(&mut self, blobs: &[(Digest, u64)]) -> Result<(), BackupError> {
        let needed: HashSet<_> = blobs.iter().map(|(digest, _)| digest).collect();
        let directory = self.target.0.join("blobs");
        for number in 0..=u8::MAX {
            for digest in in_directory(&directory, number)?.iter().filter(|digest| !needed.contains(digest)) {
                let path = path_below(&directory, digest);
                fs::remove_file(&path).map_err(file(&path))?;
                self.taken.removed += 1;
            }
        }
        let unfinished = self.target.0.join("incoming").join("backup");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(&unfinished)(error).into()),
            _ => Ok(()),
        }
    }
}

/// One snapshot of the catalog in a file of its own. Returns the files that it refers to.
fn copy_catalog(connection: &Connection, new: &Path) -> Result<Vec<(Digest, u64)>, Error> {
    for side in ["", "-journal"] {
        let path = PathBuf::from(format!("{}{side}", new.display()));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&path)(error)),
            _ => {}
        }
    }
    let mut copy = Connection::open(new)?;
    {
        let backup = Backup::new(connection, &mut copy)?;
        // All pages in one step: one snapshot, which keeps nobody from writing.
        while backup.step(-1)? != StepResult::Done {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    // No log beside it, so that one file is all of it; the server goes back to its own mode when it opens it.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    let mut statement = copy.prepare("SELECT digest, size FROM blobs ORDER BY digest")?;
    let rows = statement
        .query_map([], |row| Ok((Digest::from_bytes(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())))?;
    let blobs = rows.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    copy.close().map_err(|(_, error)| error)?;
    File::open(new).and_then(|file| file.sync_all()).map_err(Error::file(new))?;
    Ok(blobs)
}

fn refuse_inside(source: &DataDirectory, destination: &Path) -> Result<(), BackupError> {
    let source = source.0.canonicalize().map_err(file(&source.0))?;
    let absolute = std::path::absolute(destination).map_err(file(destination))?;
    let there = absolute.ancestors().find_map(|path| path.canonicalize().ok());
    match there.is_some_and(|there| there.starts_with(source)) {
        true => Err(BackupError::Inside(destination.to_owned())),
        false => Ok(()),
    }
}

/// Whether the directory is a backup, finished or not, of the server that has this mark.
fn recognise(target: &DataDirectory, mark: &str) -> Result<bool, BackupError> {
    match fs::read_to_string(target.backup_mark()) {
        Ok(found) if found == mark => Ok(true),
        Ok(_) => Err(BackupError::OfAnother(target.0.clone())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(file(&target.backup_mark())(error).into())
        }
        Err(_) if target.is_initialised()? => Err(BackupError::OfItsOwn(target.0.clone())),
        Err(_) => Ok(false),
    }
}

/// What tells whose backup a directory is.
fn mark(source: &DataDirectory) -> Result<String, BackupError> {
    let path = source.pki("ca.pem");
    let pem = fs::read_to_string(&path).map_err(file(&path))?;
    let certificate =
        certificate_from_pem(&pem).map_err(|source| DataError::Authority { path: path.clone(), source })?;
    Ok(format!(
        "A backup of the Sealift server with the authority {}.\n\
         `sealiftd backup` brings it up to date. `sealiftd serve --data` makes it a server of its own, and removes this file.\n",
        fingerprint(&certificate)
    ))
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> DataError + '_ {
    super::file(path)
}
