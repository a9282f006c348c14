//! What the running server and the administrator's commands leave in the catalog for each other.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;

/// The address that the server listens on, or last did.
pub const LISTENING: &str = "listening";

/// The addresses that the server was told to be reached by, separated by commas; empty if it was told none.
pub const ADDRESSES: &str = "addresses";

/// The last collection that an administrator asked for, by a name that no other has.
pub const GC_ASKED: &str = "gc asked";

/// What the server answered.
pub const GC_ANSWER: &str = "gc answer";

/// When the backup was taken that this catalog is. A server that opens such a catalog was restored.
pub const BACKUP_TAKEN: &str = "backup taken";

/// From when on a restored catalog does not know what its authority has issued.
pub const UNKNOWN_SINCE: &str = "certificates unknown since";

/// Until when.
pub const UNKNOWN_UNTIL: &str = "certificates unknown until";

/// Where backups were taken to, and when.
pub const BACKUPS: &str = "backups";

/// Sets a fact.
pub fn set(connection: &Connection, key: &str, value: &str) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO facts (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
        )?
        .execute(params![key, value])?;
    Ok(())
}

/// Reads a fact.
pub fn read(connection: &Connection, key: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT value FROM facts WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// Removes a fact.
pub fn remove(connection: &Connection, key: &str) -> Result<()> {
    connection.prepare_cached("DELETE FROM facts WHERE key = ?1")?.execute([key])?;
    Ok(())
}
