//! The engine behind the window: connections and transfers on a thread of their own. Commands go in, updates come out;
//! the queue is shared.
//!
//! One thread is enough, as for the command line: hashing and the disk have threads of their own anyway.

#[cfg(all(unix, not(target_os = "macos")))]
mod appearance;
mod context;
mod control;
mod messages;
mod names;
mod opening;
mod preview;
mod profiles;
mod relocate;
mod requests;
mod transfers;
mod waker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc as sync};
use std::thread::JoinHandle;

use sealift_transfer::Profiles;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

use crate::model::queue::TransferQueue;
use crate::store::QueueFile;
use context::EngineContext;
pub use messages::{CollisionAnswer, EngineCommand, EngineUpdate, Preview, ProfileInfo};
pub use opening::Opening;
pub(crate) use profiles::infos;
pub use waker::Waker;

/// The engine, from the window's side. It ends when this is dropped, with the queue saved.
#[derive(Debug)]
pub struct Engine {
    commands: Option<mpsc::UnboundedSender<EngineCommand>>,
    /// What it tells.
    pub updates: sync::Receiver<EngineUpdate>,
    /// The waker of the window.
    pub waker: Arc<Waker>,
    /// Whether somebody looks at the window.
    attended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the engine on the profiles and the queue; what changes in the queue is saved in `file`. What is fetched to be
    /// opened goes where `opening` says.
    ///
    /// # Errors
    /// Fails when the system gives it no thread.
    pub fn start(
        profiles: Profiles,
        queue: Arc<Mutex<TransferQueue>>,
        file: Option<QueueFile>,
        opening: Opening,
    ) -> std::io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let (send, updates) = sync::channel();
        let waker = Arc::new(Waker::default());
        let attended = Arc::new(AtomicBool::new(true));
        let shared = Arc::new(EngineContext {
            profiles,
            queue,
            updates: send,
            waker: waker.clone(),
            attended: attended.clone(),
            opening,
            idle: Mutex::default(),
            stirred: Notify::new(),
            dirty: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, transfers::run(shared, received, file));
            // A thread that hashes or reads is not waited for: what it does is kept by nobody.
            runtime.shutdown_background();
        })?;
        Ok(Self { commands: Some(commands), updates, waker, attended, thread: Some(thread) })
    }

    /// Has the engine do something.
    pub fn send(&self, command: EngineCommand) {
        if let Some(commands) = &self.commands {
            // An engine that has ended does nothing any more.
            let _ = commands.send(command);
        }
    }

    /// Says whether somebody looks at the window: who does needs no notification.
    pub fn attend(&self, attended: bool) {
        self.attended.store(attended, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
