//! An upload that continues what an earlier one left.

use sealift_protocol::ErrorCode;
use sealift_protocol::message::{Part, Put};
use tracing::warn;

use super::Upload;
use super::sink::Sink;
use crate::error::{Error, Result};
use crate::policy::Rights;
use crate::request::enter_with;
use crate::store::attempts::Attempt;
use crate::store::parts::{self, Target};

/// Takes the part for this upload, if it is there and is what the client has; one that is not the same goes.
pub(super) async fn resume(
    upload: &mut Upload<'_>,
    put: &Put,
    part: Part,
) -> Result<(Sink, Option<Attempt>)> {
    let state = upload.state;
    let (size, mtime) = put.size.zip(put.mtime).ok_or_else(absent)?;
    let (caller, path, blobs) = (upload.caller.clone(), put.path.clone(), state.blobs.clone());
    let offered = state.catalog.read(move |connection| {
        let wanted = Rights::CREATE.union(Rights::REPLACE);
        let (permit, names) = enter_with(connection, &caller, &path, wanted)?;
        let key = Target::new(caller.identity, &permit, &names).upload(size, mtime);
        parts::offer(connection, &blobs, &key)
    });
    let offer = offered.await?.filter(|offer| offer.offset == part.size).ok_or_else(absent)?;
    let hashed = upload.prefixes.hashed(state, offer).await;
    // Not before: a client that loses patience meanwhile may come back, and is offered the part again.
    let hold = parts::take(&state.blobs, offer, size)?.ok_or_else(absent)?;
    let mark = match hashed {
        Ok(mark) if mark.hasher.clone().finish() == part.sha256 => mark,
        Err(Error::Stopped) => return Err(Error::Stopped),
        hashed => {
            if let Err(error) = hashed {
                warn!(%error, "what an upload left cannot be read");
            }
            // Before the file can be offered again. The collector removes it.
            let changes = upload.caller.changes(state);
            changes.write(move |connection| parts::remove(connection, offer.file)).await?;
            return Err(absent());
        }
    };
    hold.keep();
    // Not before: while the part is hashed nothing is received, and it may still be offered to others.
    let attempt = upload.attempt(put);
    let incoming = state.blobs.resume(hold, offer.offset)?;
    let sink = Sink::resumed(state.clone(), attempt.clone(), upload.caller, put, incoming, mark).await?;
    Ok((sink, attempt))
}

fn absent() -> Error {
    Error::refused(ErrorCode::Absent, "there is no such part to continue: send the file from the start")
}
