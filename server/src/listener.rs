//! The server: accepts connections, gives each a task, watches for revocations, and stops in order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use rusqlite::OptionalExtension;
use rustls::pki_types::CertificateDer;
use sealift_certs::tls::{self, Protocol, negotiated};
use sealift_certs::{Authority, Identity, fingerprint};
use sealift_protocol::JOIN_ALPN;
use sealift_types::ErrorCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::budget;
use crate::caller::Caller;
use crate::config::{LiveConfig, ServerConfig};
use crate::data::{DataDirectory, Lock, drill};
use crate::error::{Result, ServerError};
use crate::handshakes::{AddressGroup, Greeting, HandshakePlace};
use crate::host_port::split_host;
use crate::log_limit::LogLimit;
use crate::monitor::{HandshakeFailure, LimitReached, control, http, service};
use crate::pki::{self, Pki};
use crate::session::{self, ServerTlsStream, SessionSignals};
use crate::state::{OpenSession, ServerState};
use crate::store::catalog::WriterLine;
use crate::store::certificates::{self, Adoption};
use crate::store::{Blobs, Catalog, facts, gc, identities, partial_uploads, schema};
use crate::{audit, clock, join, socket};

/// How often a server that changes nothing looks whether the list of revocations has grown.
const LIST: Duration = Duration::from_secs(1);

/// How often the catalog is asked whether another process has changed it.
const WATCH: Duration = Duration::from_millis(100);

/// Runs a server on `listener` until `shutdown` completes and what was under way has ended.
///
/// The data directory that the settings name is initialised if it is empty. Requests under way when `shutdown` completes
/// have `timeouts.drain()` of the settings to end.
pub async fn serve(
    settings: impl Into<LiveConfig>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the listening socket has no address")?;
    Server::open(settings, address).await?.run(listener, shutdown).await
}

/// A server whose data is open, before it listens: what can fail fails before any client is let in.
#[derive(Debug)]
pub struct Server {
    state: Arc<ServerState>,
    writer: JoinHandle<()>,
    lock: Lock,
    metrics: Option<TcpListener>,
    control: Option<control::UnixListener>,
}

impl Server {
    /// Opens the data directory, which is initialised if it is empty, for a server that will listen on `address`.
    pub async fn open(settings: impl Into<LiveConfig>, address: SocketAddr) -> anyhow::Result<Self> {
        let settings = settings.into();
        let config = settings.now();
        let metrics = match config.metrics.listen {
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!(
                    "cannot listen on {address} for metrics: is another server there already? \
                      `metrics.listen` names another address"
                )
            })?),
            None => None,
        };
        let (data, lock, authority) = open_data(&config)?;
        let control = control::listen(data.path())
            .inspect_err(|error| warn!(%error, "`sealiftd status` will not see this server"))
            .ok();
        let blobs = Blobs::open(data.path())?;
        blobs.reserve().follow(settings.clone());
        let (catalog, writer) = Catalog::open(&data.catalog(), blobs.clone())?;
        let lifetime = config.certificates.server_lifetime();
        let pki =
            Pki::open(&data, authority, certificate_hosts(&config, address), lifetime, SystemTime::now())?;
        partial_uploads::collect(&catalog, &blobs, SystemTime::now(), config.uploads.keep()).await?;
        catch_up(&catalog, &pki).await?;
        // Before anybody can connect: whoever sees the port open may invite.
        let listening = address.to_string();
        let addresses = config.addresses.join(",");
        catalog
            .write(move |connection| {
                facts::set(connection, facts::LISTENING, &listening)?;
                facts::set(connection, facts::ADDRESSES, &addresses)
            })
            .await?;
        let state = Arc::new(ServerState::new(settings, catalog, blobs, pki));
        let _ = state.monitor.address.set(address);
        Ok(Self { state, writer, lock, metrics, control })
    }

    /// Serves until `shutdown` completes and what was under way has ended.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { state, writer, lock, metrics, control } = self;
        let address = listener.local_addr()?;
        // What it accepts has its settings.
        socket::prefer_reno_on_loopback(&listener, address);
        info!(%address, "listening");
        let stop = CancellationToken::new();
        let background = in_background(&state, address, &stop);
        // These tell of the server until its end, also while it stops.
        let mut observers = JoinSet::new();
        if let Some(metrics) = metrics {
            let address = metrics.local_addr()?;
            info!(%address, "metrics");
            let _ = state.monitor.metrics.set(address);
            observers.spawn(http::serve(metrics, state.clone()));
        }
        if let Some(control) = control {
            observers.spawn(control::serve(control, state.clone()));
        }
        observers.spawn(service::keep_told(state.clone()));
        service::ready();
        let connections = TaskTracker::new();
        let mut failed = false;
        tokio::select! {
            () = accept(&state, &listener, &connections, &stop) => {}
            () = shutdown => {}
            () = state.catalog.closed() => failed = true,
        }
        drop(listener);
        state.monitor.stop();
        service::stopping();
        info!(connections = connections.len(), "stopping: no new connections, requests under way may end");
        stop.cancel();
        connections.close();
        if tokio::time::timeout(state.config().timeouts.drain(), connections.wait()).await.is_err() {
            warn!(connections = connections.len(), "not all requests ended in time");
        }
        background.wait().await;
        observers.shutdown().await;
        // The writer ends with the last handle of the catalog; sessions past the deadline may still hold one.
        if Arc::try_unwrap(state).map(drop).is_ok() {
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
        drop(lock);
        info!("stopped");
        anyhow::ensure!(
            !failed,
            "the disk with the catalog fails: look after it, then start the server again"
        );
        Ok(())
    }
}

