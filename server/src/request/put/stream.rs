//! A body of data frames with a trailer behind them.

use sealift_protocol::FrameKind;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Put, Trailer, Turn, decode};
use sealift_types::{Digest, ErrorCode};
use tracing::debug;

use super::commit::UploadedContent;
use super::resume;
use super::sink::{ArrivedContent, UploadSink};
use super::upload_reader::{PutFailure, ReceivedUpload, UploadReader, mismatch};
use crate::error::{Result, ServerError};
use crate::store::incoming::StagedFile;
use crate::store::upload_leases::UploadLease;

/// Receives the body. If it breaks off, what came stays to be continued; if it is refused, nothing does.
pub(super) async fn receive(upload: &mut UploadReader<'_>, put: &Put) -> ReceivedUpload {
    let (mut sink, lease) = match &put.resume {
        None => {
            let lease = upload.lease(put);
            (UploadSink::new(upload.state.clone(), lease.clone(), upload.caller, put), lease)
        }
        Some(part) => resume::resume(upload, put, *part).await.map_err(PutFailure::incomplete)?,
    };
    let received = receive_into(&mut sink, lease, upload, put).await;
    if received.as_ref().is_err_and(|failure| !failure.is_interruption()) {
        sink.discard().await;
    }
    received
}

async fn receive_into(
    sink: &mut UploadSink,
    lease: Option<UploadLease>,
    upload: &mut UploadReader<'_>,
    put: &Put,
) -> ReceivedUpload {
    let filled = match &lease {
        None => fill(sink, upload, put).await,
        Some(lease) => {
            let filled = tokio::select! {
                biased;
                filled = fill(sink, upload, put) => filled,
                () = lease.superseded() => Err(silent(upload)),
            };
            lease.over();
            filled
        }
    };
    drop(lease);
    match filled? {
        Trailer::Error(error) => {
            // The client may ask at once what is left.
            sink.leave().await;
            Err(PutFailure::complete(ServerError::refused(error.code, error.message)))
        }
        Trailer::End { size, sha256 } => {
            let (arrived, total, digest) = sink.finish().await.map_err(PutFailure::complete)?;
            if (total, digest) != (size, sha256) || put.sha256.is_some_and(|announced| announced != digest) {
                return Err(PutFailure::complete(mismatch()));
            }
            if put.size.is_some_and(|announced| announced != total) {
                return Err(PutFailure::complete(ServerError::refused(
                    ErrorCode::SourceFailed,
                    "fewer bytes came than were announced: put the file again when nobody writes to it",
                )));
            }
            let brought = match arrived {
                ArrivedContent::Small(data, memory) => {
                    let room = upload.room(memory, data.len()).map_err(PutFailure::complete)?;
                    UploadedContent::Inline(data, Some(room))
                }
                ArrivedContent::Large(incoming) => {
                    place(upload, incoming, digest).await.map_err(PutFailure::complete)?
                }
            };
            Ok((Some(brought), total, digest))
        }
    }
}

/// Takes all data frames. Returns what stands behind them.
async fn fill(
    sink: &mut UploadSink,
    upload: &mut UploadReader<'_>,
    put: &Put,
) -> std::result::Result<Trailer, PutFailure> {
    let broken = |error: StreamError| PutFailure::incomplete(error.into());
    loop {
        let header = upload.frame().await.map_err(PutFailure::incomplete)?;
        if header.kind() == FrameKind::Control {
            let payload = upload.reader.control(header).await.map_err(broken)?;
            if let Ok(Turn::Turn { offset }) = decode(payload) {
                sink.turn(offset).await.map_err(PutFailure::incomplete)?;
                continue;
            }
            let trailer = decode(payload).map_err(|error| broken(error.into()));
            progress(upload, sink);
            return trailer;
        }
        if put.size.is_some_and(|size| sink.position() + header.length() as u64 > size) {
            upload.reader.skip(header).await.map_err(broken)?;
            return Err(PutFailure::incomplete(ServerError::refused(
                ErrorCode::SourceFailed,
                "more bytes came than were announced: put the file again when nobody writes to it",
            )));
        }
        sink.take(upload.reader, header).await?;
        progress(upload, sink);
    }
}

/// Notes how much has crossed, over all connections.
fn progress(upload: &UploadReader<'_>, sink: &UploadSink) {
    let (bytes, wire_bytes) = sink.received();
    upload.progress_beside(bytes, wire_bytes);
}

/// A newer attempt goes on with what came of this one, whose client has fallen silent.
fn silent(upload: &UploadReader<'_>) -> PutFailure {
    let silence = upload.state.config().uploads.yield_after();
    debug!(?silence, "a newer attempt takes over");
    PutFailure::incomplete(StreamError::Stalled(silence).into())
}

/// Makes a received file a blob.
async fn place(upload: &UploadReader<'_>, incoming: StagedFile, digest: Digest) -> Result<UploadedContent> {
    let guard = upload.state.blobs.guard();
    let blobs = upload.state.blobs.clone();
    let placed = tokio::task::spawn_blocking(move || {
        let hold = blobs.place(incoming, &digest, &guard)?;
        Ok(UploadedContent::Blob(guard, hold))
    });
    placed.await.map_err(|_| ServerError::Stopped)?
}
