//! The queue: what is to be transferred, in which order, and how far it is. It knows neither window nor network.
//!
//! The engine takes jobs from it and tells it what happens to them; whoever draws it looks at it between two frames.

mod servers;
mod totals;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sealift_protocol::message::Direction;
use sealift_types::Name;

pub use super::item::{Facts, Files, Item, ItemId, Spec, State, Trouble, Wanted};
use super::meter::RateMeter;
pub use totals::Totals;

/// Files up to this size are transferred many at a time, because a turn of its own would cost each a round trip.
const SMALL: u64 = 1024 * 1024;

/// The most files of one job.
const BATCH: usize = 256;

/// All transfers.
#[derive(Debug)]
pub struct TransferQueue {
    pub(super) items: HashMap<ItemId, Item>,
    /// What has not ended, in the order in which it has its turn.
    order: VecDeque<ItemId>,
    /// What has ended, the latest last.
    ended: Vec<ItemId>,
    next: u64,
    next_job: u64,
    parallel: usize,
    /// Servers that cannot be used now, and why.
    held: HashMap<Name, Trouble>,
    /// Jobs that are to be stopped.
    stops: Vec<u64>,
    /// Downloads that were taken off the list before they were done: what has arrived of them is of no use.
    given_up: Vec<Arc<Spec>>,
    totals: Totals,
    pub(super) meter: RateMeter,
    /// Counts the changes that are worth saving.
    version: u64,
}

/// What the engine does in one go.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the queue calls it.
    pub id: u64,
    /// With whose server.
    pub profile: Name,
    /// Which way.
    pub direction: Direction,
    /// What; one entry if it is a tree or large.
    pub items: Vec<(ItemId, Arc<Spec>)>,
}

impl TransferQueue {
    /// An empty queue that has up to `parallel` jobs under way.
    pub fn new(parallel: usize) -> Self {
        Self {
            items: HashMap::new(),
            order: VecDeque::new(),
            ended: Vec::new(),
            next: 0,
            next_job: 0,
            parallel: parallel.max(1),
            held: HashMap::new(),
            stops: Vec::new(),
            given_up: Vec::new(),
            totals: Totals::default(),
            meter: RateMeter::default(),
            version: 0,
        }
    }

    /// Adds entries behind the others.
    pub fn add(&mut self, specs: impl IntoIterator<Item = Spec>) -> Vec<ItemId> {
        specs.into_iter().map(|spec| self.insert(Arc::new(spec), State::Waiting)).collect()
    }

