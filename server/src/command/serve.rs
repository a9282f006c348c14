//! `sealiftd serve`

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use clap::Args;
use listenfd::ListenFd;
use sealift_protocol::DEFAULT_PORT;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::common::CommonArgs;
use crate::config::value::address;
use crate::config::{LiveConfig, LogDirectives, LogFormat, ServerAddresses, ServerConfig, Sources};
use crate::descriptors::Descriptors;
use crate::listener::Server;
use crate::monitor::service;
use crate::reload::{self, Hangups, Reloader, ServicePhase};

/// Connections that the system keeps waiting while the server is busy, or fewer if the system wants it so. When they are too
/// many, the system drops the first packet of others, and those come back after a second at the earliest.
const BACKLOG: i32 = 4096;

/// Runs the server, in the foreground, until it is told to stop by SIGTERM or Ctrl-C.
///
/// An empty or missing data directory is initialised. The line `listening on ADDR:PORT` on standard output says when
/// clients may come. Events go to standard error. SIGHUP, or a change of the configuration file, makes it read its
/// settings again; `sealiftd config show` lists them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd serve --data /srv/sealift --listen 0.0.0.0:8888")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// The address to listen on; port 0 lets the system choose [env: SEALIFTD_LISTEN] [default:
    /// [::]:8888, which takes IPv4, too].
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Serves without a change to the data directory, as for a drill on a backup: uploads, deletions and new machines are
    /// refused [env: SEALIFTD_READ_ONLY].
    #[arg(long)]
    read_only: bool,
    /// A name or address under which clients reach this server; goes into its certificate and the tokens. Repeatable
    /// [env: SEALIFTD_ADDRESSES, separated by commas].
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',', value_parser = address)]
    address: Vec<String>,
    /// Tells what the server measures to Prometheus, at http://ADDR:PORT/metrics; without an address at
    /// 127.0.0.1:9188 [env: SEALIFTD_METRICS_LISTEN] [default: nowhere].
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:9188")]
    metrics: Option<SocketAddr>,
    /// How events are written [env: SEALIFTD_LOG].
    #[arg(long, value_name = "FORMAT")]
    log: Option<LogFormat>,
    /// Which events are written: a level, or directives as in info,sealift_server=debug [env: SEALIFTD_LOG_LEVEL, or
    /// else RUST_LOG] [default: info].
    #[arg(long, value_name = "FILTER")]
    log_level: Option<LogDirectives>,
}

impl ServeArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (reloader, resolved) = Reloader::open(self.sources())?;
        let (config, live) = (resolved.config, reloader.live());
        let filter = start_log(&config);
        let descriptors = Descriptors::raise();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            let stop = stop_signal()?;
            let inherited = inherited()?;
            let held = inherited.is_some();
            let socket = inherited.map_or_else(|| bind(config.listen), Ok)?;
            let address = socket.local_addr()?.as_socket().context("the socket has no address")?;
            let listen = config.listen;
            if held && listen != address && listen != ServerConfig::default().listen {
                warn!(
                    "listen = {listen} has no effect: the service manager holds {address}; \
                     `systemctl edit sealiftd.socket` changes that"
                );
            }
            // From here on SIGHUP does not end the program.
            let hangups = Hangups::new()?;
            let server = Server::open(live.clone(), address).await?;
            // Not before: a start that is refused says one sentence.
            tell_descriptors(descriptors, &config);
            socket.listen(BACKLOG).map_err(|error| cannot_listen(address, error))?;
            let listener = TcpListener::from_std(socket.into())?;
            tokio::spawn(follow_filter(live, filter));
            tokio::spawn(reload::run(reloader, hangups, tell));
            announce(address)?;
            server.run(listener, stop).await
        });
        // Work past the deadline is not waited for.
        runtime.shutdown_background();
        served
    }

    fn sources(self) -> Sources {
        let mut sources = self.common.sources();
        sources.flag("listen", "--listen", self.listen, |config, listen| config.listen = listen);
        let read_only = self.read_only.then_some(true);
        sources.flag("read_only", "--read-only", read_only, |config, read_only| config.read_only = read_only);
        let addresses = (!self.address.is_empty()).then(|| ServerAddresses::new(self.address));
        sources.flag("addresses", "--address", addresses, |config, addresses| config.addresses = addresses);
        let metrics = self.metrics.map(Some);
        sources
            .flag("metrics.listen", "--metrics", metrics, |config, metrics| config.metrics.listen = metrics);
        sources.flag("log", "--log", self.log, |config, log| config.log = log);
        sources.flag("log_level", "--log-level", self.log_level, |config, level| config.log_level = level);
        sources
    }
}

