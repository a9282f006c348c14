//! `put`: stores a file.
//!
//! Runs in the reading loop, since the body follows the request. What comes back is a commit to wait for, so that the
//! next upload can arrive meanwhile.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::content::{self, EmptyBlocks};
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Body, Direction, MAX_INLINE, Put, Stored, Trailer, decode};
use sealift_protocol::{Digest, ErrorCode, FrameKind, Hasher, Header, WireError};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::enter_with;
use crate::background::{Background, background};
use crate::clock;
use crate::error::{Error, Result};
use crate::policy::Rights;
use crate::session::{Caller, Reader};
use crate::state::{Share, State};
use crate::store::blobs::{Blobs, Guard};
use crate::store::catalog::Pending;
use crate::store::entries::{self, NewFile};
use crate::store::incoming::Incoming;
use crate::store::objects::{self, Bytes, ObjectId};
use crate::ticket::Ticket;

/// Contents of at most this many bytes live in the catalog: those that may travel with their request.
#[allow(clippy::cast_possible_truncation)] // 64 KiB fits any usize
const INLINE: usize = MAX_INLINE as usize;

/// What came of an upload.
#[derive(Debug)]
pub enum Acceptance {
    /// It waits for its commit.
    Committing(Pending<Stored>),
    /// It failed; the connection goes on.
    Refused {
        /// What the client is told.
        error: WireError,
        /// Whether some of the body may still be on its way.
        body_follows: bool,
    },
}

/// A failure, and whether the body was read to its end before it.
struct Failure {
    error: Error,
    body_follows: bool,
}

/// A content that has arrived whole and verified.
enum Arrived {
    Small(Vec<u8>),
    Large(Incoming),
}

/// Receives an upload and queues its commit. `before` is the reader's count of bytes at the start of the request.
///
/// An error means that the connection is of no further use.
pub async fn accept(
    state: &Arc<State>,
    caller: &Caller,
    reader: &mut Reader,
    put: Put,
    before: u64,
) -> Result<Acceptance> {
    let mut ticket = Ticket::new(&state.catalog, caller, Direction::Put, &put.path);
    if put.path.means_directory() {
        let message = "the path ends in a slash and so means a directory: name the file";
        let error = WireError::new(ErrorCode::IsADirectory, message);
        ticket.finish(Some(error.code)).await;
        return Ok(Acceptance::Refused { error, body_follows: put.body != Body::Claim });
    }
    let accepted = match put.body {
        Body::Claim => claim(&put, reader.bytes() - before, &mut ticket),
        Body::Inline => receive_inline(state, reader, &put, before, &mut ticket).await,
        Body::Stream => receive_stream(state, caller, reader, &put, before, &mut ticket).await,
    };
    let (kept, size, sha256) = match accepted {
        Ok(content) => content,
        Err(Failure { error: Error::Stream(error), .. }) => return Err(error.into()),
        Err(Failure { error, body_follows }) => {
            if error.is_internal() {
                tracing::error!(%error, "an upload failed");
            }
            let error = error.to_wire();
            ticket.finish(Some(error.code)).await;
            return Ok(Acceptance::Refused { error, body_follows });
        }
    };
    ticket.identify(sha256);
    Ok(Acceptance::Committing(commit(state, caller, put, kept, Stored { size, sha256 }, ticket).await))
}

/// A content, its size and digest; `None` stands for one that is there already.
type Received = std::result::Result<(Option<Kept>, u64, Digest), Failure>;

