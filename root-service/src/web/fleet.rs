//! The page: what was asked for, and the parts that it is put together from.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use licensor_web::{layout::Frame, refusal::Refusal, visitor::Viewer};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Here, Shown, banners, details, events, nodes, shown, summary};
use crate::fleet::{Bucket, Renewal, Selection, State as NodeState, View};

/// What a page shows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Which nodes: the name of a state, of a bucket, or of how renewal stands; empty: all.
    pub(super) show: String,
    /// Only nodes with this in their name, in that of their owner, or at the start of a serial number.
    pub(super) search: String,
    /// Number of the page of the table, from 0.
    pub(super) page: usize,
    /// The node whose details are shown.
    pub(super) node: String,
    /// Where the page of its certificates begins.
    pub(super) certificates: String,
    /// Only events of the node before this number.
    pub(super) earlier: Option<u64>,
    /// The event whose details are shown.
    pub(super) event: Option<u64>,
    /// The least severity of the events.
    pub(super) severity: String,
    /// Only events before this number.
    pub(super) before: Option<u64>,
}

impl Wanted {
    /// The address of the page.
    pub(super) fn href(&self) -> String {
        let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let page = if self.page == 0 { String::new() } else { self.page.to_string() };
        let pairs = [
            ("show", self.show.as_str()),
            ("search", &self.search),
            ("page", &page),
            ("node", &self.node),
            ("certificates", &self.certificates),
            ("earlier", &text(self.earlier)),
            ("event", &text(self.event)),
            ("severity", &self.severity),
            ("before", &text(self.before)),
        ];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        format!("/?{}", licensor_web::url::query(pairs))
    }

    /// The same page without details.
    pub(super) fn plain(&self) -> Self {
        Self { node: String::new(), certificates: String::new(), earlier: None, event: None, ..self.clone() }
    }

    /// The same page with other nodes in the table.
    pub(super) fn showing(&self, show: &str) -> Self {
        Self { show: show.to_owned(), page: 0, ..self.plain() }
    }

    /// The same page with the details of a node.
    pub(super) fn node(&self, name: &str) -> Self {
        Self { node: name.to_owned(), ..self.plain() }
    }

    /// The same page with the details of an event.
    pub(super) fn event(&self, sequence: u64) -> Self {
        Self { event: Some(sequence), ..self.plain() }
    }

    /// Which nodes are in the table.
    ///
    /// # Errors
    /// `NotFound` if there is no such filter.
    pub(super) fn selection(&self) -> Result<Selection, Refusal> {
        let mut selection = Selection {
            search: self.search.trim().to_owned(),
            first: self.page.saturating_mul(nodes::PAGE),
            limit: nodes::PAGE,
            ..Selection::default()
        };
        let state = NodeState::ALL.into_iter().find(|(_, name)| *name == self.show);
        let bucket = Bucket::ALL.into_iter().find(|(_, name)| *name == self.show);
        match (self.show.as_str(), state, bucket) {
            ("", _, _) => {}
            (_, Some((state, _)), _) => selection.state = Some(state),
            (_, _, Some((bucket, _))) => selection.bucket = Some(bucket),
            ("due", _, _) => selection.renewal = Some(Renewal::Due),
            ("overdue", _, _) => selection.renewal = Some(Renewal::Overdue),
            _ => return Err(Refusal::NotFound),
        }
        Ok(selection)
    }
}

pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Shown<Response> {
    let Query(wanted) = wanted.map_err(|_| Refusal::NotFound)?;
    let texts = &visitor.texts;
    let selection = wanted.selection()?;
    let view = site.fleet.view().await;
    let counts = site.fleet.counts(&view).await?;
    let table = match &view.index {
        Some(index) => nodes::section(&site, texts, &wanted, index, selection).await?,
        None => reading(texts, &view),
    };
    let details = match (wanted.node.as_str(), wanted.event) {
        ("", None) => None,
        ("", Some(sequence)) => Some(details::event(&site, texts, &wanted, sequence).await?),
        (name, _) => Some(details::node(&site, texts, &wanted, name).await?),
    };
    let content = html! {
        div id="failed" data-live {
            @if view.failed && view.index.is_some() { div class="banner error" role="alert" { p { (texts.t("nodes-failed")) } } }
        }
        section id="summary" class="sheet summary" data-live { (summary::summary(&site, texts, &wanted, &view, &counts)) }
        div class="overview" {
            section id="histogram" class="sheet" data-live { (summary::histogram(texts, &wanted, &counts)) }
            section id="renewals" class="sheet" data-live { (summary::renewals(&site, texts, &wanted, &counts)) }
            section id="events" class="sheet" data-live { (events::section(&site, texts, &wanted).await?) }
        }
        div class={ "sides" @if details.is_some() { " detailed" } } {
            section id="nodes" class="sheet" data-live { (table) }
            @if let Some(details) = details {
                aside id="details" class="sheet" data-live aria-label=(texts.t("details")) { (details) }
            }
        }
    };
    let frame = Frame {
        title: site.authority.trust_domain().to_owned(),
        place: site.authority.trust_domain().to_owned(),
        tabs: Vec::new(),
        banners: banners::banners(&site, texts),
        live: true,
    };
    Ok(frame.page(&visitor, content).into_response())
}

/// What stands in the place of the table until all nodes were read.
fn reading(texts: &licensor_web::language::Texts, view: &View) -> Markup {
    html! {
        @if view.failed {
            p role="alert" { (texts.t("nodes-failed")) }
        } @else {
            p class="soft" { (texts.with("nodes-read", [("count", shown::number(texts, view.read as u64).into())])) }
        }
    }
}
