//! Licences: compact JWS (RFC 7515) that carry the licensor's chain in `x5c`.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

use crate::{AuditError, Certificate, ChainError, InclusionProof, RevocationList, verify_licensor_chain};

/// `typ` of a licence.
pub const LICENSE_TYPE: &str = "license+jwt";

const OID_EC: &str = "1.2.840.10045.2.1";
const OID_P256: &str = "1.2.840.10045.3.1.7";
const OID_P384: &str = "1.3.132.0.34";
const OID_ED25519: &str = "1.3.101.112";

/// JOSE header of a licence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseHeader {
    /// Signature algorithm (RFC 7518, RFC 8037): follows from the licensor's key.
    pub alg: String,
    /// Always [`LICENSE_TYPE`].
    pub typ: String,
    /// Licensor certificate and every issuer below the anchor: DER in standard base64.
    pub x5c: Vec<String>,
}

/// The header as it is read: a licence has no critical members, and one that is there must not be passed over (RFC 7515
/// §4.1.11).
#[derive(Deserialize)]
struct ReceivedHeader {
    alg: String,
    typ: String,
    x5c: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Claims of a licence (RFC 7519); times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseClaims {
    /// SPIFFE ID of the licensing server.
    pub iss: String,
    /// Who may use the licence.
    pub sub: String,
    /// Its identifier.
    pub jti: String,
    /// When it was issued.
    pub iat: i64,
    /// First instant of its validity.
    pub nbf: i64,
    /// First instant after its validity.
    pub exp: i64,
    /// What it allows.
    pub license: License,
}

/// What a licence allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct License {
    /// Vendor of the module.
    pub vendor: String,
    /// The module.
    pub module: String,
    /// The organisation that owns it.
    pub owner: String,
    /// The owner's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Seconds for which it was leased.
    pub lease: i64,
    /// Seats that it takes.
    pub seats: u32,
    /// What may be used of the module.
    #[serde(default)]
    pub features: Vec<String>,
}

/// Why a licence is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LicenseError {
    /// It is no compact JWS with the members that a licence has.
    #[error("not a licence: {0}")]
    Malformed(&'static str),
    /// `alg` does not fit the licensor's key.
    #[error("the licence names the algorithm {found}, but the licensor's key takes {expected}")]
    WrongAlgorithm {
        /// `alg` of the header.
        found: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// The licensor's key has no JWS algorithm.
    #[error("the licensor's key is of a kind that no licence is signed with")]
    KeyNotAccepted,
    /// The licensor's certificate was not acceptable when the licence was issued.
    #[error("the licensor's certificate is not acceptable at the time of issue")]
    Chain(#[from] ChainError),
    /// The proof does not show that the certificate's issue was logged.
    #[error("the issue of the licensor's certificate is not proved")]
    Unproved(#[from] AuditError),
    /// A certificate of the chain is on a revocation list.
    #[error("the certificate {serial} was revoked at {at} (seconds since 1970)")]
    Revoked {
        /// Its serial number, lower-case hexadecimal.
        serial: String,
        /// When, seconds since 1970.
        at: i64,
    },
    /// The signature is not the licensor's.
    #[error("the signature does not match")]
    BadSignature,
    /// `iss` is not the SPIFFE ID of the certificate.
    #[error("the licence says that {claimed} issued it, but {certified} signed it")]
    WrongIssuer {
        /// `iss`.
        claimed: String,
        /// SPIFFE ID of the certificate.
        certified: String,
    },
    /// It outlives the licensor's certificate.
    #[error("the licence lasts until {exp}, but the licensor's certificate only until {not_after}")]
    OutlivesLicensor {
        /// `exp`.
        exp: i64,
        /// notAfter.
        not_after: i64,
    },
    /// `nbf` lies ahead.
    #[error("the licence is not valid before {nbf} (seconds since 1970)")]
    NotYetValid {
        /// `nbf`.
        nbf: i64,
    },
    /// `exp` has passed.
    #[error("the licence expired at {exp} (seconds since 1970)")]
    Expired {
        /// `exp`.
        exp: i64,
    },
}

/// The JWS algorithm of a certificate's key, if licences can be signed with it.
#[must_use]
pub fn jws_algorithm(certificate: &Certificate) -> Option<&'static str> {
    algorithm(certificate).map(|(name, _)| name)
}

fn algorithm(certificate: &Certificate) -> Option<(&'static str, &'static dyn VerificationAlgorithm)> {
    match (certificate.key_algorithm.0.as_str(), certificate.key_algorithm.1.as_deref()) {
        (OID_EC, Some(OID_P256)) => Some(("ES256", &ECDSA_P256_SHA256_FIXED)),
        (OID_EC, Some(OID_P384)) => Some(("ES384", &ECDSA_P384_SHA384_FIXED)),
        (OID_ED25519, _) => Some(("EdDSA", &ED25519)),
        _ => None,
    }
}

/// What a licence is checked against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// Trust anchors (DER).
    pub anchors: &'a [Vec<u8>],
    /// Lists of revoked certificates; each tells of the certificates of its own issuer. Without any, nothing counts as
    /// revoked.
    pub revocation_lists: &'a [RevocationList],
    /// Proof that the issue of the licensor's certificate is in the audit log of its issuer; not asked for if absent.
    pub proof: Option<&'a InclusionProof>,
    /// Seconds by which the clocks of this machine and of the issuer may differ.
    pub leeway: i64,
}

/// Verifies a licence at `now` (seconds since 1970), and returns its claims.
///
/// # Errors
/// [`LicenseError`] with the first thing that is wrong.
pub fn verify_license(jws: &str, trust: Trust<'_>, now: i64) -> Result<LicenseClaims, LicenseError> {
    let mut parts = jws.trim().split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(LicenseError::Malformed("a licence has three parts"));
    };
    let signed_length = header.len() + 1 + payload.len();
    let header: ReceivedHeader = decode_json(header, "its header")?;
    if header.typ != LICENSE_TYPE {
        return Err(LicenseError::Malformed("its type is not license+jwt"));
    }
    if header.crit {
        return Err(LicenseError::Malformed("it has critical header members, and no licence has any"));
    }
    let chain = header
        .x5c
        .iter()
        .map(|der| BASE64_STANDARD.decode(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| LicenseError::Malformed("x5c is not base64"))?;
    let [leaf, issuers @ ..] = chain.as_slice() else {
        return Err(LicenseError::Malformed("x5c is empty"));
    };
    let claims: LicenseClaims = decode_json(payload, "its claims")?;
    let licensor = verify_licensor_chain(leaf, issuers, trust.anchors, claims.iat)?;
    check_revocation(&licensor, issuers, trust.revocation_lists)?;
    if let Some(proof) = trust.proof {
        check_proof(proof, leaf, &licensor, issuers.iter().chain(trust.anchors))?;
    }
    let (expected, verification) = algorithm(&licensor).ok_or(LicenseError::KeyNotAccepted)?;
    if header.alg != expected {
        return Err(LicenseError::WrongAlgorithm { found: header.alg, expected });
    }
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| LicenseError::Malformed("its signature is not base64url"))?;
    UnparsedPublicKey::new(verification, &licensor.public_key)
        .verify(&jws.trim().as_bytes()[..signed_length], &signature)
        .map_err(|_| LicenseError::BadSignature)?;
    check_claims(&claims, &licensor, now, trust.leeway)?;
    Ok(claims)
}

