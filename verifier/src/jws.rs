//! What this product signs as compact JWS (RFC 7515): the signer's chain is in `x5c`, and leads to a trust anchor at the
//! time of issue. Of the header nothing else counts: a key or an address in it (`jwk`, `jku`, `x5u`, `kid`) is never looked at.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::IgnoredAny};

use crate::{
    AuditError, Certificate, ChainError, InclusionProof, RevocationList,
    chain::{Purpose, verify_signer_chain},
};

const OID_EC: &str = "1.2.840.10045.2.1";
const OID_P256: &str = "1.2.840.10045.3.1.7";
const OID_P384: &str = "1.3.132.0.34";
const OID_ED25519: &str = "1.3.101.112";

/// JOSE header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Signature algorithm (RFC 7518, RFC 8037): follows from the signer's key.
    pub alg: String,
    /// What is signed: [`crate::license::LICENSE_TYPE`] or [`crate::entitlement::ENTITLEMENT_TYPE`].
    pub typ: String,
    /// The signer's certificate and every issuer below the anchor: DER in standard base64.
    pub x5c: Vec<String>,
}

/// The header as it is read: there are no critical members, and one that is there must not be passed over (RFC 7515
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

/// Why a licence or an entitlement is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// It is no compact JWS with the members that it should have.
    #[error("not of the form that it should have: {0}")]
    Malformed(&'static str),
    /// `typ` is another one.
    #[error("its type is {found}, not {expected}")]
    WrongType {
        /// `typ` of the header.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// `alg` does not fit the signer's key.
    #[error("it names the algorithm {found}, but the key of its signer takes {expected}")]
    WrongAlgorithm {
        /// `alg` of the header.
        found: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// The signer's key has no JWS algorithm.
    #[error("the key of its signer is of a kind that is not accepted")]
    KeyNotAccepted,
    /// The signer's certificate was not acceptable at the time of issue.
    #[error("the certificate of its signer is not acceptable at the time of issue")]
    Chain(#[from] ChainError),
    /// The proof does not show that the certificate's issue was logged.
    #[error("the issue of its signer's certificate is not proved")]
    Unproved(#[from] AuditError),
    /// A certificate of the chain is on a revocation list.
    #[error("the certificate {serial} was revoked at {at} (seconds since 1970)")]
    Revoked {
        /// Its serial number, lower-case hexadecimal.
        serial: String,
        /// When, seconds since 1970.
        at: i64,
    },
    /// The signature is not the signer's.
    #[error("the signature does not match")]
    BadSignature,
    /// `iss` is not the SPIFFE ID of the certificate.
    #[error("it says that {claimed} issued it, but {certified} signed it")]
    WrongIssuer {
        /// `iss`.
        claimed: String,
        /// SPIFFE ID of the certificate.
        certified: String,
    },
    /// A licence outlives the licensor's certificate.
    #[error("the licence lasts until {exp}, but the licensor's certificate only until {not_after}")]
    OutlivesLicensor {
        /// `exp`.
        exp: i64,
        /// notAfter.
        not_after: i64,
    },
    /// `nbf` lies ahead.
    #[error("it is not valid before {nbf} (seconds since 1970)")]
    NotYetValid {
        /// `nbf`.
        nbf: i64,
    },
    /// `exp` of a licence has passed.
    #[error("the licence expired at {exp} (seconds since 1970)")]
    Expired {
        /// `exp`.
        exp: i64,
    },
}

/// The JWS algorithm of a certificate's key, if anything can be signed with it.
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

/// What a licence or an entitlement is checked against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// Trust anchors (DER).
    pub anchors: &'a [Vec<u8>],
    /// Lists of revoked certificates; each tells of the certificates of its own issuer. Without any, nothing counts as
    /// revoked.
    pub revocation_lists: &'a [RevocationList],
    /// Proof that the issue of the signer's certificate is in the audit log of its issuer; not asked for if absent.
    pub proof: Option<&'a InclusionProof>,
    /// Seconds by which the clocks of this machine and of the issuer may differ.
    pub leeway: i64,
}

/// What all claims have (RFC 7519 §4.1).
pub(crate) trait Claims: DeserializeOwned {
    fn iss(&self) -> &str;
    fn iat(&self) -> i64;
    fn nbf(&self) -> i64;
}

/// Verifies everything but what is special to one kind of claims; those, and the signer.
pub(crate) fn verify<C: Claims>(
    jws: &str,
    typ: &'static str,
    purpose: Purpose,
    trust: Trust<'_>,
    now: i64,
) -> Result<(C, Certificate), JwsError> {
    let jws = jws.trim();
    let mut parts = jws.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JwsError::Malformed("it does not have three parts"));
    };
    let signed_length = header.len() + 1 + payload.len();
    let header: ReceivedHeader = decode_json(header, "its header")?;
    if header.typ != typ {
        return Err(JwsError::WrongType { found: header.typ, expected: typ });
    }
    if header.crit {
        return Err(JwsError::Malformed("it has critical header members, and should have none"));
    }
    let chain = header
        .x5c
        .iter()
        .map(|der| BASE64_STANDARD.decode(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| JwsError::Malformed("x5c is not base64"))?;
    let [leaf, issuers @ ..] = chain.as_slice() else {
        return Err(JwsError::Malformed("x5c is empty"));
    };
    let claims: C = decode_json(payload, "its claims")?;
    let signer = verify_signer_chain(leaf, issuers, trust.anchors, claims.iat(), purpose)?;
    check_revocation(&signer, issuers, trust.revocation_lists)?;
    if let Some(proof) = trust.proof {
        check_proof(proof, leaf, &signer, issuers.iter().chain(trust.anchors))?;
    }
    let (expected, verification) = algorithm(&signer).ok_or(JwsError::KeyNotAccepted)?;
    if header.alg != expected {
        return Err(JwsError::WrongAlgorithm { found: header.alg, expected });
    }
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| JwsError::Malformed("its signature is not base64url"))?;
    UnparsedPublicKey::new(verification, &signer.public_key)
        .verify(&jws.as_bytes()[..signed_length], &signature)
        .map_err(|_| JwsError::BadSignature)?;
    let certified = signer.spiffe_id.clone().unwrap_or_default();
    if claims.iss() != certified {
        return Err(JwsError::WrongIssuer { claimed: claims.iss().to_owned(), certified });
    }
    if now.saturating_add(trust.leeway) < claims.nbf() {
        return Err(JwsError::NotYetValid { nbf: claims.nbf() });
    }
    Ok((claims, signer))
}

/// Whether it was revoked before or after the time of issue makes no difference: who has a stolen key can date
/// back.
fn check_revocation(
    signer: &Certificate,
    issuers: &[Vec<u8>],
    lists: &[RevocationList],
) -> Result<(), JwsError> {
    if lists.is_empty() {
        return Ok(());
    }
    let issuers = issuers.iter().filter_map(|der| Certificate::parse(der).ok());
    for certificate in std::iter::once(signer.clone()).chain(issuers) {
        if let Some(revoked) = lists.iter().find_map(|list| list.find_certificate(&certificate)) {
            return Err(JwsError::Revoked { serial: certificate.serial, at: revoked.at });
        }
    }
    Ok(())
}

fn check_proof<'a>(
    proof: &InclusionProof,
    leaf: &[u8],
    signer: &Certificate,
    mut authorities: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<(), JwsError> {
    let issuer = authorities
        .find(|der| Certificate::parse(der).is_ok_and(|authority| authority.key_id == signer.issuer_key_id));
    // The path was verified, so there is one.
    proof.verify(leaf, issuer.map(Vec::as_slice).unwrap_or_default())?;
    Ok(())
}

fn decode_json<T: for<'de> Deserialize<'de>>(part: &str, what: &'static str) -> Result<T, JwsError> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed(what))?;
    serde_json::from_slice(&octets).map_err(|_| JwsError::Malformed(what))
}
