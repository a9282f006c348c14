//! `slice`: brings a slice of an upload that another connection of the same identity has under way.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_pipeline::ReorderBuffer;
use sealift_protocol::frame::HEADER;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::Slice;
use sealift_protocol::{FrameKind, WireError};
use sealift_types::ErrorCode;
use tracing::debug;

use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::session::SessionReader;
use crate::state::ServerState;

/// What came of a slice.
#[derive(Debug)]
pub enum SliceAcceptance {
    /// It was received, and is answered when its turn has come.
    Taken(Arc<ReorderBuffer>, u64),
    /// It is empty, and there is an upload to bring others of.
    Welcome,
    /// It was refused; the body may still be on its way.
    Refused(WireError),
}

/// Receives a slice. An error means that the connection is of no further use.
pub async fn accept(
    state: &Arc<ServerState>,
    caller: &Caller,
    reader: &mut SessionReader,
    slice: Slice,
) -> Result<SliceAcceptance> {
    match receive(state, caller, reader, slice).await {
        Err(error @ (ServerError::Refused(_) | ServerError::Catalog(_))) => {
            debug!(%error, "a slice was refused");
            Ok(SliceAcceptance::Refused(error.to_wire()))
        }
        received => received,
    }
}

async fn receive(
    state: &Arc<ServerState>,
    caller: &Caller,
    reader: &mut SessionReader,
    slice: Slice,
) -> Result<SliceAcceptance> {
    let here = caller.clone();
    state.catalog.read(move |connection: &Connection| here.verify(connection)).await?;
    let upload = state.shared.find(caller.identity, slice.key).ok_or_else(absent)?;
    if !upload.widen(|| state.room_ahead(caller.identity)) {
        return Err(absent());
    }
    upload.watch(&reader.stream().liveness());
    if slice.length == 0 {
        return Ok(SliceAcceptance::Welcome);
    }
    let index = upload.index(slice.offset, slice.length)?;
    let mut filling = upload.order().fill(index).await.ok_or_else(absent)?;
    let stall = state.config().timeouts.stall();
    let mut left = slice.length;
    while left > 0 {
        let header = reader.header(stall).await?.ok_or(StreamError::Closed)?;
        if header.kind() != FrameKind::Data {
            return Err(StreamError::Unexpected(header.kind()).into());
        }
        let length = header.length() as u64;
        if length > left {
            reader.skip(header).await?;
            let message = "more bytes came of a slice than were announced";
            return Err(ServerError::refused(ErrorCode::BadRequest, message));
        }
        filling.receive(reader, header).await?;
        left -= length;
        upload.received(length, length + HEADER as u64);
    }
    filling.pass();
    Ok(SliceAcceptance::Taken(upload.order().clone(), index))
}

/// The refusal of a slice of an upload that is not there, or is not shared.
pub fn absent() -> ServerError {
    let message =
        "there is no such upload to bring a slice of: send it over the connection that puts the file";
    ServerError::refused(ErrorCode::Absent, message)
}
