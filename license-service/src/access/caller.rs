//! Who calls, and whether the caller is still good: asked on every call, and all the time that a stream is open.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
};
use tokio::sync::watch;

use super::bounds::Bounds;
use crate::config::Permission;

/// The longest time for which the end of a caller's time goes unnoticed on an open stream, whatever the clock does.
const LOOK: Duration = Duration::from_secs(1);

/// How a caller shows who it is: a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CallerKind {
    /// It does not.
    Nobody,
    /// An access token.
    Token,
    /// A client certificate.
    Certificate,
}

impl CallerKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Token => "token",
            Self::Certificate => "certificate",
        }
    }
}

/// Who makes a call: found in the extensions of its request.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// The local administrator with this uid, who may call everything.
    Administrator(u32),
    /// An application.
    Application(Application),
}

/// An application that was let in.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(super) identity: Arc<Identity>,
    pub(super) clock: SharedClock,
}

/// What an access token or a client certificate stands for.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) kind: CallerKind,
    /// Identifier of the token, hexadecimal; name in the certificate.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) allows: Vec<Permission>,
    /// From then on it is good, seconds since 1970.
    pub(super) not_before: i64,
    /// From then on it is good no more, seconds since 1970.
    pub(super) expires_at: i64,
    /// When it was revoked, seconds since 1970.
    pub(super) revoked: watch::Sender<Option<i64>>,
    /// When it was last used as far as that was kept, seconds since 1970; 0 if never.
    pub(super) used_at: AtomicI64,
    pub(super) bounds: Arc<Bounds>,
}

impl Identity {
    /// Whether it is good at `now` (seconds since 1970).
    ///
    /// # Errors
    /// `ACCESS_TOKEN_REVOKED`, `ACCESS_TOKEN_EXPIRED` or `ACCESS_CERTIFICATE_NOT_ACCEPTED`.
    pub(super) fn check(&self, now: i64) -> Result<()> {
        let date = |seconds| rfc3339(from_unix_seconds(seconds));
        let refused = |reason, problem: String| Err(Error::new(reason, problem).with("id", &self.id));
        if let Some(at) = *self.revoked.borrow() {
            let problem = format!("access token {} ({}) was revoked on {}", self.id, self.name, date(at));
            return refused(Reason::AccessTokenRevoked, format!("{problem}: {}", super::NEW_TOKEN));
        }
        let expired = now >= self.expires_at;
        match self.kind {
            _ if !expired && now >= self.not_before => Ok(()),
            CallerKind::Certificate => {
                let when = if expired { "expired on" } else { "is not valid before" };
                let date = date(if expired { self.expires_at } else { self.not_before });
                let problem =
                    format!("the client certificate of {}, or one above it, {when} {date}", self.name);
                refused(
                    Reason::AccessCertificateNotAccepted,
                    format!("{problem}: connect with one that is valid"),
                )
            }
            _ => {
                let expired_at = date(self.expires_at);
                let problem = format!("access token {} ({}) expired on {expired_at}", self.id, self.name);
                refused(Reason::AccessTokenExpired, format!("{problem}: {}", super::NEW_TOKEN))
            }
        }
    }
}

impl Caller {
    /// What its administrator calls it; the name in its certificate; `uid:N`.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Administrator(uid) => format!("uid:{uid}"),
            Self::Application(application) => application.identity.name.clone(),
        }
    }

    /// Whether it may make the calls of `permission`.
    ///
    /// # Errors
    /// `ACCESS_NOT_ALLOWED`, with what is missing.
    pub(crate) fn ensure_allowed(&self, permission: Permission) -> Result<()> {
        match self {
            Self::Application(Application { identity, .. }) if !identity.allows.contains(&permission) => {
                let (name, missing) = (&identity.name, permission.as_str());
                let next = match identity.kind {
                    CallerKind::Certificate => {
                        "name it in `access.allow` or in `allow` of this client in `[[access.clients]]`, and restart the service"
                            .to_owned()
                    }
                    _ => format!(
                        "make another one with `license-service access create --name {name} --allow {missing}`"
                    ),
                };
                let message = format!("{name} may not make calls of the kind `{missing}`: {next}");
                Err(Error::new(Reason::AccessNotAllowed, message)
                    .with("missing", missing)
                    .with("id", &identity.id)
                    .with("owner", &identity.owner))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is still good: what a stream asks before it goes on.
    ///
    /// # Errors
    /// Those with which its next call would be refused.
    pub(crate) fn ensure_valid(&self) -> Result<()> {
        match self {
            Self::Administrator(_) => Ok(()),
            Self::Application(Application { identity, clock }) => identity.check(unix_seconds(clock.now())),
        }
    }

    /// Returns when it is good no more, with the error that says why: what a stream waits for beside its own work.
    pub(crate) async fn ended(&self) -> Error {
        let Self::Application(Application { identity, clock }) = self else {
            return std::future::pending().await;
        };
        let mut revoked = identity.revoked.subscribe();
        loop {
            revoked.borrow_and_update();
            if let Err(error) = self.ensure_valid() {
                return error;
            }
            let end = from_unix_seconds(identity.expires_at);
            tokio::select! {
                // The sender is in the identity that this caller holds.
                _ = revoked.changed() => {}
                () = clock.wait_until(end, LOOK) => {}
            }
        }
    }
}
