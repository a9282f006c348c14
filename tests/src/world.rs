//! A server in this process.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sealift_server::data::DataDirectory;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::wait::{PATIENCE, within};
use crate::{Settings, Site, panics};

/// A server with a data directory and an authority of its own, on a port that the system picked.
///
/// It runs on threads of its own, so that a test may block. When the world is dropped, the server ends, and the test
/// fails if anything in the server panicked.
#[derive(Debug)]
pub struct World {
    site: Site,
    settings: Settings,
    folder: Arc<TempDir>,
    threads: String,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<Result<(), String>>>,
}

impl World {
    /// A server with default settings and nothing in it.
    pub async fn start() -> Self {
        Self::with(Settings::new()).await
    }

    /// The same with other settings.
    pub async fn with(settings: Settings) -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-world-").tempdir().unwrap();
        Self::open(Arc::new(folder), settings).await
    }

    async fn open(folder: Arc<TempDir>, settings: Settings) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        panics::watch();
        let threads = format!("world-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let data = data_in(&folder);
        DataDirectory::open_or_initialise(&data, SystemTime::now()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(&threads)
            .enable_all()
            .build()
            .unwrap();
        let config = settings.to_config(&data);
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, address) = oneshot::channel();
        let served = runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
            let _ = bound.send(listener.local_addr().map_err(|error| error.to_string())?);
            let shutdown = async move {
                // A world that is dropped without being stopped ends with its runtime.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let served = sealift_server::serve(config, listener, shutdown).await;
            // Whoever waits for this server would only see that nobody is there.
            #[allow(clippy::print_stderr)]
            let told = |error: &String| eprintln!("the server: {error}");
            served.map_err(|error| format!("{error:#}")).inspect_err(told)
        });
        let address = within(PATIENCE, "the server's address", address).await.unwrap();
        let site = Site::new(data, address);
        Self {
            site,
            settings,
            folder,
            threads,
            runtime: Some(runtime),
            stop: Some(stop),
            served: Some(served),
        }
    }

    /// Tells the server to stop, without waiting for it.
    pub fn begin_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Stops the server as a signal would, and checks that it ended well.
    pub async fn stop(mut self) {
        self.end().await;
    }

    /// Stops the server and starts another one on the same data, on another port.
    pub async fn restart(mut self) -> Self {
        self.end().await;
        Self::open(self.folder.clone(), self.settings.clone()).await
    }

    async fn end(&mut self) {
        self.begin_to_stop();
        let served = self.served.take().expect("a world ends once");
        let ended = within(PATIENCE, "the server to stop", served).await;
        assert_eq!(ended.expect("serve panicked"), Ok(()));
    }
}

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not here: a test's own runtime forbids waiting on its threads.
            let ending = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
            let _ = ending.join();
        }
        let panics = panics::of(&self.threads);
        if !std::thread::panicking() {
            assert!(panics.is_empty(), "the server panicked: {panics:?}");
        }
    }
}

/// The data directory in a test's folder.
pub(crate) fn data_in(folder: &TempDir) -> std::path::PathBuf {
    let path: &Path = folder.path();
    path.join("data")
}
