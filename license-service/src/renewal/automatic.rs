//! The task that renews by itself, and enrols by itself where a token file is configured.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    backoff,
    clock::SharedClock,
    error::{Error, Reason},
    serve::Shutdown,
};

use super::{CredentialWatch, Renewal};
use crate::credential::Credential;

/// Renews when the time has come.
#[derive(Debug)]
pub(crate) struct Automatic {
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) clock: SharedClock,
    /// How often at least the clock is looked at.
    pub(crate) check_interval: Duration,
    /// Share of the lifetime at which to renew, instead of the window that the root named.
    pub(crate) at: Option<f64>,
    /// Whether to renew at all.
    pub(crate) enabled: bool,
    /// A token to enrol with while there is no credential.
    pub(crate) token_file: Option<PathBuf>,
}

/// Failures in a row, and when to try again.
#[derive(Debug, Default)]
struct Attempts {
    failures: u32,
    not_before: Option<SystemTime>,
    /// How long the wait until `not_before` was meant to be.
    pause: Duration,
}

impl Automatic {
    /// Works until `shutdown`. An attempt that is under way is given up: the next start takes it up again.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let mut watch = self.renewal.subscribe();
        let mut attempts = Attempts::default();
        loop {
            let credential = watch.borrow_and_update().clone();
            let deadline = match &credential {
                // A revoked one is not renewed any more; a new token is for people to bring.
                Some(credential) if self.enabled && credential.revoked.get().is_none() => {
                    Some(credential.renew_at(self.at))
                }
                Some(_) => None,
                None => self.token_file.as_ref().map(|_| SystemTime::UNIX_EPOCH),
            };
            let now = self.clock.now();
            let deadline =
                deadline.map(|deadline| attempts.not_before.map_or(deadline, |wait| wait.max(deadline)));
            if let Some(deadline) = deadline
                && now >= deadline
            {
                let result = match &credential {
                    Some(credential) => self.renewal.renew_if_current(credential).await,
                    None => self.enroll().await,
                };
                match result {
                    Ok(()) => attempts = self.renewed(&watch),
                    Err(error) => self.back_off(&mut attempts, credential.as_deref(), &error),
                }
                continue;
            }
            let deadline = deadline.unwrap_or(now + self.check_interval);
            tokio::select! {
                () = self.clock.wait_until(deadline, self.check_interval) => {}
                changed = watch.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // The trust bundle may have been replaced, or word may have come of a revocation: no success of a
                    // renewal.
                    if serial(watch.borrow().as_ref()) != serial(credential.as_ref()) {
                        attempts = self.renewed(&watch);
                    }
                }
            }
            // A clock that was set back must not keep a wait alive that was meant to be short.
            let now = self.clock.now();
            attempts.not_before = attempts.not_before.map(|wait| wait.min(now + attempts.pause));
        }
    }

    /// After a success nothing is tried for a while: where the clocks of root and node are far apart, the new certificate
    /// may look due at once.
    fn renewed(&self, watch: &CredentialWatch) -> Attempts {
        let lifetime = watch.borrow().as_ref().map(|credential| credential.validity.lifetime());
        let pause = (lifetime.unwrap_or_default() / 20).max(Duration::from_secs(1));
        Attempts { failures: 0, not_before: Some(self.clock.now() + pause), pause }
    }

    async fn enroll(&self) -> Result<(), Error> {
        let Some(path) = &self.token_file else { return Ok(()) };
        let token = fs::read_to_string(path).map_err(|error| {
            let message = format!(
                "the token file {} (`enrollment.token_file`) cannot be read: {error}",
                path.display()
            );
            Error::new(Reason::TokenUnknown, message)
        });
        let enrolled = match token {
            Ok(token) => self.renewal.enroll(&token, "service").await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = &enrolled {
            tracing::warn!(reason = %error.reason, %error, "enrolment failed; it is tried again");
        }
        enrolled
    }

    fn back_off(&self, attempts: &mut Attempts, credential: Option<&Credential>, error: &Error) {
        attempts.failures = attempts.failures.saturating_add(1);
        let now = self.clock.now();
        // A server that is not enrolled issues nothing, just as an expired one.
        let left = credential.and_then(|credential| credential.validity.not_after.duration_since(now).ok());
        let mut wait = backoff::delay(
            attempts.failures,
            left.unwrap_or_default(),
            error.retry_after,
            rand::random_range(0.0..1.0),
        );
        if credential.is_some() && needs_people(error.reason) {
            wait = backoff::LONGEST.min(left.map_or(backoff::LONGEST, |left| left / 8)).max(wait);
        }
        tracing::info!(seconds = wait.as_secs_f64(), failures = attempts.failures, "the next attempt waits");
        attempts.not_before = Some(now + wait);
        attempts.pause = wait;
    }
}

fn serial(credential: Option<&Arc<Credential>>) -> Option<&str> {
    credential.map(|credential| credential.facts.serial.as_str())
}

/// Whether the root knows the certificate and does not renew it: only people can change that.
fn needs_people(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CertificateSuperseded
            | Reason::CertificateRevoked
            | Reason::CertificateUnknown
            | Reason::CertificateExpired
            | Reason::NotIssuedByThisRoot
            | Reason::NodeDecommissioned
    )
}
