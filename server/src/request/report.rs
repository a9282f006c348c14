//! `report`: a client tells that what it received is not what was stored.

use std::sync::Arc;

use sealift_protocol::message::{Reply, Report};
use sealift_types::{ErrorCode, Location};
use tracing::{error, warn};

use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::log_limit::LogLimit;
use crate::state::ServerState;
use crate::store::{entries, transfers};

static REPORTED: LogLimit = LogLimit::new();

/// Corrects the log, and has the stored copy read: a client's word alone takes no content out of others' reach. If the copy
/// is damaged, an upload can mend it, and the administrator is called for.
pub async fn serve(state: &Arc<ServerState>, caller: &Caller, report: Report) -> Result<Reply> {
    let (here, sha256) = (caller.clone(), report.sha256);
    let catalog = caller.changes(&state.catalog);
    let marked = catalog.write(move |connection| {
        here.verify(connection)?;
        here.refuse_changes()?;
        let Location::In { space, names } = report.path.locate(&here.name)? else { return Ok(false) };
        let path = entries::display(&space, &names);
        transfers::mark_corrupt(connection, here.identity, &here.address, &path, &sha256)
    });
    if !marked.await? {
        return Err(ServerError::refused(
            ErrorCode::NotFound,
            "no such download over this connection is in the log",
        ));
    }
    // Nobody waits for that: the client has nothing to do with what comes of it. With the whole state, so that a server that
    // stops does not wait either.
    let (here, identity) = (state.clone(), caller.name.clone());
    tokio::spawn(async move {
        match here.copies.read_reported(&sha256).await {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => {
                if let Some(suppressed) = REPORTED.pass() {
                    warn!(%sha256, %identity, suppressed, "a download did not verify at its receiver, and the stored copy is good");
                }
            }
            Some(Err(error)) => error!(%error, %sha256, "a stored content cannot be verified"),
        }
    });
    Ok(Reply::Done {})
}
