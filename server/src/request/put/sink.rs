//! Where the bytes of a body go: into memory as long as they are few, then into a file, hashed on the way.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use sealift_pipeline::BlockReceiver;
use sealift_protocol::Header;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{MAX_INLINE, Nanoseconds, Put, SLICE};
use sealift_types::{Digest, EntryPath, ErrorCode, Rights};

use super::upload_reader::PutFailure;
use crate::background::{Background, background};
use crate::budget::BudgetLoan;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::joinable_uploads::OpenUpload;
use crate::request::access::enter_with;
use crate::session::SessionReader;
use crate::state::{ServerState, UploadMemory};
use crate::store::Catalog;
use crate::store::catalog::WriterLine;
use crate::store::file_holds::{CheckpointingHasher, FileHold, HashCheckpoint};
use crate::store::incoming::StagedFile;
use crate::store::partial_uploads::{self, UploadPath};
use crate::store::upload_leases::UploadLease;
use crate::unfinished_uploads::UnfinishedUpload;

/// Contents of at most this many bytes live in the catalog: those that may travel with their request.
#[allow(clippy::cast_possible_truncation)] // 64 KiB fits any usize
const INLINE: usize = MAX_INLINE as usize;

/// A content that has arrived whole.
pub(super) enum ArrivedContent {
    /// The bytes, and the memory for them if there are any.
    Small(Vec<u8>, Option<BudgetLoan>),
    Large(StagedFile),
}

/// Takes the bytes of a body. When it is dropped, what is in a file stays there, if it can be continued.
pub(super) struct UploadSink {
    state: Arc<ServerState>,
    announced: Option<u64>,
    lease: Option<UploadLease>,
    /// What makes this upload one that can be continued, until the catalog knows.
    note: Option<UploadNote>,
    /// Whose upload it is.
    identity: i64,
    /// The number that they gave it, if further connections may bring some of it.
    key: Option<u64>,
    small: Vec<u8>,
    /// The memory for `small`, once there are any bytes.
    memory: Option<BudgetLoan>,
    large: Option<LargeBody>,
    /// The use of the file, once there is one.
    hold: Option<FileHold>,
    /// Bytes that an earlier upload left.
    offset: u64,
    /// Where in the content this connection is.
    position: u64,
    /// Bytes that it has brought.
    brought: u64,
}

struct LargeBody {
    blocks: BlockReceiver,
    draining: Background<std::io::Result<(StagedFile, u64, Digest)>>,
    /// What further connections bring.
    open: Option<OpenUpload>,
    _share: UploadMemory,
    unplaced: UnfinishedUpload,
}

/// Whose upload it is.
struct UploadNote {
    caller: Caller,
    path: EntryPath,
    size: u64,
    mtime: Nanoseconds,
}

impl UploadSink {
    /// `lease` is there if what comes can be continued.
    pub(super) fn new(
        state: Arc<ServerState>,
        lease: Option<UploadLease>,
        caller: &Caller,
        put: &Put,
    ) -> Self {
        let facts = put.size.zip(put.mtime).filter(|_| lease.is_some());
        let note = facts.map(|(size, mtime)| UploadNote {
            caller: caller.clone(),
            path: put.path.clone(),
            size,
            mtime,
        });
        let (identity, key) = (caller.identity, put.key);
        Self { note, key, ..Self::empty(state, identity, lease, put.size, 0) }
    }

    fn empty(
        state: Arc<ServerState>,
        identity: i64,
        lease: Option<UploadLease>,
        announced: Option<u64>,
        offset: u64,
    ) -> Self {
        let (note, key, small, memory, large, hold) = (None, None, Vec::new(), None, None, None);
        let (position, brought) = (offset, 0);
        Self {
            state,
            announced,
            lease,
            note,
            identity,
            key,
            small,
            memory,
            large,
            hold,
            offset,
            position,
            brought,
        }
    }

