//! The highest time that was seen: a clock that is behind it was set back, and would let leases end twice.

use std::sync::atomic::{AtomicI64, Ordering};

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
};

/// Seconds by which the clock may be behind the highest time that was seen: as many as a seat stays taken after its lease.
pub(crate) const TOLERANCE: i64 = 60;

/// What the clock has shown.
#[derive(Debug)]
pub(crate) struct SeenTime {
    highest: AtomicI64,
}

impl SeenTime {
    /// Begins with what was kept, seconds since 1970.
    pub(crate) fn new(kept: i64) -> Self {
        Self { highest: AtomicI64::new(kept) }
    }

    /// The highest time that was seen, seconds since 1970.
    pub(crate) fn highest(&self) -> i64 {
        self.highest.load(Ordering::Acquire)
    }

    /// Takes note of the time; the highest so far.
    pub(crate) fn note(&self, now: i64) -> i64 {
        self.highest.fetch_max(now, Ordering::AcqRel).max(now)
    }

    /// Takes the clock for right, whatever was seen.
    pub(crate) fn accept(&self, now: i64) {
        self.highest.store(now, Ordering::Release);
    }

    /// That the clock is not behind by more than the tolerance.
    ///
    /// # Errors
    /// `CLOCK_ROLLED_BACK`.
    pub(crate) fn check(&self, now: i64) -> Result<()> {
        let seen = self.highest();
        if now.saturating_add(TOLERANCE) >= seen {
            return Ok(());
        }
        let (now, seen) = (rfc3339(from_unix_seconds(now)), rfc3339(from_unix_seconds(seen)));
        let message = format!(
            "the clock of this licensing server says {now}, and it has seen {seen}: no seats are given until it is right again; set the clock, or, if it was wrong before, run `license-service clock accept`"
        );
        Err(Error::new(Reason::ClockRolledBack, message).with("now", now).with("seen", seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_by_more_than_the_tolerance_is_refused_until_it_is_right_again() {
        let seen = SeenTime::new(0);
        assert_eq!(seen.note(10_000), 10_000);
        assert_eq!(seen.note(9_000), 10_000);
        assert!(seen.check(10_000 - TOLERANCE).is_ok());
        assert_eq!(seen.check(10_000 - TOLERANCE - 1).unwrap_err().reason, Reason::ClockRolledBack);
        assert!(seen.check(10_001).is_ok());
        seen.accept(5_000);
        assert!(seen.check(5_000).is_ok());
    }
}
