//! Turns at what strangers can make the server compute: the key exchange of a handshake, signatures and certificates.
//!
//! At most half of the processors, rounded up, are at it, so clients that are connected already go on. When more wait than
//! can be served, the newest is served first: a client that has waited for long has given up, and whoever serves the oldest
//! first serves nobody in time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::available_parallelism;

use tokio::sync::oneshot;

use crate::error::{Result, ServerError};
use crate::handshakes::{AddressGroup, Greeting};

/// The turns. Clones share them.
#[derive(Debug, Clone)]
pub struct HandshakeTurns(Arc<Mutex<Lines>>);

/// A turn, which goes to the next when this is dropped.
#[derive(Debug)]
pub struct HandshakeTurn(HandshakeTurns);

#[derive(Debug)]
struct Lines {
    free: usize,
    next: u64,
    waiting: HashMap<(Greeting, AddressGroup), BTreeMap<u64, oneshot::Sender<HandshakeTurn>>>,
}

/// A handshake that waits. It leaves its line when this is dropped.
struct WaitingHandshake<'a> {
    turns: &'a HandshakeTurns,
    line: (Greeting, AddressGroup),
    number: u64,
}

impl Default for HandshakeTurns {
    fn default() -> Self {
        Self::of(available_parallelism().map_or(1, |processors| processors.get().div_ceil(2)))
    }
}

impl HandshakeTurns {
    fn of(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Lines { free, next: 0, waiting: HashMap::new() })))
    }

    /// Waits for a turn. A client that names the server comes before one that does not, one from an address of which few wait
    /// before one of which many do, and the newest before the older.
    pub async fn take(&self, greeting: Greeting, origin: AddressGroup) -> Result<HandshakeTurn> {
        let (waiting, turn) = {
            let mut lines = self.lock();
            if lines.free > 0 {
                lines.free -= 1;
                return Ok(HandshakeTurn(self.clone()));
            }
            let ((ready, turn), line, number) = (oneshot::channel(), (greeting, origin), lines.next);
            lines.next += 1;
            lines.waiting.entry(line).or_default().insert(number, ready);
            (WaitingHandshake { turns: self, line, number }, turn)
        };
        let turn = turn.await.map_err(|_| ServerError::Stopped);
        drop(waiting);
        turn
    }

    /// Drives what computes whenever it goes on, such as a handshake: each time in a turn.
    pub async fn drive<F: Future>(
        &self,
        greeting: Greeting,
        origin: AddressGroup,
        work: F,
    ) -> Result<F::Output> {
        let mut work = pin!(work);
        loop {
            let turn = self.take(greeting, origin).await?;
            let gone_on = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
            drop(turn);
            match gone_on {
                Poll::Ready(output) => return Ok(output),
                Poll::Pending => woken().await,
            }
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.values().map(BTreeMap::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until there is a reason to go on with the task.
async fn woken() {
    let mut slept = false;
    poll_fn(|_| if std::mem::replace(&mut slept, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl Lines {
    /// Takes the next one out of its line; with nobody there, the turn is free.
    fn pass_on(&mut self) -> Option<oneshot::Sender<HandshakeTurn>> {
        let rank =
            |line: &BTreeMap<_, _>| (Reverse(line.len()), line.last_key_value().map(|(newest, _)| *newest));
        let best = self.waiting.iter().max_by_key(|((greeting, _), line)| (*greeting, rank(line)));
        let Some(key) = best.map(|(key, _)| *key) else {
            self.free += 1;
            return None;
        };
        let newest = self.waiting.get_mut(&key)?.pop_last();
        self.forget_if_empty(key);
        newest.map(|(_, ready)| ready)
    }

    fn forget_if_empty(&mut self, line: (Greeting, AddressGroup)) {
        if self.waiting.get(&line).is_some_and(BTreeMap::is_empty) {
            self.waiting.remove(&line);
        }
    }
}

impl Drop for WaitingHandshake<'_> {
    fn drop(&mut self) {
        let mut lines = self.turns.lock();
        if let Some(line) = lines.waiting.get_mut(&self.line) {
            line.remove(&self.number);
            lines.forget_if_empty(self.line);
        }
    }
}

impl Drop for HandshakeTurn {
    fn drop(&mut self) {
        let next = self.0.lock().pass_on();
        if let Some(ready) = next {
            // Outside of the lock: for one who waits no more, the turn comes back here at once and goes to the next.
            let _ = ready.send(Self(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(last: u8) -> AddressGroup {
        AddressGroup::of([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn clients_that_name_the_server_come_first_then_the_newest_of_whom_few_wait() {
        let turns = HandshakeTurns::of(1);
        let first = turns.take(Greeting::Foreign, origin(1)).await.unwrap();
        let (told, mut served) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        for (number, (greeting, last)) in [
            (Greeting::Named, 1),
            (Greeting::Named, 1),
            (Greeting::Named, 2),
            (Greeting::Foreign, 3),
            (Greeting::Foreign, 4),
            (Greeting::Foreign, 4),
        ]
        .into_iter()
        .enumerate()
        {
            let (here, told) = (turns.clone(), told.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = here.take(greeting, origin(last)).await.unwrap();
                told.send(number).unwrap();
            }));
            while turns.waiting() <= number {
                tokio::task::yield_now().await;
            }
        }
        // One who waits no more is passed over, and leaves nothing.
        tasks[4].abort();
        while turns.waiting() > 5 {
            tokio::task::yield_now().await;
        }
        drop((first, told));
        let mut order = Vec::new();
        while let Some(number) = served.recv().await {
            order.push(number);
        }
        assert_eq!(order, [2, 1, 0, 5, 3]);
        let lines = turns.lock();
        assert!(lines.waiting.is_empty() && lines.free == 1);
    }

    #[tokio::test]
    async fn whoever_computes_has_a_turn_each_time() {
        let turns = HandshakeTurns::of(1);
        let (here, mut rounds) = (turns.clone(), 0);
        let work = poll_fn(move |context| {
            assert_eq!(here.lock().free, 0, "it has the only turn");
            rounds += 1;
            context.waker().wake_by_ref();
            if rounds == 3 { Poll::Ready(rounds) } else { Poll::Pending }
        });
        let first = turns.take(Greeting::Named, origin(1)).await.unwrap();
        let mut driven = pin!(turns.drive(Greeting::Named, origin(2), work));
        let once = poll_fn(|context| Poll::Ready(driven.as_mut().poll(context).is_pending())).await;
        assert!(once, "somebody else has the turn");
        drop(first);
        assert_eq!(driven.await.unwrap(), 3);
        assert_eq!(turns.lock().free, 1);
    }
}
