//! Entitlements: what is special to them, and that the rules of licences hold for them, too.

use serde_json::json;

use crate::{
    certificates::{entitlement_signer, instant, revocation_list},
    log::{ENROLLED, entry, proof},
    token::{header, sign, sign_text, with, without},
    world::{Adder, DAY, ENTITLEMENT, LICENSE, NOW, VENDOR, entitlement},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    add_claims(to);
    let world = to.world;
    let signed = |typ: &str, signer| sign(&header(typ, signer, &[]), &entitlement(), signer);
    to.entitlement(
        "entitlement-typ",
        "WRONG_TYPE",
        "typ is that of a licence",
        signed(LICENSE, &world.vendor),
    );
    let by_licensor = with(entitlement(), "/iss", json!(crate::world::BERLIN));
    let jws = sign(&header(ENTITLEMENT, &world.berlin, &[]), &by_licensor, &world.berlin);
    to.entitlement("entitlement-by-licensor", "NOT_AN_ENTITLEMENT_SIGNER", "a licensor has signed it", jws);
    let plain = signed(ENTITLEMENT, &world.vendor);
    to.entitlement("entitlement-other-anchor", "CHAIN_INVALID", "another anchor is trusted", plain.clone())
        .trusting(&[("stranger", &world.stranger.der)]);
    let jws = sign(&world.vendor_header(), &entitlement(), &world.berlin);
    to.entitlement("entitlement-signature", "BAD_SIGNATURE", "someone else has signed it", jws);
    let header_384 = with(world.vendor_header(), "/alg", json!("ES384"));
    let jws = sign(&header_384, &entitlement(), &world.vendor);
    to.entitlement("entitlement-algorithm", "WRONG_ALGORITHM", "alg is ES384, the key P-256", jws);
    let crit = with(world.vendor_header(), "/crit", json!(["x"]));
    let jws = sign(&crit, &entitlement(), &world.vendor);
    to.entitlement("entitlement-crit", "MALFORMED", "a critical member", jws);
    let of_vendor = revocation_list(&world.anchor, &[&world.vendor], |_| {});
    to.entitlement("entitlement-revoked", "REVOKED", "the signer's certificate is revoked", plain.clone())
        .list("anchor-revokes-vendor", &of_vendor);
    let others = proof(entry(ENROLLED, &world.paris.der), &world.anchor).0;
    to.entitlement("entitlement-proof", "UNPROVED", "the proof is of another certificate", plain.clone())
        .proof(others.to_text());
    to.entitlement(
        "entitlement-time-nbf",
        "NOT_YET_VALID",
        "nbf lies ahead by a second more than the leeway",
        sign(&world.vendor_header(), &with(entitlement(), "/nbf", json!(NOW + 61)), &world.vendor),
    );
    to.entitlement(
        "entitlement-time-iat",
        "ISSUED_AHEAD",
        "iat lies ahead by a second more than the leeway",
        sign(&world.vendor_header(), &with(entitlement(), "/iat", json!(NOW + 61)), &world.vendor),
    );
    let early = with(entitlement(), "/iat", json!(NOW - DAY - 1));
    to.entitled(
        "entitlement-before-certificate",
        "CERTIFICATE_NOT_YET_VALID",
        "signed a second before the certificate's notBefore",
        &early,
    );
    let expired = entitlement_signer(VENDOR, &world.anchor, |params| params.not_after = instant(NOW - 60));
    let jws = signed(ENTITLEMENT, &expired);
    to.entitlement(
        "entitlement-at-not-after",
        "CERTIFICATE_EXPIRED",
        "signed at the certificate's notAfter",
        jws,
    );
    let of_another = with(entitlement(), "/iss", json!("spiffe://licensor.test/root/other"));
    to.entitled("entitlement-iss-of-another", "WRONG_ISSUER", "iss is another root", &of_another);
}

