//! The state that all tasks of the engine use.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as sync};

use sealift_transfer::{Client, ClientOptions, Profiles, TransferError};
use sealift_types::Name;
use tokio::sync::Notify;

use super::messages::EngineUpdate;
use super::opening::Opening;
use super::waker::Waker;
use crate::model::queue::TransferQueue;

/// What all of the engine's tasks share.
#[derive(Debug)]
pub(super) struct EngineContext {
    pub(super) profiles: Profiles,
    pub(super) queue: Arc<Mutex<TransferQueue>>,
    pub(super) updates: sync::Sender<EngineUpdate>,
    pub(super) waker: Arc<Waker>,
    pub(super) attended: Arc<AtomicBool>,
    pub(super) opening: Opening,
    /// Clients that nobody uses now, with their connections.
    pub(super) idle: Mutex<HashMap<Name, Vec<Client>>>,
    pub(super) stirred: Notify,
    /// The queue may have changed since it was saved.
    pub(super) dirty: Notify,
}

impl EngineContext {
    pub(super) fn queue(&self) -> MutexGuard<'_, TransferQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the window something.
    pub(super) fn tell(&self, update: EngineUpdate) {
        // Nobody listens any more when the window is being closed.
        let _ = self.updates.send(update);
        self.waker.now();
    }

    /// A client of a profile: one that is free and connected, or a new one.
    pub(super) fn client(&self, profile: &Name) -> Result<Client, TransferError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = idle.get_mut(profile).and_then(Vec::pop) {
            return Ok(client);
        }
        drop(idle);
        Ok(Client::new(self.profiles.load(profile)?, options()))
    }

    /// Takes a client back for the next one who needs it.
    pub(super) fn give_back(&self, profile: &Name, client: Client) {
        /// More idle connections would only cost the server memory.
        const MOST: usize = 4;
        if client.is_connected() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let clients = idle.entry(profile.clone()).or_default();
            if clients.len() < MOST {
                clients.push(client);
            }
        }
    }

    /// Forgets the idle clients of a profile, because it has changed.
    pub(super) fn forget_clients(&self, profile: &Name) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(profile);
    }
}

/// How this program behaves on the wire.
pub(super) fn options() -> ClientOptions {
    ClientOptions {
        agent: concat!("sealift-gui/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ClientOptions::default()
    }
}
