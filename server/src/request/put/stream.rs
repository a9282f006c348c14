//! A body of data frames with a trailer behind them.

use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Put, Trailer, Turn, decode};
use sealift_protocol::{Digest, ErrorCode, FrameKind};
use tracing::debug;

use super::commit::Brought;
use super::sink::{Arrived, Sink};
use super::{Failure, Received, Upload, mismatch, resume};
use crate::error::{Error, Result};
use crate::store::attempts::Attempt;
use crate::store::incoming::Incoming;

/// Receives the body. If it breaks off, what came stays to be continued; if it is refused, nothing does.
pub(super) async fn receive(upload: &mut Upload<'_>, put: &Put) -> Received {
    let (mut sink, attempt) = match &put.resume {
        None => {
            let attempt = upload.attempt(put);
            (Sink::new(upload.state.clone(), attempt.clone(), upload.caller, put), attempt)
        }
        Some(part) => resume::resume(upload, put, *part).await.map_err(Failure::incomplete)?,
    };
    let received = receive_into(&mut sink, attempt, upload, put).await;
    if received.as_ref().is_err_and(|failure| !failure.is_interruption()) {
        sink.discard().await;
    }
    received
}

async fn receive_into(
    sink: &mut Sink,
    attempt: Option<Attempt>,
    upload: &mut Upload<'_>,
    put: &Put,
) -> Received {
    let filled = match &attempt {
        None => fill(sink, upload, put).await,
        Some(attempt) => {
            let filled = tokio::select! {
                biased;
                filled = fill(sink, upload, put) => filled,
                () = attempt.superseded() => Err(silent(upload)),
            };
            attempt.over();
            filled
        }
    };
    drop(attempt);
    match filled? {
        Trailer::Error(error) => {
            // The client may ask at once what is left.
            sink.leave().await;
            Err(Failure::complete(Error::refused(error.code, error.message)))
        }
        Trailer::End { size, sha256 } => {
            let (arrived, total, digest) = sink.finish().await.map_err(Failure::complete)?;
            if (total, digest) != (size, sha256) || put.sha256.is_some_and(|announced| announced != digest) {
                return Err(Failure::complete(mismatch()));
            }
            if put.size.is_some_and(|announced| announced != total) {
                return Err(Failure::complete(Error::refused(
                    ErrorCode::SourceFailed,
                    "fewer bytes came than were announced: put the file again when nobody writes to it",
                )));
            }
            let brought = match arrived {
                Arrived::Small(data, memory) => {
                    let room = upload.room(memory, data.len()).map_err(Failure::complete)?;
                    Brought::Inline(data, Some(room))
                }
                Arrived::Large(incoming) => {
                    place(upload, incoming, digest).await.map_err(Failure::complete)?
                }
            };
            Ok((Some(brought), total, digest))
        }
    }
}

/// Takes all data frames. Returns what stands behind them.
async fn fill(sink: &mut Sink, upload: &mut Upload<'_>, put: &Put) -> std::result::Result<Trailer, Failure> {
    let broken = |error: StreamError| Failure::incomplete(error.into());
    loop {
        let header = upload.frame().await.map_err(Failure::incomplete)?;
        if header.kind() == FrameKind::Control {
            let payload = upload.reader.control(header).await.map_err(broken)?;
            if let Ok(Turn::Turn { offset }) = decode(payload) {
                sink.turn(offset).await.map_err(Failure::incomplete)?;
                continue;
            }
            let trailer = decode(payload).map_err(|error| broken(error.into()));
            progress(upload, sink);
            return trailer;
        }
        if put.size.is_some_and(|size| sink.position() + header.length() as u64 > size) {
            upload.reader.skip(header).await.map_err(broken)?;
            return Err(Failure::incomplete(Error::refused(
                ErrorCode::SourceFailed,
                "more bytes came than were announced: put the file again when nobody writes to it",
            )));
        }
        sink.take(upload.reader, header).await?;
        progress(upload, sink);
    }
}

/// Notes how much has crossed, over all connections.
fn progress(upload: &Upload<'_>, sink: &Sink) {
    let (bytes, wire_bytes) = sink.received();
    upload.progress_beside(bytes, wire_bytes);
}

/// A newer attempt goes on with what came of this one, whose client has fallen silent.
fn silent(upload: &Upload<'_>) -> Failure {
    let silence = upload.state.config().uploads.yield_after();
    debug!(?silence, "a newer attempt takes over");
    Failure::incomplete(StreamError::Stalled(silence).into())
}

/// Makes a received file a blob.
async fn place(upload: &Upload<'_>, incoming: Incoming, digest: Digest) -> Result<Brought> {
    let guard = upload.state.blobs.guard();
    let blobs = upload.state.blobs.clone();
    let placed = tokio::task::spawn_blocking(move || {
        let hold = blobs.place(incoming, &digest, &guard)?;
        Ok(Brought::Blob(guard, hold))
    });
    placed.await.map_err(|_| Error::Stopped)?
}
