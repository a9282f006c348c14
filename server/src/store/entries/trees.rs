//! Deleting, moving and copying: files, links, and directories with all that is in them.
//!
//! A change here touches few entries, however many lie below a directory. Deleting a large tree takes its root out of its
//! directory and leaves the rest to be reclaimed ([`unlinked`](super::unlinked)); moving one changes its root only, and
//! copying one is done in slices ([`copying`](super::copying)).

use rusqlite::{Connection, params};
use sealift_protocol::message::Nanoseconds;
use sealift_types::path::{MAX_PATH, PathError, name_key};
use sealift_types::{ErrorCode, Rights};

use super::refusal::{into_itself, is_a_space, taken};
use super::unlinked::{ask_relabelling, delete_row, delete_tree, is_relabelling, relabel, unlink};
use super::walk::{FEW, LongestPath, PathMeasure, TreeWalker, WalkedEntry, WorkSlice, measure_few};
use super::{
    EntryNode, EntryPlace, EntrySlot, NewEntry, NewEntryKind, child, directory, display, find, insert,
    is_a_directory, make_directories, root, walk,
};
use crate::error::{Result, ServerError};
use crate::policy::Permit;
use crate::store::objects;

/// What came of a move.
#[derive(Debug)]
pub enum TreeMoved {
    /// The names of the new place.
    Done(Vec<String>),
    /// Nothing yet: how long paths below the directory are is to be found out first.
    Unmeasured(PathMeasure),
}

/// What came of a copy.
#[derive(Debug)]
pub enum TreeCopied {
    /// The names of the copy.
    Done(Vec<String>),
    /// Nothing yet: the tree is to be copied in slices.
    Large,
}

/// Deletes a file, a link or a directory; one that is not empty only if `recursive`.
pub fn remove(connection: &Connection, permit: &Permit, names: &[String], recursive: bool) -> Result<()> {
    permit.demand(Rights::DELETE)?;
    match find(connection, permit, names)? {
        EntryPlace::Root => Err(is_a_space(permit, names, "deleted", "name what to delete in it")),
        EntryPlace::Directory(node) if recursive => {
            if measure_few(connection, node.id)?.is_some() {
                delete_tree(connection, node.id, &mut WorkSlice::of(FEW + 1), objects::release).map(drop)
            } else {
                unlink(connection, node.id)
            }
        }
        EntryPlace::Directory(node) => {
            if has_children(connection, node.id)? {
                return Err(ServerError::refused(
                    ErrorCode::IsADirectory,
                    format!(
                        "{} is a directory that is not empty: delete what is in it first, or all of it with `sealift rm -r`",
                        display(permit.name(), names)
                    ),
                ));
            }
            delete_row(connection, node.id)
        }
        EntryPlace::Link(node, _) => delete_row(connection, node.id),
        EntryPlace::File(node, file) => {
            delete_row(connection, node.id)?;
            objects::release(connection, file.object)
        }
    }
}

