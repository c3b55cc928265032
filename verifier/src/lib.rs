//! Offline verification of licensor certificates and of the licences signed with them, and of
//! entitlements.
//!
//! Everything here is a pure function of its arguments: no network, no file, and no clock (`now` is an argument), so
//! that a client can embed it anywhere and a test can stand at any instant.

pub mod audit;
pub mod certificate;
pub mod chain;
pub mod client;
pub mod entitlement;
pub mod jws;
pub mod license;
pub mod oid;
pub mod revocation;

pub use audit::{AuditError, Checkpoint, InclusionProof};
pub use certificate::Certificate;
pub use chain::{ChainError, verify_licensor_chain, verify_server_chain};
pub use client::{ClientCertificateError, ClientIdentity, verify_client_chain};
pub use entitlement::{Entitlement, EntitlementClaims, verify_entitlement};
pub use jws::{JwsError, Trust};
pub use license::{License, LicenseClaims, verify_license};
pub use revocation::{RevocationList, RevocationListError, Revoked};
