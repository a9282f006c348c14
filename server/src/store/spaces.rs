//! Spaces and the rights on them.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sealift_protocol::message::Nanoseconds;
use sealift_types::{ErrorCode, Name, Rights};

use super::columns::name_of;
use super::invitations;
use crate::error::{Result, ServerError};
use crate::policy::{Access, SpaceId};

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
                CASE WHEN owner IS NOT ?2 THEN
                    (SELECT max(rights & 1) + max(rights & 2) + max(rights & 4) + max(rights & 8)
                     FROM grants WHERE space = id AND identity IN (0, ?2)) END
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
        .query_map([identity], |row| Ok((name_of(row, 0)?, optional_name(row, 1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter()
        .map(|(name, owner, created_at)| {
            let rights = access(connection, identity, &name)?.rights();
            Ok(SpaceRow { name, owner, created_at, rights })
        })
        .filter(|space: &Result<SpaceRow>| space.as_ref().map_or(true, |space| space.rights != Rights::NONE))
        .collect()
}

/// A space as the administrator sees it.
#[derive(Debug, Clone)]
pub struct SpaceGrants {
    /// Its name.
    pub name: Name,
    /// The name of its owner; shared spaces have none.
    pub owner: Option<Name>,
    /// What was granted, and to whom; nobody's name means everyone.
    pub grants: Vec<(Option<Name>, Rights)>,
}

/// All spaces with their grants, by name.
pub fn all(connection: &Connection) -> Result<Vec<SpaceGrants>> {
    let mut spaces = connection.prepare(
        "SELECT spaces.id, spaces.name, identities.name FROM spaces
         LEFT JOIN identities ON identities.id = spaces.owner ORDER BY spaces.name",
    )?;
    let mut grants = connection.prepare(
        "SELECT identities.name, rights FROM grants LEFT JOIN identities ON identities.id = grants.identity
         WHERE space = ?1 ORDER BY identities.name",
    )?;
    let mut found = Vec::new();
    let mut rows = spaces.query([])?;
    while let Some(row) = rows.next()? {
        let granted = grants.query_map([row.get::<_, i64>(0)?], |row| {
            Ok((optional_name(row, 0)?, Rights::from_bits(row.get(1)?)))
        })?;
        found.push(SpaceGrants {
            name: name_of(row, 1)?,
            owner: optional_name(row, 2)?,
            grants: granted.collect::<rusqlite::Result<_>>()?,
        });
    }
    Ok(found)
}

/// Sets the rights of an identity, or of everyone, on a space.
pub fn grant(connection: &Connection, space: &Name, who: Option<&Name>, rights: Rights) -> Result<()> {
    let find = |table: &str, name: &Name, mend: &str| -> Result<i64> {
        let sql = format!("SELECT id FROM {table} WHERE name = ?1");
        let found = connection.query_row(&sql, [name.as_str()], |row| row.get(0)).optional()?;
        found.ok_or_else(|| ServerError::refused(ErrorCode::NotFound, format!("there is no {name}: {mend}")))
    };
    let space = find("spaces", space, "`sealiftd space list` lists the spaces")?;
    let who = match who {
        Some(name) => find("identities", name, "`sealiftd identities` lists who has joined")?,
        None => EVERYONE,
    };
    let owner: Option<i64> =
        connection.query_row("SELECT owner FROM spaces WHERE id = ?1", [space], |row| row.get(0))?;
    if who != EVERYONE && owner == Some(who) {
        return Err(ServerError::refused(
            ErrorCode::BadRequest,
            "the owner of a space keeps all rights in it, which no grant changes: name somebody else, or use a shared \
             space, which `sealiftd space add` makes",
        ));
    }
    if rights == Rights::NONE {
        connection.execute("DELETE FROM grants WHERE space = ?1 AND identity = ?2", [space, who])?;
    } else {
        connection.execute(
            "INSERT INTO grants (space, identity, rights) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET rights = ?3",
            params![space, who, rights.bits()],
        )?;
    }
    Ok(())
}

/// Makes a space that nobody owns, unless there is one of that name. Returns whether it did.
pub fn add_shared(connection: &Connection, name: &Name, now: Nanoseconds) -> Result<bool> {
    // Whoever joins gets the space of the own name.
    if !invitations::list(connection, Some(name), now)?.is_empty() {
        return Err(ServerError::refused(
            ErrorCode::Exists,
            format!(
                "{name} is invited, and /{name} will be the space of whoever joins: choose another name, or withdraw the \
                 invitation, which `sealiftd identities --invitations` lists"
            ),
        ));
    }
    add(connection, name, None, now)
}

/// Makes a space unless there is one of that name. Returns whether it did.
pub fn add(connection: &Connection, name: &Name, owner: Option<i64>, now: Nanoseconds) -> Result<bool> {
    let added = connection
        .prepare_cached("INSERT OR IGNORE INTO spaces (name, owner, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![name.as_str(), owner, now])?;
    Ok(added > 0)
}

fn optional_name(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Name>> {
    if row.get_ref(column)? == ValueRef::Null { Ok(None) } else { name_of(row, column).map(Some) }
}
