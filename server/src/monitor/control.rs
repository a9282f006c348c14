//! The socket in the data directory over which `sealiftd status` asks a running server how it is.
//!
//! Whoever connects gets one JSON document and the end. Only the owner of the data directory, and root, may connect:
//! the document names people and files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
#[cfg(unix)]
pub use tokio::net::UnixListener;
#[cfg(unix)]
use tokio::net::UnixStream;
use tracing::{debug, warn};

use super::census::StoreCounts;
#[cfg(not(unix))]
pub use super::elsewhere::UnixListener;
#[cfg(not(unix))]
use super::elsewhere::UnixStream;
use super::health::DiskUsage;
use super::running::TransferView;
use crate::SERVER;
use crate::state::ServerState;

/// Transfers that are listed at most.
const LISTED: usize = 1000;

/// Bytes of a document at most: each of the transfers listed has a path of up to 4 KiB, which JSON may double.
const MOST: u64 = 16 * 1024 * 1024;

/// How long the one who asks may take to read, and the server to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a running server is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name and version.
    pub server: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// How long ago that is.
    pub uptime_seconds: u64,
    /// Where clients connect.
    pub address: Option<String>,
    /// Where the metrics are.
    pub metrics: Option<String>,
    /// Whether it is about to stop.
    pub stopping: bool,
    /// Why it cannot do its work.
    pub trouble: Option<String>,
    /// Open connections.
    pub connections: usize,
    /// Uploads and downloads under way, whether or not they are listed.
    pub uploads: usize,
    /// Downloads under way.
    pub downloads: usize,
    /// Those under way, the oldest first.
    pub transfers: Vec<TransferView>,
    /// What the store holds, as far as it has been counted.
    pub store: Option<StoreCounts>,
    /// How long ago that was counted.
    pub counted_seconds_ago: Option<f64>,
    /// The disk.
    pub disk: Option<DiskUsage>,
    /// When the authority's certificate expires, in seconds since 1970.
    pub authority_expires: u64,
    /// When the server's certificate expires.
    pub server_expires: u64,
}

/// The socket of a data directory.
pub fn path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Listens at the socket. Whoever calls this holds the lock on the data directory, so one that is there is a dead
/// server's.
pub fn listen(data: &Path) -> io::Result<UnixListener> {
    let (path, fresh) = (path(data), data.join("control.new"));
    for old in [&path, &fresh] {
        match fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Nobody sees it under its name before it has its mode.
    let listener = UnixListener::bind(&fresh)?;
    #[cfg(unix)]
    fs::set_permissions(&fresh, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    fs::rename(&fresh, &path)?;
    Ok(listener)
}

/// Answers for ever, one after the other: an answer takes no time, and who does not read it has a time limit.
pub async fn serve(listener: UnixListener, state: Arc<ServerState>) {
    loop {
        let (mut stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a status could not be told");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let state = state.clone();
        let answer = async move {
            let document = serde_json::to_vec(&status(&state).await)?;
            stream.write_all(&document).await?;
            stream.shutdown().await
        };
        tokio::spawn(async move {
            if !matches!(tokio::time::timeout(PATIENCE, answer).await, Ok(Ok(()))) {
                debug!("nobody read the status that was asked for");
            }
        });
    }
}

/// Asks the server that uses a data directory; `None` if there is none.
pub async fn ask(data: &Path) -> io::Result<Option<ServerStatus>> {
    let mut stream = match UnixStream::connect(path(data)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let read = async {
        let mut document = Vec::new();
        (&mut stream).take(MOST).read_to_end(&mut document).await?;
        Ok(Some(serde_json::from_slice(&document)?))
    };
    tokio::time::timeout(2 * PATIENCE, read).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn status(state: &ServerState) -> ServerStatus {
    let monitor = &state.monitor;
    let seconds =
        |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let counted = monitor.census.look().await;
    let transfers = &monitor.transfers;
    ServerStatus {
        server: SERVER.into(),
        started: seconds(monitor.started),
        uptime_seconds: monitor.begun.elapsed().as_secs(),
        address: monitor.address.get().map(ToString::to_string),
        metrics: monitor.metrics.get().map(ToString::to_string),
        stopping: monitor.is_stopping(),
        trouble: super::health::is_ready(state).await.err().filter(|_| !monitor.is_stopping()),
        connections: state.sessions.count(),
        uploads: transfers.count(sealift_protocol::message::Direction::Put),
        downloads: transfers.count(sealift_protocol::message::Direction::Get),
        transfers: transfers.running(LISTED),
        store: counted.map(|counted| counted.stock),
        counted_seconds_ago: counted.map(|counted| counted.at.elapsed().as_secs_f64()),
        disk: DiskUsage::of(&state.config().data).ok(),
        authority_expires: seconds(state.pki.authority().validity().not_after),
        server_expires: seconds(state.pki.validity().not_after),
    }
}
