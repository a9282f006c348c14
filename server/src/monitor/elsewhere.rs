//! What stands in, on systems other than Unix, for the socket of `sealiftd status` and for systemd: the server runs
//! without either, and whoever asks for its status is told why there is none.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use tokio::io::DuplexStream;

fn none<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "there is no status on this system: read the metrics instead",
    ))
}

/// Never made.
#[derive(Debug)]
pub struct UnixListener(Infallible);

impl UnixListener {
    pub(super) fn bind(_: &Path) -> io::Result<Self> {
        none()
    }

    pub(super) async fn accept(&self) -> io::Result<(DuplexStream, ())> {
        match self.0 {}
    }
}

pub(super) struct UnixStream;

impl UnixStream {
    pub(super) async fn connect(_: impl AsRef<Path>) -> io::Result<DuplexStream> {
        none()
    }
}

/// As the module for systemd, where there is none.
pub mod service {
    use std::sync::Arc;

    use crate::state::ServerState;

    /// Clients may come.
    pub fn ready() {}

    /// The settings are being read again.
    pub fn reloading() {}

    /// The server stops.
    pub fn stopping() {}

    /// Tells nobody.
    pub async fn keep_told(_: Arc<ServerState>) {}
}
