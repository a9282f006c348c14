//! Lines of the log that say who took what away: deletions, renames, revocations, grants.
//!
//! They have the target `audit` at the level `info`, so `log_level = "warn,audit=info"` writes nothing but warnings and
//! them. A line is written when the change is durable. What an administrator does beside the server is read from the
//! catalog, where the command leaves it.

use std::fmt::Display;

use rusqlite::{Connection, params};
use sealift_protocol::message::{Nanoseconds, Request};
use sealift_types::Name;
use tracing::info;

use crate::error::Result;

/// A request that takes something away.
#[derive(Debug)]
pub struct Audited {
    action: &'static str,
    path: String,
    to: Option<String>,
}

impl Audited {
    /// What there is to be said of a request once it is done; most are nobody's business.
    pub fn of(request: &Request) -> Option<Self> {
        let path = |path: &dyn Display| path.to_string();
        match request {
            Request::Remove(request) => {
                let action = if request.recursive { "remove-tree" } else { "remove" };
                Some(Self { action, path: path(&request.path), to: None })
            }
            Request::Move(paths) => {
                Some(Self { action: "move", path: path(&paths.from), to: Some(path(&paths.to)) })
            }
            _ => None,
        }
    }

    /// Writes the line. Paths are as the client gave them: without a `/` in front they are in its own space.
    pub fn log(&self, identity: &Name, address: &str) {
        let Self { action, path, to } = self;
        let to = to.as_deref().unwrap_or_default();
        info!(target: "audit", action, %identity, address, path, to, "audit");
    }
}

/// Leaves a line for the log of the server, from a command beside it: part of the transaction that it tells of.
pub fn leave(connection: &Connection, action: &str, subject: &str, now: Nanoseconds) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO audits (at, action, subject) VALUES (?1, ?2, ?3)")?
        .execute(params![now, action, subject])?;
    Ok(())
}

/// What commands have left, oldest first, with the number of the last.
pub fn left(connection: &Connection) -> Result<(i64, Vec<(String, String)>)> {
    let mut statement =
        connection.prepare_cached("SELECT id, action, subject FROM audits ORDER BY id LIMIT 100")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()?;
    let last = rows.last().map_or(0, |(number, ..)| *number);
    Ok((last, rows.into_iter().map(|(_, action, subject)| (action, subject)).collect()))
}

/// Forgets what was written to the log.
pub fn forget(connection: &Connection, last: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM audits WHERE id <= ?1")?.execute([last])?;
    Ok(())
}

/// Writes the line of a command.
pub fn log_command(action: &str, subject: &str) {
    info!(target: "audit", action, subject, identity = "administrator", "audit");
}
