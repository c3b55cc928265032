//! The Licences screen: who owns what, what is in use, how the server is, and what there is to do.
//!
//! Pages decode what a browser sends, call the domain as `rpc` does, and show the answer. No rules live here.

mod banners;
mod events;
mod licences;
mod live;
mod shown;
mod statements;
mod status;
#[cfg(test)]
mod tests;
mod update;
mod usage;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use licensor::{
    clock::SharedClock,
    config::Expiry,
    error::Error,
    event::{Event, EventKind},
};
use licensor_web::{
    guard,
    language::{Files, Language, Zone},
    layout::{Frame, Tab},
    refusal::Refusal,
    screen::Screen,
    session::Person,
    visitor::{Viewer, Visitor},
};

use crate::{
    config::DatabaseKind, credential::Credential, ledger::Ledger, licensing::Licensing, metering::Metering,
    renewal::Renewal, system_event::SystemEvents, updates::Updates,
};

/// What the pages show, and change.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) screen: Arc<Screen>,
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) licensing: Arc<Licensing>,
    pub(crate) metering: Arc<Metering>,
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) updates: Arc<Updates>,
    pub(crate) system_events: SystemEvents,
    pub(crate) expiry: Expiry,
    pub(crate) database: DatabaseKind,
    /// Whether the server renews by itself, and at which share of the lifetime if not in the root's window.
    pub(crate) automatic: bool,
    pub(crate) renew_at: Option<f64>,
    /// Whether newer entitlements come into force by themselves.
    pub(crate) activates: bool,
}

/// A page, or what is shown instead.
type Shown<T = Response> = Result<T, Refusal>;
/// What pages work with.
type Here = State<Arc<Site>>;

/// What is said on this screen beside what is said on every one.
pub(crate) fn texts(language: Language) -> Files {
    match language {
        Language::En => &[include_str!("../../locales/en/licences.ftl")],
        Language::Nl => &[include_str!("../../locales/nl/licences.ftl")],
        Language::Sv => &[include_str!("../../locales/sv/licences.ftl")],
    }
}

/// The pages, behind the guard.
pub(crate) fn routes(site: Arc<Site>) -> Router {
    let screen = Arc::clone(&site.screen);
    let own = Router::new()
        .route("/", get(start))
        .route("/licences", get(licences::page))
        .route("/status", get(status::page))
        .route("/status/renew", post(status::renew))
        .route("/usage", get(usage::page))
        .route("/statements", get(statements::page))
        .route("/events", get(events::page))
        .route("/events/add", post(events::add))
        .route("/events/end", post(events::end))
        .route("/update", get(update::page))
        .route("/update/check", post(update::check))
        .route("/update/import", post(update::import))
        .route("/update/activate", post(update::activate))
        .route("/update/unassign", post(update::unassign))
        .route("/live", get(live::page))
        .with_state(site);
    guard::pages(screen, own)
}

/// The first vendor's tab; the status where there is none yet.
async fn start(State(site): Here, _: Viewer) -> Redirect {
    match site.licensing.entitlements().borrow().first() {
        Some(installed) => Redirect::to(&licences::href(installed.vendor())),
        None => Redirect::to("/status"),
    }
}

/// Which tab a page is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In<'a> {
    Vendor(&'a str),
    Status,
    Update,
}

impl Site {
    fn credential(&self) -> Option<Arc<Credential>> {
        self.renewal.subscribe().borrow().clone()
    }

    /// The time zone in which times are shown: that of the owner.
    fn zone(&self) -> Zone {
        let entitlements = self.licensing.entitlements().borrow().clone();
        let zones = entitlements.iter().map(|installed| installed.claims.entitlement.time_zone.as_str());
        zones.into_iter().find(|zone| !zone.is_empty()).map_or_else(Zone::utc, Zone::named)
    }

    /// The frame of a page.
    async fn frame(&self, visitor: &Visitor, tab: In<'_>, title: String) -> Result<Frame, Error> {
        let texts = &visitor.texts;
        let entitlements = self.licensing.entitlements().borrow().clone();
        let vendors = entitlements.iter().map(|installed| Tab {
            label: installed.vendor().to_owned(),
            href: licences::href(installed.vendor()),
            current: tab == In::Vendor(installed.vendor()),
            waiting: 0,
        });
        let own = |key: &str, href: &str, current, waiting| Tab {
            label: texts.t(key),
            href: href.to_owned(),
            current,
            waiting,
        };
        let waiting = self.updates.waiting().await?;
        let tabs = vendors
            .chain([
                own("tab-status", "/status", tab == In::Status, 0),
                own("tab-update", "/update", tab == In::Update, waiting),
            ])
            .collect();
        let place = self.credential().map(|credential| credential.node().to_owned()).unwrap_or_default();
        Ok(Frame { title, place, tabs, banners: banners::banners(self, visitor).await?, live: true })
    }
}

/// Keeps who asks for something that has no event of its own, or none if it fails: before it is done.
async fn note(site: &Site, person: &Person, call: &str, about: &str) -> Shown<()> {
    let event = Event::new(EventKind::AdministrativeCallMade)
        .by(&person.name)
        .argument("call", call)
        .argument("about", about);
    Ok(site.ledger.events().raise(event).await?)
}

/// Sends the browser on after a change, so that loading the page anew does not repeat it.
fn then(href: &str) -> Response {
    Redirect::to(href).into_response()
}
