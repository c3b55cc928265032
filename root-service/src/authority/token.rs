//! Enrolment tokens: one string that says where the root is, what its trust anchor is, and a secret.

use licensor::{
    error::{Error, Reason, Result},
    key::{random_bytes, sha256},
};

pub(crate) use licensor::token::EnrollmentToken;

/// What a new token is made of.
pub(crate) struct NewToken {
    /// The token.
    pub(crate) token: EnrollmentToken,
    /// What the ledger keeps of its secret.
    pub(crate) secret_hash: [u8; 32],
}

/// Makes a token that leads to `address` and pins the anchor with this SHA-256.
pub(crate) fn create(address: &str, anchor_fingerprint: [u8; 32]) -> Result<NewToken> {
    let failed = |error| Error::internal("token", error);
    let id: [u8; 8] = random_bytes().map_err(failed)?;
    let secret: [u8; 32] = random_bytes().map_err(failed)?;
    let token = EnrollmentToken {
        address: address.to_owned(),
        trust_anchor_sha256: anchor_fingerprint.to_vec(),
        id: id.to_vec(),
        secret: secret.to_vec(),
    };
    Ok(NewToken { token, secret_hash: sha256(&secret) })
}

/// Whether the token's secret is the one that was hashed. A digest is compared, so timing tells nothing of the secret.
pub(crate) fn proves(token: &EnrollmentToken, secret_hash: &[u8]) -> bool {
    sha256(&token.secret) == secret_hash
}

/// A token that this root does not know, whatever the cause: a guesser learns nothing.
pub(crate) fn unknown() -> Error {
    Error::new(
        Reason::TokenUnknown,
        "this root did not make the token: use it at the root that made it, or ask for a new one (`root-service token create`)",
    )
}
