//! The data directory: made at the first start, held by one server at a time.

mod access;
pub mod backup;
mod data_error;
pub(crate) mod drill;
mod owner;
pub mod revocations;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sealift_certs::files::{create_private_dir, write_private};
use sealift_certs::{Authority, TrustDomain};
use tempfile::TempDir;

pub(crate) use self::owner::inherit_owner;
use crate::store::disk;
use crate::store::schema;

pub use self::data_error::DataError;
use self::data_error::file;

/// The first of January 2025, in seconds since 1970: before this program was written, so no right clock says less.
const WRITTEN: Duration = Duration::from_secs(1_735_689_600);
/// What the name of a file begins with that is being written, see [`write_private`].
const UNFINISHED: &str = ".sealift-";

/// How long a data directory's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// A data directory that has been initialised.
#[derive(Debug, Clone)]
pub struct DataDirectory(PathBuf);

/// Held by the server that uses a data directory.
#[derive(Debug)]
#[allow(dead_code)]
pub struct Lock {
    file: File,
    /// The lock of the directory that is served without a change to it, and where the server works meanwhile.
    shared: Option<File>,
    scratch: Option<TempDir>,
}

/// Takes a lock that somebody else may hold for a while.
fn lock_within(
    patience: Duration,
    attempt: impl Fn() -> Result<(), TryLockError>,
) -> Result<(), TryLockError> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(LOCK_PATIENCE / 20);
            }
            taken => return taken,
        }
    }
}

