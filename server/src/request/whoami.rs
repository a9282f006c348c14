//! `whoami`: the caller's identity and rights.

use std::sync::Arc;

use sealift_protocol::message::{Account, Reply, SpaceRights};

use crate::SERVER;
use crate::caller::Caller;
use crate::error::Result;
use crate::state::ServerState;
use crate::store::spaces;

/// Tells who the caller is.
pub async fn serve(state: &Arc<ServerState>, caller: &Caller) -> Result<Reply> {
    let caller = caller.clone();
    let read = state.catalog.read(move |connection| {
        caller.verify(connection)?;
        let spaces = spaces::of_identity(connection, caller.identity)?;
        let spaces = spaces.into_iter().map(|space| SpaceRights {
            space: space.name,
            rights: space.rights.names().into_iter().map(str::to_owned).collect(),
        });
        Ok(Reply::Identity(Account {
            identity: caller.name,
            uri: caller.uri,
            expires: caller.expires,
            server: SERVER.into(),
            spaces: spaces.collect(),
        }))
    });
    read.await
}