/// Opens the data directory, which is initialised if it is empty, and keeps others away from it.
fn open_data(config: &ServerConfig) -> anyhow::Result<(DataDirectory, Lock, Authority)> {
    if config.read_only {
        let (data, lock) = drill::open(&config.data)?;
        let authority = pki::authority(&data)?;
        info!(data = %config.data.display(), "serving without a change to the data directory");
        return Ok((data, lock, authority));
    }
    let (data, first) = DataDirectory::open_or_initialise(&config.data, SystemTime::now())?;
    // What cannot be used is found before anything is changed.
    let authority = pki::authority(&data)?;
    let lock = data.lock()?;
    data.take_into_service()?;
    if first {
        info!(data = %data.path().display(), "initialised a new data directory");
    }
    Ok((data, lock, authority))
}

/// Brings a catalog that may come from a backup up to what was revoked since.
async fn catch_up(catalog: &Catalog, pki: &Pki) -> anyhow::Result<()> {
    let list = pki.revocations()?;
    let restored =
        catalog.write(move |connection| certificates::catch_up(connection, &list, clock::now())).await?;
    if let Some(restored) = restored {
        let issued = match restored.adopts {
            true => "certificates that were issued since are taken in when they come",
            false => {
                "it is too old for certificates that were issued since, so their machines have to join again"
            }
        };
        warn!(
            taken = %written(restored.taken_at),
            withdrawn = restored.withdrawn,
            "this catalog is a backup: open invitations are withdrawn, {issued}, and what was revoked since is revoked as far \
             as pki/revocations has it"
        );
    }
    Ok(())
}

/// A moment as a log has it.
fn written(moment: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(moment)).map(|moment| moment.to_string()).unwrap_or_default()
}

/// Starts what runs beside the connections; all of it ends with `stop`.
fn in_background(state: &Arc<ServerState>, address: SocketAddr, stop: &CancellationToken) -> TaskTracker {
    let tasks = TaskTracker::new();
    let settings = state.settings.clone();
    let collect = gc::run(state.catalog.clone(), state.blobs.clone(), state.garbage.clone(), settings);
    tasks.spawn(stop.clone().run_until_cancelled_owned(follow_settings(state.clone(), address)));
    let (watched, renewed) = (state.clone(), state.clone());
    // What a catalog that is thrown away calls garbage is not to go.
    if !state.config().read_only {
        tasks.spawn(stop.clone().run_until_cancelled_owned(state.blobs.reserve().clone().keep()));
        tasks.spawn(stop.clone().run_until_cancelled_owned(collect));
    }
    let trees = state.trees.clone().run(state.catalog.within(WriterLine::Server), state.garbage.clone());
    tasks.spawn(stop.clone().run_until_cancelled_owned(trees));
    tasks.spawn(stop.clone().run_until_cancelled_owned(budget::trim()));
    tasks.spawn(stop.clone().run_until_cancelled_owned(watch_revocations(watched)));
    if state.config().read_only {
        tasks.spawn(stop.clone().run_until_cancelled_owned(follow_list(state.clone())));
    }
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move { renewed.pki.keep_current().await }));
    tasks.close();
    tasks
}

