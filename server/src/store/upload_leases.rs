//! Uploads under way that can be continued, by whose they are: a newer attempt waits for an older one to let go.
//!
//! Who was cut off may be back before the server has read what is still in the socket, or has written what came; who
//! lost the network without a word may be back long before the server would notice. In each case all that came is to
//! be continued, not sent again. So whoever asks to go on waits for the older attempt. One whose client has fallen
//! silent is ended; one that goes on receiving is left alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catalog::ChangeHeld;
use super::upload_key::PartialUploadKey;
use crate::liveness::Liveness;

/// How long an attempt that receives nothing more may take to let go: a few blocks go to the disk, or a file is synced.
const PATIENCE: Duration = Duration::from_secs(10);

/// The attempts under way. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UploadLeases {
    running: Arc<Mutex<BTreeMap<PartialUploadKey, Vec<Arc<LeaseFacts>>>>>,
    ended: Arc<Notify>,
}

/// One upload, until the last clone is dropped: whoever receives it, whoever writes it, and whoever notes it in the
/// catalog has one.
#[derive(Debug, Clone)]
pub struct UploadLease(Arc<RunningLease>);

impl ChangeHeld for Option<UploadLease> {}

#[derive(Debug)]
struct RunningLease {
    leases: UploadLeases,
    key: PartialUploadKey,
    facts: Arc<LeaseFacts>,
}

#[derive(Debug)]
struct LeaseFacts {
    liveness: Arc<Liveness>,
    /// Of the further connections that bring some of it, as long as there are any.
    further: Mutex<Vec<Weak<Liveness>>>,
    /// Set when nothing more is received.
    over: AtomicBool,
    /// Cancelled when a newer attempt takes the part over.
    superseded: CancellationToken,
}

impl UploadLeases {
    /// Notes that an upload begins, or goes on.
    pub fn begin(&self, key: PartialUploadKey, liveness: Arc<Liveness>) -> UploadLease {
        let (further, over, superseded) =
            (Mutex::default(), AtomicBool::new(false), CancellationToken::new());
        let facts = Arc::new(LeaseFacts { liveness, further, over, superseded });
        self.lock().entry(key.clone()).or_default().push(facts.clone());
        UploadLease(Arc::new(RunningLease { leases: self.clone(), key, facts }))
    }

    /// Whether an upload is under way.
    pub fn has(&self, key: &PartialUploadKey) -> bool {
        self.lock().contains_key(key)
    }

    /// Waits until nobody is at these uploads any more. Those whose clients are silent for `silence` are ended; those
    /// that still receive after twice the time are not waited for. That leaves time for what a client that is gone has
    /// left in the socket, and for its silence after that.
    pub async fn settle(&self, keys: &[PartialUploadKey], silence: Duration) {
        let begun = Instant::now();
        loop {
            // Before the look, so that no end is missed between the two.
            let ended = self.ended.notified();
            let running: Vec<_> = {
                let running = self.lock();
                keys.iter().filter_map(|key| running.get(key)).flatten().cloned().collect()
            };
            let waits = running.iter().filter_map(|facts| facts.wait(silence, begun.elapsed()));
            let Some(wait) = waits.min() else { return };
            // An end is told at once. Nobody tells of a client's silence: the next look finds it.
            let _ = tokio::time::timeout(wait, ended).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartialUploadKey, Vec<Arc<LeaseFacts>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseFacts {
    /// How long to wait until the next look, after `waited`; `None` if that is of no use any more.
    fn wait(&self, silence: Duration, waited: Duration) -> Option<Duration> {
        let going = !self.over.load(Ordering::Relaxed) && !self.superseded.is_cancelled();
        let heard = self.silence();
        if going && heard >= silence {
            self.superseded.cancel();
        } else if going {
            let left = (2 * silence).checked_sub(waited).filter(|left| !left.is_zero())?;
            return Some(left.min(silence - heard));
        }
        (2 * silence + PATIENCE).checked_sub(waited).filter(|left| !left.is_zero())
    }
}

impl LeaseFacts {
    /// How long nothing has come over any of the upload's connections.
    fn silence(&self) -> Duration {
        let further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        let others = further.iter().filter_map(Weak::upgrade).map(|liveness| liveness.silence());
        others.fold(self.liveness.silence(), Duration::min)
    }
}

impl UploadLease {
    /// Another connection brings some of it.
    pub fn joined(&self, liveness: &Arc<Liveness>) {
        let mut further = self.0.facts.further.lock().unwrap_or_else(PoisonError::into_inner);
        further.retain(|known| known.strong_count() > 0);
        if !further.iter().any(|known| known.as_ptr() == Arc::as_ptr(liveness)) {
            further.push(Arc::downgrade(liveness));
        }
    }

    /// Resolves when a newer attempt takes over what this one has.
    pub async fn superseded(&self) {
        self.0.facts.superseded.cancelled().await;
    }

    /// Notes that nothing more is received, so that the client's silence means nothing from here on.
    pub fn over(&self) {
        self.0.facts.over.store(true, Ordering::Relaxed);
    }
}

impl Drop for RunningLease {
    fn drop(&mut self) {
        let mut running = self.leases.lock();
        if let Some(same) = running.get_mut(&self.key) {
            same.retain(|facts| !Arc::ptr_eq(facts, &self.facts));
            if same.is_empty() {
                running.remove(&self.key);
            }
        }
        drop(running);
        self.leases.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::liveness::WatchedStream;
    use crate::store::partial_uploads::UploadPath;

    const SILENCE: Duration = Duration::from_millis(50);

    fn key(mtime: i64) -> PartialUploadKey {
        UploadPath::of(1, 1, "file").upload(9, mtime)
    }

    /// Of a client that has been asked for a byte and does not send it.
    async fn silent() -> Arc<Liveness> {
        let (near, far) = tokio::io::duplex(64);
        let mut watched = WatchedStream::new(far);
        let _ = tokio::time::timeout(SILENCE, watched.read_u8()).await;
        drop(near);
        watched.liveness()
    }

    #[tokio::test]
    async fn what_receives_is_left_alone_and_what_is_silent_is_ended() {
        let leases = UploadLeases::default();
        let going = leases.begin(key(1), Arc::default());
        leases.settle(&[key(2)], SILENCE).await;
        leases.settle(&[key(1)], SILENCE).await;
        assert!(leases.has(&key(1)) && !going.0.facts.superseded.is_cancelled());
        let stuck = leases.begin(key(2), silent().await);
        let ending = tokio::spawn(async move { stuck.superseded().await });
        leases.settle(&[key(2)], SILENCE).await;
        assert!(!leases.has(&key(2)));
        ending.await.unwrap();
        drop(going);
        assert!(!leases.has(&key(1)));
    }

    #[tokio::test]
    async fn what_receives_nothing_more_is_waited_for_whoever_is_silent() {
        let leases = UploadLeases::default();
        let lease = leases.begin(key(1), silent().await);
        lease.over();
        let (second, waiting) = (lease.clone(), leases.clone());
        let waiting = tokio::spawn(async move { waiting.settle(&[key(1)], Duration::ZERO).await });
        tokio::task::yield_now().await;
        drop(lease);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !second.0.facts.superseded.is_cancelled());
        drop(second);
        waiting.await.unwrap();
    }
}
