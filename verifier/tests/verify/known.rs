//! Chains that are known: whatever was verified before, the outcome is the same.

use serde_json::{Value, json};
use verifier::{ChainError, JwsError, KnownChains, Trust, verify_license};

use crate::{
    bench::{Authority, DAY, Licensor, NOW, Order, anchor, claims, intermediate},
    revocation::{serial, verified},
};

/// A licensor two steps below its anchor, and chains that are known.
struct Case {
    anchor: Authority,
    issuer: Authority,
    licensor: Licensor,
    known: KnownChains,
}

impl Case {
    fn new() -> Self {
        let anchor = anchor("Anchor");
        let issuer = intermediate("Issuer", &anchor);
        let licensor = Licensor::certified(Order::default(), &issuer);
        let case = Self { anchor, issuer, licensor, known: KnownChains::default() };
        assert_eq!(case.verify(&case.license(&claims()), &[&case.anchor]), Ok(()));
        case
    }

    fn license(&self, claims: &Value) -> String {
        self.licensor.sign(&self.licensor.header(&[&self.issuer]), claims)
    }

    /// The outcome, which must not depend on what is known.
    fn verify(&self, license: &str, anchors: &[&Authority]) -> Result<(), JwsError> {
        let anchors: Vec<_> = anchors.iter().map(|anchor| anchor.der().to_vec()).collect();
        let trust = Trust { anchors: &anchors, ..Trust::default() };
        let cold = verify_license(license, trust, NOW);
        let known = verify_license(license, Trust { known: Some(&self.known), ..trust }, NOW);
        assert_eq!(cold, known);
        known.map(drop)
    }
}

fn issued_at(time: i64) -> Value {
    let mut claims = claims();
    (claims["iat"], claims["nbf"]) = (json!(time), json!(time));
    claims
}

#[test]
fn claims_and_signature_are_checked_every_time() {
    let case = Case::new();
    let license = case.license(&claims());
    let (signed, signature) = license.rsplit_once('.').unwrap();
    let other = case.license(&issued_at(NOW - 1));
    let (_, other) = other.rsplit_once('.').unwrap();
    assert_eq!(case.verify(&format!("{signed}.{other}"), &[&case.anchor]), Err(JwsError::BadSignature));
    let wrong = format!("{signed}.{signature}=");
    assert!(matches!(case.verify(&wrong, &[&case.anchor]), Err(JwsError::Malformed(_))));
    let mut foreign = claims();
    foreign["iss"] = json!("spiffe://licensor.test/licensing-server/other");
    let found = case.verify(&case.license(&foreign), &[&case.anchor]);
    assert!(matches!(found, Err(JwsError::WrongIssuer { .. })), "{found:?}");
    // The same header, signed by somebody else.
    let thief = Licensor::certified(Order::default(), &case.issuer);
    let stolen = thief.sign(&case.licensor.header(&[&case.issuer]), &claims());
    assert_eq!(case.verify(&stolen, &[&case.anchor]), Err(JwsError::BadSignature));
}

#[test]
fn the_chain_is_verified_anew_for_another_time_of_issue() {
    let case = Case::new();
    let (first, end) = (NOW - DAY, NOW + 30 * DAY);
    for _ in 0..2 {
        let early = case.verify(&case.license(&issued_at(first - 1)), &[&case.anchor]);
        assert_eq!(early, Err(JwsError::Chain(ChainError::NotYetValid { not_before: first })));
        case.verify(&case.license(&issued_at(first)), &[&case.anchor]).unwrap();
        let mut late = issued_at(end);
        late["exp"] = json!(end + 1);
        let late = case.verify(&case.license(&late), &[&case.anchor]);
        assert_eq!(late, Err(JwsError::Chain(ChainError::Expired { not_after: end })));
        case.verify(&case.license(&claims()), &[&case.anchor]).unwrap();
    }
}

#[test]
fn what_is_known_is_known_for_the_same_anchors() {
    let case = Case::new();
    let other = anchor("Anchor");
    for _ in 0..2 {
        for anchors in [&[][..], &[&other]] {
            let found = case.verify(&case.license(&claims()), anchors);
            assert!(matches!(found, Err(JwsError::Chain(ChainError::NoPath(_)))), "{found:?}");
        }
        case.verify(&case.license(&claims()), &[&case.anchor]).unwrap();
        case.verify(&case.license(&claims()), &[&other, &case.anchor]).unwrap();
    }
}

#[test]
fn a_chain_that_is_known_can_be_revoked() {
    let case = Case::new();
    let (license, anchors) = (case.license(&claims()), [case.anchor.der().to_vec()]);
    let trust = Trust { anchors: &anchors, known: Some(&case.known), ..Trust::default() };
    for (issuer, revoked) in
        [(&case.issuer, &case.licensor.certificate), (&case.anchor, &case.issuer.der().to_vec())]
    {
        let lists = [verified(issuer, &[serial(revoked)])];
        let found = verify_license(&license, Trust { revocation_lists: &lists, ..trust }, NOW);
        assert!(matches!(found, Err(JwsError::Revoked { .. })), "{found:?}");
        verify_license(&license, trust, NOW).unwrap();
    }
}

#[test]
fn more_signers_than_are_kept_are_all_verified() {
    let case = Case::new();
    let licensors: Vec<_> = (0..70).map(|_| Licensor::certified(Order::default(), &case.issuer)).collect();
    for licensor in licensors.iter().chain(&licensors) {
        let license = licensor.sign(&licensor.header(&[&case.issuer]), &claims());
        case.verify(&license, &[&case.anchor]).unwrap();
    }
}
