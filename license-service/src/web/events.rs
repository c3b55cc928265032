//! The events: a table with a filter and the description of one, and what an administrator adds and ends.

use std::time::SystemTime;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{civil::DateTime, tz::TimeZone};
use licensor::{
    clock::{rfc3339, unix_seconds},
    event::{Event, EventFilter, EventKind, Scope, Severity, StoredEvent},
};
use licensor_web::{
    form::{self, Change},
    language::{Texts, Zone},
    layout::named,
    refusal::Refusal,
    visitor::{Asked, Viewer, Visitor},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Here, In, Shown, Site, shown, then};
use crate::system_event::Notice;

/// Events on a page.
const PAGE: usize = 25;

/// Which events are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// `active`, or all.
    show: String,
    /// The least severity.
    severity: String,
    /// Only those before this number.
    before: Option<u64>,
    /// The one that is described.
    event: Option<u64>,
}

impl Wanted {
    fn filter(&self) -> EventFilter {
        EventFilter {
            active: (self.show == "active").then_some(true),
            severity: match self.severity.as_str() {
                "warning" => Some(Severity::Warning),
                "error" => Some(Severity::Error),
                _ => None,
            },
            ..EventFilter::default()
        }
    }

    fn href(&self, event: Option<u64>, before: Option<u64>) -> String {
        let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let (event, before) = (text(event), text(before));
        let pairs = [
            ("show", self.show.as_str()),
            ("severity", self.severity.as_str()),
            ("event", event.as_str()),
            ("before", before.as_str()),
        ];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        format!("/status?{}#events", licensor_web::url::query(pairs))
    }
}

/// The events alone have no page: they are on that of the status.
pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Shown<Response> {
    let texts = &visitor.texts;
    let frame = site.frame(&visitor, In::Status, texts.t("system-events")).await?;
    let content = html! {
        h1 { (texts.t("tab-status")) }
        (section(&site, &visitor, &wanted).await?)
    };
    Ok(frame.page(&visitor, content).into_response())
}

pub(super) async fn section(site: &Site, visitor: &Visitor, wanted: &Wanted) -> Shown<Markup> {
    let texts = &visitor.texts;
    let zone = site.zone();
    let events = site.ledger.events();
    let (listed, next) = events.newest(wanted.before, PAGE, &wanted.filter()).await?;
    let chosen = match wanted.event {
        Some(sequence) => events.find(sequence).await?,
        None => None,
    };
    Ok(html! {
        div class={ "sides" @if chosen.is_some() { " detailed" } } {
            section id="events" class="sheet" data-live {
                h2 { (texts.t("system-events")) }
                (filters(texts, wanted))
                @if listed.is_empty() {
                    p class="soft" { (texts.t(nothing(wanted, next))) }
                } @else {
                    (table(texts, &zone, &listed, wanted))
                }
                nav class="pager" aria-label=(texts.t("system-events")) {
                    @if wanted.before.is_some() { a href=(wanted.href(None, None)) { (texts.t("pager-first")) } }
                    @if let Some(next) = next { a rel="next" href=(wanted.href(None, Some(next))) { (texts.t("events-older")) } }
                }
            }
            @if let Some(chosen) = &chosen {
                aside id="event" class="sheet" data-live aria-label=(texts.t("description")) {
                    (description(visitor, &zone, chosen))
                }
            }
        }
        @if visitor.is_administrator() { (adding(visitor, &zone)) }
    })
}

/// Why nothing is listed.
fn nothing(wanted: &Wanted, next: Option<u64>) -> &'static str {
    match (next, wanted.show.as_str()) {
        (Some(_), _) => "none-among-newest",
        (None, "active") => "no-active-events",
        (None, _) => "no-events",
    }
}

