//! Compact JWS, part by part.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

use crate::certificates::Holder;

pub(crate) fn base64url(octets: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

/// The header of what a holder signs, whose chain goes on with these issuers.
pub(crate) fn header(typ: &str, signer: &Holder, issuers: &[&Holder]) -> Value {
    let chain = std::iter::once(signer).chain(issuers.iter().copied());
    let x5c: Vec<_> = chain.map(|holder| BASE64_STANDARD.encode(&holder.der)).collect();
    json!({ "alg": signer.alg(), "typ": typ, "x5c": x5c })
}

/// A JWS of two parts that are encoded already.
pub(crate) fn sign_encoded(header: &str, payload: &str, signer: &Holder) -> String {
    let signed = format!("{header}.{payload}");
    let signature = base64url(signer.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A JWS of a header and claims in these very words.
pub(crate) fn sign_text(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>, signer: &Holder) -> String {
    sign_encoded(&base64url(header), &base64url(claims), signer)
}

pub(crate) fn sign(header: &Value, claims: &Value, signer: &Holder) -> String {
    sign_text(header.to_string(), claims.to_string(), signer)
}

/// The same with another value at a JSON pointer, which need not have been there.
pub(crate) fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Array(array) => array[name.parse::<usize>().unwrap()] = new,
        parent => parent[name] = new,
    }
    value
}

/// The same without what is at a JSON pointer.
pub(crate) fn without(mut value: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    value
}

/// Sets the bits that the last character of base64 has to spare.
pub(crate) fn with_trailing_bits(encoded: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(encoded.len() % 4, 0, "there are no bits to spare");
    let (first, last) = encoded.split_at(encoded.len() - 1);
    let value = ALPHABET.iter().position(|character| *character == last.as_bytes()[0]).unwrap();
    format!("{first}{}", char::from(ALPHABET[value | 1]))
}

/// JSON with spaces after it, so that base64 has bits to spare.
pub(crate) fn spared(value: &Value) -> String {
    let mut text = value.to_string();
    while text.len().is_multiple_of(3) {
        text.push(' ');
    }
    text
}
