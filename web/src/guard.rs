//! What stands before every page: the headers that browsers protect its users by, who the visitor is, and the pages that
//! say why something is refused. And the pages that every screen has.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Form, Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use crate::{
    assets,
    form::{self, check_site},
    language::Language,
    layout, oidc,
    refusal::Refusal,
    screen::Screen,
    visitor::{Anybody, LANGUAGE, THEME, Theme, Viewer, Visitor},
};

/// No script and no style but ours, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Octets of a form that everybody may send.
const SMALL: usize = 16 << 10;
/// Time until an answer begins: whoever never ends a request gives the place back.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pages of a screen behind the guard, with those that every screen has.
pub fn pages(screen: Arc<Screen>, own: Router) -> Router {
    let common = Router::new()
        .route("/sign-in", get(sign_in_page))
        .route("/sign-in/{link}", get(follow_link))
        .route("/sign-out", post(sign_out))
        .route("/preferences", post(prefer))
        .layer(DefaultBodyLimit::max(SMALL))
        .with_state(Arc::clone(&screen));
    Router::new()
        .merge(own)
        .merge(common)
        .merge(oidc::routes(&screen))
        .fallback(async || Refusal::NotFound)
        .method_not_allowed_fallback(async || Refusal::NotFound)
        .layer(middleware::from_fn_with_state(Arc::clone(&screen), guard))
        .merge(assets::routes())
        .layer(middleware::from_fn_with_state(screen, protect))
}

