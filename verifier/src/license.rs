//! Licences: what a licensing server signs.

use serde::{Deserialize, Serialize};

use crate::{
    JwsError, Trust,
    chain::Purpose,
    jws::{self, Claims},
};

/// `typ` of a licence.
pub const LICENSE_TYPE: &str = "license+jwt";

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

impl Claims for LicenseClaims {
    fn iss(&self) -> &str {
        &self.iss
    }

    fn iat(&self) -> i64 {
        self.iat
    }

    fn nbf(&self) -> i64 {
        self.nbf
    }

    fn exp(&self) -> Option<i64> {
        Some(self.exp)
    }

    fn names(&self) -> Vec<&str> {
        let License { vendor, module, owner, .. } = &self.license;
        vec![&self.iss, &self.sub, &self.jti, vendor, module, owner]
    }
}

/// Verifies a licence at `now` (seconds since 1970), and returns its claims.
///
/// These are the rules; a licence that breaks one of them is refused with the reason in parentheses
/// ([`JwsError::reason`]).
///
/// 1. It is a compact JWS: three parts in base64url without padding, in their only form. Around the whole there may be
///    white space, within it none. (`MALFORMED`)
/// 2. Header and claims are JSON objects that can be read in one way only: no member stands twice, numbers are integers
///    from 0 to 2^53−1 without fraction and exponent, nothing is `null`. Every member that is described here
///    has its type, and is there unless it is optional. Other members are passed over. (`MALFORMED`)
/// 3. `typ` is `license+jwt`, letter for letter. (`WRONG_TYPE`)
/// 4. There is no `crit` and no `b64`. `kid`, `jku`, `jwk` and `x5u` are never looked at. (`MALFORMED`)
/// 5. `x5c` is one certificate or up to eight, the signer's first, each in standard base64. (`MALFORMED`;
///    `CERTIFICATE_MALFORMED` if it is no certificate in DER, or has an extension twice)
/// 6. `iss`, `sub`, `jti`, `vendor`, `module` and `owner` are not empty, `nbf` is before `exp`, and there is no `aud`:
///    it would be for someone else. (`MALFORMED`)
/// 7. `iat` lies in the validity of the signer's certificate, whose last instant is the one before notAfter.
///    (`CERTIFICATE_NOT_YET_VALID`, `CERTIFICATE_EXPIRED`)
/// 8. That certificate has the licensor purpose (`NOT_A_LICENSOR`), exactly one URI as subjectAltName, which is a SPIFFE ID
///    (`NO_SPIFFE_ID`), and digitalSignature in its keyUsage, if it has one (`NOT_FOR_SIGNATURES`).
/// 9. It leads through certificates of `x5c` to one of the trust anchors, in force at `iat` all of them, as RFC 5280 §6 has
///    it. The signer is no authority; issuers and the anchor are, with keyCertSign in their keyUsage, if they have one, and
///    their path lengths hold. Certificates of `x5c` that are on no path do not matter. (`CHAIN_INVALID`)
/// 10. No certificate in `x5c` is on a revocation list of its issuer, whenever it was revoked. (`REVOKED`)
/// 11. If there is a proof, it leads from the issue of this certificate to a checkpoint that its issuer on the path has
///     signed. (`UNPROVED`)
/// 12. `alg` is what the certified key takes: ES256, ES384 or EdDSA with Ed25519. (`KEY_NOT_ACCEPTED`, `WRONG_ALGORITHM`)
/// 13. The signature is that of this key over the first two parts. (`BAD_SIGNATURE`)
/// 14. `iss` is the SPIFFE ID of the certificate. (`WRONG_ISSUER`)
/// 15. With the leeway, `nbf` and `iat` are not ahead (`NOT_YET_VALID`, `ISSUED_AHEAD`).
/// 16. `exp` is not after the certificate's notAfter. (`OUTLIVES_LICENSOR`)
/// 17. `now` is before `exp`, with the leeway. (`EXPIRED`)
///
/// # Errors
/// [`JwsError`] with the first thing that is wrong.
pub fn verify_license(jws: &str, trust: Trust<'_>, now: i64) -> Result<LicenseClaims, JwsError> {
    let (claims, licensor) = jws::verify::<LicenseClaims>(jws, LICENSE_TYPE, Purpose::Licensor, trust, now)?;
    let not_after = licensor.facts.not_after;
    if claims.exp > not_after {
        return Err(JwsError::OutlivesLicensor { exp: claims.exp, not_after });
    }
    if now.saturating_sub(trust.leeway) >= claims.exp {
        return Err(JwsError::Expired { exp: claims.exp });
    }
    Ok(claims)
}
