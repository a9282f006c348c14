//! What the engine's events mean for the entries of the queue.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sealift_transfer::Event;

use super::item::{Item, ItemId, Spec, State, Trouble};
use super::queue::{Job, TransferQueue};

/// Which entry an event of a job belongs to.
#[derive(Debug)]
pub struct Numbers {
    /// Entries by the engine's numbers; the only one, if there is one.
    by_number: Vec<Option<ItemId>>,
}

impl Numbers {
    /// For a job whose uploads are numbered as its entries are, and whose downloads are found in that order.
    pub fn of(job: &Job) -> Self {
        Self { by_number: job.items.iter().map(|(id, _)| Some(*id)).collect() }
    }

    fn entry(&self, number: usize) -> Option<ItemId> {
        match self.by_number.as_slice() {
            [only] => *only,
            several => several.get(number).copied().flatten(),
        }
    }
}

impl TransferQueue {
    /// Takes an event of a job.
    pub fn take(&mut self, job: &Job, numbers: &Numbers, event: Event, now: Instant) {
        let at = |number: usize| numbers.entry(number);
        match event {
            Event::Found { id, size, .. } => self.on(at(id), job, |item| item.found(size)),
            Event::FoundAll { .. } | Event::Redirected { .. } | Event::Would { .. } | Event::Changed(_) => {}
            Event::Imperfect { .. } => {}
            Event::Omitted(omitted) => {
                let path = &omitted.path;
                let of = |(_, spec): &&(ItemId, Arc<Spec>)| path.starts_with(&spec.local);
                let Some((id, spec)) = job.items.iter().find(of).or(job.items.first()) else { return };
                if omitted.is_harmless() {
                    let inside = path.strip_prefix(&spec.local).unwrap_or(path);
                    self.on(Some(*id), job, |item| item.skipped(inside));
                } else {
                    self.failed(Some(*id), job, usize::MAX, Trouble::from(&omitted.error));
                }
            }
            Event::Retrying { error, .. } => {
                for (id, _) in &job.items {
                    let why = error.to_string().into_boxed_str();
                    self.on(Some(*id), job, |item| item.retrying = Some(why));
                }
            }
            Event::Started { id, size, .. } => self.on(at(id), job, |item| item.started(id, size)),
            Event::Hashed { id, bytes } => self.on(at(id), job, |item| {
                if item.files.is_none() {
                    item.compared = bytes;
                }
            }),
            Event::Progress { id, bytes } => {
                let before = at(id).and_then(|item| self.item(item)).map_or(0, |item| item.moved);
                self.on(at(id), job, |item| item.progress(id, bytes));
                let after = at(id).and_then(|item| self.item(item)).map_or(0, |item| item.moved);
                self.meter.add(after.saturating_sub(before), now);
            }
            Event::Finished { id, done } => {
                let Some(entry) = at(id).filter(|entry| self.is_at(*entry, job.id)) else { return };
                let before = self.item(entry).map_or(0, |item| item.moved);
                self.change(entry, |item| item.finished(id, done.size, done.deduplicated));
                let item = &self.items[&entry];
                if !done.deduplicated {
                    let crossed = item.moved.saturating_sub(before);
                    self.meter.add(crossed, now);
                }
                if self.items[&entry].state == State::Done {
                    self.end(&[entry]);
                }
            }
            Event::Made { id } | Event::Kept { id } | Event::Vanished { id } => {
                self.on(at(id), job, Item::made);
            }
            Event::Failed { id, error } => self.failed(at(id), job, id, Trouble::from(&error)),
        }
    }

    fn on(&mut self, id: Option<ItemId>, job: &Job, change: impl FnOnce(&mut Item)) {
        if let Some(id) = id.filter(|id| self.is_at(*id, job.id)) {
            self.change(id, change);
        }
    }

    fn failed(&mut self, id: Option<ItemId>, job: &Job, number: usize, trouble: Trouble) {
        let Some(id) = id.filter(|id| self.is_at(*id, job.id)) else { return };
        self.change(id, |item| match &mut item.files {
            Some(files) => {
                files.open.remove(&number);
                files.failed += 1;
                files.trouble.get_or_insert(trouble);
            }
            None => item.state = State::Failed(Box::new(trouble)),
        });
        if self.items[&id].state.has_ended() {
            self.end(&[id]);
        }
    }
}

impl Item {
    fn found(&mut self, size: Option<u64>) {
        if let Some(files) = &mut self.files {
            files.found += 1;
            self.size += size.unwrap_or(0);
        } else if let Some(size) = size {
            self.size = size;
        }
    }

    fn started(&mut self, number: usize, size: Option<u64>) {
        self.retrying = None;
        match &mut self.files {
            Some(files) => {
                files.open.insert(number, 0);
            }
            None => {
                self.compared = 0;
                self.size = size.unwrap_or(self.size);
            }
        }
    }

    fn progress(&mut self, number: usize, bytes: u64) {
        match &mut self.files {
            Some(files) => {
                let before = files.open.insert(number, bytes).unwrap_or(0);
                self.moved = self.moved.saturating_add(bytes).saturating_sub(before);
            }
            None => {
                self.compared = 0;
                self.moved = bytes;
                self.size = self.size.max(bytes);
            }
        }
    }

    fn finished(&mut self, number: usize, size: u64, had: bool) {
        match &mut self.files {
            Some(files) => {
                files.done += 1;
                files.had += usize::from(had);
                files.finished_bytes = files.finished_bytes.saturating_add(size);
                let open = files.open.remove(&number).unwrap_or(0);
                self.moved = self.moved.saturating_add(size).saturating_sub(open);
                self.size = self.size.max(self.moved);
            }
            None => {
                self.moved = size;
                self.size = size;
                self.had = had;
                self.state = State::Done;
            }
        }
    }

    fn skipped(&mut self, path: &Path) {
        if let Some(files) = &mut self.files {
            files.skipped += 1;
            files.first_skipped.get_or_insert_with(|| path.to_owned());
        }
    }

    fn made(&mut self) {
        match &mut self.files {
            Some(files) => files.done += 1,
            None => self.state = State::Done,
        }
    }
}
