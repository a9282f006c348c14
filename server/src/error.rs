//! What can go wrong while a request is served, by cause.

use std::io;
use std::path::{Path, PathBuf};

use sealift_certs::CertError;
use sealift_protocol::WireError;
use sealift_protocol::io::StreamError;
use sealift_types::ErrorCode;
use sealift_types::path::PathError;
use tracing::error;

use crate::log_limit::LogLimit;

use crate::data::DataError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The caller asked for what cannot be had; they are told so.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The connection is of no further use.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The catalog failed.
    #[error("the catalog failed: {0}")]
    Catalog(#[from] rusqlite::Error),
    /// The disk failed while the catalog was being written: the change is there after the next look at the disk, or is not.
    #[error("the catalog's disk failed, and whether the last changes are durable is unknown: {0}")]
    Uncertain(rusqlite::Error),
    /// A file of the data directory failed.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory is not as it should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(CertError),
    /// A part of the server has ended, which happens only while it stops or after a panic.
    #[error("the server is stopping")]
    Stopped,
}

impl ServerError {
    /// A refusal.
    pub fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(WireError::new(code, message))
    }

    /// For `map_err` on an operation on `path`.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    /// What the caller is told. Causes inside the server stay in its log.
    pub fn to_wire(&self) -> WireError {
        if let Some(refusal) = self.refusal() {
            return refusal.clone();
        }
        match self {
            Self::Refused(error) => error.clone(),
            _ if self.is_disk_full() => WireError::new(
                ErrorCode::NoSpace,
                "the server's disk is full and nothing was stored: ask its administrator to make room",
            ),
            _ if self.is_out_of_descriptors() => WireError::new(
                ErrorCode::Busy,
                "the server has as many files open as the system allows, and nothing was changed: try again in a moment",
            ),
            Self::Stream(StreamError::Stalled(_) | StreamError::Trickled) => {
                WireError::new(ErrorCode::Timeout, format!("{self}: the server closes the connection"))
            }
            Self::Stream(error) => WireError::new(ErrorCode::BadRequest, error.to_string()),
            Self::Stopped => {
                WireError::new(ErrorCode::ShuttingDown, "the server is stopping: try again in a moment")
            }
            Self::Uncertain(_) => WireError::new(
                ErrorCode::Internal,
                "the server's disk failed and it is unknown whether this was done: look, and do it again if need be",
            ),
            Self::Catalog(_) | Self::File { .. } | Self::Data(_) | Self::Certificate(_) => WireError::new(
                ErrorCode::Internal,
                "the server failed and nothing was changed: its log has the cause, ask its administrator",
            ),
        }
    }

    /// Whether an administrator should hear of it.
    pub fn is_internal(&self) -> bool {
        let inside = matches!(
            self,
            Self::Catalog(_) | Self::Uncertain(_) | Self::File { .. } | Self::Data(_) | Self::Certificate(_)
        );
        inside && self.refusal().is_none()
    }

    /// Writes the failure into the log, where an administrator finds it.
    ///
    /// With too many files open, or with a full disk, every request fails, so one line stands for many.
    pub fn log(&self, what: &str) {
        static OUT_OF_DESCRIPTORS: LogLimit = LogLimit::new();
        static DISK_FULL: LogLimit = LogLimit::new();
        if self.is_out_of_descriptors() {
            if let Some(suppressed) = OUT_OF_DESCRIPTORS.pass() {
                error!(error = %self, suppressed, "{what}: raise the limit of open files");
            }
        } else if self.is_disk_full() {
            if let Some(suppressed) = DISK_FULL.pass() {
                error!(error = %self, suppressed, "{what}: make room on the disk");
            }
        } else {
            error!(error = %self, "{what}");
        }
    }

    /// The refusal that stopped a write to a file.
    fn refusal(&self) -> Option<&WireError> {
        match self {
            Self::File { source, .. } => source.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// True if what is stored is damaged: a file is not there, or the catalog says about it what cannot be.
    pub fn is_damage(&self) -> bool {
        let damaged = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::InvalidData);
        matches!(self, Self::File { source, .. } if damaged(source.kind()))
    }

    /// Returns true if the process, or the system, has too many files open.
    pub fn is_out_of_descriptors(&self) -> bool {
        #[cfg(unix)]
        if let Self::File { source, .. } = self {
            use rustix::io::Errno;
            let code = source.raw_os_error();
            return code == Some(Errno::MFILE.raw_os_error()) || code == Some(Errno::NFILE.raw_os_error());
        }
        false
    }

    /// Whether the disk has no room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                // A file over the process's size limit is a full disk to the one who uploads.
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ),
            Self::Catalog(rusqlite::Error::SqliteFailure(error, _)) => {
                error.code == rusqlite::ErrorCode::DiskFull
            }
            _ => false,
        }
    }
}

impl From<CertError> for ServerError {
    fn from(error: CertError) -> Self {
        match error {
            CertError::Request(error) => Self::refused(ErrorCode::BadRequest, error.to_string()),
            other => Self::Certificate(other),
        }
    }
}

impl From<PathError> for ServerError {
    fn from(error: PathError) -> Self {
        Self::refused(ErrorCode::NameNotAllowed, error.to_string())
    }
}

/// The result of serving.
pub type Result<T, E = ServerError> = std::result::Result<T, E>;
