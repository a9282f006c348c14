//! Control messages: the JSON objects that control frames carry.
//!
//! Unknown fields are ignored, so that a later version can add some. A request whose `type` is unknown gets the error
//! [`UnknownRequest`](sealift_types::ErrorCode::UnknownRequest) and the conversation goes on. Times are whole nanoseconds
//! since 1970-01-01 00:00 UTC, sizes are bytes.

mod reply;
mod request;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::frame::HEADER;
use crate::{FrameError, FrameKind, Header, WireError};
use sealift_types::Digest;

pub use reply::*;
pub use request::*;

/// The most bytes of a content that may travel as [`Body::Inline`]: 64 KiB.
pub const MAX_INLINE: u64 = 64 * 1024;

/// The most bytes of a symbolic link's target: what systems allow for a path.
pub const MAX_TARGET: usize = 4096;

/// The most files that one [`Request::Plan`] may name.
pub const MAX_PLAN: usize = 256;

/// The optional feature that a content can be shared among connections: [`Get::length`], [`Put::key`], [`Turn`] and
/// [`Request::Slice`].
pub const SLICES: &str = "slices";

/// The optional feature that the server says that it is working while a request takes its time: [`Reply::Working`].
pub const WORKING: &str = "working";

/// The optional feature that a client can act on the condition that nothing has changed: [`List::etags`],
/// [`List::since`] and [`Remove::if_match`].
pub const CONDITIONS: &str = "conditions";

/// The optional feature that a client can ask for a new path that nothing has yet: [`MakeDirectory::if_absent`],
/// [`Transplant::if_absent`] and [`Transplant::exact`].
pub const ABSENCE: &str = "absence";

/// Every optional feature.
pub const FEATURES: [&str; 4] = [SLICES, WORKING, CONDITIONS, ABSENCE];

/// Bytes of a slice of an upload, but for the last of a content.
pub const SLICE: u64 = 1024 * 1024;

/// How many slices of an upload may come ahead of one that is missing. Who sends more has to wait.
pub const SLICES_AHEAD: usize = 16;

/// A moment, in nanoseconds since 1970-01-01 00:00 UTC; negative before it.
pub type Nanoseconds = i64;

/// What follows the last data frame of a streamed content, in either direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Trailer {
    /// The content is complete.
    End {
        /// Its size, the part before a download's offset included.
        size: u64,
        /// Its digest, likewise.
        sha256: Digest,
    },
    /// The sender gives up; nothing was transferred. The connection goes on.
    Error(WireError),
}

/// What may stand between the data frames of a put that other connections share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Turn {
    /// What follows is another slice than the next one.
    Turn {
        /// Its first byte in the content.
        offset: u64,
    },
}

/// A message could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The frame would be or is too long.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not the JSON that was expected.
    #[error("a control message is not understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// Appends `message` to `out` as one control frame. On an error `out` is as it was.
pub fn encode(message: &impl Serialize, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let written = serde_json::to_writer(&mut *out, message).map_err(MessageError::from).and_then(|()| {
        Header::new(FrameKind::Control, out.len() - start - HEADER).map_err(MessageError::from)
    });
    match written {
        Ok(header) => out[start..start + HEADER].copy_from_slice(&header.encode()),
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

/// Reads the payload of a control frame.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, MessageError> {
    Ok(serde_json::from_slice(payload)?)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes the field by reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
