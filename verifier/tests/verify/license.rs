//! Licences: what is accepted, and each way in which one is not.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519};
use serde_json::{Value, json};
use verifier::license::LICENSE_TYPE;
use verifier::{ChainError, JwsError, LicenseClaims, Trust, verify_license};

use crate::bench::{Authority, DAY, Licensor, NOW, Order, SPIFFE_ID, anchor, claims, encode, intermediate};

/// An anchor and a licensor of it.
struct Case {
    anchor: Authority,
    licensor: Licensor,
}

impl Case {
    fn new() -> Self {
        let anchor = anchor("Anchor");
        let licensor = Licensor::certified(Order::default(), &anchor);
        Self { anchor, licensor }
    }

    fn verify_at(&self, license: &str, now: i64, leeway: i64) -> Result<LicenseClaims, JwsError> {
        let anchors = [self.anchor.der().to_vec()];
        verify_license(license, Trust { anchors: &anchors, leeway, ..Trust::default() }, now)
    }

    fn verify(&self, license: &str) -> Result<LicenseClaims, JwsError> {
        self.verify_at(license, NOW, 0)
    }

    /// What is said of a licence that its licensor signed with this header and these claims.
    fn signed(&self, header: &Value, claims: &Value) -> Result<LicenseClaims, JwsError> {
        self.verify(&self.licensor.sign(header, claims))
    }

    fn header(&self) -> Value {
        self.licensor.header(&[])
    }
}

fn with(mut value: Value, member: &str, new: Value) -> Value {
    value[member] = new;
    value
}

fn without(mut value: Value, member: &str) -> Value {
    value.as_object_mut().unwrap().remove(member).unwrap();
    value
}

fn trusting(anchors: &[Vec<u8>]) -> Trust<'_> {
    Trust { anchors, ..Trust::default() }
}

#[track_caller]
fn malformed(result: Result<LicenseClaims, JwsError>) {
    assert!(matches!(result, Err(JwsError::Malformed(_))), "{result:?}");
}

#[test]
fn a_licence_is_accepted_whatever_kind_of_key_its_licensor_has() {
    let top = anchor("Anchor");
    let anchors = [top.der().to_vec()];
    let middle = intermediate("Middle", &top);
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let licensor = Licensor::certified(Order { algorithm, ..Order::default() }, &middle);
        let license = licensor.sign(&licensor.header(&[&middle]), &claims());
        let accepted = verify_license(&format!("{license}\n"), trusting(&anchors), NOW).unwrap();
        assert_eq!((accepted.iss.as_str(), accepted.sub.as_str()), (SPIFFE_ID, "anna"));
        assert_eq!((accepted.license.module.as_str(), accepted.license.seats), ("crm", 1));
    }
}

#[test]
fn a_licence_is_valid_from_nbf_until_just_before_exp_give_or_take_the_leeway() {
    let case = Case::new();
    let license = case.licensor.sign(&case.header(), &claims());
    let (nbf, exp) = (NOW, NOW + 3600);
    for leeway in [0, 60] {
        let check = |now| case.verify_at(&license, now, leeway);
        assert_eq!(check(nbf - leeway - 1), Err(JwsError::NotYetValid { nbf }));
        check(nbf - leeway).unwrap();
        check(exp + leeway - 1).unwrap();
        assert_eq!(check(exp + leeway), Err(JwsError::Expired { exp }));
    }
    assert_eq!(case.verify_at(&license, i64::MAX, i64::MAX).map(|_| ()), Ok(()));
    assert_eq!(case.verify_at(&license, i64::MIN, 0), Err(JwsError::NotYetValid { nbf }));
}

#[test]
fn a_licence_outlives_its_licensors_certificate_only_in_name() {
    let case = Case::new();
    let not_after = NOW + 30 * DAY;
    let last = with(claims(), "exp", json!(not_after));
    case.signed(&case.header(), &last).unwrap();
    let longer = with(claims(), "exp", json!(not_after + 1));
    let error = case.signed(&case.header(), &longer).unwrap_err();
    assert_eq!(error, JwsError::OutlivesLicensor { exp: not_after + 1, not_after });
    // Issued in time, it stays valid for its own time.
    let issued = with(last, "iat", json!(not_after - 1));
    let license = case.licensor.sign(&case.header(), &issued);
    case.verify_at(&license, not_after - 1, 0).unwrap();
}

#[test]
fn a_licence_that_was_issued_outside_of_the_certificates_validity_is_refused() {
    let case = Case::new();
    let (not_before, not_after) = (NOW - DAY, NOW + 30 * DAY);
    let late = with(claims(), "iat", json!(not_after));
    let error = case.signed(&case.header(), &late).unwrap_err();
    assert_eq!(error, JwsError::Chain(ChainError::Expired { not_after }));
    let early = with(claims(), "iat", json!(not_before - 1));
    let error = case.signed(&case.header(), &early).unwrap_err();
    assert_eq!(error, JwsError::Chain(ChainError::NotYetValid { not_before }));
}

