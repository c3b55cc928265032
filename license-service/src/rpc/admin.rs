//! `LicensingAdminService`: what the local administrator calls.

use std::sync::Arc;

use proto::licensing::v1::{
    EnrollRequest, EnrollResponse, RenewCertificateRequest, RenewCertificateResponse,
    licensing_admin_service_server::LicensingAdminService,
};
use tonic::{Request, Response, Status};

use crate::renewal::Renewal;

/// Serves enrolment and renewal by hand.
#[derive(Debug, Clone)]
pub(crate) struct AdminRpc {
    pub(crate) renewal: Arc<Renewal>,
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
}
