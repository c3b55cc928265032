//! `LicensingAdminService`: what the local administrator calls.

use std::sync::Arc;

use proto::licensing::v1::{
    AddEventRequest, AddEventResponse, CreateAccessTokenRequest, CreateAccessTokenResponse, EndEventRequest,
    EndEventResponse, EnrollRequest, EnrollResponse, ExportRequestRequest, ExportRequestResponse,
    ImportAnswerRequest, ImportAnswerResponse, ListAccessTokensRequest, ListAccessTokensResponse,
    RenewCertificateRequest, RenewCertificateResponse, RevokeAccessTokenRequest, RevokeAccessTokenResponse,
    licensing_admin_service_server::LicensingAdminService,
};
use tonic::{Request, Response, Status};

use super::{access, system_event};
use crate::{access::Access, renewal::Renewal, system_event::SystemEvents};

/// Serves enrolment and renewal by hand, and by files that are carried; access tokens, and events of the
/// administrator.
#[derive(Debug, Clone)]
pub(crate) struct AdminRpc {
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) access: Arc<Access>,
    pub(crate) system_events: SystemEvents,
}

#[tonic::async_trait]
impl LicensingAdminService for AdminRpc {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let credential = self.renewal.enroll(&request.into_inner().token).await?;
        Ok(Response::new(EnrollResponse { certificate: credential.issuance.licensor.clone() }))
    }

    async fn renew_certificate(
        &self,
        request: Request<RenewCertificateRequest>,
    ) -> Result<Response<RenewCertificateResponse>, Status> {
        let credential = self.renewal.renew(request.into_inner().same_key).await?;
        Ok(Response::new(RenewCertificateResponse { certificate: credential.issuance.licensor.clone() }))
    }

    async fn export_request(
        &self,
        request: Request<ExportRequestRequest>,
    ) -> Result<Response<ExportRequestResponse>, Status> {
        let ExportRequestRequest { token, same_key } = request.into_inner();
        let request = self.renewal.export(&token, same_key).await?;
        Ok(Response::new(ExportRequestResponse { request }))
    }

    async fn import_answer(
        &self,
        request: Request<ImportAnswerRequest>,
    ) -> Result<Response<ImportAnswerResponse>, Status> {
        let credential = self.renewal.import(&request.into_inner().answer).await?;
        Ok(Response::new(ImportAnswerResponse { certificate: credential.issuance.licensor.clone() }))
    }

    async fn create_access_token(
        &self,
        request: Request<CreateAccessTokenRequest>,
    ) -> Result<Response<CreateAccessTokenResponse>, Status> {
        access::create(self.access.tokens(), request).await
    }

    async fn list_access_tokens(
        &self,
        request: Request<ListAccessTokensRequest>,
    ) -> Result<Response<ListAccessTokensResponse>, Status> {
        access::list(self.access.tokens(), &request.into_inner())
    }

    async fn revoke_access_token(
        &self,
        request: Request<RevokeAccessTokenRequest>,
    ) -> Result<Response<RevokeAccessTokenResponse>, Status> {
        access::revoke(self.access.tokens(), request).await
    }

    async fn add_event(
        &self,
        request: Request<AddEventRequest>,
    ) -> Result<Response<AddEventResponse>, Status> {
        system_event::add(&self.system_events, request).await
    }

    async fn end_event(
        &self,
        request: Request<EndEventRequest>,
    ) -> Result<Response<EndEventResponse>, Status> {
        system_event::end(&self.system_events, request).await
    }
}
