//! `list`: what is in a directory, or everything below it.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{Entry, EntryKind, List, Reply};
use sealift_types::path::name_key;
use sealift_types::{ErrorCode, Location, Rights};

use super::access::{enter_with, find_place};
use super::answer::{push, to_reply};
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::monitor::requests::RequestOutcome;
use crate::session::SessionWriter;
use crate::state::ServerState;
use crate::store::entries::{self, EntryPage, EntryPlace};
use crate::store::spaces;

/// Sends the entries page by page; no more than one is held, whatever there is to list.
pub async fn serve(
    state: &Arc<ServerState>,
    caller: &Caller,
    writer: &mut SessionWriter,
    list: List,
) -> Result<RequestOutcome> {
    let mut left = if list.limit == 0 { u64::MAX } else { list.limit };
    let mut after = Some(list.after.clone().unwrap_or_default());
    let mut outcome = RequestOutcome::Ok;
    let mut since = list.since.clone();
    while let Some(from) = after.take() {
        // Before the snapshot: whatever comes later is a change.
        let now = since.is_some().then(|| state.disturbances.state());
        since = since.map(|since| if since.is_empty() { now.clone().unwrap_or_default() } else { since });
        let page = {
            let (caller, list) = (caller.clone(), list.clone());
            state.catalog.read(move |connection| page(connection, &caller, &list, &from, left)).await
        };
        let changed =
            since.as_ref().is_some_and(|since| state.disturbances.since(since, &caller.name, &list.path));
        let reply = match page.map(EntryPage::finish) {
            Ok((entries, more)) => {
                left -= entries.len() as u64;
                after = entries.last().filter(|_| more).map(|entry| entry.name.clone());
                Reply::Entries { entries, more: after.is_some(), state: now, changed }
            }
            Err(error) => to_reply(Err(error)),
        };
        outcome = RequestOutcome::of(&reply);
        push(writer, &reply)?;
        if after.is_some() {
            writer.flush().await?;
        }
    }
    Ok(outcome)
}

fn page(connection: &Connection, caller: &Caller, list: &List, after: &str, limit: u64) -> Result<EntryPage> {
    let mut page = EntryPage::new(limit).with_etags(list.etags);
    if list.path.locate(&caller.name)? == Location::Spaces {
        caller.verify(connection)?;
        if list.recursive {
            return Err(ServerError::refused(
                ErrorCode::BadRequest,
                "/ is the list of spaces, whose contents are listed one by one: name a space, as in /NAME",
            ));
        }
        fill_with_spaces(connection, caller, after, &mut page)?;
        return Ok(page);
    }
    let (permit, names) = enter_with(connection, caller, &list.path, Rights::READ)?;
    let place = find_place(connection, &permit, &list.path, &names)?;
    match &place {
        EntryPlace::Root | EntryPlace::Directory(_) => {
            entries::list(connection, &permit, &place, list.recursive, after, &mut page)?;
        }
        EntryPlace::File(..) | EntryPlace::Link(..) => {
            if place.name().is_some_and(|name| name_key(name) > name_key(after)) {
                page.take_place(&place, "");
            }
        }
    }
    Ok(page)
}

fn fill_with_spaces(
    connection: &Connection,
    caller: &Caller,
    after: &str,
    page: &mut EntryPage,
) -> Result<()> {
    for space in spaces::of_identity(connection, caller.identity)? {
        if space.name.as_str() <= after {
            continue;
        }
        let entry = Entry {
            name: space.name.to_string(),
            kind: EntryKind::Space,
            size: 0,
            mtime: space.created_at,
            executable: false,
            sha256: None,
            target: None,
            by: space.owner,
            etag: None,
        };
        if !page.take(entry) {
            break;
        }
    }
    Ok(())
}
