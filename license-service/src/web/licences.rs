//! A vendor's tab: who the owner is, which licences there are, and the details of one.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use licensor::clock::from_unix_seconds;
use licensor_web::{
    chart::Share,
    language::{Texts, Zone},
    layout::named,
    refusal::Refusal,
    visitor::{Asked, Viewer, Visitor},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Here, In, Shown, Site, shown};
use crate::{
    entitlement::Installed,
    licensing::{ModuleCounts, SeatInUse},
};

/// Licences on a page.
const PAGE: usize = 100;
/// Holders of seats on a page.
const HOLDERS: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    vendor: String,
    /// The licence whose details are shown.
    module: String,
    /// Only licences whose name or title has this in it.
    search: String,
    /// Number of the page, from 0.
    page: usize,
    /// Where the page of holders begins.
    holders: String,
}

/// Where a vendor's tab is.
pub(super) fn href(vendor: &str) -> String {
    at(&[("vendor", vendor)])
}

fn at(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    format!("/licences?{}", licensor_web::url::query(pairs))
}

pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Shown<Response> {
    let entitlements = site.licensing.entitlements().borrow().clone();
    let installed = entitlements.iter().find(|installed| installed.vendor() == wanted.vendor);
    let installed = Arc::clone(installed.ok_or(Refusal::NotFound)?);
    let texts = &visitor.texts;
    let frame = site.frame(&visitor, In::Vendor(&wanted.vendor), wanted.vendor.clone()).await?;
    let modules = site.licensing.modules(&wanted.vendor);
    let details = match modules.iter().find(|counts| counts.module().name == wanted.module) {
        Some(counts) => Some(details(&site, &visitor, counts, &wanted).await?),
        None => None,
    };
    let content = html! {
        section id="owner" class="sheet" data-live { (owner(texts, &installed)) }
        div class={ "sides" @if details.is_some() { " detailed" } } {
            section id="licences" class="sheet" data-live aria-labelledby="licences-title" {
                (list(texts, modules, &wanted))
            }
            @if let Some(details) = details {
                aside id="details" class="sheet" data-live aria-label=(texts.t("details")) { (details) }
            }
        }
    };
    Ok(frame.page(&visitor, content).into_response())
}

/// Company, serial number, and what is limited in time.
fn owner(texts: &Texts, installed: &Installed) -> Markup {
    let entitlement = &installed.claims.entitlement;
    let dates = &entitlement.dates;
    let zone = Zone::named(&entitlement.time_zone);
    let date = |at: i64| shown::date(texts, &zone, at);
    let company = if entitlement.company.is_empty() { &installed.claims.sub } else { &entitlement.company };
    html! {
        h1 { (company) }
        dl class="facts wide" {
            dt { (texts.t("serial-number")) }
            dd class="mono" { (if entitlement.serial_number.is_empty() { "–" } else { &entitlement.serial_number }) }
            @if let Some(at) = dates.expires { dt { (texts.t("expires")) } dd { (date(at)) } }
            @if let Some(at) = dates.grace_ends { dt { (texts.t("grace-ends")) } dd { (date(at)) } }
            @if let Some(at) = dates.maintenance_ends { dt { (texts.t("maintenance-ends")) } dd { (date(at)) } }
            @if let Some(at) = dates.next_check { dt { (texts.t("next-check")) } dd { (date(at)) } }
            dt { (texts.t("version")) }
            dd {
                (texts.format().number(entitlement.version)) " "
                span class="soft" { (texts.with("signed-on", [("date", date(installed.claims.iat).into())])) }
            }
        }
    }
}

fn list(texts: &Texts, mut modules: Vec<ModuleCounts>, wanted: &Wanted) -> Markup {
    let search = wanted.search.to_lowercase();
    modules.retain(|counts| {
        let module = counts.module();
        search.is_empty()
            || module.name.to_lowercase().contains(&search)
            || module.title.to_lowercase().contains(&search)
    });
    let total = modules.len();
    let first = wanted.page.saturating_mul(PAGE).min(total);
    let end = first.saturating_add(PAGE).min(total);
    let page_at = |page: usize| {
        at(&[("vendor", &wanted.vendor), ("search", &wanted.search), ("page", &page.to_string())])
    };
    html! {
        h2 id="licences-title" { (texts.t("licences")) }
        @if total > PAGE || !wanted.search.is_empty() {
            form class="filters" method="get" action="/licences" role="search" {
                input type="hidden" name="vendor" value=(wanted.vendor);
                label { span { (texts.t("search-licences")) } input type="search" name="search" value=(wanted.search); }
                button class="quiet" { (texts.t("search")) }
            }
        }
        @if total == 0 {
            p class="soft" { (texts.t(if wanted.search.is_empty() { "no-licences" } else { "nothing-found" })) }
        } @else {
            div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
                table {
                    thead {
                        tr {
                            th scope="col" { (texts.t("licence")) }
                            th scope="col" class="optional" { (texts.t("kind")) }
                            th scope="col" class="number" { (texts.t("in-use")) }
                            th scope="col" class="number" { (texts.t("available")) }
                            th scope="col" class="number optional" { (texts.t("total")) }
                            th scope="col" { span class="soft" { (texts.t("use")) } }
                        }
                    }
                    tbody { @for counts in &modules[first..end] { (row(texts, counts, wanted)) } }
                }
            }
            @if total > PAGE {
                nav class="pager" aria-label=(texts.t("pager")) {
                    span {
                        (texts.with("pager-range", [
                            ("first", texts.format().number(first as u64 + 1).into()),
                            ("last", texts.format().number(end as u64).into()),
                            ("total", texts.format().number(total as u64).into()),
                        ]))
                    }
                    @if wanted.page > 0 { a href=(page_at(0)) { (texts.t("pager-first")) } }
                    @if end < total { a rel="next" href=(page_at(wanted.page + 1)) { (texts.t("pager-next")) } }
                }
            }
        }
    }
}