#[test]
fn a_licence_in_the_name_of_another_is_refused() {
    let case = Case::new();
    let claimed = "spiffe://licensor.test/licensing-server/paris-1";
    let error = case.signed(&case.header(), &with(claims(), "iss", json!(claimed))).unwrap_err();
    assert_eq!(error, JwsError::WrongIssuer { claimed: claimed.into(), certified: SPIFFE_ID.into() });
}

#[test]
fn the_algorithm_is_the_one_of_the_certified_key_and_no_other() {
    let case = Case::new();
    for found in ["none", "None", "HS256", "ES384", "RS256", "EdDSA", ""] {
        let error = case.signed(&with(case.header(), "alg", json!(found)), &claims()).unwrap_err();
        assert_eq!(error, JwsError::WrongAlgorithm { found: found.into(), expected: "ES256" });
    }
}

#[test]
fn a_key_of_a_kind_that_signs_no_licences_is_refused() {
    let top = anchor("Anchor");
    let order = Order { algorithm: &PKCS_ECDSA_P521_SHA512, ..Order::default() };
    let header = Licensor::certified(order, &top).header(&[]);
    let license = format!("{}.{}.AAAA", encode(&with(header, "alg", json!("ES512"))), encode(&claims()));
    let error = verify_license(&license, trusting(&[top.der().to_vec()]), NOW).unwrap_err();
    assert_eq!(error, JwsError::KeyNotAccepted);
}

#[test]
fn a_signature_over_anything_else_does_not_match() {
    let case = Case::new();
    let license = case.licensor.sign(&case.header(), &claims());
    let (signed, signature) = license.rsplit_once('.').unwrap();
    let more = with(claims(), "sub", json!("bert"));
    let changed = format!("{}.{}.{signature}", encode(&case.header()), encode(&more));
    assert_eq!(case.verify(&changed), Err(JwsError::BadSignature));
    for cut in ["", &signature[..signature.len() - 2], "AAAA"] {
        assert_eq!(case.verify(&format!("{signed}.{cut}")), Err(JwsError::BadSignature));
    }
    let another = Licensor::certified(Order::default(), &case.anchor);
    let error = case.verify(&another.sign(&case.header(), &claims())).unwrap_err();
    assert_eq!(error, JwsError::BadSignature);
}

#[test]
fn a_licensor_that_no_anchor_vouches_for_is_refused() {
    let case = Case::new();
    let stranger = Licensor::certified(Order::default(), &anchor("Anchor"));
    let error = case.verify(&stranger.sign(&stranger.header(&[]), &claims())).unwrap_err();
    assert!(matches!(error, JwsError::Chain(ChainError::NoPath(_))), "{error:?}");
}

#[test]
fn what_is_no_compact_jws_with_the_members_of_a_licence_is_malformed() {
    let case = Case::new();
    let license = case.licensor.sign(&case.header(), &claims());
    let (signed, signature) = license.rsplit_once('.').unwrap();
    for wrong in
        ["", ".", "..", "...", "a.b.c", signed, &format!("{license}.x"), &format!("{signed}.{signature}=")]
    {
        malformed(case.verify(wrong));
    }
    for member in ["alg", "typ", "x5c"] {
        malformed(case.signed(&without(case.header(), member), &claims()));
    }
    for typ in ["JWT", "license", "LICENSE+JWT", "entitlement+jwt", ""] {
        let result = case.signed(&with(case.header(), "typ", json!(typ)), &claims());
        assert_eq!(result, Err(JwsError::WrongType { found: typ.into(), expected: LICENSE_TYPE }));
    }
    for x5c in [json!([]), json!("x"), json!(["%"]), json!([1])] {
        malformed(case.signed(&with(case.header(), "x5c", x5c), &claims()));
    }
    for member in ["iss", "sub", "jti", "iat", "nbf", "exp", "license"] {
        malformed(case.signed(&case.header(), &without(claims(), member)));
    }
    malformed(case.signed(&case.header(), &with(claims(), "exp", json!("tomorrow"))));
}

#[test]
fn a_key_that_the_header_brings_along_is_never_honoured() {
    let case = Case::new();
    let stranger = Licensor::certified(Order::default(), &anchor("Stranger"));
    for (member, value) in [
        ("jwk", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
        ("jku", json!("https://stranger.test/keys")),
        ("x5u", json!("https://stranger.test/chain.pem")),
    ] {
        let error = case.verify(&stranger.sign(&with(case.header(), member, value), &claims())).unwrap_err();
        assert_eq!(error, JwsError::BadSignature);
    }
}

#[test]
fn critical_members_that_are_not_understood_are_refused() {
    let case = Case::new();
    malformed(case.signed(&with(case.header(), "crit", json!(["b64"])), &claims()));
    malformed(case.signed(&with(case.header(), "crit", json!([])), &claims()));
}
