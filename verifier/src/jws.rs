//! What this product signs as compact JWS (RFC 7515): the signer's chain is in `x5c`, and leads to a trust anchor at the
//! time of issue. Of the header nothing else counts: a key or an address in it (`jwk`, `jku`, `x5u`, `kid`) is never looked at.

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, VerificationAlgorithm,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    AuditError, Certificate, ChainError, InclusionProof, KnownChains, RevocationList, chain::Purpose, json,
    signer::Signer,
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

/// More certificates are in no chain of ours; to look for a path among many takes time.
const LONGEST_CHAIN: usize = 8;

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
    /// `iat` lies ahead.
    #[error("it was issued at {iat} (seconds since 1970), which lies ahead")]
    IssuedAhead {
        /// `iat`.
        iat: i64,
    },
    /// `exp` of a licence has passed.
    #[error("the licence expired at {exp} (seconds since 1970)")]
    Expired {
        /// `exp`.
        exp: i64,
    },
}

impl JwsError {
    /// What is wrong, for programs: stays the same when the sentence is reworded.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "MALFORMED",
            Self::WrongType { .. } => "WRONG_TYPE",
            Self::WrongAlgorithm { .. } => "WRONG_ALGORITHM",
            Self::KeyNotAccepted => "KEY_NOT_ACCEPTED",
            Self::Chain(error) => error.reason(),
            Self::Unproved(_) => "UNPROVED",
            Self::Revoked { .. } => "REVOKED",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::WrongIssuer { .. } => "WRONG_ISSUER",
            Self::OutlivesLicensor { .. } => "OUTLIVES_LICENSOR",
            Self::NotYetValid { .. } => "NOT_YET_VALID",
            Self::IssuedAhead { .. } => "ISSUED_AHEAD",
            Self::Expired { .. } => "EXPIRED",
        }
    }
}

/// The JWS algorithm of a certificate's key, if anything can be signed with it.
#[must_use]
pub fn jws_algorithm(certificate: &Certificate) -> Option<&'static str> {
    algorithm(certificate).map(|(name, _)| name)
}

pub(crate) fn algorithm(
    certificate: &Certificate,
) -> Option<(&'static str, &'static dyn VerificationAlgorithm)> {
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
    /// Chains that were verified before; each is verified anew if absent.
    pub known: Option<&'a KnownChains>,
}

/// What all claims have (RFC 7519 §4.1).
pub(crate) trait Claims: DeserializeOwned + Serialize {
    fn iss(&self) -> &str;
    fn iat(&self) -> i64;
    fn nbf(&self) -> i64;
    /// Nothing if claims of this kind have none.
    fn exp(&self) -> Option<i64>;
    /// What must not be empty.
    fn names(&self) -> Vec<&str>;
}

/// The certificates (DER) that a licence or an entitlement names as the issuers of its signer. Nobody vouches for them;
/// they are those by which, beside the anchors, a list may be verified ([`RevocationList::verify`]) that is about this chain.
///
/// # Errors
/// [`JwsError::Malformed`].
pub fn issuers(jws: &str) -> Result<Vec<Vec<u8>>, JwsError> {
    let (header, _, _) = split(jws.trim_ascii())?;
    let (header, _) = read_json::<Header>(header, "its header")?;
    Ok(read_chain(&header)?.split_off(1))
}

/// The claims, without a look at who signed them: of what was verified before.
pub(crate) fn read_claims<C: Claims>(jws: &str) -> Result<C, JwsError> {
    let (_, payload, _) = split(jws.trim_ascii())?;
    read_json(payload, "its claims").map(|(claims, _)| claims)
}

