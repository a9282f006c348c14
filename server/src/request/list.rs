//! `list`: what is in a directory.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::Location;
use sealift_protocol::message::{Entry, EntryKind, List, Reply};

use super::{enter_with, find_place, to_reply};
use crate::error::Result;
use crate::policy::Rights;
use crate::session::{Caller, Writer};
use crate::state::State;
use crate::store::entries::{self, Place};
use crate::store::spaces;

/// Entries in one reply: even with the longest names, as JSON, they fit a control frame.
const PAGE: usize = 64;

/// Sends the entries page by page; no more than one is held, whatever the directory's size.
pub async fn serve(state: &Arc<State>, caller: &Caller, writer: &mut Writer, list: List) -> Result<()> {
    let mut after = Some(String::new());
    while let Some(from) = after.take() {
        let (caller, list) = (caller.clone(), list.clone());
        let page = state.catalog.read(move |connection| page(connection, &caller, &list, &from)).await;
        let (reply, next) = match page {
            Ok((entries, next)) => (Reply::Entries { entries, more: next.is_some() }, next),
            Err(error) => (to_reply(Err(error)), None),
        };
        writer.push(&reply)?;
        if next.is_some() {
            writer.flush().await?;
        }
        after = next;
    }
    Ok(())
}

fn page(
    connection: &Connection,
    caller: &Caller,
    list: &List,
    after: &str,
) -> Result<(Vec<Entry>, Option<String>)> {
    if list.path.locate(&caller.name)? == Location::Spaces {
        caller.verify(connection)?;
        return spaces_after(connection, caller, after);
    }
    let (permit, names) = enter_with(connection, caller, &list.path, Rights::READ)?;
    match find_place(connection, &permit, &list.path, &names)? {
        Place::File(node, _) => Ok((vec![node.to_entry()], None)),
        directory => entries::list(connection, &permit, &directory, after, PAGE),
    }
}

fn spaces_after(
    connection: &Connection,
    caller: &Caller,
    after: &str,
) -> Result<(Vec<Entry>, Option<String>)> {
    let mut entries: Vec<_> = spaces::of_identity(connection, caller.identity)?
        .into_iter()
        .filter(|space| space.name.as_str() > after)
        .map(|space| Entry {
            name: space.name.to_string(),
            kind: EntryKind::Space,
            size: 0,
            mtime: space.created_at,
            executable: false,
            sha256: None,
            target: None,
            by: space.owner,
        })
        .collect();
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let next = if more { entries.last().map(|entry| entry.name.clone()) } else { None };
    Ok((entries, next))
}
