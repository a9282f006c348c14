//! `get`: sends a file's content.

mod ahead;

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::WireError;
use sealift_protocol::frame::HEADER;
use sealift_protocol::message::{Content, Direction, Get, MAX_INLINE, Reply, Trailer};
use sealift_types::{Digest, EntryPath, ErrorCode, Rights};
use tracing::error;

use self::ahead::ContentReadAhead;
use super::access::{enter_with, find_place};
use super::answer::to_reply;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::monitor::requests::RequestOutcome;
use crate::session::SessionWriter;
use crate::state::ServerState;
use crate::store::blobs::{ExtentReader, FileGuard};
use crate::store::entries::{self, EntryPlace};
use crate::store::objects::{self, ContentBytes};
use crate::transfer_guard::TransferGuard;

/// Bytes of small contents that are looked up before the first of them is sent, beyond those of one.
const AHEAD: usize = 256 * 1024;

/// A get whose file was looked up.
#[derive(Debug)]
pub struct LocatedFile {
    ticket: TransferGuard,
    opened: Result<(Content, ContentSource)>,
    path: EntryPath,
    /// The most bytes that are wanted.
    length: Option<u64>,
}

/// A content of which a range was sent. Those that follow it on the same connection share its row of the log.
#[derive(Debug)]
pub struct RangedRead {
    ticket: TransferGuard,
    path: EntryPath,
    sha256: Digest,
    bytes: u64,
    wire_bytes: u64,
}

impl RangedRead {
    /// No more ranges follow, because the client wants none, or because it is gone.
    pub async fn finish(self, gone: bool) {
        self.ticket.finish(gone.then_some(ErrorCode::Interrupted)).await;
    }

    /// Whether what was found is more of the same.
    fn goes_on(
        &self,
        ticket: &TransferGuard,
        path: &EntryPath,
        opened: &Result<(Content, ContentSource)>,
    ) -> bool {
        let same = self.path == *path && self.ticket.is_preview() == ticket.is_preview();
        same && opened.as_ref().is_ok_and(|(content, _)| content.sha256 == self.sha256)
    }
}

/// Looks up files in one go: up to the first that is not in the catalog, as far as there is room in memory.
pub async fn find_all(
    state: &Arc<ServerState>,
    caller: &Caller,
    gets: &VecDeque<Get>,
) -> Result<Vec<LocatedFile>> {
    let guard = Arc::new(state.blobs.guard());
    let (here, wanted, blobs, guarded) = (caller.clone(), gets.clone(), state.blobs.clone(), guard.clone());
    let look = move |connection: &Connection| {
        let (mut found, mut held) = (Vec::with_capacity(wanted.len()), 0);
        let mut packs = blobs.packs(&guarded);
        for get in &wanted {
            let mut one = find(connection, &here, get);
            if let Ok((content, bytes)) = &mut one
                && content.size <= MAX_INLINE
                && let ContentBytes::Extents(extents) = bytes
                // Should it be damaged, `open` finds out.
                && let Ok(data) = packs.read(extents)
            {
                *bytes = ContentBytes::Inline(data);
            }
            let enough = match &one {
                Ok((_, ContentBytes::Inline(data))) => {
                    held += data.len();
                    held > AHEAD
                }
                // No more than one open file for each connection.
                Ok((_, ContentBytes::Extents(_))) => true,
                Err(_) => false,
            };
            found.push(one);
            if enough {
                break;
            }
        }
        Ok(found)
    };
    let found = state.catalog.read(look).await?;
    let open = |(found, get): (_, &Get)| {
        let ticket = TransferGuard::new(state, caller, Direction::Get, &get.path);
        let ticket = if get.preview { ticket.of_preview() } else { ticket };
        LocatedFile { ticket, opened: open(state, found, &guard), path: get.path.clone(), length: get.length }
    };
    Ok(found.into_iter().zip(gets).map(open).collect())
}

/// Opens the files that hold a content.
fn open(
    state: &ServerState,
    found: Result<(Content, ContentBytes)>,
    guard: &FileGuard,
) -> Result<(Content, ContentSource)> {
    match found? {
        (content, ContentBytes::Inline(data)) => Ok((content, ContentSource::Memory(data))),
        (content, ContentBytes::Extents(extents)) => {
            match state.blobs.read(&extents, content.offset, guard) {
                Ok(reader) => Ok((content, ContentSource::Files(reader))),
                Err(error) if error.is_damage() => {
                    error!(%error, "a blob is missing, or does not reach where a content should be");
                    let sha256 = content.sha256;
                    state.catalog.post(move |connection| objects::quarantine(connection, &sha256));
                    Err(ServerError::Refused(damage(&sha256)))
                }
                Err(error) => Err(error),
            }
        }
    }
}

