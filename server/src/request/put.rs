//! `put`: stores a file.
//!
//! Runs in the reading loop, since the body follows the request. What comes back is a commit to wait for, so that the
//! next upload can arrive meanwhile.

pub(crate) mod commit;
mod resume;
mod sink;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Body, Direction, MAX_INLINE, Put, Reply, Stored};
use sealift_protocol::{Digest, ErrorCode, FrameKind, Header};

use self::commit::{Brought, Room, commit};
use super::enter_with;
use crate::budget::Loan;
use crate::error::{Error, Result};
use crate::monitor::running::Transfer;
use crate::policy::{Permit, Rights};
use crate::prefixes::Prefixes;
use crate::session::{Caller, Reader};
use crate::state::State;
use crate::store::attempts::Attempt;
use crate::store::catalog::Pending;
use crate::store::entries::{self, Slot};
use crate::store::objects;
use crate::store::parts::Target;
use crate::ticket::Ticket;

/// What came of an upload.
#[derive(Debug)]
pub enum Acceptance {
    /// It waits for its commit. Whoever answers the client keeps the transfer until then.
    Committing(Pending<Reply>, Arc<Transfer>),
    /// It failed, or is not needed; the connection goes on.
    Answered {
        /// What the client is told.
        reply: Reply,
        /// Whether some of the body may still be on its way.
        body_follows: bool,
    },
}

/// A failure, and whether the body was read to its end before it.
struct Failure {
    error: Error,
    body_follows: bool,
}

/// A connection whose next frames are an upload's.
struct Upload<'a> {
    state: &'a Arc<State>,
    caller: &'a Caller,
    reader: &'a mut Reader,
    prefixes: &'a Prefixes,
    /// The reader's count of bytes at the start of the request.
    before: u64,
    ticket: Ticket,
    /// Where a stream goes, once that is known to be allowed.
    target: Option<Target>,
}

/// Receives an upload and queues its commit. `before` is the reader's count of bytes at the start of the request,
/// `prefixes` are the parts that this connection was offered.
///
/// An error means that the connection is of no further use.
pub async fn accept(
    state: &Arc<State>,
    caller: &Caller,
    reader: &mut Reader,
    put: Put,
    before: u64,
    prefixes: &Prefixes,
) -> Result<Acceptance> {
    let ticket = Ticket::new(state, caller, Direction::Put, &put.path);
    ticket.transfer().serve_here();
    if let Some(size) = put.size {
        ticket.transfer().expect(size);
    }
    let mut upload = Upload { state, caller, reader, prefixes, before, ticket, target: None };
    let accepted = match upload.is_needless(&put).await {
        Ok(true) => {
            upload.progress(0);
            upload.ticket.finish(None).await;
            return Ok(Acceptance::Answered { reply: Reply::Kept {}, body_follows: true });
        }
        Ok(false) => upload.receive(&put).await,
        Err(error) => Err(Failure { error, body_follows: put.body != Body::Claim }),
    };
    let ticket = upload.ticket;
    let (brought, size, sha256) = match accepted {
        Ok(content) => content,
        Err(Failure { error: Error::Stream(error), .. }) => return Err(error.into()),
        Err(Failure { error, body_follows }) => {
            if error.is_internal() {
                error.log("an upload failed");
            }
            let error = error.to_wire();
            ticket.finish(Some(error.code)).await;
            return Ok(Acceptance::Answered { reply: Reply::Error(error), body_follows });
        }
    };
    ticket.identify(sha256);
    let transfer = ticket.transfer().clone();
    let stored = Stored { size, sha256 };
    Ok(Acceptance::Committing(commit(state, caller, put, brought, stored, ticket).await, transfer))
}

/// A content, its size and digest; `None` stands for one that is there already.
type Received = std::result::Result<(Option<Brought>, u64, Digest), Failure>;

