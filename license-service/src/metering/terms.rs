//! What entitlements say of metered services: which there are, in whose time zone, and on what terms, now and before.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

use licensor::{
    error::{Error, Reason, Result},
    store::StoreError,
};
use verifier::{
    EntitlementClaims,
    entitlement::{Allowance, Service},
};

use super::{
    item::vendor_mark,
    month::{Month, Zone},
};
use crate::{
    entitlement::Installed,
    ledger::{Ledger, TermsRecord, VendorRecord},
};

/// One entitlement, as far as it concerns metering.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) claims: EntitlementClaims,
    /// Where its months begin, or why nothing can be metered.
    pub(crate) zone: Result<Zone>,
    /// Stands for the vendor.
    pub(crate) mark: [u8; 4],
}

impl Terms {
    pub(crate) fn new(claims: EntitlementClaims) -> Self {
        let zone = Zone::named(&claims.entitlement.time_zone);
        let mark = vendor_mark(&claims.entitlement.vendor);
        Self { claims, zone, mark }
    }

    pub(crate) fn vendor(&self) -> &str {
        &self.claims.entitlement.vendor
    }

    pub(crate) fn services(&self) -> &[Service] {
        &self.claims.entitlement.services
    }

    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services().iter().find(|service| service.name == name)
    }
}

/// Terms as they are kept.
pub(super) fn record(claims: &EntitlementClaims) -> Result<TermsRecord, StoreError> {
    let claims = serde_json::to_string(claims)
        .map_err(|error| StoreError::Damaged { path: "the entitlement".into(), cause: error.to_string() })?;
    Ok(TermsRecord { claims })
}

/// What a month includes: `base + per_user × users`; more than can be counted is all that can be.
pub(crate) fn included(allowance: &Allowance, users: u64) -> u64 {
    allowance.per_user.saturating_mul(users).saturating_add(allowance.base)
}

/// The entitlements in force.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    by_vendor: Vec<Arc<Terms>>,
    /// For each name of a service those that have it: positions of the entitlement and of the service in it.
    by_service: HashMap<String, Vec<(usize, usize)>>,
}

impl InForce {
    pub(crate) fn new(installed: &[Arc<Installed>]) -> Self {
        let by_vendor: Vec<_> =
            installed.iter().map(|installed| Arc::new(Terms::new(installed.claims.clone()))).collect();
        let mut by_service: HashMap<String, Vec<_>> = HashMap::new();
        for (vendor, terms) in by_vendor.iter().enumerate() {
            for (position, service) in terms.services().iter().enumerate() {
                by_service.entry(service.name.clone()).or_default().push((vendor, position));
            }
        }
        Self { by_vendor, by_service }
    }

    /// Those that meter something.
    pub(crate) fn metering(&self) -> impl Iterator<Item = &Arc<Terms>> {
        self.by_vendor.iter().filter(|terms| !terms.services().is_empty())
    }

    /// The service with this name, of this vendor if one is named, and the entitlement that has it.
    ///
    /// # Errors
    /// `SERVICE_UNKNOWN`, `SERVICE_AMBIGUOUS`, or `USAGE_OF_ANOTHER_OWNER`.
    pub(crate) fn find(&self, vendor: &str, service: &str, owner: &str) -> Result<(&Arc<Terms>, &Service)> {
        let all = self.by_service.get(service).map(Vec::as_slice).unwrap_or_default();
        let mut found = all
            .iter()
            .map(|(terms, position)| (&self.by_vendor[*terms], *position))
            .filter(|(terms, _)| vendor.is_empty() || terms.vendor() == vendor);
        let Some((terms, position)) = found.next() else {
            let whose = if vendor.is_empty() { "any vendor".to_owned() } else { format!("`{vendor}`") };
            let message = format!(
                "no entitlement in force has a service `{service}` of {whose}: see `license-service usage show`, and ask the vendor"
            );
            return Err(Error::new(Reason::ServiceUnknown, message));
        };
        if let Some((other, _)) = found.next() {
            let message = format!(
                "`{service}` is a service of {} and of {}: say of which vendor",
                terms.vendor(),
                other.vendor()
            );
            return Err(Error::new(Reason::ServiceAmbiguous, message));
        }
        if !owner.is_empty() && owner != terms.claims.sub {
            let message = format!("this server meters for {}, and not for `{owner}`", terms.claims.sub);
            return Err(Error::new(Reason::UsageOfAnotherOwner, message));
        }
        Ok((terms, &terms.services()[position]))
    }
}

/// What is known of one vendor's months.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(crate) record: VendorRecord,
    /// What was in force, and from when on (seconds since 1970), oldest first.
    pub(crate) terms: Vec<(i64, Arc<Terms>)>,
}

impl Book {
    /// The first month whose statement is not final.
    pub(crate) fn open(&self) -> Month {
        Month(self.record.open)
    }

    /// What was in force just before `end`; what came first if that was later. A book has one at least.
    pub(crate) fn terms_before(&self, end: i64) -> Option<&Arc<Terms>> {
        let before = self.terms.iter().rev().find(|(from, _)| *from < end);
        before.or(self.terms.first()).map(|(_, terms)| terms)
    }

    /// What was in force last before `end`, or else first after it, and had this service.
    pub(crate) fn terms_with(&self, service: &str, end: i64) -> Option<&Arc<Terms>> {
        let has = |(_, terms): &&(i64, Arc<Terms>)| terms.service(service).is_some();
        let before = self.terms.iter().rev().filter(|(from, _)| *from < end).find(has);
        before.or_else(|| self.terms.iter().find(has)).map(|(_, terms)| terms)
    }

    /// The newest time zone that is known.
    pub(crate) fn zone(&self) -> Option<&Zone> {
        self.terms.iter().rev().find_map(|(_, terms)| terms.zone.as_ref().ok())
    }
}

/// The books of all vendors.
pub(crate) type Books = BTreeMap<String, Book>;

/// Reads the books of all vendors.
pub(crate) async fn read_books(ledger: &Ledger) -> Result<Books, StoreError> {
    let mut books = Books::new();
    for (vendor, record) in ledger.usage_vendors().await? {
        let mut terms = Vec::new();
        for (from, TermsRecord { claims }) in ledger.terms(&vendor).await? {
            let claims = serde_json::from_str(&claims).map_err(|error| StoreError::Damaged {
                path: "the ledger".into(),
                cause: format!("terms of {vendor}: {error}"),
            })?;
            terms.push((from, Arc::new(Terms::new(claims))));
        }
        books.insert(vendor, Book { record, terms });
    }
    Ok(books)
}
