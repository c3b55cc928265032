//! The conversation with an upstream over the network.

use std::sync::Arc;

use licensor::{
    error::{Error, Reason, Result},
    key::{PrivateKey, sha256},
    root_client,
    tls::{Single, certified_key, client_config, first_contact_config},
    token::EnrollmentToken,
};
use proto::certification::v1::{
    EnrollRequest, RenewRequest, certification_service_client::CertificationServiceClient,
};
use tonic::transport::Channel;

use super::{Repeat, Upstream, answer::Answer, enrollment, renewal};
use crate::{
    authority::Generation,
    ledger::{UpstreamKind, UpstreamRecord},
};

impl Upstream {
    pub(super) async fn enroll_over_network(&self, text: &str, by: &str) -> Result<Arc<Generation>> {
        let token = EnrollmentToken::parse(text)?;
        // 1. Keys, recorded before they are used.
        let attempt = self.begin(enrollment(&token), Some(&token), Repeat::Any).await?;
        // 2. The upstream: known by the fingerprint in the token, and by nothing else yet.
        let clock = self.authority.clock();
        let (tls, pinned) = first_contact_config(token.fingerprint(), clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let address = &token.address;
        let mut root = root_client::connect(address, tls, clock).await.map_err(|error| {
            if !pinned.mismatched() {
                return error;
            }
            let message = format!(
                "the root at {address} is not the one that made the token: its trust anchor has another fingerprint"
            );
            Error::new(Reason::TokenUnknown, message).with("address", address)
        })?;
        let request = EnrollRequest {
            token: text.trim().to_owned(),
            licensor_csr: request_for(&attempt.identity_key)?,
            server_csr: Vec::new(),
            authority_csr: request_for(&attempt.authority_key)?,
        };
        let answer = root.enroll(request).await.map_err(|status| root_client::call_error(address, status))?;
        // 3. The answer, checked as a stranger would check it.
        let answer = Answer::from(answer.into_inner());
        let trusted = answer.anchors_with(&token.fingerprint());
        let certified = self.check(&attempt, answer, &trusted, UpstreamKind::Grpc, address)?;
        // 4. Kept, then used.
        self.keep(certified, by).await
    }

    pub(super) async fn renew_over_network(
        &self,
        record: &UpstreamRecord,
        by: &str,
    ) -> Result<Arc<Generation>> {
        // 1. Keys, recorded before they are used.
        let attempt = self.begin(renewal(&record.identity)?, None, Repeat::Any).await?;
        // 2. The upstream, with the identity that it issued.
        let address = &record.address;
        let key = self.identity_key(record)?;
        let chain = [std::slice::from_ref(&record.identity), &record.issuers].concat();
        let failed = |error| Error::internal("TLS", error);
        let own = Arc::new(Single(certified_key(&chain, &key).map_err(failed)?));
        let clock = self.authority.clock();
        let tls = client_config(&record.anchors, Some(own), clock.clone()).map_err(failed)?;
        let mut root = root_client::connect(address, tls, clock).await?;
        let request = RenewRequest {
            licensor_csr: request_for(&attempt.identity_key)?,
            server_csr: Vec::new(),
            authority_csr: request_for(&attempt.authority_key)?,
        };
        let answer = root.renew(request).await.map_err(|status| root_client::call_error(address, status))?;
        // 3. The answer, checked as a stranger would check it.
        let answer = Answer::from(answer.into_inner());
        let certified = self.check(&attempt, answer, &record.anchors, UpstreamKind::Grpc, address)?;
        // 4. Kept, then used.
        self.keep(certified, by).await
    }

    /// A connection to the upstream for what is open to anyone.
    pub(super) async fn connect(
        &self,
        record: &UpstreamRecord,
    ) -> Result<CertificationServiceClient<Channel>> {
        let clock = self.authority.clock();
        let tls = client_config(&record.anchors, None, clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        root_client::connect(&record.address, tls, clock).await
    }

    pub(super) fn identity_key(&self, record: &UpstreamRecord) -> Result<PrivateKey> {
        let loaded = self.authority.files().load(&record.identity_key);
        loaded.map_err(|error| crate::authority::files_error(&error))
    }
}

impl Answer {
    /// Its trust anchor with this SHA-256 (DER), if it has it.
    pub(super) fn anchors_with(&self, fingerprint: &[u8]) -> Vec<Vec<u8>> {
        self.anchors.iter().filter(|anchor| sha256(anchor) == fingerprint).cloned().collect()
    }
}

pub(super) fn request_for(key: &PrivateKey) -> Result<Vec<u8>> {
    key.certificate_request().map_err(|error| Error::internal("certificate request", error))
}
