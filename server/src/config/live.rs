//! The settings of a running server, which may change while it runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::Config;

/// The current settings. Clones share them.
#[derive(Debug, Clone)]
pub struct Live(watch::Receiver<Arc<Config>>);

impl Live {
    /// Settings that whoever has the sender changes.
    pub fn new(config: Config) -> (watch::Sender<Arc<Config>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(config));
        (sender, Self(receiver))
    }

    /// The settings as they are now. To be asked for each use, not kept.
    pub fn now(&self) -> Arc<Config> {
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

impl From<Config> for Live {
    /// Settings that do not change.
    fn from(config: Config) -> Self {
        Self::new(config).1
    }
}
