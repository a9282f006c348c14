//! A limit on how often the log repeats a line.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines of the same kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one line of a kind into the log every ten seconds, and counts the others.
///
/// One static for each kind of line:
///
/// ```
/// use sealift_server::log_limit::LogLimit;
/// use tracing::warn;
///
/// static REFUSED: LogLimit = LogLimit::new();
/// if let Some(suppressed) = REFUSED.pass() {
///     warn!(suppressed, "a connection was refused");
/// }
/// ```
#[derive(Debug)]
pub struct LogLimit(Mutex<LogLimitState>);

#[derive(Debug)]
struct LogLimitState {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// A limit that lets the next line through.
    pub const fn new() -> Self {
        Self(Mutex::new(LogLimitState { last: None, suppressed: 0 }))
    }

    /// If the line may be written: how many lines were suppressed since the last one.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_in_ten_seconds_and_the_next_one_counts_the_others() {
        let limit = LogLimit::new();
        let begin = Instant::now();
        assert_eq!(limit.pass_at(begin), Some(0));
        for second in 0..9 {
            assert_eq!(limit.pass_at(begin + Duration::from_secs(second)), None);
        }
        assert_eq!(limit.pass_at(begin + INTERVAL), Some(9));
        assert_eq!(limit.pass_at(begin + INTERVAL), None);
        assert_eq!(limit.pass_at(begin + 5 * INTERVAL), Some(1));
    }
}
