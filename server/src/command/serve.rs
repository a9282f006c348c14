//! `sealiftd serve`

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use clap::Args;
use listenfd::ListenFd;
use sealift_protocol::DEFAULT_PORT;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::Common;
use crate::config::LogFormat;
use crate::listener::Server;

/// Connections that the system keeps waiting while the server is busy.
const BACKLOG: i32 = 1024;

/// Runs the server, in the foreground, until it is told to stop by SIGTERM or Ctrl-C.
///
/// An empty or missing data directory is initialised. The line `listening on ADDR:PORT` on standard output says when
/// clients may come. Events go to standard error; RUST_LOG selects them (default: info).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd serve --data /srv/sealift --listen 0.0.0.0:8888")]
pub(super) struct Serve {
    #[command(flatten)]
    common: Common,
    /// The address to listen on; port 0 lets the system choose [default: [::]:8888, which takes IPv4, too].
    #[arg(long, env = "SEALIFTD_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// A name or address under which clients reach this server; goes into its certificate and the tokens. Repeatable.
    #[arg(long, env = "SEALIFTD_ADDRESS", value_name = "HOST[:PORT]", value_delimiter = ',')]
    address: Vec<String>,
    /// Tells what the server measures to Prometheus, at http://ADDR:PORT/metrics; without an address at
    /// 127.0.0.1:9188 [default: nowhere].
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:9188")]
    metrics: Option<SocketAddr>,
    /// How events are written.
    #[arg(long, env = "SEALIFTD_LOG", value_name = "FORMAT")]
    log: Option<LogFormat>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = self.common.settings()?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if !self.address.is_empty() {
            config.addresses = self.address;
        }
        if self.metrics.is_some() {
            config.metrics.listen = self.metrics;
        }
        if let Some(log) = self.log {
            config.log = log;
        }
        start_log(config.log);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            let stop = stop_signal()?;
            let socket = match inherited()? {
                Some(socket) => socket,
                None => bind(config.listen)?,
            };
            let address = socket.local_addr()?.as_socket().context("the socket has no address")?;
            let server = Server::open(config, address).await?;
            socket.listen(BACKLOG).with_context(|| in_use(address))?;
            let listener = TcpListener::from_std(socket.into())?;
            announce(address)?;
            server.run(listener, stop).await
        });
        // Work past the deadline is not waited for.
        runtime.shutdown_background();
        served
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
    bound.with_context(|| in_use(address))
}

fn in_use(address: SocketAddr) -> String {
    format!(
        "cannot listen on {address}: is another server there already? `--listen ADDR:PORT` names another address"
    )
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

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        // It would complain on the very output that does not take it, and end the thread.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
