//! Validation of a licensor certificate's path to a trust anchor (RFC 5280 §6), by rustls-webpki.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, anchor_from_trusted_cert,
};

use crate::{Certificate, certificate::MalformedCertificate};

/// Why a chain is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The leaf, an issuer or an anchor is no certificate.
    #[error(transparent)]
    Malformed(#[from] MalformedCertificate),
    /// The leaf's notAfter has passed.
    #[error("the certificate expired at {not_after} (seconds since 1970)")]
    Expired {
        /// notAfter, seconds since 1970.
        not_after: i64,
    },
    /// The leaf's notBefore lies ahead.
    #[error("the certificate is not valid before {not_before} (seconds since 1970)")]
    NotYetValid {
        /// notBefore, seconds since 1970.
        not_before: i64,
    },
    /// The leaf may not issue licences.
    #[error("the certificate does not have the licensor purpose")]
    NotALicensor,
    /// The leaf may not sign entitlements.
    #[error("the certificate does not have the purpose of signing entitlements")]
    NotAnEntitlementSigner,
    /// The leaf does not name a SPIFFE ID.
    #[error("the certificate has no SPIFFE ID")]
    NoSpiffeId,
    /// No path leads to a trust anchor.
    #[error("the certificate does not lead to a trust anchor: {0}")]
    NoPath(String),
}

/// What a certificate entitles to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Licensor,
    Entitlement,
}

/// Checks that `leaf` is a licensor certificate that leads through `issuers` to one of `anchors` (all DER) at `now`
/// (seconds since 1970), and returns what it says.
///
/// # Errors
/// [`ChainError`] with the first thing that is wrong.
pub fn verify_licensor_chain(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
) -> Result<Certificate, ChainError> {
    verify_signer_chain(leaf, issuers, anchors, now, Purpose::Licensor)
}

pub(crate) fn verify_signer_chain(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
    purpose: Purpose,
) -> Result<Certificate, ChainError> {
    let certificate = Certificate::parse(leaf)?;
    if now < certificate.not_before {
        return Err(ChainError::NotYetValid { not_before: certificate.not_before });
    }
    if now >= certificate.not_after {
        return Err(ChainError::Expired { not_after: certificate.not_after });
    }
    match purpose {
        Purpose::Licensor if !certificate.licensor_purpose => return Err(ChainError::NotALicensor),
        Purpose::Entitlement if !certificate.entitlement_purpose => {
            return Err(ChainError::NotAnEntitlementSigner);
        }
        _ => {}
    }
    if certificate.spiffe_id.is_none() {
        return Err(ChainError::NoSpiffeId);
    }
    // The purpose was read from the leaf itself; issuers carry no extendedKeyUsage.
    check_path(leaf, issuers, anchors, now, AnyPurpose)?;
    Ok(certificate)
}

/// Checks that `leaf` is a certificate for a TLS server that leads through `issuers` to one of `anchors` (all DER) at
/// `now` (seconds since 1970), and returns what it says. Names are the business of whoever connects.
///
/// # Errors
/// [`ChainError`] with the first thing that is wrong.
pub fn verify_server_chain(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
) -> Result<Certificate, ChainError> {
    let certificate = Certificate::parse(leaf)?;
    check_path(leaf, issuers, anchors, now, KeyUsage::server_auth())?;
    Ok(certificate)
}

fn check_path(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
    purpose: impl ExtendedKeyUsageValidator,
) -> Result<(), ChainError> {
    let leaf = CertificateDer::from(leaf);
    let issuers: Vec<_> = issuers.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    // webpki looks at an anchor's name and key alone; here its dates count, too.
    let in_force = |der: &&Vec<u8>| {
        Certificate::parse(der).is_ok_and(|anchor| (anchor.not_before..=anchor.not_after).contains(&now))
    };
    let anchor_ders: Vec<_> =
        anchors.iter().filter(in_force).map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors =
        anchor_ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(no_path)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or_default()));
    EndEntityCert::try_from(&leaf)
        .map_err(no_path)?
        .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &issuers, time, purpose, None, None)
        .map(|_| ())
        .map_err(no_path)
}

/// Every extendedKeyUsage is as good as any.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn no_path(error: webpki::Error) -> ChainError {
    ChainError::NoPath(format!("{error:?}"))
}
