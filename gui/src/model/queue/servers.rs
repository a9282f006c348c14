//! What becomes of a server's transfers when it cannot be used, goes, or gets another name.

use std::collections::HashSet;
use std::sync::Arc;

use sealift_types::Name;

use super::{Item, State, TransferQueue, Trouble};

impl TransferQueue {
    /// Why a server's transfers wait, if they do.
    pub fn held(&self) -> impl Iterator<Item = (&Name, &Trouble)> {
        self.held.iter()
    }

    /// Tries a server again that could not be used.
    pub fn release(&mut self, server: &Name) {
        self.held.remove(server);
    }

    /// How many transfers of a server are not done.
    pub fn unfinished(&self, server: &Name) -> usize {
        let open = |item: &&Item| !matches!(item.state, State::Done | State::Cancelled);
        self.items.values().filter(|item| item.spec.profile == *server).filter(open).count()
    }

    /// Takes all transfers of a server off the list; those under way are stopped.
    pub fn forget_server(&mut self, server: &Name) {
        self.stop(server);
        let (going, left) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(|(_, item): &(_, Item)| item.spec.profile == *server);
        self.items = left;
        let going: std::collections::HashMap<_, Item> = going;
        for item in going.values() {
            self.totals.count(item, false);
            self.give_up(item);
        }
        self.order.retain(|id| self.items.contains_key(id));
        self.ended.retain(|id| self.items.contains_key(id));
        self.held.remove(server);
        self.version += 1;
    }

    /// Gives a server another name; what is under way begins again.
    pub fn rename_server(&mut self, from: &Name, to: &Name) {
        for id in self.stop(from) {
            self.change(id, |item| {
                item.begin_anew();
                item.state = State::Waiting;
            });
        }
        for item in self.items.values_mut().filter(|item| item.spec.profile == *from) {
            Arc::make_mut(&mut item.spec).profile = to.clone();
        }
        self.held.remove(from);
        self.version += 1;
    }

    /// Stops the jobs of a server; returns the entries that were under way.
    fn stop(&mut self, server: &Name) -> Vec<super::ItemId> {
        let running = |item: &Item| item.spec.profile == *server && item.state == State::Running;
        let at: Vec<_> = self.items.iter().filter(|(_, item)| running(item)).collect();
        let jobs: HashSet<_> = at.iter().filter_map(|(_, item)| item.job).collect();
        let ids = at.into_iter().map(|(id, _)| *id).collect();
        self.stops.extend(jobs);
        ids
    }
}
