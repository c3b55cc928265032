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

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, response::Response, routing::get};
use licensor::{
    admin::Administrators, clock::SharedClock, config::Expiry, serve::Shutdown, store::SharedStore,
    telemetry::Metrics,
};
use licensor_web::{
    guard,
    language::{Files, Language, Languages, Zone},
    oidc::Provider,
    refusal::Refusal,
    screen::{Screen, ScreenParts},
    session::{SessionParts, Sessions},
};

use crate::{authority::Authority, config::Config, fleet::FleetWatch};

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
fn texts(language: Language) -> Files {
    match language {
        Language::En => &[include_str!("../../locales/en/fleet.ftl")],
        Language::Nl => &[include_str!("../../locales/nl/fleet.ftl")],
        Language::Sv => &[include_str!("../../locales/sv/fleet.ftl")],
    }
}

/// The screen at `address`.
///
/// # Errors
/// What is wrong with a file of texts, or with what the configuration says of an identity provider.
pub(crate) fn screen(
    config: &Config,
    address: SocketAddr,
    store: SharedStore,
    authority: &Authority,
    shutdown: &Shutdown,
) -> anyhow::Result<Screen> {
    let clock = authority.clock();
    let sessions = Sessions::new(SessionParts {
        store,
        events: authority.ledger().events().clone(),
        clock: clock.clone(),
        administrators: Administrators::new(&config.admin.uids),
        lifetime: config.web.session.0,
        link_lifetime: config.web.link.0,
        rules: config.web.rules(),
    });
    let screen = Screen::new(ScreenParts {
        config: &config.web,
        address,
        languages: Languages::load(texts)?,
        sessions,
        clock: clock.clone(),
        product: "root-product",
        command: "root-service web login",
        shutdown: shutdown.clone(),
    });
    Ok(screen.with_provider(Provider::load(&config.web, clock.clone())?))
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
