//! The memory and the places of requests that wait for their answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::budget::{BudgetLoan, MemoryNeed};
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::in_flight::{IdentityRequests, RequestPlace};
use crate::state::ServerState;

/// Memory that a connection's requests take beyond their bytes: each for itself, and for each of its bytes, since what is
/// decoded is larger than its JSON.
const REQUEST: usize = 512;
const DECODED: usize = 5;

/// Memory of waiting requests that belongs to a connection, as its buffers do. What is beyond it counts in the budget.
const OWN: usize = 32 * 1024;

/// The memory and the place of a request that waits for its answer.
#[derive(Debug)]
pub(super) struct RequestCharge {
    _place: Option<RequestPlace>,
    _own: OwnedSemaphorePermit,
    _shared: Option<BudgetLoan>,
}

/// Room for the requests of a connection that wait for their answers, in KiB.
#[derive(Debug)]
pub(super) struct RequestRoom {
    in_flight: IdentityRequests,
    free: Arc<Semaphore>,
    most: u32,
}

impl RequestRoom {
    pub(super) fn of(state: &ServerState, caller: &Caller) -> Self {
        let most = u32::try_from(state.config().memory.queue() / 1024).unwrap_or(u32::MAX).max(1);
        let in_flight = state.in_flight.of(caller.identity);
        Self { in_flight, free: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits until there is room for a request of so many bytes. Meanwhile nobody reads the connection, so its client waits.
    /// The first request of a connection, with no other under way, needs no place among those of its identity.
    pub(super) async fn charge(
        &self,
        state: &ServerState,
        caller: &Caller,
        is_first: bool,
        bytes: usize,
    ) -> Result<RequestCharge> {
        let _place = if is_first {
            None
        } else {
            let config = state.config();
            let most = config.limits.requests_per_identity.get();
            // The client must not take the wait for a broken connection.
            Some(self.in_flight.take(most, config.timeouts.stall() / 2).await?)
        };
        let bytes = REQUEST + DECODED * bytes;
        let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.most);
        // Never closed.
        let own = self.free.clone().acquire_many_owned(permits).await.map_err(|_| ServerError::Stopped)?;
        let waiting = (self.most as usize - self.free.available_permits()) * 1024;
        let _shared = match waiting > OWN {
            true if is_first => Some(state.memory(caller.identity, bytes).await?),
            true => Some(self.wait_for_memory(state, caller, permits, bytes).await?),
            false => None,
        };
        Ok(RequestCharge { _place, _own: own, _shared })
    }

    /// Waits for the memory of a request behind others. Once those are answered, nothing else goes on on this connection, so
    /// the request is as urgent as a first one.
    async fn wait_for_memory(
        &self,
        state: &ServerState,
        caller: &Caller,
        permits: u32,
        bytes: usize,
    ) -> Result<BudgetLoan> {
        // The client must not take the wait for a broken connection.
        let patience = state.config().timeouts.stall() / 2;
        tokio::select! {
            biased;
            loan = state.budget.take_within(patience, caller.identity, bytes as u64, MemoryNeed::Queue) => loan,
            _ = self.free.acquire_many(self.most - permits) => state.memory(caller.identity, bytes).await,
        }
    }
}
