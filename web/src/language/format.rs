//! Dates, numbers and sizes in the form of a locale (CLDR).

use std::{fmt, sync::Arc};

use icu_calendar::Gregorian;
use icu_datetime::{
    FixedCalendarDateTimeFormatter,
    fieldsets::{M, YM, YMD, YMDT},
    input::{Date, DateTime, Time},
    options::TimePrecision,
};
use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_locale_core::Locale;
use jiff::{Timestamp, tz::TimeZone};

/// A time zone in which times are shown.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone, Arc<str>);

impl Zone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC, "UTC".into())
    }

    /// The zone with this name of the IANA database; UTC if there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match TimeZone::get(name) {
            Ok(zone) if !name.is_empty() => Self(zone, name.into()),
            _ => Self::utc(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.1
    }
}

type Formatter<Fields> = FixedCalendarDateTimeFormatter<Gregorian, Fields>;

/// The form of dates and numbers in one locale.
pub struct Format {
    numbers: DecimalFormatter,
    time: Formatter<YMDT>,
    date: Formatter<YMD>,
    month: Formatter<YM>,
    short_month: Formatter<M>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Format").finish_non_exhaustive()
    }
}

impl Format {
    pub(super) fn new(locale: &str) -> anyhow::Result<Self> {
        let locale: Locale = locale.parse()?;
        Ok(Self {
            numbers: DecimalFormatter::try_new(locale.clone().into(), Default::default())?,
            time: Formatter::try_new(
                locale.clone().into(),
                YMDT::medium().with_time_precision(TimePrecision::Minute),
            )?,
            date: Formatter::try_new(locale.clone().into(), YMD::medium())?,
            month: Formatter::try_new(locale.clone().into(), YM::long())?,
            short_month: Formatter::try_new(locale.into(), M::medium())?,
        })
    }

    /// A whole number.
    #[must_use]
    pub fn number(&self, number: impl Into<i128>) -> String {
        self.numbers.format(&Decimal::from(number.into())).to_string()
    }

    /// A number with so many digits after the point: `scaled(1234, 2)` is 12.34.
    #[must_use]
    pub fn scaled(&self, number: i128, digits: i16) -> String {
        let mut decimal = Decimal::from(number);
        decimal.multiply_pow10(-digits);
        decimal.pad_end(-digits);
        self.numbers.format(&decimal).to_string()
    }

    /// Octets in the largest unit that leaves one or more, with one digit after the point.
    #[must_use]
    pub fn size(&self, octets: u64) -> String {
        const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
        let mut unit = 0;
        let mut divisor = 1_u128;
        while u128::from(octets) >= divisor * 1000 && unit + 1 < UNITS.len() {
            divisor *= 1000;
            unit += 1;
        }
        let unit = UNITS[unit];
        if divisor == 1 {
            return format!("{} {unit}", self.number(octets));
        }
        // What fits into an i128 ten times over.
        let tenths = i128::try_from(u128::from(octets) * 10 / divisor).unwrap_or_default();
        let text = if tenths % 10 == 0 { self.number(tenths / 10) } else { self.scaled(tenths, 1) };
        format!("{text} {unit}")
    }

    /// A quantity of a unit: octets as sizes, everything else as a number with the unit after it.
    #[must_use]
    pub fn quantity(&self, quantity: u64, unit: &str) -> String {
        match unit {
            "" => self.number(quantity),
            "B" | "By" | "byte" | "bytes" | "octet" | "octets" => self.size(quantity),
            unit => format!("{} {unit}", self.number(quantity)),
        }
    }

    /// Date and time to the minute.
    #[must_use]
    pub fn time(&self, time: Timestamp, zone: &Zone) -> String {
        let civil = zone.0.to_datetime(time);
        match (date(civil.date()), clock(civil.time())) {
            (Some(date), Some(time)) => self.time.format(&DateTime { date, time }).to_string(),
            // Before year 1 or after 9999 there is no such form.
            _ => civil.to_string(),
        }
    }

    /// The date.
    #[must_use]
    pub fn date(&self, time: Timestamp, zone: &Zone) -> String {
        let civil = zone.0.to_datetime(time).date();
        date(civil).map_or_else(|| civil.to_string(), |date| self.date.format(&date).to_string())
    }

    /// A month: `2026-11` becomes November 2026.
    #[must_use]
    pub fn month(&self, month: &str) -> String {
        first_day(month).map_or_else(|| month.to_owned(), |date| self.month.format(&date).to_string())
    }

    /// A month without its year, short.
    #[must_use]
    pub fn short_month(&self, month: &str) -> String {
        first_day(month).map_or_else(|| month.to_owned(), |date| self.short_month.format(&date).to_string())
    }
}

fn date(civil: jiff::civil::Date) -> Option<Date<Gregorian>> {
    let (month, day) = (u8::try_from(civil.month()).ok()?, u8::try_from(civil.day()).ok()?);
    Date::try_new_gregorian(i32::from(civil.year()), month, day).ok()
}

fn clock(civil: jiff::civil::Time) -> Option<Time> {
    let part = |part: i8| u8::try_from(part).ok();
    Time::try_new(part(civil.hour())?, part(civil.minute())?, part(civil.second())?, 0).ok()
}

fn first_day(month: &str) -> Option<Date<Gregorian>> {
    let (year, month) = month.split_once('-')?;
    Date::try_new_gregorian(year.parse().ok()?, month.parse().ok()?, 1).ok()
}