    /// Adds an entry as it was saved.
    pub(crate) fn insert(&mut self, spec: Arc<Spec>, state: State) -> ItemId {
        let id = ItemId(self.next);
        self.next += 1;
        let item = Item { state, ..Item::new(spec) };
        self.totals.count(&item, true);
        if item.state.has_ended() {
            self.ended.push(id);
        } else {
            self.order.push_back(id);
        }
        self.items.insert(id, item);
        self.version += 1;
        id
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Sums over all entries.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Bytes in a second, of late.
    pub fn rate(&self, now: Instant) -> u64 {
        self.meter.rate(now)
    }

    /// The entry in a row of the list: first what is to come, then what has ended.
    pub fn row(&self, row: usize) -> Option<(ItemId, &Item)> {
        let id = match row.checked_sub(self.order.len()) {
            None => self.order.get(row)?,
            // The latest first.
            Some(ended) => self.ended.get(self.ended.len().checked_sub(1 + ended)?)?,
        };
        Some((*id, self.items.get(id)?))
    }

    /// An entry.
    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id)
    }

    /// What has not ended, in its order.
    pub fn to_come(&self) -> impl Iterator<Item = &Spec> {
        self.order.iter().filter_map(|id| self.items.get(id)).map(|item| &*item.spec)
    }

    /// How many rows can change their places.
    pub fn movable(&self) -> usize {
        self.order.len()
    }

    /// How many jobs are under way at most.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// Sets how many jobs are under way at most. Those that are go on.
    pub fn set_parallel(&mut self, parallel: usize) {
        self.parallel = parallel.max(1);
    }

    /// Counts the changes that are worth saving.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What is worth saving, in its order.
    pub(crate) fn saved(&self) -> Vec<(Arc<Spec>, State)> {
        let worth = |id: &&ItemId| !matches!(self.items[id].state, State::Done | State::Cancelled);
        let all = self.order.iter().chain(&self.ended).filter(worth);
        all.map(|id| (self.items[id].spec.clone(), self.items[id].state.clone())).collect()
    }

    /// The next job, if there is one and fewer than allowed are under way.
    pub fn take_job(&mut self, under_way: usize) -> Option<Job> {
        if under_way >= self.parallel {
            return None;
        }
        let ready = |item: &Item| item.state == State::Waiting && !self.held.contains_key(&item.spec.profile);
        let at = self.order.iter().position(|id| ready(&self.items[id]))?;
        let first = self.items[&self.order[at]].spec.clone();
        let small = |spec: &Spec| !spec.tree && spec.size.is_some_and(|size| size <= SMALL);
        let mut items = vec![(self.order[at], first.clone())];
        if small(&first) {
            let rest = self.order.range(at + 1..).map(|id| (*id, &self.items[id]));
            let fits = |(_, item): &(ItemId, &Item)| {
                ready(item)
                    && small(&item.spec)
                    && item.spec.profile == first.profile
                    && item.spec.direction == first.direction
            };
            items.extend(rest.take_while(fits).map(|(id, item)| (id, item.spec.clone())).take(BATCH - 1));
        }
        let id = self.next_job;
        self.next_job += 1;
        for (item, _) in &items {
            self.change(*item, |item| {
                item.begin_anew();
                item.state = State::Running;
                item.job = Some(id);
            });
        }
        Some(Job { id, profile: first.profile.clone(), direction: first.direction, items })
    }

    /// Jobs that are to be stopped since the last time.
    pub fn take_stops(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.stops)
    }

    /// Downloads that nobody will go on with, since the last time. What is still in the list keeps what it has.
    pub fn take_given_up(&mut self) -> Vec<Arc<Spec>> {
        let given_up = std::mem::take(&mut self.given_up);
        self.unwanted(given_up)
    }

    /// Those that nothing in the list goes on with.
    pub fn unwanted(&self, given_up: Vec<Arc<Spec>>) -> Vec<Arc<Spec>> {
        let is_wanted = |spec: &Spec| {
            let others = self.items.values().filter(|item| item.spec.direction == Direction::Get);
            others.map(|item| &item.spec.local).any(|other| {
                // A folder's parts may be those of a file in it.
                other.starts_with(&spec.local) || spec.local.starts_with(other)
            })
        };
        given_up.into_iter().filter(|spec| !is_wanted(spec)).collect()
    }

    /// Lets an entry wait until it is resumed.
    pub fn pause(&mut self, id: ItemId) {
        if self.items.get(&id).is_some_and(|item| !item.state.has_ended()) {
            self.leave(id, State::Paused);
        }
    }

    /// Lets an entry go on when it has its turn.
    pub fn resume(&mut self, id: ItemId) {
        if self.items.get(&id).is_some_and(|item| item.state == State::Paused) {
            self.change(id, |item| item.state = State::Waiting);
            self.version += 1;
        }
    }

    /// Ends an entry. What has arrived of it is kept by whoever has it, for a later attempt.
    pub fn cancel(&mut self, id: ItemId) {
        if self.items.get(&id).is_some_and(|item| !item.state.has_ended()) {
            self.leave(id, State::Cancelled);
            self.end(&[id]);
        }
    }

    /// Begins again with an entry that failed or was cancelled.
    pub fn retry(&mut self, id: ItemId) {
        let again = |item: &Item| matches!(item.state, State::Failed(_) | State::Cancelled);
        if let Some(profile) = self.items.get(&id).filter(|item| again(item)).map(|i| i.spec.profile.clone())
        {
            self.change(id, |item| {
                item.begin_anew();
                item.state = State::Waiting;
            });
            self.ended.retain(|other| *other != id);
            self.order.push_back(id);
            self.held.remove(&profile);
            self.version += 1;
        }
    }

    /// Begins again with all that failed, and with the servers that could not be used.
    pub fn retry_failed(&mut self) {
        self.held.clear();
        let failed = |id: &ItemId| matches!(self.items[id].state, State::Failed(_));
        let (again, rest): (Vec<_>, Vec<_>) = self.ended.iter().copied().partition(failed);
        self.ended = rest;
        for id in again {
            self.change(id, |item| {
                item.begin_anew();
                item.state = State::Waiting;
            });
            self.order.push_back(id);
        }
        self.version += 1;
    }

    /// Lets all wait.
    pub fn pause_all(&mut self) {
        for id in self.order.clone() {
            self.pause(id);
        }
    }

    /// Lets all go on.
    pub fn resume_all(&mut self) {
        for id in self.order.clone() {
            self.resume(id);
        }
    }

    /// Puts another in the place of one that failed, because that one's place was no good.
    pub fn replace(&mut self, id: ItemId, spec: Spec) {
        self.forget(|other, _| other == id);
        self.add([spec]);
    }

    /// Takes all off the list that is done or was cancelled.
    pub fn clear_ended(&mut self) {
        self.forget(|_, item| matches!(item.state, State::Done | State::Cancelled));
    }

    /// Takes one off the list that has ended.
    pub fn remove(&mut self, id: ItemId) {
        self.forget(|other, _| other == id);
    }

    /// Moves an entry to another row of those that are to come.
    pub fn reorder(&mut self, id: ItemId, row: usize) {
        let Some(from) = self.order.iter().position(|other| *other == id) else { return };
        self.order.remove(from);
        let to = if from < row { row - 1 } else { row };
        self.order.insert(to.min(self.order.len()), id);
        self.version += 1;
    }

    /// What remains of a job: it has ended by itself, and all its entries were told of, or with an error.
    pub fn job_ended(&mut self, job: &Job, error: Option<(Trouble, bool)>) {
        let left: Vec<_> = job.items.iter().map(|(id, _)| *id).filter(|id| self.is_at(*id, job.id)).collect();
        match error {
            // Whoever has taken all of it away, such as with its server, has seen to it.
            Some(_) if left.is_empty() => {}
            // All others would fail as well: they wait until somebody does something about it.
            Some((trouble, true)) => {
                for id in left {
                    self.change(id, |item| {
                        item.begin_anew();
                        item.state = State::Waiting;
                    });
                }
                self.held.insert(job.profile.clone(), trouble);
            }
            Some((trouble, false)) => {
                for id in &left {
                    self.change(*id, |item| item.state = State::Failed(Box::new(trouble.clone())));
                }
                self.end(&left);
            }
            None => {
                for id in &left {
                    self.change(*id, Item::settle);
                }
                self.end(&left);
            }
        }
        if self.totals.running == 0 {
            self.meter.rest();
        }
        self.version += 1;
    }

    pub(super) fn is_at(&self, id: ItemId, job: u64) -> bool {
        self.items.get(&id).is_some_and(|item| item.job == Some(job) && item.state == State::Running)
    }

    /// Changes an entry and keeps the sums right.
    pub(super) fn change(&mut self, id: ItemId, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.items.get_mut(&id) {
            self.totals.count(item, false);
            change(item);
            self.totals.count(item, true);
        }
    }

    /// Moves entries to those that have ended.
    pub(super) fn end(&mut self, ids: &[ItemId]) {
        for id in ids {
            // What ends was under way, so it is near the front, where a deque takes it out without moving the rest.
            if let Some(at) = self.order.iter().position(|other| other == id) {
                self.order.remove(at);
                self.ended.push(*id);
            }
        }
        self.version += 1;
    }

    /// Takes an entry from the job that is at it, which ends; the job's others wait for another one.
    fn leave(&mut self, id: ItemId, state: State) {
        let job = self.items.get(&id).and_then(|item| item.job).filter(|job| self.is_at(id, *job));
        if let Some(job) = job {
            self.stops.push(job);
            let fellows: Vec<_> =
                self.order.iter().copied().filter(|other| self.is_at(*other, job)).collect();
            for fellow in fellows {
                self.change(fellow, |item| {
                    item.job = None;
                    item.state = State::Waiting;
                });
            }
        }
        self.change(id, |item| item.state = state);
        self.version += 1;
    }

    /// Takes down that a download is gone before it was done.
    fn give_up(&mut self, item: &Item) {
        if item.spec.direction == Direction::Get && item.state != State::Done {
            self.given_up.push(item.spec.clone());
        }
    }

    fn forget(&mut self, which: impl Fn(ItemId, &Item) -> bool) {
        let going: Vec<_> = self.ended.iter().copied().filter(|id| which(*id, &self.items[id])).collect();
        for id in &going {
            if let Some(item) = self.items.remove(id) {
                self.totals.count(&item, false);
                self.give_up(&item);
            }
        }
        self.ended.retain(|id| self.items.contains_key(id));
        self.version += 1;
    }
}

impl Item {
    /// What an entry is when its job has nothing more to tell.
    fn settle(&mut self) {
        let Some(files) = &self.files else {
            self.state = State::Done;
            return;
        };
        self.had = files.had > 0 && files.had == files.found;
        self.state = match files.trouble.clone() {
            Some(trouble) => State::Failed(Box::new(trouble)),
            None => State::Done,
        };
    }
}
