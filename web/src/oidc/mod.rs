//! Signing in at an identity provider: OpenID Connect Core 1.0, authorization code flow, with PKCE (RFC 7636), state and
//! nonce.
//!
//! Who waits for the provider is kept in memory and bound to the browser by a cookie: an answer counts once, in the browser
//! in which the sign-in began. Of what goes wrong the page names the kind; the details are in the log.

mod claims;
mod client;
mod config;
mod provider;
mod waiting;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use cookie::{Cookie, SameSite};
use http::HeaderMap;
use licensor::{error::Error, key::random_bytes};
use serde::Deserialize;

pub use config::OidcConfig;
pub use provider::Provider;

use crate::{
    guard::{set_cookie, signed_in},
    refusal::Refusal,
    screen::Screen,
    visitor::{Anybody, cookie},
};

/// The pages of a screen with a provider; none without.
pub(crate) fn routes(screen: &Arc<Screen>) -> Router {
    if screen.oidc.is_none() {
        return Router::new();
    }
    Router::new()
        .route("/oidc/start", get(start))
        .route("/oidc/callback", get(callback))
        .with_state(Arc::clone(screen))
}

fn provider(screen: &Screen) -> Result<&Provider, Refusal> {
    screen.oidc.as_ref().ok_or(Refusal::NotFound)
}

/// Where the provider sends people back to.
fn redirect(screen: &Screen) -> String {
    format!("{}/oidc/callback", screen.origin)
}

/// The cookie that says in which browser a sign-in began. It comes along when the provider sends somebody back.
fn browser_cookie(screen: &Screen, secret: String, lifetime: cookie::time::Duration) -> Cookie<'static> {
    let cookie = Cookie::build((browser_name(screen), secret)).path("/").secure(true).http_only(true);
    cookie.same_site(SameSite::Lax).max_age(lifetime).build()
}

fn browser_name(screen: &Screen) -> String {
    format!("{}-oidc", screen.cookie)
}

async fn start(State(screen): State<Arc<Screen>>) -> Result<Response, Refusal> {
    let provider = provider(&screen)?;
    let (url, state, begun) = provider.begin(&redirect(&screen)).await?;
    let secret: [u8; 32] = random_bytes().map_err(|error| Error::internal("sign-in", error))?;
    let secret = BASE64_URL_SAFE_NO_PAD.encode(secret);
    provider.waiting.add(&state, &secret, begun);
    let mut response = Redirect::to(&url).into_response();
    let lifetime = cookie::time::Duration::try_from(waiting::LIFETIME).unwrap_or_default();
    set_cookie(&mut response, &browser_cookie(&screen, secret, lifetime));
    Ok(response)
}

/// What the provider answers (RFC 6749 §4.1.2, RFC 9207).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    code: String,
    state: String,
    iss: String,
    error: String,
    error_description: String,
}

async fn callback(
    State(screen): State<Arc<Screen>>,
    headers: HeaderMap,
    Anybody(visitor): Anybody,
    Query(answer): Query<Answer>,
) -> Result<Response, Refusal> {
    let provider = provider(&screen)?;
    let browser = cookie(&headers, &browser_name(&screen)).unwrap_or_default();
    let begun = provider.waiting.take(&answer.state, &browser)?;
    if !answer.iss.is_empty() && answer.iss != provider.issuer() {
        tracing::warn!(issuer = answer.iss, "another identity provider answered");
        return Err(Refusal::Provider("refused-provider-answer"));
    }
    if !answer.error.is_empty() {
        tracing::warn!(error = answer.error, description = answer.error_description, "nobody was signed in");
        let denied = answer.error == "access_denied";
        let key = if denied { "refused-provider-denied" } else { "refused-provider-error" };
        return Err(Refusal::Provider(key));
    }
    let person = provider.finish(&redirect(&screen), answer.code, begun).await?;
    let secret = screen.sessions.sign_in(&person).await?;
    let mut response = signed_in(&visitor, secret);
    let gone = browser_cookie(&screen, String::new(), cookie::time::Duration::ZERO);
    set_cookie(&mut response, &gone);
    Ok(response)
}
