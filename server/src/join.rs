//! The `sealift-join/1` conversation: a token and a certificate request come in, a certificate goes out.

use std::sync::Arc;
use std::time::SystemTime;

use sealift_certs::Secret;
use sealift_protocol::io::{FrameReader, FrameWriter, StreamError};
use sealift_protocol::join::{JoinReply, JoinRequest, Joined};
use sealift_protocol::message::{MessageError, decode};
use sealift_types::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::clock;
use crate::error::{Result, ServerError};
use crate::state::ServerState;
use crate::store::catalog::WriterLine;
use crate::store::certificates::{self, CertificateOrigin, NewCertificate};
use crate::store::identities;

/// Serves one machine that joins. The caller bounds how long it may take.
pub async fn serve(
    state: &Arc<ServerState>,
    read: impl AsyncRead + Unpin,
    write: impl AsyncWrite + Unpin + Send + 'static,
    connections: &TaskTracker,
) -> Result<()> {
    let timeouts = state.config().timeouts;
    let mut reader = FrameReader::new(read, timeouts.handshake());
    let mut writer = FrameWriter::new(write, timeouts.handshake());
    let header = reader.header(timeouts.first_request()).await?.ok_or(StreamError::Closed)?;
    let request = decode::<JoinRequest>(reader.control(header).await?);
    let state = state.clone();
    // From here on the token may be used up, and whoever used it must hear so: not to be cut off by a time-out, by others
    // who need the place, or by the end of the server.
    let answering = connections.spawn(async move {
        let reply = answer(&state, request).await;
        writer.push(&reply)?;
        Ok(writer.close().await?)
    });
    answering.await.map_err(|_| ServerError::Stopped)?
}

async fn answer(
    state: &Arc<ServerState>,
    request: std::result::Result<JoinRequest, MessageError>,
) -> JoinReply {
    let joined = match request {
        Ok(request) => enrol(state, request).await,
        Err(error) => Err(ServerError::refused(ErrorCode::BadRequest, error.to_string())),
    };
    match joined {
        Ok(joined) => {
            state.monitor.joined.count();
            info!(identity = %joined.identity, "a machine joined");
            JoinReply::Joined(joined)
        }
        Err(error) => {
            if error.is_internal() {
                error!(%error, "a machine could not join");
            } else {
                info!(%error, "a machine was refused");
            }
            JoinReply::Error(error.to_wire())
        }
    }
}

async fn enrol(state: &Arc<ServerState>, request: JoinRequest) -> Result<Joined> {
    if state.config().read_only {
        let message = "this server only reads and takes in no machines: use the one that it is a copy of";
        return Err(ServerError::refused(ErrorCode::NotAllowed, message));
    }
    let secret = Secret::from_text(&request.secret)
        .map_err(|error| ServerError::refused(ErrorCode::TokenRefused, error.to_string()))?;
    let lifetime = state.config().certificates.client_lifetime();
    let (here, catalog) = (state.clone(), state.catalog.within(WriterLine::Server));
    let enrolled = catalog.write(move |connection| {
        let now = SystemTime::now();
        let moment = clock::nanoseconds(now);
        let (identity, name) = identities::redeem(connection, &secret.digest(), moment)?;
        // A request that is no good gives an error, and so leaves the token unused.
        let issued = here.pki.issue_user(&request.csr, &name, lifetime, now)?;
        let expires = clock::nanoseconds(issued.validity.not_after);
        let (fingerprint, machine) = (&issued.fingerprint, request.machine.as_deref());
        let origin = CertificateOrigin::Token(machine);
        let new = NewCertificate { fingerprint, issued_at: moment, expires_at: expires, origin };
        certificates::add(connection, identity, new)?;
        Ok(Joined {
            identity: name,
            certificate: issued.pem,
            authority: here.pki.authority().certificate_pem().to_owned(),
        })
    });
    enrolled.await
}
