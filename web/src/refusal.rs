//! What a screen refuses, as a page that says what happened and what to do next.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use licensor::{error::Error, store::StoreError};

/// Why a request of a browser is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody is signed in.
    SignInFirst,
    /// A link that this service did not make, or has forgotten.
    LinkUnknown,
    /// A link that was used before.
    LinkUsed,
    /// A link that is too old.
    LinkExpired,
    /// A link of somebody who is an administrator no more.
    NotAdministrator,
    /// The person may look and nothing else.
    AdministratorsOnly,
    /// A form without the token of the session, or from another site.
    FormForged,
    /// A form that is not filled in as it should be: the key of the sentence that says what is wrong.
    FormInvalid(&'static str),
    /// The identity provider, or what it says of somebody, is no good: the key of the sentence that says why.
    Provider(&'static str),
    /// Too much was sent.
    TooLarge,
    /// There is no such page.
    NotFound,
    /// What the service itself says.
    Service(Error),
}

impl Refusal {
    /// Status code (RFC 9110).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SignInFirst => StatusCode::UNAUTHORIZED,
            Self::LinkUnknown | Self::LinkUsed | Self::LinkExpired | Self::NotAdministrator => {
                StatusCode::FORBIDDEN
            }
            // The one of them that is the fault of no person.
            Self::Provider("refused-provider-unreachable") => StatusCode::BAD_GATEWAY,
            Self::AdministratorsOnly | Self::FormForged | Self::Provider(_) => StatusCode::FORBIDDEN,
            Self::FormInvalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Service(error) => service_status(error),
        }
    }

    /// The key of the sentence that says what happened; the one with `-next` after it says what to do.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::SignInFirst => "refused-sign-in-first",
            Self::LinkUnknown => "refused-link-unknown",
            Self::LinkUsed => "refused-link-used",
            Self::LinkExpired => "refused-link-expired",
            Self::NotAdministrator => "refused-not-administrator",
            Self::AdministratorsOnly => "refused-administrators-only",
            Self::FormForged => "refused-form-forged",
            Self::FormInvalid(key) | Self::Provider(key) => key,
            Self::TooLarge => "refused-too-large",
            Self::NotFound => "refused-not-found",
            Self::Service(_) => "refused-service",
        }
    }
}

fn service_status(error: &Error) -> StatusCode {
    use tonic::Code;
    match error.reason.code() {
        Code::InvalidArgument | Code::OutOfRange => StatusCode::UNPROCESSABLE_ENTITY,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::PermissionDenied | Code::Unauthenticated => StatusCode::FORBIDDEN,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// The frame of a page is put around it where the visitor's language is known: see `guard::pages`.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