fn filters(texts: &Texts, wanted: &Wanted) -> Markup {
    let option = |value: &str, chosen: &str, key: &str| {
        html! {
            option value=(value) selected[value == chosen] { (texts.t(key)) }
        }
    };
    html! {
        form class="filters" method="get" action="/status#events" data-at-once {
            label {
                span { (texts.t("status")) }
                select name="show" {
                    (option("", &wanted.show, "events-all"))
                    (option("active", &wanted.show, "events-active"))
                }
            }
            label {
                span { (texts.t("severity")) }
                select name="severity" {
                    (option("", &wanted.severity, "severity-any"))
                    (option("warning", &wanted.severity, "severity-warning-up"))
                    (option("error", &wanted.severity, "severity-error-only"))
                }
            }
            button class="quiet" { (texts.t("show")) }
        }
    }
}

fn table(texts: &Texts, zone: &Zone, listed: &[StoredEvent], wanted: &Wanted) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
            table {
                thead { tr {
                    th scope="col" { (texts.t("event")) }
                    th scope="col" { (texts.t("status")) }
                    th scope="col" { (texts.t("message")) }
                    th scope="col" { (texts.t("activated")) }
                    th scope="col" class="optional" { (texts.t("activated-by")) }
                    th scope="col" class="optional" { (texts.t("completed")) }
                    th scope="col" class="optional" { (texts.t("type")) }
                } }
                tbody {
                    @for stored in listed {
                        @let chosen = wanted.event == Some(stored.sequence);
                        tr aria-current=[chosen.then_some("true")] {
                            th scope="row" class="wide" {
                                a id={ "event-" (stored.sequence) } href=(wanted.href(Some(stored.sequence), wanted.before)) {
                                    (texts.event_name(stored.event.kind))
                                }
                            }
                            td { (status(texts, stored)) }
                            td class="wide" { (texts.event(&stored.event, zone)) }
                            td { (instant(texts, zone, stored.time)) }
                            td class="optional" { (by(texts, &stored.event.activated_by)) }
                            td class="optional" { (completed(texts, zone, stored)) }
                            td class="optional" { (scope(texts, &stored.event)) }
                        }
                    }
                }
            }
        }
    }
}

fn instant(texts: &Texts, zone: &Zone, time: SystemTime) -> Markup {
    html! { time datetime=(rfc3339(time)) { (shown::time(texts, zone, unix_seconds(time))) } }
}

fn status(texts: &Texts, stored: &StoredEvent) -> Markup {
    let severity = stored.event.kind.severity();
    let (key, class) = match (&stored.ended, severity) {
        (Some(_), _) => ("event-ended", ""),
        (None, Severity::Info) => ("event-active", "good"),
        (None, Severity::Warning) => ("event-active", "warning"),
        (None, Severity::Error) => ("event-active", "error"),
    };
    html! { span class={ "pill " (class) } { (texts.t(key)) } }
}

fn by(texts: &Texts, name: &str) -> Markup {
    if name == "service" {
        html! { (texts.t("by-service")) }
    } else {
        named(name)
    }
}

/// When it ended, or is expected to.
fn completed(texts: &Texts, zone: &Zone, stored: &StoredEvent) -> Markup {
    match (stored.ended, stored.event.expected_end) {
        (Some(end), _) if !stored.event.topic.is_empty() => instant(texts, zone, end),
        (None, Some(end)) => {
            html! { span class="soft" { (texts.t("expected")) } " " (instant(texts, zone, end)) }
        }
        _ => html! { "–" },
    }
}

fn scope(texts: &Texts, event: &Event) -> Markup {
    html! {
        (texts.t(&format!("scope-{}", event.scope.as_str())))
        @if !event.target.is_empty() { " " span class="soft" { (event.target) } }
    }
}

