//! The status: the database, the licensor certificate, metered services, events.

use std::cmp::Reverse;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use licensor::{clock::unix_seconds, expiry::Warnings};
use licensor_web::{
    chart::{Mark, Share, line_of_time, place},
    form::{self, Change},
    language::Texts,
    layout::person,
    visitor::{Asked, Viewer, Visitor},
};
use maud::{Markup, html};
use proto::licensing::v1::{UsageLine, VendorUsage};
use serde::Deserialize;

use super::{Here, In, Shown, Site, banners, events, note, shown, then, usage};
use crate::{config::DatabaseKind, credential::Credential, entitlement::next_expiry};

pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    Asked(wanted): Asked<events::Wanted>,
) -> Shown<Response> {
    let texts = &visitor.texts;
    let frame = site.frame(&visitor, In::Status, texts.t("tab-status")).await?;
    let used = site.metering.usage(None, "").await?;
    let certificate = certificate(&site, &visitor).await?;
    let content = html! {
        h1 { (texts.t("tab-status")) }
        div class="sides even" {
            div class="stack" {
                section id="database" class="sheet" data-live { (database(&site, &visitor)) }
                section id="certificate" class="sheet" data-live { (certificate) }
            }
            section id="metered" class="sheet" data-live { (metered(texts, &used)) }
        }
        (events::section(&site, &visitor, &wanted).await?)
    };
    Ok(frame.page(&visitor, content).into_response())
}

/// Who owns the database, what it is, and who looks at it.
fn database(site: &Site, visitor: &Visitor) -> Markup {
    let texts = &visitor.texts;
    let zone = site.zone();
    let credential = site.credential();
    let entitlements = site.licensing.entitlements().borrow().clone();
    let owner = credential.as_ref().map(|credential| credential.facts.organization.clone());
    let next = next_expiry(&entitlements, credential.as_deref());
    let kind = match site.database {
        DatabaseKind::Central => "database-central",
        DatabaseKind::Satellite => "database-satellite",
    };
    html! {
        h2 { (texts.t("database")) }
        dl class="facts" {
            dt { (texts.t("owner")) } dd { (owner.unwrap_or_else(|| "–".to_owned())) }
            dt { (texts.t("serial-number")) }
            dd {
                @for installed in entitlements.iter() {
                    @if !installed.claims.entitlement.serial_number.is_empty() {
                        span class="mono" { (installed.claims.entitlement.serial_number) }
                        @if entitlements.len() > 1 { " " span class="soft" { (installed.vendor()) } }
                        br;
                    }
                }
            }
            dt { (texts.t("database-kind")) } dd { (texts.t(kind)) }
            dt { (texts.t("next-expiry")) }
            dd { (next.map_or_else(|| "–".to_owned(), |at| shown::date(texts, &zone, at))) }
            dt { (texts.t("signed-in-user")) }
            dd {
                @if let Some(session) = &visitor.session {
                    (person(&session.person)) " "
                    span class="soft" { (texts.t(&format!("role-{}", session.person.role.as_str()))) }
                }
            }
            dt { (texts.t("time-zone")) } dd { (zone.name()) }
        }
    }
}

/// The licensor certificate: who issued it, how much of its time is over, when it is renewed.
async fn certificate(site: &Site, visitor: &Visitor) -> Shown<Markup> {
    let texts = &visitor.texts;
    let zone = site.zone();
    let renewal = site.ledger.renewal().await?;
    let succeeded = renewal.succeeded().map(unix_seconds);
    let problem = (!renewal.error.is_empty()).then_some(renewal.error);
    let credential = site.credential();
    Ok(html! {
        h2 { (texts.t("certificate")) }
        @match credential.as_deref() {
            None => p class="soft" { (texts.t("no-certificate")) },
            Some(credential) => {
                @let disabled = banners::disabled(site, texts);
                p {
                    @if disabled.is_some() {
                        span class="pill error" { (texts.t("issues-nothing")) }
                    } @else {
                        span class="pill good" { (texts.t("issues-licences")) }
                    }
                }
                (validity(site, texts, credential))
                dl class="facts" {
                    dt { (texts.t("issued-by")) }
                    dd { (issuer(credential)) " " span class="mono soft" { (credential.renewal_address) } }
                    dt { (texts.t("serial")) } dd class="mono" { (credential.facts.serial) }
                    dt { (texts.t("valid-until")) }
                    dd { (shown::time(texts, &zone, unix_seconds(credential.validity.not_after))) }
                    dt { (texts.t("planned-renewal")) }
                    dd {
                        @if site.automatic && credential.revoked.get().is_none() {
                            (shown::time(texts, &zone, unix_seconds(credential.renew_at(site.renew_at))))
                        } @else { (texts.t("by-hand")) }
                    }
                    dt { (texts.t("last-renewal")) }
                    dd { (succeeded.map_or_else(|| texts.t("never"), |at| shown::time(texts, &zone, at))) }
                    @if let Some(problem) = &problem {
                        dt { (texts.t("renewal-problem")) }
                        dd class="pill-text" { span class="pill error" { (texts.t("failed")) } " " (problem) }
                    }
                }
                @if visitor.is_administrator() {
                    form method="post" action="/status/renew" class="actions" {
                        (form::token(visitor))
                        button { (texts.t("renew-now")) }
                    }
                }
            }
        }
    })
}

