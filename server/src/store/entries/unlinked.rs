//! Trees that no path leads to: those that were deleted, and copies in the making.
//!
//! Their roots have the parent 0. Whatever is there and not in the making is reclaimed, slice by slice; so what a crash
//! leaves of a copy is reclaimed after the next start.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use super::walk::{TreeWalker, WorkSlice};
use crate::error::Result;
use crate::store::objects::{self, ContentId};

/// The parent of the roots of trees that no path leads to.
pub(super) const UNLINKED: i64 = 0;

/// The roots of copies in the making. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct CopiesInProgress(Arc<Mutex<HashSet<i64>>>);

/// A copy in the making. It is reclaimed once this is dropped, unless a path leads to it by then.
#[derive(Debug)]
pub struct CopyRoot {
    root: i64,
    building: CopiesInProgress,
}

impl CopiesInProgress {
    pub(super) fn begin(&self, root: i64) -> CopyRoot {
        self.lock().insert(root);
        CopyRoot { root, building: self.clone() }
    }

    fn has(&self, root: i64) -> bool {
        self.lock().contains(&root)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CopyRoot {
    pub(super) fn root(&self) -> i64 {
        self.root
    }
}

impl Drop for CopyRoot {
    fn drop(&mut self) {
        self.building.lock().remove(&self.root);
    }
}

/// Takes an entry out of its directory.
pub(super) fn unlink(connection: &Connection, id: i64) -> Result<()> {
    // The key only has to be one that no other root has.
    connection
        .prepare_cached("UPDATE entries SET parent = ?2, key = CAST(id AS TEXT) WHERE id = ?1")?
        .execute([id, UNLINKED])?;
    Ok(())
}

/// The root of a tree that is to be reclaimed, if there is one.
pub fn doomed(connection: &Connection, building: &CopiesInProgress) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM entries WHERE parent = ?1")?;
    let mut rows = statement.query([UNLINKED])?;
    while let Some(row) = rows.next()? {
        let root = row.get(0)?;
        if !building.has(root) {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// Deletes entries of trees that are to be reclaimed until the slice is over. Returns true if nothing is left to do.
pub fn reclaim(connection: &Connection, building: &CopiesInProgress, slice: &mut WorkSlice) -> Result<bool> {
    while let Some(root) = doomed(connection, building)? {
        // Nobody waits for this, so contents can be dropped at once.
        if slice.is_over() || !delete_tree(connection, root, slice, objects::drop_unnamed)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes what is in a directory, from the bottom up, and then the directory. `lost` is told of the contents that have lost a
/// name. Returns false if the slice was over before.
pub(super) fn delete_tree(
    connection: &Connection,
    root: i64,
    slice: &mut WorkSlice,
    lost: impl Fn(&Connection, ContentId) -> Result<()>,
) -> Result<bool> {
    const PAGE: i64 = 64;
    let mut children = connection.prepare_cached(
        "SELECT id, object, object IS NULL AND target IS NULL FROM entries WHERE parent = ?1 LIMIT ?2",
    )?;
    let mut directories = vec![root];
    while let Some(&directory) = directories.last() {
        let page = children.query_map([directory, PAGE], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?))
        })?;
        let page = page.collect::<rusqlite::Result<Vec<(i64, Option<i64>, bool)>>>()?;
        if slice.is_over() {
            return Ok(false);
        }
        if page.is_empty() {
            slice.take();
            delete_row(connection, directory)?;
            directories.pop();
        }
        for (id, object, is_directory) in page {
            if is_directory {
                directories.push(id);
                continue;
            }
            if slice.is_over() {
                return Ok(false);
            }
            slice.take();
            delete_row(connection, id)?;
            object.map_or(Ok(()), |object| lost(connection, ContentId(object)))?;
        }
    }
    Ok(true)
}

pub(super) fn delete_row(connection: &Connection, id: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM entries WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Gives the entries of a tree that has moved the space that they lie in now, slice by slice.
#[derive(Debug)]
pub struct SpaceRelabelling {
    row: i64,
    root: i64,
    walk: TreeWalker,
}

/// True if some tree has yet to get the space that it lies in.
pub(super) fn is_relabelling(connection: &Connection) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM relabels LIMIT 1")?.exists([])?)
}

/// Has a tree's entries get the space that they lie in.
pub(super) fn ask_relabelling(connection: &Connection, root: i64) -> Result<()> {
    connection.prepare_cached("INSERT INTO relabels (entry) VALUES (?1)")?.execute([root])?;
    Ok(())
}

impl SpaceRelabelling {
    /// The one that was asked for first. They are taken one after the other: of two for the same entries, the later one
    /// knows the later space.
    pub fn next(connection: &Connection) -> Result<Option<Self>> {
        Ok(connection
            .prepare_cached("SELECT id, entry FROM relabels ORDER BY id LIMIT 1")?
            .query_row([], |row| {
                let (row, root) = (row.get(0)?, row.get(1)?);
                Ok(Self { row, root, walk: TreeWalker::below(root, 0) })
            })
            .optional()?)
    }

    /// Relabels entries until the slice is over. Returns true if that was all.
    pub fn go_on(&mut self, connection: &Connection, slice: &mut WorkSlice) -> Result<bool> {
        let ended = match space_of(connection, self.root)? {
            Some(space) => relabel(connection, &mut self.walk, space, slice)?,
            None => true,
        };
        if ended {
            connection.prepare_cached("DELETE FROM relabels WHERE id = ?1")?.execute([self.row])?;
        }
        Ok(ended)
    }
}

/// Gives a directory's entries another space.
pub(super) fn relabel(
    connection: &Connection,
    walk: &mut TreeWalker,
    space: i64,
    slice: &mut WorkSlice,
) -> Result<bool> {
    walk.go_on(connection, slice, |found, _| {
        connection
            .prepare_cached("UPDATE entries SET space = ?2 WHERE id = ?1 AND space <> ?2")?
            .execute(params![found.id, space])?;
        Ok(0)
    })
}

/// The space that an entry lies in; `None` if no path leads to it.
fn space_of(connection: &Connection, entry: i64) -> Result<Option<i64>> {
    let mut parent = entry;
    while parent > UNLINKED {
        let above = connection
            .prepare_cached("SELECT parent FROM entries WHERE id = ?1")?
            .query_row([parent], |row| row.get::<_, i64>(0))
            .optional()?;
        parent = above.unwrap_or(UNLINKED);
    }
    Ok((parent < UNLINKED).then_some(-parent))
}
