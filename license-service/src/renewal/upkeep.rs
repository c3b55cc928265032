//! What is asked of the root between two renewals: its revocation list and its trust bundle, over one connection.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::SharedClock,
    error::{Error, Reason, Result},
    root_client,
    serve::Shutdown,
    tls::client_config,
};
use proto::certification::v1::certification_service_client::CertificationServiceClient;
use tonic::transport::Channel;
use verifier::RevocationList;

use super::{RevocationWatch, revocation};
use crate::credential::{Credential, enabled};

/// Pause after a failure, give or take a fifth.
const AGAIN: Duration = Duration::from_secs(60);

/// Asks at regular intervals, and at once when there is word of a newer list.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) revocation: RevocationWatch,
    pub(crate) clock: SharedClock,
    /// How often the root is asked.
    pub(crate) poll_interval: Duration,
    /// How often at least the clock is looked at.
    pub(crate) check_interval: Duration,
}

impl Upkeep {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let mut credentials = self.revocation.renewal.subscribe();
        let mut told = self.revocation.renewal.list_number.subscribe();
        let mut known: Option<RevocationList> = None;
        let mut next_poll = SystemTime::UNIX_EPOCH;
        let mut asked_for = String::new();
        let mut word = true;
        loop {
            let credential = credentials.borrow_and_update().clone();
            // A clock that was set back must not put the next poll off for long.
            let latest = self.clock.now() + self.poll_interval.mul_f64(1.2);
            next_poll = next_poll.min(latest);
            let newest = *told.borrow();
            if let Some(credential) = &credential {
                let of_issuer = |list: &RevocationList| list.issuer_key_id == credential.facts.issuer_key_id;
                known = known.filter(of_issuer).or_else(|| self.revocation.kept(credential));
                self.revocation.apply(credential, known.as_ref());
                // A round that changes the credential must not be a reason for the next one.
                let cause = word || asked_for != credential.facts.serial;
                let newer = || revocation::is_newer(newest, known.as_ref(), credential);
                if self.clock.now() >= next_poll || cause && newer() {
                    asked_for.clone_from(&credential.facts.serial);
                    let pause = self.ask(credential, &mut known).await;
                    next_poll = self.clock.now() + pause.mul_f64(rand::random_range(0.8..1.2));
                }
            }
            // Before enrolment there is nobody to ask.
            let deadline = if credential.is_some() { next_poll } else { latest };
            word = tokio::select! {
                () = self.clock.wait_until(deadline, self.check_interval) => false,
                _ = credentials.changed() => false,
                _ = told.changed() => true,
            };
        }
    }

    /// One round. Returns how long to wait for the next one.
    async fn ask(&self, credential: &Arc<Credential>, known: &mut Option<RevocationList>) -> Duration {
        let again = self.poll_interval.min(AGAIN);
        let mut pause = self.poll_interval;
        let mut root = match self.connect(credential).await {
            Ok(root) => root,
            Err(error) => {
                self.revocation.say_failed(&error, known.as_ref());
                return again;
            }
        };
        match self.revocation.fetch(&mut root, credential, known.as_ref()).await {
            Ok(list) => {
                *known = list.or(known.take());
                self.revocation.apply(credential, known.as_ref());
            }
            Err(error) => {
                self.revocation.say_failed(&error, known.as_ref());
                pause = again;
            }
        }
        // For one that has expired or was revoked, a new certificate brings what belongs to it.
        if enabled(Some(credential), self.clock.now()).is_ok()
            && let Err(error) = self.revocation.renewal.follow_trust(&mut root, credential).await
        {
            tracing::warn!(reason = %error.reason, %error, "the trust bundle of the root was not taken over");
            if error.reason != Reason::CredentialInvalid {
                pause = again;
            }
        }
        pause
    }

    async fn connect(&self, credential: &Credential) -> Result<CertificationServiceClient<Channel>> {
        let tls = client_config(&credential.issuance.anchors, None, self.clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let root = root_client::connect(&credential.renewal_address, tls, &self.clock).await?;
        Ok(root.max_decoding_message_size(revocation::LARGEST))
    }
}

#[cfg(test)]
mod tests;