    /// Goes on behind the mark, where `incoming` does.
    pub(super) async fn resumed(
        state: Arc<ServerState>,
        lease: Option<UploadLease>,
        caller: &Caller,
        put: &Put,
        incoming: StagedFile,
        mark: HashCheckpoint,
    ) -> Result<Self> {
        let empty = Self::empty(state, caller.identity, lease, put.size, mark.offset);
        let mut sink = Self { key: put.key, ..empty };
        sink.begin(incoming, CheckpointingHasher::behind(mark)).await?;
        Ok(sink)
    }

    /// Where in the content this connection is.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the content that this upload has brought, and those of frames that came over further connections.
    pub(super) fn received(&self) -> (u64, u64) {
        let open = self.large.as_ref().and_then(|large| large.open.as_ref());
        let (bytes, wire_bytes) = open.map_or((0, 0), |open| open.brought());
        // What came twice counts once.
        let most = self.announced.map_or(u64::MAX, |size| size - self.offset);
        ((self.brought + bytes).min(most), wire_bytes)
    }

    /// Goes on with the slice that begins there.
    pub(super) async fn turn(&mut self, offset: u64) -> Result<()> {
        if self.large.is_none() {
            self.spill().await?;
        }
        let large = self.large.as_mut().ok_or(ServerError::Stopped)?;
        let open = large
            .open
            .as_ref()
            .filter(|open| open.widen(|| self.state.room_ahead(self.identity)))
            .ok_or_else(|| {
                let message =
                    "this upload cannot be shared among connections: send it from its beginning to its end";
                ServerError::refused(ErrorCode::Absent, message)
            })?;
        if !large.blocks.turn_to(open.place(offset)?) {
            let message = "one slice has to end before another begins: send all of it";
            return Err(ServerError::refused(ErrorCode::BadRequest, message));
        }
        self.position = offset;
        Ok(())
    }

    pub(super) async fn take(
        &mut self,
        reader: &mut SessionReader,
        header: Header,
    ) -> std::result::Result<(), PutFailure> {
        let broken = |error: StreamError| PutFailure::incomplete(error.into());
        self.position += header.length() as u64;
        self.brought += header.length() as u64;
        if self.large.is_none() {
            let start = self.small.len();
            if start + header.length() <= INLINE {
                if self.memory.is_none() {
                    let memory = self.state.memory(self.identity, INLINE).await;
                    self.memory = Some(memory.map_err(PutFailure::incomplete)?);
                }
                self.small.resize(start + header.length(), 0);
                return reader.data(header, &mut self.small[start..]).await.map_err(broken);
            }
            self.spill().await.map_err(PutFailure::incomplete)?;
        }
        let Some(large) = &mut self.large else { return Ok(()) };
        large.unplaced.grow(header.length() as u64).map_err(PutFailure::incomplete)?;
        if !large.blocks.receive(reader, header).await.map_err(broken)? {
            return Err(PutFailure::incomplete(self.drained().await.err().unwrap_or(ServerError::Stopped)));
        }
        if self.announced == Some(self.position) {
            large.blocks.pass();
        } else if self.announced.is_some() && self.position >= partial_uploads::LEAST {
            self.note().await;
        }
        Ok(())
    }

    /// The whole content. The file, if there is one, is still to be synced.
    pub(super) async fn finish(&mut self) -> Result<(ArrivedContent, u64, Digest)> {
        if self.large.is_none() {
            let memory = self.memory.take();
            let small = std::mem::take(&mut self.small);
            let digest = Digest::of(&small);
            return Ok((ArrivedContent::Small(small, memory), self.position, digest));
        }
        let (incoming, drained, digest) = self.drained().await?;
        Ok((ArrivedContent::Large(incoming), self.offset + drained, digest))
    }

    /// Leaves what came to be continued, and waits until it is in its file.
    pub(super) async fn leave(&mut self) {
        if self.large.is_some() {
            // What could not be written is not there to be continued, and that is all there is to it.
            let _ = self.drained().await;
        }
        self.hold = None;
    }

