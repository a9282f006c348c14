//! The catalog's schema: created once, then upgraded by numbered steps.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// Marks the file as Sealift's (`PRAGMA application_id`): "SLFT".
const APPLICATION: i32 = 0x534c_4654;

/// Each step brings the schema from the version of its index to the next. Steps that were released never change.
const STEPS: &[&str] = &[V1];

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 96;

/// Why the catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refuses the file.
    #[error(
        "the catalog {} cannot be used: {source}; restore it from a backup, nothing was changed", path.display()
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another program's database.
    #[error("{} is not a Sealift catalog: is the data directory the right one?", .0.display())]
    Foreign(PathBuf),
    /// Nothing is in it.
    #[error("the catalog {} is empty: restore it from a backup, nothing was changed", .0.display())]
    Empty(PathBuf),
    /// A later version of Sealift wrote it.
    #[error(
        "the catalog {} has version {found}, this sealiftd knows up to {known}: update sealiftd, nothing was changed",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The latest that this program knows.
        known: usize,
    },
}

/// Opens the catalog for writing; creates it if it does not exist, upgrades it if it is older.
pub fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    // One thread has it: it needs no lock of its own.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    let found = version(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    upgrade(&mut connection, found).map_err(failed)?;
    Ok(connection)
}

/// Looks whether [`open`] could use a catalog that must be there, and changes nothing.
pub fn inspect(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    // Not for reading only: such a connection leaves its helper files behind.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    match version(&connection, path)? {
        0 => Err(OpenError::Empty(path.to_owned())),
        _ => Ok(()),
    }
}

/// The catalog's version, which must be one that this program knows.
fn version(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    if tables > 0 && application != APPLICATION {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > STEPS.len() {
        return Err(OpenError::TooNew { path: path.to_owned(), found, known: STEPS.len() });
    }
    Ok(found)
}

/// Opens the catalog for reading only.
pub fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    // The administrator's commands write beside a running server; each waits for the other's short transactions.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // FULL: a commit that was acknowledged survives a power cut, not only a crash.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Plans do not depend on the values of parameters: otherwise each new value has its statement compiled anew, which
    // took four tenths of the server's time with small files.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

fn upgrade(connection: &mut Connection, from: usize) -> Result<(), rusqlite::Error> {
    for (index, step) in STEPS.iter().enumerate().skip(from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have taken the step while this one waited.
        let now: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if usize::try_from(now) == Ok(index) {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", i64::try_from(index + 1).unwrap_or(i64::MAX))?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Times are nanoseconds since 1970-01-01 UTC, sizes bytes, digests 32 bytes.
const V1: &str = "
-- Who. A revoked identity keeps its row: the log and its space refer to it.
CREATE TABLE identities (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT;
-- Every certificate that was ever issued, by the SHA-256 of its DER form.
CREATE TABLE certificates (
    fingerprint BLOB PRIMARY KEY, identity INTEGER NOT NULL REFERENCES identities,
    issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_identity ON certificates (identity);
CREATE INDEX certificates_by_revocation ON certificates (revoked_at) WHERE revoked_at IS NOT NULL;
-- Join tokens, by the SHA-256 of their secret.
CREATE TABLE invites (
    secret BLOB PRIMARY KEY, name TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE spaces (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner INTEGER REFERENCES identities,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX spaces_by_owner ON spaces (owner);
-- Rights of an identity, or of everyone (identity 0), as bits: 1 read, 2 create, 4 replace, 8 delete.
CREATE TABLE grants (
    space INTEGER NOT NULL REFERENCES spaces, identity INTEGER NOT NULL, rights INTEGER NOT NULL,
    PRIMARY KEY (space, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_identity ON grants (identity);

-- Immutable files below blobs/: each a large content, or a pack of small ones.
CREATE TABLE blobs (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL) STRICT;
-- Contents. One that is small has a row in contents or an extent in a pack, another has extents. A suspect one did not verify when it was
-- last read: it can be stored again, but not claimed.
CREATE TABLE objects (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, suspect INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX objects_by_size ON objects (size);
CREATE TABLE contents (object INTEGER PRIMARY KEY REFERENCES objects, data BLOB NOT NULL) STRICT;
CREATE TABLE extents (
    object INTEGER NOT NULL REFERENCES objects, position INTEGER NOT NULL,
    blob INTEGER NOT NULL REFERENCES blobs, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (object, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX extents_by_blob ON extents (blob);
-- Blobs that some of their contents have left since the collector last looked.
CREATE TABLE thinned (blob INTEGER PRIMARY KEY REFERENCES blobs) STRICT;
-- Blobs whose last reference has gone and whose files a running server removes.
CREATE TABLE garbage (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Trees of files. parent 0 is the root of the space; key is the name in NFC. A file has an object, a symbolic link has
-- a target, a directory has neither.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, space INTEGER NOT NULL REFERENCES spaces, parent INTEGER NOT NULL,
    name TEXT NOT NULL, key TEXT NOT NULL, object INTEGER REFERENCES objects, target TEXT,
    mtime INTEGER NOT NULL, executable INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities, CHECK (object IS NULL OR target IS NULL)
) STRICT;
CREATE UNIQUE INDEX entries_by_name ON entries (space, parent, key);
CREATE INDEX entries_by_object ON entries (object) WHERE object IS NOT NULL;

-- Beginnings of uploads, by the numbers that are their files' names in incoming/: of those that broke off, and of large
-- ones under way. path is that of the keys in the space. An upload continues a part of its own path, size and mtime.
CREATE TABLE parts (
    file INTEGER PRIMARY KEY, identity INTEGER NOT NULL REFERENCES identities,
    space INTEGER NOT NULL REFERENCES spaces, path TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL
) STRICT;
CREATE INDEX parts_by_path ON parts (identity, space, path);

-- The log. error is NULL for what went well. path is /space/...
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities, address TEXT NOT NULL, direction TEXT NOT NULL,
    path TEXT NOT NULL, bytes INTEGER NOT NULL, wire_bytes INTEGER NOT NULL, digest BLOB, error TEXT
) STRICT;
CREATE INDEX transfers_by_identity ON transfers (identity);

-- What the server tells the administrator's commands, such as the address that it listens on.
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(prepare: impl FnOnce(&Path)) -> (String, bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.db");
        prepare(&path);
        let before = std::fs::read(&path).unwrap();
        let message = open(&path).unwrap_err().to_string();
        (message, std::fs::read(&path).unwrap() == before)
    }

    #[test]
    fn opens_twice_and_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.db");
        let insert = "INSERT INTO identities (name, created_at) VALUES ('a', 1)";
        assert_eq!(open(&path).unwrap().execute(insert, []).unwrap(), 1);
        let again = open(&path).unwrap();
        let count: i64 = again.query_row("SELECT count(*) FROM identities", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
        assert!(open_reader(&path).unwrap().execute("DELETE FROM identities", []).is_err());
    }

    #[test]
    fn a_corrupt_a_foreign_and_a_newer_catalog_are_left_alone() {
        let (message, untouched) = refusal(|path| std::fs::write(path, [7u8; 8192]).unwrap());
        assert!(message.contains("restore it from a backup") && untouched, "{message}");
        let (message, untouched) = refusal(|path| {
            Connection::open(path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        });
        assert!(message.contains("not a Sealift catalog") && untouched, "{message}");
        let (message, untouched) = refusal(|path| {
            let connection = open(path).unwrap();
            connection.pragma_update(None, "user_version", 99).unwrap();
            connection.close().unwrap();
        });
        assert!(message.contains("update sealiftd") && untouched, "{message}");
    }
}
