//! Algorithms, keys and signatures.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use rcgen::PublicKeyData;
use serde_json::{Value, json};

use crate::{
    token::{base64url, header, sign, with},
    world::{Adder, LICENSE, PARIS, claims},
};

/// The order of Ed25519's group (RFC 8032 §5.1), little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn encoded(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()))
}

pub(crate) fn add(to: &mut Adder<'_>) {
    add_algorithms(to);
    add_signatures(to);
    add_keys(to);
}

fn add_algorithms(to: &mut Adder<'_>) {
    let world = to.world;
    let plain = world.header();
    let unsigned = with(plain.clone(), "/alg", json!("none"));
    let jws = format!("{}.", encoded(&unsigned, &claims()));
    to.license("alg-none", "WRONG_ALGORITHM", "alg is none, and there is no signature", jws);
    for (name, alg, what) in [
        ("alg-none-signed", "none", "alg is none, and there is a signature"),
        ("alg-none-case", "nOnE", "alg is none in mixed case"),
        ("alg-es384-p256", "ES384", "alg is ES384, the key P-256"),
        ("alg-es256k", "ES256K", "alg is ES256K, the key P-256"),
        ("alg-eddsa-p256", "EdDSA", "alg is EdDSA, the key P-256"),
        ("alg-lower-case", "es256", "alg in lower case"),
        ("alg-empty", "", "alg is empty"),
    ] {
        to.headed(name, "WRONG_ALGORITHM", what, &with(plain.clone(), "/alg", json!(alg)));
    }
    let public = world.berlin.public_key_info();
    let lines = BASE64_STANDARD.encode(&public);
    let pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &lines[..64], &lines[64..]);
    let symmetric = encoded(&with(plain, "/alg", json!("HS256")), &claims());
    for (name, secret, what) in [
        ("alg-hs256-pem", pem.as_bytes(), "HS256 with the public key in PEM as secret"),
        ("alg-hs256-der", &public, "HS256 with the public key in DER as secret"),
        ("alg-hs256-point", world.berlin.key.der_bytes(), "HS256 with the public point as secret"),
        ("alg-hs256-certificate", &world.berlin.der, "HS256 with the certificate as secret"),
    ] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), symmetric.as_bytes());
        to.license(name, "WRONG_ALGORITHM", what, format!("{symmetric}.{}", base64url(tag)));
    }
    for (name, alg, signer, what) in [
        ("alg-es256-p384", "ES256", &world.berlin_p384, "alg is ES256, the key P-384"),
        ("alg-ed25519-name", "Ed25519", &world.berlin_ed25519, "alg is Ed25519 instead of EdDSA"),
        ("alg-es256-ed25519", "ES256", &world.berlin_ed25519, "alg is ES256, the key Ed25519"),
    ] {
        let header = with(header(LICENSE, signer, &[]), "/alg", json!(alg));
        to.license(name, "WRONG_ALGORITHM", what, sign(&header, &claims(), signer));
    }
}

fn add_signatures(to: &mut Adder<'_>) {
    let world = to.world;
    let (plain, berlin) = (with(world.header(), "/kid", json!("a")), &world.berlin);
    let signed = encoded(&plain, &claims());
    let signature = berlin.sign(signed.as_bytes());
    let mut add = |name: &str, what: &str, signed: &str, signature: &[u8]| {
        to.license(name, "BAD_SIGNATURE", what, format!("{signed}.{}", base64url(signature)));
    };
    let changed = |octet: usize| {
        let mut signature = signature.clone();
        signature[octet] ^= 1;
        signature
    };
    add("signature-flip-r", "a bit of r is another", &signed, &changed(3));
    add("signature-flip-s", "a bit of s is another", &signed, &changed(60));
    let other = encoded(&with(plain.clone(), "/kid", json!("b")), &claims());
    add("signature-flip-header", "two bits of the header are others", &other, &signature);
    let other = encoded(&plain, &with(claims(), "/license/seats", json!(9)));
    add("signature-flip-claims", "a bit of the claims is another", &other, &signature);
    let spaced = format!("{}.{}", base64url(plain.to_string()), base64url(format!("{} ", claims())));
    add("signature-white-space", "the claims mean the same, but have a space more", &spaced, &signature);
    add("signature-missing", "no signature", &signed, &[]);
    add("signature-truncated", "an octet of the signature is missing", &signed, &signature[..63]);
    add("signature-half", "r alone", &signed, &signature[..32]);
    add(
        "signature-octet-follows",
        "an octet follows the signature",
        &signed,
        &[&signature[..], &[0]].concat(),
    );
    add("signature-swapped", "s stands before r", &signed, &[&signature[32..], &signature[..32]].concat());
    add(
        "signature-der",
        "the signature in DER instead of r and s",
        &signed,
        &berlin.sign_der(signed.as_bytes()),
    );
    add("signature-nought", "r and s are nought", &signed, &[0; 64]);
    let claims_alone = signed.split_once('.').unwrap().1;
    add(
        "signature-of-claims-alone",
        "the claims alone are signed",
        &signed,
        &berlin.sign(claims_alone.as_bytes()),
    );

    let header_ed25519 = header(LICENSE, &world.berlin_ed25519, &[]);
    let signed = encoded(&header_ed25519, &claims());
    let mut signature = world.berlin_ed25519.sign(signed.as_bytes());
    let mut carry = 0;
    for (octet, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*octet) + u16::from(order) + carry;
        [*octet, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    add(
        "signature-ed25519-not-reduced",
        "S of Ed25519 is not reduced (RFC 8032 §5.1.7)",
        &signed,
        &signature,
    );
    add("signature-ed25519-nought", "a signature of Ed25519 that is nought", &signed, &[0; 64]);
    let p384 = encoded(&header(LICENSE, &world.berlin_p384, &[]), &claims());
    add("signature-p384-nought", "r and s of P-384 are nought", &p384, &[0; 96]);
}

fn add_keys(to: &mut Adder<'_>) {
    let world = to.world;
    let (plain, paris, stranger) = (world.header(), &world.paris, &world.stranger);
    let jws = sign(&plain, &claims(), paris);
    to.license("key-of-another", "BAD_SIGNATURE", "another licensor has signed it", jws);
    let jws = sign(&plain, &claims(), &world.anchor);
    to.license("key-of-anchor", "BAD_SIGNATURE", "the anchor has signed it", jws);
    let of_paris = header(LICENSE, paris, &[]);
    let jws = sign(&of_paris, &with(claims(), "/iss", json!(PARIS)), &world.berlin);
    to.license("key-x5c-of-another", "BAD_SIGNATURE", "x5c and iss are another licensor's", jws);
    let point = stranger.key.der_bytes();
    let coordinate = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
    let jwk =
        json!({ "kty": "EC", "crv": "P-256", "x": coordinate(&point[1..33]), "y": coordinate(&point[33..]) });
    for (member, value) in [
        ("jwk", jwk),
        ("jku", json!("https://stranger.test/keys.json")),
        ("x5u", json!("https://stranger.test/chain.pem")),
        ("kid", json!("stranger")),
    ] {
        let header = with(plain.clone(), &format!("/{member}"), value);
        let (name, what) =
            (format!("key-by-{member}"), format!("a stranger has signed it, and {member} says so"));
        to.license(&name, "BAD_SIGNATURE", &what, sign(&header, &claims(), stranger));
    }
}
