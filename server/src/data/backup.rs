//! A copy of a data directory, taken beside a running server.
//!
//! Why it is consistent: the copy of the catalog is one snapshot, taken while the collectors of all processes are kept away
//! from the files ([`keep_files`]). Whatever that snapshot refers to was in its place before the snapshot was taken, since
//! no commit comes before its files, and stays in its place until the lock is released, since nothing but a collector
//! removes files. Uploads and deletions go on meanwhile; the server's disk gets its space back afterwards.
//!
//! Why it can be interrupted at any moment: new files are added first, then the catalog is replaced by renaming it, then
//! files go that only the earlier catalog needed. A first backup becomes a data directory by its last file, the
//! authority's certificate, as every data directory does. No step relies on an earlier run: each backup syncs every
//! directory, also those in which it keeps all files, since the run that put them there may have been killed before.

mod files;
mod known;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use sealift_certs::files::{create_private_dir, write_private};
use sealift_certs::{fingerprint, pem::certificate_from_pem};
use sealift_types::Digest;

use self::files::{CopyFile, CopyOutcome, KnownCopy};
pub use self::known::{remember, spread};
use super::revocations::RevocationList;
use super::{DataDirectory, DataError, Lock, access, owner};
use crate::clock;
use crate::error::ServerError;
use crate::store::blobs::{in_directory, keep_files, path_below, sync_directory};
use crate::store::{facts, verification};

/// What a backup has done.
#[derive(Debug, Default)]
pub struct BackupSummary {
    /// Files below `blobs/` that were copied.
    pub copied: u64,
    /// Bytes in those.
    pub bytes: u64,
    /// Files that were there already.
    pub kept: u64,
    /// Those of them that were read and compared with their names.
    pub verified: u64,
    /// Damaged copies that were replaced by good ones.
    pub repaired: u64,
    /// Files that an earlier backup needed and this one does not.
    pub removed: u64,
    /// Files that neither the server nor the backup has.
    pub missing: Vec<Digest>,
    /// Files and contents that are damaged on the server, and that the backup could not get from there.
    pub damaged: Vec<Digest>,
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
    /// The server's catalog is damaged.
    #[error(
        "the catalog {} is damaged ({complaint}): an earlier backup is as it was; stop the server and restore from it",
        path.display()
    )]
    Catalog {
        /// The server's catalog.
        path: PathBuf,
        /// What SQLite says.
        complaint: String,
    },
    /// The destination cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The copying failed.
    #[error(transparent)]
    Store(#[from] ServerError),
}

/// A backup that is being taken.
struct RunningBackup<'a> {
    source: &'a DataDirectory,
    target: DataDirectory,
    /// Whether copies that are there are read, and not only looked at.
    verify: bool,
    taken: BackupSummary,
    /// Called before each change; a test ends the process in it.
    step: &'a dyn Fn(),
    _lock: Lock,
}

/// Copies `source`, whose catalog `connection` has open, to the directory `destination`: a new or an empty one, or that of
/// an earlier backup. With `verify`, the bytes of all files that are there are read and compared with their names.
/// Durable when this returns.
pub fn take(
    source: &DataDirectory,
    connection: &Connection,
    destination: &Path,
    verify: bool,
) -> Result<BackupSummary, BackupError> {
    take_stepwise(source, connection, destination, verify, &|| {})
}

fn take_stepwise(
    source: &DataDirectory,
    connection: &Connection,
    destination: &Path,
    verify: bool,
    step: &dyn Fn(),
) -> Result<BackupSummary, BackupError> {
    refuse_inside(source, destination)?;
    let mark = mark(source)?;
    let target = DataDirectory(destination.to_owned());
    if !recognise(&target, &mark)? {
        target.refuse_strangers()?;
    }
    step();
    create_private_dir(destination).map_err(file(destination))?;
    access::close(destination).map_err(file(destination))?;
    source.own(destination)?;
    step();
    let lock = target.lock()?;
    let mut copying =
        RunningBackup { source, target, verify, taken: BackupSummary::default(), step, _lock: lock };
    // First of all, so that whatever interrupts this leaves something that the next run recognises.
    copying.private(&copying.target.backup_mark(), mark.as_bytes())?;
    for name in ["blobs", "incoming", "pki"] {
        step();
        let directory = destination.join(name);
        create_private_dir(&directory).map_err(file(&directory))?;
        source.own(&directory)?;
    }

    let kept = keep_files(&source.0)?;
    let new = destination.join("catalog.db.new");
    step();
    let blobs = copying.copy_catalog(connection, &new)?;
    copying.blobs(&blobs)?;
    drop(kept);
    // Held until the copy is durable, so that a revocation comes into both lists, or into both later.
    let list = RevocationList::hold(source)?;
    copying.keys()?;
    step();
    copying.replace_catalog(&new)?;
    // Last: from here on it is a data directory.
    copying.key("ca.pem")?;
    drop(list);
    copying.tidy(&blobs)?;
    copying.sync()?;
    Ok(copying.taken)
}

