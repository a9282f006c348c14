//! Requests of the engine that move no contents, over a connection that is lent for each.

use sealift_transfer::{Client, TransferError, remote};
use sealift_types::Name;

use super::context::EngineContext;
use super::messages::EngineUpdate;
use crate::model::Undo;

pub(super) fn did(text: String, undo: Option<Undo>) -> EngineUpdate {
    EngineUpdate::Did { text, undo, touched: true }
}

/// Lends a client of the profile for work that only reads. If the connection that it had turned out to be stale before
/// anything was `answered`, the work begins again with another one.
pub(super) async fn read<T>(
    shared: &EngineContext,
    profile: &Name,
    mut work: impl AsyncFnMut(&mut Client, &mut bool) -> Result<T, TransferError>,
) -> Result<T, TransferError> {
    loop {
        let mut client = shared.client(profile)?;
        let was_connected = client.is_connected();
        let mut answered = false;
        match work(&mut client, &mut answered).await {
            Err(error) if was_connected && !answered && is_stale(&error) => {}
            result => {
                shared.give_back(profile, client);
                return result;
            }
        }
    }
}

/// Lends a client of the profile for work that changes something. The work is never repeated, because a server that is
/// lost may have done it. A connection that was idle is tried first with a request that changes nothing.
pub(super) async fn change<T>(
    shared: &EngineContext,
    profile: &Name,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, TransferError>,
) -> Result<T, TransferError> {
    let mut client = ready(shared, profile).await?;
    let result = work(&mut client).await;
    shared.give_back(profile, client);
    result
}

/// A client of which the connection is either good or not made yet.
async fn ready(shared: &EngineContext, profile: &Name) -> Result<Client, TransferError> {
    loop {
        let mut client = shared.client(profile)?;
        if !client.is_connected() {
            return Ok(client);
        }
        match remote::whoami(client.connection().await?).await {
            Ok(_) => return Ok(client),
            Err(error) if is_stale(&error) => {}
            Err(error) => {
                shared.give_back(profile, client);
                return Err(error);
            }
        }
    }
}

/// True if the connection was of no use any more: a server closes connections that nobody uses.
fn is_stale(error: &TransferError) -> bool {
    match error {
        TransferError::Lost(_) => true,
        TransferError::Refused(error) => error.retry,
        _ => false,
    }
}
