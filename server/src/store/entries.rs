//! The trees of files: what a path points to.

use rusqlite::{Connection, Row, params};
use sealift_protocol::message::{Entry, EntryKind, Nanoseconds};
use sealift_protocol::path::{MAX_PATH, PathError, name_key};
use sealift_protocol::{Digest, ErrorCode, Name};

use super::objects::{self, ObjectId};
use crate::error::{Error, Result};
use crate::policy::{Permit, Rights, SpaceId};

/// The parent of what lies in a space's root.
const ROOT: i64 = 0;

/// A file or directory as the catalog has it.
#[derive(Debug, Clone)]
pub struct Node {
    id: i64,
    /// The name, as it was given.
    pub name: String,
    /// What it holds; a directory holds nothing.
    pub file: Option<FileNode>,
    /// When it was last modified.
    pub mtime: Nanoseconds,
    /// When it was stored.
    pub stored_at: Nanoseconds,
    /// Who stored it.
    pub by: Name,
}

/// What only files have.
#[derive(Debug, Clone)]
pub struct FileNode {
    /// The content.
    pub object: ObjectId,
    /// Its size.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub enum Place {
    /// The root of the space.
    Root,
    /// A directory.
    Directory(Node),
    /// A file.
    File(Node, FileNode),
}

/// A file's name and properties, about to be stored.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// When the content was last modified.
    pub mtime: Nanoseconds,
    /// Whether it may be executed.
    pub executable: bool,
    /// Who stores it.
    pub by: i64,
    /// When.
    pub now: Nanoseconds,
}

const NODE: &str =
    "SELECT entries.id, entries.name, entries.object, objects.size, objects.digest, executable, mtime,
        stored_at, identities.name, entries.key
    FROM entries JOIN identities ON identities.id = entries.identity
    LEFT JOIN objects ON objects.id = entries.object";

/// The path of `names` as people write it.
pub fn display(space: &Name, names: &[String]) -> String {
    names.iter().fold(format!("/{space}"), |path, name| path + "/" + name)
}

/// What `names` lead to.
pub fn find(connection: &Connection, permit: &Permit, names: &[String]) -> Result<Place> {
    walk(connection, permit.space(), names)?.ok_or_else(|| not_found(permit, names))
}

/// One page of a directory, in the order of the names' keys: those after `after`, at most `limit`.
///
/// Returns the entries and the key to go on from, if there may be more.
pub fn list(
    connection: &Connection,
    permit: &Permit,
    directory: &Place,
    after: &str,
    limit: usize,
) -> Result<(Vec<Entry>, Option<String>)> {
    let sql = format!(
        "{NODE} WHERE entries.space = ?1 AND entries.parent = ?2 AND entries.key > ?3 ORDER BY entries.key LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit_row = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![permit.space().0, directory.id(), after, limit_row])?;
    let mut entries = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        entries.push(node(row)?.to_entry());
        last = Some(row.get(9)?);
    }
    Ok(if entries.len() < limit { (entries, None) } else { (entries, last) })
}

/// Refuses what [`store`] would refuse, before anything is sent.
pub fn check(connection: &Connection, permit: &Permit, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Err(is_a_directory(permit, names));
    }
    let mut parent = ROOT;
    for (depth, name) in names.iter().enumerate() {
        let last = depth + 1 == names.len();
        match child(connection, permit.space(), parent, name)? {
            None => return Ok(permit.demand(Rights::CREATE)?),
            Some(Node { file: Some(_), .. }) if last => return Ok(permit.demand(Rights::REPLACE)?),
            Some(Node { file: Some(_), .. }) => return Err(not_a_directory(permit, &names[..=depth])),
            Some(_) if last => return Err(is_a_directory(permit, names)),
            Some(node) => parent = node.id,
        }
    }
    Ok(())
}

/// Makes `names` point to `object`; missing directories come into being, a file of that name is replaced.
pub fn store(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    object: ObjectId,
    file: &NewFile,
) -> Result<()> {
    let Some((name, directories)) = names.split_last() else { return Err(is_a_directory(permit, names)) };
    let parent = make_directories(connection, permit, directories, file)?;
    match child(connection, permit.space(), parent, name)? {
        None => {
            permit.demand(Rights::CREATE)?;
            insert(connection, permit.space(), parent, name, Some(object), file)
        }
        Some(Node { id, file: Some(old), .. }) => {
            permit.demand(Rights::REPLACE)?;
            connection
                .prepare_cached(
                    "UPDATE entries SET name = ?2, object = ?3, mtime = ?4, executable = ?5, stored_at = ?6, identity = ?7
                     WHERE id = ?1",
                )?
                .execute(params![id, name, object.0, file.mtime, file.executable, file.now, file.by])?;
            if old.object == object { Ok(()) } else { objects::release(connection, old.object) }
        }
        Some(_) => Err(is_a_directory(permit, names)),
    }
}

