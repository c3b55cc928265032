//! `LicensingAdminService`: what the local administrator calls.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use proto::licensing::v1::{
    CheckUsageRequest, CheckUsageResponse, EnrollRequest, EnrollResponse, ExportRequestRequest,
    ExportRequestResponse, ImportAnswerRequest, ImportAnswerResponse, RenewCertificateRequest,
    RenewCertificateResponse, licensing_admin_service_server::LicensingAdminService,
};
use tonic::{Request, Response, Status};

use super::metering::check_usage;
use crate::{metering::Metering, renewal::Renewal};

/// Serves enrolment and renewal by hand, and by files that are carried, and the recount of usage.
#[derive(Debug, Clone)]
pub(crate) struct AdminRpc {
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) metering: Arc<Metering>,
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

    type CheckUsageStream = Pin<Box<dyn Stream<Item = Result<CheckUsageResponse, Status>> + Send>>;

    async fn check_usage(
        &self,
        _: Request<CheckUsageRequest>,
    ) -> Result<Response<Self::CheckUsageStream>, Status> {
        Ok(Response::new(Box::pin(check_usage(self.metering.clone()))))
    }
}
