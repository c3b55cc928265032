//! Access: who may call the licensing server over the network, and what. Nobody calls without a name.
//!
//! An application shows an access token, which the local administrator made, or a client certificate of an authority that
//! the configuration names. All tokens are in memory, in step with the ledger: a call costs no read of the store.

mod bounds;
mod caller;
mod certificates;
mod order;
#[cfg(test)]
pub(crate) mod test_bench;
#[cfg(test)]
mod tests;
mod token;
mod tokens;

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, header::AUTHORIZATION};
use licensor::{
    clock::{SharedClock, unix_seconds},
    error::{Error, Reason, Result},
    serve::Peer,
    telemetry::Metrics,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

pub(crate) use bounds::Place;
pub(crate) use caller::{Caller, CallerKind};
pub(crate) use order::{Lifetime, TokenOrder};
pub(crate) use tokens::{AccessToken, Tokens};

use bounds::Bounds;
use caller::{Application, Identity};
use certificates::Certificates;
use token::Token;

use crate::{
    config::{AccessConfig, Permission},
    ledger::Ledger,
};

/// What helps who has no good token.
const NEW_TOKEN: &str =
    "the administrator of this server makes another one with `license-service access create`";

/// Lets callers in, and keeps their tokens.
#[derive(Debug)]
pub(crate) struct Access {
    clock: SharedClock,
    tokens: Arc<Tokens>,
    certificates: Option<Certificates>,
    calls: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    caller: &'static str,
    result: &'static str,
}

/// What [`Access`] works with.
pub(crate) struct AccessParts {
    pub(crate) config: AccessConfig,
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Access {
    /// Reads the tokens of the ledger, and the authorities of the configuration.
    ///
    /// # Errors
    /// What the store says, and [`licensor::config::ConfigError`].
    pub(crate) async fn open(parts: AccessParts) -> anyhow::Result<Self> {
        let AccessParts { config, clock, ledger, metrics } = parts;
        let calls = Family::default();
        metrics.register(
            "access",
            "Calls that needed a caller, by how it showed who it is, and outcome",
            &calls,
        );
        Ok(Self {
            certificates: Certificates::load(&config)?,
            tokens: Arc::new(Tokens::open(config, clock.clone(), ledger).await?),
            clock,
            calls,
        })
    }

    /// The tokens.
    pub(crate) fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Lets a call in: who makes it, and its place among the calls of this caller.
    ///
    /// # Errors
    /// UNAUTHENTICATED with `ACCESS_TOKEN_REQUIRED`, `ACCESS_TOKEN_UNKNOWN`, `ACCESS_TOKEN_EXPIRED`,
    /// `ACCESS_TOKEN_REVOKED` or `ACCESS_CERTIFICATE_NOT_ACCEPTED`; PERMISSION_DENIED with `ACCESS_NOT_ALLOWED`;
    /// RESOURCE_EXHAUSTED with `OVERLOADED`.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
        permission: Permission,
    ) -> Result<(Caller, Place)> {
        let (kind, identity) = self.identify(headers, peer);
        let admitted = identity.and_then(|identity| self.enter(identity, permission));
        let result = admitted.as_ref().map_or_else(|error| error.reason.as_str(), |_| "ok");
        self.calls.get_or_create(&Labels { caller: kind.as_str(), result }).inc();
        admitted
    }

    fn enter(&self, identity: Arc<Identity>, permission: Permission) -> Result<(Caller, Place)> {
        let now = unix_seconds(self.clock.now());
        identity.check(now)?;
        let place = identity.bounds.enter(self.clock.elapsed())?;
        self.tokens.note_use(&identity, now);
        let caller = Caller::Application(Application { identity, clock: self.clock.clone() });
        caller.ensure_allowed(permission)?;
        Ok((caller, place))
    }

    /// Whom the headers or the certificate name. A token that is shown is the one that counts.
    fn identify(&self, headers: &HeaderMap, peer: Option<&Peer>) -> (CallerKind, Result<Arc<Identity>>) {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (None, _) => {}
            (Some(header), None) => return (CallerKind::Token, self.bearer(header.as_bytes())),
            (Some(_), Some(_)) => {
                let message = "there are two `authorization` headers: send the one with the access token";
                return (CallerKind::Token, Err(Error::new(Reason::AccessTokenUnknown, message)));
            }
        }
        let certificate = peer.and_then(|peer| peer.certificate.as_deref());
        match (certificate, &self.certificates) {
            (Some(certificate), Some(certificates)) => {
                let now = unix_seconds(self.clock.now());
                (CallerKind::Certificate, certificates.identify(certificate, now))
            }
            _ => (CallerKind::Nobody, Err(token_required())),
        }
    }

    fn bearer(&self, header: &[u8]) -> Result<Arc<Identity>> {
        let text = std::str::from_utf8(header).unwrap_or_default();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(token_required()),
        };
        let token = Token::parse(token).ok_or_else(|| {
            let message = "this is no access token: it was mistyped or cut short; send the whole of what `license-service access create` printed, from `lic_` on";
            Error::new(Reason::AccessTokenUnknown, message)
        })?;
        let hash = token.secret_hash();
        match self.tokens.find(&token.id) {
            Some(known) if verify_slices_are_equal(&known.secret_hash, &hash).is_ok() => Ok(known.identity),
            // A wrong secret looks as a wrong identifier does.
            _ => Err(Error::new(
                Reason::AccessTokenUnknown,
                format!("this server did not give out this access token: {NEW_TOKEN}"),
            )),
        }
    }
}

fn token_required() -> Error {
    let message = "who calls must say who it is: send the metadata `authorization: Bearer TOKEN` with an access token; the administrator of this server makes one with `license-service access create --name NAME`";
    Error::new(Reason::AccessTokenRequired, message)
}
