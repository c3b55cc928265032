//! Who looks at a page, in which language and which colours.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use cookie::Cookie;
use http::{HeaderMap, Method, header, request::Parts};
use serde::de::DeserializeOwned;

use crate::{
    language::{Language, Texts},
    refusal::Refusal,
    screen::Screen,
    session::{Person, Role, Session},
};

/// Cookie with the language that was chosen.
pub(crate) const LANGUAGE: &str = "licensor-language";
/// Cookie with the colours that were chosen.
pub(crate) const THEME: &str = "licensor-theme";

/// Colours of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system has them.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }
}

/// Who looks at a page.
#[derive(Debug)]
pub struct Visitor {
    /// The screen.
    pub screen: Arc<Screen>,
    /// What is said in the language of the visitor.
    pub texts: Texts,
    /// Colours.
    pub theme: Theme,
    /// Path and query of the page to come back to.
    pub page: String,
    /// The session, if the visitor is signed in.
    pub session: Option<Session>,
}

impl Visitor {
    pub(crate) async fn of(screen: Arc<Screen>, parts: &Parts) -> Result<Self, Refusal> {
        let headers = &parts.headers;
        let chosen = cookie(headers, LANGUAGE).and_then(|tag| Language::from_tag(&tag));
        let accept = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language = chosen.unwrap_or_else(|| Language::preferred(accept.unwrap_or_default()));
        let session = match cookie(headers, &screen.cookie) {
            Some(secret) => screen.sessions.find(&secret).await?,
            None => None,
        };
        Ok(Self {
            texts: screen.languages.texts(language),
            theme: cookie(headers, THEME).and_then(|name| Theme::from_name(&name)).unwrap_or_default(),
            page: page(parts),
            session,
            screen,
        })
    }

    /// Whether the visitor may change things.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.person.role == Role::Administrator)
    }
}

/// Path and query of the page that is shown, to come back to. Forms are sent to `/page/action`, and what answers one stands in
/// the place of its page. Those with a secret in them are none: they are good once, and a secret is shown nowhere.
fn page(parts: &Parts) -> String {
    let secret = ["/sign-in/", "/oidc/"].iter().any(|start| parts.uri.path().starts_with(start));
    let here = match parts.method {
        _ if secret => "",
        Method::GET => parts.uri.path_and_query().map_or("", |here| here.as_str()),
        _ => parts.uri.path().rsplit_once('/').map_or("", |(page, _)| page),
    };
    if here.is_empty() { "/".to_owned() } else { here.to_owned() }
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let found = lines.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name)?;
    Some(found.value().to_owned())
}

/// Somebody who is signed in, and may look.
#[derive(Debug, Clone)]
pub struct Viewer(pub Arc<Visitor>);

/// Somebody who is signed in, and may change things.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// Who looks at the page.
    pub visitor: Arc<Visitor>,
    /// Who it is.
    pub person: Person,
}

/// What the query of an address asks for; one that makes no sense leads to no page.
#[derive(Debug, Clone)]
pub struct Asked<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Query::try_from_uri(&parts.uri).map(|Query(asked)| Self(asked)).map_err(|_| Refusal::NotFound)
    }
}

/// Anybody.
#[derive(Debug, Clone)]
pub struct Anybody(pub Arc<Visitor>);

impl<S: Sync> FromRequestParts<S> for Anybody {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        // `guard` stands before every page.
        parts.extensions.get::<Arc<Visitor>>().cloned().map(Self).ok_or(Refusal::SignInFirst)
    }
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Anybody(visitor) = Anybody::from_request_parts(parts, state).await?;
        if visitor.session.is_none() {
            return Err(Refusal::SignInFirst);
        }
        Ok(Self(visitor))
    }
}

impl<S: Sync> FromRequestParts<S> for Administrator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Viewer(visitor) = Viewer::from_request_parts(parts, state).await?;
        let person = visitor.session.as_ref().map(|session| session.person.clone());
        let person = person.filter(|person| person.role == Role::Administrator);
        let person = person.ok_or(Refusal::AdministratorsOnly)?;
        Ok(Self { visitor, person })
    }
}