impl Upload<'_> {
    /// Refuses before anything is received what the commit would refuse after. Returns whether the commit would leave
    /// the tree as it is, too: only for a stream, since the other bodies are not worth a look beforehand.
    async fn is_needless(&mut self, put: &Put) -> Result<bool> {
        if put.path.means_directory() {
            let message = "the path ends in a slash and so means a directory: name the file";
            return Err(Error::refused(ErrorCode::IsADirectory, message));
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
                Slot::find(connection, &permit, &names)?;
                let target = Target::new(caller.identity, &permit, &names);
                Ok((target, stays(connection, &permit, &names, &put)?))
            }
        };
        let (target, stays) = match self.state.catalog.read(look()).await {
            // The caller's earlier requests may still wait for their commit and change the answer. The writer's look
            // comes after them.
            Ok((_, true)) | Err(Error::Refused(_)) => self.caller.changes(self.state).write(look()).await?,
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

    /// Notes that this is under way, if what comes of it can be continued.
    fn attempt(&self, put: &Put) -> Option<Attempt> {
        let target = self.target.clone().filter(|_| !self.state.config().uploads.keep().is_zero())?;
        let (size, mtime) = put.size.zip(put.mtime)?;
        Some(self.state.attempts.begin(target.upload(size, mtime), self.reader.stream().pulse()))
    }

    async fn receive(&mut self, put: &Put) -> Received {
        match put.body {
            Body::Claim => self.claim(put).await,
            Body::Inline => self.receive_inline(put).await,
            Body::Stream => stream::receive(self, put).await,
        }
    }

    /// Whether the content is there is for the commit to find out, after the uploads that were sent before.
    ///
    /// A large content is read before, if that was not done for long: its claim must not refer to a copy that has rotted.
    async fn claim(&self, put: &Put) -> Received {
        let (size, digest) = announced(put).map_err(Failure::complete)?;
        if size > MAX_INLINE {
            self.verify(size, digest).await.map_err(Failure::complete)?;
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

    async fn receive_inline(&mut self, put: &Put) -> Received {
        let (size, digest) = announced(put).map_err(Failure::incomplete)?;
        let header = self.frame().await.map_err(Failure::complete)?;
        if header.kind() != FrameKind::Data {
            return Err(Failure::complete(StreamError::Unexpected(header.kind()).into()));
        }
        if size > MAX_INLINE || header.length() as u64 != size {
            self.reader.skip(header).await.map_err(|error| Failure::complete(error.into()))?;
            let message = "an inline body is one data frame of the announced size, of at most 65536 bytes";
            return Err(Failure::complete(Error::refused(ErrorCode::BadRequest, message)));
        }
        // Before the bytes are here: what comes slowly takes up memory, too, and that is its sender's.
        let memory = self.state.memory(self.caller.identity, header.length()).await;
        let memory = memory.map_err(Failure::complete)?;
        let mut data = vec![0; header.length()];
        self.reader.data(header, &mut data).await.map_err(|error| Failure::complete(error.into()))?;
        let room = self.room(Some(memory), data.len()).map_err(Failure::complete)?;
        self.progress(size);
        if Digest::of(&data) != digest {
            return Err(Failure::complete(mismatch()));
        }
        Ok((Some(Brought::Inline(data, Some(room))), size, digest))
    }

    /// Room for a small content, for which there is memory already.
    fn room(&self, _memory: Option<Loan>, bytes: usize) -> Result<Room> {
        Ok(Room { _memory, _disk: self.state.blobs.reserve().for_small(bytes)? })
    }

    /// The next frame's header; there must be one.
    async fn frame(&mut self) -> Result<Header> {
        let stall = self.state.config().timeouts.stall();
        Ok(self.reader.header(stall).await?.ok_or(StreamError::Closed)?)
    }

    /// Notes how much of the content has crossed.
    fn progress(&self, bytes: u64) {
        self.progress_beside(bytes, 0);
    }

    /// The same where so many bytes of frames have crossed elsewhere.
    fn progress_beside(&self, bytes: u64, wire_bytes: u64) {
        self.ticket.progress(bytes, wire_bytes + self.reader.bytes() - self.before);
    }
}

/// Whether a put leaves alone what is there, because that is newer. What would be refused otherwise is refused.
fn stays(connection: &Connection, permit: &Permit, names: &[String], put: &Put) -> Result<bool> {
    let Some(mtime) = put.mtime.filter(|_| put.update) else { return Ok(false) };
    Slot::find(connection, permit, names)?;
    entries::is_newer(connection, permit, names, mtime)
}

/// The refusal of an update that cannot be compared with anything.
pub(super) fn undated() -> Error {
    Error::refused(ErrorCode::BadRequest, "an update needs the mtime of the file in the request: add it")
}

fn announced(put: &Put) -> Result<(u64, Digest)> {
    put.size.zip(put.sha256).ok_or_else(|| {
        Error::refused(
            ErrorCode::BadRequest,
            "an inline or claimed body needs its size and sha256 in the request",
        )
    })
}

fn mismatch() -> Error {
    Error::refused(
        ErrorCode::Integrity,
        "what arrived is not what was announced, and nothing was stored: put the file again",
    )
}

impl Failure {
    /// The body was read, or there was none.
    fn complete(error: Error) -> Self {
        Self { error, body_follows: false }
    }

    fn incomplete(error: Error) -> Self {
        Self { error, body_follows: true }
    }

    /// Whether the upload broke off, through nobody's refusal.
    fn is_interruption(&self) -> bool {
        matches!(self.error, Error::Stream(_) | Error::Stopped)
    }
}
