//! Errors as they cross the wire: a small closed set of codes, each with a sentence for a person.

use sealift_types::ErrorCode;
use serde::{Deserialize, Serialize};

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
