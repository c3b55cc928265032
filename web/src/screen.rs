//! What a screen is made of, whichever service it belongs to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use licensor::{
    admin::Administrators,
    clock::SharedClock,
    error::{Error, Reason, Result},
    event::EventLog,
    serve::Shutdown,
    store::SharedStore,
};
use tokio::sync::Semaphore;

use crate::{
    config::WebConfig,
    language::{Files, Language, Languages},
    oidc::Provider,
    session::{SessionParts, Sessions},
};

/// Pages that are kept up to date at once.
const LIVE: usize = 256;

/// A screen.
#[derive(Debug)]
pub struct Screen {
    /// What is said on it.
    pub languages: Languages,
    /// Who is signed in.
    pub sessions: Sessions,
    /// The time.
    pub clock: SharedClock,
    /// Where browsers find it: `https://host:port`.
    pub origin: String,
    /// Whether its port speaks TLS.
    pub tls: bool,
    /// What the service is called on it: the key of a text.
    pub product: &'static str,
    /// What a local administrator runs to sign in.
    pub command: &'static str,
    /// Word that the service stops: pages that are kept up to date end then.
    pub shutdown: Shutdown,
    pub(crate) oidc: Option<Provider>,
    pub(crate) live: Arc<Semaphore>,
    /// How many pages of each session are kept up to date.
    pub(crate) live_of: Mutex<HashMap<Vec<u8>, usize>>,
    /// Name of the cookie of a session: screens on other ports of this host have other ones.
    pub(crate) cookie: String,
}

/// What a [`Screen`] is put together from.
#[derive(Debug)]
pub struct ScreenParts<'a> {
    /// Configuration.
    pub config: &'a WebConfig,
    /// Its port.
    pub address: SocketAddr,
    /// What is said on it beside what is said on every one.
    pub texts: fn(Language) -> Files,
    /// Where links and sessions are kept.
    pub store: SharedStore,
    /// Where who signs in is told.
    pub events: Arc<EventLog>,
    /// The time.
    pub clock: SharedClock,
    /// Who is a local administrator.
    pub administrators: Administrators,
    /// What the service is called on it: the key of a text.
    pub product: &'static str,
    /// What a local administrator runs to sign in.
    pub command: &'static str,
    /// Word that the service stops.
    pub shutdown: Shutdown,
}

impl Screen {
    /// A screen.
    ///
    /// # Errors
    /// What is wrong with a file of texts, or with what the configuration says of an identity provider.
    pub fn open(parts: ScreenParts<'_>) -> anyhow::Result<Self> {
        let ScreenParts { config, address, store, events, clock, administrators, .. } = parts;
        let sessions = Sessions::new(SessionParts {
            store,
            events,
            clock: clock.clone(),
            administrators,
            lifetime: config.session.0,
            link_lifetime: config.link.0,
            rules: config.rules(),
        });
        let oidc = Provider::load(config, clock.clone())?;
        let tls = config.speaks_tls(address);
        Ok(Self {
            languages: Languages::load(parts.texts)?,
            sessions,
            clock,
            origin: config.origin(address, tls),
            tls,
            product: parts.product,
            command: parts.command,
            oidc,
            shutdown: parts.shutdown,
            live: Arc::new(Semaphore::new(LIVE)),
            live_of: Mutex::default(),
            cookie: format!("__Host-licensor-{}", address.port()),
        })
    }

    /// Whether somebody can sign in at an identity provider.
    #[must_use]
    pub fn has_provider(&self) -> bool {
        self.oidc.is_some()
    }

    /// The address that a secret of [`Sessions::link`] makes.
    #[must_use]
    pub fn link(&self, secret: &str) -> String {
        format!("{}/sign-in/{secret}", self.origin)
    }
}

/// A link for the local administrator `uid`, and when it expires (seconds since 1970).
///
/// # Errors
/// `SCREEN_DISABLED` if there is no screen, and what the store says.
pub async fn sign_in_link(screen: Option<&Screen>, uid: u32) -> Result<(String, i64)> {
    let screen = screen.ok_or_else(|| {
        let message =
            "this service has no screen: set `web.listen`, without `web.enabled = false`, and restart it";
        Error::new(Reason::ScreenDisabled, message)
    })?;
    let (secret, expires_at) = screen.sessions.link(uid).await?;
    Ok((screen.link(&secret), expires_at))
}
