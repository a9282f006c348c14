//! One connection: the handshake, the admission, and what is spoken after it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use sealift_certs::tls::{self, Protocol, negotiated};
use sealift_certs::{Identity, fingerprint};
use sealift_protocol::JOIN_ALPN;
use sealift_types::ErrorCode;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::handshakes::{AddressGroup, Greeting, HandshakePlace};
use crate::log_limit::LogLimit;
use crate::monitor::{HandshakeFailure, LimitReached};
use crate::session::{self, ServerTlsStream, SessionSignals};
use crate::state::{OpenSession, ServerState};
use crate::store::catalog::WriterLine;
use crate::store::certificates::{self, Adoption};
use crate::store::identities;
use crate::{clock, join};

pub(super) async fn accept(
    state: &Arc<ServerState>,
    listener: &TcpListener,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    static NOT_ACCEPTED: LogLimit = LogLimit::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that went away at once: others must not suffer.
                if let Some(suppressed) = NOT_ACCEPTED.pass() {
                    warn!(%error, suppressed, "a connection could not be accepted");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        state.monitor.connections.count();
        let number = state.monitor.connections.get();
        let place = state.handshakes.begin(AddressGroup::of(peer.ip()), state.handshake_limits());
        let (state, stop, tracker) = (state.clone(), stop.clone(), connections.clone());
        let connection = serve_connection(state, stream, peer, place, tracker, stop);
        connections.spawn(connection.instrument(info_span!("connection", id = number, %peer)));
    }
}

