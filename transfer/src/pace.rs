//! When one file is worth further connections.
//!
//! On one machine or in one room the processor is the limit, and one connection moves as much as two. On a long line, or
//! one that loses packets, each connection is as fast as its own share of the line allows. Which it is shows after a second.

use std::time::Duration;

use tokio::time::Instant;

/// How long a content is watched before others are called to it.
const WATCH: Duration = Duration::from_secs(1);

/// A rest that would take less long is not worth a handshake.
const WORTH: Duration = Duration::from_secs(3);

/// What moves faster than so many bytes in a second is not held up by the line.
const FAST: u64 = 64 * 1024 * 1024;

/// What must be left for each further connection, in bytes: no less, since slices are whole blocks.
pub(crate) const LEAST: u64 = sealift_pipeline::LARGE;

/// How fast a content is.
#[derive(Debug)]
pub(crate) struct Pace {
    begun: Instant,
    eager: bool,
}

impl Pace {
    /// Begins to watch. An `eager` one is not watched: it is worth further connections from the start.
    pub(crate) fn new(eager: bool) -> Self {
        Self { begun: Instant::now(), eager }
    }

    /// Bytes in a second, so far.
    pub(crate) fn rate(&self, bytes: u64) -> u64 {
        let took = self.begun.elapsed().as_micros().max(1);
        u64::try_from(u128::from(bytes) * 1_000_000 / took).unwrap_or(u64::MAX)
    }

    /// Whether further connections are worth it, when so many bytes have come and so many are left.
    pub(crate) fn wants_others(&self, bytes: u64, rest: u64) -> bool {
        let rate = self.rate(bytes);
        let is_slow = || self.begun.elapsed() >= WATCH && rate < FAST && rest / WORTH.as_secs() > rate;
        rest >= LEAST && (self.eager || is_slow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[tokio::test(start_paused = true)]
    async fn only_a_large_rest_on_a_slow_line_is_worth_it() {
        let pace = Pace::new(false);
        assert!(!pace.wants_others(MIB, 1000 * MIB), "too early to tell");
        tokio::time::sleep(2 * WATCH).await;
        assert_eq!(pace.rate(2 * MIB), MIB);
        assert!(pace.wants_others(2 * MIB, 1000 * MIB));
        assert!(!pace.wants_others(8 * MIB, 10 * MIB), "done soon");
        assert!(!pace.wants_others(2 * MIB, 7 * MIB), "not much left");
        assert!(!pace.wants_others(2 * FAST, 1 << 40), "no line is in the way");
        assert!(Pace::new(true).wants_others(0, LEAST));
        assert!(!Pace::new(true).wants_others(0, LEAST - 1));
    }
}
