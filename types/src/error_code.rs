//! Error codes: a small closed set, on the wire and in the log.

use serde::{Deserialize, Serialize};

/// What went wrong, as far as the other end can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request breaks the protocol or is missing something.
    BadRequest,
    /// The server does not know this request.
    UnknownRequest,
    /// No common version.
    UnsupportedVersion,
    /// There is no such path.
    NotFound,
    /// A file was asked for, and the path is a directory.
    IsADirectory,
    /// A directory was asked for, and the path is a file.
    NotADirectory,
    /// The target of a move or a copy is taken.
    Exists,
    /// The entry is not what the request's condition says.
    Changed,
    /// The caller lacks the right.
    NotAllowed,
    /// The caller's certificate is revoked, expired or unknown.
    CertificateRefused,
    /// The join token is unknown, used or expired.
    TokenRefused,
    /// The path holds a name that is not allowed.
    NameNotAllowed,
    /// Bytes and digest disagree.
    Integrity,
    /// The content that was claimed to be there is not within the caller's reach.
    Absent,
    /// The source changed or could not be read to its end.
    SourceFailed,
    /// The connection broke before the end: only in the transfer log.
    Interrupted,
    /// The server's disk is full.
    NoSpace,
    /// The space's quota is exhausted.
    Quota,
    /// The server is at its limit of connections.
    Busy,
    /// The server is stopping.
    ShuttingDown,
    /// The other end was silent for too long.
    Timeout,
    /// The server failed; its log has the cause.
    Internal,
    /// A code of a later version.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Whether the same request may succeed later without anybody mending anything.
    pub fn retry_can_help(self) -> bool {
        matches!(self, Self::Busy | Self::ShuttingDown | Self::Timeout)
    }
}
