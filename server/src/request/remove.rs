//! `remove`: deletes a file, a link or a directory.

use rusqlite::Connection;
use sealift_protocol::message::{Remove, Reply};
use sealift_types::{ErrorCode, Rights};

use super::access::{enter_with, find_place};
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::store::entries;

/// Deletes the entry; a content goes with its last name.
pub fn apply(connection: &Connection, caller: &Caller, request: &Remove) -> Result<Reply> {
    let (permit, names) = enter_with(connection, caller, &request.path, Rights::DELETE)?;
    let place = find_place(connection, &permit, &request.path, &names)?;
    if let Some(etag) = &request.if_match {
        if request.recursive {
            let message = "a directory goes on a condition only when nothing is in it: leave out `recursive`";
            return Err(ServerError::refused(ErrorCode::BadRequest, message));
        }
        if place.etag() != *etag {
            let path = entries::display(permit.name(), &names);
            let message =
                format!("{path} was changed meanwhile, and stays: look at it, then delete it again");
            return Err(ServerError::refused(ErrorCode::Changed, message));
        }
    }
    entries::remove(connection, &permit, &names, request.recursive)?;
    Ok(Reply::Done {})
}
