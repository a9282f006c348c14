//! Deleting, moving and copying: files, links, and directories with all that is in them.
//!
//! What is below a directory is changed by statements over the whole set, so that a large tree takes one transaction and
//! not one statement per entry.

use std::collections::BTreeSet;

use rusqlite::{Connection, named_params, params};
use sealift_protocol::ErrorCode;
use sealift_protocol::message::Nanoseconds;
use sealift_protocol::path::{MAX_PATH, PathError, name_key};

use super::refusal::{into_itself, is_a_space, taken};
use super::{
    Held, NewFile, Node, Place, Slot, child, display, find, insert, is_a_directory, make_directories, walk,
};
use crate::error::{Error, Result};
use crate::policy::{Permit, Rights, SpaceId};
use crate::store::objects::{self, ObjectId};

/// Everything below the directory `:directory` of the space `:space`; `length` is that of its path from there, in bytes,
/// slashes included.
///
/// CROSS JOIN keeps the order of the two: left alone, SQLite looks through the whole space for each row.
pub(super) const BELOW: &str = "WITH RECURSIVE below (id, length) AS (
    SELECT id, 1 + octet_length(name) FROM entries WHERE space = :space AND parent = :directory
    UNION ALL
    SELECT entries.id, below.length + 1 + octet_length(entries.name)
    FROM below CROSS JOIN entries ON space = :space AND parent = below.id)";

/// Deletes a file, a link or a directory; one that is not empty only if `recursive`.
pub fn remove(connection: &Connection, permit: &Permit, names: &[String], recursive: bool) -> Result<()> {
    permit.demand(Rights::DELETE)?;
    match find(connection, permit, names)? {
        Place::Root => Err(is_a_space(permit, names, "deleted", "name what to delete in it")),
        Place::Directory(node) => {
            if recursive {
                remove_below(connection, permit.space(), node.id)?;
            } else if has_children(connection, permit.space(), node.id)? {
                return Err(Error::refused(
                    ErrorCode::IsADirectory,
                    format!(
                        "{} is a directory that is not empty: delete what is in it first, or all of it with `sealift rm -r`",
                        display(permit.name(), names)
                    ),
                ));
            }
            delete_row(connection, node.id)
        }
        Place::Link(node, _) => delete_row(connection, node.id),
        Place::File(node, file) => {
            delete_row(connection, node.id)?;
            objects::release(connection, file.object)
        }
    }
}

/// Gives an entry another path. Returns the names of its new place.
pub fn rename(
    connection: &Connection,
    from: (&Permit, &[String]),
    to: (&Permit, &[String]),
    file: &NewFile,
) -> Result<Vec<String>> {
    let (source, source_names) = from;
    let (target, target_names) = to;
    source.demand(Rights::DELETE)?;
    if source.space() != target.space() {
        // Whoever may read there could read here from then on.
        source.demand(Rights::READ)?;
    }
    let place = find(connection, source, source_names)?;
    let Some(node) = place.node() else {
        return Err(is_a_space(source, source_names, "moved", "move what is in it"));
    };
    let target_names = into_directory(connection, target, target_names, &node.name)?;
    if source.space() == target.space() && is_within(&target_names, source_names) {
        if target_names.len() == source_names.len() {
            // The same name: at most its spelling changes.
            let name = target_names.last().unwrap_or(&node.name);
            connection
                .prepare_cached("UPDATE entries SET name = ?2 WHERE id = ?1")?
                .execute(params![node.id, name])?;
            return Ok(target_names);
        }
        return Err(into_itself(source, source_names, "moved"));
    }
    let Some((name, directories)) = target_names.split_last() else {
        return Err(is_a_directory(target, &target_names));
    };
    let is_directory = matches!(place, Place::Directory(_));
    let below = if is_directory { longest_below(connection, source.space(), node.id)? } else { 0 };
    check_length(target, &target_names, below)?;
    let parent = make_directories(connection, target, directories, file)?;
    match child(connection, target.space(), parent, name)? {
        None => target.demand(Rights::CREATE)?,
        Some(Place::File(old, content)) if !is_directory => {
            target.demand(Rights::REPLACE)?;
            delete_row(connection, old.id)?;
            objects::release(connection, content.object)?;
        }
        Some(Place::Link(old, _)) if !is_directory => {
            target.demand(Rights::REPLACE)?;
            delete_row(connection, old.id)?;
        }
        Some(_) => return Err(taken(target, &target_names)),
    }
    connection
        .prepare_cached("UPDATE entries SET space = ?2, parent = ?3, name = ?4, key = ?5 WHERE id = ?1")?
        .execute(params![node.id, target.space().0, parent, name, name_key(name)])?;
    if is_directory && source.space() != target.space() {
        let sql = format!("{BELOW} UPDATE entries SET space = :target WHERE id IN (SELECT id FROM below)");
        connection.prepare_cached(&sql)?.execute(named_params! {
            ":space": source.space().0, ":directory": node.id, ":target": target.space().0,
        })?;
    }
    Ok(target_names)
}

