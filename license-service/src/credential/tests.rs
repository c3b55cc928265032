use licensor::key::KeyAlgorithm;
use proto::certification::v1::RenewRequest;

use super::*;
use crate::test_root::{TestRoot, start};

/// What `root` issues for new keys.
fn issued(root: &TestRoot) -> Issuance {
    let key = || PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let keys = Keys { licensor: key(), server: key() };
    let request = RenewRequest {
        licensor_csr: keys.licensor.certificate_request().unwrap(),
        server_csr: keys.server.certificate_request().unwrap(),
        authority_csr: Vec::new(),
    };
    let answer = root.renew(&request, start());
    Issuance {
        licensor: answer.licensor_certificate,
        server: answer.server_certificate,
        issuers: answer.issuers,
        anchors: answer.trust_bundle.unwrap().trust_anchors,
        renew_at: start(),
        keys: Arc::new(keys),
    }
}

fn refusal(root: &TestRoot, trusted: &[Vec<u8>]) -> String {
    let error = Credential::check(issued(root), trusted, start()).unwrap_err();
    assert_eq!(error.reason, Reason::CredentialInvalid);
    error.message
}

#[test]
fn a_root_with_another_key_is_known_by_the_certificate_of_its_former_key() {
    let (former, mut root) = (TestRoot::anchor("Former"), TestRoot::anchor("Latter"));
    assert!(refusal(&root, &former.anchors).contains("does not lead to a trust anchor"));
    root.issuers = vec![former.cross_certify(&root)];
    // The former anchor is not in the bundle any more.
    assert!(!root.anchors.contains(&former.certificate));
    let credential = Credential::check(issued(&root), &former.anchors, start()).unwrap();
    assert_eq!(credential.issuance.anchors, root.anchors);
    let stranger = TestRoot::anchor("Stranger");
    assert!(refusal(&root, &stranger.anchors).contains("does not lead to a trust anchor"));
}

#[test]
fn a_trust_bundle_that_does_not_fit_the_certificate_is_refused() {
    let root = TestRoot::anchor("Root");
    Credential::check(issued(&root), &root.anchors, start()).unwrap();
    for (anchors, words) in [
        (Vec::new(), "its trust bundle is empty"),
        (TestRoot::anchor("Root").anchors, "its trust bundle does not fit"),
        ([root.anchors.clone(), vec![vec![0x30, 0]]].concat(), "something that is no certificate"),
    ] {
        let message = refusal(&TestRoot { anchors, ..root.clone() }, &root.anchors);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_root_may_stand_below_another() {
    let (upper, former) = (TestRoot::anchor("Upper"), TestRoot::anchor("Lower"));
    let root = former.clone().below(&upper);
    Credential::check(issued(&root), &upper.anchors, start()).unwrap();
    // Its key is the same: who trusted it while it was an anchor need not learn of the move first.
    Credential::check(issued(&root), &former.anchors, start()).unwrap();
}
