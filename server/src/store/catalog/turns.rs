//! Whose change is next: those who ask for changes take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::change::QueuedChange;

/// Changes of one line that may wait for the writer before those who bring more have to wait, too.
const QUEUE: usize = 1024;

/// Entries that the changes of one line may touch before it is another line's turn: an eighth of a transaction.
const TURN: usize = super::WEIGHT / 8;

/// Lines after which those are forgotten that nobody waits in.
const LINES: usize = 64;

/// Where a change waits. Changes of one line are made in the order in which they were queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriterLine {
    /// With those that one identity asks for.
    Of(i64),
    /// With those that the server makes by itself.
    Server,
    /// Behind everything that is queued before it, in any line.
    Behind,
}

/// A change on its way to the writer.
struct ChangeInLine {
    line: WriterLine,
    change: Box<dyn QueuedChange>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Brings changes to the writer. It can be asked for as long as one of these is there.
#[derive(Clone)]
pub(super) struct ChangeSender {
    changes: mpsc::UnboundedSender<ChangeInLine>,
    room: Arc<Mutex<HashMap<WriterLine, Arc<Semaphore>>>>,
}

impl ChangeSender {
    /// Queues a change as soon as its line has room.
    pub(super) async fn send(&self, line: WriterLine, change: Box<dyn QueuedChange>) {
        let room = self.room(line).acquire_owned().await.ok();
        self.put(line, change, room);
    }

    /// Queues a change at once.
    pub(super) fn post(&self, line: WriterLine, change: Box<dyn QueuedChange>) {
        let room = self.room(line).try_acquire_owned().ok();
        self.put(line, change, room);
    }

    fn put(&self, line: WriterLine, change: Box<dyn QueuedChange>, room: Option<OwnedSemaphorePermit>) {
        // A writer that has ended drops the change, and with it what would tell its result.
        let _ = self.changes.send(ChangeInLine { line, change, _room: room });
    }

    fn room(&self, line: WriterLine) -> Arc<Semaphore> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.len() >= LINES && !room.contains_key(&line) {
            room.retain(|_, line| Arc::strong_count(line) > 1);
        }
        room.entry(line).or_insert_with(|| Arc::new(Semaphore::new(QUEUE))).clone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.changes.is_closed()
    }

    pub(super) async fn closed(&self) {
        self.changes.closed().await;
    }
}

/// The changes that wait for the writer.
pub(super) struct WriterTurns {
    changes: mpsc::UnboundedReceiver<ChangeInLine>,
    /// What was queued so far.
    number: u64,
    /// Those that wait, with their numbers. No line is empty.
    lines: HashMap<WriterLine, VecDeque<(u64, ChangeInLine)>>,
    /// The lines in the order of their turns.
    order: VecDeque<WriterLine>,
    /// What the first line has taken of its turn.
    taken: usize,
    /// Those that wait for others.
    behind: VecDeque<LastInLine>,
}

/// A change behind all that were queued before it.
struct LastInLine {
    number: u64,
    /// How many of those are still waiting.
    before: usize,
    queued: ChangeInLine,
}

/// The two ends of a queue.
pub(super) fn turns() -> (ChangeSender, WriterTurns) {
    let (sender, changes) = mpsc::unbounded_channel();
    let turns = WriterTurns {
        changes,
        number: 0,
        lines: HashMap::new(),
        order: VecDeque::new(),
        taken: 0,
        behind: VecDeque::new(),
    };
    (ChangeSender { changes: sender, room: Arc::default() }, turns)
}

impl WriterTurns {
    /// Waits for a change; `None` when there will be none.
    pub(super) async fn recv(&mut self) -> Option<Box<dyn QueuedChange>> {
        loop {
            if let Some(change) = self.next() {
                return Some(change);
            }
            let queued = self.changes.recv().await?;
            self.enter(queued);
        }
    }

    /// The change whose turn it is, if any is there.
    pub(super) fn next(&mut self) -> Option<Box<dyn QueuedChange>> {
        while let Ok(queued) = self.changes.try_recv() {
            self.enter(queued);
        }
        if self.behind.front().is_some_and(|last| last.before == 0) {
            return self.behind.pop_front().map(|last| last.queued.change);
        }
        let line = *self.order.front()?;
        let waiting = self.lines.get_mut(&line)?;
        let (number, mut queued) = waiting.pop_front()?;
        self.taken += queued.change.held().weight().max(1);
        let is_empty = waiting.is_empty();
        if is_empty {
            self.lines.remove(&line);
            self.order.pop_front();
        } else if self.taken >= TURN {
            self.order.rotate_left(1);
        }
        if is_empty || self.taken >= TURN {
            self.taken = 0;
        }
        for last in self.behind.iter_mut().filter(|last| last.number > number) {
            last.before -= 1;
        }
        Some(queued.change)
    }

    fn enter(&mut self, queued: ChangeInLine) {
        self.number += 1;
        if queued.line == WriterLine::Behind {
            let before = self.lines.values().map(VecDeque::len).sum();
            self.behind.push_back(LastInLine { number: self.number, before, queued });
            return;
        }
        let order = &mut self.order;
        let line = self.lines.entry(queued.line).or_insert_with(|| {
            order.push_back(queued.line);
            VecDeque::new()
        });
        line.push_back((self.number, queued));
    }
}
