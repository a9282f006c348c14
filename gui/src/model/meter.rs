//! How fast bytes cross.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is older says nothing about now.
const WINDOW: Duration = Duration::from_secs(4);

/// Samples closer together than this become one.
const STEP: Duration = Duration::from_millis(100);

/// A rate over the last seconds.
#[derive(Debug, Default)]
pub(super) struct RateMeter {
    /// Bytes that had crossed at a moment.
    samples: VecDeque<(Instant, u64)>,
    crossed: u64,
}

impl RateMeter {
    /// Takes down that bytes have crossed.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        if self.samples.is_empty() {
            self.samples.push_back((now, self.crossed));
        }
        self.crossed += bytes;
        let many = self.samples.len() > 1;
        match self.samples.back_mut() {
            Some((at, crossed)) if many && now.saturating_duration_since(*at) < STEP => {
                *crossed = self.crossed;
            }
            _ => self.samples.push_back((now, self.crossed)),
        }
        while self.samples.len() > 2
            && self.samples.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Bytes in a second, over the last seconds.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        let Some((since, crossed)) = self.samples.front() else { return 0 };
        let elapsed = now.saturating_duration_since(*since);
        if elapsed < STEP {
            return 0;
        }
        let rate = u128::from(self.crossed - crossed) * 1000 / elapsed.as_millis();
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Forgets the past, because nothing crosses any more.
    pub(super) fn rest(&mut self) {
        self.samples.clear();
    }
}
