//! What everybody must see: that the root issues nothing, or that its own certificate runs out.

use licensor::{clock::unix_seconds, event::EventKind, expiry::Warnings};
use licensor_web::{
    language::Texts,
    layout::{Banner, Tone},
};

use super::{Site, shown};

pub(super) fn banners(site: &Site, texts: &Texts) -> Vec<Banner> {
    let banner = |tone, key: &str, at: &str| {
        let facts = || [("not_after", at.to_owned().into())];
        let next = texts.with(&format!("{key}-next"), facts());
        texts.find(key, facts()).map(|text| Banner { tone, text, next })
    };
    let active = site.authority.active().ok();
    let not_after = active
        .as_ref()
        .map(|active| shown::time_text(texts, &site.zone(), unix_seconds(active.validity.not_after)));
    let not_after = not_after.unwrap_or_default();
    if let Err(error) = site.authority.check_enabled() {
        let other = || Banner { tone: Tone::Error, text: error.message.clone(), next: String::new() };
        let known = banner(Tone::Error, &format!("authority-off-{}", error.reason), &not_after);
        return vec![known.unwrap_or_else(other)];
    }
    let warnings = active.map(|active| Warnings::of(&active.validity, &site.expiry));
    let key = match warnings.and_then(|warnings| warnings.due(site.clock.now())) {
        None => return Vec::new(),
        Some(EventKind::LicensorCertExpiresInOneMonth) => "authority-month",
        Some(_) => "authority-week",
    };
    banner(Tone::Warning, key, &not_after).into_iter().collect()
}
