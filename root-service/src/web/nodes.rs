//! The table of nodes, those that run out first at the top.

use std::sync::Arc;

use licensor::clock::unix_seconds;
use licensor_web::{chart::Share, language::Texts};
use maud::{Markup, html};

use super::{Shown, Site, fleet::Wanted, shown};
use crate::{
    fleet::{Facts, Index, Renewal, Selected, Selection, Standing, State},
    ledger::NodeRecord,
};

/// Nodes on a page.
pub(super) const PAGE: usize = 100;
/// Certificates that a search by serial number looks at.
const CERTIFICATES: usize = 200;

pub(super) async fn section(
    site: &Site,
    texts: &Texts,
    wanted: &Wanted,
    index: &Arc<Index>,
    mut selection: Selection,
) -> Shown<Markup> {
    let ledger = site.authority.ledger();
    if !selection.search.is_empty() {
        let digits = selection.search.replace([':', ' '], "");
        selection.names = ledger.nodes_with_serial(&digits, CERTIFICATES).await?;
    }
    let Selected { names, total } = site.fleet.select(index, selection).await?;
    let mut rows = Vec::with_capacity(names.len());
    for name in &names {
        if let Some(node) = ledger.node(name).await? {
            let facts = site.fleet.facts(&node.record).await?;
            rows.push(row(site, texts, wanted, &node.record, facts));
        }
    }
    let first = wanted.page.saturating_mul(PAGE);
    Ok(html! {
        div class="head" {
            h2 { (texts.t("nodes-by-expiry")) @if !wanted.show.is_empty() { ": " (filter_name(texts, &wanted.show)) } }
            form class="filters" method="get" action="/" role="search" {
                @if !wanted.show.is_empty() {
                    a href=(wanted.showing("").href()) { (texts.t("show-all")) }
                    input type="hidden" name="show" value=(wanted.show);
                }
                input id="search" type="search" name="search" value=(wanted.search) maxlength="100"
                    placeholder=(texts.t("search-nodes")) aria-label=(texts.t("search-nodes"));
                button class="quiet" { (texts.t("search")) }
            }
        }
        @if total == 0 {
            p class="soft" { (texts.t(if index.len() == 0 { "no-nodes" } else { "nothing-found" })) }
        } @else {
            div class="scroll fit" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { (texts.t("node")) }
                        th scope="col" { (texts.t("owner")) }
                        th scope="col" class="optional spare" { (texts.t("serial")) }
                        th scope="col" { (texts.t("valid-until")) }
                        th scope="col" { (texts.t("time-to-expiry")) }
                        th scope="col" class="optional spare" { (texts.t("last-issued")) }
                        th scope="col" { (texts.t("renewal")) }
                    } }
                    tbody { @for row in &rows { (row) } }
                }
            }
            @if total > PAGE { (pager(texts, wanted, first, names.len(), total)) }
        }
    })
}

/// What a filter is called.
fn filter_name(texts: &Texts, show: &str) -> String {
    let keys = [format!("state-{show}"), format!("bucket-{show}-title"), show.to_owned()];
    keys.iter().find_map(|key| texts.find(key, [])).unwrap_or_default()
}

fn pager(texts: &Texts, wanted: &Wanted, first: usize, shown: usize, total: usize) -> Markup {
    let number = |count: usize| texts.format().number(count as u64);
    let page = |page: usize| Wanted { page, ..wanted.plain() }.href();
    html! {
        nav class="pager" aria-label=(texts.t("pager")) {
            span {
                (texts.with("pager-range", [
                    ("first", number(first.saturating_add(1).min(total)).into()),
                    ("last", number(first.saturating_add(shown).min(total)).into()),
                    ("total", number(total).into()),
                ]))
            }
            @if wanted.page > 0 {
                a href=(page(0)) { (texts.t("pager-first")) }
                a rel="prev" href=(page(wanted.page - 1)) { (texts.t("pager-back")) }
            }
            @if first.saturating_add(shown) < total { a rel="next" href=(page(wanted.page + 1)) { (texts.t("pager-next")) } }
        }
    }
}

fn row(site: &Site, texts: &Texts, wanted: &Wanted, node: &NodeRecord, facts: Facts) -> Markup {
    let zone = site.zone();
    let now = unix_seconds(site.clock.now());
    let left = shown::left(texts, facts.not_after - now);
    let in_service = facts.standing == Standing::InService;
    html! {
        tr aria-current=[(node.name == wanted.node).then_some("true")] {
            th scope="row" class="wide" {
                a id={ "node-" (node.name) } href={ (wanted.node(&node.name).href()) "#details" } { (node.name) }
                @if node.root { " " span class="pill" { (texts.t("kind-root")) } }
            }
            td class="wide" { (node.owner) }
            td class="optional spare" { span class="mono serial" title=(node.current.serial) { (node.current.serial) } }
            td { (shown::time(texts, &zone, facts.not_after)) }
            td class="left" {
                @if in_service {
                    (left)
                    (Share { part: positive(now - facts.issued_at()), whole: u64::from(facts.lifetime) }.bar(&left))
                } @else { "–" }
            }
            td class="optional spare" { (shown::time(texts, &zone, facts.issued_at())) }
            td { (health(site, texts, facts)) }
        }
    }
}

fn positive(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or_default()
}

/// How a node stands, and whether it has renewed in time.
pub(super) fn health(site: &Site, texts: &Texts, facts: Facts) -> Markup {
    let judge = site.fleet.judge();
    let (key, tone) = match (judge.state(facts), judge.renewal(facts)) {
        (State::Revoked, _) => ("state-revoked", "error"),
        (State::Decommissioned, _) => ("state-decommissioned", ""),
        (State::Expired, _) => ("state-expired", "error"),
        (_, Renewal::Overdue) => ("overdue", "warning"),
        (_, Renewal::Due) => ("due", ""),
        (_, Renewal::NotDue | Renewal::Never) => ("not-due", "good"),
    };
    html! { span class={ "pill " (tone) } { (texts.t(key)) } }
}
