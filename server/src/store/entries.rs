//! The trees of files: what a path points to.

mod copying;
mod listing;
mod refusal;
mod slot;
mod trees;
pub mod unlinked;
mod walk;

use rusqlite::{Connection, Row, params};
use sealift_protocol::message::{Entry, EntryKind, Nanoseconds};
use sealift_types::path::name_key;
use sealift_types::{Digest, Name, Rights};

pub use self::copying::{CopyProgress, TreeCopy};
pub use self::listing::{EntryPage, list};
pub use self::refusal::{is_a_directory, is_a_link};
use self::refusal::{not_a_directory, not_found, taken};
pub use self::slot::EntrySlot;
pub use self::trees::{TreeCopied, TreeMoved, check_absent, check_no_directory, copy, remove, rename};
pub use self::walk::{FEW, LongestPath, PathMeasure, WorkSlice};
use super::objects::ContentId;
use crate::error::Result;
use crate::policy::{Permit, SpaceId};

/// The parent of what lies in a space's root: no entry, and different for every space.
fn root(space: SpaceId) -> i64 {
    -space.0
}

/// What every entry has.
#[derive(Debug, Clone)]
pub struct EntryNode {
    id: i64,
    /// The name, as it was given.
    pub name: String,
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
    pub object: ContentId,
    /// Its size.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub enum EntryPlace {
    /// The root of the space.
    Root,
    /// A directory.
    Directory(EntryNode),
    /// A file.
    File(EntryNode, FileNode),
    /// A symbolic link and its target. Nothing follows it here: what the target means is for clients to say.
    Link(EntryNode, String),
}

/// An entry's properties, about to be stored.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// When the content was last modified.
    pub mtime: Nanoseconds,
    /// Whether it may be executed.
    pub executable: bool,
    /// Who stores it.
    pub by: i64,
    /// When.
    pub now: Nanoseconds,
}

/// What an entry is about to hold.
#[derive(Debug, Clone, Copy)]
enum NewEntryKind<'a> {
    Directory,
    File(ContentId),
    Link(&'a str),
}

const NODE: &str =
    "SELECT entries.id, entries.name, entries.object, objects.size, objects.digest, executable, mtime,
        stored_at, identities.name, entries.key, entries.target
    FROM entries JOIN identities ON identities.id = entries.identity
    LEFT JOIN objects ON objects.id = entries.object";

/// The path of `names` as people write it.
pub fn display(space: &Name, names: &[String]) -> String {
    names.iter().fold(format!("/{space}"), |path, name| path + "/" + name)
}

/// What `names` lead to.
pub fn find(connection: &Connection, permit: &Permit, names: &[String]) -> Result<EntryPlace> {
    walk(connection, permit, names)?.ok_or_else(|| not_found(permit, names))
}

/// Whether a file is there that was modified after `mtime`. A link is no file: there is nothing in it to be lost.
pub fn is_newer(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    mtime: Nanoseconds,
) -> Result<bool> {
    Ok(matches!(walk(connection, permit, names)?, Some(EntryPlace::File(node, _)) if node.mtime > mtime))
}

/// Makes `names` a symbolic link, by the rules of [`EntrySlot`].
pub fn link(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    target: &str,
    link: &NewEntry,
) -> Result<()> {
    EntrySlot::find(connection, permit, names)?.fill(connection, NewEntryKind::Link(target), link)
}

/// Makes `names` a directory, and those above it, if nothing is there. Returns what was made.
pub fn make_new_directory(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    mtime: Option<Nanoseconds>,
    above: &NewEntry,
) -> Result<EntryPlace> {
    if walk(connection, permit, names)?.is_some() {
        return Err(taken(permit, names));
    }
    make_directory(connection, permit, names, mtime, above)?;
    find(connection, permit, names)
}

