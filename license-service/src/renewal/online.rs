//! Enrolment and renewal at a root that can be reached.

use std::sync::Arc;

use licensor::{
    error::{Error, Reason, Result},
    event::EventKind,
    root_client,
    tls::{Single, client_config, first_contact_config},
    token::EnrollmentToken,
};
use verifier::certificate::hex;

use super::{
    Renewal,
    answer::{Purpose, check_enrollment, check_renewal},
    enroll_request, renew_request, revocation, to_its_end,
};
use crate::{credential::Credential, ledger::CredentialRecord};

impl Renewal {
    /// Enrols with a token, and uses the new credential from then on.
    pub(crate) async fn enroll(self: &Arc<Self>, text: &str, by: &str) -> Result<Arc<Credential>> {
        let (this, text, by) = (Arc::clone(self), text.to_owned(), by.to_owned());
        to_its_end(async move { this.count_enrollment(&text, by).await }).await
    }

    async fn count_enrollment(&self, text: &str, by: String) -> Result<Arc<Credential>> {
        let result = self.try_enroll(text, by).await;
        match &result {
            Ok(_) => self.metrics.enrollments.ok(),
            Err(error) => self.metrics.enrollments.failed(error.reason),
        }
        result
    }

    async fn try_enroll(&self, text: &str, by: String) -> Result<Arc<Credential>> {
        let token = EnrollmentToken::parse(text)?;
        let token_id = hex(&token.id);
        let mut turn = self.turn.lock().await;
        let former = self.current.borrow().clone();
        if let (Some(record), Some(credential)) = (&*turn, &former)
            && record.token == token_id
        {
            if self.clock.now() < credential.validity.not_after {
                return Ok(Arc::clone(credential));
            }
            return Err(Error::new(
                Reason::TokenAlreadyUsed,
                "this server was enrolled with this very token, and its certificate has expired: renew it (`license-service renew`), or ask for a new token",
            ));
        }
        // 1. Keys, on the disk before they are used.
        let (names, keys) = self.pending_keys(&format!("enroll/{token_id}"), None).await?;
        // 2. The root: known by the fingerprint in the token, and by nothing else yet.
        let (tls, pinned) = first_contact_config(token.fingerprint(), self.clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let address = self.root_address.as_ref().unwrap_or(&token.address);
        let mut root = root_client::connect(address, tls, &self.clock).await.map_err(|error| {
            if !pinned.mismatched() {
                return error;
            }
            let message = format!(
                "the root at {address} is not the one that made the token: its trust anchor has another fingerprint; ask for a token of that root, or look who answers there"
            );
            Error::new(Reason::TokenUnknown, message).with("address", address)
        })?;
        let request = enroll_request(text, &keys)?;
        let answer = root.enroll(request).await.map_err(|status| root_client::call_error(address, status))?;
        // 3. The answer, checked as a stranger would check it.
        let checked = check_enrollment(answer.into_inner(), keys, &token.fingerprint(), self.clock.now())?;
        // 4. Kept, then used.
        let purpose = Purpose { keys: names, token: token_id, kind: EventKind::NodeEnrolled, by };
        self.adopt(&mut turn, checked, purpose).await
    }

    /// Renews at the root that issued the current certificate, as somebody asked for. With `same_key` the licensor key stays.
    pub(crate) async fn renew(self: &Arc<Self>, same_key: bool, by: &str) -> Result<Arc<Credential>> {
        let (this, by) = (Arc::clone(self), by.to_owned());
        to_its_end(async move {
            let turn = this.turn.lock().await;
            this.renew_in_turn(turn, same_key, by).await
        })
        .await
    }

    /// Renews if the certificate of `credential` is still the one in use: another may have been faster.
    pub(super) async fn renew_if_current(self: &Arc<Self>, credential: &Arc<Credential>) -> Result<()> {
        let (this, credential) = (Arc::clone(self), Arc::clone(credential));
        to_its_end(async move {
            let turn = this.turn.lock().await;
            let current = this.current.borrow().clone();
            if current.is_some_and(|current| current.facts.serial == credential.facts.serial) {
                this.renew_in_turn(turn, false, "service".to_owned()).await?;
            }
            Ok(())
        })
        .await
    }

    async fn renew_in_turn(
        &self,
        mut turn: tokio::sync::MutexGuard<'_, Option<CredentialRecord>>,
        same_key: bool,
        by: String,
    ) -> Result<Arc<Credential>> {
        let former = self.current.borrow().clone();
        let (Some(former), Some(record)) = (former, turn.clone()) else {
            return Err(nothing_to_renew());
        };
        let result = self.try_renew(&mut turn, &former, record, (same_key, by)).await;
        match &result {
            Ok(_) => self.metrics.renewals.ok(),
            Err(error) => {
                self.metrics.renewals.failed(error.reason);
                if matches!(error.reason, Reason::CertificateRevoked | Reason::NodeDecommissioned) {
                    // What counts is the list; whoever watches it looks at once.
                    self.list_number.send_replace(revocation::ONE_TO_COME);
                }
                tracing::warn!(reason = %error.reason, %error, "renewal failed; the credential in use is kept");
                let kept = self.ledger.renewal_failed(&former.holder(), error).await;
                if let Err(error) = kept {
                    tracing::error!(%error, "that the renewal failed could not be kept as an event");
                }
            }
        }
        result
    }

    async fn try_renew(
        &self,
        turn: &mut Option<CredentialRecord>,
        former: &Credential,
        record: CredentialRecord,
        (same_key, by): (bool, String),
    ) -> Result<Arc<Credential>> {
        // 1. Keys, on the disk before they are used.
        let kept = same_key.then_some(record.keys.licensor.as_str());
        let (names, keys) = self.pending_keys(&format!("renew/{}", former.facts.serial), kept).await?;
        // 2. The root that issued the certificate, at the address inside it.
        let address = &former.renewal_address;
        let own = Arc::new(Single(former.client.clone()));
        let tls = client_config(&former.issuance.anchors, Some(own), self.clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let mut root = root_client::connect(address, tls, &self.clock).await?;
        let request = renew_request(&keys)?;
        let answer = root.renew(request).await.map_err(|status| root_client::call_error(address, status))?;
        // 3. The answer, checked as a stranger would check it.
        let checked = check_renewal(answer.into_inner(), keys, former, self.clock.now())?;
        // 4. Kept, then used.
        let purpose = Purpose { keys: names, token: record.token, kind: EventKind::CertificateRenewed, by };
        self.adopt(turn, checked, purpose).await
    }
}

/// There is no certificate that could be renewed.
pub(super) fn nothing_to_renew() -> Error {
    let message =
        "this licensing server is not enrolled: there is nothing to renew; run `license-service enroll`";
    Error::new(Reason::NotEnrolled, message)
}
