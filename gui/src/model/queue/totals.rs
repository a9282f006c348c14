//! Sums over all transfers.

use super::{Item, State};

/// Sums over all entries, kept up to date with every change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries that wait.
    pub waiting: usize,
    /// Entries under way.
    pub running: usize,
    /// Entries that somebody holds back.
    pub paused: usize,
    /// Entries that are done.
    pub done: usize,
    /// Entries that failed.
    pub failed: usize,
    /// Entries of which nothing was sent, because the server had them.
    pub had: usize,
    /// Bytes of all but what was cancelled.
    pub bytes: u64,
    /// Those that are there.
    pub moved: u64,
}

impl Totals {
    pub(super) fn count(&mut self, item: &Item, add: bool) {
        let count = |field: &mut usize| if add { *field += 1 } else { *field -= 1 };
        match item.state {
            State::Waiting => count(&mut self.waiting),
            State::Running => count(&mut self.running),
            State::Paused => count(&mut self.paused),
            State::Done => count(&mut self.done),
            State::Failed(_) => count(&mut self.failed),
            State::Cancelled => {}
        }
        if item.had {
            count(&mut self.had);
        }
        if item.state != State::Cancelled {
            let moved = if item.state == State::Done { item.size } else { item.moved.min(item.size) };
            // Sizes are what servers claim: a sum that wraps comes back when the entry is taken out again.
            if add {
                self.bytes = self.bytes.wrapping_add(item.size);
                self.moved = self.moved.wrapping_add(moved);
            } else {
                self.bytes = self.bytes.wrapping_sub(item.size);
                self.moved = self.moved.wrapping_sub(moved);
            }
        }
    }
}
