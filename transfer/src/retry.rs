//! When to try again after a connection was lost.

use std::time::Duration;

use crate::error::Error;

/// The wait before the first new attempt; each further one doubles it.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// Counts attempts that got nowhere.
#[derive(Debug)]
pub(crate) struct Retry {
    allowed: u32,
    failed: u32,
    /// What was achieved when the last attempt ended.
    achieved: u64,
}

impl Retry {
    /// Gives up after `allowed` attempts in a row that achieved nothing.
    pub(crate) fn new(allowed: u32) -> Self {
        Self { allowed, failed: 0, achieved: 0 }
    }

    /// How long to wait after `error`. `achieved` grows with whatever is worth another attempt.
    ///
    /// # Errors
    /// Gives the error back when trying again cannot help, or was tried often enough.
    pub(crate) fn after(&mut self, error: Error, achieved: u64) -> Result<(Error, Duration), Error> {
        if achieved > self.achieved {
            (self.achieved, self.failed) = (achieved, 0);
        }
        if !error.retry_can_help() || self.failed >= self.allowed {
            return Err(error);
        }
        let wait = FIRST.saturating_mul(1 << self.failed.min(16)).min(LONGEST);
        self.failed += 1;
        // Clients that lost the same server must not all come back at the same moment.
        Ok((error, wait.mul_f64(0.5 + fastrand::f64() / 2.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_protocol::io::StreamError;

    #[test]
    fn waits_grow_until_something_is_achieved() {
        let lost = || Error::Lost(StreamError::Closed);
        let mut retry = Retry::new(9);
        let mut longest = Duration::ZERO;
        for attempt in 0..9 {
            let (_, wait) = retry.after(lost(), 0).unwrap();
            let full = FIRST.saturating_mul(1 << attempt).min(LONGEST);
            assert!(wait >= full / 2 && wait <= full);
            longest = longest.max(wait);
        }
        assert!(longest > LONGEST / 3);
        assert!(retry.after(lost(), 0).is_err());
        assert!(retry.after(lost(), 1).unwrap().1 <= FIRST);
        assert!(retry.after(Error::Protocol("x".into()), 2).is_err());
    }
}
