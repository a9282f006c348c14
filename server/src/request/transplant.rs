//! `move` and `copy`: new names for what is there; no content moves.

use rusqlite::Connection;
use sealift_protocol::message::{Reply, Transplant};
use sealift_protocol::{ErrorCode, RemotePath};

use super::{enter_with, find_place};
use crate::clock;
use crate::error::{Error, Result};
use crate::policy::{Permit, Rights};
use crate::session::Caller;
use crate::store::entries::{self, NewFile, Place};

/// Moves a file, a link or a directory.
pub fn apply_move(connection: &Connection, caller: &Caller, paths: &Transplant) -> Result<Reply> {
    let (from, from_names) = enter_with(connection, caller, &paths.from, Rights::DELETE.union(Rights::READ))?;
    find_place(connection, &from, &paths.from, &from_names)?;
    let (to, to_names) = enter_target(connection, caller, &paths.to)?;
    let now = clock::now();
    let directories = NewFile { mtime: now, executable: false, by: caller.identity, now };
    let names = entries::rename(connection, (&from, &from_names), (&to, &to_names), &directories)?;
    Ok(Reply::Placed { path: entries::display(to.name(), &names).parse()? })
}

/// Copies a file, a link, or a directory with all that is in it.
pub fn apply_copy(connection: &Connection, caller: &Caller, paths: &Transplant) -> Result<Reply> {
    let (from, from_names) = enter_with(connection, caller, &paths.from, Rights::READ)?;
    find_place(connection, &from, &paths.from, &from_names)?;
    let (to, to_names) = enter_target(connection, caller, &paths.to)?;
    let names =
        entries::copy(connection, (&from, &from_names), (&to, &to_names), caller.identity, clock::now())?;
    Ok(Reply::Placed { path: entries::display(to.name(), &names).parse()? })
}

/// A target with a trailing slash has to be a directory that exists.
fn enter_target(
    connection: &Connection,
    caller: &Caller,
    path: &RemotePath,
) -> Result<(Permit, Vec<String>)> {
    let (permit, names) = enter_with(connection, caller, path, Rights::CREATE.union(Rights::REPLACE))?;
    if path.means_directory() {
        let refused = |code, what| {
            let path = entries::display(permit.name(), &names);
            Err(Error::refused(
                code,
                format!("{path} {what}: to give a new name, leave out the trailing slash"),
            ))
        };
        match entries::find(connection, &permit, &names) {
            Ok(Place::Root | Place::Directory(_)) => {}
            Ok(Place::File(..)) => return refused(ErrorCode::NotADirectory, "is a file, not a directory"),
            Ok(Place::Link(..)) => {
                return refused(
                    ErrorCode::NotADirectory,
                    "is a symbolic link, which the server does not follow",
                );
            }
            Err(_) => return refused(ErrorCode::NotFound, "is no directory on the server"),
        }
    }
    Ok((permit, names))
}
