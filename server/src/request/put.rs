//! `put`: stores a file.
//!
//! Runs in the reading loop, since the body follows the request. What comes back is a commit to wait for, so that the
//! next upload can arrive meanwhile.

pub(crate) mod commit;
mod newer;
mod resume;
mod sink;
mod stream;
mod upload_reader;

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sealift_protocol::FrameKind;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Body, Direction, MAX_INLINE, Put, Reply, Stored};
use sealift_types::{Digest, ErrorCode, Rights};

use self::commit::{UploadedContent, commit};
use self::newer::stays;
use self::upload_reader::{PutFailure, ReceivedUpload, UploadReader, mismatch};
use super::access::enter_with;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::monitor::running::RunningTransfer;
use crate::offered_prefixes::OfferedPrefixes;
use crate::session::SessionReader;
use crate::state::ServerState;
use crate::store::catalog::PendingCommit;
use crate::store::entries::EntrySlot;
use crate::store::objects;
use crate::store::partial_uploads::UploadPath;
use crate::transfer_guard::TransferGuard;

/// What came of an upload.
#[derive(Debug)]
pub enum PutAcceptance {
    /// It waits for its commit. Whoever answers the client keeps the transfer until then.
    Committing(PendingCommit<Reply>, Arc<RunningTransfer>),
    /// It failed, or is not needed; the connection goes on.
    Answered {
        /// What the client is told.
        reply: Reply,
        /// Whether some of the body may still be on its way.
        body_follows: bool,
    },
}

/// Receives an upload and queues its commit. `before` is the reader's count of bytes at the start of the request,
/// `prefixes` are the parts that this connection was offered.
///
/// An error means that the connection is of no further use.
pub async fn accept(
    state: &Arc<ServerState>,
    caller: &Caller,
    reader: &mut SessionReader,
    put: Put,
    before: u64,
    prefixes: &OfferedPrefixes,
) -> Result<PutAcceptance> {
    let ticket = TransferGuard::new(state, caller, Direction::Put, &put.path);
    ticket.transfer().serve_here();
    if let Some(size) = put.size {
        ticket.transfer().expect(size);
    }
    let mut upload = UploadReader { state, caller, reader, prefixes, before, ticket, target: None };
    let accepted = match upload.is_needless(&put).await {
        Ok(true) => {
            upload.progress(0);
            upload.ticket.finish(None).await;
            return Ok(PutAcceptance::Answered { reply: Reply::Kept {}, body_follows: true });
        }
        Ok(false) => upload.receive(&put).await,
        Err(error) => Err(PutFailure { error, body_follows: put.body != Body::Claim }),
    };
    let ticket = upload.ticket;
    let (brought, size, sha256) = match accepted {
        Ok(content) => content,
        Err(PutFailure { error: ServerError::Stream(error), .. }) => return Err(error.into()),
        Err(PutFailure { error, body_follows }) => {
            if error.is_internal() {
                error.log("an upload failed");
            }
            let error = error.to_wire();
            ticket.finish(Some(error.code)).await;
            return Ok(PutAcceptance::Answered { reply: Reply::Error(error), body_follows });
        }
    };
    ticket.identify(sha256);
    let transfer = ticket.transfer().clone();
    let stored = Stored { size, sha256 };
    Ok(PutAcceptance::Committing(commit(state, caller, put, brought, stored, ticket).await, transfer))
}

