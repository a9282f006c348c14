//! `make-directory`: makes a directory and those above it.

use rusqlite::Connection;
use sealift_protocol::message::{MakeDirectory, Reply};

use super::enter_with;
use crate::clock;
use crate::error::Result;
use crate::policy::Rights;
use crate::session::Caller;
use crate::store::entries::{self, NewFile};

/// Makes what is missing. Either right is enough for a directory that is there: it only gets another time.
pub fn apply(connection: &Connection, caller: &Caller, request: &MakeDirectory) -> Result<Reply> {
    let wanted = Rights::CREATE.union(Rights::REPLACE);
    let (permit, names) = enter_with(connection, caller, &request.path, wanted)?;
    let now = clock::now();
    let above = NewFile { mtime: now, executable: false, by: caller.identity, now };
    if request.if_absent {
        let made = entries::make_new_directory(connection, &permit, &names, request.mtime, &above)?;
        return Ok(Reply::Made { etag: made.etag() });
    }
    entries::make_directory(connection, &permit, &names, request.mtime, &above)?;
    Ok(Reply::Done {})
}