/// Makes `names` a directory, and those above it. One that is there already gets the `mtime`, if there is one.
pub fn make_directory(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    mtime: Option<Nanoseconds>,
    above: &NewEntry,
) -> Result<()> {
    // A space's root is always there, and has no time of its own.
    let Some((name, directories)) = names.split_last() else { return Ok(()) };
    let parent = make_directories(connection, permit, directories, above)?;
    match (child(connection, parent, name)?, mtime) {
        (None, mtime) => {
            permit.demand(Rights::CREATE)?;
            let made = NewEntry { mtime: mtime.unwrap_or(above.now), ..above.clone() };
            insert(connection, permit.space(), parent, name, NewEntryKind::Directory, &made)
        }
        (Some(place), mtime) => {
            let id = directory(permit, names, &place)?;
            if let Some(mtime) = mtime {
                connection
                    .prepare_cached("UPDATE entries SET mtime = ?2 WHERE id = ?1")?
                    .execute(params![id, mtime])?;
            }
            Ok(())
        }
    }
}

impl EntryPlace {
    /// What is in it has this number as its parent.
    fn id(&self, space: SpaceId) -> i64 {
        self.node().map_or(root(space), |node| node.id)
    }

    /// Returns true if both are the same entry.
    fn is(&self, other: &Self) -> bool {
        self.node().zip(other.node()).is_some_and(|(one, other)| one.id == other.id)
    }

    /// What every entry has; a space's root is none.
    fn node(&self) -> Option<&EntryNode> {
        match self {
            Self::Root => None,
            Self::Directory(node) | Self::File(node, _) | Self::Link(node, _) => Some(node),
        }
    }

    /// The name, as it was given; a space's root has none here.
    pub fn name(&self) -> Option<&str> {
        self.node().map(|node| node.name.as_str())
    }

    /// Another text for whatever else is stored at the same place, even if it is of the same content.
    pub fn etag(&self) -> String {
        let mut all = Vec::with_capacity(64);
        if let Some(node) = self.node() {
            all.extend(node.stored_at.to_le_bytes());
            all.extend(node.mtime.to_le_bytes());
        }
        match self {
            Self::Root => {}
            Self::Directory(_) => all.push(0),
            Self::File(_, file) => {
                all.push(1 + u8::from(file.executable));
                all.extend(file.digest.as_bytes());
            }
            Self::Link(_, target) => {
                all.push(3);
                all.extend(target.as_bytes());
            }
        }
        let mut digest = Digest::of(&all).to_string();
        digest.truncate(32);
        digest
    }

    /// As a line of a listing, which a space's root cannot be.
    pub fn to_entry(&self) -> Option<Entry> {
        let node = self.node()?;
        let mut entry = Entry {
            name: node.name.clone(),
            kind: EntryKind::Directory,
            size: 0,
            mtime: node.mtime,
            executable: false,
            sha256: None,
            target: None,
            by: Some(node.by.clone()),
            etag: None,
        };
        match self {
            Self::Root | Self::Directory(_) => {}
            Self::File(_, file) => {
                entry.kind = EntryKind::File;
                entry.size = file.size;
                entry.executable = file.executable;
                entry.sha256 = Some(file.digest);
            }
            Self::Link(_, target) => {
                entry.kind = EntryKind::Link;
                entry.target = Some(target.clone());
            }
        }
        Some(entry)
    }
}

/// The row of a place that has to be a directory.
fn directory(permit: &Permit, names: &[String], place: &EntryPlace) -> Result<i64> {
    match place {
        EntryPlace::Root | EntryPlace::Directory(_) => Ok(place.id(permit.space())),
        EntryPlace::File(..) | EntryPlace::Link(..) => Err(not_a_directory(permit, names, place)),
    }
}