/// Gives an entry another path. `measured` is what a [`PathMeasure`] of the same directory has found.
pub fn rename(
    connection: &Connection,
    from: (&Permit, &[String]),
    to: (&Permit, &[String]),
    file: &NewEntry,
    measured: Option<LongestPath>,
) -> Result<TreeMoved> {
    let (source, source_names) = from;
    let (target, target_names) = to;
    source.demand(Rights::DELETE)?;
    let is_same_space = source.space() == target.space();
    if !is_same_space {
        // Whoever may read there could read here from then on.
        source.demand(Rights::READ)?;
    }
    let place = find(connection, source, source_names)?;
    let Some(node) = place.node() else {
        return Err(is_a_space(source, source_names, "moved", "move what is in it"));
    };
    let target_names = into_directory(connection, target, target_names, &node.name)?;
    if is_same_space && is_within(&target_names, source_names) {
        if target_names.len() == source_names.len() {
            // The same name: at most its spelling changes.
            let name = target_names.last().unwrap_or(&node.name);
            connection
                .prepare_cached("UPDATE entries SET name = ?2 WHERE id = ?1")?
                .execute(params![node.id, name])?;
            return Ok(TreeMoved::Done(target_names));
        }
        return Err(into_itself(source, source_names, "moved"));
    }
    let Some((name, directories)) = target_names.split_last() else {
        return Err(is_a_directory(target, &target_names));
    };
    let is_directory = matches!(place, EntryPlace::Directory(_));
    check_length(target, &target_names, 0)?;
    let is_longer = display(target.name(), &target_names).len() > display(source.name(), source_names).len();
    if is_directory && is_longer {
        let known = measured.filter(|longest| longest.directory == node.id);
        let longest = match known {
            Some(longest) => Some(longest),
            None => measure_few(connection, node.id)?,
        };
        match longest {
            Some(longest) => check_length(target, &target_names, longest.bytes)?,
            None => {
                check_free(connection, target, &target_names)?;
                return Ok(TreeMoved::Unmeasured(PathMeasure::of(node.id)));
            }
        }
    }
    let parent = make_directories(connection, target, directories, file)?;
    match child(connection, parent, name)? {
        None => target.demand(Rights::CREATE)?,
        Some(EntryPlace::File(old, content)) if !is_directory => {
            target.demand(Rights::REPLACE)?;
            delete_row(connection, old.id)?;
            objects::release(connection, content.object)?;
        }
        Some(EntryPlace::Link(old, _)) if !is_directory => {
            target.demand(Rights::REPLACE)?;
            delete_row(connection, old.id)?;
        }
        Some(_) => return Err(taken(target, &target_names)),
    }
    connection
        .prepare_cached("UPDATE entries SET space = ?2, parent = ?3, name = ?4, key = ?5 WHERE id = ?1")?
        .execute(params![node.id, target.space().0, parent, name, name_key(name)])?;
    // A tree that is moved within its space may have come out of one that is being relabelled.
    if is_directory && (!is_same_space || is_relabelling(connection)?) {
        if measure_few(connection, node.id)?.is_some() {
            let mut walk = TreeWalker::below(node.id, 0);
            relabel(connection, &mut walk, target.space().0, &mut WorkSlice::of(FEW))?;
        } else {
            ask_relabelling(connection, node.id)?;
        }
    }
    Ok(TreeMoved::Done(target_names))
}

/// Gives a file's content, a link, or everything in a directory a second path.
pub fn copy(
    connection: &Connection,
    from: (&Permit, &[String]),
    to: (&Permit, &[String]),
    by: i64,
    now: Nanoseconds,
) -> Result<TreeCopied> {
    let (source, source_names) = from;
    source.demand(Rights::READ)?;
    let place = find(connection, source, source_names)?;
    let Some(node) = place.node() else {
        return Err(is_a_space(source, source_names, "copied", "copy what is in it"));
    };
    let target_names = into_directory(connection, to.0, to.1, &node.name)?;
    let copied = NewEntry { mtime: node.mtime, executable: false, by, now };
    match &place {
        EntryPlace::Root | EntryPlace::Directory(_) => {
            check_copy(connection, from, (to.0, &target_names))?;
            let Some(longest) = measure_few(connection, node.id)? else { return Ok(TreeCopied::Large) };
            check_length(to.0, &target_names, longest.bytes)?;
            copy_few(connection, node, (to.0, &target_names), &copied)?;
        }
        EntryPlace::File(_, content) => {
            check_length(to.0, &target_names, 0)?;
            let copied = NewEntry { executable: content.executable, ..copied };
            EntrySlot::find(connection, to.0, &target_names)?.store(connection, content.object, &copied)?;
        }
        EntryPlace::Link(_, target) => {
            check_length(to.0, &target_names, 0)?;
            let slot = EntrySlot::find(connection, to.0, &target_names)?;
            slot.fill(connection, NewEntryKind::Link(target), &copied)?;
        }
    }
    Ok(TreeCopied::Done(target_names))
}

/// Refuses a copy of a directory that could not be linked in its place.
pub(super) fn check_copy(
    connection: &Connection,
    (source, source_names): (&Permit, &[String]),
    (target, target_names): (&Permit, &[String]),
) -> Result<()> {
    target.demand(Rights::CREATE)?;
    let is_same_space = source.space() == target.space();
    if is_same_space && target_names.len() > source_names.len() && is_within(target_names, source_names) {
        return Err(into_itself(source, source_names, "copied"));
    }
    check_free(connection, target, target_names)?;
    check_length(target, target_names, 0)
}

