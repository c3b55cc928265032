//! `LicensingService`: what clients call.

use std::sync::Arc;

use licensor::{
    clock::timestamp,
    error::{Error, Reason, Result},
    page::page_size,
};
use proto::licensing::v1::{
    AcquireLicenseRequest, AcquireLicenseResponse, ListModulesRequest, ListModulesResponse, Module,
    licensing_service_server::LicensingService,
};
use tonic::{Request, Response, Status};

use crate::licensing::Licensing;

/// Serves licences.
#[derive(Debug, Clone)]
pub(crate) struct LicensingRpc {
    pub(crate) licensing: Arc<Licensing>,
}

#[tonic::async_trait]
impl LicensingService for LicensingRpc {
    async fn list_modules(
        &self,
        request: Request<ListModulesRequest>,
    ) -> Result<Response<ListModulesResponse>, Status> {
        self.licensing.enabled()?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let modules = self.licensing.modules();
        let start = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().ok().filter(|start| *start <= modules.len()).ok_or_else(|| {
                let message = "page_token was not given out by ListModules: leave it empty to begin";
                Error::new(Reason::InvalidArgument, message)
            })?,
        };
        let end = modules.len().min(start + limit);
        let shown = modules[start..end].iter().map(|module| Module {
            vendor: module.vendor.clone(),
            name: module.name.clone(),
            features: module.features.clone(),
            lease: prost_types::Duration::try_from(module.lease.0).ok(),
        });
        Ok(Response::new(ListModulesResponse {
            modules: shown.collect(),
            next_page_token: if end < modules.len() { end.to_string() } else { String::new() },
        }))
    }

    async fn acquire_license(
        &self,
        request: Request<AcquireLicenseRequest>,
    ) -> Result<Response<AcquireLicenseResponse>, Status> {
        let request = request.into_inner();
        let issued = self.licensing.acquire(&request.vendor, &request.module, &request.subject).await?;
        Ok(Response::new(AcquireLicenseResponse {
            license: issued.license,
            license_id: issued.id,
            expire_time: Some(timestamp(issued.expires_at)),
        }))
    }
}
