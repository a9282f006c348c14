//! `info`: everything about one path.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{Description, EntryKind, Info, Reply};

use super::access::{enter_with, find_place};
use crate::caller::Caller;
use crate::error::Result;
use crate::state::ServerState;
use crate::store::entries::{self, EntryPlace};
use crate::store::spaces;
use sealift_types::Rights;

/// Describes the path.
pub async fn serve(state: &Arc<ServerState>, caller: &Caller, info: Info) -> Result<Reply> {
    let caller = caller.clone();
    state.catalog.read(move |connection| describe(connection, &caller, &info)).await.map(Reply::Info)
}

fn describe(connection: &Connection, caller: &Caller, info: &Info) -> Result<Description> {
    let (permit, names) = enter_with(connection, caller, &info.path, Rights::READ)?;
    let path = entries::display(permit.name(), &names).parse()?;
    Ok(match find_place(connection, &permit, &info.path, &names)? {
        EntryPlace::Root => {
            let rows = spaces::of_identity(connection, caller.identity)?;
            let space = rows.into_iter().find(|row| row.name == *permit.name());
            let (created_at, by) = space.map_or((0, None), |space| (space.created_at, space.owner));
            Description {
                path,
                kind: EntryKind::Space,
                size: None,
                sha256: None,
                mtime: created_at,
                executable: false,
                target: None,
                stored_at: created_at,
                by,
                stored_bytes: None,
            }
        }
        EntryPlace::Directory(node) => Description {
            path,
            kind: EntryKind::Directory,
            size: None,
            sha256: None,
            mtime: node.mtime,
            executable: false,
            target: None,
            stored_at: node.stored_at,
            by: Some(node.by),
            stored_bytes: None,
        },
        EntryPlace::Link(node, target) => Description {
            path,
            kind: EntryKind::Link,
            size: None,
            sha256: None,
            mtime: node.mtime,
            executable: false,
            target: Some(target),
            stored_at: node.stored_at,
            by: Some(node.by),
            stored_bytes: None,
        },
        EntryPlace::File(node, file) => Description {
            path,
            kind: EntryKind::File,
            size: Some(file.size),
            sha256: Some(file.digest),
            mtime: node.mtime,
            executable: file.executable,
            target: None,
            stored_at: node.stored_at,
            by: Some(node.by),
            // What the extents or the row hold. Whether others share them is nobody's business.
            stored_bytes: Some(file.size),
        },
    })
}
