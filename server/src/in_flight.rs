//! Requests in flight: those that an identity has sent, over all its connections, and that are not answered yet.
//!
//! The first one of each connection is always taken. So every connection goes on, and none waits for another for ever.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sealift_types::ErrorCode;
use tokio::sync::Notify;

use crate::error::{Result, ServerError};
use crate::monitor::meter::Counter;

/// The requests in flight, by whose they are. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RequestsInFlight(Arc<InFlightState>);

#[derive(Debug, Default)]
struct InFlightState {
    identities: Mutex<HashMap<i64, Weak<ConnectionRequests>>>,
    waits: Counter,
    refused: Counter,
}

#[derive(Debug, Default)]
struct ConnectionRequests {
    count: AtomicUsize,
    fewer: Notify,
}

/// What the connections of one identity share.
#[derive(Debug)]
pub struct IdentityRequests {
    in_flight: RequestsInFlight,
    requests: Arc<ConnectionRequests>,
}

/// One request in flight, until this is dropped.
#[derive(Debug)]
pub struct RequestPlace(Arc<ConnectionRequests>);

impl RequestsInFlight {
    /// The requests of an identity, for a connection of it.
    pub fn of(&self, identity: i64) -> IdentityRequests {
        let mut identities = self.lock();
        let known = identities.get(&identity).and_then(Weak::upgrade);
        let requests = known.unwrap_or_else(|| {
            identities.retain(|_, requests| requests.strong_count() > 0);
            let requests = Arc::default();
            identities.insert(identity, Arc::downgrade(&requests));
            requests
        });
        IdentityRequests { in_flight: self.clone(), requests }
    }

    /// How many there are, less the first one of each connection.
    pub fn count(&self) -> usize {
        let live = |requests: &Weak<ConnectionRequests>| {
            requests.upgrade().map(|all| all.count.load(Ordering::Relaxed))
        };
        self.lock().values().filter_map(live).sum()
    }

    /// Requests that had to wait until others were answered.
    pub fn waits(&self) -> &Counter {
        &self.0.waits
    }

    /// Requests that waited in vain.
    pub fn refused(&self) -> &Counter {
        &self.0.refused
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Weak<ConnectionRequests>>> {
        self.0.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdentityRequests {
    /// Waits until fewer than `most` are in flight. After `patience` the client is told what the limit is.
    pub async fn take(&self, most: usize, patience: Duration) -> Result<RequestPlace> {
        if let Some(place) = self.try_take(most) {
            return Ok(place);
        }
        self.in_flight.0.waits.count();
        let waiting = async {
            loop {
                let mut fewer = pin!(self.requests.fewer.notified());
                // Before the look, so that nothing is missed.
                fewer.as_mut().enable();
                if let Some(place) = self.try_take(most) {
                    return place;
                }
                fewer.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.map_err(|_| {
            self.in_flight.0.refused.count();
            ServerError::refused(
                ErrorCode::Busy,
                format!(
                    "you have {most} requests under way, over all your connections, which is the most for one identity: try \
                     again when some were answered, or ask the administrator for more `limits.requests_per_identity`"
                ),
            )
        })
    }

    fn try_take(&self, most: usize) -> Option<RequestPlace> {
        let one_more = |count: usize| (count < most).then_some(count + 1);
        self.requests.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(RequestPlace(self.requests.clone()))
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.fewer.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn connections_of_an_identity_share_its_places_and_those_who_wait_get_what_comes_back() {
        let in_flight = RequestsInFlight::default();
        let (one, other, bob) = (in_flight.of(1), in_flight.of(1), in_flight.of(2));
        let first = one.take(2, SOON).await.unwrap();
        let second = other.take(2, SOON).await.unwrap();
        let refused = one.take(2, SOON).await.unwrap_err().to_wire();
        assert!(
            refused.code == ErrorCode::Busy && refused.message.contains("`limits.requests_per_identity`")
        );
        let of_bob = bob.take(2, SOON).await.unwrap();
        assert_eq!((in_flight.count(), in_flight.waits().get(), in_flight.refused().get()), (3, 1, 1));
        let waiting = tokio::spawn(async move { one.take(2, LATE).await.map(drop) });
        while in_flight.waits().get() < 2 {
            tokio::task::yield_now().await;
        }
        drop(first);
        waiting.await.unwrap().unwrap();
        drop((second, of_bob, other, bob));
        let _third = in_flight.of(3);
        assert_eq!((in_flight.count(), in_flight.lock().len()), (0, 1), "who is gone is forgotten");
    }
}
