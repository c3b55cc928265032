//! `LicensingAdminService`: what the local administrator calls.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use licensor::admin::{self, caller_name};
use licensor::clock::{from_unix_seconds, timestamp};
use licensor::error::Error;
use licensor_web::screen::{Screen, sign_in_link};
use proto::licensing::v1::{
    AcceptClockRequest, AcceptClockResponse, ActivateEntitlementRequest, ActivateEntitlementResponse,
    AddEventRequest, AddEventResponse, CheckEntitlementRequest, CheckEntitlementResponse, CheckUsageRequest,
    CheckUsageResponse, CreateAccessTokenRequest, CreateAccessTokenResponse, CreateSignInLinkRequest,
    CreateSignInLinkResponse, EndEventRequest, EndEventResponse, EnrollRequest, EnrollResponse,
    ExportRequestRequest, ExportRequestResponse, ImportAnswerRequest, ImportAnswerResponse,
    ImportEntitlementRequest, ImportEntitlementResponse, ListAccessTokensRequest, ListAccessTokensResponse,
    ListInstalledEntitlementsRequest, ListInstalledEntitlementsResponse, RenewCertificateRequest,
    RenewCertificateResponse, RevokeAccessTokenRequest, RevokeAccessTokenResponse,
    licensing_admin_service_server::LicensingAdminService,
};
use tonic::{Request, Response, Status};

use super::{access, metering::check_usage, shown, system_event};
use crate::{
    access::Access, metering::Metering, renewal::Renewal, system_event::SystemEvents, updates::Updates,
};

/// Serves what the local administrator does: enrolment, renewal, entitlements, access tokens, events, and the recount of
/// usage.
#[derive(Debug, Clone)]
pub(crate) struct AdminRpc {
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) updates: Arc<Updates>,
    pub(crate) access: Arc<Access>,
    pub(crate) system_events: SystemEvents,
    pub(crate) metering: Arc<Metering>,
    /// The screen, if there is one.
    pub(crate) screen: Option<Arc<Screen>>,
}

#[tonic::async_trait]
impl LicensingAdminService for AdminRpc {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let by = caller_name(request.extensions());
        let credential = self.renewal.enroll(&request.into_inner().token, &by).await?;
        Ok(Response::new(EnrollResponse { certificate: credential.issuance.licensor.clone() }))
    }

    async fn renew_certificate(
        &self,
        request: Request<RenewCertificateRequest>,
    ) -> Result<Response<RenewCertificateResponse>, Status> {
        let by = caller_name(request.extensions());
        let credential = self.renewal.renew(request.into_inner().same_key, &by).await?;
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
        let by = caller_name(request.extensions());
        let credential = self.renewal.import(&request.into_inner().answer, &by).await?;
        Ok(Response::new(ImportAnswerResponse { certificate: credential.issuance.licensor.clone() }))
    }

    async fn list_installed_entitlements(
        &self,
        _: Request<ListInstalledEntitlementsRequest>,
    ) -> Result<Response<ListInstalledEntitlementsResponse>, Status> {
        let installed = self.updates.licensing.entitlements().borrow().clone();
        let entitlements = installed.iter().map(|installed| shown::installed(installed)).collect();
        Ok(Response::new(ListInstalledEntitlementsResponse { entitlements }))
    }

    async fn check_entitlement(
        &self,
        _: Request<CheckEntitlementRequest>,
    ) -> Result<Response<CheckEntitlementResponse>, Status> {
        let previews = self.updates.check().await?.into_iter().map(shown::preview).collect();
        Ok(Response::new(CheckEntitlementResponse { previews }))
    }

    async fn import_entitlement(
        &self,
        request: Request<ImportEntitlementRequest>,
    ) -> Result<Response<ImportEntitlementResponse>, Status> {
        let preview = self.updates.import(&request.into_inner().entitlement).await?;
        Ok(Response::new(ImportEntitlementResponse { preview: Some(shown::preview(preview)) }))
    }

    async fn activate_entitlement(
        &self,
        request: Request<ActivateEntitlementRequest>,
    ) -> Result<Response<ActivateEntitlementResponse>, Status> {
        let by = caller_name(request.extensions());
        let ActivateEntitlementRequest { vendor, remove_superfluous } = request.into_inner();
        let (installed, removed) = self.updates.activate(&vendor, None, remove_superfluous, &by).await?;
        Ok(Response::new(ActivateEntitlementResponse {
            entitlement: Some(shown::installed(&installed)),
            removed: removed.into_iter().map(shown::superfluous).collect(),
        }))
    }

    async fn accept_clock(
        &self,
        request: Request<AcceptClockRequest>,
    ) -> Result<Response<AcceptClockResponse>, Status> {
        let by = caller_name(request.extensions());
        let now = self.updates.licensing.accept_clock().await?;
        tracing::warn!(by, "the clock was accepted as it is, though a later time was seen");
        Ok(Response::new(AcceptClockResponse { time: Some(timestamp(now)) }))
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

    async fn create_sign_in_link(
        &self,
        request: Request<CreateSignInLinkRequest>,
    ) -> Result<Response<CreateSignInLinkResponse>, Status> {
        let uid = admin::caller(request.extensions())
            .ok_or_else(|| Error::internal("admin socket", "the caller has no uid"))?;
        let (url, expires_at) = sign_in_link(self.screen.as_deref(), uid).await?;
        let expire_time = Some(timestamp(from_unix_seconds(expires_at)));
        Ok(Response::new(CreateSignInLinkResponse { url, expire_time }))
    }

    type CheckUsageStream = Pin<Box<dyn Stream<Item = Result<CheckUsageResponse, Status>> + Send>>;

    async fn check_usage(
        &self,
        _: Request<CheckUsageRequest>,
    ) -> Result<Response<Self::CheckUsageStream>, Status> {
        Ok(Response::new(Box::pin(check_usage(self.metering.clone()))))
    }
}
