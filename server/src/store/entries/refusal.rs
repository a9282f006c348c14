//! Why a path cannot be what was asked of it, in sentences that name the mend.

use sealift_types::ErrorCode;

use super::{EntryPlace, display};
use crate::error::ServerError;
use crate::policy::Permit;

/// The refusal of a path at which a file was wanted.
pub fn is_a_directory(permit: &Permit, names: &[String]) -> ServerError {
    ServerError::refused(
        ErrorCode::IsADirectory,
        format!("{} is a directory: name a file in it", display(permit.name(), names)),
    )
}

/// The refusal of a symbolic link at which a content was wanted.
pub fn is_a_link(permit: &Permit, names: &[String]) -> ServerError {
    ServerError::refused(
        ErrorCode::BadRequest,
        format!(
            "{} is a symbolic link, which holds no content and which the server does not follow: \
             `sealift info` shows its target",
            display(permit.name(), names)
        ),
    )
}

/// The refusal of a file or link at which a directory was wanted.
pub(super) fn not_a_directory(permit: &Permit, names: &[String], place: &EntryPlace) -> ServerError {
    let path = display(permit.name(), names);
    let message = match place {
        EntryPlace::Link(..) => format!(
            "{path} is a symbolic link, which the server does not follow: name the directory that is meant"
        ),
        _ => format!("{path} is a file, so nothing can be inside it: choose another path"),
    };
    ServerError::refused(ErrorCode::NotADirectory, message)
}

pub(super) fn not_found(permit: &Permit, names: &[String]) -> ServerError {
    let path = display(permit.name(), names);
    let parent = display(permit.name(), names.split_last().map_or(names, |(_, parent)| parent));
    ServerError::refused(
        ErrorCode::NotFound,
        format!("{path} does not exist: `sealift ls {parent}` shows what does"),
    )
}

pub(super) fn taken(permit: &Permit, names: &[String]) -> ServerError {
    ServerError::refused(
        ErrorCode::Exists,
        format!("{} exists already: delete it first or choose another name", display(permit.name(), names)),
    )
}

/// The refusal to put a directory inside itself; `done` is what was to be done to it.
pub(super) fn into_itself(permit: &Permit, names: &[String], done: &str) -> ServerError {
    ServerError::refused(
        ErrorCode::Exists,
        format!(
            "{} cannot be {done} into itself: choose a place outside of it",
            display(permit.name(), names)
        ),
    )
}

/// The refusal of a space's root; `done` is what was to be done to it, and `mend` what to do instead.
pub(super) fn is_a_space(permit: &Permit, names: &[String], done: &str, mend: &str) -> ServerError {
    ServerError::refused(
        ErrorCode::IsADirectory,
        format!("{} is a whole space and cannot be {done}: {mend}", display(permit.name(), names)),
    )
}
