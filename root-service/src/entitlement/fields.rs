//! The fields of a document, each with its own rule: what does not keep it is refused where it stands.

use std::{fmt, ops::RangeInclusive, time::Duration};

use jiff::{Timestamp, civil, tz::TimeZone};
use licensor::config::parse_span;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Largest number that every reader of JSON takes as it is (RFC 8259 §6).
pub(crate) const LARGEST: u64 = (1 << 53) - 1;

macro_rules! fields {
    ($($name:ident($value:ty) = $rule:expr;)*) => {$(
        #[derive(Debug, Clone)]
        pub(super) struct $name(pub(super) $value);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($rule).map(Self)
            }
        }
    )*};
}

fields! {
    Owner(String) = Name("owner", 200);
    Vendor(String) = Name("vendor", 100);
    Company(String) = Name("company", 200);
    SerialNumber(String) = Name("serial_number", 100);
    Zone(TimeZone) = ZoneName;
    Version(u64) = Whole("version", 1..=LARGEST);
    Expires(Date) = When("expires");
    GraceEnds(Date) = When("grace_ends");
    MaintenanceEnds(Date) = When("maintenance_ends");
    NextCheck(Date) = When("next_check");
    FirstWarning(Date) = When("first_warning");
    ItemName(String) = Name("name", 100);
    Title(String) = Text("title");
    Description(String) = Text("description");
    Quantity(u64) = Whole("quantity", 1..=1_000_000);
    Feature(String) = Name("a feature", 100);
    Lease(i64) = Span("lease", 366);
    Longest(i64) = Span("longest", 36_600);
    Seats(u64) = Whole("seats", 1..=1_000_000);
    Unit(String) = Name("unit", 100);
    Base(u64) = Whole("base", 0..=LARGEST);
    PerUser(u64) = Whole("per_user", 0..=LARGEST);
    MinorUnits(u64) = Whole("minor_units", 0..=LARGEST);
    Currency(String) = CurrencyCode;
    Per(u64) = Whole("per", 1..=LARGEST);
}

/// A date before it is known in which time zone its day begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Date {
    Instant(Timestamp),
    Day(civil::Date),
}

impl Date {
    /// Seconds since 1970.
    pub(super) fn seconds(self, zone: &TimeZone) -> Option<i64> {
        match self {
            Self::Instant(instant) => Some(instant.as_second()),
            Self::Day(day) => Some(day.to_zoned_datetime(zone.clone()).ok()?.timestamp().as_second()),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let day = || text.parse().ok().filter(|_| text.len() == 10).map(Self::Day);
        let instant = || text.parse().ok().map(Self::Instant);
        day().or_else(instant).filter(|date| (1970..=9998).contains(&date.year()))
    }

    fn year(self) -> i16 {
        match self {
            Self::Instant(instant) => instant.to_zoned_datetime(TimeZone::UTC).year(),
            Self::Day(day) => day.year(),
        }
    }
}

/// A name of 1 to so many characters.
struct Name(&'static str, usize);
/// A text of at most 4000 characters.
struct Text(&'static str);
/// A whole number.
struct Whole(&'static str, RangeInclusive<u64>);
/// A duration of whole seconds, of at most so many days.
struct Span(&'static str, u64);
struct When(&'static str);
struct ZoneName;
struct CurrencyCode;

/// What was found, as a message shows it.
fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    let short: String = text.chars().take(SHOWN).collect();
    let rest = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("{short:?}{rest}")
}

impl Name {
    fn keeps(&self, text: &str) -> bool {
        (1..=self.1).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(char::is_control)
    }
}

impl Visitor<'_> for Name {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be a string", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if self.keeps(text) {
            return Ok(text.to_owned());
        }
        let Self(what, longest) = self;
        Err(E::custom(format!(
            "{what} must have 1 to {longest} characters, none of them a control character, and no space at its ends, and is {}",
            shown(text)
        )))
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be a string", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        const LONGEST: usize = 4000;
        let what = self.0;
        let length = text.chars().count();
        if length > LONGEST {
            return Err(E::custom(format!(
                "{what} must have {LONGEST} characters at most, and has {length}"
            )));
        }
        // Whoever prints it shall not be led astray.
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(E::custom(format!(
                "{what} has control characters other than tabs and ends of lines"
            )));
        }
        Ok(text.to_owned())
    }
}

impl Whole {
    fn outside<E: Error>(&self, found: impl fmt::Display) -> E {
        E::custom(format!("{} must be {} to {}, and is {found}", self.0, self.1.start(), self.1.end()))
    }
}

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be a whole number", self.0)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        if self.1.contains(&number) { Ok(number) } else { Err(self.outside(number)) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(self.outside(number)),
        }
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<u64, E> {
        Err(self.outside(number))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<u64, E> {
        Err(self.outside(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
        let Self(what, range) = self;
        let (first, last) = (range.start(), range.end());
        Err(E::custom(format!("{what} must be a whole number, {first} to {last}, and is {number:?}")))
    }
}

impl Visitor<'_> for Span {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be a duration, \"1h\" or \"30d\" for example", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        let Self(what, days) = self;
        let span = parse_span(text).map_err(|problem| E::custom(format!("{what}: {problem}")))?;
        let allowed = Duration::from_secs(1)..=Duration::from_secs(days * 86_400);
        match i64::try_from(span.as_secs()) {
            Ok(seconds) if allowed.contains(&span) && span.subsec_nanos() == 0 => Ok(seconds),
            _ => Err(E::custom(format!(
                "{what} must be 1s to {days}d in whole seconds, and is {}",
                shown(text)
            ))),
        }
    }
}

impl When {
    fn read<E: Error>(&self, text: &str) -> Result<Date, E> {
        Date::parse(text).ok_or_else(|| {
            E::custom(format!(
                "{} must be a day (2027-12-31) or an instant with its offset (2027-12-31T12:00:00Z), from 1970 to 9998, and is {}",
                self.0,
                shown(text)
            ))
        })
    }
}

impl<'de> Visitor<'de> for When {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be a date, 2027-12-31 for example", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Date, E> {
        self.read(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Date, A::Error> {
        // TOML's own dates come so; no other table is one.
        match toml::value::Datetime::deserialize(MapAccessDeserializer::new(map)) {
            Ok(date) => self.read(&date.to_string()),
            Err(_) => Err(A::Error::custom(format!("{} must be a date, and is a table", self.0))),
        }
    }
}

impl Visitor<'_> for ZoneName {
    type Value = TimeZone;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time_zone to be a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TimeZone, E> {
        let zone = TimeZone::get(text).ok().filter(|zone| zone.iana_name().is_some() && !zone.is_unknown());
        zone.ok_or_else(|| {
            E::custom(format!(
                "time_zone must be the IANA name of a time zone, Europe/Berlin for example, and is {}",
                shown(text)
            ))
        })
    }
}

impl Visitor<'_> for CurrencyCode {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("currency to be a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_uppercase()) {
            return Ok(text.to_owned());
        }
        Err(E::custom(format!("currency must be three capital letters (ISO 4217), and is {}", shown(text))))
    }
}
