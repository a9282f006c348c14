//! Errors as they cross the wire: a small closed set of codes, each with a sentence for a person.

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

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong and what to do, for a person: one sentence without a final stop.
    pub message: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retry: bool,
}

impl WireError {
    /// The most bytes of a message: room for the longest path and a sentence, and within a control frame even if every
    /// byte needs an escape.
    pub const MAX_MESSAGE: usize = 8 * 1024;

    /// An error with the retry advice that its code implies. A message over [`MAX_MESSAGE`](Self::MAX_MESSAGE) is cut:
    /// it may quote what a peer sent.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MAX_MESSAGE {
            let end =
                (0..=Self::MAX_MESSAGE - 3).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        Self { code, message, retry: code.retry_can_help() }
    }
}
