//! `report`: a client tells that what it received is not what was stored.

use std::sync::Arc;

use sealift_protocol::message::{Reply, Report};
use sealift_protocol::{ErrorCode, Location};
use tracing::error;

use crate::error::{Error, Result};
use crate::session::Caller;
use crate::state::State;
use crate::store::{entries, objects, transfers};

/// Corrects the log, sees to it that an upload can mend the content, and calls for the administrator.
pub async fn serve(state: &Arc<State>, caller: &Caller, report: Report) -> Result<Reply> {
    let here = caller.clone();
    let marked = state.catalog.write(move |connection| {
        here.verify(connection)?;
        here.refuse_changes()?;
        let Location::In { space, names } = report.path.locate(&here.name)? else { return Ok(false) };
        let path = entries::display(&space, &names);
        let marked =
            transfers::mark_corrupt(connection, here.identity, &here.address, &path, &report.sha256)?;
        if marked {
            objects::suspect(connection, &report.sha256)?;
        }
        Ok(marked)
    });
    if !marked.await? {
        return Err(Error::refused(
            ErrorCode::NotFound,
            "no such download over this connection is in the log",
        ));
    }
    error!(
        sha256 = %report.sha256,
        "a download did not verify at its receiver: compare `sha256sum` of the blob with its name"
    );
    Ok(Reply::Done {})
}