/// Deletes a file or an empty directory.
pub fn remove(connection: &Connection, permit: &Permit, names: &[String]) -> Result<()> {
    permit.demand(Rights::DELETE)?;
    match find(connection, permit, names)? {
        Place::Root => Err(Error::refused(
            ErrorCode::IsADirectory,
            format!("{} is a whole space: name what to delete in it", display(permit.name(), names)),
        )),
        Place::Directory(node) if has_children(connection, permit.space(), node.id)? => Err(Error::refused(
            ErrorCode::IsADirectory,
            format!(
                "{} is a directory that is not empty: delete what is in it first",
                display(permit.name(), names)
            ),
        )),
        Place::Directory(node) => delete_row(connection, node.id),
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
    let (Place::Directory(node) | Place::File(node, _)) = &place else {
        return Err(Error::refused(
            ErrorCode::IsADirectory,
            format!(
                "{} is a whole space and cannot be moved: move what is in it",
                display(source.name(), source_names)
            ),
        ));
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
        return Err(Error::refused(
            ErrorCode::Exists,
            format!(
                "{} cannot be moved into itself: choose a place outside of it",
                display(source.name(), source_names)
            ),
        ));
    }
    let Some((name, directories)) = target_names.split_last() else {
        return Err(is_a_directory(target, &target_names));
    };
    let below = match &place {
        Place::Directory(node) => longest_below(connection, source.space(), node.id)?,
        _ => 0,
    };
    check_length(target, &target_names, below)?;
    let parent = make_directories(connection, target, directories, file)?;
    match child(connection, target.space(), parent, name)? {
        None => target.demand(Rights::CREATE)?,
        Some(Node { id, file: Some(old), .. }) if matches!(place, Place::File(..)) => {
            target.demand(Rights::REPLACE)?;
            delete_row(connection, id)?;
            objects::release(connection, old.object)?;
        }
        Some(_) => return Err(taken(target, &target_names)),
    }
    connection
        .prepare_cached("UPDATE entries SET space = ?2, parent = ?3, name = ?4, key = ?5 WHERE id = ?1")?
        .execute(params![node.id, target.space().0, parent, name, name_key(name)])?;
    if source.space() != target.space() {
        connection
            .prepare_cached(
                "WITH RECURSIVE below (id) AS (
                     SELECT id FROM entries WHERE space = ?2 AND parent = ?1
                     UNION ALL SELECT entries.id FROM below JOIN entries ON space = ?2 AND parent = below.id)
                 UPDATE entries SET space = ?3 WHERE id IN (SELECT id FROM below)",
            )?
            .execute(params![node.id, source.space().0, target.space().0])?;
    }
    Ok(target_names)
}

/// Gives a file's content a second path. Returns the names of the copy.
pub fn copy(
    connection: &Connection,
    from: (&Permit, &[String]),
    to: (&Permit, &[String]),
    by: i64,
    now: Nanoseconds,
) -> Result<Vec<String>> {
    let (source, source_names) = from;
    source.demand(Rights::READ)?;
    let Place::File(node, content) = find(connection, source, source_names)? else {
        return Err(is_a_directory(source, source_names));
    };
    let target_names = into_directory(connection, to.0, to.1, &node.name)?;
    check_length(to.0, &target_names, 0)?;
    let file = NewFile { mtime: node.mtime, executable: content.executable, by, now };
    store(connection, to.0, &target_names, content.object, &file)?;
    Ok(target_names)
}

impl Place {
    fn id(&self) -> i64 {
        match self {
            Self::Root => ROOT,
            Self::Directory(node) | Self::File(node, _) => node.id,
        }
    }
}

impl Node {
    /// As a line of a listing.
    pub fn to_entry(&self) -> Entry {
        Entry {
            name: self.name.clone(),
            kind: if self.file.is_some() { EntryKind::File } else { EntryKind::Directory },
            size: self.file.as_ref().map_or(0, |file| file.size),
            mtime: self.mtime,
            executable: self.file.as_ref().is_some_and(|file| file.executable),
            sha256: self.file.as_ref().map(|file| file.digest),
            target: None,
            by: Some(self.by.clone()),
        }
    }
}

/// The refusal of a path at which a file was wanted.
pub fn is_a_directory(permit: &Permit, names: &[String]) -> Error {
    Error::refused(
        ErrorCode::IsADirectory,
        format!("{} is a directory: name a file in it", display(permit.name(), names)),
    )
}

