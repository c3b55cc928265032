//! `CertificationService`: what licensing servers call.

use std::sync::Arc;

use licensor::{
    clock::{SharedClock, timestamp},
    error::{Error, Result},
    serve::{Peer, PeerCertificate},
    telemetry::{Metrics, Outcomes},
};
use proto::certification::v1::{
    EnrollRequest, EnrollResponse, GetEntitlementRequest, GetEntitlementResponse, GetRevocationListRequest,
    GetRevocationListResponse, GetTrustBundleRequest, GetTrustBundleResponse, Issuer, RenewRequest,
    RenewResponse, RenewalWindow, TrustBundle, certification_service_server::CertificationService,
};
use tonic::{Extensions, Request, Response, Status};

use super::shown;
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
        let result = self.authority.enroll(&request.token, enrollment_requests(&request)).await;
        let issued = count(&self.metrics.enrollments, result)?;
        Ok(Response::new(enroll_response(&self.authority, &self.audit, issued)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let peer = peer_certificate(request.extensions());
        let request = request.into_inner();
        let result = async {
            let caller = self.authority.identify(peer.as_deref()).await?;
            self.authority.renew(caller, renewal_requests(&request)).await
        };
        let issued = count(&self.metrics.renewals, result.await)?;
        self.metrics.set_last_renewal(self.clock.now());
        Ok(Response::new(renew_response(&self.authority, &self.audit, issued)))
    }

    async fn get_trust_bundle(
        &self,
        _: Request<GetTrustBundleRequest>,
    ) -> Result<Response<GetTrustBundleResponse>, Status> {
        Ok(Response::new(GetTrustBundleResponse { trust_bundle: Some(trust_bundle(&self.authority)) }))
    }

    async fn get_revocation_list(
        &self,
        request: Request<GetRevocationListRequest>,
    ) -> Result<Response<GetRevocationListResponse>, Status> {
        let request = request.into_inner();
        let list = self.authority.revocation_list(&request.issuer_key_id)?;
        let revocation_list = if request.known_number == list.number { Vec::new() } else { list.der.clone() };
        Ok(Response::new(GetRevocationListResponse {
            revocation_list,
            number: list.number,
            this_update: Some(timestamp(list.this_update)),
            next_update: Some(timestamp(list.next_update)),
        }))
    }

    async fn get_entitlement(
        &self,
        request: Request<GetEntitlementRequest>,
    ) -> Result<Response<GetEntitlementResponse>, Status> {
        let caller = self.authority.identify(peer_certificate(request.extensions()).as_deref()).await?;
        let entitlements = self.authority.entitlements_for(&caller).await?.into_iter();
        Ok(Response::new(GetEntitlementResponse {
            entitlements: entitlements.map(|(record, jws)| shown::signed_entitlement(record, jws)).collect(),
        }))
    }
}

/// What an enrolment asks for.
pub(super) fn enrollment_requests(request: &EnrollRequest) -> CertificateRequests<'_> {
    CertificateRequests {
        licensor: &request.licensor_csr,
        server: &request.server_csr,
        authority: &request.authority_csr,
    }
}

/// What a renewal asks for.
pub(super) fn renewal_requests(request: &RenewRequest) -> CertificateRequests<'_> {
    CertificateRequests {
        licensor: &request.licensor_csr,
        server: &request.server_csr,
        authority: &request.authority_csr,
    }
}

/// The answer to an enrolment.
pub(super) fn enroll_response(authority: &Authority, audit: &Audit, issued: Issued) -> EnrollResponse {
    let Issued { certificate, renewal_window, issuer } = issued;
    EnrollResponse {
        licensor_certificate: certificate.licensor,
        server_certificate: certificate.server,
        authority_certificate: certificate.authority,
        issuers: issuer.issuers.clone(),
        trust_bundle: Some(trust_bundle(authority)),
        renewal_window: Some(window(renewal_window)),
        revocation_list_number: authority.revocation_list_number(&issuer),
        audit_checkpoint: audit.newest(),
        renewal_address: authority.public_address().to_owned(),
    }
}

/// The answer to a renewal.
pub(super) fn renew_response(authority: &Authority, audit: &Audit, issued: Issued) -> RenewResponse {
    let EnrollResponse {
        licensor_certificate,
        server_certificate,
        issuers,
        trust_bundle,
        renewal_window,
        revocation_list_number,
        audit_checkpoint,
        authority_certificate,
        renewal_address,
    } = enroll_response(authority, audit, issued);
    RenewResponse {
        licensor_certificate,
        server_certificate,
        issuers,
        trust_bundle,
        renewal_window,
        revocation_list_number,
        audit_checkpoint,
        authority_certificate,
        renewal_address,
    }
}

fn trust_bundle(authority: &Authority) -> TrustBundle {
    let generations = authority.generations();
    let issuers = generations.in_bundle().map(|generation| Issuer {
        key_id: generation.key_id().to_owned(),
        certificates: generation.issuers.clone(),
    });
    TrustBundle {
        trust_domain: authority.trust_domain().to_owned(),
        trust_anchors: generations.trust_anchors(authority.now()),
        issuers: issuers.collect(),
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
