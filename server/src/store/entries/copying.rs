//! Copying a large tree in slices, with other changes in between.
//!
//! The copy grows where no path leads to, so readers see all of it or nothing. What changes in the source meanwhile may
//! be in the copy or not, as with `cp -r`.

use rusqlite::Connection;
use sealift_protocol::message::Nanoseconds;
use sealift_types::path::name_key;

use super::refusal::{is_a_space, not_a_directory};
use super::trees::{check_copy, check_length, insert_copy, into_directory};
use super::unlinked::{CopiesInProgress, CopyRoot, UNLINKED, unlink};
use super::walk::{TreeWalker, WorkSlice};
use super::{EntryPlace, NewEntry, NewEntryKind, find, insert, is_a_directory, make_directories};
use crate::error::Result;
use crate::policy::{Permit, SpaceId};
use sealift_types::Rights;

/// A copy of a tree in the making.
#[derive(Debug)]
pub struct TreeCopy {
    site: CopyRoot,
    /// The directory that is copied.
    source: i64,
    space: SpaceId,
    walk: TreeWalker,
    copied: NewEntry,
    entries: u64,
    /// Bytes of the longest path in the tree.
    longest: usize,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyProgress {
    /// Entries are left.
    Growing,
    /// All entries are there.
    Complete,
    /// The source is not at its path any more.
    Gone,
}

impl TreeCopy {
    /// Begins with the root of the copy. The permits and names are those of the request.
    pub fn begin(
        connection: &Connection,
        building: &CopiesInProgress,
        from: (&Permit, &[String]),
        to: (&Permit, &[String]),
        by: i64,
        now: Nanoseconds,
    ) -> Result<Self> {
        let (source, source_names) = from;
        source.demand(Rights::READ)?;
        let place = find(connection, source, source_names)?;
        let EntryPlace::Directory(node) = place else {
            return Err(not_a_directory(source, source_names, &place));
        };
        let target_names = into_directory(connection, to.0, to.1, &node.name)?;
        check_copy(connection, from, (to.0, &target_names))?;
        let copied = NewEntry { mtime: node.mtime, executable: false, by, now };
        insert(connection, to.0.space(), UNLINKED, "", NewEntryKind::Directory, &copied)?;
        let root = connection.last_insert_rowid();
        unlink(connection, root)?;
        Ok(Self {
            site: building.begin(root),
            source: node.id,
            space: to.0.space(),
            walk: TreeWalker::below(node.id, root),
            copied,
            entries: 1,
            longest: 0,
        })
    }

    /// Copies entries until the slice is over. `from` is the place of the source, as it was when the copy began.
    pub fn go_on(
        &mut self,
        connection: &Connection,
        from: (&Permit, &[String]),
        slice: &mut WorkSlice,
    ) -> Result<CopyProgress> {
        from.0.demand(Rights::READ)?;
        match find(connection, from.0, from.1) {
            Ok(EntryPlace::Directory(node)) if node.id == self.source => {}
            _ => return Ok(CopyProgress::Gone),
        }
        let Self { walk, copied, entries, longest, space, .. } = self;
        let ended = walk.go_on(connection, slice, |found, parent| {
            *entries += 1;
            *longest = found.length.max(*longest);
            insert_copy(connection, space.0, parent, found, copied)
        })?;
        Ok(if ended { CopyProgress::Complete } else { CopyProgress::Growing })
    }

    /// Entries that the copy has so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Refuses a copy whose longest path could not be written.
    pub fn check_length(&self, to: (&Permit, &[String])) -> Result<()> {
        check_length(to.0, to.1, self.longest)
    }

    /// Makes the path lead to the complete copy. Returns its names.
    pub fn link(
        &self,
        connection: &Connection,
        from: (&Permit, &[String]),
        to: (&Permit, &[String]),
    ) -> Result<Vec<String>> {
        let place = find(connection, from.0, from.1)?;
        let Some(node) = place.node() else {
            return Err(is_a_space(from.0, from.1, "copied", "copy what is in it"));
        };
        let target_names = into_directory(connection, to.0, to.1, &node.name)?;
        check_copy(connection, from, (to.0, &target_names))?;
        self.check_length((to.0, &target_names))?;
        let Some((name, directories)) = target_names.split_last() else {
            return Err(is_a_directory(to.0, &target_names));
        };
        let parent = make_directories(connection, to.0, directories, &self.copied)?;
        connection
            .prepare_cached("UPDATE entries SET parent = ?2, name = ?3, key = ?4 WHERE id = ?1")?
            .execute(rusqlite::params![self.site.root(), parent, name, name_key(name)])?;
        Ok(target_names)
    }
}