/// Copies a directory that has few entries.
fn copy_few(
    connection: &Connection,
    node: &EntryNode,
    (target, target_names): (&Permit, &[String]),
    copied: &NewEntry,
) -> Result<()> {
    let Some((name, directories)) = target_names.split_last() else {
        return Err(is_a_directory(target, target_names));
    };
    let parent = make_directories(connection, target, directories, copied)?;
    insert(connection, target.space(), parent, name, NewEntryKind::Directory, copied)?;
    let mut walk = TreeWalker::below(node.id, connection.last_insert_rowid());
    walk.go_on(connection, &mut WorkSlice::of(FEW), |found, parent| {
        insert_copy(connection, target.space().0, parent, found, copied)
    })?;
    Ok(())
}

/// Adds a copy of an entry to a directory. Returns its number.
pub(super) fn insert_copy(
    connection: &Connection,
    space: i64,
    parent: i64,
    found: &WalkedEntry,
    copied: &NewEntry,
) -> Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO entries
                 (space, parent, name, key, object, size, target, mtime, executable, stored_at, identity)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            space,
            parent,
            found.name,
            found.key,
            found.object,
            found.size,
            found.target,
            found.mtime,
            found.executable,
            copied.now,
            copied.by
        ])?;
    Ok(connection.last_insert_rowid())
}

fn has_children(connection: &Connection, parent: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM entries WHERE parent = ?1 LIMIT 1";
    Ok(connection.prepare_cached(sql)?.exists([parent])?)
}

/// A target that is a directory receives the entry under its old name.
pub(super) fn into_directory(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    name: &str,
) -> Result<Vec<String>> {
    Ok(match walk(connection, permit, names)? {
        Some(EntryPlace::Root | EntryPlace::Directory(_)) => [names, &[name.to_owned()]].concat(),
        _ => names.to_vec(),
    })
}

/// Refuses a target that is a directory, in which an entry would get another path than the target. `leaves` is no
/// obstacle: it is about to leave its place.
pub fn check_no_directory(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    leaves: Option<&EntryPlace>,
) -> Result<()> {
    match walk(connection, permit, names)? {
        Some(place @ (EntryPlace::Root | EntryPlace::Directory(_)))
            if !leaves.is_some_and(|it| it.is(&place)) =>
        {
            Err(taken(permit, names))
        }
        _ => Ok(()),
    }
}

/// Refuses a target at which an entry called `name` would replace something. `leaves` is no obstacle, as above.
pub fn check_absent(
    connection: &Connection,
    permit: &Permit,
    names: &[String],
    name: &str,
    leaves: Option<&EntryPlace>,
) -> Result<()> {
    let is_itself = |place: &EntryPlace| leaves.is_some_and(|it| it.is(place));
    // The same entry in another spelling of its name.
    if walk(connection, permit, names)?.is_some_and(|place| is_itself(&place)) {
        return Ok(());
    }
    let names = into_directory(connection, permit, names, name)?;
    match walk(connection, permit, &names)? {
        Some(place) if !is_itself(&place) => Err(taken(permit, &names)),
        _ => Ok(()),
    }
}

/// Refuses a place for a directory that something else has, or that lies below a file.
pub(super) fn check_free(connection: &Connection, permit: &Permit, names: &[String]) -> Result<()> {
    let mut parent = root(permit.space());
    for (depth, name) in names.iter().enumerate() {
        match child(connection, parent, name)? {
            None => return Ok(()),
            Some(_) if depth + 1 == names.len() => break,
            Some(place) => parent = directory(permit, &names[..=depth], &place)?,
        }
    }
    Err(taken(permit, names))
}

/// Refuses a new path that could not be written, so that nobody could reach what is there.
pub(super) fn check_length(permit: &Permit, names: &[String], below: usize) -> Result<()> {
    let length = display(permit.name(), names).len().saturating_add(below);
    if length > MAX_PATH { Err(PathError::PathTooLong(length).into()) } else { Ok(()) }
}

/// Whether `inner` is `outer` or below it.
fn is_within(inner: &[String], outer: &[String]) -> bool {
    inner.len() >= outer.len() && inner.iter().zip(outer).all(|(a, b)| name_key(a) == name_key(b))
}
