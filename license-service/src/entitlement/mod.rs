//! Entitlements: what the owner has of each vendor, as the vendors' roots have signed it.

use std::sync::Arc;

use tokio::sync::watch;
use verifier::EntitlementClaims;

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
