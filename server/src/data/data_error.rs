//! Reasons why a data directory cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use sealift_certs::{CertError, Date};

use crate::store::open_error::OpenError;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It was never initialised.
    #[error(
        "{} is no Sealift data directory: name your server's with --data DIR, SEALIFTD_DATA or `data` in the configuration; \
         `sealiftd init --data DIR` makes a new one, for a server of its own",
        .0.display()
    )]
    Uninitialised(PathBuf),
    /// It holds something else.
    #[error("{} is not empty and no Sealift data directory: name an empty or a new one", .0.display())]
    Foreign(PathBuf),
    /// A backup was begun in it and not finished.
    #[error("{} is an unfinished backup: run `sealiftd backup {}` on its server again", .0.display(), .0.display())]
    Unfinished(PathBuf),
    /// A part is gone.
    #[error("{} is missing: restore it from a backup; nothing is made anew, so that nothing is lost", .0.display())]
    Missing(PathBuf),
    /// Another server uses it.
    #[error("another sealiftd uses {}: stop it first, or name another directory", .0.display())]
    InUse(PathBuf),
    /// A server serves it without changing it.
    #[error(
        "a sealiftd serves {} with --read-only, and nothing in there changes meanwhile: stop it first, or run the command \
         on the directory of which this is a copy",
        .0.display()
    )]
    Drill(PathBuf),
    /// It, or a part of it, belongs to another user.
    #[error(
        "{} belongs to user {owner} and this sealiftd runs as user {user}: run it as that user, or give the whole \
         directory to this one with `chown -R`",
        path.display()
    )]
    Owner {
        /// What.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// The number of this process's user.
        user: u32,
    },
    /// Others could read or change what is nobody's business.
    #[error("{} is open to other users (mode {mode:04o}): `chmod {right:o} {}`", path.display(), path.display())]
    Mode {
        /// What.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What would be right.
        right: u32,
    },
    /// A clock that cannot be right, at a first start.
    #[error(
        "this machine's clock says {now}, which cannot be: set it right first, since the certificate authority that is \
         made now is valid from now on"
    )]
    Clock {
        /// What the clock says.
        now: Date,
    },
    /// The system refuses.
    #[error("{}: {source}; {}", path.display(), mend(source))]
    File {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The catalog cannot be used.
    #[error(transparent)]
    Catalog(#[from] OpenError),
    /// The list of revocations is damaged.
    #[error(
        "{}:{line}: this line is no revocation: restore the file from a backup, or remove the line if you know what was \
         revoked and revoke it again",
        path.display()
    )]
    Revocations {
        /// The file with the list of revocations.
        path: PathBuf,
        /// The number of the line.
        line: usize,
    },
    /// The authority could not be made or read.
    #[error("the authority in {}: {source}", path.display())]
    Authority {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: CertError,
    },
}

/// What to do about an error of the system.
fn mend(error: &io::Error) -> &'static str {
    /// An input or output error, which has no kind of its own.
    const EIO: i32 = 5;
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "this cannot be done on read-only media; `sealiftd serve --read-only`, `check` and `backup` can"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room and try again",
        _ if cfg!(unix) && error.raw_os_error() == Some(EIO) => {
            "the disk did not do its work: look into the system's log, and try again before you restore anything"
        }
        _ => "sealiftd must be able to read and write there as the user that it runs as",
    }
}

pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> DataError + '_ {
    move |source| DataError::File { path: path.to_owned(), source }
}
