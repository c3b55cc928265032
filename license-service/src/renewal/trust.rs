//! Takes over what a root says of itself: trust anchors, and the way from the authority that issued the own certificate to
//! one of them. So a root can renew its certificate, or move below another, without a renewal of every licensing server.

use std::{sync::Arc, time::SystemTime};

use licensor::{
    error::{Error, Reason, Result},
    root_client,
};
use proto::certification::v1::{
    GetTrustBundleRequest, TrustBundle, certification_service_client::CertificationServiceClient,
};
use tonic::transport::Channel;

use super::{Renewal, issuance, to_its_end};
use crate::credential::{Credential, Issuance};

/// What a certificate is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TrustPath {
    /// Issuers below the anchor (DER).
    issuers: Vec<Vec<u8>>,
    /// Trust anchors (DER).
    anchors: Vec<Vec<u8>>,
}

impl Renewal {
    /// Asks the root for its trust bundle, and takes it over if it has changed and fits the certificate in use. `root` was
    /// verified against the anchors that `credential` knows: what it says of others is authentic.
    pub(super) async fn follow_trust(
        self: &Arc<Self>,
        root: &mut CertificationServiceClient<Channel>,
        credential: &Arc<Credential>,
    ) -> Result<()> {
        let answer = root
            .get_trust_bundle(GetTrustBundleRequest {})
            .await
            .map_err(|status| root_client::call_error(&credential.renewal_address, status))?;
        let bundle = answer.into_inner().trust_bundle.unwrap_or_default();
        self.take_trust(bundle, credential).await
    }

    async fn take_trust(self: &Arc<Self>, bundle: TrustBundle, credential: &Arc<Credential>) -> Result<()> {
        let Some(path) = changed_path(bundle, credential, self.clock.now())? else { return Ok(()) };
        let (this, credential) = (Arc::clone(self), Arc::clone(credential));
        to_its_end(async move { this.replace_trust(path, &credential).await }).await
    }

    async fn replace_trust(&self, path: TrustPath, credential: &Arc<Credential>) -> Result<()> {
        let mut turn = self.turn.lock().await;
        let current = self.current.borrow().clone();
        // A renewal that came first has brought a bundle of its own.
        let Some(former) = turn.clone().filter(|_| current.is_some_and(|it| Arc::ptr_eq(&it, credential)))
        else {
            return Ok(());
        };
        let mut record = former.clone();
        (record.issuers, record.anchors) = (path.issuers, path.anchors);
        let issuance = Issuance {
            renew_at: credential.issuance.renew_at,
            ..issuance(&record, Arc::clone(&credential.issuance.keys))
        };
        let successor = Credential::assemble(issuance)?;
        if let Some(revoked) = credential.revoked.get() {
            let _ = successor.revoked.set(*revoked);
        }
        self.ledger.replace_trust(&former, &record, &successor.holder()).await?;
        self.put_to_use(&mut turn, successor, record);
        Ok(())
    }
}

/// What `bundle` has for the certificate in use, if that is something else than is known.
///
/// # Errors
/// `CREDENTIAL_INVALID` if the certificate does not stand up with it at `now`.
fn changed_path(bundle: TrustBundle, credential: &Credential, now: SystemTime) -> Result<Option<TrustPath>> {
    let known = &credential.issuance;
    let issuer = bundle.issuers.into_iter().find(|issuer| issuer.key_id == credential.facts.issuer_key_id);
    // A root that does not name the authority, or does not name any, says nothing of the way from it.
    let issuers = issuer.map_or_else(|| known.issuers.clone(), |issuer| issuer.certificates);
    let path = TrustPath { issuers, anchors: bundle.trust_anchors };
    if path.issuers == known.issuers && same_set(&path.anchors, &known.anchors) {
        return Ok(None);
    }
    known.check_bundle(&path.issuers, &path.anchors, now).map_err(|problem| {
        let message = format!("the trust bundle of the root {problem}; the one at hand is kept");
        Error::new(Reason::CredentialInvalid, message)
    })?;
    Ok(Some(path))
}

/// The order of anchors says nothing.
fn same_set(some: &[Vec<u8>], others: &[Vec<u8>]) -> bool {
    some.iter().all(|anchor| others.contains(anchor)) && others.iter().all(|anchor| some.contains(anchor))
}

#[cfg(test)]
mod tests;
