//! What is no compact JWS, or no JSON that can be read in one way only.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use serde_json::{Value, json};

use crate::{
    token::{base64url, sign, sign_encoded, sign_text, spared, with_trailing_bits},
    world::{Adder, claims},
};

const MALFORMED: &str = "MALFORMED";

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    let (header, claims) = (world.header(), claims());
    let berlin = &world.berlin;
    let jws = sign(&header, &claims, berlin);
    let parts: Vec<_> = jws.split('.').collect();
    let [first, second, third] = parts.as_slice() else { unreachable!() };
    let mut add = |name: &str, what: &str, jws: String| {
        to.license(name, MALFORMED, what, jws);
    };

    add("form-empty", "nothing", String::new());
    add("form-two-parts", "the signature and its dot are missing", format!("{first}.{second}"));
    add("form-four-parts", "a fourth part", format!("{jws}.{third}"));
    let json = json!({ "payload": second, "protected": first, "signature": third });
    add("form-json-serialisation", "the JSON serialisation (RFC 7515 §7.2)", json.to_string());

    let (spare_header, spare_claims) = (base64url(spared(&header)), base64url(spared(&claims)));
    let pad = |part: &str| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
    let signed = |header: &str, claims: &str| sign_encoded(header, claims, berlin);
    add("form-header-padded", "base64url of the header is padded", signed(&pad(&spare_header), second));
    add("form-claims-padded", "base64url of the claims is padded", signed(first, &pad(&spare_claims)));
    add("form-signature-padded", "base64url of the signature is padded", format!("{jws}=="));
    let bits = with_trailing_bits(&spare_header);
    add("form-header-trailing-bits", "bits to spare in the header are set", signed(&bits, second));
    let bits = with_trailing_bits(&spare_claims);
    add("form-claims-trailing-bits", "bits to spare in the claims are set", signed(first, &bits));
    let bits = with_trailing_bits(third);
    add(
        "form-signature-trailing-bits",
        "bits to spare in the signature are set",
        format!("{first}.{second}.{bits}"),
    );
    let (left, right) = second.split_at(20);
    add("form-space-within", "a space within the claims", signed(first, &format!("{left} {right}")));
    let (left, right) = first.split_at(40);
    add(
        "form-line-feed-within",
        "a line feed within the header",
        signed(&format!("{left}\n{right}"), second),
    );
    let (left, right) = third.split_at(30);
    add(
        "form-line-feed-in-signature",
        "a line feed within the signature",
        format!("{first}.{second}.{left}\r\n{right}"),
    );
    let plus = loop {
        let jws = sign(&header, &claims, berlin);
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        if signature.contains(['-', '_']) {
            break format!("{signed}.{}", signature.replace('-', "+").replace('_', "/"));
        }
    };
    add("form-standard-alphabet", "the signature in the other alphabet of base64", plus);
    let text = claims.to_string().replace("anna", "???>>>");
    let standard = BASE64_STANDARD_NO_PAD.encode(&text);
    assert!(standard.contains(['+', '/']));
    add(
        "form-claims-standard-alphabet",
        "the claims in the other alphabet of base64",
        signed(first, &standard),
    );

    // Header and claims in other words.
    let (header, claims) = (header.to_string(), claims.to_string());
    let mut add_claims = |name: &str, what: &str, claims: Vec<u8>| {
        to.license(name, MALFORMED, what, sign_text(&header, claims, berlin));
    };
    let also = |member: &str| format!("{{{member},{}", &claims[1..]);
    let mut claims_text =
        |name: &str, what: &str, claims: String| add_claims(name, what, claims.into_bytes());
    claims_text("json-duplicate-exp", "exp stands twice", also(r#""exp":1900000000"#));
    claims_text("json-duplicate-equal", "sub stands twice, with the same value", also(r#""sub":"anna""#));
    claims_text("json-duplicate-unknown", "a claim that nobody knows stands twice", also(r#""x":1,"x":1"#));
    claims_text("json-duplicate-escaped", "jti stands twice, once escaped", also(r#""\u006ati":"0198c1a2""#));
    let seats = claims.replace(r#""seats":1"#, r#""seats":1,"seats":2"#);
    claims_text("json-duplicate-within", "seats stands twice", seats);
    claims_text(
        "json-duplicate-deep",
        "a member stands twice deep in a claim",
        also(r#""x":[{"y":{"z":1,"z":2}}]"#),
    );
    claims_text("json-not-a-number", "NaN in a claim that nobody knows", also(r#""x":NaN"#));
    claims_text("json-null", "null in a claim that nobody knows", also(r#""x":null"#));
    claims_text("json-negative", "a negative number in a claim that nobody knows", also(r#""x":-1"#));
    claims_text("json-fraction", "a fraction in a claim that nobody knows", also(r#""x":0.5"#));
    claims_text("json-unsafe-integer", "2^53 in a claim that nobody knows", also(r#""x":9007199254740992"#));
    claims_text("json-something-follows", "something follows the claims", format!("{claims}{{}}"));
    claims_text("json-unfinished", "the claims break off", claims[..claims.len() - 1].to_owned());
    claims_text("json-trailing-comma", "a comma at the end", format!("{},}}", &claims[..claims.len() - 1]));
    claims_text("json-byte-order-mark", "a byte order mark before the claims", format!("\u{feff}{claims}"));
    claims_text("json-claims-array", "the claims are an array", array(&claims));
    let value: Value = serde_json::from_str(&claims).unwrap();
    let license = value["license"].to_string();
    claims_text("json-license-array", "the licence is an array", claims.replace(&license, &array(&license)));
    claims_text("json-claims-string", "the claims are a string", json!(claims).to_string());
    add_claims(
        "json-not-utf8",
        "an octet that is not UTF-8",
        claims
            .replace("anna", "ann\0")
            .into_bytes()
            .iter()
            .map(|octet| if *octet == 0 { 0xe4 } else { *octet })
            .collect(),
    );

    let mut add_header = |name: &str, what: &str, header: String| {
        to.license(name, MALFORMED, what, sign_text(header, &claims, berlin));
    };
    let also = |member: &str| format!("{{{member},{}", &header[1..]);
    add_header("json-duplicate-alg", "alg stands twice", also(r#""alg":"none""#));
    add_header("json-duplicate-typ", "typ stands twice", also(r#""typ":"license+jwt""#));
    add_header("json-duplicate-x5c", "x5c stands twice", also(r#""x5c":[]"#));
    add_header("json-duplicate-kid", "kid stands twice", also(r#""kid":"a","kid":"b""#));
    add_header("json-header-array", "the header is an array", array(&header));
    add_header("json-header-null", "kid is null", also(r#""kid":null"#));
    add_header("json-header-follows", "something follows the header", format!("{header} 1"));
}

/// The values of an object as an array.
fn array(object: &str) -> String {
    let object: serde_json::Map<String, Value> = serde_json::from_str(object).unwrap();
    Value::Array(object.into_iter().map(|(_, value)| value).collect()).to_string()
}