fn issuer(credential: &Credential) -> String {
    let issuers = credential.issuance.issuers.iter().chain(&credential.issuance.anchors);
    let issuers = issuers.filter_map(|der| verifier::Certificate::parse(der).ok());
    let mut found = issuers.filter(|issuer| issuer.key_id == credential.facts.issuer_key_id);
    found.next().map_or_else(|| credential.facts.issuer_key_id.clone(), |issuer| issuer.common_name)
}

/// A bar from issue to expiry, with the marks of a month, a week, and the planned renewal.
fn validity(site: &Site, texts: &Texts, credential: &Credential) -> Markup {
    let validity = &credential.validity;
    let (start, end) = (unix_seconds(validity.issued_at), unix_seconds(validity.not_after));
    let now = unix_seconds(site.clock.now());
    let warnings = Warnings::of(validity, &site.expiry);
    let (month, week) = warnings.before_expiry();
    let zone = site.zone();
    let mark = |key: &str, class, at| Mark {
        label: format!("{}: {}", texts.t(key), shown::time(texts, &zone, at)),
        at: place(start, end, at),
        class,
    };
    let mut marks =
        vec![mark("mark-month", "month", unix_seconds(month)), mark("mark-week", "week", unix_seconds(week))];
    if site.automatic {
        let at = unix_seconds(credential.renew_at(site.renew_at));
        marks.push(mark("mark-renewal", "renewal", at));
    }
    let tone = match warnings.due(site.clock.now()) {
        None => "good",
        Some(licensor::event::EventKind::LicensorCertExpiresInOneMonth) => "near",
        Some(_) => "full",
    };
    let label = texts.with(
        "validity",
        [
            ("start", shown::date(texts, &zone, start).into()),
            ("end", shown::date(texts, &zone, end).into()),
            ("left", shown::span(texts, (end - now).max(0)).into()),
        ],
    );
    html! {
        (line_of_time(place(start, end, now), &marks, tone, &label))
        p class="soft" { (label) }
        ul class="legend" {
            @for mark in &marks { li { span class={ "key " (mark.class) } {} (mark.label) } }
        }
    }
}

/// Services of a vendor that are shown; where there are more, those of which most is used.
const SERVICES: usize = 12;

fn fullest(vendor: &VendorUsage) -> Vec<&UsageLine> {
    let mut lines: Vec<&UsageLine> = vendor.lines.iter().collect();
    if lines.len() > SERVICES {
        let percent = |line: &UsageLine| {
            Share { part: line.used, whole: line.allowance.unwrap_or_default().total }.percent()
        };
        lines.sort_by_key(|line| Reverse(percent(line)));
        lines.truncate(SERVICES);
    }
    lines
}

/// This month of metered services against what it includes.
fn metered(texts: &Texts, used: &[VendorUsage]) -> Markup {
    html! {
        h2 { (texts.t("metered-services")) }
        @if used.iter().all(|vendor| vendor.lines.is_empty()) {
            p class="soft" { (texts.t("nothing-metered")) }
        } @else {
            @for vendor in used {
                @if used.len() > 1 { h3 { (vendor.vendor) } }
                p class="soft" { (texts.format().month(&vendor.month)) }
                div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
                    table {
                        thead {
                            tr {
                                th scope="col" { (texts.t("service")) }
                                th scope="col" class="number" { (texts.t("used")) }
                                th scope="col" class="number" { (texts.t("included")) }
                                th scope="col" { span class="soft" { (texts.t("use")) } }
                            }
                        }
                        tbody {
                            @for line in fullest(vendor) {
                                @let total = line.allowance.unwrap_or_default().total;
                                @let said = usage::used_of(texts, line);
                                tr {
                                    th scope="row" class="wide" { (usage::title(line)) }
                                    td class="number" { (texts.format().quantity(line.used, &line.unit)) }
                                    td class="number" { (texts.format().quantity(total, &line.unit)) }
                                    td class="use" { (Share { part: line.used, whole: total }.bar(&said)) }
                                }
                            }
                        }
                    }
                }
                @if vendor.lines.len() > SERVICES {
                    p class="soft" {
                        (texts.with("more-services", [("count", texts.format().number((vendor.lines.len() - SERVICES) as u64).into())]))
                    }
                }
            }
            p class="actions" { a class="button quiet" href="/usage" { (texts.t("open-usage")) } }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn renew(State(site): Here, change: Change<Nothing>) -> Shown<Response> {
    note(&site, &change.person, "RenewCertificate", "").await?;
    site.renewal.renew(false, &change.person.name).await?;
    Ok(then("/status"))
}
