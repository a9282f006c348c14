//! Servers that cannot be reached are tried again, after waits that grow.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sealift_types::Name;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// Servers that cannot be reached, and when they are tried again.
#[derive(Debug, Default)]
pub(super) struct Retries(HashMap<Name, Retry>);

#[derive(Debug)]
struct Retry {
    failures: u32,
    /// `None` while it is being tried.
    at: Option<Instant>,
}

impl Retries {
    /// A server could not be reached: it is tried again later.
    pub(super) fn failed(&mut self, server: &Name, now: Instant) {
        let retry = self.0.entry(server.clone()).or_insert(Retry { failures: 0, at: None });
        let wait = FIRST.saturating_mul(1 << retry.failures.min(10)).min(LONGEST);
        retry.failures += 1;
        // Those who lost a server together do not come back together.
        retry.at = Some(now + wait.mul_f64(1.0 + fastrand::f64() / 4.0));
    }

    /// A server could not be used, and it is not known yet whether it can be reached.
    pub(super) fn suspect(&mut self, server: &Name, now: Instant) {
        if !self.0.contains_key(server) {
            self.failed(server, now);
        }
    }

    /// A server is not to be tried: it was reached, or trying does not help.
    pub(super) fn forget(&mut self, server: &Name) {
        self.0.remove(server);
    }

    /// A server has another name.
    pub(super) fn rename_server(&mut self, from: &Name, to: &Name, now: Instant) {
        if let Some(mut retry) = self.0.remove(from) {
            // What is under way is about the old name.
            retry.at.get_or_insert(now);
            self.0.insert(to.clone(), retry);
        }
    }

    /// The servers that are to be tried now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Name> {
        let due = self.0.iter_mut().filter(|(_, retry)| retry.at.is_some_and(|at| at <= now));
        due.map(|(server, retry)| {
            retry.at = None;
            server.clone()
        })
        .collect()
    }

    /// When the next one is to be tried.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|retry| retry.at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_begin_anew_after_a_success() {
        let server: Name = "default".parse().unwrap();
        let (mut retries, now) = (Retries::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            retries.failed(&server, now);
            let wait = retries.next().unwrap() - now;
            let least = Duration::from_secs(seconds);
            assert!(wait >= least && wait <= least.mul_f64(1.25), "{wait:?}, not {least:?}");
            assert!(retries.due(now).is_empty());
            assert_eq!(retries.due(now + wait), std::slice::from_ref(&server));
            assert!(retries.due(now + wait * 9).is_empty(), "it is being tried");
            retries.suspect(&server, now);
            assert_eq!(retries.next(), None, "what is known already changes nothing");
        }
        retries.forget(&server);
        retries.suspect(&server, now);
        assert!(retries.next().unwrap() - now < 2 * FIRST);
    }
}