    /// Leaves nothing.
    pub(super) async fn discard(&mut self) {
        if let Some(hold) = self.hold.take()
            && hold.discard()
        {
            let file = hold.file();
            drop(self.changes().submit(move |connection| partial_uploads::remove(connection, file)).await);
        }
    }

    /// The catalog for what is noted of the upload, in order with what its owner changes.
    fn changes(&self) -> Catalog {
        self.state.catalog.within(WriterLine::Of(self.identity))
    }

    /// Goes over to a file.
    async fn spill(&mut self) -> Result<()> {
        let incoming = self.state.blobs.receive()?;
        self.begin(incoming, CheckpointingHasher::default()).await?;
        if let Some(large) = &mut self.large {
            // Should the drainer have failed already, the next frame finds out.
            large.blocks.copy(&std::mem::take(&mut self.small)).await;
        }
        self.memory = None;
        Ok(())
    }

    async fn begin(&mut self, mut incoming: StagedFile, marking: CheckpointingHasher) -> Result<()> {
        let rest = self.announced.map(|size| size - self.offset);
        let unfinished = self.state.unfinished.clone();
        let settings = self.state.config().uploads;
        let store = (&self.state.catalog, &self.state.blobs);
        let unplaced = unfinished.begin(store, settings, self.identity, self.offset, rest).await?;
        let share = self.state.share(self.identity, rest).await?;
        let lender = Some(share.lender.clone());
        let (blocks, drainer) = sealift_pipeline::write_stage_with_loans(share.block, share.blocks, lender);
        let single = rest.is_some_and(|rest| rest <= share.block as u64);
        if let Some(lease) = &self.lease {
            incoming.hold().belongs_to(lease.clone());
        }
        self.hold = Some(incoming.hold().clone());
        // A block has to be a slice.
        let shared = self.key.zip(self.announced).filter(|_| !single && share.block as u64 == SLICE);
        let open = shared.and_then(|(key, size)| {
            let (order, lease) = (blocks.order(), self.lease.clone());
            self.state.shared.open((self.identity, key), order, self.offset, size, lease)
        });
        let draining = background("upload", move || {
            let drained = if single {
                drainer.run(&mut incoming, marking)
            } else {
                drainer.run_beside(&mut incoming, marking)
            };
            match drained {
                Ok((drained, (digest, mark))) => {
                    incoming.hold().remember(mark);
                    Ok((incoming, drained, digest))
                }
                Err(error) => {
                    // There may be holes, and a full disk is not to be kept full.
                    incoming.hold().discard();
                    Err(error)
                }
            }
        })
        .map_err(storage)?;
        self.large = Some(LargeBody { blocks, draining, open, _share: share, unplaced });
        Ok(())
    }

    async fn drained(&mut self) -> Result<(StagedFile, u64, Digest)> {
        let Some(LargeBody { blocks, draining, open: _open, _share, unplaced: _unplaced }) =
            self.large.take()
        else {
            return Err(ServerError::Stopped);
        };
        // The drainer ends when nobody can hand it anything any more.
        drop(blocks);
        draining.wait().await?.map_err(storage)
    }

    /// Tells the catalog what the file is the beginning of. Nobody waits for that: only its place before whatever else
    /// becomes of the file matters.
    async fn note(&mut self) {
        let Some((UploadNote { caller, path, size, mtime }, hold)) = self.note.take().zip(self.hold.as_ref())
        else {
            return;
        };
        hold.keep();
        let file = hold.file();
        let insert = move |connection: &Connection, _: &Option<UploadLease>| {
            let wanted = Rights::CREATE.union(Rights::REPLACE);
            let (permit, names) = enter_with(connection, &caller, &path, wanted)?;
            let key = UploadPath::new(caller.identity, &permit, &names).upload(size, mtime);
            partial_uploads::insert(connection, file, &key)
        };
        // Whoever waits for the end of the attempt is to find the row, too.
        let lease = self.lease.clone();
        drop(self.changes().submit_holding(lease, insert, |_, _, _| Ok(())).await);
    }
}

fn storage(source: std::io::Error) -> ServerError {
    ServerError::file(Path::new("incoming"))(source)
}