/// Verifies everything but what is special to one kind of claims; those, and the signer.
pub(crate) fn verify<C: Claims>(
    jws: &str,
    typ: &'static str,
    purpose: Purpose,
    trust: Trust<'_>,
    now: i64,
) -> Result<(C, Arc<Signer>), JwsError> {
    let jws = jws.trim_ascii();
    let (header, payload, signature) = split(jws)?;
    let signed = &jws.as_bytes()[..header.len() + 1 + payload.len()];
    let known = trust.known.and_then(|known| known.find(header, purpose, trust.anchors));
    // One that is known was read before.
    let read = if known.is_none() { Some(read_header(header, typ)?) } else { None };
    let (claims, members) = read_json::<C>(payload, "its claims")?;
    check_claims(&claims, &members)?;
    let known = known.filter(|signer| signer.times.contains(&claims.iat()));
    let is_new = known.is_none();
    let signer = match known {
        Some(signer) => signer,
        None => {
            let (read, chain) = read.map_or_else(|| read_header(header, typ), Ok)?;
            Arc::new(Signer::verify(&read, chain, trust.anchors, claims.iat(), purpose)?)
        }
    };
    signer.check_revocation(trust.revocation_lists)?;
    if let Some(proof) = trust.proof {
        proof.verify(signer.certificate(), signer.issuer())?;
    }
    let key = signer.key.as_ref().map_err(Clone::clone)?;
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| JwsError::Malformed("its signature is not base64url"))?;
    let matches = key.as_ref().is_some_and(|key| key.verify_sig(signed, &signature).is_ok());
    if !matches {
        return Err(JwsError::BadSignature);
    }
    if let Some(known) = trust.known.filter(|_| is_new) {
        known.keep(header, purpose, trust.anchors, signer.clone());
    }
    let certified = signer.facts.spiffe_id.as_deref().unwrap_or_default();
    if claims.iss() != certified {
        let (claimed, certified) = (claims.iss().to_owned(), certified.to_owned());
        return Err(JwsError::WrongIssuer { claimed, certified });
    }
    let latest = now.saturating_add(trust.leeway);
    if latest < claims.nbf() {
        return Err(JwsError::NotYetValid { nbf: claims.nbf() });
    }
    if latest < claims.iat() {
        return Err(JwsError::IssuedAhead { iat: claims.iat() });
    }
    Ok((claims, signer))
}

/// The header, and the certificates in it: one at least.
fn read_header(part: &str, typ: &'static str) -> Result<(Header, Vec<Vec<u8>>), JwsError> {
    let (header, members) = read_json::<Header>(part, "its header")?;
    if header.typ != typ {
        return Err(JwsError::WrongType { found: header.typ, expected: typ });
    }
    // There are no critical members, and one that is there must not be passed over (RFC 7515 §4.1.11); `b64` would make
    // something else of what was signed (RFC 7797).
    if members.get("crit").is_some() || members.get("b64").is_some() {
        return Err(JwsError::Malformed("it has critical header members, and should have none"));
    }
    let chain = read_chain(&header)?;
    Ok((header, chain))
}

/// The three parts of a compact JWS.
fn split(jws: &str) -> Result<(&str, &str, &str), JwsError> {
    let mut parts = jws.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => Ok((header, payload, signature)),
        _ => Err(JwsError::Malformed("it does not have three parts")),
    }
}

/// The certificates of the header: one at least.
fn read_chain(header: &Header) -> Result<Vec<Vec<u8>>, JwsError> {
    if header.x5c.is_empty() {
        return Err(JwsError::Malformed("x5c is empty"));
    }
    if header.x5c.len() > LONGEST_CHAIN {
        return Err(JwsError::Malformed("x5c is too long"));
    }
    let chain = header.x5c.iter().map(|der| BASE64_STANDARD.decode(der)).collect::<Result<_, _>>();
    chain.map_err(|_| JwsError::Malformed("x5c is not base64"))
}

/// What claims must be, whoever signed them.
fn check_claims<C: Claims>(claims: &C, members: &Value) -> Result<(), JwsError> {
    if claims.names().iter().any(|name| name.is_empty()) {
        return Err(JwsError::Malformed("a name in its claims is empty"));
    }
    if claims.exp().is_some_and(|exp| exp <= claims.nbf()) {
        return Err(JwsError::Malformed("it ends before it begins"));
    }
    // Whoever does not know itself in an audience must refuse (RFC 7519 §4.1.3).
    if members.get("aud").is_some() {
        return Err(JwsError::Malformed("it is for an audience, and should be for none"));
    }
    if claims.exp().is_none() && members.get("exp").is_some() {
        return Err(JwsError::Malformed("it has exp, and should have none"));
    }
    Ok(())
}

fn read_json<T: DeserializeOwned + Serialize>(
    part: &str,
    what: &'static str,
) -> Result<(T, Value), JwsError> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed(what))?;
    json::read(&octets).ok_or(JwsError::Malformed(what))
}
