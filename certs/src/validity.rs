//! From when to when a certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;

use crate::certificate::parse_certificate;
use crate::date::LAST_SECOND;
use crate::{CertError, IdentityError};

/// How long a client's certificate is valid unless the server's settings say otherwise. It renews by itself long before.
pub const USER_VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long the server's certificate is valid unless its settings say otherwise. It renews by itself long before.
pub const SERVER_VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);

/// How far a peer's clock may be behind.
const CLOCK_SKEW: u64 = 3600;

/// From when to when a certificate is valid, both ends included.
///
/// X.509 counts in whole seconds, so what is issued is rounded down to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

impl Validity {
    /// Valid for `duration` from `now` on, and an hour before, for peers whose clock is behind.
    ///
    /// In whole seconds, within 1970 and 9999.
    pub fn starting(now: SystemTime, duration: Duration) -> Self {
        let now = whole_seconds(now);
        let end = now.saturating_add(duration.as_secs()).min(LAST_SECOND);
        Self {
            not_before: UNIX_EPOCH + Duration::from_secs(now.saturating_sub(CLOCK_SKEW)),
            not_after: UNIX_EPOCH + Duration::from_secs(end),
        }
    }

    /// When a certificate that [`starting`](Self::starting) describes was issued, in whole seconds.
    pub fn issued(&self) -> SystemTime {
        self.not_before + Duration::from_secs(CLOCK_SKEW)
    }

    /// Whether a certificate is valid at `now`.
    pub fn contains(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// How long a certificate stays valid after `now`; zero if it is over.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }

    /// Whether less than a third of the whole time is left at `now`.
    pub fn should_renew(&self, now: SystemTime) -> bool {
        let whole = self.not_after.duration_since(self.not_before).unwrap_or_default();
        self.remaining(now) < whole / 3
    }

    /// The same, ending no later than `end`.
    ///
    /// # Errors
    /// Fails when nothing is left.
    pub(crate) fn ending_by(self, end: SystemTime) -> Result<Self, CertError> {
        let not_after = self.not_after.min(end);
        if self.not_before < not_after { Ok(Self { not_after, ..self }) } else { Err(CertError::Validity) }
    }
}

/// From when to when a certificate is valid.
///
/// # Errors
/// Fails when the certificate is unreadable, or from before 1970.
pub fn validity(der: &CertificateDer<'_>) -> Result<Validity, IdentityError> {
    let certificate = parse_certificate(der)?;
    let time = |time: x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    };
    let written = certificate.validity();
    let both = time(written.not_before).zip(time(written.not_after));
    both.map(|(not_before, not_after)| Validity { not_before, not_after }).ok_or(IdentityError::Unreadable)
}

/// Seconds since 1970, zero before.
fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::to_date;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn starts_an_hour_early_in_whole_seconds() {
        let validity = Validity::starting(at(1_000_000) + Duration::from_millis(900), 2 * HOUR);
        assert_eq!(validity, Validity { not_before: at(996_400), not_after: at(1_007_200) });
        assert!(validity.contains(at(996_400)) && validity.contains(at(1_007_200)));
        assert!(!validity.contains(at(996_399)) && !validity.contains(at(1_007_201)));
    }

    #[test]
    fn renews_in_the_last_third() {
        let validity = Validity { not_before: at(0), not_after: at(90) };
        assert!(!validity.should_renew(at(60)));
        assert!(validity.should_renew(at(61)));
        assert!(validity.should_renew(at(1000)));
        assert_eq!(validity.remaining(at(60)), Duration::from_secs(30));
        assert_eq!(validity.remaining(at(1000)), Duration::ZERO);
    }

    #[test]
    fn stays_within_what_x509_can_write() {
        let forever = Validity::starting(at(0), Duration::MAX);
        assert_eq!(forever, Validity { not_before: at(0), not_after: at(LAST_SECOND) });
        assert!(to_date(forever.not_after).is_some());
        assert!(to_date(forever.not_after + Duration::from_secs(1)).is_none());
        assert!(to_date(UNIX_EPOCH - Duration::from_secs(1)).is_none());
        assert_eq!(Validity::starting(UNIX_EPOCH - HOUR, HOUR).not_before, UNIX_EPOCH);
    }

    #[test]
    fn an_end_can_leave_nothing() {
        let validity = Validity { not_before: at(10), not_after: at(90) };
        assert_eq!(validity.ending_by(at(50)).unwrap().not_after, at(50));
        assert_eq!(validity.ending_by(at(100)).unwrap(), validity);
        assert!(matches!(validity.ending_by(at(10)), Err(CertError::Validity)));
    }
}
