//! Headers.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
use serde_json::{Value, json};

use crate::{
    token::{header, with, without},
    world::{Adder, LICENSE},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    let plain = world.header();
    for name in ["alg", "typ", "x5c"] {
        let what = format!("{name} is missing");
        to.headed(
            &format!("header-without-{name}"),
            "MALFORMED",
            &what,
            &without(plain.clone(), &format!("/{name}")),
        );
    }
    to.headed("header-alg-number", "MALFORMED", "alg is a number", &with(plain.clone(), "/alg", json!(7)));
    to.headed(
        "header-typ-array",
        "MALFORMED",
        "typ is an array",
        &with(plain.clone(), "/typ", json!([LICENSE])),
    );

    for (name, typ, what) in [
        ("header-typ-jwt", "JWT", "typ is JWT"),
        ("header-typ-entitlement", "entitlement+jwt", "typ is that of an entitlement"),
        ("header-typ-upper-case", "LICENSE+JWT", "typ in upper case"),
        ("header-typ-media-type", "application/license+jwt", "typ with application/ before it"),
        ("header-typ-empty", "", "typ is empty"),
    ] {
        to.headed(name, "WRONG_TYPE", what, &with(plain.clone(), "/typ", json!(typ)));
    }

    let crit = with(plain.clone(), "/crit", json!(["exp"]));
    to.headed("header-crit", "MALFORMED", "a critical member", &with(crit, "/exp", json!(1)));
    to.headed("header-crit-empty", "MALFORMED", "crit is empty", &with(plain.clone(), "/crit", json!([])));
    to.headed(
        "header-b64-false",
        "MALFORMED",
        "b64 is false, without crit",
        &with(plain.clone(), "/b64", json!(false)),
    );
    to.headed(
        "header-b64-true",
        "MALFORMED",
        "b64 is true, without crit",
        &with(plain.clone(), "/b64", json!(true)),
    );

    let leaf = world.berlin.der.as_slice();
    let standard = BASE64_STANDARD.encode(leaf);
    let mut x5c = |name: &str, expected: &str, what: &str, x5c: Value| {
        to.headed(name, expected, what, &with(plain.clone(), "/x5c", x5c));
    };
    x5c("x5c-empty", "MALFORMED", "x5c is empty", json!([]));
    x5c("x5c-string", "MALFORMED", "x5c is a string", json!(standard));
    x5c("x5c-number-within", "MALFORMED", "a number stands in x5c", json!([standard, 1]));
    let (left, right) = standard.split_at(64);
    x5c("x5c-line-feed", "MALFORMED", "line feeds in x5c", json!([format!("{left}\n{right}")]));
    x5c("x5c-not-base64", "MALFORMED", "x5c is not base64", json!([format!("%{standard}")]));
    let pem = format!("-----BEGIN CERTIFICATE-----\n{standard}\n-----END CERTIFICATE-----\n");
    x5c("x5c-pem", "MALFORMED", "x5c is PEM", json!([pem]));
    x5c("x5c-nine", "MALFORMED", "nine certificates", json!(vec![standard.as_str(); 9]));
    let longer = BASE64_STANDARD.encode([leaf, &[0]].concat());
    x5c("x5c-octet-follows", "CERTIFICATE_MALFORMED", "an octet follows the certificate", json!([longer]));
    let shorter = BASE64_STANDARD.encode(&leaf[..leaf.len() - 1]);
    x5c("x5c-cut", "CERTIFICATE_MALFORMED", "the certificate lacks an octet", json!([shorter]));
    let garbage = BASE64_STANDARD.encode("no certificate");
    x5c(
        "x5c-garbage-behind",
        "CERTIFICATE_MALFORMED",
        "the second is no certificate",
        json!([standard, garbage]),
    );

    // Forms of base64 that differ need a certificate of which they do.
    let differs =
        |der: &[u8]| BASE64_STANDARD.encode(der).contains(['+', '/']) && !der.len().is_multiple_of(3);
    let licensor = loop {
        let licensor = crate::certificates::licensor(
            crate::world::BERLIN,
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &world.anchor,
            |_| {},
        );
        if differs(&licensor.der) {
            break licensor;
        }
    };
    let of = |encoded: String| with(header(LICENSE, &licensor, &[]), "/x5c", json!([encoded]));
    let signed = |header: &Value| crate::token::sign(header, &crate::world::claims(), &licensor);
    let url = of(BASE64_URL_SAFE.encode(&licensor.der));
    to.license("x5c-base64url", "MALFORMED", "x5c in base64url", signed(&url));
    let standard = BASE64_STANDARD.encode(&licensor.der);
    let bare = of(standard.trim_end_matches('=').to_owned());
    to.license("x5c-without-padding", "MALFORMED", "x5c without padding", signed(&bare));
    let unpadded = standard.trim_end_matches('=');
    let last = unpadded.as_bytes()[unpadded.len() - 1];
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = ALPHABET.iter().position(|character| *character == last).unwrap();
    let bits = format!(
        "{}{}{}",
        &unpadded[..unpadded.len() - 1],
        char::from(ALPHABET[value | 1]),
        "=".repeat(standard.len() - unpadded.len())
    );
    to.license("x5c-trailing-bits", "MALFORMED", "bits to spare in x5c are set", signed(&of(bits)));
}