/// `None` if there is nothing, or if it would be below a file.
fn walk(connection: &Connection, permit: &Permit, names: &[String]) -> Result<Option<EntryPlace>> {
    let mut place = EntryPlace::Root;
    for (depth, name) in names.iter().enumerate() {
        match place {
            EntryPlace::File(..) => return Ok(None),
            // On the client's side something may well be there, so "does not exist" would mislead.
            EntryPlace::Link(..) => return Err(not_a_directory(permit, &names[..depth], &place)),
            EntryPlace::Root | EntryPlace::Directory(_) => {}
        }
        match child(connection, place.id(permit.space()), name)? {
            None => return Ok(None),
            Some(found) => place = found,
        }
    }
    Ok(Some(place))
}

fn child(connection: &Connection, parent: i64, name: &str) -> Result<Option<EntryPlace>> {
    let mut statement =
        connection.prepare_cached(&format!("{NODE} WHERE entries.parent = ?1 AND entries.key = ?2"))?;
    let mut rows = statement.query(params![parent, name_key(name)])?;
    rows.next()?.map(place).transpose()
}

fn make_directories(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    file: &NewEntry,
) -> Result<i64> {
    let mut parent = root(permit.space());
    for (depth, name) in names.iter().enumerate() {
        parent = match child(connection, parent, name)? {
            Some(place) => directory(permit, &names[..=depth], &place)?,
            None => {
                permit.demand(Rights::CREATE)?;
                insert_directory(connection, permit.space(), parent, name, file)?
            }
        };
    }
    Ok(parent)
}

/// Makes a directory on the way to `file`.
fn insert_directory(
    connection: &Connection,
    space: SpaceId,
    parent: i64,
    name: &str,
    file: &NewEntry,
) -> Result<i64> {
    let made = NewEntry { mtime: file.now, executable: false, ..*file };
    insert(connection, space, parent, name, NewEntryKind::Directory, &made)?;
    Ok(connection.last_insert_rowid())
}

fn insert(
    connection: &Connection,
    space: SpaceId,
    parent: i64,
    name: &str,
    held: NewEntryKind<'_>,
    file: &NewEntry,
) -> Result<()> {
    let (object, target) = held.columns();
    connection
        .prepare_cached(
            "INSERT INTO entries
                 (space, parent, name, key, object, size, target, mtime, executable, stored_at, identity)
             VALUES (?1, ?2, ?3, ?4, ?5, (SELECT size FROM objects WHERE id = ?5), ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            space.0,
            parent,
            name,
            name_key(name),
            object,
            target,
            file.mtime,
            file.executable,
            file.now,
            file.by
        ])?;
    Ok(())
}

impl<'a> NewEntryKind<'a> {
    fn columns(self) -> (Option<i64>, Option<&'a str>) {
        match self {
            Self::Directory => (None, None),
            Self::File(object) => (Some(object.0), None),
            Self::Link(target) => (None, Some(target)),
        }
    }
}

/// What a row of [`NODE`] is.
fn place(row: &Row<'_>) -> Result<EntryPlace> {
    let node = EntryNode {
        id: row.get(0)?,
        name: row.get(1)?,
        mtime: row.get(6)?,
        stored_at: row.get(7)?,
        by: super::columns::name_of(row, 8)?,
    };
    Ok(match (row.get::<_, Option<i64>>(2)?, row.get(10)?) {
        (None, None) => EntryPlace::Directory(node),
        (None, Some(target)) => EntryPlace::Link(node, target),
        (Some(object), _) => {
            let file = FileNode {
                object: ContentId(object),
                size: row.get::<_, i64>(3)?.cast_unsigned(),
                digest: Digest::from_bytes(row.get(4)?),
                executable: row.get(5)?,
            };
            EntryPlace::File(node, file)
        }
    })
}

/// Rows of a table, for tests that look behind the curtain.
#[cfg(test)]
fn count(connection: &Connection, table: &str) -> i64 {
    // As the collector does.
    while super::objects::are_released(connection).unwrap() {
        super::objects::drop_released(connection).unwrap();
    }
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[cfg(test)]
mod tests;
