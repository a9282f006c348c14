//! `link`: stores a symbolic link.

use rusqlite::Connection;
use sealift_protocol::message::{Link, MAX_TARGET, Reply};
use sealift_types::{ErrorCode, Rights};

use super::access::enter_with;
use crate::caller::Caller;
use crate::clock;
use crate::error::{Result, ServerError};
use crate::store::entries::{self, NewEntry};

/// Stores the target as it is: where it leads is for those to judge who put the link to use.
pub fn apply(connection: &Connection, caller: &Caller, request: &Link) -> Result<Reply> {
    check_target(&request.target)?;
    let wanted = Rights::CREATE.union(Rights::REPLACE);
    let (permit, names) = enter_with(connection, caller, &request.path, wanted)?;
    if request.path.means_directory() {
        return Err(ServerError::refused(
            ErrorCode::IsADirectory,
            "the path ends in a slash and so means a directory: name the link",
        ));
    }
    let now = clock::now();
    let link = NewEntry { mtime: request.mtime.unwrap_or(now), executable: false, by: caller.identity, now };
    entries::link(connection, &permit, &names, &request.target, &link)?;
    Ok(Reply::Done {})
}

/// No system could make a link of what is refused here.
fn check_target(target: &str) -> Result<()> {
    let reason = match target.len() {
        0 => "is empty",
        length if length > MAX_TARGET => "has more than 4096 bytes",
        _ if target.contains('\0') => "holds a NUL character",
        _ => return Ok(()),
    };
    let message =
        format!("the link's target {reason}, which is not allowed: leave the link out, or make another");
    Err(ServerError::refused(ErrorCode::BadRequest, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_no_system_could_hold_are_refused() {
        for good in
            ["a", "/", "..", "../../etc/passwd", "C:\\x", "line\nbreak", "\u{1b}[0m", &"x".repeat(4096)]
        {
            assert!(check_target(good).is_ok(), "{good:?}");
        }
        for bad in ["", "\0", "a\0b", &"x".repeat(4097), &"é".repeat(2049)] {
            assert!(check_target(bad).is_err(), "{bad:?}");
        }
    }
}