/// What a commit needs of the content.
#[derive(Debug)]
enum Kept {
    /// The bytes, and the room that they take up among those of all connections.
    Inline(Vec<u8>, #[allow(dead_code)] Option<OwnedSemaphorePermit>),
    /// The guard keeps the collector off the new file until the commit is done.
    Blob(#[allow(dead_code)] Guard),
}

/// Whether the content is there is for the commit to find out, after the uploads that were sent before.
fn claim(put: &Put, wire_bytes: u64, ticket: &mut Ticket) -> Received {
    let (size, digest) = announced(put).map_err(Failure::complete)?;
    ticket.progress(size, wire_bytes);
    Ok((None, size, digest))
}

async fn receive_inline(
    state: &Arc<State>,
    reader: &mut Reader,
    put: &Put,
    before: u64,
    ticket: &mut Ticket,
) -> Received {
    let (size, digest) = announced(put).map_err(Failure::incomplete)?;
    let header = expect_frame(state, reader).await.map_err(Failure::complete)?;
    if header.kind() != FrameKind::Data {
        return Err(Failure::complete(StreamError::Unexpected(header.kind()).into()));
    }
    if size > MAX_INLINE || header.length() as u64 != size {
        reader.skip(header).await.map_err(|error| Failure::complete(error.into()))?;
        let message = "an inline body is one data frame of the announced size, of at most 65536 bytes";
        return Err(Failure::complete(Error::refused(ErrorCode::BadRequest, message)));
    }
    let mut data = vec![0; header.length()];
    reader.data(header, &mut data).await.map_err(|error| Failure::complete(error.into()))?;
    // Uploads that wait for their commit hold their bytes; the room bounds them over all connections. Not before the
    // bytes are here: a slow client must not keep what others need.
    let room = state.room(data.len()).await;
    ticket.progress(size, reader.bytes() - before);
    if Digest::of(&data) != digest {
        return Err(Failure::complete(mismatch()));
    }
    Ok((Some(Kept::Inline(data, room)), size, digest))
}

async fn receive_stream(
    state: &Arc<State>,
    caller: &Caller,
    reader: &mut Reader,
    put: &Put,
    before: u64,
    ticket: &mut Ticket,
) -> Received {
    check(state, caller, put).await.map_err(Failure::incomplete)?;
    let mut sink = Sink::new(state.clone(), put.size);
    let trailer = loop {
        let header = expect_frame(state, reader).await.map_err(Failure::incomplete)?;
        if header.kind() == FrameKind::Control {
            let payload = reader.control(header).await.map_err(|error| Failure::incomplete(error.into()))?;
            break decode::<Trailer>(payload)
                .map_err(|error| Failure::incomplete(StreamError::from(error).into()))?;
        }
        if put.size.is_some_and(|size| sink.total + header.length() as u64 > size) {
            reader.skip(header).await.map_err(|error| Failure::incomplete(error.into()))?;
            return Err(Failure::incomplete(Error::refused(
                ErrorCode::SourceFailed,
                "more bytes came than were announced: put the file again when nobody writes to it",
            )));
        }
        sink.take(reader, header).await?;
        ticket.progress(sink.total, reader.bytes() - before);
    };
    ticket.progress(sink.total, reader.bytes() - before);
    match trailer {
        Trailer::Error(error) => Err(Failure::complete(Error::refused(error.code, error.message))),
        Trailer::End { size, sha256 } => {
            let (arrived, total, digest) = sink.finish().await.map_err(Failure::complete)?;
            if (total, digest) != (size, sha256) || put.sha256.is_some_and(|announced| announced != digest) {
                return Err(Failure::complete(mismatch()));
            }
            if put.size.is_some_and(|announced| announced != total) {
                return Err(Failure::complete(Error::refused(
                    ErrorCode::SourceFailed,
                    "fewer bytes came than were announced: put the file again when nobody writes to it",
                )));
            }
            let kept = match arrived {
                Arrived::Small(data) => Kept::Inline(data, None),
                Arrived::Large(incoming) => {
                    place(state, incoming, digest).await.map_err(Failure::complete)?
                }
            };
            Ok((Some(kept), total, digest))
        }
    }
}

/// Takes the bytes of a body: in memory as long as they are few, then in a file, hashed on the way.
struct Sink {
    state: Arc<State>,
    announced: Option<u64>,
    small: Vec<u8>,
    large: Option<Large>,
    total: u64,
}

struct Large {
    blocks: EmptyBlocks,
    draining: Background<std::io::Result<(Incoming, u64, Digest)>>,
    _share: Share,
}

impl Sink {
    fn new(state: Arc<State>, announced: Option<u64>) -> Self {
        Self { state, announced, small: Vec::new(), large: None, total: 0 }
    }

    async fn take(&mut self, reader: &mut Reader, header: Header) -> std::result::Result<(), Failure> {
        let broken = |error: StreamError| Failure::incomplete(error.into());
        self.total += header.length() as u64;
        if self.large.is_none() {
            let start = self.small.len();
            if start + header.length() <= INLINE {
                self.small.resize(start + header.length(), 0);
                return reader.data(header, &mut self.small[start..]).await.map_err(broken);
            }
            self.spill().await.map_err(Failure::incomplete)?;
        }
        let Some(large) = &mut self.large else { return Ok(()) };
        if large.blocks.receive(reader, header).await.map_err(broken)? {
            Ok(())
        } else {
            Err(Failure::incomplete(self.drained().await.err().unwrap_or(Error::Stopped)))
        }
    }

    /// Goes over to a file.
    async fn spill(&mut self) -> Result<()> {
        let mut incoming = self.state.blobs.receive()?;
        let share = self.state.share(self.announced);
        let (mut blocks, drainer) = content::receiver(share.block);
        let single = self.announced.is_some_and(|size| size <= share.block as u64);
        let draining = background("upload", move || {
            let drained = if single {
                drainer.run(&mut incoming, Hasher::new())
            } else {
                drainer.run_beside(&mut incoming, Hasher::new())
            };
            drained.map(|(total, digest)| (incoming, total, digest))
        })
        .map_err(storage)?;
        // Should the drainer have failed already, the next frame finds out.
        blocks.copy(&std::mem::take(&mut self.small)).await;
        self.large = Some(Large { blocks, draining, _share: share });
        Ok(())
    }

    async fn drained(&mut self) -> Result<(Incoming, u64, Digest)> {
        let Some(Large { blocks, draining, _share }) = self.large.take() else { return Err(Error::Stopped) };
        // The drainer ends when nobody can hand it anything any more.
        drop(blocks);
        draining.wait().await?.map_err(storage)
    }

    async fn finish(mut self) -> Result<(Arrived, u64, Digest)> {
        if self.large.is_none() {
            let digest = Digest::of(&self.small);
            return Ok((Arrived::Small(self.small), self.total, digest));
        }
        let (incoming, total, digest) = self.drained().await?;
        Ok((Arrived::Large(incoming), total, digest))
    }
}

/// Refuses before anything is received what the commit would refuse after.
async fn check(state: &Arc<State>, caller: &Caller, put: &Put) -> Result<()> {
    let (caller, path) = (caller.clone(), put.path.clone());
    let checked = state.catalog.read(move |connection| {
        let (permit, names) = enter_with(connection, &caller, &path, Rights::CREATE.union(Rights::REPLACE))?;
        entries::check(connection, &permit, &names)
    });
    checked.await
}

/// Makes a received file a blob.
async fn place(state: &Arc<State>, incoming: Incoming, digest: Digest) -> Result<Kept> {
    let guard = state.blobs.guard().await;
    let blobs = state.blobs.clone();
    let placed = tokio::task::spawn_blocking(move || blobs.place(incoming, &digest, &guard).map(|()| guard));
    placed.await.map_err(|_| Error::Stopped)?.map(Kept::Blob)
}

/// What is held until a commit is over: the collector stays away until then, and is called after it.
#[derive(Debug)]
struct Held {
    kept: Option<Kept>,
    ticket: Ticket,
    _wake: Wake,
}

/// Calls the collector when it is dropped.
#[derive(Debug)]
pub(super) struct Wake(pub(super) Arc<Notify>);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Queues the transaction that makes the path point to the content, with the log's record of it.
async fn commit(
    state: &Arc<State>,
    caller: &Caller,
    put: Put,
    kept: Option<Kept>,
    stored: Stored,
    ticket: Ticket,
) -> Pending<Stored> {
    let (caller, blobs, sha256) = (caller.clone(), state.blobs.clone(), stored.sha256);
    let held = Held { kept, ticket, _wake: Wake(state.garbage.clone()) };
    let work = {
        let blobs = blobs.clone();
        move |connection: &Connection, held: &Held| {
            let wanted = Rights::CREATE.union(Rights::REPLACE);
            let (permit, names) = enter_with(connection, &caller, &put.path, wanted)?;
            let object = match &held.kept {
                None => claimed(connection, &caller, &blobs, &stored)?,
                Some(Kept::Inline(data, _)) => objects::keep_inline(connection, &stored.sha256, data)?,
                Some(Kept::Blob(_)) => objects::keep_blob(connection, &stored.sha256, stored.size)?,
            };
            let now = clock::now();
            let mtime = put.mtime.unwrap_or(now);
            let file = NewFile { mtime, executable: put.executable, by: caller.identity, now };
            entries::store(connection, &permit, &names, object, &file)?;
            held.ticket.record_in(connection, None)?;
            Ok(stored)
        }
    };
    let otherwise = move |connection: &Connection, held: &Held, error: &Error| {
        match held.kept {
            // The file is in place and nobody's.
            Some(Kept::Blob(_)) => objects::discard(connection, &sha256)?,
            // Without its file, the next plan need not ask for a claim.
            None if !is_whole(connection, &blobs, &sha256)? => objects::suspect(connection, &sha256)?,
            _ => {}
        }
        held.ticket.record_in(connection, Some(error.to_wire().code))
    };
    state.catalog.submit_holding(held, work, otherwise).await
}

fn is_whole(connection: &Connection, blobs: &Blobs, sha256: &Digest) -> Result<bool> {
    Ok(
        match objects::find(connection, sha256)?
            .map(|object| objects::bytes(connection, object))
            .transpose()?
        {
            Some(Bytes::Extents(extents)) => blobs.has(&extents),
            _ => true,
        },
    )
}

fn claimed(connection: &Connection, caller: &Caller, blobs: &Blobs, stored: &Stored) -> Result<ObjectId> {
    let found = objects::within_reach(connection, caller.identity, &stored.sha256, stored.size)?;
    let object = found.ok_or_else(absent)?;
    match objects::bytes(connection, object)? {
        // The row is there, the bytes are not: the client has them, and sends them then.
        Bytes::Extents(extents) if !blobs.has(&extents) => Err(absent()),
        _ => Ok(object),
    }
}

async fn expect_frame(state: &Arc<State>, reader: &mut Reader) -> Result<Header> {
    Ok(reader.header(state.config.timeouts.stall()).await?.ok_or(StreamError::Closed)?)
}

fn announced(put: &Put) -> Result<(u64, Digest)> {
    put.size.zip(put.sha256).ok_or_else(|| {
        Error::refused(
            ErrorCode::BadRequest,
            "an inline or claimed body needs its size and sha256 in the request",
        )
    })
}

fn absent() -> Error {
    Error::refused(ErrorCode::Absent, "no such content is within your reach: send it")
}

fn mismatch() -> Error {
    Error::refused(
        ErrorCode::Integrity,
        "what arrived is not what was announced, and nothing was stored: put the file again",
    )
}

fn storage(source: std::io::Error) -> Error {
    Error::file(std::path::Path::new("incoming"))(source)
}

impl Failure {
    /// The body was read, or there was none.
    fn complete(error: Error) -> Self {
        Self { error, body_follows: false }
    }

    fn incomplete(error: Error) -> Self {
        Self { error, body_follows: true }
    }
}
