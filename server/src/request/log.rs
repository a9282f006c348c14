//! `log`: the caller's transfers.

use std::sync::Arc;

use sealift_protocol::Location;
use sealift_protocol::message::{LogQuery, Reply, Transfer};

use super::to_reply;
use crate::error::Result;
use crate::monitor::requests::Outcome;
use crate::session::{Caller, Writer};
use crate::state::State;
use crate::store::entries;
use crate::store::transfers::{self, Filter};

/// Records in one answer, over all its replies.
const MOST: usize = 1000;

/// Bytes of records in one reply, as JSON: within the limit of a control frame.
const PAGE: usize = 32 * 1024;

/// Sends the records, newest first.
pub async fn serve(
    state: &Arc<State>,
    caller: &Caller,
    writer: &mut Writer,
    query: LogQuery,
) -> Result<Outcome> {
    // What was noted before is to be seen; what could not be written is not there, and no reason to say nothing.
    let _ = state.catalog.write(|_| Ok(())).await;
    let caller = caller.clone();
    let found = state.catalog.read(move |connection| {
        caller.verify(connection)?;
        let path = match query.path.as_ref().map(|path| path.locate(&caller.name)).transpose()? {
            Some(Location::In { space, names }) => Some(entries::display(&space, &names)),
            Some(Location::Spaces) | None => None,
        };
        let filter = Filter {
            identity: caller.identity,
            before: query.before,
            direction: query.direction,
            failed: query.failed,
            path,
        };
        let limit = match usize::try_from(query.limit) {
            Ok(limit @ 1..) => limit.min(MOST),
            _ => MOST,
        };
        transfers::newest(connection, &filter, limit)
    });
    let mut records = match found.await {
        Ok(records) => records.into_iter().peekable(),
        Err(error) => {
            let reply = to_reply(Err(error));
            writer.push(&reply)?;
            return Ok(Outcome::of(&reply));
        }
    };
    loop {
        let mut transfers: Vec<Transfer> = Vec::new();
        let mut size = 0;
        while size < PAGE
            && let Some(record) = records.next()
        {
            // A path's every byte may need an escape; 512 holds all other fields.
            size += 2 * record.path.as_str().len() + 512;
            transfers.push(record);
        }
        let more = records.peek().is_some();
        writer.push(&Reply::Log { transfers, more })?;
        if !more {
            return Ok(Outcome::Ok);
        }
        writer.flush().await?;
    }
}
