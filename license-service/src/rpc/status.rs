//! `StatusService`: how the server is, also while it is disabled.

use std::sync::Arc;

use licensor::{
    clock::{SharedClock, timestamp},
    error::{Error, Result},
};
use proto::licensing::v1::{
    GetStatusRequest, GetStatusResponse, LicensorCertificate, status_service_server::StatusService,
};
use tonic::{Request, Response, Status};

use crate::{
    credential::{Credential, enabled},
    ledger::Ledger,
    renewal::CredentialWatch,
};

/// Serves the status.
#[derive(Debug, Clone)]
pub(crate) struct StatusRpc {
    pub(crate) credential: CredentialWatch,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: SharedClock,
    /// Whether the server renews by itself, and at which share of the lifetime if not in the root's window.
    pub(crate) automatic: bool,
    pub(crate) renew_at: Option<f64>,
}

#[tonic::async_trait]
impl StatusService for StatusRpc {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let credential = self.credential.borrow().clone();
        let disabled = enabled(credential.as_ref(), self.clock.now()).err();
        let renewal = self.ledger.renewal().await.map_err(Error::from)?;
        let certificate = credential.as_deref().map(|credential| self.certificate(credential));
        Ok(Response::new(GetStatusResponse {
            node: credential.as_ref().map(|credential| credential.node().to_owned()).unwrap_or_default(),
            owner: credential
                .as_ref()
                .map(|credential| credential.facts.organization.clone())
                .unwrap_or_default(),
            spiffe_id: credential.map(|credential| credential.spiffe_id.clone()).unwrap_or_default(),
            enabled: disabled.is_none(),
            disabled_reason: disabled.map(|error| error.reason.to_string()).unwrap_or_default(),
            certificate,
            last_renewal_time: renewal.succeeded().map(timestamp),
            last_renewal_error: renewal.error,
        }))
    }
}

impl StatusRpc {
    fn certificate(&self, credential: &Credential) -> LicensorCertificate {
        LicensorCertificate {
            serial: credential.facts.serial.clone(),
            not_before: Some(timestamp(credential.validity.not_before)),
            not_after: Some(timestamp(credential.validity.not_after)),
            issuer_key_id: credential.facts.issuer_key_id.clone(),
            renewal_address: credential.renewal_address.clone(),
            renew_time: (self.automatic && credential.revoked.get().is_none())
                .then(|| timestamp(credential.renew_at(self.renew_at))),
            certificate: credential.issuance.licensor.clone(),
        }
    }
}