impl UploadReader<'_> {
    /// Refuses before anything is received what the commit would refuse after. Returns whether the commit would leave
    /// the tree as it is, too: only for a stream, since the other bodies are not worth a look beforehand.
    async fn is_needless(&mut self, put: &Put) -> Result<bool> {
        if put.path.means_directory() {
            let message = "the path ends in a slash and so means a directory: name the file";
            return Err(ServerError::refused(ErrorCode::IsADirectory, message));
        }
        if put.update && put.mtime.is_none() {
            return Err(undated());
        }
        if put.body == Body::Claim {
            self.state.blobs.reserve().admit()?;
        }
        if put.body != Body::Stream {
            return Ok(false);
        }
        let look = || {
            let (caller, put) = (self.caller.clone(), put.clone());
            move |connection: &Connection| {
                let rights = Rights::CREATE.union(Rights::REPLACE);
                let (permit, names) = enter_with(connection, &caller, &put.path, rights)?;
                EntrySlot::find(connection, &permit, &names)?;
                let target = UploadPath::new(caller.identity, &permit, &names);
                Ok((target, stays(connection, &permit, &names, &put)?))
            }
        };
        let (target, stays) = match self.state.catalog.read(look()).await {
            // The caller's earlier requests may still wait for their commit and change the answer. The writer's look
            // comes after them.
            Ok((_, true)) | Err(ServerError::Refused(_)) => {
                self.caller.changes(&self.state.catalog).write(look()).await?
            }
            seen => seen?,
        };
        self.target = Some(target);
        if !stays {
            // Sooner than its bytes find out.
            let rest =
                put.size.unwrap_or(0) - put.resume.map_or(0, |part| part.size).min(put.size.unwrap_or(0));
            drop(self.state.blobs.reserve().grant(rest, 0)?);
        }
        Ok(stays)
    }

    async fn receive(&mut self, put: &Put) -> ReceivedUpload {
        match put.body {
            Body::Claim => self.claim(put).await,
            Body::Inline => self.receive_inline(put).await,
            Body::Stream => stream::receive(self, put).await,
        }
    }

    /// Whether the content is there is for the commit to find out, after the uploads that were sent before.
    ///
    /// A large content is read before, if that was not done for long: its claim must not refer to a copy that has rotted.
    async fn claim(&self, put: &Put) -> ReceivedUpload {
        let (size, digest) = announced(put).map_err(PutFailure::complete)?;
        if size > MAX_INLINE {
            self.verify(size, digest).await.map_err(PutFailure::complete)?;
        }
        self.progress(size);
        Ok((None, size, digest))
    }

    /// Sees to it that the copy of a content that is about to be claimed was read lately. If that takes long, the commit does
    /// not trust the copy, and the client sends the bytes.
    async fn verify(&self, size: u64, digest: Digest) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let identity = self.caller.identity;
        let look = move |connection: &Connection| objects::within_reach(connection, identity, &digest, size);
        if self.state.catalog.read(look).await?.is_none() {
            return Ok(());
        }
        let (state, trust) = (self.state.clone(), self.state.config().uploads.trust_stored());
        let reading = tokio::spawn(async move { state.copies.are_good(&digest, trust).await });
        if let Ok(Ok(Err(error))) = tokio::time::timeout(PATIENCE, reading).await {
            tracing::error!(%error, sha256 = %digest, "a stored content cannot be verified");
        }
        Ok(())
    }

    async fn receive_inline(&mut self, put: &Put) -> ReceivedUpload {
        let (size, digest) = announced(put).map_err(PutFailure::incomplete)?;
        let header = self.frame().await.map_err(PutFailure::complete)?;
        if header.kind() != FrameKind::Data {
            return Err(PutFailure::complete(StreamError::Unexpected(header.kind()).into()));
        }
        if size > MAX_INLINE || header.length() as u64 != size {
            self.reader.skip(header).await.map_err(|error| PutFailure::complete(error.into()))?;
            let message = "an inline body is one data frame of the announced size, of at most 65536 bytes";
            return Err(PutFailure::complete(ServerError::refused(ErrorCode::BadRequest, message)));
        }
        // Before the bytes are here: what comes slowly takes up memory, too, and that is its sender's.
        let memory = self.state.memory(self.caller.identity, header.length()).await;
        let memory = memory.map_err(PutFailure::complete)?;
        let mut data = vec![0; header.length()];
        self.reader.data(header, &mut data).await.map_err(|error| PutFailure::complete(error.into()))?;
        let room = self.room(Some(memory), data.len()).map_err(PutFailure::complete)?;
        self.progress(size);
        if Digest::of(&data) != digest {
            return Err(PutFailure::complete(mismatch()));
        }
        Ok((Some(UploadedContent::Inline(data, Some(room))), size, digest))
    }
}

/// The refusal of an update that cannot be compared with anything.
pub(super) fn undated() -> ServerError {
    ServerError::refused(
        ErrorCode::BadRequest,
        "an update needs the mtime of the file in the request: add it",
    )
}

fn announced(put: &Put) -> Result<(u64, Digest)> {
    put.size.zip(put.sha256).ok_or_else(|| {
        ServerError::refused(
            ErrorCode::BadRequest,
            "an inline or claimed body needs its size and sha256 in the request",
        )
    })
}
