//! What the two halves of a connection know of each other.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::kernel::KernelConnection;
use rustls::{AlertDescription, Error, PeerMisbehaved};

use crate::record::Key;

/// The keys that follow those in use.
pub(crate) trait Succession: Send {
    fn next_sealing(&mut self) -> Result<Key, Error>;
    fn next_opening(&mut self) -> Result<Key, Error>;
}

impl<D: Send> Succession for KernelConnection<D> {
    fn next_sealing(&mut self) -> Result<Key, Error> {
        let (sequence, secrets) = self.update_tx_secret()?;
        Key::new(sequence, &secrets)
    }

    fn next_opening(&mut self) -> Result<Key, Error> {
        let (sequence, secrets) = self.update_rx_secret()?;
        Key::new(sequence, &secrets)
    }
}

pub(crate) struct Shared {
    succession: Mutex<Box<dyn Succession>>,
    /// The peer wants a new key from here, too.
    asked: AtomicBool,
    /// What is said instead of goodbye.
    alert: AtomicU8,
}

impl Shared {
    pub(crate) fn new(succession: Box<dyn Succession>) -> Self {
        let goodbye = AtomicU8::new(AlertDescription::CloseNotify.into());
        Self { succession: Mutex::new(succession), asked: AtomicBool::new(false), alert: goodbye }
    }

    pub(crate) fn succession(&self) -> MutexGuard<'_, Box<dyn Succession>> {
        self.succession.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ask_for_new_key(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether a new key was asked for since the last time.
    pub(crate) fn new_key_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) && self.asked.swap(false, Ordering::Relaxed)
    }

    /// Keeps what the peer is to hear of a failure.
    pub(crate) fn failed(&self, error: &Error) {
        let alert = match error {
            Error::DecryptError => AlertDescription::BadRecordMac,
            Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
            Error::InvalidMessage(_) => AlertDescription::DecodeError,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(PeerMisbehaved::IllegalTlsInnerPlaintext) => {
                AlertDescription::UnexpectedMessage
            }
            _ => AlertDescription::CloseNotify,
        };
        self.alert.store(alert.into(), Ordering::Relaxed);
    }

    /// The last words.
    pub(crate) fn alert(&self) -> AlertDescription {
        self.alert.load(Ordering::Relaxed).into()
    }
}
