//! Moments as certificates write them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// 9999-12-31 23:59:59 UTC, the last second that X.509 can write (RFC 5280, section 4.1.2.5).
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

/// A day in UTC, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(time::Date);

impl From<SystemTime> for Date {
    fn from(moment: SystemTime) -> Self {
        // A moment that X.509 cannot write says that the clock is wrong, as any early day does.
        Self(to_date(moment).map_or(time::Date::MIN, time::OffsetDateTime::date))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Converts a moment to the type that rcgen writes. Returns `None` outside of the years 1970 to 9999.
pub(crate) fn to_date(moment: SystemTime) -> Option<time::OffsetDateTime> {
    let seconds = moment.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let seconds = i64::try_from(seconds).ok().filter(|_| seconds <= LAST_SECOND)?;
    time::OffsetDateTime::from_unix_timestamp(seconds).ok()
}
