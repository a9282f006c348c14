//! Open invitations: which there are, and how one is withdrawn.

use rusqlite::{Connection, params};
use sealift_protocol::message::Nanoseconds;
use sealift_types::{Digest, Name};

use super::columns::{by_digits, name_of};
use crate::error::Result;

/// An invitation that a token can still use.
#[derive(Debug, Clone)]
pub struct InvitationRow {
    /// The SHA-256 of the token's secret: what the catalog has of it.
    pub secret: Digest,
    /// Who is invited.
    pub name: Name,
    /// Since when.
    pub created_at: Nanoseconds,
    /// Until when.
    pub expires_at: Nanoseconds,
}

/// Invitations that are neither used nor expired, by name and time.
pub fn list(connection: &Connection, of: Option<&Name>, now: Nanoseconds) -> Result<Vec<InvitationRow>> {
    let mut statement = connection.prepare(
        "SELECT secret, name, created_at, expires_at FROM invites
         WHERE used_at IS NULL AND expires_at > ?2 AND (?1 IS NULL OR name = ?1)
         ORDER BY name, created_at, secret",
    )?;
    let rows = statement.query_map(params![of.map(Name::as_str), now], |row| {
        Ok(InvitationRow {
            secret: Digest::from_bytes(row.get(0)?),
            name: name_of(row, 1)?,
            created_at: row.get(2)?,
            expires_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Withdraws the open invitation whose secret's SHA-256 begins with these digits. Returns who was invited.
pub fn withdraw(connection: &Connection, digits: &str) -> Result<Name> {
    let secret = by_digits(
        connection,
        "(SELECT * FROM invites WHERE used_at IS NULL)",
        "secret",
        digits,
        "invitation",
    )?;
    let mut statement = connection.prepare("DELETE FROM invites WHERE secret = ?1 RETURNING name")?;
    Ok(statement.query_row([secret.as_bytes()], |row| name_of(row, 0))?)
}
