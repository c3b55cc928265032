//! What happened lately, the newest first.

use licensor::{
    clock::unix_seconds,
    event::{EventFilter, Severity, StoredEvent},
};
use licensor_web::{language::Texts, layout::icon};
use maud::{Markup, html};

use super::{Shown, Site, fleet::Wanted, shown};

/// Events that are shown at once.
const PAGE: usize = 25;

pub(super) async fn section(site: &Site, texts: &Texts, wanted: &Wanted) -> Shown<Markup> {
    let severity = (wanted.severity == "warning").then_some(Severity::Warning);
    let filter = EventFilter { severity, ..EventFilter::default() };
    let events = site.authority.ledger().events();
    let (listed, next) = events.newest(wanted.before, PAGE, &filter).await?;
    let other = |severity: &str, before: Option<u64>| {
        Wanted { severity: severity.to_owned(), before, ..wanted.clone() }.href()
    };
    Ok(html! {
        div class="head" {
            h2 { (texts.t("recent-events")) }
            @if severity.is_some() {
                a href=(other("", None)) { (texts.t("events-all")) }
            } @else {
                a href=(other("warning", None)) { (texts.t("events-warnings")) }
            }
        }
        div class="scroll rest" tabindex="0" {
            @if listed.is_empty() { p class="soft" { (texts.t(if next.is_some() { "none-among-newest" } else { "no-events" })) } }
            (list(site, texts, wanted, &listed))
            nav class="pager" aria-label=(texts.t("recent-events")) {
                @if wanted.before.is_some() { a href=(other(&wanted.severity, None)) { (texts.t("pager-newest")) } }
                @if let Some(next) = next { a rel="next" href=(other(&wanted.severity, Some(next))) { (texts.t("pager-older")) } }
            }
        }
    })
}

/// Events in the visitor's language, each a link to its details.
pub(super) fn list(site: &Site, texts: &Texts, wanted: &Wanted, listed: &[StoredEvent]) -> Markup {
    let zone = site.zone();
    html! {
        ol class="happened" {
            @for stored in listed {
                @let severity = stored.event.kind.severity();
                li {
                    span {
                        span title=(texts.t(&format!("severity-{}", severity.as_str()))) { (icon(severity.as_str())) }
                        " " span class="soft" { (shown::time(texts, &zone, unix_seconds(stored.time))) }
                    }
                    a href={ (wanted.event(stored.sequence).href()) "#details" } { (texts.event(&stored.event, &zone)) }
                }
            }
        }
    }
}
