//! What everybody must see, on every page: that nothing is issued, that something runs out, what administrators say.

use licensor::{
    clock::unix_seconds,
    error::Error,
    event::{EventKind, Severity},
    expiry::Warnings,
};
use licensor_web::{
    language::Texts,
    layout::{Banner, Tone},
    visitor::Visitor,
};

use super::{Site, shown};
use crate::entitlement::Installed;

/// Events of administrators that are shown at most.
const NOTICES: usize = 5;

pub(super) async fn banners(site: &Site, visitor: &Visitor) -> Result<Vec<Banner>, Error> {
    let texts = &visitor.texts;
    let mut banners = Vec::new();
    banners.extend(disabled(site, texts).or_else(|| runs_out(site, texts)));
    let now = unix_seconds(site.clock.now());
    if let Err(error) = site.licensing.seen().check(now) {
        banners.push(of(texts, Tone::Error, "clock-behind", &facts(site, texts, &error)));
    }
    for installed in site.licensing.entitlements().borrow().iter() {
        banners.extend(entitlement(texts, installed, now));
    }
    let notices = site.ledger.notices(NOTICES).await?;
    banners.extend(notices.into_iter().map(|stored| {
        let tone = match stored.event.kind.severity() {
            Severity::Info => Tone::Info,
            _ => Tone::Warning,
        };
        let next = stored.event.expected_end.map(|end| {
            let end = shown::time(texts, &site.zone(), unix_seconds(end));
            texts.with("notice-until", [("end", end.into())])
        });
        Banner { tone, text: texts.event(&stored.event, &site.zone()), next: next.unwrap_or_default() }
    }));
    Ok(banners)
}

type Facts = Vec<(String, String)>;

fn of(texts: &Texts, tone: Tone, key: &str, facts: &Facts) -> Banner {
    let arguments = || facts.iter().map(|(name, value)| (name.as_str(), value.as_str().into()));
    Banner { tone, text: texts.with(key, arguments()), next: texts.with(&format!("{key}-next"), arguments()) }
}

fn facts(site: &Site, texts: &Texts, error: &Error) -> Facts {
    let facts = error.metadata.iter();
    facts.map(|(name, value)| (name.clone(), texts.fact(value, &site.zone()))).collect()
}

/// That nothing is issued, why, and what to do.
pub(super) fn disabled(site: &Site, texts: &Texts) -> Option<Banner> {
    let error = site.licensing.enabled().err()?;
    let key = format!("disabled-{}", error.reason);
    let known = texts.find(&key, []).is_some();
    Some(if known {
        of(texts, Tone::Error, &key, &facts(site, texts, &error))
    } else {
        Banner { tone: Tone::Error, text: error.message, next: String::new() }
    })
}

/// That the licensor certificate runs out.
fn runs_out(site: &Site, texts: &Texts) -> Option<Banner> {
    let credential = site.credential()?;
    let kind = Warnings::of(&credential.validity, &site.expiry).due(site.clock.now())?;
    let key = match kind {
        EventKind::LicensorCertExpiresInOneWeek => "certificate-week",
        _ => "certificate-month",
    };
    let at = shown::time(texts, &site.zone(), unix_seconds(credential.validity.not_after));
    let facts = vec![("not_after".to_owned(), at)];
    Some(of(texts, Tone::Warning, key, &facts))
}

/// That an entitlement has run out, or soon will.
fn entitlement(texts: &Texts, installed: &Installed, now: i64) -> Option<Banner> {
    let entitlement = &installed.claims.entitlement;
    let dates = &entitlement.dates;
    let zone = licensor_web::language::Zone::named(&entitlement.time_zone);
    let passed = |date: Option<i64>| date.is_some_and(|at| now >= at);
    let (tone, key) = if passed(dates.end_of_grace()) {
        (Tone::Error, "entitlement-over")
    } else if passed(dates.expires) {
        (Tone::Error, "entitlement-grace")
    } else if passed(dates.first_warning) && dates.expires.is_some() {
        (Tone::Warning, "entitlement-soon")
    } else {
        return None;
    };
    let date = |at: Option<i64>| at.map(|at| shown::date(texts, &zone, at)).unwrap_or_default();
    let facts = vec![
        ("vendor".to_owned(), installed.vendor().to_owned()),
        ("expires".to_owned(), date(dates.expires)),
        ("grace_ends".to_owned(), date(dates.end_of_grace())),
    ];
    Some(of(texts, tone, key, &facts))
}