fn add_claims(to: &mut Adder<'_>) {
    let world = to.world;
    for pointer in [
        "/iss",
        "/sub",
        "/jti",
        "/iat",
        "/nbf",
        "/entitlement",
        "/entitlement/vendor",
        "/entitlement/version",
        "/entitlement/company",
        "/entitlement/serial_number",
        "/entitlement/time_zone",
        "/entitlement/modules/0/name",
        "/entitlement/modules/0/quantity",
        "/entitlement/modules/0/lease",
        "/entitlement/modules/0/borrow/longest",
        "/entitlement/modules/0/borrow/seats",
        "/entitlement/services/0/name",
        "/entitlement/services/0/unit",
        "/entitlement/services/0/price/minor_units",
        "/entitlement/services/0/price/currency",
        "/entitlement/services/0/price/per",
    ] {
        let name = format!("entitlement-without{}", pointer.replace("/entitlement", "").replace('/', "-"));
        let name = if pointer == "/entitlement" { "entitlement-without-entitlement".into() } else { name };
        let what = format!("{} is missing", &pointer[1..]);
        to.entitled(&name, "MALFORMED", &what, &without(entitlement(), pointer));
    }
    for pointer in [
        "/iss",
        "/sub",
        "/jti",
        "/entitlement/vendor",
        "/entitlement/modules/0/name",
        "/entitlement/services/0/name",
    ] {
        let name = format!("entitlement-empty{}", pointer.replace("/entitlement", "").replace('/', "-"));
        let what = format!("{} is empty", &pointer[1..]);
        to.entitled(&name, "MALFORMED", &what, &with(entitlement(), pointer, json!("")));
    }
    for (name, pointer, value, what) in [
        ("entitlement-exp", "/exp", json!(NOW + DAY), "it has exp"),
        ("entitlement-aud", "/aud", json!(["someone"]), "it is for an audience"),
        ("entitlement-string", "/entitlement", json!("all"), "the entitlement is a string"),
        ("entitlement-version-string", "/entitlement/version", json!("3"), "the version is a string"),
        ("entitlement-version-negative", "/entitlement/version", json!(-3), "the version is negative"),
        ("entitlement-dates-array", "/entitlement/dates", json!([NOW]), "the dates are an array"),
        ("entitlement-date-string", "/entitlement/dates/expires", json!("2030-01-01"), "a date is a string"),
        ("entitlement-date-null", "/entitlement/dates/grace_ends", json!(null), "a date is null"),
        ("entitlement-modules-object", "/entitlement/modules", json!({}), "the modules are an object"),
        (
            "entitlement-module-array",
            "/entitlement/modules/0",
            json!(["crm", "", "", "user", 1, 60]),
            "a module is an array",
        ),
        (
            "entitlement-module-kind",
            "/entitlement/modules/0/kind",
            json!("group"),
            "a module is of an unknown kind",
        ),
        ("entitlement-module-title", "/entitlement/modules/0/title", json!(1), "a title is a number"),
        (
            "entitlement-quantity-2-32",
            "/entitlement/modules/0/quantity",
            json!(1_u64 << 32),
            "a quantity is 2^32",
        ),
        (
            "entitlement-feature-number",
            "/entitlement/modules/0/features",
            json!([1]),
            "a feature is a number",
        ),
        ("entitlement-borrow-true", "/entitlement/modules/0/borrow", json!(true), "borrow is true"),
        (
            "entitlement-aggregation",
            "/entitlement/services/0/aggregation",
            json!("mean"),
            "an unknown aggregation",
        ),
        (
            "entitlement-allowance",
            "/entitlement/services/0/allowance",
            json!(1000),
            "an allowance is a number",
        ),
        (
            "entitlement-allowance-base",
            "/entitlement/services/0/allowance/base",
            json!("1"),
            "a part of it is a string",
        ),
    ] {
        to.entitled(name, "MALFORMED", what, &with(entitlement(), pointer, value));
    }
    let text = entitlement().to_string();
    for (name, from, into, what) in [
        (
            "entitlement-version-fraction",
            r#""version":3"#,
            r#""version":3.0"#,
            "the version has a fraction of nought",
        ),
        (
            "entitlement-version-2-53",
            r#""version":3"#,
            r#""version":9007199254740992"#,
            "the version is 2^53",
        ),
        (
            "entitlement-duplicate-version",
            r#""version":3"#,
            r#""version":3,"version":4"#,
            "the version stands twice",
        ),
        (
            "entitlement-duplicate-quantity",
            r#""quantity":25"#,
            r#""quantity":25,"quantity":9"#,
            "a quantity stands twice",
        ),
    ] {
        assert_eq!(text.matches(from).count(), 1);
        let jws = sign_text(world.vendor_header().to_string(), text.replace(from, into), &world.vendor);
        to.entitlement(name, "MALFORMED", what, jws);
    }
}
