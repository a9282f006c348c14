//! Access to a path: the caller's rights, and the entry that the path leads to.

use rusqlite::Connection;
use sealift_types::{EntryPath, ErrorCode, Location, Rights};

use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::policy::{Access, Permit};
use crate::store::entries::{self, EntryPlace};
use crate::store::spaces;

/// What the caller may do in the space of a path, and the names below it.
///
/// Every request comes through here, so the certificate is checked here, too.
pub fn enter(connection: &Connection, caller: &Caller, path: &EntryPath) -> Result<(Access, Vec<String>)> {
    caller.verify(connection)?;
    match path.locate(&caller.name)? {
        Location::In { space, names } => Ok((spaces::access(connection, caller.identity, &space)?, names)),
        Location::Spaces => Err(ServerError::refused(
            ErrorCode::IsADirectory,
            "/ is the list of spaces: name a space in it, as in /NAME/FILE",
        )),
    }
}

/// The same with a permit for any of `rights`.
pub fn enter_with(
    connection: &Connection,
    caller: &Caller,
    path: &EntryPath,
    rights: Rights,
) -> Result<(Permit, Vec<String>)> {
    let (access, names) = enter(connection, caller, path)?;
    if rights != Rights::READ {
        caller.refuse_changes()?;
    }
    Ok((access.permit(rights)?, names))
}

/// What a path leads to; neither a file nor a link answers to a path that means a directory.
pub fn find_place(
    connection: &Connection,
    permit: &Permit,
    path: &EntryPath,
    names: &[String],
) -> Result<EntryPlace> {
    let place = entries::find(connection, permit, names)?;
    let what = match &place {
        EntryPlace::File(..) if path.means_directory() => "file",
        EntryPlace::Link(..) if path.means_directory() => "symbolic link",
        _ => return Ok(place),
    };
    let path = entries::display(permit.name(), names);
    Err(ServerError::refused(
        ErrorCode::NotADirectory,
        format!("{path} is a {what}: give the path without the trailing slash"),
    ))
}