fn description(visitor: &Visitor, zone: &Zone, stored: &StoredEvent) -> Markup {
    let texts = &visitor.texts;
    let event = &stored.event;
    let by_hand = EventKind::BY_HAND.contains(&event.kind) && stored.ended.is_none();
    html! {
        h2 { (texts.event_name(event.kind)) }
        p { (texts.event(event, zone)) }
        dl class="facts" {
            dt { (texts.t("status")) } dd { (status(texts, stored)) }
            dt { (texts.t("severity")) } dd { (texts.t(&format!("severity-{}", event.kind.severity().as_str()))) }
            dt { (texts.t("activated")) } dd { (instant(texts, zone, stored.time)) }
            dt { (texts.t("activated-by")) } dd { (by(texts, &event.activated_by)) }
            dt { (texts.t("completed")) } dd { (completed(texts, zone, stored)) }
            @if !stored.ended_by.is_empty() { dt { (texts.t("ended-by")) } dd { (by(texts, &stored.ended_by)) } }
            dt { (texts.t("type")) } dd { (scope(texts, event)) }
            dt { (texts.t("event-number")) }
            dd { (texts.format().number(stored.sequence)) " " span class="soft mono" { (event.kind.id()) " " (event.kind.name()) } }
            @if !event.serial.is_empty() { dt { (texts.t("serial")) } dd class="mono" { (event.serial) } }
        }
        @if by_hand && visitor.is_administrator() {
            form method="post" action="/events/end" class="actions" {
                (form::token(visitor))
                input type="hidden" name="sequence" value=(stored.sequence);
                button { (texts.t("end-event")) }
            }
        }
    }
}

const KINDS: [(&str, EventKind); 3] = [
    ("message", EventKind::MessageOfTheDay),
    ("maintenance", EventKind::Maintenance),
    ("no-login", EventKind::NoLogin),
];
const SCOPES: [Scope; 4] = [Scope::System, Scope::Database, Scope::Group, Scope::User];

/// The form with which an administrator tells everyone something.
fn adding(visitor: &Visitor, zone: &Zone) -> Markup {
    let texts = &visitor.texts;
    html! {
        section class="sheet" {
            details {
                summary { (texts.t("add-event")) }
                form method="post" action="/events/add" {
                    (form::token(visitor))
                    div class="filters" {
                        label {
                            span { (texts.t("event")) }
                            select name="kind" { @for (name, kind) in KINDS { option value=(name) { (texts.event_name(kind)) } } }
                        }
                        label {
                            span { (texts.t("type")) }
                            select name="scope" {
                                @for scope in SCOPES { option value=(scope.as_str()) { (texts.t(&format!("scope-{}", scope.as_str()))) } }
                            }
                        }
                        label { span { (texts.t("target")) } input name="target" maxlength="256"; }
                        label {
                            span { (texts.with("expected-end", [("zone", zone.name().into())])) }
                            input type="datetime-local" name="expected_end";
                        }
                    }
                    label { span { (texts.t("description")) } textarea name="description" required maxlength="1000" {} }
                    button { (texts.t("add-event")) }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Added {
    kind: String,
    description: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    expected_end: String,
}

pub(super) async fn add(State(site): Here, change: Change<Added>) -> Shown<Response> {
    let Added { kind, description, scope, target, expected_end } = change.fields;
    let kind = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind);
    let notice = Notice {
        kind: kind.ok_or(Refusal::FormInvalid("refused-form-invalid"))?,
        // Browsers send line breaks as two characters.
        description: description.replace("\r\n", "\n"),
        expected_end: expected(&site, &expected_end)?,
        scope: SCOPES.into_iter().find(|known| known.as_str() == scope).unwrap_or_default(),
        target,
    };
    let added = site.system_events.add(&notice, &change.person.name).await?;
    Ok(then(&Wanted::default().href(Some(added.sequence), None)))
}

/// The instant that a browser's field names in the owner's time zone.
fn expected(site: &Site, text: &str) -> Shown<Option<SystemTime>> {
    if text.is_empty() {
        return Ok(None);
    }
    let zone = TimeZone::get(site.zone().name()).unwrap_or(TimeZone::UTC);
    let civil: Option<DateTime> = text.parse().ok();
    let instant =
        civil.and_then(|civil| zone.to_timestamp(civil).ok()).and_then(|at| SystemTime::try_from(at).ok());
    instant.map(Some).ok_or(Refusal::FormInvalid("refused-form-invalid"))
}

#[derive(Debug, Deserialize)]
pub(super) struct Ended {
    sequence: u64,
}

pub(super) async fn end(State(site): Here, change: Change<Ended>) -> Shown<Response> {
    let ended = site.system_events.end(change.fields.sequence, &change.person.name).await?;
    Ok(then(&Wanted::default().href(Some(ended.sequence), None)))
}
