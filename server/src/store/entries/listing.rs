//! Listings: a directory, or everything below one, page by page.
//!
//! A page begins behind a place in the order, given by names, and looks up from there what is there now. So nothing is
//! held from one page to the next, neither rows nor a snapshot, and a client can go on where a broken listing ended.

use rusqlite::{Connection, params};
use sealift_protocol::message::{Entry, encode};
use sealift_types::path::name_key;

use super::{EntryNode, EntryPlace, NODE, child, place};
use crate::error::Result;
use crate::policy::Permit;

/// The most entries of a page: what can be looked up without keeping others from the catalog.
const ENTRIES: usize = 400;

/// The most bytes of a page as JSON. Some room is left for what is around them in the control frame of 65,536 bytes. A
/// single entry, with the longest path and the longest target, every byte of both escaped, stays below it.
const BYTES: usize = 60_000;

/// A part of a listing that fits one reply.
#[derive(Debug)]
pub struct EntryPage {
    entries: Vec<Entry>,
    bytes: usize,
    limit: u64,
    etags: bool,
    more: bool,
    scratch: Vec<u8>,
}

impl EntryPage {
    /// An empty one, for at most `limit` entries.
    pub fn new(limit: u64) -> Self {
        Self { entries: Vec::new(), bytes: 0, limit, etags: false, more: false, scratch: Vec::new() }
    }

    /// The same with the etags of the entries.
    pub fn with_etags(self, etags: bool) -> Self {
        Self { etags, ..self }
    }

    /// Takes what is at a place, under the name that it has in the listing. Returns `false` if there is no room, as
    /// [`take`](Self::take) does.
    pub fn take_place(&mut self, place: &EntryPlace, prefix: &str) -> bool {
        let Some(mut entry) = place.to_entry() else { return true };
        entry.name.insert_str(0, prefix);
        entry.etag = self.etags.then(|| place.etag());
        self.take(entry)
    }

    /// Takes an entry. If there is no room, it returns `false`, and the entry belongs to the next page, if the limit
    /// allows one.
    pub fn take(&mut self, entry: Entry) -> bool {
        if self.entries.len() as u64 >= self.limit {
            return false;
        }
        self.scratch.clear();
        // The frame's header is as long as what separates entries, and longer.
        let bytes = encode(&entry, &mut self.scratch).map_or(BYTES, |()| self.scratch.len());
        let is_full = self.entries.len() >= ENTRIES || self.bytes + bytes > BYTES;
        if is_full && !self.entries.is_empty() {
            self.more = true;
            return false;
        }
        self.bytes += bytes;
        self.entries.push(entry);
        true
    }

    /// The entries, and whether another page follows, behind the last of them.
    pub fn finish(self) -> (Vec<Entry>, bool) {
        (self.entries, self.more)
    }
}

/// A directory on the way down to what is listed.
struct ListLevel {
    directory: i64,
    /// The key of the entry that was listed last.
    after: String,
    /// How much of the path leads to the directory.
    prefix: usize,
}

/// Fills `page` with what is in `directory`, in the order of the names' keys; `recursive` with everything below it, each
/// directory before what is in it. Begins behind the entry called `after`, which need not be there any more.
pub fn list(
    connection: &Connection,
    permit: &Permit,
    directory: &EntryPlace,
    recursive: bool,
    after: &str,
    page: &mut EntryPage,
) -> Result<()> {
    let mut path = String::new();
    let start = if recursive { String::new() } else { name_key(after).into_owned() };
    let mut levels = vec![ListLevel { directory: directory.id(permit.space()), after: start, prefix: 0 }];
    if recursive {
        // Down again to where the last page ended, as far as it is still there.
        for name in after.split('/') {
            let Some(level) = levels.last_mut() else { break };
            level.after = name_key(name).into_owned();
            match child(connection, level.directory, name)? {
                Some(EntryPlace::Directory(node)) => levels.push(descend(&node, &mut path)),
                _ => break,
            }
        }
    }
    let sql = format!("{NODE} WHERE entries.parent = ?1 AND entries.key > ?2 ORDER BY entries.key");
    let mut statement = connection.prepare_cached(&sql)?;
    while let Some(level) = levels.last_mut() {
        path.truncate(level.prefix);
        let mut rows = statement.query(params![level.directory, level.after])?;
        let mut deeper = None;
        while let Some(row) = rows.next()? {
            let found = place(row)?;
            if !page.take_place(&found, &path) {
                return Ok(());
            }
            if let (true, EntryPlace::Directory(node)) = (recursive, found) {
                level.after = row.get(9)?;
                deeper = Some(node);
                break;
            }
        }
        match deeper {
            Some(node) => levels.push(descend(&node, &mut path)),
            None => drop(levels.pop()),
        }
    }
    Ok(())
}

fn descend(directory: &EntryNode, path: &mut String) -> ListLevel {
    path.push_str(&directory.name);
    path.push('/');
    ListLevel { directory: directory.id, after: String::new(), prefix: path.len() }
}
