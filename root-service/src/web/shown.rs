//! How the domain's values are shown.

use jiff::Timestamp;
use licensor::clock::{from_unix_seconds, rfc3339};
use licensor_web::language::{Texts, Zone};
use maud::{Markup, html};

/// The date of an instant, seconds since 1970.
pub(super) fn date(texts: &Texts, zone: &Zone, seconds: i64) -> Markup {
    let shown = texts.format().date(instant(seconds), zone);
    html! { time datetime=(rfc3339(from_unix_seconds(seconds))) { (shown) } }
}

/// Date and time of an instant, seconds since 1970.
pub(super) fn time(texts: &Texts, zone: &Zone, seconds: i64) -> Markup {
    html! { time datetime=(rfc3339(from_unix_seconds(seconds))) { (time_text(texts, zone, seconds)) } }
}

/// The same without the mark-up.
pub(super) fn time_text(texts: &Texts, zone: &Zone, seconds: i64) -> String {
    texts.format().time(instant(seconds), zone)
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A whole number.
pub(super) fn number(texts: &Texts, number: u64) -> String {
    texts.format().number(number)
}

/// A span of seconds in the largest unit that it fills.
fn span(texts: &Texts, seconds: i64) -> String {
    let (key, count) = match seconds {
        ..120 => ("span-seconds", seconds),
        120..7_200 => ("span-minutes", seconds / 60),
        7_200..172_800 => ("span-hours", seconds / 3_600),
        _ => ("span-days", seconds / 86_400),
    };
    texts.with(key, [("count", count.into()), ("shown", texts.format().number(count).into())])
}

/// How long it is until an instant, or has been since.
pub(super) fn left(texts: &Texts, seconds: i64) -> String {
    if seconds > 0 {
        texts.with("time-left", [("span", span(texts, seconds).into())])
    } else {
        texts.with("time-over", [("span", span(texts, -seconds).into())])
    }
}
