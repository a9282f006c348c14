//! `remove`: deletes a file or an empty directory.

use std::sync::Arc;

use sealift_protocol::message::{Remove, Reply};

use super::{enter_with, find_place};
use crate::error::Result;
use crate::policy::Rights;
use crate::session::Caller;
use crate::state::State;
use crate::store::entries;

/// Deletes the entry; the content goes with its last name.
pub async fn serve(state: &Arc<State>, caller: &Caller, remove: Remove) -> Result<Reply> {
    let caller = caller.clone();
    let removed = state.catalog.write(move |connection| {
        let (permit, names) = enter_with(connection, &caller, &remove.path, Rights::DELETE)?;
        find_place(connection, &permit, &remove.path, &names)?;
        entries::remove(connection, &permit, &names)
    });
    removed.await?;
    state.garbage.notify_one();
    Ok(Reply::Done {})
}
