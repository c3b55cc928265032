//! How the domain's values are shown: dates, money, kinds.

use jiff::Timestamp;
use licensor_web::language::{Texts, Zone};
use verifier::entitlement::Kind;

/// The date of an instant, seconds since 1970.
pub(super) fn date(texts: &Texts, zone: &Zone, seconds: i64) -> String {
    texts.format().date(instant(seconds), zone)
}

/// Date and time of an instant, seconds since 1970.
pub(super) fn time(texts: &Texts, zone: &Zone, seconds: i64) -> String {
    texts.format().time(instant(seconds), zone)
}

/// An instant, seconds since 1970.
pub(super) fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// What a kind of licence is called.
pub(super) fn kind(texts: &Texts, kind: Kind) -> String {
    texts.t(match kind {
        Kind::Site => "kind-site",
        Kind::Satellite => "kind-satellite",
        Kind::User => "kind-user",
    })
}

/// An amount of money.
pub(super) fn money(texts: &Texts, minor_units: i128, currency: &str) -> String {
    let digits = i16::try_from(crate::currency::decimals(currency)).unwrap_or_default();
    format!("{} {currency}", texts.format().scaled(minor_units, digits))
}

/// A span of seconds in the largest unit that it fills.
pub(super) fn span(texts: &Texts, seconds: i64) -> String {
    let (key, count) = match seconds {
        ..120 => ("span-seconds", seconds),
        120..7_200 => ("span-minutes", seconds / 60),
        7_200..172_800 => ("span-hours", seconds / 3_600),
        _ => ("span-days", seconds / 86_400),
    };
    texts.with(key, [("count", count.into()), ("shown", texts.format().number(count).into())])
}
