//! The server: accepts connections, gives each a task, watches for revocations, and stops in order.

mod connection;
mod revocations;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;

use anyhow::Context;
use sealift_certs::Authority;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::connection::accept;
use self::revocations::{follow_list, watch_revocations};
use crate::budget;
use crate::config::{LiveConfig, ServerConfig};
use crate::data::{DataDirectory, Lock, drill};
use crate::host_port::split_host;
use crate::monitor::{control, http, service};
use crate::pki::{self, Pki};
use crate::state::ServerState;
use crate::store::catalog::WriterLine;
use crate::store::certificates::{self};
use crate::store::{Blobs, Catalog, facts, gc, partial_uploads};
use crate::{clock, socket};

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
