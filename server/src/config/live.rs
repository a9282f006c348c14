//! The settings of a running server, which may change while it runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::ServerConfig;

/// The current settings. Clones share them.
#[derive(Debug, Clone)]
pub struct LiveConfig(watch::Receiver<Arc<ServerConfig>>);

impl LiveConfig {
    /// Settings that whoever has the sender changes.
    pub fn new(config: ServerConfig) -> (watch::Sender<Arc<ServerConfig>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(config));
        (sender, Self(receiver))
    }

    /// The settings as they are now. To be asked for each use, not kept.
    pub fn now(&self) -> Arc<ServerConfig> {
        self.0.borrow().clone()
    }

    /// Waits until they are other ones than when this was last called, or than at the beginning; for ever if they
    /// cannot change any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl From<ServerConfig> for LiveConfig {
    /// Settings that do not change.
    fn from(config: ServerConfig) -> Self {
        Self::new(config).1
    }
}