fn title(counts: &ModuleCounts) -> &str {
    let module = counts.module();
    if module.title.is_empty() { &module.name } else { &module.title }
}

fn share(counts: &ModuleCounts) -> Share {
    Share { part: counts.in_use.into(), whole: counts.module().quantity.into() }
}

fn row(texts: &Texts, counts: &ModuleCounts, wanted: &Wanted) -> Markup {
    let module = counts.module();
    let chosen = module.name == wanted.module;
    let page = wanted.page.to_string();
    let href = at(&[
        ("vendor", &wanted.vendor),
        ("module", &module.name),
        ("search", &wanted.search),
        ("page", if wanted.page == 0 { "" } else { &page }),
    ]);
    let number = |number: u32| texts.format().number(number);
    html! {
        tr aria-current=[chosen.then_some("true")] {
            th scope="row" class="wide" { a id={ "licence-" (module.name) } href={ (href) "#details" } { (title(counts)) } }
            td class="optional" { (shown::kind(texts, module.kind)) }
            td class="number" { (number(counts.in_use)) }
            td class="number" { (number(counts.available())) }
            td class="number optional" { (number(module.quantity)) }
            td class="use" { (share(counts).bar(&in_use_of(texts, counts))) }
        }
    }
}

fn in_use_of(texts: &Texts, counts: &ModuleCounts) -> String {
    let number = |number: u32| texts.format().number(number);
    texts.with(
        "in-use-of",
        [("in_use", number(counts.in_use).into()), ("total", number(counts.module().quantity).into())],
    )
}

async fn details(
    site: &Site,
    visitor: &Visitor,
    counts: &ModuleCounts,
    wanted: &Wanted,
) -> Result<Markup, Refusal> {
    let texts = &visitor.texts;
    let module = counts.module();
    let entitlement = &counts.installed.claims.entitlement;
    let zone = Zone::named(&entitlement.time_zone);
    let (seats, next) =
        site.licensing.seats(&wanted.vendor, &module.name, false, &wanted.holders, HOLDERS).await?;
    let expires = module.expires.into_iter().chain(entitlement.dates.expires).min();
    let more = at(&[("vendor", &wanted.vendor), ("module", &module.name), ("holders", &next)]);
    Ok(html! {
        h2 { (title(counts)) }
        @if !module.description.is_empty() { p { (module.description) } }
        (share(counts).bar(&in_use_of(texts, counts)))
        p class="soft" { (in_use_of(texts, counts)) }
        dl class="facts" {
            dt { (texts.t("name")) } dd class="mono" { (module.name) }
            dt { (texts.t("kind")) } dd { (shown::kind(texts, module.kind)) " " span class="soft" { (kind_note(texts, counts)) } }
            @if let Some(at) = expires { dt { (texts.t("expires")) } dd { (shown::date(texts, &zone, at)) } }
            @if !module.features.is_empty() {
                dt { (texts.t("features")) }
                dd { @for feature in &module.features { span class="pill" { (feature) } " " } }
            }
            dt { (texts.t("lease")) } dd { (shown::span(texts, module.lease)) }
            @if let Some(borrow) = &module.borrow {
                dt { (texts.t("borrowing")) }
                dd {
                    (texts.with("borrowing-bounds", [
                        ("borrowed", texts.format().number(counts.borrowed).into()),
                        ("seats", texts.format().number(borrow.seats).into()),
                        ("longest", shown::span(texts, borrow.longest).into()),
                    ]))
                }
            }
        }
        h3 { (texts.t("holders")) }
        @if seats.is_empty() && wanted.holders.is_empty() {
            p class="soft" { (texts.t("no-holders")) }
        } @else {
            div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
                table {
                    thead {
                        tr {
                            th scope="col" { (texts.t("user")) }
                            th scope="col" class="optional" { (texts.t("device")) }
                            th scope="col" { (texts.t("held-until")) }
                        }
                    }
                    tbody { @for seat in &seats { (holder(texts, &zone, seat)) } }
                }
            }
            @if !next.is_empty() {
                nav class="pager" aria-label=(texts.t("holders")) { a rel="next" href={ (more) "#details" } { (texts.t("pager-next")) } }
            }
        }
    })
}

fn kind_note(texts: &Texts, counts: &ModuleCounts) -> String {
    texts.t(match counts.module().kind {
        verifier::entitlement::Kind::Site => "kind-site-note",
        verifier::entitlement::Kind::Satellite => "kind-satellite-note",
        verifier::entitlement::Kind::User => "kind-user-note",
    })
}

fn holder(texts: &Texts, zone: &Zone, seat: &SeatInUse) -> Markup {
    let record = &seat.record;
    html! {
        tr {
            th scope="row" class="wide" { (named(&record.user)) }
            td class="optional wide" { (record.device) }
            td {
                @if record.assigned { span class="pill" { (texts.t("assigned")) } " " }
                @if record.borrowed { span class="pill" { (texts.t("borrowed")) } " " }
                @if record.until != 0 {
                    time datetime=(licensor::clock::rfc3339(from_unix_seconds(record.until))) {
                        (shown::time(texts, zone, record.until))
                    }
                }
            }
        }
    }
}
