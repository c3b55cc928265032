//! `CertificationService`: what licensing servers call.

use std::sync::Arc;

use licensor::{
    clock::{SharedClock, timestamp},
    error::{Error, Result},
    serve::{Peer, PeerCertificate},
    telemetry::{Metrics, Outcomes},
};
use proto::certification::v1::{
    EnrollRequest, EnrollResponse, GetRevocationListRequest, GetRevocationListResponse,
    GetTrustBundleRequest, GetTrustBundleResponse, RenewRequest, RenewResponse, RenewalWindow, TrustBundle,
    certification_service_server::CertificationService,
};
use tonic::{Extensions, Request, Response, Status};

use crate::{
    audit::Audit,
    authority::{Authority, CertificateRequests, Issued},
};

/// Serves the authority to licensing servers.
#[derive(Debug, Clone)]
pub(crate) struct CertificationRpc {
    pub(crate) authority: Arc<Authority>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: SharedClock,
}

#[tonic::async_trait]
impl CertificationService for CertificationRpc {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let request = request.into_inner();
        let requests = CertificateRequests { licensor: &request.licensor_csr, server: &request.server_csr };
        let result = self.authority.enroll(&request.token, requests).await;
        let Issued { certificate, renewal_window } = count(&self.metrics.enrollments, result)?;
        Ok(Response::new(EnrollResponse {
            licensor_certificate: certificate.licensor,
            server_certificate: certificate.server,
            issuers: self.authority.issuers().to_vec(),
            trust_bundle: Some(self.trust_bundle()),
            renewal_window: Some(window(renewal_window)),
            revocation_list_number: self.authority.revocation_list_number(),
            audit_checkpoint: self.audit.newest(),
        }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let peer = peer_certificate(request.extensions());
        let request = request.into_inner();
        let requests = CertificateRequests { licensor: &request.licensor_csr, server: &request.server_csr };
        let result = async {
            let caller = self.authority.identify(peer.as_deref()).await?;
            self.authority.renew(caller, requests).await
        };
        let Issued { certificate, renewal_window } = count(&self.metrics.renewals, result.await)?;
        self.metrics.set_last_renewal(self.clock.now());
        Ok(Response::new(RenewResponse {
            licensor_certificate: certificate.licensor,
            server_certificate: certificate.server,
            issuers: self.authority.issuers().to_vec(),
            trust_bundle: Some(self.trust_bundle()),
            renewal_window: Some(window(renewal_window)),
            revocation_list_number: self.authority.revocation_list_number(),
            audit_checkpoint: self.audit.newest(),
        }))
    }

    async fn get_trust_bundle(
        &self,
        _: Request<GetTrustBundleRequest>,
    ) -> Result<Response<GetTrustBundleResponse>, Status> {
        Ok(Response::new(GetTrustBundleResponse { trust_bundle: Some(self.trust_bundle()) }))
    }

    async fn get_revocation_list(
        &self,
        request: Request<GetRevocationListRequest>,
    ) -> Result<Response<GetRevocationListResponse>, Status> {
        let request = request.into_inner();
        let list = self.authority.revocation_list_of(&request.issuer_key_id)?;
        let revocation_list = if request.known_number == list.number { Vec::new() } else { list.der.clone() };
        Ok(Response::new(GetRevocationListResponse {
            revocation_list,
            number: list.number,
            this_update: Some(timestamp(list.this_update)),
            next_update: Some(timestamp(list.next_update)),
        }))
    }
}

impl CertificationRpc {
    fn trust_bundle(&self) -> TrustBundle {
        TrustBundle {
            trust_domain: self.authority.trust_domain().to_owned(),
            trust_anchors: vec![self.authority.trust_anchor().to_vec()],
        }
    }
}

/// The client certificate of the connection that a request came on.
pub(super) fn peer_certificate(extensions: &Extensions) -> Option<Arc<PeerCertificate>> {
    extensions.get::<Peer>()?.certificate.clone()
}

fn count<T>(outcomes: &Outcomes, result: Result<T, Error>) -> Result<T, Error> {
    match &result {
        Ok(_) => outcomes.ok(),
        Err(error) => outcomes.failed(error.reason),
    }
    result
}

fn window((start, end): (std::time::SystemTime, std::time::SystemTime)) -> RenewalWindow {
    RenewalWindow { start: Some(timestamp(start)), end: Some(timestamp(end)) }
}
