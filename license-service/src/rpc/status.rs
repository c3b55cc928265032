//! `StatusService`: how the server is, also while it is disabled.

use std::sync::Arc;

use licensor::{
    clock::{SharedClock, from_unix_seconds, timestamp},
    error::{Error, Result},
};
use proto::licensing::v1::{
    Database, GetStatusRequest, GetStatusResponse, LicensorCertificate, status_service_server::StatusService,
};
use tonic::{Request, Response, Status};

use crate::{
    config::DatabaseKind,
    credential::{Credential, enabled},
    entitlement::next_expiry,
    ledger::Ledger,
    licensing::Licensing,
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
    pub(crate) database: DatabaseKind,
    pub(crate) licensing: Arc<Licensing>,
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
            database: Some(self.database()),
        }))
    }
}

impl StatusRpc {
    fn database(&self) -> Database {
        let kind = match self.database {
            DatabaseKind::Central => proto::licensing::v1::DatabaseKind::Central,
            DatabaseKind::Satellite => proto::licensing::v1::DatabaseKind::Satellite,
        };
        let next = next_expiry(&self.licensing.entitlements().borrow(), self.credential.borrow().as_deref());
        Database { kind: kind.into(), next_expire_time: next.map(|at| timestamp(from_unix_seconds(at))) }
    }

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
