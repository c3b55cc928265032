//! Signing compact JWS (RFC 7515 §7.1): what [`verifier::jws`] verifies.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Serialize;
use verifier::jws::Header;

use crate::{
    error::{Error, Result},
    key::PrivateKey,
};

/// The first part of everything of type `typ` that is signed with `key`: the JOSE header in base64url, with `chain` (DER,
/// the signer's certificate first) in `x5c`.
///
/// # Errors
/// `INTERNAL` if it cannot be written as JSON.
pub fn header<'a>(key: &PrivateKey, typ: &str, chain: impl IntoIterator<Item = &'a [u8]>) -> Result<String> {
    let header = Header {
        alg: key.jws_algorithm().to_owned(),
        typ: typ.to_owned(),
        x5c: chain.into_iter().map(|der| BASE64_STANDARD.encode(der)).collect(),
    };
    encode(&header)
}

/// Signs claims; `header` is what [`header()`] returned for the same key.
///
/// # Errors
/// `INTERNAL` if the library fails, or the claims cannot be written as JSON.
pub fn sign(key: &PrivateKey, header: &str, claims: &impl Serialize) -> Result<String> {
    let mut jws = format!("{header}.{}", encode(claims)?);
    let signature = key.sign_token(jws.as_bytes()).map_err(|error| Error::internal("signing", error))?;
    jws.push('.');
    jws.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature));
    Ok(jws)
}

fn encode(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value).map_err(|error| Error::internal("JWS", error))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}
