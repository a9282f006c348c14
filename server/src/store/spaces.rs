//! Spaces and the rights on them.

use rusqlite::{Connection, OptionalExtension, params};
use sealift_protocol::Name;
use sealift_protocol::message::Nanoseconds;

use super::identities::name_of;
use crate::error::Result;
use crate::policy::{Access, Rights, SpaceId};

/// Stands for everyone in the grants.
pub const EVERYONE: i64 = 0;

/// A space and what somebody may do in it.
#[derive(Debug, Clone)]
pub struct SpaceRow {
    /// Its name.
    pub name: Name,
    /// The name of its owner; shared spaces have none.
    pub owner: Option<Name>,
    /// When it was made.
    pub created_at: Nanoseconds,
    /// The rights of the one who asked.
    pub rights: Rights,
}

/// What the identity may do in the space called `name`.
pub fn access(connection: &Connection, identity: i64, name: &Name) -> Result<Access> {
    let mut statement = connection.prepare_cached(
        "SELECT id, owner IS ?2,
                (SELECT max(rights & 1) + max(rights & 2) + max(rights & 4) + max(rights & 8)
                 FROM grants WHERE space = id AND identity IN (0, ?2))
         FROM spaces WHERE name = ?1",
    )?;
    let found = statement
        .query_row(params![name.as_str(), identity], |row| {
            let granted = Rights::from_bits(row.get::<_, Option<u8>>(2)?.unwrap_or(0));
            Ok((SpaceId(row.get(0)?), row.get::<_, bool>(1)?, granted))
        })
        .optional()?;
    Ok(match found {
        Some((space, is_owner, granted)) => Access::decide(name, Some(space), is_owner, granted),
        None => Access::decide(name, None, false, Rights::NONE),
    })
}

/// The spaces on which the identity has some right, by name.
pub fn of_identity(connection: &Connection, identity: i64) -> Result<Vec<SpaceRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT spaces.name, identities.name, spaces.created_at
         FROM spaces LEFT JOIN identities ON identities.id = spaces.owner
         WHERE spaces.owner = ?1 OR spaces.id IN (SELECT space FROM grants WHERE identity IN (0, ?1))
         ORDER BY spaces.name",
    )?;
    let rows = statement
        .query_map([identity], |row| {
            let owner = row.get_ref(1)?.as_str_or_null()?.is_some();
            let owner = if owner { Some(name_of(row, 1)?) } else { None };
            Ok((name_of(row, 0)?, owner, row.get(2)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter()
        .map(|(name, owner, created_at)| {
            let rights = access(connection, identity, &name)?.rights();
            Ok(SpaceRow { name, owner, created_at, rights })
        })
        .filter(|space: &Result<SpaceRow>| space.as_ref().map_or(true, |space| space.rights != Rights::NONE))
        .collect()
}

/// Makes a space unless there is one of that name.
pub fn ensure(connection: &Connection, name: &Name, owner: Option<i64>, now: Nanoseconds) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO spaces (name, owner, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![name.as_str(), owner, now])?;
    Ok(())
}
