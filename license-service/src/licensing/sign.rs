//! What is signed for a seat.

use licensor::{error::Result, jws};
use verifier::{License, LicenseClaims, entitlement::Module};

use crate::{credential::Credential, entitlement::Installed};

/// For whom, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) user: &'a str,
    /// The `jti`.
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// Seconds since 1970.
    pub(super) until: i64,
}

/// When a licence ends that is issued at `now` for so many seconds: no later than the certificate that it is signed with.
pub(super) fn until(credential: &Credential, now: i64, lasts: i64) -> i64 {
    now.saturating_add(lasts).min(credential.facts.not_after)
}

/// The licence, a compact JWS.
pub(super) fn license(
    credential: &Credential,
    installed: &Installed,
    module: &Module,
    terms: Terms<'_>,
) -> Result<String> {
    let Terms { user, id, now, until } = terms;
    let serial_number = &installed.claims.entitlement.serial_number;
    let claims = LicenseClaims {
        iss: credential.spiffe_id.clone(),
        sub: user.to_owned(),
        jti: id.to_owned(),
        iat: now,
        nbf: now,
        exp: until,
        license: License {
            vendor: installed.vendor().to_owned(),
            module: module.name.clone(),
            owner: credential.facts.organization.clone(),
            serial_number: (!serial_number.is_empty()).then(|| serial_number.clone()),
            lease: until - now,
            seats: 1,
            features: module.features.clone(),
        },
    };
    jws::sign(&credential.issuance.keys.licensor, &credential.jose_header, &claims)
}
