//! Validation of a licensor certificate's path to a trust anchor (RFC 5280 §6), by rustls-webpki.

use std::{cell::Cell, time::Duration};

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath,
    anchor_from_trusted_cert,
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
    /// The leaf's key may not sign (keyUsage without digitalSignature).
    #[error("the certificate's key is not for signatures (keyUsage)")]
    NotForSignatures,
    /// No path leads to a trust anchor.
    #[error("the certificate does not lead to a trust anchor: {0}")]
    NoPath(String),
}

impl ChainError {
    /// What is wrong, for programs: stays the same when the sentence is reworded.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "CERTIFICATE_MALFORMED",
            Self::Expired { .. } => "CERTIFICATE_EXPIRED",
            Self::NotYetValid { .. } => "CERTIFICATE_NOT_YET_VALID",
            Self::NotALicensor => "NOT_A_LICENSOR",
            Self::NotAnEntitlementSigner => "NOT_AN_ENTITLEMENT_SIGNER",
            Self::NoSpiffeId => "NO_SPIFFE_ID",
            Self::NotForSignatures => "NOT_FOR_SIGNATURES",
            Self::NoPath(_) => "CHAIN_INVALID",
        }
    }
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
    verify_signer_chain(leaf, issuers, anchors, now, Purpose::Licensor).map(|(certificate, _)| certificate)
}

/// The certificates (DER) of a path above the leaf: each is the issuer of the one before it, and the last is an anchor.
pub(crate) type Path = Vec<Vec<u8>>;

pub(crate) fn verify_signer_chain(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
    purpose: Purpose,
) -> Result<(Certificate, Path), ChainError> {
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
    if !certificate.signs {
        return Err(ChainError::NotForSignatures);
    }
    // The purpose was read from the leaf itself; issuers carry no extendedKeyUsage.
    let path = find_path(leaf, issuers, anchors, now, AnyPurpose)?;
    Ok((certificate, path))
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
    find_path(leaf, issuers, anchors, now, KeyUsage::server_auth())?;
    Ok(certificate)
}

fn find_path(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
    purpose: impl ExtendedKeyUsageValidator,
) -> Result<Path, ChainError> {
    let leaf = CertificateDer::from(leaf);
    let issuers: Vec<_> = issuers.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let in_force = |der: &&Vec<u8>| {
        Certificate::parse(der).is_ok_and(|anchor| (anchor.not_before..=anchor.not_after).contains(&now))
    };
    let anchor_ders: Vec<_> =
        anchors.iter().filter(in_force).map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors =
        anchor_ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(no_path)?;
    let above = |path: &VerifiedPath<'_>| -> Path {
        let anchor =
            anchors.iter().zip(&anchor_ders).find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()));
        let between = path.intermediate_certificates().map(|issuer| issuer.der().to_vec());
        between.chain(anchor.map(|(_, der)| der.to_vec())).collect()
    };
    let flaw = Cell::new(None);
    let check = |path: &VerifiedPath<'_>| {
        check_issuers(&above(path)).map_err(|found| {
            flaw.set(Some(found));
            webpki::Error::UnknownIssuer
        })
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or_default()));
    let end_entity = EndEntityCert::try_from(&leaf).map_err(no_path)?;
    end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &issuers,
            time,
            purpose,
            None,
            Some(&check),
        )
        .map(|path| above(&path))
        .map_err(|error| flaw.get().map_or_else(|| no_path(error), |flaw| ChainError::NoPath(flaw.into())))
}

/// What webpki passes over: it looks at no keyUsage, and at an anchor's name and key alone.
fn check_issuers(path: &[Vec<u8>]) -> Result<(), &'static str> {
    for (below, der) in path.iter().enumerate() {
        let issuer = Certificate::parse(der).map_err(|_| "an issuer is malformed")?;
        if !issuer.certifies {
            return Err("an issuer may not certify others");
        }
        if issuer.path_length.is_some_and(|length| below > usize::try_from(length).unwrap_or(usize::MAX)) {
            return Err("the path is longer than an issuer allows");
        }
    }
    Ok(())
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
