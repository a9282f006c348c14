//! `log`: the caller's transfers.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{LogQuery, Reply, Transfer};
use sealift_types::Location;

use super::answer::to_reply;
use crate::caller::Caller;
use crate::error::Result;
use crate::monitor::requests::RequestOutcome;
use crate::session::SessionWriter;
use crate::state::ServerState;
use crate::store::entries;
use crate::store::transfers::{self, TransferFilter};

/// Records in one answer, over all its replies.
const MOST: usize = 1000;

/// Bytes of records in one reply, as JSON: within the limit of a control frame.
const PAGE: usize = 32 * 1024;

/// Sends the records, newest first, page by page: no more than one is held, however slowly the client reads.
pub async fn serve(
    state: &Arc<ServerState>,
    caller: &Caller,
    writer: &mut SessionWriter,
    query: LogQuery,
) -> Result<RequestOutcome> {
    // What was noted before is to be seen; what could not be written is not there, and no reason to say nothing.
    let _ = caller.changes(&state.catalog).write(|_| Ok(())).await;
    let mut left = match usize::try_from(query.limit) {
        Ok(limit @ 1..) => limit.min(MOST),
        _ => MOST,
    };
    let mut before = query.before;
    loop {
        let (caller, query) = (caller.clone(), LogQuery { before, ..query.clone() });
        let page = state.catalog.read(move |connection| page(connection, &caller, &query, left)).await;
        let (reply, more) = match page {
            Ok((transfers, more)) => {
                left -= transfers.len();
                before = transfers.last().map(|last| last.id);
                (Reply::Log { transfers, more }, more)
            }
            Err(error) => (to_reply(Err(error)), false),
        };
        writer.push(&reply)?;
        if !more {
            return Ok(RequestOutcome::of(&reply));
        }
        writer.flush().await?;
    }
}

fn page(
    connection: &Connection,
    caller: &Caller,
    query: &LogQuery,
    left: usize,
) -> Result<(Vec<Transfer>, bool)> {
    caller.verify(connection)?;
    let path = match query.path.as_ref().map(|path| path.locate(&caller.name)).transpose()? {
        Some(Location::In { space, names }) => Some(entries::display(&space, &names)),
        Some(Location::Spaces) | None => None,
    };
    let filter = TransferFilter {
        identity: caller.identity,
        before: query.before,
        direction: query.direction,
        failed: query.failed,
        previews: query.previews,
        path,
    };
    transfers::newest(connection, &filter, left, PAGE)
}
