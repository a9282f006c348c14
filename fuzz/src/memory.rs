//! How much memory a parser holds.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs `work`, which must never hold more than `most` bytes beyond what was held before.
pub(crate) fn within<T>(most: usize, work: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let done = work();
    let held = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(held <= most, "a parser held {held} bytes, which is over its limit of {most}");
    done
}
