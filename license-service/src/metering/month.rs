//! Months, half-open, in a time zone: an instant belongs to exactly one of them.

use std::{fmt, sync::Mutex, sync::PoisonError};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use licensor::error::{Error, Reason, Result};

/// A month of the calendar: months since the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month(pub(crate) u32);

impl Month {
    /// The month that is written like `2026-11`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with a sentence that shows how.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parsed = text.split_once('-').and_then(|(year, month)| {
            let digits = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
            let written = year.len() == 4 && month.len() == 2 && digits(year) && digits(month);
            let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
            (written && (1..=12).contains(&month)).then(|| Self(year * 12 + month - 1))
        });
        parsed.ok_or_else(|| {
            let message = format!("`{text}` is not a month: write for example 2026-11");
            Error::new(Reason::InvalidArgument, message).with("month", text)
        })
    }

    /// The month after it.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The month before it.
    pub(crate) fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// A time zone, from the database that is built in: months must not depend on the machine.
#[derive(Debug)]
pub(crate) struct Zone {
    zone: TimeZone,
    /// The month that was asked for last, with its bounds: nearly always the next one, too.
    latest: Mutex<Option<(Month, i64, i64)>>,
}

impl Zone {
    /// The zone with this IANA name.
    ///
    /// # Errors
    /// `TIME_ZONE_UNKNOWN`.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let zone = TimeZone::get(name).map_err(|_| {
            let message = format!(
                "`{name}` is no time zone that this release knows: ask the vendor for an entitlement with an IANA name, or install a newer release"
            );
            Error::new(Reason::TimeZoneUnknown, message).with("time_zone", name)
        })?;
        Ok(Self { zone, latest: Mutex::default() })
    }

    /// The first instant of a month (seconds since 1970): local midnight, or what comes first where there is none. It is
    /// also the first instant after the month before.
    pub(crate) fn start(&self, month: Month) -> i64 {
        let first = i16::try_from(month.0 / 12)
            .ok()
            .zip(i8::try_from(month.0 % 12 + 1).ok())
            .and_then(|(year, month)| Date::new(year, month, 1).ok())
            .and_then(|date| self.zone.to_timestamp(date.at(0, 0, 0, 0)).ok());
        // After all that a calendar has lies nothing.
        first.map_or(i64::MAX, |first| first.as_second())
    }

    /// The bounds of a month: its first instant, and the first one after it (seconds since 1970).
    pub(crate) fn span(&self, month: Month) -> (i64, i64) {
        (self.start(month), self.start(month.next()))
    }

    /// The month of an instant (seconds since 1970).
    pub(crate) fn month(&self, at: i64) -> Month {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((month, start, end)) = *latest
            && (start..end).contains(&at)
        {
            return month;
        }
        let local = self.zone.to_datetime(Timestamp::from_second(at).unwrap_or_default());
        let year = u32::try_from(local.year()).unwrap_or_default();
        let mut month = Month(year * 12 + u32::from(local.month().unsigned_abs()) - 1);
        // Where clocks go back over midnight the calendar shows an earlier month for a second time.
        while at >= self.start(month.next()) {
            month = month.next();
        }
        while at < self.start(month) && month.0 > 0 {
            month = month.previous();
        }
        let (start, end) = self.span(month);
        *latest = Some((month, start, end));
        month
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn months_begin_at_local_midnight_also_when_clocks_change_and_years_end() {
        for (zone, month, start, end) in [
            ("Europe/Amsterdam", "2026-03", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
            ("Europe/Amsterdam", "2026-10", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("Europe/Amsterdam", "2026-12", "2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z"),
            ("Asia/Kolkata", "2026-12", "2026-11-30T18:30:00Z", "2026-12-31T18:30:00Z"),
            ("Asia/Kolkata", "2028-02", "2028-01-31T18:30:00Z", "2028-02-29T18:30:00Z"),
            ("America/St_Johns", "2026-03", "2026-03-01T03:30:00Z", "2026-04-01T02:30:00Z"),
            ("America/St_Johns", "2026-11", "2026-11-01T02:30:00Z", "2026-12-01T03:30:00Z"),
            ("America/St_Johns", "2026-12", "2026-12-01T03:30:00Z", "2027-01-01T03:30:00Z"),
        ] {
            let (zone, month) = (Zone::named(zone).unwrap(), Month::parse(month).unwrap());
            let (start, end) = (at(start), at(end));
            assert_eq!(zone.span(month), (start, end), "{zone:?} {month}");
            for (instant, expected) in
                [(start - 1, month.previous()), (start, month), (end - 1, month), (end, month.next())]
            {
                assert_eq!(zone.month(instant), expected, "{zone:?} {month} {instant}");
            }
        }
    }

    #[test]
    fn every_instant_belongs_to_one_month_wherever_clocks_change() {
        // Clocks went back over midnight of the first in St John's in 1987 to 2010, and no midnight was there in Amman.
        for (zone, from) in [
            ("America/St_Johns", "2009-10-31T00:00:00Z"),
            ("America/Havana", "2020-10-31T00:00:00Z"),
            ("Asia/Amman", "2022-03-30T00:00:00Z"),
            ("Africa/Monrovia", "1972-01-05T00:00:00Z"),
        ] {
            let zone = Zone::named(zone).unwrap();
            let mut former = zone.month(at(from));
            for instant in (at(from)..at(from) + 5 * 86_400).step_by(61) {
                let month = zone.month(instant);
                let (start, end) = zone.span(month);
                assert!((start..end).contains(&instant));
                assert!(month >= former, "{zone:?} {instant}");
                former = month;
            }
        }
    }

    #[test]
    fn what_is_no_month_or_no_zone_is_refused() {
        for wrong in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-+1", "+026-11", "2026-11-01"]
        {
            assert_eq!(Month::parse(wrong).unwrap_err().reason, Reason::InvalidArgument, "{wrong}");
        }
        assert_eq!(Month::parse("2026-11").unwrap().to_string(), "2026-11");
        let error = Zone::named("Europe/Nowhere").unwrap_err();
        assert_eq!(error.reason, Reason::TimeZoneUnknown);
    }
}