fn not_a_directory(permit: &Permit, names: &[String]) -> Error {
    Error::refused(
        ErrorCode::NotADirectory,
        format!(
            "{} is a file, so nothing can be inside it: choose another path",
            display(permit.name(), names)
        ),
    )
}

fn not_found(permit: &Permit, names: &[String]) -> Error {
    let path = display(permit.name(), names);
    let parent = display(permit.name(), names.split_last().map_or(names, |(_, parent)| parent));
    Error::refused(
        ErrorCode::NotFound,
        format!("{path} does not exist: `sealift ls {parent}` shows what does"),
    )
}

fn taken(permit: &Permit, names: &[String]) -> Error {
    Error::refused(
        ErrorCode::Exists,
        format!("{} exists already: delete it first or choose another name", display(permit.name(), names)),
    )
}

fn walk(connection: &Connection, space: SpaceId, names: &[String]) -> Result<Option<Place>> {
    let mut place = Place::Root;
    for name in names {
        if matches!(place, Place::File(..)) {
            return Ok(None);
        }
        place = match child(connection, space, place.id(), name)? {
            None => return Ok(None),
            Some(node) => match node.file.clone() {
                Some(file) => Place::File(node, file),
                None => Place::Directory(node),
            },
        };
    }
    Ok(Some(place))
}

fn child(connection: &Connection, space: SpaceId, parent: i64, name: &str) -> Result<Option<Node>> {
    let sql = format!("{NODE} WHERE entries.space = ?1 AND entries.parent = ?2 AND entries.key = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![space.0, parent, name_key(name)])?;
    rows.next()?.map(node).transpose()
}

fn has_children(connection: &Connection, space: SpaceId, parent: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM entries WHERE space = ?1 AND parent = ?2 LIMIT 1";
    Ok(connection.prepare_cached(sql)?.exists(params![space.0, parent])?)
}

fn make_directories(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    file: &NewFile,
) -> Result<i64> {
    let mut parent = ROOT;
    for (depth, name) in names.iter().enumerate() {
        parent = match child(connection, permit.space(), parent, name)? {
            Some(node) if node.file.is_none() => node.id,
            Some(_) => return Err(not_a_directory(permit, &names[..=depth])),
            None => {
                permit.demand(Rights::CREATE)?;
                let directory = NewFile { mtime: file.now, executable: false, ..*file };
                insert(connection, permit.space(), parent, name, None, &directory)?;
                connection.last_insert_rowid()
            }
        };
    }
    Ok(parent)
}

fn insert(
    connection: &Connection,
    space: SpaceId,
    parent: i64,
    name: &str,
    object: Option<ObjectId>,
    file: &NewFile,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO entries (space, parent, name, key, object, mtime, executable, stored_at, identity)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            space.0,
            parent,
            name,
            name_key(name),
            object.map(|object| object.0),
            file.mtime,
            file.executable,
            file.now,
            file.by
        ])?;
    Ok(())
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
    Ok(match walk(connection, permit.space(), names)? {
        Some(Place::Root | Place::Directory(_)) => [names, &[name.to_owned()]].concat(),
        _ => names.to_vec(),
    })
}

/// Bytes of the longest path below a directory, slashes included.
fn longest_below(connection: &Connection, space: SpaceId, directory: i64) -> Result<usize> {
    let longest: Option<i64> = connection
        .prepare_cached(
            "WITH RECURSIVE below (id, length) AS (
                 SELECT id, 1 + octet_length(name) FROM entries WHERE space = ?2 AND parent = ?1
                 UNION ALL
                 SELECT entries.id, below.length + 1 + octet_length(entries.name)
                 FROM below JOIN entries ON space = ?2 AND parent = below.id)
             SELECT max(length) FROM below",
        )?
        .query_row(params![directory, space.0], |row| row.get(0))?;
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

fn node(row: &Row<'_>) -> Result<Node> {
    let file = match row.get::<_, Option<i64>>(2)? {
        None => None,
        Some(object) => Some(FileNode {
            object: ObjectId(object),
            size: row.get::<_, i64>(3)?.cast_unsigned(),
            digest: Digest::from_bytes(row.get(4)?),
            executable: row.get(5)?,
        }),
    };
    Ok(Node {
        id: row.get(0)?,
        name: row.get(1)?,
        file,
        mtime: row.get(6)?,
        stored_at: row.get(7)?,
        by: super::identities::name_of(row, 8)?,
    })
}

/// Rows of a table, for tests that look behind the curtain.
#[cfg(test)]
fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[cfg(test)]
mod tests;
