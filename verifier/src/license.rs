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
}

/// Verifies a licence at `now` (seconds since 1970), and returns its claims.
///
/// # Errors
/// [`JwsError`] with the first thing that is wrong.
pub fn verify_license(jws: &str, trust: Trust<'_>, now: i64) -> Result<LicenseClaims, JwsError> {
    let (claims, licensor) = jws::verify::<LicenseClaims>(jws, LICENSE_TYPE, Purpose::Licensor, trust, now)?;
    if claims.exp > licensor.not_after {
        return Err(JwsError::OutlivesLicensor { exp: claims.exp, not_after: licensor.not_after });
    }
    if now.saturating_sub(trust.leeway) >= claims.exp {
        return Err(JwsError::Expired { exp: claims.exp });
    }
    Ok(claims)
}
