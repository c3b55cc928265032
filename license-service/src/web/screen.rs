//! The screen that the pages are on.

use std::{net::SocketAddr, sync::Arc};

use licensor::{
    admin::Administrators, clock::SharedClock, event::EventLog, serve::Shutdown, store::SharedStore,
};
use licensor_web::{
    language::Languages,
    oidc::Provider,
    screen::{Screen, ScreenParts},
    session::{SessionParts, Sessions},
};

use super::texts;
use crate::config::Config;

/// The screen at `address`.
///
/// # Errors
/// What is wrong with a file of texts, or with what the configuration says of an identity provider.
pub(crate) fn screen(
    config: &Config,
    address: SocketAddr,
    store: SharedStore,
    events: Arc<EventLog>,
    clock: &SharedClock,
    shutdown: &Shutdown,
) -> anyhow::Result<Screen> {
    let sessions = Sessions::new(SessionParts {
        store,
        events,
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
        product: "node-product",
        command: "license-service web login",
        shutdown: shutdown.clone(),
    });
    Ok(screen.with_provider(Provider::load(&config.web, clock.clone())?))
}
