//! `sealiftd serve`

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use clap::Args;
use sealift_protocol::DEFAULT_PORT;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::Common;
use crate::config::LogFormat;

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
        if let Some(log) = self.log {
            config.log = log;
        }
        start_log(config.log);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            let listener = bind(config.listen)?;
            announce(listener.local_addr()?)?;
            crate::serve(config, listener, stop_signal()?).await
        });
        // Work past the deadline is not waited for.
        runtime.shutdown_background();
        served
    }
}

/// The line that scripts wait for. Connections that come before the server is ready wait in the backlog.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    out.flush()
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listen = |address: SocketAddr| -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        // Restarts need not wait for the last connections' TIME_WAIT. Elsewhere the option means something else.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    let mut bound = listen(address);
    let everywhere = SocketAddr::from(([0u16; 8], DEFAULT_PORT));
    if address == everywhere
        && bound.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::AddrInUse)
    {
        // A machine without IPv6.
        bound = listen((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into());
    }
    bound.with_context(|| {
        format!("cannot listen on {address}: is another server there already? `--listen ADDR:PORT` names another address")
    })
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
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