/// Adds the headers, and answers nobody who asked for another host: a page of a stranger could do so through its own
/// name for this address.
async fn protect(State(screen): State<Arc<Screen>>, mut request: Request, next: Next) -> Response {
    // HTTP/2 has the host in the address alone (RFC 9113 §8.3.1).
    if !request.headers().contains_key(header::HOST)
        && let Some(host) =
            request.uri().authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let mut response = if screen.tls || is_own_host(&screen, request.headers()) {
        let late = || StatusCode::REQUEST_TIMEOUT.into_response();
        tokio::time::timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| late())
    } else {
        let message = format!(
            "this service does not answer under this name: open {}, or set `web.public_url`\n",
            screen.origin
        );
        (StatusCode::MISDIRECTED_REQUEST, message).into_response()
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    );
    if screen.tls || screen.origin.starts_with("https:") {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

fn is_own_host(screen: &Screen, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let own = screen.origin.split_once("://").map(|(_, own)| own);
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    own == Some(host) || ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// Finds out who the visitor is, and makes a page of what was refused.
async fn guard(State(screen): State<Arc<Screen>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let get = parts.method == Method::GET;
    let (visitor, response) = match Visitor::of(Arc::clone(&screen), &parts).await {
        Ok(visitor) => {
            let visitor = Arc::new(visitor);
            parts.extensions.insert(Arc::clone(&visitor));
            (Some(visitor), next.run(Request::from_parts(parts, body)).await)
        }
        Err(refusal) => (None, refusal.into_response()),
    };
    let Some(refusal) = response.extensions().get::<Refusal>().cloned() else { return response };
    match (visitor, refusal) {
        (_, Refusal::SignInFirst) if get => Redirect::to("/sign-in").into_response(),
        (Some(visitor), refusal) => (refusal.status(), layout::refused(&visitor, &refusal)).into_response(),
        // The store cannot be read: there is nobody to speak to in any language.
        (None, refusal) => {
            (refusal.status(), "this service cannot show anything at the moment: see its log\n")
                .into_response()
        }
    }
}

async fn sign_in_page(Anybody(visitor): Anybody) -> Response {
    if visitor.session.is_some() {
        return Redirect::to("/").into_response();
    }
    layout::sign_in(&visitor).into_response()
}

/// Signs in whoever has a link. Who only looks ahead (RFC 9110 §9.3.2, and browsers that fetch before anybody asks) does not
/// use it up.
async fn follow_link(
    State(screen): State<Arc<Screen>>,
    method: Method,
    headers: HeaderMap,
    Anybody(visitor): Anybody,
    Path(link): Path<String>,
) -> Result<Response, Refusal> {
    let ahead = ["sec-purpose", "purpose"].iter().any(|name| headers.get(*name).is_some());
    if method == Method::HEAD || ahead {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let secret = screen.sessions.follow(&link).await?;
    let began_here = headers.get("sec-fetch-site").is_none_or(|site| site == "none" || site == "same-origin");
    Ok(if began_here {
        let mut response = Redirect::to("/").into_response();
        set_cookie(&mut response, &session_cookie(&screen, secret));
        response
    } else {
        signed_in(&visitor, secret)
    })
}

fn session_cookie(screen: &Screen, secret: String) -> Cookie<'static> {
    let cookie = Cookie::build((screen.cookie.clone(), secret)).path("/").secure(true);
    cookie.http_only(true).same_site(SameSite::Strict).build()
}

/// The answer to somebody who has just signed in on a way that began elsewhere: browsers do not send a cookie on it that is
/// for this site alone, so they go on from a page of ours.
pub fn signed_in(visitor: &Visitor, secret: String) -> Response {
    let mut response = layout::signed_in(visitor).into_response();
    set_cookie(&mut response, &session_cookie(&visitor.screen, secret));
    response.headers_mut().insert(header::REFRESH, HeaderValue::from_static("0; url=/"));
    response
}

#[derive(Debug, Deserialize)]
struct SignOut {
    #[serde(default)]
    form_token: String,
}

async fn sign_out(
    State(screen): State<Arc<Screen>>,
    Viewer(visitor): Viewer,
    headers: HeaderMap,
    Form(fields): Form<SignOut>,
) -> Result<Response, Refusal> {
    check_site(&screen, &headers)?;
    let session = visitor.session.as_ref().ok_or(Refusal::SignInFirst)?;
    form::check(session, &fields.form_token)?;
    // Whatever the disk says, this browser forgets it.
    if let Err(error) = screen.sessions.sign_out(session).await {
        tracing::error!(%error, "the end of a session could not be kept: its cookie alone is gone");
    }
    let mut response = Redirect::to("/sign-in").into_response();
    let mut gone = session_cookie(&screen, String::new());
    gone.set_max_age(cookie::time::Duration::ZERO);
    set_cookie(&mut response, &gone);
    response.headers_mut().insert(
        HeaderName::from_static("clear-site-data"),
        HeaderValue::from_static("\"cache\", \"storage\""),
    );
    Ok(response)
}

#[derive(Debug, Deserialize)]
struct Preferences {
    language: Option<String>,
    theme: Option<String>,
    #[serde(default)]
    back: String,
}

/// Language and colours: of this browser, not of a session.
async fn prefer(
    State(screen): State<Arc<Screen>>,
    headers: HeaderMap,
    Form(chosen): Form<Preferences>,
) -> Result<Response<Body>, Refusal> {
    check_site(&screen, &headers)?;
    // Browsers take `\` for `/`, and leave tabs and ends of lines out.
    let odd = |letter: char| letter == '\\' || letter.is_control();
    let here = chosen.back.starts_with('/') && !chosen.back.starts_with("//") && !chosen.back.contains(odd);
    let mut response = Redirect::to(if here { &chosen.back } else { "/" }).into_response();
    let language = chosen.language.as_deref().and_then(Language::from_tag).map(Language::tag);
    let theme = chosen.theme.as_deref().and_then(Theme::from_name).map(Theme::as_str);
    for (name, value) in [(LANGUAGE, language), (THEME, theme)] {
        if let Some(value) = value {
            let cookie = Cookie::build((name, value)).path("/").same_site(SameSite::Lax).http_only(true);
            set_cookie(&mut response, &cookie.max_age(cookie::time::Duration::days(365)).build());
        }
    }
    Ok(response)
}

pub(crate) fn set_cookie(response: &mut Response, cookie: &Cookie<'_>) {
    if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
