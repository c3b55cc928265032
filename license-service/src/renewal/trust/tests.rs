use std::{fs, time::Duration};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use licensor::{event::EventKind, serve::Shutdown};
use proto::certification::v1::Issuer;
use verifier::Revoked;

use super::*;
use crate::{
    renewal::{Automatic, test_node::TestNode},
    test_root::TestRoot,
};

/// The certificates that a licence carries (DER).
fn x5c(credential: &Credential) -> Vec<Vec<u8>> {
    let header = BASE64_URL_SAFE_NO_PAD.decode(&credential.jose_header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    let chain = header["x5c"].as_array().unwrap().iter();
    chain.map(|der| BASE64_STANDARD.decode(der.as_str().unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_moved_below_another_is_followed_by_everything_that_shows_the_chain() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let former = node.credential();
    let root = root.below(&TestRoot::anchor("Upper"));
    node.renewal.take_trust(root.bundle(), &former).await.unwrap();

    let credential = node.credential();
    assert_eq!(credential.facts, former.facts);
    assert_eq!(credential.issuance.renew_at, former.issuance.renew_at);
    assert_eq!(credential.issuance.anchors, root.anchors);
    assert_eq!(x5c(&credential), [credential.issuance.licensor.clone(), root.certificate.clone()]);
    let served: Vec<_> = credential.server.cert.iter().map(|der| der.to_vec()).collect();
    assert_eq!(served, [credential.issuance.server.clone(), root.certificate.clone()]);
    let record = node.ledger.credential().await.unwrap().unwrap();
    assert_eq!((&record.issuers, &record.anchors), (&root.issuers, &root.anchors));
    assert_eq!(*node.renewal.turn.lock().await, Some(record));
    let bundle = fs::read_to_string(node.folder().join("trust-bundle.pem")).unwrap();
    assert_eq!(pem::parse(bundle).unwrap().contents(), root.anchors[0]);
    assert_eq!(node.count(EventKind::TrustChanged).await, 1);
    assert_eq!(node.count(EventKind::CertificateRenewed).await, 0);
    // Whoever saw it due before renews it all the same.
    let error = node.renewal.renew_if_current(&former).await.unwrap_err();
    assert_eq!(error.reason, Reason::RootUnreachable);
    node.renew(&root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_anchor_takes_the_place_of_the_former_and_what_was_revoked_stays_so() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let credential = node.credential();
    let revoked = Revoked { at: 1, reason: 0 };
    credential.revoked.set(revoked).unwrap();
    let renewed = root.renewed();
    node.renewal.take_trust(renewed.bundle(), &credential).await.unwrap();
    assert_eq!(node.credential().issuance.anchors, renewed.anchors);
    assert_eq!(node.credential().revoked.get(), Some(&revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_does_not_fit_the_certificate_changes_nothing() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let (credential, before) = (node.credential(), node.state().await);
    let other = TestRoot::anchor("Root");
    let own = root.bundle();
    let below_other =
        Issuer { key_id: root.key_id(), certificates: root.clone().below(&other).issuers.clone() };
    for (bundle, words) in [
        (other.bundle(), "does not fit"),
        (TrustBundle { trust_anchors: other.anchors.clone(), ..own.clone() }, "does not fit"),
        (TrustBundle { trust_anchors: Vec::new(), ..own.clone() }, "is empty"),
        (TrustBundle { trust_anchors: vec![vec![1]], ..own.clone() }, "no certificate"),
        (
            TrustBundle {
                issuers: vec![Issuer { certificates: vec![vec![1]], ..below_other.clone() }],
                ..own.clone()
            },
            "no certificate",
        ),
        (TrustBundle::default(), "is empty"),
    ] {
        let error = node.renewal.take_trust(bundle, &credential).await.unwrap_err();
        assert_eq!(error.reason, Reason::CredentialInvalid);
        assert!(error.message.contains(words), "{error}");
    }
    assert_eq!(node.state().await, before);
    assert!(Arc::ptr_eq(&node.credential(), &credential));
    // The anchor alone did not fit; with the way to it, it does.
    let bundle = TrustBundle { trust_anchors: other.anchors, issuers: vec![below_other], ..own };
    node.renewal.take_trust(bundle, &credential).await.unwrap();
    assert_ne!(node.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_already_is_no_change() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let mut bundle = root.bundle();
    bundle.trust_anchors.push(TestRoot::anchor("Other").certificate);
    // A root that names no authority leaves the issuers as they are.
    node.renewal
        .take_trust(TrustBundle { issuers: Vec::new(), ..bundle.clone() }, &node.credential())
        .await
        .unwrap();
    assert_eq!(node.credential().issuance.anchors, bundle.trust_anchors);
    let (credential, before) = (node.credential(), node.state().await);
    let mut watch = node.renewal.subscribe();
    bundle.trust_anchors.reverse();
    node.renewal.take_trust(bundle, &credential).await.unwrap();
    assert_eq!(node.state().await, before);
    assert!(!watch.has_changed().unwrap());
    assert!(Arc::ptr_eq(watch.borrow_and_update().as_ref().unwrap(), &credential));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_came_first_is_not_undone() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let former = node.credential();
    node.renew(&root).await;
    let before = node.state().await;
    node.renewal.take_trust(root.renewed().bundle(), &former).await.unwrap();
    assert_eq!(node.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bundle_does_not_put_the_renewal_off() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let automatic = Automatic {
        renewal: node.renewal.clone(),
        clock: node.clock.clone(),
        check_interval: Duration::from_secs(365 * 86_400),
        at: Some(0.5),
        enabled: true,
        token_file: None,
    };
    let (stop, shutdown) = Shutdown::channel();
    let task = tokio::spawn(automatic.run(shutdown));
    while node.clock.latest_bound().is_none() {
        tokio::task::yield_now().await;
    }
    node.renewal.take_trust(root.renewed().bundle(), &node.credential()).await.unwrap();
    // The twentieth part of the lifetime is five days.
    node.advance(51);
    while node.ledger.renewal().await.unwrap().error.is_empty() {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    task.await.unwrap().unwrap();
}
