//! The time, in the wire's unit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealift_protocol::message::Nanoseconds;

/// Now.
pub fn now() -> Nanoseconds {
    nanoseconds(SystemTime::now())
}

/// A moment as the wire has it; moments beyond the years 1677 to 2262 become the nearest one within.
pub fn nanoseconds(time: SystemTime) -> Nanoseconds {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

/// The moment that the wire means.
pub fn system_time(time: Nanoseconds) -> SystemTime {
    let distance = Duration::from_nanos(time.unsigned_abs());
    if time < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}
