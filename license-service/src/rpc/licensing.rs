//! `LicensingService`: what applications call, and the local administrator.

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::{from_unix_seconds, timestamp},
    error::{Error, Reason, Result},
    page::page_size,
};
use proto::licensing::v1::{
    AcquireLicenseRequest, AcquireLicenseResponse, AssignLicenseRequest, AssignLicenseResponse, Assignment,
    BorrowLicenseRequest, BorrowLicenseResponse, ExtendLicenseRequest, ExtendLicenseResponse, IssuedLicense,
    ListAssignmentsRequest, ListAssignmentsResponse, ListModulesRequest, ListModulesResponse,
    ReleaseLicenseRequest, ReleaseLicenseResponse, UnassignLicenseRequest, UnassignLicenseResponse,
    licensing_service_server::LicensingService,
};
use tonic::{Extensions, Request, Response, Status};

use super::shown;
use crate::access::Caller;
use crate::licensing::{Issued, Licensing, SeatInUse, Wanted};

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
        // An application shall hear at once that it gets nothing; the administrator looks at what there is.
        if !matches!(request.extensions().get(), Some(Caller::Administrator(_))) {
            self.licensing.enabled()?;
        }
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let modules = self.licensing.modules(&request.vendor);
        let start = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().ok().filter(|start| *start <= modules.len()).ok_or_else(|| {
                let message = "page_token was not given out by ListModules: leave it empty to begin";
                Error::new(Reason::InvalidArgument, message)
            })?,
        };
        let end = modules.len().min(start + limit);
        Ok(Response::new(ListModulesResponse {
            modules: modules[start..end].iter().map(shown::module).collect(),
            next_page_token: if end < modules.len() { end.to_string() } else { String::new() },
        }))
    }

    async fn acquire_license(
        &self,
        request: Request<AcquireLicenseRequest>,
    ) -> Result<Response<AcquireLicenseResponse>, Status> {
        let AcquireLicenseRequest { vendor, module, subject, device, session } = request.into_inner();
        let issued =
            self.licensing.acquire(Wanted { vendor, module, user: subject, device, session }).await?;
        let IssuedLicense { license, license_id, expire_time, warnings } = issued_license(issued);
        Ok(Response::new(AcquireLicenseResponse { license, license_id, expire_time, warnings }))
    }

    async fn extend_license(
        &self,
        request: Request<ExtendLicenseRequest>,
    ) -> Result<Response<ExtendLicenseResponse>, Status> {
        let issued = self.licensing.extend(&request.into_inner().license_id).await?;
        Ok(Response::new(ExtendLicenseResponse { license: Some(issued_license(issued)) }))
    }

    async fn release_license(
        &self,
        request: Request<ReleaseLicenseRequest>,
    ) -> Result<Response<ReleaseLicenseResponse>, Status> {
        self.licensing.release(&request.into_inner().license_id).await?;
        Ok(Response::new(ReleaseLicenseResponse {}))
    }

    async fn borrow_license(
        &self,
        request: Request<BorrowLicenseRequest>,
    ) -> Result<Response<BorrowLicenseResponse>, Status> {
        let BorrowLicenseRequest { vendor, module, subject, device, term } = request.into_inner();
        let term = term.and_then(|term| Duration::try_from(term).ok()).unwrap_or_default();
        let wanted = Wanted { vendor, module, user: subject, device, session: String::new() };
        let issued = self.licensing.borrow(wanted, term).await?;
        Ok(Response::new(BorrowLicenseResponse { license: Some(issued_license(issued)) }))
    }

    async fn assign_license(
        &self,
        request: Request<AssignLicenseRequest>,
    ) -> Result<Response<AssignLicenseResponse>, Status> {
        let by = caller(request.extensions());
        let AssignLicenseRequest { vendor, module, user } = request.into_inner();
        let wanted = Wanted { vendor, module, user, ..Wanted::default() };
        let seat = self.licensing.assign(wanted, &by).await?;
        Ok(Response::new(AssignLicenseResponse { assignment: Some(assignment(seat)) }))
    }

    async fn unassign_license(
        &self,
        request: Request<UnassignLicenseRequest>,
    ) -> Result<Response<UnassignLicenseResponse>, Status> {
        let by = caller(request.extensions());
        let UnassignLicenseRequest { vendor, module, user } = request.into_inner();
        self.licensing.unassign(Wanted { vendor, module, user, ..Wanted::default() }, &by).await?;
        Ok(Response::new(UnassignLicenseResponse {}))
    }

    async fn list_assignments(
        &self,
        request: Request<ListAssignmentsRequest>,
    ) -> Result<Response<ListAssignmentsResponse>, Status> {
        let request = request.into_inner();
        let (seats, next_page_token) = self
            .licensing
            .seats(
                &request.vendor,
                &request.module,
                request.assigned_only,
                &request.page_token,
                page_size(request.page_size)?,
            )
            .await?;
        let assignments = seats.into_iter().map(assignment).collect();
        Ok(Response::new(ListAssignmentsResponse { assignments, next_page_token }))
    }
}

/// What the gate says of who calls.
fn caller(extensions: &Extensions) -> String {
    extensions.get::<Caller>().map_or_else(|| "service".to_owned(), Caller::name)
}

fn issued_license(issued: Issued) -> IssuedLicense {
    IssuedLicense {
        license: issued.license,
        license_id: issued.id,
        expire_time: Some(timestamp(issued.expires_at)),
        warnings: issued.warnings,
    }
}

fn assignment(seat: SeatInUse) -> Assignment {
    let SeatInUse { place, record } = seat;
    Assignment {
        license_id: match record.until {
            0 => String::new(),
            _ => format!("{}-{}", verifier::certificate::hex(&record.lease), record.issued),
        },
        since_time: Some(timestamp(from_unix_seconds(record.since))),
        holder: Some(shown::holder(record)),
        vendor: place.vendor,
        module: place.module,
    }
}