impl DataDirectory {
    /// The directory at `path`, which must have been initialised; for what works beside a server. Whether it can be used
    /// is looked at, and nothing is changed.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        // Root may do so for everyone: what SQLite makes then belongs to the catalog's owner.
        Self::look(path, owner::is_root())
    }

    fn look(path: &Path, foreign: bool) -> Result<Self, DataError> {
        let here = Self(path.to_owned());
        if !here.is_initialised()? {
            here.refuse_unfinished_backup()?;
            here.refuse_lost_certificate()?;
            return Err(DataError::Uninitialised(path.to_owned()));
        }
        let parts = [here.catalog(), here.pki("ca.key"), path.join("blobs"), path.join("incoming")];
        match parts.into_iter().find(|part| !part.exists()) {
            Some(missing) => return Err(DataError::Missing(missing)),
            None => access::check(&here, foreign)?,
        }
        // Even a look into the catalog makes files.
        disk::make_room(path);
        schema::inspect(&here.catalog())?;
        Ok(here)
    }

    /// The same for a server; a directory that does not exist or is empty is initialised first. The flag tells whether it was.
    pub fn open_or_initialise(path: &Path, now: SystemTime) -> Result<(Self, bool), DataError> {
        let here = Self(path.to_owned());
        if here.is_initialised()? {
            return Self::look(path, false).map(|here| (here, false));
        }
        if now < UNIX_EPOCH + WRITTEN {
            return Err(DataError::Clock { now: now.into() });
        }
        here.refuse_unfinished_backup()?;
        here.refuse_lost_certificate()?;
        here.refuse_strangers()?;
        access::claim(path)?;
        for directory in [path.to_owned(), path.join("blobs"), path.join("incoming"), path.join("pki")] {
            create_private_dir(&directory).map_err(file(&directory))?;
        }
        // Two that start at once must not both make an authority.
        let _lock = here.lock()?;
        if here.is_initialised()? {
            return Self::look(path, false).map(|here| (here, false));
        }
        drop(schema::open(&here.catalog())?);
        let pki = path.join("pki");
        let authority = Authority::generate(TrustDomain::random(), now)
            .map_err(|source| DataError::Authority { path: pki, source })?;
        // The certificate comes last: it is what says that the directory is complete.
        let key = here.pki("ca.key");
        write_private(&key, authority.key_pem().as_str().as_bytes()).map_err(file(&key))?;
        let certificate = here.pki("ca.pem");
        write_private(&certificate, authority.certificate_pem().as_bytes()).map_err(file(&certificate))?;
        Ok((here, true))
    }

    /// Keeps other servers away until the lock is dropped.
    pub fn lock(&self) -> Result<Lock, DataError> {
        let path = self.0.join("lock");
        let lock =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(file(&path))?;
        inherit_owner(&path).map_err(file(&path))?;
        // It may be about to be let go: by a server that is ending, or by a child of this very process, which has every open
        // file until it becomes another program.
        match lock_within(LOCK_PATIENCE, || lock.try_lock()) {
            Ok(()) => Ok(Lock { file: lock, shared: None, scratch: None }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse(self.0.clone())),
            Err(TryLockError::Error(source)) => Err(file(&path)(source)),
        }
    }

    /// Refuses a directory that a server serves without changing it.
    pub fn refuse_drill(&self) -> Result<(), DataError> {
        let path = self.0.join("lock");
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            // Nobody serves it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file(&path)(error)),
        };
        let begun = Instant::now();
        loop {
            // Drills share the lock, a server that changes something has it for itself.
            if lock.try_lock().is_ok() || lock.try_lock_shared().is_err() {
                return Ok(());
            }
            // Another command may be looking, too.
            if begun.elapsed() > LOCK_PATIENCE {
                return Err(DataError::Drill(self.0.clone()));
            }
            lock.unlock().map_err(file(&path))?;
            std::thread::sleep(LOCK_PATIENCE / 20);
        }
    }

    /// From now on the directory goes its own way: if it is a backup of another one, no further backup may come into it.
    pub fn take_into_service(&self) -> Result<(), DataError> {
        let mark = self.backup_mark();
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(&mark)(error)),
            _ => Ok(()),
        }
    }

    /// The file that says that the directory is a backup of another one.
    pub fn backup_mark(&self) -> PathBuf {
        self.0.join("BACKUP")
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The catalog's file.
    pub fn catalog(&self) -> PathBuf {
        self.0.join("catalog.db")
    }

    /// A file of the PKI.
    pub fn pki(&self, name: &str) -> PathBuf {
        self.0.join("pki").join(name)
    }

    /// What keeps others out of the files of a data directory is that it belongs to one user. Gives what root has made to
    /// that user.
    pub(crate) fn own(&self, path: &Path) -> Result<(), DataError> {
        owner::give(&self.0, path).map_err(file(path))
    }

    fn is_initialised(&self) -> Result<bool, DataError> {
        let certificate = self.pki("ca.pem");
        certificate.try_exists().map_err(file(&certificate))
    }

    fn refuse_unfinished_backup(&self) -> Result<(), DataError> {
        if self.backup_mark().exists() { Err(DataError::Unfinished(self.0.clone())) } else { Ok(()) }
    }

    /// Refuses a directory that holds anything that an interrupted initialisation would not have left.
    fn refuse_strangers(&self) -> Result<(), DataError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file(&self.0)(error)),
        };
        for entry in entries {
            let name = entry.map_err(file(&self.0))?.file_name();
            let name = name.to_string_lossy();
            if !(name == "lost+found"
                || name == "pki"
                || name == "blobs"
                || name == "incoming"
                || name == "lock"
                || name.starts_with(UNFINISHED)
                || name.starts_with("catalog.db"))
            {
                return Err(DataError::Foreign(self.0.clone()));
            }
        }
        Ok(())
    }

    /// Refuses a directory that was in use and has lost the authority's certificate: what an interrupted initialisation
    /// leaves knows nobody and holds nothing.
    fn refuse_lost_certificate(&self) -> Result<(), DataError> {
        let holds_blobs =
            || fs::read_dir(self.0.join("blobs")).is_ok_and(|mut entries| entries.next().is_some());
        let knows_somebody = || {
            let catalog = schema::open_reader(&self.catalog()).ok()?;
            catalog.query_row("SELECT EXISTS (SELECT 1 FROM spaces)", [], |row| row.get::<_, bool>(0)).ok()
        };
        if self.catalog().exists() && (holds_blobs() || knows_somebody() == Some(true)) {
            return Err(DataError::Missing(self.pki("ca.pem")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_is_initialised_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        assert!(matches!(DataDirectory::open(&path), Err(DataError::Uninitialised(_))));
        let (data, first) = DataDirectory::open_or_initialise(&path, SystemTime::now()).unwrap();
        assert!(first);
        let authority = fs::read(data.pki("ca.pem")).unwrap();
        assert!(!DataDirectory::open_or_initialise(&path, SystemTime::now()).unwrap().1);
        assert_eq!(fs::read(data.pki("ca.pem")).unwrap(), authority);
    }

    #[test]
    fn a_clock_that_cannot_be_right_makes_no_authority() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        for wrong in [UNIX_EPOCH, UNIX_EPOCH + WRITTEN - Duration::from_secs(1)] {
            let refused = DataDirectory::open_or_initialise(&path, wrong).unwrap_err();
            assert!(matches!(refused, DataError::Clock { .. }), "{refused}");
            assert!(!path.exists());
        }
        assert!(DataDirectory::open_or_initialise(&path, UNIX_EPOCH + WRITTEN).unwrap().1);
        // An authority that is there is not a new one: the authority's own time counts then.
        assert!(!DataDirectory::open_or_initialise(&path, UNIX_EPOCH).unwrap().1);
    }

    #[test]
    fn what_is_not_ours_or_incomplete_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "x").unwrap();
        let refused = DataDirectory::open_or_initialise(dir.path(), SystemTime::now());
        assert!(matches!(refused, Err(DataError::Foreign(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let path = dir.path().join("data");
        let (data, _) = DataDirectory::open_or_initialise(&path, SystemTime::now()).unwrap();
        fs::remove_file(data.catalog()).unwrap();
        let refused = DataDirectory::open_or_initialise(&path, SystemTime::now());
        assert!(matches!(refused, Err(DataError::Missing(_))));
        assert!(!data.catalog().exists());
    }

    /// Making a new authority would lock out everybody who had joined.
    #[test]
    fn a_certificate_that_is_lost_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let (data, _) = DataDirectory::open_or_initialise(&path, SystemTime::now()).unwrap();
        let catalog = schema::open(&data.catalog()).unwrap();
        catalog.execute("INSERT INTO spaces (name, created_at) VALUES ('team', 1)", []).unwrap();
        drop(catalog);
        let key = fs::read(data.pki("ca.key")).unwrap();
        fs::remove_file(data.pki("ca.pem")).unwrap();
        for refused in [
            DataDirectory::open(&path).err(),
            DataDirectory::open_or_initialise(&path, SystemTime::now()).err(),
        ] {
            assert!(
                matches!(&refused, Some(DataError::Missing(part)) if part.ends_with("ca.pem")),
                "{refused:?}"
            );
        }
        assert_eq!(fs::read(data.pki("ca.key")).unwrap(), key);
    }

    #[test]
    fn a_second_server_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let (data, _) =
            DataDirectory::open_or_initialise(&dir.path().join("data"), SystemTime::now()).unwrap();
        let lock = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(DataError::InUse(_))));
        drop(lock);
        data.lock().unwrap();
    }
}
