//! A statement: what was used in a month, what it includes, what it costs.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use licensor::clock::{from_timestamp, unix_seconds};
use licensor_web::{
    language::{Texts, Zone},
    visitor::{Asked, Viewer},
};
use maud::{Markup, html};
use proto::licensing::v1::{Statement, UsageAmount};
use serde::Deserialize;

use super::{Here, In, Shown, shown, usage};
use crate::metering::Month;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    vendor: String,
    month: String,
}

pub(super) fn href(vendor: &str, month: &str) -> String {
    format!("/statements?{}", licensor_web::url::query(&[("vendor", vendor), ("month", month)]))
}

/// The totals of a statement.
pub(super) fn totals(texts: &Texts, statement: &Statement) -> String {
    let totals = statement.totals.iter().map(|total| amount(texts, total));
    totals.collect::<Vec<_>>().join(", ")
}

fn amount(texts: &Texts, amount: &UsageAmount) -> String {
    let money = shown::money(texts, amount.minor_units.into(), &amount.currency);
    if amount.exceeded { texts.with("more-than", [("amount", money.into())]) } else { money }
}

pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Shown<Response> {
    let statement = site.metering.statement(&wanted.vendor, Month::parse(&wanted.month)?).await?;
    let texts = &visitor.texts;
    let month = texts.format().month(&statement.month);
    let title = texts.with("statement-of", [("month", month.into())]);
    let frame = site.frame(&visitor, In::Status, title.clone()).await?;
    let content = html! {
        p { a href="/usage" { (texts.t("back-to-usage")) } }
        section id="statement" class="sheet" data-live {
            h1 { (title) }
            (head(texts, &statement))
            (lines(texts, &statement))
            @if !statement.adjustments.is_empty() { (adjustments(texts, &statement)) }
            p class="number" { strong { (texts.t("total")) " " (totals(texts, &statement)) } }
        }
    };
    Ok(frame.page(&visitor, content).into_response())
}

fn head(texts: &Texts, statement: &Statement) -> Markup {
    let zone = Zone::named(&statement.time_zone);
    let time =
        |at| from_timestamp(at).map(|at| shown::time(texts, &zone, unix_seconds(at))).unwrap_or_default();
    html! {
        dl class="facts" {
            dt { (texts.t("state")) } dd {
                (usage::state(texts, statement.state())) " "
                @if statement.final_time.is_some() { (time(statement.final_time)) }
            }
            dt { (texts.t("vendor")) } dd { (statement.vendor) }
            dt { (texts.t("owner")) } dd { (statement.owner) }
            dt { (texts.t("serial-number")) } dd class="mono" { (statement.serial_number) }
            dt { (texts.t("period")) } dd {
                (texts.with("from-to", [("start", time(statement.start_time).into()), ("end", time(statement.end_time).into())]))
                " " span class="soft" { (zone.name()) }
            }
            @if !statement.digest.is_empty() { dt { (texts.t("digest")) } dd class="mono" { (statement.digest) } }
        }
    }
}

fn lines(texts: &Texts, statement: &Statement) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
            table {
                thead { tr {
                    th scope="col" { (texts.t("service")) }
                    th scope="col" class="number" { (texts.t("used")) }
                    th scope="col" class="number optional" { (texts.t("users")) }
                    th scope="col" class="number" { (texts.t("included")) }
                    th scope="col" class="number" { (texts.t("surplus")) }
                    th scope="col" class="number" { (texts.t("amount")) }
                } }
                tbody {
                    @for line in &statement.lines {
                        @let allowance = line.allowance.unwrap_or_default();
                        tr {
                            th scope="row" class="wide" { (usage::title(line)) }
                            td class="number" { (texts.format().quantity(line.used, &line.unit)) }
                            td class="number optional" { (texts.format().number(allowance.users)) }
                            td class="number" { (texts.format().quantity(allowance.total, &line.unit)) }
                            td class="number" { (texts.format().quantity(line.surplus, &line.unit)) }
                            td class="number" { @if let Some(cost) = &line.amount { (amount(texts, cost)) } }
                        }
                    }
                }
            }
        }
        p class="soft" { (texts.t("allowance-note")) }
    }
}

/// What was reported late, for months whose statement was final.
fn adjustments(texts: &Texts, statement: &Statement) -> Markup {
    html! {
        h2 { (texts.t("adjustments")) }
        div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
            table {
                thead { tr {
                    th scope="col" { (texts.t("month")) }
                    th scope="col" { (texts.t("service")) }
                    th scope="col" class="number" { (texts.t("reported-late")) }
                    th scope="col" class="number" { (texts.t("amount")) }
                } }
                tbody {
                    @for late in &statement.adjustments {
                        tr {
                            td { (texts.format().month(&late.month)) }
                            th scope="row" class="wide" { (if late.title.is_empty() { &late.service } else { &late.title }) }
                            td class="number" { (texts.format().quantity(late.quantity, &late.unit)) }
                            td class="number" { @if let Some(cost) = &late.amount { (amount(texts, cost)) } }
                        }
                    }
                }
            }
        }
    }
}
