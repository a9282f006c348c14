//! Walking through a tree of any size, a bounded number of entries at a time.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Row, params};
use sealift_protocol::message::Nanoseconds;

use crate::error::Result;

/// The most entries of a slice.
const ROWS: usize = 2000;

/// How long a slice may keep the writer. The commit comes on top.
const TIME: Duration = Duration::from_millis(8);

/// Entries that a change may touch without being a slice. Hundreds of such changes share a transaction.
pub const FEW: usize = 32;

/// Bounds the work of one transaction on a large tree.
#[derive(Debug)]
pub struct WorkSlice {
    taken: usize,
    rows: usize,
    until: Option<Instant>,
}

impl Default for WorkSlice {
    /// As much as may keep the writer at once.
    fn default() -> Self {
        Self { taken: 0, rows: ROWS, until: Some(Instant::now() + TIME) }
    }
}

impl WorkSlice {
    /// A slice of so many entries, however long they take.
    pub fn of(rows: usize) -> Self {
        Self { taken: 0, rows, until: None }
    }

    /// Counts an entry.
    pub(super) fn take(&mut self) {
        self.taken += 1;
    }

    /// True if nothing more belongs into this slice. Each slice has room for one entry, so that all work ends.
    pub(super) fn is_over(&self) -> bool {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        self.taken >= self.rows || (self.taken > 0 && late)
    }
}

/// An entry that a walk has come to.
#[derive(Debug)]
pub(super) struct WalkedEntry {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) key: String,
    pub(super) object: Option<i64>,
    pub(super) size: Option<i64>,
    pub(super) target: Option<String>,
    pub(super) mtime: Nanoseconds,
    pub(super) executable: bool,
    /// Bytes of its path below the directory that the walk began at, the slash before it included.
    pub(super) length: usize,
}

impl WalkedEntry {
    fn is_directory(&self) -> bool {
        self.object.is_none() && self.target.is_none()
    }
}

/// A place in a tree, from which a walk goes on in another transaction. It holds the directories on the way down, and so
/// never more than the deepest path has.
///
/// Entries that come, go, or move while a walk is under way are met or not, as in a listing.
#[derive(Debug)]
pub(super) struct TreeWalker {
    levels: Vec<WalkLevel>,
}

#[derive(Debug)]
struct WalkLevel {
    directory: i64,
    /// The directory's counterpart in a copy.
    twin: i64,
    /// The key of the entry that was visited last.
    after: String,
    /// Bytes of the path to the directory.
    length: usize,
}

impl TreeWalker {
    /// Begins at what is in `directory`, whose counterpart in a copy is `twin`.
    pub(super) fn below(directory: i64, twin: i64) -> Self {
        Self { levels: vec![WalkLevel { directory, twin, after: String::new(), length: 0 }] }
    }

    /// Visits entries, each directory before what is in it, until the slice is over. `visit` gets an entry and the
    /// counterpart of its directory, and returns the entry's own counterpart. Returns true at the end of the tree.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        slice: &mut WorkSlice,
        mut visit: impl FnMut(&WalkedEntry, i64) -> Result<i64>,
    ) -> Result<bool> {
        let mut statement = connection.prepare_cached(
            "SELECT id, name, key, object, size, target, mtime, executable FROM entries
             WHERE parent = ?1 AND key > ?2 ORDER BY key",
        )?;
        while let Some(level) = self.levels.last_mut() {
            let mut rows = statement.query(params![level.directory, level.after])?;
            let mut deeper = None;
            while let Some(row) = rows.next()? {
                if slice.is_over() {
                    return Ok(false);
                }
                slice.take();
                let found = found(row, level.length)?;
                let twin = visit(&found, level.twin)?;
                let directory = found.is_directory().then_some(found.id);
                level.after = found.key;
                if let Some(directory) = directory {
                    deeper = Some(WalkLevel { directory, twin, after: String::new(), length: found.length });
                    break;
                }
            }
            match deeper {
                Some(level) => self.levels.push(level),
                None => drop(self.levels.pop()),
            }
        }
        Ok(true)
    }
}

fn found(row: &Row<'_>, above: usize) -> rusqlite::Result<WalkedEntry> {
    let name: String = row.get(1)?;
    Ok(WalkedEntry {
        id: row.get(0)?,
        length: above + 1 + name.len(),
        name,
        key: row.get(2)?,
        object: row.get(3)?,
        size: row.get(4)?,
        target: row.get(5)?,
        mtime: row.get(6)?,
        executable: row.get(7)?,
    })
}

/// Finds the longest path below a directory, in slices.
#[derive(Debug)]
pub struct PathMeasure {
    walk: TreeWalker,
    longest: LongestPath,
}

/// How long the longest path below a directory is.
#[derive(Debug, Clone, Copy)]
pub struct LongestPath {
    /// The directory.
    pub(super) directory: i64,
    /// Bytes, slashes included.
    pub(super) bytes: usize,
}

impl PathMeasure {
    /// Begins at `directory`.
    pub(super) fn of(directory: i64) -> Self {
        Self { walk: TreeWalker::below(directory, 0), longest: LongestPath { directory, bytes: 0 } }
    }

    /// Looks at a slice more. Returns the result when all was seen.
    pub fn go_on(&mut self, connection: &Connection, slice: &mut WorkSlice) -> Result<Option<LongestPath>> {
        let longest = &mut self.longest;
        let ended = self.walk.go_on(connection, slice, |found, _| {
            longest.bytes = longest.bytes.max(found.length);
            Ok(0)
        })?;
        Ok(ended.then_some(self.longest))
    }
}

/// The longest path below a directory that has few entries; `None` if they are more.
pub(super) fn measure_few(connection: &Connection, directory: i64) -> Result<Option<LongestPath>> {
    PathMeasure::of(directory).go_on(connection, &mut WorkSlice::of(FEW))
}
