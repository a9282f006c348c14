//! An upload that continues what an earlier one left.

use sealift_protocol::message::{Part, Put};
use sealift_types::{ErrorCode, Rights};
use tracing::warn;

use super::sink::UploadSink;
use super::upload_reader::UploadReader;
use crate::error::{Result, ServerError};
use crate::request::access::enter_with;
use crate::store::partial_uploads::{self, UploadPath};
use crate::store::upload_leases::UploadLease;

/// Takes the part for this upload, if it is there and is what the client has; one that is not the same goes.
pub(super) async fn resume(
    upload: &mut UploadReader<'_>,
    put: &Put,
    part: Part,
) -> Result<(UploadSink, Option<UploadLease>)> {
    let state = upload.state;
    let (size, mtime) = put.size.zip(put.mtime).ok_or_else(absent)?;
    let (caller, path, blobs) = (upload.caller.clone(), put.path.clone(), state.blobs.clone());
    let offered = state.catalog.read(move |connection| {
        let wanted = Rights::CREATE.union(Rights::REPLACE);
        let (permit, names) = enter_with(connection, &caller, &path, wanted)?;
        let key = UploadPath::new(caller.identity, &permit, &names).upload(size, mtime);
        partial_uploads::offer(connection, &blobs, &key)
    });
    let offer = offered.await?.filter(|offer| offer.offset == part.size).ok_or_else(absent)?;
    let hashed = upload.prefixes.hashed(state, offer).await;
    // Not before: a client that loses patience meanwhile may come back, and is offered the part again.
    let hold = partial_uploads::take(&state.blobs, offer, size)?.ok_or_else(absent)?;
    let mark = match hashed {
        Ok(mark) if mark.hasher.clone().finish() == part.sha256 => mark,
        Err(ServerError::Stopped) => return Err(ServerError::Stopped),
        hashed => {
            if let Err(error) = hashed {
                warn!(%error, "what an upload left cannot be read");
            }
            // Before the file can be offered again. The collector removes it.
            let changes = upload.caller.changes(&state.catalog);
            changes.write(move |connection| partial_uploads::remove(connection, offer.file)).await?;
            return Err(absent());
        }
    };
    hold.keep();
    // Not before: while the part is hashed nothing is received, and it may still be offered to others.
    let lease = upload.lease(put);
    let incoming = state.blobs.resume(hold, offer.offset)?;
    let sink = UploadSink::resumed(state.clone(), lease.clone(), upload.caller, put, incoming, mark).await?;
    Ok((sink, lease))
}

fn absent() -> ServerError {
    ServerError::refused(ErrorCode::Absent, "there is no such part to continue: send the file from the start")
}
