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
    let (issuers, anchors) = (Candidate::read_all(issuers), Candidate::read_all(anchors));
    verify_signer_chain(leaf, &issuers, &anchors, now, Purpose::Licensor).map(|(certificate, _)| certificate)
}

/// A certificate that may be on a path, with what it says.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) facts: Result<Certificate, MalformedCertificate>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn read_all(ders: &'a [Vec<u8>]) -> Vec<Self> {
        ders.iter().map(|der| Self { der, facts: Certificate::parse(der) }).collect()
    }
}

/// A path above the leaf: positions among the issuers, each the issuer of the one before it, and that of the anchor.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) issuers: Vec<usize>,
    pub(crate) anchor: usize,
}

pub(crate) fn verify_signer_chain(
    leaf: &[u8],
    issuers: &[Candidate<'_>],
    anchors: &[Candidate<'_>],
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
    let (issuers, anchors) = (Candidate::read_all(issuers), Candidate::read_all(anchors));
    find_path(leaf, &issuers, &anchors, now, KeyUsage::server_auth())?;
    Ok(certificate)
}

fn find_path(
    leaf: &[u8],
    issuers: &[Candidate<'_>],
    anchors: &[Candidate<'_>],
    now: i64,
    purpose: impl ExtendedKeyUsageValidator,
) -> Result<Path, ChainError> {
    let leaf = CertificateDer::from(leaf);
    let issuer_ders: Vec<_> = issuers.iter().map(|issuer| CertificateDer::from(issuer.der)).collect();
    let in_force = |anchor: &Candidate<'_>| {
        anchor.facts.as_ref().is_ok_and(|facts| (facts.not_before..=facts.not_after).contains(&now))
    };
    let (places, anchor_ders): (Vec<_>, Vec<_>) = (anchors.iter().enumerate())
        .filter(|(_, anchor)| in_force(anchor))
        .map(|(place, anchor)| (place, CertificateDer::from(anchor.der)))
        .unzip();
    let trusted =
        anchor_ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(no_path)?;
    let positions = |path: &VerifiedPath<'_>| {
        let between = path.intermediate_certificates();
        let issuers = between.map(|found| issuers.iter().position(|issuer| *issuer.der == *found.der()));
        let anchor = trusted.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
        Some(Path { issuers: issuers.collect::<Option<_>>()?, anchor: *places.get(anchor?)? })
    };
    let flaw = Cell::new(None);
    let check = |path: &VerifiedPath<'_>| {
        let checked = positions(path)
            .ok_or("the path goes through a certificate that nobody named")
            .and_then(|path| check_issuers(&path, issuers, anchors));
        checked.map_err(|found| {
            flaw.set(Some(found));
            webpki::Error::UnknownIssuer
        })
    };
    let unnamed = || ChainError::NoPath("a certificate on it was not named".into());
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or_default()));
    let end_entity = EndEntityCert::try_from(&leaf).map_err(no_path)?;
    end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &trusted,
            &issuer_ders,
            time,
            purpose,
            None,
            Some(&check),
        )
        .map_err(|error| flaw.get().map_or_else(|| no_path(error), |flaw| ChainError::NoPath(flaw.into())))
        .and_then(|path| positions(&path).ok_or_else(unnamed))
}

/// What webpki passes over: it looks at no keyUsage, and at an anchor's name and key alone.
fn check_issuers(
    path: &Path,
    issuers: &[Candidate<'_>],
    anchors: &[Candidate<'_>],
) -> Result<(), &'static str> {
    let between = path.issuers.iter().filter_map(|place| issuers.get(*place));
    for (below, issuer) in between.chain(anchors.get(path.anchor)).enumerate() {
        let facts = issuer.facts.as_ref().map_err(|_| "an issuer is malformed")?;
        if !facts.certifies {
            return Err("an issuer may not certify others");
        }
        if facts.path_length.is_some_and(|length| below > usize::try_from(length).unwrap_or(usize::MAX)) {
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