/// Gives a file's content, a link, or everything in a directory a second path. Returns the names of the copy.
pub fn copy(
    connection: &Connection,
    from: (&Permit, &[String]),
    to: (&Permit, &[String]),
    by: i64,
    now: Nanoseconds,
) -> Result<Vec<String>> {
    let (source, source_names) = from;
    source.demand(Rights::READ)?;
    let place = find(connection, source, source_names)?;
    let Some(node) = place.node() else {
        return Err(is_a_space(source, source_names, "copied", "copy what is in it"));
    };
    let target_names = into_directory(connection, to.0, to.1, &node.name)?;
    let copied = NewFile { mtime: node.mtime, executable: false, by, now };
    match &place {
        Place::Root | Place::Directory(_) => {
            copy_directory(connection, (source, source_names, node), (to.0, &target_names), &copied)?;
        }
        Place::File(_, content) => {
            check_length(to.0, &target_names, 0)?;
            let copied = NewFile { executable: content.executable, ..copied };
            Slot::find(connection, to.0, &target_names)?.store(connection, content.object, &copied)?;
        }
        Place::Link(_, target) => {
            check_length(to.0, &target_names, 0)?;
            let slot = Slot::find(connection, to.0, &target_names)?;
            slot.fill(connection, Held::Link(target), &copied)?;
        }
    }
    Ok(target_names)
}

fn copy_directory(
    connection: &Connection,
    (source, source_names, node): (&Permit, &[String], &Node),
    (target, target_names): (&Permit, &[String]),
    copied: &NewFile,
) -> Result<()> {
    target.demand(Rights::CREATE)?;
    let is_same_space = source.space() == target.space();
    if is_same_space && target_names.len() > source_names.len() && is_within(target_names, source_names) {
        return Err(into_itself(source, source_names, "copied"));
    }
    let Some((name, directories)) = target_names.split_last() else {
        return Err(is_a_directory(target, target_names));
    };
    check_length(target, target_names, longest_below(connection, source.space(), node.id)?)?;
    let parent = make_directories(connection, target, directories, copied)?;
    if child(connection, target.space(), parent, name)?.is_some() {
        return Err(taken(target, target_names));
    }
    insert(connection, target.space(), parent, name, Held::Directory, copied)?;
    let copy = connection.last_insert_rowid();
    let last: i64 =
        connection.prepare_cached("SELECT max(id) FROM entries")?.query_row([], |row| row.get(0))?;
    // New rows get the numbers after the last one without gaps: sums of old numbers would soon exceed 64 bits.
    let sql = format!(
        "{BELOW}, numbered (id, copy) AS MATERIALIZED (
             SELECT id, :last + row_number() OVER (ORDER BY id) FROM below)
         INSERT INTO entries
             (id, space, parent, name, key, object, target, mtime, executable, stored_at, identity)
         SELECT numbered.copy, :into, coalesce(above.copy, :top), name, key, object, target, mtime, executable,
             :now, :by
         FROM numbered JOIN entries ON entries.id = numbered.id
         LEFT JOIN numbered AS above ON above.id = entries.parent"
    );
    connection.prepare_cached(&sql)?.execute(named_params! {
        ":space": source.space().0, ":directory": node.id, ":last": last, ":into": target.space().0, ":top": copy,
        ":now": copied.now, ":by": copied.by,
    })?;
    Ok(())
}

/// Deletes everything in a directory.
fn remove_below(connection: &Connection, space: SpaceId, directory: i64) -> Result<()> {
    let sql = format!("{BELOW} DELETE FROM entries WHERE id IN (SELECT id FROM below) RETURNING object");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! { ":space": space.0, ":directory": directory })?;
    let mut released = BTreeSet::new();
    while let Some(row) = rows.next()? {
        released.extend(row.get::<_, Option<i64>>(0)?);
    }
    released.into_iter().try_for_each(|object| objects::release(connection, ObjectId(object)))
}

fn has_children(connection: &Connection, space: SpaceId, parent: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM entries WHERE space = ?1 AND parent = ?2 LIMIT 1";
    Ok(connection.prepare_cached(sql)?.exists(params![space.0, parent])?)
}

fn delete_row(connection: &Connection, id: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM entries WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// A target that is a directory receives the entry under its old name.
fn into_directory(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    name: &str,
) -> Result<Vec<String>> {
    Ok(match walk(connection, permit, names)? {
        Some(Place::Root | Place::Directory(_)) => [names, &[name.to_owned()]].concat(),
        _ => names.to_vec(),
    })
}

/// Bytes of the longest path below a directory, slashes included.
fn longest_below(connection: &Connection, space: SpaceId, directory: i64) -> Result<usize> {
    let longest: Option<i64> = connection
        .prepare_cached(&format!("{BELOW} SELECT max(length) FROM below"))?
        .query_row(named_params! { ":space": space.0, ":directory": directory }, |row| row.get(0))?;
    Ok(longest.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX)))
}

/// Refuses a new path that could not be written, so that nobody could reach what is there.
fn check_length(permit: &Permit, names: &[String], below: usize) -> Result<()> {
    let length = display(permit.name(), names).len().saturating_add(below);
    if length > MAX_PATH { Err(PathError::PathTooLong(length).into()) } else { Ok(()) }
}

/// Whether `inner` is `outer` or below it.
fn is_within(inner: &[String], outer: &[String]) -> bool {
    inner.len() >= outer.len() && inner.iter().zip(outer).all(|(a, b)| name_key(a) == name_key(b))
}
