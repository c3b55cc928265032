//! Metered services: twelve months of each, and the statements.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use licensor_web::{
    chart::{Column, columns},
    language::Texts,
    visitor::{Asked, Viewer},
};
use maud::{Markup, html};
use proto::licensing::v1::{StatementState, UsageLine, VendorUsage};
use serde::Deserialize;

use super::{Here, In, Shown, Site, statements};
use crate::metering::Month;

/// Months that are shown.
const MONTHS: usize = 12;
/// Statements on a page, and services.
const PAGE: usize = 24;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Of whose services or statements later ones are shown.
    vendor: String,
    /// How many newer statements are passed over.
    skip: usize,
    /// How many services are passed over.
    services: usize,
}

impl Wanted {
    fn href(&self) -> String {
        let (skip, services) = (self.skip.to_string(), self.services.to_string());
        let pairs =
            [("vendor", self.vendor.as_str()), ("skip", skip.as_str()), ("services", services.as_str())];
        format!("/usage?{}", licensor_web::url::query(&pairs))
    }
}

pub(super) fn title(line: &UsageLine) -> &str {
    if line.title.is_empty() { &line.service } else { &line.title }
}

/// How much of what is included is used, in words.
pub(super) fn used_of(texts: &Texts, line: &UsageLine) -> String {
    let quantity = |quantity| texts.format().quantity(quantity, &line.unit);
    let total = line.allowance.unwrap_or_default().total;
    let key = if line.surplus > 0 { "used-of-surplus" } else { "used-of" };
    texts.with(
        key,
        [
            ("used", quantity(line.used).into()),
            ("included", quantity(total).into()),
            ("surplus", quantity(line.surplus).into()),
        ],
    )
}

pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Shown<Response> {
    let texts = &visitor.texts;
    let frame = site.frame(&visitor, In::Status, texts.t("metered-services")).await?;
    let current = site.metering.usage(None, "").await?;
    let mut vendors = Vec::new();
    for usage in &current {
        let own = Wanted { vendor: usage.vendor.clone(), ..Wanted::default() };
        let wanted = if usage.vendor == wanted.vendor { &wanted } else { &own };
        vendors.push(vendor(&site, texts, usage, wanted).await?);
    }
    let content = html! {
        p { a href="/status" { (texts.t("back-to-status")) } }
        h1 { (texts.t("metered-services")) }
        @if vendors.is_empty() { p class="soft" { (texts.t("nothing-metered")) } }
        @for vendor in &vendors { (vendor) }
    };
    Ok(frame.page(&visitor, content).into_response())
}

async fn vendor(site: &Site, texts: &Texts, current: &VendorUsage, wanted: &Wanted) -> Shown<Markup> {
    let mut months = vec![current.clone()];
    let mut month = Month::parse(&current.month)?;
    while months.len() < MONTHS {
        month = month.previous();
        months.extend(site.metering.usage(Some(month), &current.vendor).await?);
    }
    months.reverse();
    let (statements, _) = site.metering.statements(&current.vendor, "", 1000).await?;
    let newest_first = statements.iter().rev().skip(wanted.skip).take(PAGE);
    let older = wanted.skip.saturating_add(PAGE);
    let at = |skip: usize| Wanted { skip, ..wanted.clone() }.href();
    let later = wanted.services.saturating_add(PAGE);
    let services_at = |services: usize| Wanted { services, ..wanted.clone() }.href();
    let known = |month: &str| statements.iter().any(|statement| statement.month == month);
    let column = |line: &UsageLine, usage: &VendorUsage| {
        let of_month = usage.lines.iter().find(|other| other.service == line.service);
        let said = of_month.map_or_else(|| texts.t("nothing-used"), |line| used_of(texts, line));
        Column {
            label: texts.format().short_month(&usage.month),
            title: format!("{}: {said}", texts.format().month(&usage.month)),
            value: of_month.map_or(0, |line| line.used),
            limit: of_month.and_then(|line| line.allowance.as_ref()).map(|allowance| allowance.total),
            href: known(&usage.month).then(|| statements::href(&usage.vendor, &usage.month)),
        }
    };
    Ok(html! {
        section id={ "usage-" (current.vendor) } data-live {
            h2 { (current.vendor) }
            div class="sides even" {
                @for line in current.lines.iter().skip(wanted.services).take(PAGE) {
                    article class="sheet" {
                        h3 { (title(line)) }
                        p { (used_of(texts, line)) }
                        p class="soft" { (allowance(texts, line)) }
                        @let all: Vec<Column> = months.iter().map(|usage| column(line, usage)).collect();
                        (columns(&all, &texts.with("twelve-months", [("service", title(line).into())])))
                    }
                }
            }
            @if current.lines.len() > PAGE {
                nav class="pager" aria-label=(texts.with("services-of", [("vendor", current.vendor.as_str().into())])) {
                    @if wanted.services > 0 { a href=(services_at(0)) { (texts.t("pager-first")) } }
                    @if later < current.lines.len() { a rel="next" href=(services_at(later)) { (texts.t("pager-next")) } }
                }
            }
            section class="sheet" {
                h3 { (texts.t("statements")) }
                @if statements.is_empty() { p class="soft" { (texts.t("no-statements")) } }
                @else {
                    table {
                        thead { tr {
                            th scope="col" { (texts.t("month")) }
                            th scope="col" { (texts.t("state")) }
                            th scope="col" class="number" { (texts.t("amount")) }
                        } }
                        tbody {
                            @for statement in newest_first {
                                tr {
                                    th scope="row" {
                                        a href=(statements::href(&statement.vendor, &statement.month)) {
                                            (texts.format().month(&statement.month))
                                        }
                                    }
                                    td { (state(texts, statement.state())) }
                                    td class="number" { (statements::totals(texts, statement)) }
                                }
                            }
                        }
                    }
                    @if statements.len() > PAGE {
                        nav class="pager" aria-label=(texts.with("statements-of", [("vendor", current.vendor.as_str().into())])) {
                            @if wanted.skip > 0 { a href=(at(0)) { (texts.t("pager-first")) } }
                            @if older < statements.len() { a rel="next" href=(at(older)) { (texts.t("events-older")) } }
                        }
                    }
                }
            }
        }
    })
}

/// How what is included follows from the number of users.
fn allowance(texts: &Texts, line: &UsageLine) -> String {
    let allowance = line.allowance.unwrap_or_default();
    let quantity = |quantity| texts.format().quantity(quantity, &line.unit);
    texts.with(
        "allowance-rule",
        [
            ("base", quantity(allowance.base).into()),
            ("per_user", quantity(allowance.per_user).into()),
            ("users", texts.format().number(allowance.users).into()),
            ("total", quantity(allowance.total).into()),
        ],
    )
}

pub(super) fn state(texts: &Texts, state: StatementState) -> Markup {
    let (key, class) = match state {
        StatementState::Final => ("statement-final", "good"),
        _ => ("statement-draft", ""),
    };
    html! { span class={ "pill " (class) } { (texts.t(key)) } }
}
