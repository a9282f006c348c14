//! Threads for transfers.
//!
//! A transfer's thread lives as long as its client takes, and clients may be slow. On the runtime's pool a few hundred
//! of them would leave no thread for anybody's look into the catalog.

use std::io;

use tokio::sync::oneshot;

use crate::error::{Result, ServerError};

/// The result of work on a thread of its own.
#[derive(Debug)]
pub struct Background<T>(oneshot::Receiver<T>);

/// Does `work` on a thread of its own.
pub fn background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Background<T>> {
    let (done, result) = oneshot::channel();
    let work = move || {
        // Nobody may be waiting any more.
        let _ = done.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(Background(result))
}

impl<T> Background<T> {
    /// Waits for the result; there is none after a panic.
    pub async fn wait(self) -> Result<T> {
        self.0.await.map_err(|_| ServerError::Stopped)
    }
}

/// Runs work that blocks, on the runtime's threads for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ServerError::Stopped)?
}
