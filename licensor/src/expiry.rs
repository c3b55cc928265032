//! When to warn of a certificate's end: a pure function of its validity and the time.

use std::time::{Duration, SystemTime};

use verifier::Certificate;

use crate::{clock::from_unix_seconds, config::Expiry, event::EventKind};

/// Lifetime below which the thresholds are shares of it.
const YEAR: Duration = Duration::from_secs(365 * DAY);
const DAY: u64 = 86_400;

/// From when to when a certificate can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First instant of its validity.
    pub not_before: SystemTime,
    /// When it was issued, a little after `not_before`.
    pub issued_at: SystemTime,
    /// The instant at which it expires.
    pub not_after: SystemTime,
}

impl Validity {
    /// Validity of a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self {
            not_before: from_unix_seconds(certificate.not_before),
            issued_at: from_unix_seconds(certificate.issued_at()),
            not_after: from_unix_seconds(certificate.not_after),
        }
    }

    /// Time from issue to expiry.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.not_after.duration_since(self.issued_at).unwrap_or_default()
    }
}

/// The instants at which events 16, 17 and 18 are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warnings {
    month: SystemTime,
    week: SystemTime,
    expired: SystemTime,
}

impl Warnings {
    /// The instants for a certificate. Where it lives less than a year, the thresholds are the same shares of its
    /// lifetime as 30 and 7 days are of 365, never more than configured.
    #[must_use]
    pub fn of(validity: &Validity, expiry: &Expiry) -> Self {
        let lifetime = validity.lifetime();
        let before_end = |configured: Duration, days: u32| {
            let share = if lifetime < YEAR { lifetime * days / 365 } else { configured };
            validity.not_after.checked_sub(share.min(configured)).unwrap_or(validity.issued_at)
        };
        Self {
            month: before_end(expiry.month.0, 30),
            week: before_end(expiry.week.0, 7),
            expired: validity.not_after,
        }
    }

    /// The most severe event that is due at `now`.
    #[must_use]
    pub fn due(&self, now: SystemTime) -> Option<EventKind> {
        if now >= self.expired {
            Some(EventKind::LicensorCertExpired)
        } else if now >= self.week {
            Some(EventKind::LicensorCertExpiresInOneWeek)
        } else if now >= self.month {
            Some(EventKind::LicensorCertExpiresInOneMonth)
        } else {
            None
        }
    }

    /// When a month, and when a week is left.
    #[must_use]
    pub fn before_expiry(&self) -> (SystemTime, SystemTime) {
        (self.month, self.week)
    }

    /// The next instant after `now` at which another event is due; `None` after expiry.
    #[must_use]
    pub fn next(&self, now: SystemTime) -> Option<SystemTime> {
        [self.month, self.week, self.expired].into_iter().find(|instant| *instant > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(lifetime: Duration) -> Validity {
        let issued_at = from_unix_seconds(1_800_000_000);
        Validity {
            not_before: issued_at - Duration::from_secs(120),
            issued_at,
            not_after: issued_at + lifetime,
        }
    }

    fn at_left(lifetime: Duration, left: Duration) -> Option<u32> {
        let validity = validity(lifetime);
        Warnings::of(&validity, &Expiry::default()).due(validity.not_after - left).map(EventKind::id)
    }

    #[test]
    fn a_year_is_warned_of_thirty_and_seven_days_before_its_end() {
        let day = Duration::from_secs(DAY);
        let second = Duration::from_secs(1);
        for lifetime in [YEAR, YEAR * 3] {
            assert_eq!(at_left(lifetime, 30 * day + second), None);
            assert_eq!(at_left(lifetime, 30 * day), Some(16));
            assert_eq!(at_left(lifetime, 7 * day + second), Some(16));
            assert_eq!(at_left(lifetime, 7 * day), Some(17));
            assert_eq!(at_left(lifetime, second), Some(17));
            assert_eq!(at_left(lifetime, Duration::ZERO), Some(18));
        }
    }

    #[test]
    fn a_shorter_life_has_the_same_shares() {
        let minute = Duration::from_secs(60);
        assert_eq!(at_left(minute, Duration::from_secs(5)), None);
        assert_eq!(at_left(minute, Duration::from_millis(4900)), Some(16));
        assert_eq!(at_left(minute, Duration::from_millis(1150)), Some(17));
        assert_eq!(at_left(minute, Duration::ZERO), Some(18));
    }

    #[test]
    fn what_is_configured_is_never_exceeded() {
        let validity = validity(Duration::from_secs(300 * DAY));
        let expiry =
            Expiry { month: crate::config::Span(Duration::from_secs(10 * DAY)), ..Expiry::default() };
        let warnings = Warnings::of(&validity, &expiry);
        assert_eq!(warnings.month, validity.not_after - Duration::from_secs(10 * DAY));
        assert_eq!(warnings.next(validity.issued_at), Some(warnings.month));
        assert_eq!(warnings.next(validity.not_after), None);
    }
}
