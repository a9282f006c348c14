//! `make-directory`: makes a directory and those above it.

use rusqlite::Connection;
use sealift_protocol::message::{MakeDirectory, Reply};

use super::access::enter_with;
use crate::caller::Caller;
use crate::clock;
use crate::error::Result;
use crate::store::entries::{self, NewEntry};
use sealift_types::Rights;

/// Makes what is missing. Either right is enough for a directory that is there: it only gets another time.
pub fn apply(connection: &Connection, caller: &Caller, request: &MakeDirectory) -> Result<Reply> {
    let wanted = Rights::CREATE.union(Rights::REPLACE);
    let (permit, names) = enter_with(connection, caller, &request.path, wanted)?;
    let now = clock::now();
    let above = NewEntry { mtime: now, executable: false, by: caller.identity, now };
    if request.if_absent {
        let made = entries::make_new_directory(connection, &permit, &names, request.mtime, &above)?;
        return Ok(Reply::Made { etag: made.etag() });
    }
    entries::make_directory(connection, &permit, &names, request.mtime, &above)?;
    Ok(Reply::Done {})
}