/// From a connection's first byte to its last.
async fn serve_connection(
    state: Arc<ServerState>,
    stream: TcpStream,
    peer: SocketAddr,
    mut place: HandshakePlace,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    static DISPLACED: LogLimit = LogLimit::new();
    let displaced = place.displaced.clone();
    let admitted = tokio::time::timeout(state.config().timeouts.handshake(), async {
        // Most strangers say nothing, and cost no more than this until they do.
        stream.readable().await?;
        // Boxed: what a handshake needs is freed before the long life of the connection.
        Box::pin(handshake(&state, stream, peer, &mut place, &connections)).await
    });
    let admitted = tokio::select! {
        admitted = admitted => admitted,
        () = displaced.cancelled() => {
            state.monitor.handshake_failed(HandshakeFailure::Displaced);
            if let Some(suppressed) = DISPLACED.pass() {
                let limits = state.config().limits;
                warn!(
                    suppressed,
                    limit = limits.handshakes,
                    of_one_address = limits.handshakes_per_address,
                    "a handshake made room for others: `limits.handshakes` and `limits.handshakes_per_address` allow more"
                );
            }
            return;
        }
        () = stop.cancelled() => return,
    };
    drop(place);
    match admitted {
        Ok(Ok(Some(Admitted { connection, caller, session }))) => {
            let signals = SessionSignals { shutdown: stop, revoked: session.revoked.clone() };
            let span = info_span!("session", identity = %caller.name);
            // Boxed: strangers need no room for it.
            Box::pin(session::run(state, connection, caller, signals).instrument(span)).await;
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => {
            state.monitor.handshake_failed(HandshakeFailure::Refused);
            debug!(%error, "the handshake failed");
        }
        Err(_) => {
            state.monitor.handshake_failed(HandshakeFailure::Timeout);
            debug!("the handshake took too long");
        }
    }
}

/// A client that is let in.
struct Admitted {
    connection: ServerTlsStream,
    caller: Caller,
    /// Its place among the open connections.
    session: OpenSession,
}

/// Leads a connection to where its application protocol wants it. A client that joins, or is refused, is served right
/// here, within the time and the place of a handshake.
async fn handshake(
    state: &Arc<ServerState>,
    stream: TcpStream,
    peer: SocketAddr,
    place: &mut HandshakePlace,
    connections: &TaskTracker,
) -> anyhow::Result<Option<Admitted>> {
    stream.set_nodelay(true)?;
    let begun = tls::client_hello(stream).await?;
    let trust_domain = state.pki.authority().trust_domain().dns_name();
    let names_us = begun.client_hello().server_name().is_some_and(|name| name == trust_domain.as_ref());
    let greeting = if names_us { Greeting::Named } else { Greeting::Foreign };
    place.greeted(greeting, state.handshake_limits());
    let joins = begun.client_hello().alpn().is_some_and(|mut offered| offered.any(|alpn| alpn == JOIN_ALPN));
    if !state.pki.is_current(SystemTime::now()) {
        let state = state.clone();
        tokio::task::spawn_blocking(move || state.pki.renew_if_due(SystemTime::now())).await?;
    }
    let config = if !joins {
        state.pki.transfer_config()
    } else if state.joining.is_open(&state.catalog).await? {
        state.pki.join_config()
    } else {
        state.monitor.handshake_failed(HandshakeFailure::NoInvitation);
        debug!("a machine wants to join, and no invitation is open");
        // Ends with an alert before anything is computed.
        let _ = tls::accept(begun, state.pki.refusing_config()).await;
        return Ok(None);
    };
    let accepting = tls::accept(begun, config);
    let mut connection = state.turns.drive(greeting, AddressGroup::of(peer.ip()), accepting).await??;
    match negotiated(connection.get_ref().1.alpn_protocol()) {
        Some(Protocol::Transfer) => {
            place.vouched();
            match admit(state, &connection, peer).await {
                Ok((caller, session)) => {
                    connection.get_mut().0.begin();
                    Ok(Some(Admitted { connection, caller, session }))
                }
                Err(error) => {
                    info!(%error, "refused");
                    place.greeted(greeting, state.handshake_limits());
                    session::refuse(connection, error, state.config().timeouts.stall()).await;
                    Ok(None)
                }
            }
        }
        Some(Protocol::Join) => {
            let (read, write) = tokio::io::split(connection);
            join::serve(state, read, write, connections).await?;
            Ok(None)
        }
        None => anyhow::bail!("the client offers no application protocol"),
    }
}

/// Lets a client in that has shown a certificate, if the catalog agrees and no limit is reached.
async fn admit(
    state: &Arc<ServerState>,
    connection: &ServerTlsStream,
    peer: SocketAddr,
) -> Result<(Caller, OpenSession)> {
    let shown = connection.get_ref().1.peer_certificates().unwrap_or_default().first();
    let certificate = shown.ok_or_else(|| {
        ServerError::refused(ErrorCode::CertificateRefused, "the client shows no certificate")
    })?;
    let origin = AddressGroup::of(peer.ip());
    let busy = |limit: LimitReached, message: String| {
        state.monitor.limited(limit);
        ServerError::refused(ErrorCode::Busy, message)
    };
    let mut session = state.sessions.enter(fingerprint(certificate), origin);
    let (limits, most) = (state.config().limits, state.most_connections());
    if state.sessions.count() > most {
        return Err(busy(
            LimitReached::All,
            format!(
                "the server has {most} connections, and no more are allowed (`max_connections`, or its limit of open \
                 files): try again in a moment"
            ),
        ));
    }
    let most = limits.connections_per_address.get();
    if state.sessions.count_from(origin) > most {
        return Err(busy(
            LimitReached::Address,
            format!(
                "{origin} has {most} connections to the server, and no more are allowed \
                 (`limits.connections_per_address`): try again in a moment"
            ),
        ));
    }
    // After entering: a revocation from here on finds the session, one before is seen in the catalog.
    let caller = identify(state, certificate, peer).await?;
    let most = limits.connections_per_identity.get();
    if session.belongs_to(caller.identity) > most {
        return Err(busy(
            LimitReached::Identity,
            format!(
                "{} has {most} connections to the server, and no more are allowed \
                 (`limits.connections_per_identity`): try again in a moment",
                caller.name
            ),
        ));
    }
    Ok((caller, session))
}

/// Who the certificate names, if the catalog agrees.
async fn identify(
    state: &Arc<ServerState>,
    certificate: &CertificateDer<'_>,
    peer: SocketAddr,
) -> Result<Caller> {
    let refused = |message: String| ServerError::refused(ErrorCode::CertificateRefused, message);
    let identity = Identity::of_certificate(certificate).map_err(|error| refused(error.to_string()))?;
    let print = fingerprint(certificate);
    let look = move |connection: &rusqlite::Connection| {
        let now = clock::now();
        let known = identities::of_certificate(connection, &print, now);
        let adoptable = known.is_err() && certificates::may_adopt(connection, &print)?;
        let noteworthy = known.is_ok() && certificates::is_use_worth_a_note(connection, &print, now)?;
        Ok((known, adoptable, noteworthy))
    };
    let (mut known, adoptable, mut noteworthy) = state.catalog.read(look).await?;
    if adoptable {
        match adopt(state, certificate, &identity).await? {
            Adoption::Adopted => (known, _, noteworthy) = state.catalog.read(look).await?,
            Adoption::Revoked => return Err(identities::revoked()),
            Adoption::Unknown => {}
        }
    }
    let (row, name, expires) = known?;
    if noteworthy {
        let from = peer.ip().to_string();
        state
            .catalog
            .within(WriterLine::Server)
            .note(move |connection| certificates::note_use(connection, &print, &from, clock::now()))
            .await;
    }
    if identity.user() != Some(&name) || identity.trust_domain != *state.pki.authority().trust_domain() {
        return Err(refused(format!("the certificate names {identity}, which is nobody here: join again")));
    }
    let uri = identity.to_string();
    let (address, read_only) = (peer.to_string(), state.config().read_only);
    Ok(Caller { identity: row, name, uri, fingerprint: print, expires, address, read_only })
}

/// Takes in a certificate that a restored catalog does not know, if it may.
async fn adopt(
    state: &Arc<ServerState>,
    certificate: &CertificateDer<'_>,
    identity: &Identity,
) -> Result<Adoption> {
    let Some(name) = identity.user().cloned() else { return Ok(Adoption::Unknown) };
    if identity.trust_domain != *state.pki.authority().trust_domain() {
        return Ok(Adoption::Unknown);
    }
    let validity = sealift_certs::validity(certificate).map_err(sealift_certs::CertError::from)?;
    let origin = sealift_certs::origin(certificate).map_err(sealift_certs::CertError::from)?;
    let print = fingerprint(certificate);
    let list = state.pki.revocations()?;
    let taken_in = name.clone();
    let adopted = state
        .catalog
        .within(WriterLine::Server)
        .write(move |connection| {
            certificates::adopt(connection, &print, origin.as_ref(), &taken_in, validity, &list)
        })
        .await?;
    if adopted == Adoption::Adopted {
        info!(target: "audit", action = "adopt-certificate", identity = %name, certificate = %print, "audit");
    }
    Ok(adopted)
}
