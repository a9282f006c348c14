//! The place that a file or a link is about to take.

use rusqlite::{Connection, OptionalExtension, params};
use sealift_types::path::name_key;

use super::{NewEntry, NewEntryKind, insert, insert_directory, is_a_directory, not_a_directory, root, walk};
use crate::error::{Result, ServerError};
use crate::policy::Permit;
use crate::store::objects::{self, ContentId};
use sealift_types::Rights;

/// A place at which a file or a link may be stored, all rights looked at and nothing changed yet.
///
/// What it knows is true as long as nothing else changes in the transaction.
#[derive(Debug)]
pub struct EntrySlot<'a> {
    permit: &'a Permit,
    /// The last directory of the path that is there.
    parent: i64,
    /// The directories that are missing.
    missing: &'a [String],
    name: &'a str,
    replaces: Option<ReplacedEntry>,
}

/// The file or link that is there.
#[derive(Debug)]
struct ReplacedEntry {
    entry: i64,
    object: Option<ContentId>,
}

/// A row, as far as it matters to whoever wants to be at its place or below.
struct TargetRow {
    entry: i64,
    object: Option<ContentId>,
    is_directory: bool,
}

impl<'a> EntrySlot<'a> {
    /// Looks at the place that `names` lead to. Refuses what could not be stored there.
    pub fn find(connection: &Connection, permit: &'a Permit, names: &'a [String]) -> Result<Self> {
        let Some((name, directories)) = names.split_last() else { return Err(is_a_directory(permit, names)) };
        let mut slot =
            Self { permit, parent: root(permit.space()), missing: directories, name, replaces: None };
        while let Some((directory, rest)) = slot.missing.split_first() {
            match row(connection, slot.parent, directory)? {
                None => break,
                Some(found) if found.is_directory => (slot.parent, slot.missing) = (found.entry, rest),
                Some(_) => {
                    return Err(blocked(
                        connection,
                        permit,
                        &directories[..=directories.len() - 1 - rest.len()],
                    )?);
                }
            }
        }
        if slot.missing.is_empty() {
            match row(connection, slot.parent, name)? {
                None => {}
                Some(found) if found.is_directory => return Err(is_a_directory(permit, names)),
                Some(TargetRow { entry, object, .. }) => {
                    slot.replaces = Some(ReplacedEntry { entry, object });
                }
            }
        }
        permit.demand(if slot.replaces.is_some() { Rights::REPLACE } else { Rights::CREATE })?;
        Ok(slot)
    }

    /// Whether a file or a link is there, which is about to be replaced.
    pub fn is_taken(&self) -> bool {
        self.replaces.is_some()
    }

    /// Makes the place point to `object`; missing directories come into being, a file or link that is there is replaced.
    pub fn store(self, connection: &Connection, object: ContentId, file: &NewEntry) -> Result<()> {
        self.fill(connection, NewEntryKind::File(object), file)
    }

    pub(super) fn fill(self, connection: &Connection, held: NewEntryKind<'_>, file: &NewEntry) -> Result<()> {
        let Some(replaced) = self.replaces else {
            let space = self.permit.space();
            let made = self.missing.iter().try_fold(self.parent, |parent, name| {
                insert_directory(connection, space, parent, name, file)
            });
            return insert(connection, space, made?, self.name, held, file);
        };
        let (object, target) = held.columns();
        connection
            .prepare_cached(
                "UPDATE entries SET name = ?2, object = ?3, size = (SELECT size FROM objects WHERE id = ?3),
                     target = ?4, mtime = ?5, executable = ?6, stored_at = ?7, identity = ?8, space = ?9
                 WHERE id = ?1",
            )?
            .execute(params![
                replaced.entry,
                self.name,
                object,
                target,
                file.mtime,
                file.executable,
                file.now,
                file.by,
                self.permit.space().0
            ])?;
        match replaced.object {
            Some(old) if Some(old.0) != object => objects::release(connection, old),
            _ => Ok(()),
        }
    }
}

/// Looks up no more than a path needs: most rows that are looked at are directories on the way.
fn row(connection: &Connection, parent: i64, name: &str) -> Result<Option<TargetRow>> {
    Ok(connection
        .prepare_cached(
            "SELECT id, object, object IS NULL AND target IS NULL FROM entries WHERE parent = ?1 AND key = ?2",
        )?
        .query_row(params![parent, name_key(name)], |row| {
            Ok(TargetRow {
                entry: row.get(0)?,
                object: row.get::<_, Option<i64>>(1)?.map(ContentId),
                is_directory: row.get(2)?,
            })
        })
        .optional()?)
}

/// The refusal of a path that leads through a file or a link, which is the last of `names`.
fn blocked(connection: &Connection, permit: &Permit, names: &[String]) -> Result<ServerError> {
    Ok(match walk(connection, permit, names)? {
        Some(place) => not_a_directory(permit, names, &place),
        None => is_a_directory(permit, names),
    })
}