/// Says how many files the process may open, and warns if they are too few.
fn tell_descriptors(descriptors: Descriptors, config: &ServerConfig) {
    let (limit, connections) = (descriptors.limit(), descriptors.clients());
    if connections < config.max_connections.get() {
        warn!(
            limit,
            connections,
            max_connections = config.max_connections,
            "the limit of open files allows fewer connections than `max_connections`: raise the hard limit, \
             with LimitNOFILE= in the unit or `ulimit -Hn`"
        );
    } else {
        info!(limit, "open files");
    }
}

/// Reads an address to listen on; a port alone, as many programs take it, gets an answer that can be copied.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => format!(
            "name an address, too: [::]:{port} is every address of this machine, 127.0.0.1:{port} this machine alone"
        ),
        Err(_) => "write an address and a port, as in 0.0.0.0:8888 or [::]:8888; names are not looked up here".into(),
    })
}

/// Tells systemd that the settings are read again.
fn tell(phase: ServicePhase) {
    match phase {
        ServicePhase::Begins => service::reloading(),
        ServicePhase::Ends => service::ready(),
    }
}

/// The line that scripts wait for.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    out.flush()
}

/// The socket that systemd holds, if it started the server with one: then no other address counts, and clients that
/// come while the server is started anew wait instead of being refused.
fn inherited() -> anyhow::Result<Option<Socket>> {
    let mut sockets = ListenFd::from_env();
    match sockets.len() {
        0 => Ok(None),
        1 => {
            let listener = sockets.take_tcp_listener(0).context(
                "the socket that the service manager holds is not one for TCP: give it one line `ListenStream=PORT`",
            )?;
            let listener = listener.context("the service manager's socket has gone")?;
            listener.set_nonblocking(true)?;
            Ok(Some(listener.into()))
        }
        count => bail!(
            "the service manager hands over {count} sockets, and sealiftd serves one: \
             keep one line `ListenStream=` in sealiftd.socket"
        ),
    }
}

/// A socket with an address that does not listen yet.
fn bind(address: SocketAddr) -> anyhow::Result<Socket> {
    let bind = |address: SocketAddr| -> std::io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        // Restarts need not wait for the last connections' TIME_WAIT. Elsewhere the option means something else.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let mut bound = bind(address);
    let everywhere = SocketAddr::from(([0u16; 8], DEFAULT_PORT));
    if address == everywhere
        && bound.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::AddrInUse)
    {
        // A machine without IPv6.
        bound = bind((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into());
    }
    bound.map_err(|error| cannot_listen(address, error))
}

/// What is the matter with an address, and what to do.
fn cannot_listen(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let reason = match error.kind() {
        std::io::ErrorKind::AddrInUse => "is another server there already?",
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address;",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them;",
        _ => "the system refuses it;",
    };
    let mend = "`--listen ADDR:PORT` names another address";
    anyhow::Error::new(error).context(format!("cannot listen on {address}: {reason} {mend}"))
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = tokio::signal::ctrl_c() => info!("interrupted"),
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            info!("interrupted");
        }
    })
}

/// Starts the log; what comes back changes which events are written.
fn start_log(config: &ServerConfig) -> Box<dyn Fn(EnvFilter) + Send + Sync> {
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(config.log_level.filter())
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        // It would complain on the very output that does not take it, and end the thread.
        .log_internal_errors(false);
    match config.log {
        LogFormat::Text => {
            let builder = builder.with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    }
}

/// Puts the filter of new settings in force.
async fn follow_filter(mut settings: LiveConfig, set: impl Fn(EnvFilter)) {
    let mut known = settings.now().log_level.clone();
    loop {
        settings.changed().await;
        let now = settings.now();
        if now.log_level != known {
            set(now.log_level.filter());
            known = now.log_level.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_answered_with_what_to_write() {
        assert_eq!(listen_address("127.0.0.1:0").unwrap().port(), 0);
        for alone in ["8888", ":8888"] {
            assert!(listen_address(alone).unwrap_err().contains("[::]:8888 is every address"), "{alone}");
        }
        for wrong in ["", "localhost:8888", "1.2.3.4", "99999"] {
            assert!(listen_address(wrong).unwrap_err().contains("write an address and a port"), "{wrong}");
        }
    }
}
