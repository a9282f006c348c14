//! The connection of an upload, whose next frames are the upload's body.

use std::sync::Arc;

use sealift_protocol::Header;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::Put;
use sealift_types::{Digest, ErrorCode};

use super::commit::{CommitRoom, UploadedContent};
use crate::budget::BudgetLoan;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::offered_prefixes::OfferedPrefixes;
use crate::session::SessionReader;
use crate::state::ServerState;
use crate::store::partial_uploads::UploadPath;
use crate::store::upload_leases::UploadLease;
use crate::transfer_guard::TransferGuard;

/// A failure, and whether the body was read to its end before it.
pub(super) struct PutFailure {
    pub(super) error: ServerError,
    pub(super) body_follows: bool,
}

/// A connection whose next frames are an upload's.
pub(super) struct UploadReader<'a> {
    pub(super) state: &'a Arc<ServerState>,
    pub(super) caller: &'a Caller,
    pub(super) reader: &'a mut SessionReader,
    pub(super) prefixes: &'a OfferedPrefixes,
    /// The reader's count of bytes at the start of the request.
    pub(super) before: u64,
    pub(super) ticket: TransferGuard,
    /// Where a stream goes, once that is known to be allowed.
    pub(super) target: Option<UploadPath>,
}

/// A content, its size and digest; `None` stands for one that is there already.
pub(super) type ReceivedUpload = std::result::Result<(Option<UploadedContent>, u64, Digest), PutFailure>;

impl UploadReader<'_> {
    /// Notes that this is under way, if what comes of it can be continued.
    pub(super) fn lease(&self, put: &Put) -> Option<UploadLease> {
        let target = self.target.clone().filter(|_| !self.state.config().uploads.keep().is_zero())?;
        let (size, mtime) = put.size.zip(put.mtime)?;
        Some(self.state.leases.begin(target.upload(size, mtime), self.reader.stream().liveness()))
    }

    /// Room for a small content, for which there is memory already.
    pub(super) fn room(&self, _memory: Option<BudgetLoan>, bytes: usize) -> Result<CommitRoom> {
        Ok(CommitRoom { _memory, _disk: self.state.blobs.reserve().for_small(bytes)? })
    }

    /// The next frame's header; there must be one.
    pub(super) async fn frame(&mut self) -> Result<Header> {
        let stall = self.state.config().timeouts.stall();
        Ok(self.reader.header(stall).await?.ok_or(StreamError::Closed)?)
    }

    /// Notes how much of the content has crossed.
    pub(super) fn progress(&self, bytes: u64) {
        self.progress_beside(bytes, 0);
    }

    /// The same where so many bytes of frames have crossed elsewhere.
    pub(super) fn progress_beside(&self, bytes: u64, wire_bytes: u64) {
        self.ticket.progress(bytes, wire_bytes + self.reader.bytes() - self.before);
    }
}

impl PutFailure {
    /// The body was read, or there was none.
    pub(super) fn complete(error: ServerError) -> Self {
        Self { error, body_follows: false }
    }

    pub(super) fn incomplete(error: ServerError) -> Self {
        Self { error, body_follows: true }
    }

    /// Whether the upload broke off, through nobody's refusal.
    pub(super) fn is_interruption(&self) -> bool {
        matches!(self.error, ServerError::Stream(_) | ServerError::Stopped)
    }
}

pub(super) fn mismatch() -> ServerError {
    ServerError::refused(
        ErrorCode::Integrity,
        "what arrived is not what was announced, and nothing was stored: put the file again",
    )
}