/// Whether it was revoked before or after the licence was issued makes no difference: who has a stolen key can date a
/// licence back.
fn check_revocation(
    licensor: &Certificate,
    issuers: &[Vec<u8>],
    lists: &[RevocationList],
) -> Result<(), LicenseError> {
    if lists.is_empty() {
        return Ok(());
    }
    let issuers = issuers.iter().filter_map(|der| Certificate::parse(der).ok());
    for certificate in std::iter::once(licensor.clone()).chain(issuers) {
        if let Some(revoked) = lists.iter().find_map(|list| list.find_certificate(&certificate)) {
            return Err(LicenseError::Revoked { serial: certificate.serial, at: revoked.at });
        }
    }
    Ok(())
}

fn check_proof<'a>(
    proof: &InclusionProof,
    leaf: &[u8],
    licensor: &Certificate,
    mut authorities: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<(), LicenseError> {
    let issuer = authorities.find(|der| {
        Certificate::parse(der).is_ok_and(|authority| authority.key_id == licensor.issuer_key_id)
    });
    // The path was verified, so there is one.
    proof.verify(leaf, issuer.map(Vec::as_slice).unwrap_or_default())?;
    Ok(())
}

fn check_claims(
    claims: &LicenseClaims,
    licensor: &Certificate,
    now: i64,
    leeway: i64,
) -> Result<(), LicenseError> {
    let certified = licensor.spiffe_id.clone().unwrap_or_default();
    if claims.iss != certified {
        return Err(LicenseError::WrongIssuer { claimed: claims.iss.clone(), certified });
    }
    if claims.exp > licensor.not_after {
        return Err(LicenseError::OutlivesLicensor { exp: claims.exp, not_after: licensor.not_after });
    }
    if now.saturating_add(leeway) < claims.nbf {
        return Err(LicenseError::NotYetValid { nbf: claims.nbf });
    }
    if now.saturating_sub(leeway) >= claims.exp {
        return Err(LicenseError::Expired { exp: claims.exp });
    }
    Ok(())
}

fn decode_json<T: for<'de> Deserialize<'de>>(part: &str, what: &'static str) -> Result<T, LicenseError> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| LicenseError::Malformed(what))?;
    serde_json::from_slice(&octets).map_err(|_| LicenseError::Malformed(what))
}
