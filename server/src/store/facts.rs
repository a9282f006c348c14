//! What the running server leaves in the catalog for the administrator's commands.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;

/// The address that the server listens on, or last did.
pub const LISTENING: &str = "listening";

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
