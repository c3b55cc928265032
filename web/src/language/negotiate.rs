//! Which language a browser prefers.

use super::Language;

/// The language of ours with the highest weight (RFC 9110 §12.5.4); of those with the same weight the first.
pub(super) fn preferred(accept: &str) -> Option<Language> {
    let mut best: Option<(Language, u16)> = None;
    for range in accept.split(',').take(32) {
        let (tag, weight) = match range.split_once(';') {
            Some((tag, parameter)) => (tag, weight(parameter)),
            None => (range, Some(1000)),
        };
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let (Some(language), Some(weight)) = (Language::from_tag(&primary), weight) else { continue };
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// `q=0.8` in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let value: f32 = parameter.trim().strip_prefix("q=")?.trim().parse().ok()?;
    // At most 1000: the cast is exact enough.
    (0.0..=1.0).contains(&value).then_some((value * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_weight_of_a_language_that_is_spoken_counts() {
        for (accept, language) in [
            ("nl", Some(Language::Nl)),
            ("sv-SE,sv;q=0.9,en;q=0.8", Some(Language::Sv)),
            ("de-DE, en;q=0.5, nl-BE;q=0.7", Some(Language::Nl)),
            ("en;q=0.3, sv ; q=0.3", Some(Language::En)),
            ("sv;q=0, en", Some(Language::En)),
            ("NL-nl", Some(Language::Nl)),
            ("de, fr;q=0.9, *;q=0.1", None),
            ("nl;q=banana", None),
            ("", None),
        ] {
            assert_eq!(preferred(accept), language, "{accept}");
        }
    }
}
