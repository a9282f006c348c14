//! What measurements are made of: numbers that any thread changes without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of durations, in microseconds, from what a small request takes to what a large file may take.
pub const DURATIONS: &[u64] = &[
    250,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
];

/// Upper bounds of how many changes share a commit.
pub const GROUPS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// More buckets than any list of bounds needs: a histogram has no memory of its own.
const BUCKETS: usize = 13;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often values fell between bounds, and their sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what lies above all of them.
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Distribution {
    /// The bounds, with how many values were not above each.
    pub up_to: Vec<(u64, u64)>,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

impl Histogram {
    /// An empty one. There must be fewer bounds than 13; values above those that fit count as above all.
    pub fn new(bounds: &'static [u64]) -> Self {
        let bounds = &bounds[..bounds.len().min(BUCKETS - 1)];
        Self { bounds, buckets: Default::default(), sum: AtomicU64::new(0) }
    }

    /// An empty one for durations.
    pub fn of_durations() -> Self {
        Self::new(DURATIONS)
    }

    /// Takes a value.
    pub fn take(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Takes a duration, in microseconds.
    pub fn time(&self, duration: Duration) {
        self.take(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was taken so far.
    pub fn distribution(&self) -> Distribution {
        let mut count = 0;
        let mut below = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let up_to = self.bounds.iter().zip(&self.buckets).map(|(bound, bucket)| (*bound, below(bucket)));
        let up_to = up_to.collect();
        below(&self.buckets[self.bounds.len()]);
        Distribution { up_to, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_each_bound() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 1000] {
            histogram.take(value);
        }
        let expected = Distribution { up_to: vec![(1, 2), (10, 4)], count: 6, sum: 1024 };
        assert_eq!(histogram.distribution(), expected);
    }

    #[test]
    fn the_lists_of_bounds_fit_and_rise() {
        for bounds in [DURATIONS, GROUPS] {
            assert!(bounds.len() < BUCKETS && bounds.is_sorted_by(|a, b| a < b));
        }
    }
}
