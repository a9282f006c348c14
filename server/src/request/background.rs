//! Calls to those who work in the background, when a change is over.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::disturbances::Disturbing;
use crate::state::ServerState;
use crate::store::TreeUpkeep;
use crate::store::catalog::ChangeHeld;

/// Calls those who work in the background when a change is over: names that went may have been the last of their contents.
#[derive(Debug)]
pub(super) struct BackgroundCalls {
    garbage: Arc<Notify>,
    trees: TreeUpkeep,
    /// What listings have to know of, until the change is over.
    pub(super) disturbing: Disturbing,
    weight: usize,
    frees: bool,
}

impl BackgroundCalls {
    /// `weight` is how many entries the change may touch, `frees` whether something may be nobody's after it.
    pub(super) fn of(state: &ServerState, weight: usize, frees: bool) -> Self {
        let disturbing = Disturbing::new(&state.disturbances);
        Self { garbage: state.garbage.clone(), trees: state.trees.clone(), disturbing, weight, frees }
    }
}

impl ChangeHeld for BackgroundCalls {
    fn weight(&self) -> usize {
        self.weight
    }

    fn ends_with_its_asker(&self) -> bool {
        true
    }
}

impl Drop for BackgroundCalls {
    fn drop(&mut self) {
        if self.frees {
            self.garbage.notify_one();
            self.trees.wake();
        }
    }
}
