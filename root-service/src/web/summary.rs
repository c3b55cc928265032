//! How many nodes there are and what they are, when they run out, and whether they renew in time.

use licensor::{clock::unix_seconds, event::EventKind, expiry::Warnings};
use licensor_web::{
    chart::{self, Bin},
    language::Texts,
};
use maud::{Markup, html};

use super::{Site, fleet::Wanted, shown};
use crate::fleet::{Bucket, Counts, State, View};

/// How many nodes are what, each a link to them, and the authority's own certificate.
pub(super) fn summary(site: &Site, texts: &Texts, wanted: &Wanted, view: &View, counts: &Counts) -> Markup {
    let tone = |state: State| match state {
        State::MonthLeft => "near",
        State::WeekLeft | State::Expired => "full",
        State::Current | State::Revoked | State::Decommissioned => "calm",
    };
    // Without the index nothing was counted.
    let figure = |count: u64| {
        if view.index.is_some() { shown::number(texts, count) } else { "…".to_owned() }
    };
    let tally = |show: &str, key: &str, count: u64| {
        html! {
            a href=(wanted.showing(show).href()) aria-current=[(wanted.show == show).then_some("true")] {
                strong { (figure(count)) } span { (texts.t(key)) }
            }
        }
    };
    html! {
        h1 class="unseen" { (texts.t("fleet")) }
        ul class="tallies" {
            li { (tally("", "all-nodes", counts.nodes)) }
            @for (state, name) in State::ALL {
                @let count = counts.states[state as usize];
                li class=[(count > 0).then_some(tone(state))] { (tally(name, &format!("state-{name}"), count)) }
            }
        }
        (authority(site, texts))
    }
}

fn authority(site: &Site, texts: &Texts) -> Markup {
    let Ok(active) = site.authority.active() else { return html! { p { (texts.t("no-authority")) } } };
    let now = site.clock.now();
    let end = unix_seconds(active.validity.not_after);
    let tone = match Warnings::of(&active.validity, &site.expiry).due(now) {
        None => "good",
        Some(EventKind::LicensorCertExpiresInOneMonth) => "warning",
        Some(_) => "error",
    };
    html! {
        p {
            span class="soft" { (texts.t("own-certificate")) } " " strong { (active.facts.common_name) } br;
            (texts.t("valid-until")) " " (shown::date(texts, &site.zone(), end)) " "
            span class={ "pill " (tone) } { (shown::left(texts, end - unix_seconds(now))) }
        }
    }
}

/// Nodes in service by time to expiry.
pub(super) fn histogram(texts: &Texts, wanted: &Wanted, counts: &Counts) -> Markup {
    let bins = Bucket::ALL.map(|(bucket, name)| {
        let value = counts.buckets[bucket as usize];
        let label = texts.t(&format!("bucket-{name}"));
        let figure = shown::number(texts, value);
        Bin {
            title: texts.with(
                "bucket-title",
                [
                    ("label", texts.t(&format!("bucket-{name}-title")).into()),
                    ("count", figure.clone().into()),
                ],
            ),
            label,
            figure,
            value,
            tone: match bucket {
                Bucket::Expired | Bucket::Week => "full",
                Bucket::Month => "near",
                _ => "calm",
            },
            href: wanted.showing(name).href(),
            current: wanted.show == name,
        }
    });
    html! {
        h2 { (texts.t("by-expiry")) }
        (chart::histogram(&bins, &texts.t("by-expiry")))
    }
}

/// Whether nodes renew in time.
pub(super) fn renewals(site: &Site, texts: &Texts, wanted: &Wanted, counts: &Counts) -> Markup {
    let number = |count| shown::number(texts, count);
    let link = |show: &str, count: u64| html! { a href=(wanted.showing(show).href()) { (number(count)) } };
    html! {
        h2 { (texts.t("renewals")) }
        p {
            @if counts.overdue > 0 {
                span class="pill warning" { (texts.with("some-overdue", [("count", counts.overdue.into()), ("shown", number(counts.overdue).into())])) }
            } @else {
                span class="pill good" { (texts.t("none-overdue")) }
            }
        }
        dl class="figures rest" {
            dt { (texts.t("overdue")) } dd { (link("overdue", counts.overdue)) }
            dt { (texts.t("due")) } dd { (link("due", counts.due)) }
            dt { (texts.t("renewed-day")) } dd { (number(counts.renewed_in_a_day)) }
            dt { (texts.t("renewed-week")) } dd { (number(counts.renewed_in_a_week)) }
            dt { (texts.t("refused-renewals")) } dd { (number(site.metrics.renewals.failures())) }
        }
    }
}