/// Sends the content from the offset on, then its digest. `carried` is what the get before this one sent a range of.
pub async fn send(
    state: &Arc<ServerState>,
    writer: &mut SessionWriter,
    found: LocatedFile,
    carried: &mut Option<RangedRead>,
) -> Result<RequestOutcome> {
    let before = writer.bytes();
    let LocatedFile { mut ticket, opened, path, length } = found;
    ticket.transfer().serve_here();
    let mut crossed = (0, 0);
    match carried.take() {
        Some(earlier) if length.is_some() && earlier.goes_on(&ticket, &path, &opened) => {
            ticket.withdraw();
            (ticket, crossed) = (earlier.ticket, (earlier.bytes, earlier.wire_bytes));
        }
        Some(earlier) => earlier.finish(false).await,
        None => {}
    }
    let (content, source) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let reply = to_reply(Err(error));
            if let Reply::Error(error) = &reply {
                ticket.finish(Some(error.code)).await;
            }
            super::push(writer, &reply)?;
            return Ok(RequestOutcome::of(&reply));
        }
    };
    let Content { size, sha256, offset, .. } = content;
    ticket.identify(sha256);
    ticket.transfer().expect(size);
    writer.push(&Reply::Content(content))?;
    let rest = length.map_or(size - offset, |length| length.min(size - offset));
    let trailer = match source {
        ContentSource::Memory(data) => {
            let range = usize::try_from(offset).ok().zip(usize::try_from(offset + rest).ok());
            match range.and_then(|(start, end)| data.get(start..end)).filter(|_| data.len() as u64 == size) {
                Some(range) => {
                    send_small(writer, range)?;
                    Trailer::End { size, sha256 }
                }
                None => damaged(&sha256),
            }
        }
        ContentSource::Files(reader) => {
            let progress =
                |sent, wire_bytes| ticket.progress(crossed.0 + sent, crossed.1 + wire_bytes - before);
            let (lender, turns) = (state.budget.speed(ticket.identity()), state.reads.clone());
            let ahead = ContentReadAhead::new(reader, rest, lender, turns);
            match send_files(writer, ahead, &sha256, progress).await? {
                true => Trailer::End { size, sha256 },
                false => damaged(&sha256),
            }
        }
    };
    writer.push(&trailer)?;
    let error = match trailer {
        Trailer::End { .. } => None,
        Trailer::Error(error) => Some(error.code),
    };
    let (bytes, wire_bytes) = (crossed.0 + rest, crossed.1 + writer.bytes() - before);
    if error.is_none() {
        ticket.progress(bytes, wire_bytes);
        if offset + rest < size {
            *carried = Some(RangedRead { ticket, path, sha256, bytes, wire_bytes });
            return Ok(RequestOutcome::Ok);
        }
    }
    if error == Some(ErrorCode::Integrity) {
        state.catalog.post(move |connection| objects::quarantine(connection, &sha256));
    }
    ticket.finish(error).await;
    Ok(RequestOutcome::of_error(error))
}

/// The whole content of a file, as [`find_all`] and [`send`] would read it.
#[cfg(test)]
pub(crate) async fn whole(state: &Arc<ServerState>, caller: &Caller, path: EntryPath) -> Result<Vec<u8>> {
    use std::io::Read;
    use std::path::Path;
    let gets = VecDeque::from([Get::whole(path)]);
    let mut found = find_all(state, caller, &gets).await?;
    let Some(LocatedFile { ticket, opened, .. }) = found.pop() else { return Err(ServerError::Stopped) };
    ticket.withdraw();
    match opened? {
        (_, ContentSource::Memory(data)) => Ok(data),
        (content, ContentSource::Files(mut reader)) => {
            let mut data = Vec::new();
            let read = reader.read_to_end(&mut data).map_err(ServerError::file(Path::new("blobs")));
            read.and_then(|_| {
                if Digest::of(&data) == content.sha256 {
                    Ok(data)
                } else {
                    Err(damage(&content.sha256).into())
                }
            })
        }
    }
}

#[derive(Debug)]
enum ContentSource {
    Memory(Vec<u8>),
    Files(ExtentReader),
}

/// What is sent, and where its bytes are.
fn find(connection: &Connection, caller: &Caller, get: &Get) -> Result<(Content, ContentBytes)> {
    let Get { path, offset, sha256, .. } = get;
    let (permit, names) = enter_with(connection, caller, path, Rights::READ)?;
    match find_place(connection, &permit, path, &names)? {
        EntryPlace::File(node, file) => {
            // An offset into another content is of no use here.
            let offset = if sha256.is_none_or(|meant| meant == file.digest) { *offset } else { 0 };
            if offset > file.size {
                let message = format!(
                    "the file has {} bytes, so none at {offset}: ask for a smaller offset",
                    file.size
                );
                return Err(ServerError::refused(ErrorCode::BadRequest, message));
            }
            let bytes = objects::bytes(connection, file.object)?;
            let content = Content {
                size: file.size,
                sha256: file.digest,
                mtime: node.mtime,
                executable: file.executable,
                offset,
            };
            Ok((content, bytes))
        }
        EntryPlace::Root | EntryPlace::Directory(_) => Err(entries::is_a_directory(&permit, &names)),
        EntryPlace::Link(..) => Err(entries::is_a_link(&permit, &names)),
    }
}

fn send_small(writer: &mut SessionWriter, data: &[u8]) -> Result<()> {
    if !data.is_empty() {
        writer.push_data(data)?;
    }
    Ok(())
}

/// Reads ahead while this task encrypts and sends. Returns whether all was there.
async fn send_files(
    writer: &mut SessionWriter,
    mut ahead: ContentReadAhead,
    sha256: &Digest,
    progress: impl Fn(u64, u64),
) -> Result<bool> {
    let mut sent = 0;
    loop {
        let block = match ahead.next().await {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(true),
            Err(error) => {
                error!(%error, %sha256, "a blob could not be read");
                return Ok(false);
            }
        };
        for frame in block.iter() {
            writer.write_frame(frame).await?;
            sent += (frame.len() - HEADER) as u64;
            progress(sent, writer.bytes());
        }
        ahead.recycle(block);
    }
}

fn damaged(sha256: &Digest) -> Trailer {
    Trailer::Error(damage(sha256))
}

fn damage(sha256: &Digest) -> WireError {
    error!(%sha256, "a stored content is damaged: restore it from a backup, or put the file again");
    WireError::new(
        ErrorCode::Integrity,
        "the server's copy is damaged: put the file again, or ask the administrator to restore it from a backup",
    )
}
