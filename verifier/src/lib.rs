//! Offline verification of licensor certificates and of the licences signed with them, and of
//! entitlements.
//!
//! Everything here is a pure function of its arguments: no network, no file, and no clock (`now` is an argument), so
//! that a client can embed it anywhere and a test can stand at any instant.
//!
//! ```
//! use rustls_pki_types::{CertificateDer, pem::PemObject};
//! use verifier::{Trust, verify_license};
//!
//! let license = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/example.jwt"));
//! let anchor = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/example-anchor.pem"));
//!
//! let anchors = [CertificateDer::from_pem_slice(anchor.as_bytes())?.to_vec()];
//! let trust = Trust { anchors: &anchors, leeway: 60, ..Trust::default() };
//! let now = 1_800_000_000; // the caller's clock, seconds since 1970
//!
//! let claims = verify_license(license, trust, now)?;
//! assert_eq!(claims.license.module, "crm");
//!
//! let late = verify_license(license, trust, claims.exp + 60).unwrap_err();
//! assert_eq!(late.reason(), "EXPIRED");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever verifies many licences of few signers passes [`KnownChains`] along: with `known: Some(&known)` in [`Trust`] the
//! chain of a signer is verified once, and the outcome is the same with and without.
//!
//! The rules are listed at [`verify_license`]; `tests/vectors/vectors.json` has cases of each.

pub mod audit;
pub mod certificate;
pub mod chain;
pub mod client;
pub mod entitlement;
mod json;
pub mod jws;
mod known;
pub mod license;
pub mod oid;
pub mod revocation;
mod signer;

pub use audit::{AuditError, Checkpoint, InclusionProof};
pub use certificate::Certificate;
pub use chain::{ChainError, verify_licensor_chain, verify_server_chain};
pub use client::{ClientCertificateError, ClientIdentity, verify_client_chain};
pub use entitlement::{Entitlement, EntitlementClaims, read_entitlement, verify_entitlement};
pub use jws::{JwsError, Trust};
pub use known::KnownChains;
pub use license::{License, LicenseClaims, verify_license};
pub use revocation::{RevocationList, RevocationListError, Revoked};
