//! The fleet page: which licensing servers run out next, whether they renew in time, and what happened.
//!
//! It reads and changes nothing: whoever wants to revoke or to decommission does so on the command line. No rules live here:
//! `fleet` and the authority have them.

mod banners;
mod details;
mod events;
mod fleet;
mod live;
mod nodes;
mod shown;
mod summary;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};
use licensor::{clock::SharedClock, config::Expiry, telemetry::Metrics};
use licensor_web::{
    guard,
    language::{Files, Language, Zone},
    refusal::Refusal,
    screen::Screen,
};

use crate::{authority::Authority, fleet::FleetWatch};

/// What the page shows.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) screen: Arc<Screen>,
    pub(crate) clock: SharedClock,
    pub(crate) authority: Arc<Authority>,
    pub(crate) fleet: Arc<FleetWatch>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) expiry: Expiry,
}

/// A page, or what is shown instead.
type Shown<T = Response> = Result<T, Refusal>;
/// What pages work with.
type Here = axum::extract::State<Arc<Site>>;

/// What is said on this screen beside what is said on every one.
pub(crate) fn texts(language: Language) -> Files {
    match language {
        Language::En => &[include_str!("../../locales/en/fleet.ftl")],
        Language::Nl => &[include_str!("../../locales/nl/fleet.ftl")],
        Language::Sv => &[include_str!("../../locales/sv/fleet.ftl")],
    }
}

/// The pages, behind the guard.
pub(crate) fn routes(site: Arc<Site>) -> Router {
    let screen = Arc::clone(&site.screen);
    let own = Router::new().route("/", get(fleet::page)).route("/live", get(live::page)).with_state(site);
    guard::pages(screen, own)
}

impl Site {
    /// A root serves nodes wherever they are.
    fn zone(&self) -> Zone {
        Zone::utc()
    }
}