/// Puts new settings in force where it is not enough that they are asked for at each use.
async fn follow_settings(state: Arc<ServerState>, address: SocketAddr) {
    let mut settings = state.settings.clone();
    loop {
        settings.changed().await;
        let now = settings.now();
        state.pki.configure(certificate_hosts(&now, address), now.certificates.server_lifetime());
        let addresses = now.addresses.join(",");
        state.catalog.note(move |connection| facts::set(connection, facts::ADDRESSES, &addresses)).await;
        // Parts of uploads may be too old by now.
        state.garbage.notify_one();
    }
}

async fn accept(
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

/// Takes notice of what the server of which this is a copy revokes: it writes that beside the copy's authority.
async fn follow_list(state: Arc<ServerState>) {
    let mut known = None;
    loop {
        tokio::time::sleep(LIST).await;
        let read = state.pki.revocations().map_err(ServerError::from);
        let followed = async {
            let list = read?;
            if known.as_ref() != Some(&list) {
                let applied = list.clone();
                state
                    .catalog
                    .within(WriterLine::Server)
                    .write(move |connection| certificates::apply(connection, &applied, true))
                    .await?;
                known = Some(list);
            }
            Ok::<_, ServerError>(())
        };
        if let Err(error) = followed.await {
            error!(%error, "the list of revocations could not be followed");
        }
    }
}

/// Ends the connections of certificates that another process revokes.
async fn watch_revocations(state: Arc<ServerState>) {
    let watch = || -> rusqlite::Result<rusqlite::Connection> { schema::open_reader(state.catalog.path()) };
    let connection = match watch() {
        Ok(connection) => connection,
        Err(error) => {
            return error!(%error, "revocations cannot be watched: they take effect at the next request");
        }
    };
    let (mut version, mut known) = (None, 0);
    loop {
        // A look at the shared memory of the catalog, no system call and no lock.
        let now = connection
            .pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))
            .optional()
            .ok()
            .flatten();
        if now != version || now.is_none() {
            version = now;
            if gc::is_asked_for(&connection) {
                state.garbage.notify_one();
            }
            // By number, not by time: clocks are set back. A certificate that is revoked stays revoked.
            match identities::count_revoked(&connection) {
                Ok(revoked) if revoked == known => {}
                Ok(revoked) => {
                    // On an error the next look tries again.
                    match state.sessions.revoke_where(|print| identities::is_revoked(&connection, print)) {
                        Ok(()) => {
                            known = revoked;
                            // The catalog has forgotten what their uploads left.
                            state.garbage.notify_one();
                        }
                        Err(error) => {
                            version = None;
                            error!(%error, "a revocation could not be read");
                        }
                    }
                }
                Err(error) => error!(%error, "revocations could not be read"),
            }
            // After the connections were ended: this waits for the catalog's writer.
            let left = audit::left(&connection);
            if let Err(error) = log_commands(&state, left).await {
                error!(%error, "what a command did could not be written to the log");
            }
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// Writes to the log what commands beside the server have done.
async fn log_commands(state: &Arc<ServerState>, left: Result<(i64, Vec<(String, String)>)>) -> Result<()> {
    let (last, lines) = left?;
    if lines.is_empty() {
        return Ok(());
    }
    for (action, subject) in lines {
        audit::log_command(&action, &subject);
    }
    let catalog = state.catalog.within(WriterLine::Server);
    catalog.write(move |connection| audit::forget(connection, last)).await
}

/// What the server's certificate names: the configured addresses and the machine's own.
fn certificate_hosts(config: &ServerConfig, address: SocketAddr) -> Vec<String> {
    let mut hosts: Vec<String> =
        config.addresses.iter().map(|address| split_host(address).0.to_owned()).collect();
    for host in pki::hosts(address) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}
