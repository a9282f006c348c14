//! The rest of a body whose request was refused.
//!
//! A client may notice the refusal only when it has sent the body. What comes until then is read and dropped, but not without
//! end: the client announces how much that is, or does not even do that.

use std::time::Duration;

use sealift_protocol::Header;
use sealift_protocol::frame::HEADER;
use sealift_types::ErrorCode;
use tokio::time::Instant;

use crate::error::{Result, ServerError};

/// Bytes that are read at most: more than a client that stops when it sees the refusal can have under way by then.
const MOST: u64 = 64 * 1024 * 1024;

/// How long the body is read at most.
const LONGEST: Duration = Duration::from_secs(300);

/// Counts what is dropped of one body.
#[derive(Debug)]
pub(super) struct RefusedBody {
    refused: Instant,
    bytes: u64,
}

impl RefusedBody {
    /// Begins at the refusal.
    pub(super) fn new() -> Self {
        Self { refused: Instant::now(), bytes: 0 }
    }

    /// Counts a frame. Fails if the body has become too long.
    pub(super) fn count(&mut self, header: Header) -> Result<()> {
        self.bytes += (HEADER + header.length()) as u64;
        if self.bytes <= MOST && self.refused.elapsed() <= LONGEST {
            return Ok(());
        }
        Err(ServerError::refused(
            ErrorCode::BadRequest,
            "the request was refused, and its body went on for more than 64 MiB or 5 minutes: stop sending a body whose \
             request is refused; the server closes the connection",
        ))
    }
}

#[cfg(test)]
mod tests {
    use sealift_protocol::FrameKind;

    use super::*;

    /// A frame of a 256th of the limit.
    fn frame() -> Header {
        Header::new(FrameKind::Data, usize::try_from(MOST).unwrap() / 256 - HEADER).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_body_may_be_long_and_may_last_but_not_for_ever() {
        let mut body = RefusedBody::new();
        for _ in 0..255 {
            body.count(frame()).unwrap();
        }
        tokio::time::advance(LONGEST).await;
        body.count(frame()).unwrap();
        body.count(Header::new(FrameKind::Data, 0).unwrap()).unwrap_err();

        let mut body = RefusedBody::new();
        tokio::time::advance(LONGEST + Duration::from_secs(1)).await;
        body.count(Header::new(FrameKind::Data, 0).unwrap()).unwrap_err();
    }
}
