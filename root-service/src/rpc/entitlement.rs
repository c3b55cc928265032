//! What the local administrator's calls about entitlements do.

use licensor::{
    error::{Error, Reason, Result},
    page::page_size,
};
use proto::certification::v1::{
    ListEntitlementsRequest, ListEntitlementsResponse, PutEntitlementResponse, ShowEntitlementResponse,
};

use super::{AdminRpc, shown};
use crate::{authority::Put, entitlement::Stated};

impl AdminRpc {
    /// Puts a document; the answer, and how the entitlement is named.
    pub(super) async fn put(&self, document: &str, by: &str) -> Result<(PutEntitlementResponse, String)> {
        let stated = self.noted("PutEntitlement", "", by, Stated::read(document)).await?;
        let about = shown::entitlement_name(&stated.owner, &stated.entitlement.vendor);
        let put = self.authority.put_entitlement(&stated, document, by).await;
        let Put { record, jws, document, unchanged } = self.noted("PutEntitlement", &about, by, put).await?;
        let entitlement = Some(shown::entitlement(record, jws, document));
        Ok((PutEntitlementResponse { entitlement, unchanged }, about))
    }

    pub(super) async fn entitlements(
        &self,
        request: &ListEntitlementsRequest,
    ) -> Result<ListEntitlementsResponse> {
        let limit = page_size(request.page_size)?;
        let (page, next_page_token) =
            self.ledger().entitlements(&request.owner, &request.page_token, limit).await?;
        let entitlements =
            page.into_iter().map(|(record, jws)| shown::entitlement(record, jws, String::new())).collect();
        Ok(ListEntitlementsResponse { entitlements, next_page_token })
    }

    pub(super) async fn entitlement(&self, owner: &str, vendor: &str) -> Result<ShowEntitlementResponse> {
        let ledger = self.ledger();
        let unknown = || {
            let message = format!(
                "there is no entitlement {}: see `root-service entitlement list`",
                shown::entitlement_name(owner, vendor)
            );
            Error::new(Reason::EntitlementUnknown, message).with("owner", owner).with("vendor", vendor)
        };
        let record = if vendor.is_empty() {
            let mut all = ledger.entitlements_of(owner).await?;
            let record = all.pop().ok_or_else(unknown)?;
            if !all.is_empty() {
                let message = format!("{owner} has entitlements of {} vendors: name one", all.len() + 1);
                return Err(Error::new(Reason::InvalidArgument, message).with("owner", owner));
            }
            record
        } else {
            ledger.entitlement(owner, vendor).await?.ok_or_else(unknown)?.record
        };
        let (record, jws) = self.authority.signed_entitlement(record).await?;
        let document = ledger.entitlement_text(&record.document).await?;
        Ok(ShowEntitlementResponse { entitlement: Some(shown::entitlement(record, jws, document)) })
    }
}
