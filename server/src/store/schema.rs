//! The catalog's schema: created once, then upgraded by numbered steps.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::open_error::OpenError;

/// Marks the file as Sealift's (`PRAGMA application_id`): "SLFT".
const APPLICATION: i32 = 0x534c_4654;

/// Each step brings the schema from the version of its index to the next. Steps that were released never change.
const STEPS: &[&str] =
    &[include_str!("schema/v1.sql"), include_str!("schema/v2.sql"), include_str!("schema/v3.sql")];

/// SQLite's number for giving free pages back when it is told to.
const INCREMENTAL: i64 = 2;

/// Free pages of so many bytes stay in the catalog.
const SPARE: u64 = 1024 * 1024;

/// Pages that are given back in one transaction.
const SLICE: u32 = 256;

/// How long a connection waits for others that have the catalog locked.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 96;

/// Whether the error says that the file's bytes are wrong, and not only that the system did not give them.
pub fn is_corruption(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Opens a catalog that must be there: for writing if that can be had, else as it is on read-only media.
pub fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    match open(path) {
        Err(OpenError::Sqlite { source, .. }) if is_write_protected(&source) => open_frozen(path),
        opened => opened,
    }
}

/// Whether SQLite could not write what it needs beside the catalog, or the catalog itself.
fn is_write_protected(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// Opens a catalog that nobody can change meanwhile, without a file beside it.
fn open_frozen(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let log = PathBuf::from(format!("{}-wal", path.display()));
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        // It holds changes that would have to be written into the catalog first.
        return Err(OpenError::Unfinished(path.to_owned()));
    }
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            byte => uri += &format!("%{byte:02X}"),
        }
    }
    uri += "?immutable=1";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    match version(&connection, path)? {
        0 => Err(OpenError::Empty(path.to_owned())),
        found if found < STEPS.len() => Err(OpenError::Unfinished(path.to_owned())),
        _ => Ok(connection),
    }
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
    if found == 0 {
        // Only an empty catalog takes this; `rebuild` is for others.
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL).map_err(failed)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    upgrade(&mut connection, found).map_err(failed)?;
    Ok(connection)
}

/// Writes a catalog anew that cannot give free pages back, as those of earlier versions. Returns true if that was so.
///
/// It takes as much free space as the catalog has bytes, and fails without harm if there is less.
pub fn rebuild(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if mode == INCREMENTAL {
        return Ok(false);
    }
    connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    connection.execute_batch("VACUUM")?;
    Ok(true)
}

/// Writes all that the write-ahead log holds into the catalog itself, syncs it, and empties the log. Returns false if the log
/// was not emptied because others read it.
pub fn empty_log(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
    if busy {
        // Whoever reads it meanwhile looks at what was committed long ago; the next checkpoint gets to it.
        tracing::info!("the catalog's log is in use and was not emptied");
    }
    Ok(!busy)
}

/// Pages of the catalog and those of them that are free, in bytes.
pub fn sizes(connection: &Connection) -> Result<[u64; 2], rusqlite::Error> {
    let number =
        |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    let page = number("page_size")?;
    Ok([number("page_count")? * page, number("freelist_count")? * page])
}

/// True if the catalog has more free pages than it is soon going to use again.
pub fn has_many_free_pages(connection: &Connection) -> crate::error::Result<bool> {
    let [all, free] = sizes(connection)?;
    let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    Ok(mode == INCREMENTAL && free > SPARE.max(all / 10))
}

/// Gives a slice of the free pages back.
pub fn give_back(connection: &Connection) -> crate::error::Result<()> {
    Ok(connection.execute_batch(&format!("PRAGMA incremental_vacuum({SLICE})"))?)
}

/// Looks whether [`open`] could use a catalog that must be there, and changes nothing.
pub fn inspect(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    // Not for reading only: such a connection leaves its helper files behind.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = || {
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        prepare(&connection).map_err(failed)?;
        version(&connection, path)
    };
    match look() {
        Ok(0) => Err(OpenError::Empty(path.to_owned())),
        Ok(_) => Ok(()),
        Err(OpenError::Sqlite { source, .. }) if is_write_protected(&source) && path.exists() => {
            open_frozen(path).map(drop)
        }
        Err(error) => Err(error),
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
    connection.busy_timeout(PATIENCE)?;
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

/// Takes the steps that are missing, each in a transaction of its own.
fn upgrade(connection: &mut Connection, from: usize) -> Result<(), rusqlite::Error> {
    if from == STEPS.len() {
        return Ok(());
    }
    // A step may replace a table that others refer to. SQLite ignores this pragma inside a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;
    // An index over millions of rows is sorted, which must not take memory without bound.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let taken = take_steps(connection, from);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    taken
}

fn take_steps(connection: &mut Connection, from: usize) -> Result<(), rusqlite::Error> {
    for (index, step) in STEPS.iter().enumerate().skip(from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have taken the step while this one waited.
        let now: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if usize::try_from(now) == Ok(index) {
            transaction.execute_batch(step)?;
            refuse_broken_references(&transaction)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", i64::try_from(index + 1).unwrap_or(i64::MAX))?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Fails if a row refers to a row that is not there.
fn refuse_broken_references(connection: &Connection) -> Result<(), rusqlite::Error> {
    let broken = connection
        .prepare("PRAGMA foreign_key_check")?
        .query_map([], |row| row.get::<_, String>(0))?
        .next()
        .transpose()?;
    match broken {
        Some(table) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            Some(format!("a row of the table {table} refers to a row that is not there")),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod upgrade_tests;

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
