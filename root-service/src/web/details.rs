//! Beside the table: a node with its certificates and events, or an event.

use licensor::{clock::unix_seconds, event::EventFilter};
use licensor_web::{language::Texts, layout::named, refusal::Refusal};
use maud::{Markup, html};

use super::{Shown, Site, events, fleet::Wanted, nodes, shown};
use crate::{
    fleet::Standing,
    ledger::{CertificateRecord, NodeRecord, Worth},
};

/// Certificates that are shown at once.
const CERTIFICATES: usize = 10;
/// Events that are shown at once.
const EVENTS: usize = 10;

/// A node.
pub(super) async fn node(site: &Site, texts: &Texts, wanted: &Wanted, name: &str) -> Shown<Markup> {
    let ledger = site.authority.ledger();
    let found = ledger.node(name).await?;
    let node = found.map(|found| found.record).ok_or(Refusal::NotFound)?;
    let (certificates, next) = ledger.certificates_of(name, &wanted.certificates, CERTIFICATES).await?;
    let mut rows = Vec::with_capacity(certificates.len());
    for record in &certificates {
        rows.push(certificate(site, texts, record, &ledger.worth(record, site.clock.now()).await?));
    }
    let filter = EventFilter { node: Some(name.to_owned()), ..EventFilter::default() };
    let (happened, earlier) = ledger.events().newest(wanted.earlier, EVENTS, &filter).await?;
    Ok(html! {
        (close(texts, wanted))
        h2 { (node.name) }
        (facts(site, texts, &node).await?)
        h3 { (texts.t("certificates")) }
        div class="scroll" tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (texts.t("serial")) }
                    th scope="col" { (texts.t("valid-until")) }
                    th scope="col" { (texts.t("standing")) }
                } }
                tbody { @for row in &rows { (row) } }
            }
        }
        @if !next.is_empty() {
            @let more = Wanted { certificates: next, ..wanted.clone() };
            nav class="pager" aria-label=(texts.t("certificates")) {
                a rel="next" href={ (more.href()) "#details" } { (texts.t("pager-older")) }
            }
        }
        h3 { (texts.t("events-of-node")) }
        @if happened.is_empty() { p class="soft" { (texts.t("no-recent-events")) } }
        (events::list(site, texts, wanted, &happened))
        @if let Some(earlier) = earlier {
            @let more = Wanted { earlier: Some(earlier), ..wanted.clone() };
            nav class="pager" aria-label=(texts.t("events-of-node")) {
                a rel="next" href={ (more.href()) "#details" } { (texts.t("pager-older")) }
            }
        }
    })
}

fn close(texts: &Texts, wanted: &Wanted) -> Markup {
    html! { p { a href=(wanted.plain().href()) { (texts.t("close-details")) } } }
}

async fn facts(site: &Site, texts: &Texts, node: &NodeRecord) -> Shown<Markup> {
    let zone = site.zone();
    let facts = site.fleet.facts(node).await?;
    let left = facts.not_after - unix_seconds(site.clock.now());
    let (from, until) = site.authority.renewal_window(facts.issued_at(), facts.not_after);
    let time = |at: i64| shown::time(texts, &zone, at);
    let in_service = facts.standing == Standing::InService;
    Ok(html! {
        p {
            (nodes::health(site, texts, facts)) " "
            @if in_service { (shown::left(texts, left)) }
        }
        dl class="facts" {
            dt { (texts.t("owner")) } dd { (node.owner) }
            dt { (texts.t("kind")) } dd { (texts.t(if node.root { "kind-root" } else { "kind-server" })) }
            dt { (texts.t("serial")) } dd class="mono" { (node.current.serial) }
            dt { (texts.t("valid-until")) } dd { (time(facts.not_after)) }
            dt { (texts.t("last-issued")) } dd { (time(facts.issued_at())) }
            @if in_service {
                dt { (texts.t("renewal-window")) }
                dd { (time(unix_seconds(from))) " – " (time(unix_seconds(until))) }
            }
            dt { (texts.t("enrolled")) } dd { (time(node.enrolled_at)) }
            @if node.decommissioned_at != 0 {
                dt { (texts.t("state-decommissioned")) } dd { (time(node.decommissioned_at)) }
            }
            @if !node.dns_names.is_empty() || !node.ip_addresses.is_empty() {
                dt { (texts.t("addresses")) }
                dd { @for name in node.dns_names.iter().chain(&node.ip_addresses) { span class="mono" { (name) } " " } }
            }
        }
    })
}

fn certificate(site: &Site, texts: &Texts, record: &CertificateRecord, worth: &Worth) -> Markup {
    let zone = site.zone();
    let (key, tone) = match worth {
        Worth { revocation: Some(_), .. } => ("certificate-revoked", "error"),
        Worth { superseded_by, .. } if !superseded_by.is_empty() => ("certificate-superseded", ""),
        Worth { expired: true, .. } => ("certificate-expired", "error"),
        _ => ("certificate-current", "good"),
    };
    html! {
        tr {
            td { span class="mono serial" title=(record.serial) { (record.serial) } }
            td { (shown::time(texts, &zone, record.not_after)) }
            td {
                span class={ "pill " (tone) } { (texts.t(key)) }
                @if let Some(revocation) = &worth.revocation {
                    " " (shown::time(texts, &zone, revocation.revoked_at))
                }
            }
        }
    }
}

/// An event.
pub(super) async fn event(site: &Site, texts: &Texts, wanted: &Wanted, sequence: u64) -> Shown<Markup> {
    let found = site.authority.ledger().events().find(sequence).await?;
    let stored = found.ok_or(Refusal::NotFound)?;
    let event = &stored.event;
    let severity = event.kind.severity().as_str();
    let zone = site.zone();
    let time = |at| shown::time(texts, &zone, unix_seconds(at));
    Ok(html! {
        (close(texts, wanted))
        h2 { (texts.event_name(event.kind)) }
        p { span class={ "pill " (severity) } { (texts.t(&format!("severity-{severity}"))) } " " (texts.event(event, &zone)) }
        dl class="facts" {
            dt { (texts.t("happened-at")) } dd { (time(stored.time)) }
            @if !event.node.is_empty() {
                dt { (texts.t("node")) }
                dd { a href={ (wanted.node(&event.node).href()) "#details" } { (event.node) } }
            }
            @if !event.serial.is_empty() { dt { (texts.t("serial")) } dd class="mono" { (event.serial) } }
            dt { (texts.t("caused-by")) }
            dd { @if event.activated_by == "service" { (texts.t("by-service")) } @else { (named(&event.activated_by)) } }
            @if !event.topic.is_empty() {
                dt { (texts.t("ended")) }
                dd { @match stored.ended { Some(at) => (time(at)), None => (texts.t("still-active")) } }
            }
            dt { (texts.t("event-number")) } dd { (shown::number(texts, stored.sequence)) " (" (event.kind.id()) ", " code { (event.kind.name()) } ")" }
        }
    })
}
