//! Entitlements: what the owner has of each vendor, as the vendors' roots have signed it.

mod changes;
mod check;

use std::sync::Arc;

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
};
use tokio::sync::watch;
use verifier::{EntitlementClaims, entitlement::Module};

use crate::credential::Credential;

pub(crate) use changes::{Change, changes};
pub(crate) use check::{Signers, check};

/// An entitlement that was checked and activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// What it says.
    pub(crate) claims: EntitlementClaims,
    /// The compact JWS.
    pub(crate) jws: String,
}

/// Every entitlement in force, by vendor.
pub(crate) type Entitlements = Arc<Vec<Arc<Installed>>>;

/// The entitlements in force, and word of every change.
pub(crate) type EntitlementWatch = watch::Receiver<Entitlements>;

/// What expires next, an entitlement or the licensor certificate: seconds since 1970.
pub(crate) fn next_expiry(installed: &[Arc<Installed>], credential: Option<&Credential>) -> Option<i64> {
    let entitlements = installed.iter().filter_map(|known| known.claims.entitlement.dates.expires);
    entitlements.chain(credential.map(|credential| credential.facts.not_after)).min()
}

impl Installed {
    pub(crate) fn vendor(&self) -> &str {
        &self.claims.entitlement.vendor
    }

    /// That new seats of a module can be taken at `now` (seconds since 1970); what their users should know.
    ///
    /// # Errors
    /// `ENTITLEMENT_EXPIRED`.
    pub(crate) fn check_open(&self, module: &Module, now: i64) -> Result<Vec<String>> {
        let dates = &self.claims.entitlement.dates;
        let date = |at: i64| rfc3339(from_unix_seconds(at));
        let expired = |what: String, at: i64| {
            let message = format!(
                "{what} expired on {}: licences that are out can be extended and released, new ones need a newer entitlement (`license-service entitlement check`)",
                date(at)
            );
            Err(Error::new(Reason::EntitlementExpired, message)
                .with("vendor", self.vendor())
                .with("module", &module.name)
                .with("expired_at", date(at)))
        };
        if let Some(at) = module.expires.filter(|at| now >= *at) {
            return expired(format!("{} of {}", module.name, self.vendor()), at);
        }
        if let Some(at) = dates.end_of_grace().filter(|at| now >= *at) {
            return expired(format!("the entitlement of {}", self.vendor()), dates.expires.unwrap_or(at));
        }
        Ok(self.warnings(now))
    }

    /// What the users of licences should know at `now` (seconds since 1970).
    pub(crate) fn warnings(&self, now: i64) -> Vec<String> {
        let dates = &self.claims.entitlement.dates;
        let date = |at: i64| rfc3339(from_unix_seconds(at));
        let mut warnings = Vec::new();
        if let Some(at) = dates.expires.filter(|at| now >= *at) {
            let until = dates.end_of_grace().unwrap_or(at);
            warnings.push(format!(
                "the entitlement of {} expired on {}; new licences are issued until {}",
                self.vendor(),
                date(at),
                date(until)
            ));
        }
        if let Some(at) = dates.maintenance_ends.filter(|at| now >= *at) {
            warnings.push(format!(
                "maintenance of {} ended on {}: there is no right to newer releases",
                self.vendor(),
                date(at)
            ));
        }
        warnings
    }
}