impl RunningBackup<'_> {
    /// Puts every file in its place that is not there yet, or is damaged there.
    fn blobs(&mut self, blobs: &[(Digest, u64)]) -> Result<(), BackupError> {
        let to = self.target.0.join("blobs");
        for (digest, size) in blobs {
            let copy = path_below(&to, digest);
            self.blob(&copy, digest, *size).map_err(ServerError::file(&copy))?;
        }
        for number in 0..=u8::MAX {
            let directory = to.join(format!("{number:02x}"));
            if directory.exists() {
                sync_directory(&directory)?;
            }
        }
        Ok(sync_directory(&to)?)
    }

    fn blob(&mut self, copy: &Path, digest: &Digest, size: u64) -> io::Result<()> {
        let original = path_below(&self.source.0.join("blobs"), digest);
        let found = files::look(&original, copy, size)?;
        let is_read = found == KnownCopy::Unknown || (found == KnownCopy::Verified && self.verify);
        if is_read {
            (self.step)();
        }
        if (found == KnownCopy::Verified && !is_read) || (is_read && files::verify(copy, digest, size)?) {
            self.taken.kept += 1;
            self.taken.verified += u64::from(is_read);
            return Ok(());
        }
        if let Some(directory) = copy.parent().filter(|directory| !directory.exists()) {
            (self.step)();
            create_private_dir(directory)?;
            owner::give(&self.source.0, directory)?;
        }
        (self.step)();
        let unfinished = self.target.0.join("incoming").join("backup");
        let copier = CopyFile { unfinished: &unfinished, owner: &self.source.0 };
        match copier.copy(&original, copy, digest, size)? {
            CopyOutcome::Whole => {
                self.taken.copied += 1;
                self.taken.bytes += size;
                self.taken.repaired += u64::from(is_read || found == KnownCopy::Useless { exists: true });
            }
            CopyOutcome::Missing if found == KnownCopy::Useless { exists: false } => {
                self.taken.missing.push(*digest);
            }
            CopyOutcome::Damaged | CopyOutcome::Refused | CopyOutcome::Missing => {
                self.taken.damaged.push(*digest);
            }
        }
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
        (self.step)();
        write_private(path, contents).map_err(file(path))?;
        Ok(self.source.own(path)?)
    }

    fn replace_catalog(&self, new: &Path) -> Result<(), BackupError> {
        let catalog = self.target.catalog();
        if catalog.exists() {
            // Whoever has looked at the backup may have left a log beside it, which belongs to no other catalog. It goes
            // before the new catalog comes, so what it holds has to get into the old one. A catalog that cannot be opened
            // is damaged, and replaced.
            if let Ok(old) = Connection::open(&catalog) {
                let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            }
        }
        for side in ["-wal", "-shm"] {
            remove_if_there(&self.target.0.join(format!("catalog.db{side}")))?;
        }
        (self.step)();
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
                (self.step)();
                fs::remove_file(&path).map_err(file(&path))?;
                self.taken.removed += 1;
            }
        }
        remove_if_there(&self.target.0.join("incoming").join("backup"))?;
        for directory in [self.target.0.clone(), self.target.pki("")] {
            for entry in fs::read_dir(&directory).map_err(file(&directory))? {
                let entry = entry.map_err(file(&directory))?;
                if entry.file_name().to_string_lossy().starts_with(super::UNFINISHED) {
                    remove_if_there(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Makes every name durable, also those that an earlier run gave.
    fn sync(&self) -> Result<(), BackupError> {
        (self.step)();
        for name in ["blobs", "incoming", "pki"] {
            sync_directory(&self.target.0.join(name))?;
        }
        sync_directory(&self.target.0)?;
        let absolute = std::path::absolute(&self.target.0).map_err(file(&self.target.0))?;
        for above in absolute.ancestors().skip(1) {
            match sync_directory(above) {
                // A directory that this process cannot even read is none that it has made.
                Err(ServerError::File { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                }
                synced => synced?,
            }
        }
        Ok(())
    }

    /// Takes one snapshot of the catalog into a file of its own, and verifies it. Returns the files that it refers to.
    fn copy_catalog(
        &mut self,
        connection: &Connection,
        new: &Path,
    ) -> Result<Vec<(Digest, u64)>, BackupError> {
        for side in ["", "-journal"] {
            remove_if_there(&PathBuf::from(format!("{}{side}", new.display())))?;
        }
        let copy = copy_catalog(connection, new)?;
        let complaints = verification::complaints(&copy, !self.verify)?;
        if let Some(complaint) = complaints.into_iter().next() {
            drop(copy);
            remove_if_there(new)?;
            return Err(BackupError::Catalog { path: self.source.catalog(), complaint });
        }
        self.taken.damaged.extend(verification::damaged_rows(&copy)?);
        let blobs = files_of(&copy)?;
        copy.close().map_err(|(_, error)| ServerError::from(error))?;
        File::open(new).and_then(|file| file.sync_all()).map_err(ServerError::file(new))?;
        Ok(blobs)
    }
}

/// One snapshot of the catalog in a file of its own, which says when it was taken.
fn copy_catalog(connection: &Connection, new: &Path) -> Result<Connection, ServerError> {
    let moment = clock::now();
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
    facts::set(&copy, facts::BACKUP_TAKEN, &moment.to_string())?;
    Ok(copy)
}

/// The files that a catalog refers to.
fn files_of(catalog: &Connection) -> Result<Vec<(Digest, u64)>, ServerError> {
    let mut statement = catalog.prepare("SELECT digest, size FROM blobs ORDER BY digest")?;
    let rows = statement
        .query_map([], |row| Ok((Digest::from_bytes(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn remove_if_there(path: &Path) -> Result<(), DataError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(path)(error)),
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests;
