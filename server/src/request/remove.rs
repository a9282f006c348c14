//! `remove`: deletes a file, a link or a directory.

use rusqlite::Connection;
use sealift_protocol::message::{Remove, Reply};

use super::{enter_with, find_place};
use crate::error::Result;
use crate::policy::Rights;
use crate::session::Caller;
use crate::store::entries;

/// Deletes the entry; a content goes with its last name.
pub fn apply(connection: &Connection, caller: &Caller, request: &Remove) -> Result<Reply> {
    let (permit, names) = enter_with(connection, caller, &request.path, Rights::DELETE)?;
    find_place(connection, &permit, &request.path, &names)?;
    entries::remove(connection, &permit, &names, request.recursive)?;
    Ok(Reply::Done {})
}
