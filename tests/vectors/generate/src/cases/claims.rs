//! Claims of licences.

use serde_json::json;

use crate::{
    token::{sign_text, with, without},
    world::{Adder, NOW, PARIS, claims},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    for pointer in [
        "/iss",
        "/sub",
        "/jti",
        "/iat",
        "/nbf",
        "/exp",
        "/license",
        "/license/vendor",
        "/license/module",
        "/license/owner",
        "/license/lease",
        "/license/seats",
    ] {
        let name = format!("claims-without{}", pointer.replace('/', "-"));
        let what = format!("{} is missing", &pointer[1..]);
        to.claimed(&name, "MALFORMED", &what, &without(claims(), pointer));
    }
    for pointer in ["/iss", "/sub", "/jti", "/license/vendor", "/license/module", "/license/owner"] {
        let name = format!("claims-empty{}", pointer.replace('/', "-"));
        let what = format!("{} is empty", &pointer[1..]);
        to.claimed(&name, "MALFORMED", &what, &with(claims(), pointer, json!("")));
    }
    for (name, pointer, value, what) in [
        ("claims-iss-array", "/iss", json!([claims()["iss"]]), "iss is an array"),
        ("claims-sub-number", "/sub", json!(7), "sub is a number"),
        ("claims-jti-null", "/jti", json!(null), "jti is null"),
        ("claims-iat-string", "/iat", json!("1799999940"), "iat is a string"),
        ("claims-nbf-negative", "/nbf", json!(-1), "nbf is negative"),
        ("claims-exp-string", "/exp", json!("1800003540"), "exp is a string"),
        ("claims-exp-true", "/exp", json!(true), "exp is true"),
        ("claims-exp-null", "/exp", json!(null), "exp is null"),
        ("claims-license-string", "/license", json!("crm"), "the licence is a string"),
        ("claims-seats-string", "/license/seats", json!("1"), "seats is a string"),
        ("claims-seats-2-32", "/license/seats", json!(1_u64 << 32), "seats is 2^32"),
        ("claims-seats-negative", "/license/seats", json!(-1), "seats is negative"),
        ("claims-lease-true", "/license/lease", json!(true), "lease is true"),
        ("claims-serial-number-number", "/license/serial_number", json!(1), "the serial number is a number"),
        ("claims-serial-number-null", "/license/serial_number", json!(null), "the serial number is null"),
        ("claims-features-string", "/license/features", json!("mail"), "features is a string"),
        ("claims-features-number", "/license/features", json!(["mail", 1]), "a feature is a number"),
        ("claims-aud", "/aud", json!("someone"), "it is for an audience"),
        ("claims-nbf-at-exp", "/nbf", json!(NOW + 50), "nbf is exp"),
        ("claims-nbf-after-exp", "/nbf", json!(NOW + 55), "nbf is after exp"),
    ] {
        let claims =
            if name.starts_with("claims-nbf-a") { with(claims(), "/exp", json!(NOW + 50)) } else { claims() };
        to.claimed(name, "MALFORMED", what, &with(claims, pointer, value));
    }
    // Numbers that serde_json would write in another way.
    let text = claims().to_string();
    let (exp, nbf) = ((NOW + 3540).to_string(), format!(r#""nbf":{}"#, NOW - 60));
    for (name, from, into, what) in [
        ("claims-exp-fraction", exp.as_str(), "1800003540.0", "exp has a fraction of nought"),
        ("claims-exp-half", &exp, "1800003540.5", "exp has a fraction"),
        ("claims-exp-exponent", &exp, "1.80000354e9", "exp has an exponent"),
        ("claims-exp-2-53", &exp, "9007199254740992", "exp is 2^53"),
        ("claims-exp-2-63", &exp, "9223372036854775808", "exp is 2^63"),
        ("claims-exp-2-64", &exp, "18446744073709555156", "exp is itself modulo 2^64"),
        ("claims-exp-huge", &exp, "1e400", "exp is beyond every float"),
        ("claims-exp-leading-zero", &exp, "01800003540", "exp begins with nought"),
        ("claims-exp-plus", &exp, "+1800003540", "exp begins with a plus"),
        ("claims-nbf-minus-nought", &nbf, r#""nbf":-0"#, "nbf is minus nought"),
        ("claims-seats-fraction", r#""seats":1"#, r#""seats":1.0"#, "seats has a fraction of nought"),
    ] {
        assert_eq!(text.matches(from).count(), 1);
        let jws = sign_text(world.header().to_string(), text.replace(from, into), &world.berlin);
        to.license(name, "MALFORMED", what, jws);
    }
    let of_paris = with(claims(), "/iss", json!(PARIS));
    to.claimed("claims-iss-of-another", "WRONG_ISSUER", "iss is another licensor", &of_paris);
    let longer = with(claims(), "/iss", json!(format!("{}/", crate::world::BERLIN)));
    to.claimed("claims-iss-slash", "WRONG_ISSUER", "iss has a slash more", &longer);
    let upper = with(claims(), "/iss", json!(crate::world::BERLIN.replace("berlin", "Berlin")));
    to.claimed("claims-iss-case", "WRONG_ISSUER", "iss differs in case", &upper);
}
