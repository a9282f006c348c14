//! Reasons why the catalog cannot be opened.

use std::path::PathBuf;

/// Why the catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot use the file, for whatever reason.
    #[error("the catalog {} cannot be used: {source}; {}, nothing was changed", path.display(), mend(source))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another program's database.
    #[error("{} is not a Sealift catalog: is the data directory the right one?", .0.display())]
    Foreign(PathBuf),
    /// Nothing is in it.
    #[error("the catalog {} is empty: restore it from a backup, nothing was changed", .0.display())]
    Empty(PathBuf),
    /// It is on read-only media, and has to be written to before it can be used.
    #[error(
        "the catalog {} has to be completed or upgraded, and is on read-only media: copy the data directory to a place that \
         can be written to",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// A later version of Sealift wrote it.
    #[error(
        "the catalog {} has version {found}, this sealiftd knows up to {known}: update sealiftd, nothing was changed",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The latest that this program knows.
        known: usize,
    },
}

/// What to do about an error of SQLite.
fn mend(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode as Code;
    let no_room_beside = Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    if error.sqlite_error().map(|error| error.extended_code) == no_room_beside {
        return "the disk is full: make room and try again";
    }
    match error.sqlite_error_code() {
        Some(Code::CannotOpen | Code::PermissionDenied) => {
            "sealiftd must be able to read and write the file and its directory"
        }
        Some(Code::ReadOnly) => {
            "the file or its disk is read-only: make it writable, or copy the directory elsewhere"
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            "another program holds it: try again when that has ended"
        }
        Some(Code::DiskFull) => "the disk is full: make room and try again",
        Some(Code::SystemIoFailure) => {
            "the disk did not do its work: look into the system's log, and try again before you restore anything"
        }
        _ => "restore it from a backup",
    }
}
