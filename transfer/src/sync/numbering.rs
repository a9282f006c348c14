//! Several passes that tell of their transfers as one run.
//!
//! Each pass counts its transfers from zero. For the front end they go on where those of the earlier passes ended, so that an
//! id is not used again, and totals are of all passes.

use std::sync::Mutex;

use super::lock;
use crate::event::Event;

/// The numbers of one pass.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// What the passes before it came to.
    before: SyncTotals,
    /// The same with this one.
    now: Mutex<SyncTotals>,
}

#[derive(Debug, Default, Clone, Copy)]
struct SyncTotals {
    /// The first id that is not used yet.
    ids: usize,
    count: usize,
    contents: usize,
    bytes: u64,
}

impl Numbering {
    /// Those of the next pass.
    pub(super) fn next(self) -> Self {
        let before = *lock(&self.now);
        Self { before, now: Mutex::new(before) }
    }

    /// The event as the run tells it.
    pub(super) fn of_run(&self, mut event: Event) -> Event {
        let before = &self.before;
        if let Some(id) = event.id_mut() {
            *id += before.ids;
            let mut now = lock(&self.now);
            now.ids = now.ids.max(*id + 1);
        }
        if let Event::FoundAll { count, contents, bytes } = &mut event {
            *count += before.count;
            *contents += before.contents;
            *bytes = bytes.saturating_add(before.bytes);
            let mut now = lock(&self.now);
            (now.count, now.contents, now.bytes) = (*count, *contents, *bytes);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_told_as_one_run() {
        let mut numbering = Numbering::default();
        let mut told = Vec::new();
        for files in [2, 0, 3] {
            for id in 0..files {
                if let Event::Made { id } = numbering.of_run(Event::Made { id }) {
                    told.push(id);
                }
            }
            let all = Event::FoundAll { count: files, contents: files, bytes: 10 };
            let Event::FoundAll { count, contents, .. } = numbering.of_run(all) else {
                panic!("another event")
            };
            assert_eq!((count, contents), (told.len(), told.len()));
            numbering = numbering.next();
        }
        assert_eq!(told, [0, 1, 2, 3, 4]);
    }
}
