//! Forms: taken only from a page of this session.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request},
};
use http::{HeaderMap, header};
use maud::{Markup, html};
use serde::de::DeserializeOwned;

use crate::{
    refusal::Refusal,
    screen::Screen,
    session::{Person, Session},
    visitor::{Administrator, Viewer, Visitor},
};

/// Name of the field with the token of the session.
pub const TOKEN: &str = "form_token";

/// The field that every form of a visitor has.
#[must_use]
pub fn token(visitor: &Visitor) -> Markup {
    let token = visitor.session.as_ref().map(|session| session.form_token.as_str()).unwrap_or_default();
    html! { input type="hidden" name=(TOKEN) value=(token); }
}

/// That a form was sent from a page of this session.
///
/// # Errors
/// [`Refusal::FormForged`].
pub fn check(session: &Session, token: &str) -> Result<(), Refusal> {
    verify_slices_are_equal(session.form_token.as_bytes(), token.as_bytes()).map_err(|_| Refusal::FormForged)
}

/// That a request comes from a page of this site, as far as the browser says where it comes from.
///
/// # Errors
/// [`Refusal::FormForged`].
pub fn check_site(screen: &Screen, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| site != "same-origin" && site != "none")
    {
        return Err(Refusal::FormForged);
    }
    let host = text(header::HOST).unwrap_or_default();
    match text(header::ORIGIN) {
        // A proxy may put another host in its place; where browsers find the screen is configured then.
        Some(origin)
            if origin != screen.origin && origin.split_once("://").map(|(_, from)| from) != Some(host) =>
        {
            Err(Refusal::FormForged)
        }
        _ => Ok(()),
    }
}

/// A form that an administrator has sent.
#[derive(Debug)]
pub struct Change<T> {
    /// Who looks at the page.
    pub visitor: Arc<Visitor>,
    /// Who has sent it.
    pub person: Person,
    /// What is filled in.
    pub fields: T,
}

#[derive(Debug, serde::Deserialize)]
struct Token {
    #[serde(default)]
    form_token: String,
}

impl<S, T> FromRequest<S> for Change<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Viewer(visitor) = Viewer::from_request_parts(&mut parts, state).await?;
        check_site(&visitor.screen, &parts.headers)?;
        let body = axum::body::to_bytes(body, LARGEST).await.map_err(|_| Refusal::TooLarge)?;
        let fields = |body: bytes::Bytes| Request::from_parts(parts.clone(), body.into());
        let Form(Token { form_token }) =
            Form::from_request(fields(body.clone()), state).await.map_err(|_| Refusal::FormForged)?;
        let session = visitor.session.as_ref().ok_or(Refusal::SignInFirst)?;
        check(session, &form_token)?;
        let Administrator { person, .. } =
            Administrator::from_request_parts(&mut parts.clone(), state).await?;
        let Form(fields) = Form::from_request(fields(body), state)
            .await
            .map_err(|_| Refusal::FormInvalid("refused-form-invalid"))?;
        Ok(Self { visitor, person, fields })
    }
}

/// Octets of a form at most.
const LARGEST: usize = 64 << 10;
