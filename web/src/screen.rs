//! What a screen is made of, whichever service it belongs to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use licensor::{
    clock::SharedClock,
    error::{Error, Reason, Result},
    serve::Shutdown,
};
use tokio::sync::Semaphore;

use crate::{config::WebConfig, language::Languages, oidc::Provider, session::Sessions};

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
    /// Whether somebody can sign in at an identity provider.
    pub provider: bool,
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
    /// What is said on it.
    pub languages: Languages,
    /// Who is signed in.
    pub sessions: Sessions,
    /// The time.
    pub clock: SharedClock,
    /// What the service is called on it: the key of a text.
    pub product: &'static str,
    /// What a local administrator runs to sign in.
    pub command: &'static str,
    /// Word that the service stops.
    pub shutdown: Shutdown,
}

impl Screen {
    /// A screen.
    #[must_use]
    pub fn new(parts: ScreenParts<'_>) -> Self {
        let ScreenParts { config, address, languages, sessions, clock, product, command, shutdown } = parts;
        let tls = config.speaks_tls(address);
        Self {
            languages,
            sessions,
            clock,
            origin: config.origin(address, tls),
            tls,
            product,
            command,
            provider: false,
            oidc: None,
            shutdown,
            live: Arc::new(Semaphore::new(LIVE)),
            live_of: Mutex::default(),
            cookie: format!("__Host-licensor-{}", address.port()),
        }
    }

    /// The screen with an identity provider at which somebody can sign in, too; see [`Provider::load`].
    #[must_use]
    pub fn with_provider(self, provider: Option<Provider>) -> Self {
        Self { provider: provider.is_some(), oidc: provider, ..self }
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
