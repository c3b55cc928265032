//! Offline verification of licensor certificates and of the licences signed with them.
//!
//! Everything here is a pure function of its arguments: no network, no file, and no clock (`now` is an argument), so
//! that a client can embed it anywhere and a test can stand at any instant.

pub mod audit;
pub mod certificate;
pub mod chain;
pub mod license;
pub mod oid;
pub mod revocation;

pub use audit::{AuditError, Checkpoint, InclusionProof};
pub use certificate::Certificate;
pub use chain::{ChainError, verify_licensor_chain, verify_server_chain};
pub use license::{License, LicenseClaims, LicenseError, Trust, verify_license};
pub use revocation::{RevocationList, RevocationListError, Revoked};
