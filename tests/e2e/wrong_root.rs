//! Two roots: a certificate is renewed where it was issued, whatever the configuration says.

use licensor_tests::{Grpc, Node, NodeOptions, RENEW, Root, RootOptions, Workshop, encoded, wait_for};
use serde_json::{Value, json};

fn serials(root: &Root) -> Vec<String> {
    let listed = root.json(&["certificates", "list"]);
    listed.as_array().unwrap().iter().map(|row| row["serial"].as_str().unwrap().to_owned()).collect()
}

/// Checks that a renewal of the running node ends up at `here`, and that `there` is not asked.
fn check(node: &Node, here: &Root, there: &Root) {
    let (former, untouched) = (node.serial(), there.ledger());
    let renewed = node.json(&["renew"]);
    let serial = renewed["serial"].as_str().unwrap().to_owned();
    assert_ne!(serial, former);
    assert_eq!(node.serial(), serial);
    assert!(serials(here).contains(&serial));
    assert_eq!(there.ledger(), untouched);
    let status = node.status();
    assert_eq!(status["certificate"]["renewal_address"], here.address());
    assert_eq!(status["certificate"]["issuer_key_id"], here.json(&["status"])["authority"]["key_id"]);
    assert_eq!(status["last_renewal_error"], Value::Null);
}

#[test]
fn a_node_renews_where_its_certificate_was_issued_and_nowhere_else() {
    let (a, b) = (Root::started(RootOptions::default()), Root::started(RootOptions::default()));
    let mut node = Node::started(&a, "berlin-1", NodeOptions::default());
    check(&node, &a, &b);

    // The configuration drifts: it names B.
    assert_eq!(node.stop(), 0);
    node.set("LICENSOR_LICENSE__ENROLLMENT__ROOT_ADDRESS", &b.address());
    node.start();
    assert!(node.log().contains("renewal goes to the one that did"), "{}", node.log());
    check(&node, &a, &b);

    // B refuses what A issued, and names A.
    let workshop = Workshop::new();
    workshop.key("next.pem", "P-256");
    let request = json!({ "licensor_csr": encoded(&workshop.request("next.pem", &[])) });
    let key = licensor_key(&node, &workshop);
    let as_node = |root: &Root| {
        Grpc::tls(&root.address(), &root.data("trust-anchor.pem"))
            .with(&node.data("licensor-certificate.pem"), &key)
    };
    let untouched = b.ledger();
    let refusal = as_node(&b).call(RENEW, &request).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (7, "NOT_ISSUED_BY_THIS_ROOT"), "{refusal:?}");
    assert_eq!(refusal.metadata["issuer_address"], a.address());
    assert_eq!(refusal.metadata["serial"], node.serial());
    assert!(refusal.message.contains(&a.address()), "{refusal:?}");
    assert_eq!(b.ledger(), untouched);

    // The node moves while it runs: from now on B renews it, and A is told nothing.
    let former = node.serial();
    let enrolled = node.enroll(&b.token("berlin-1"));
    assert_ne!(enrolled["serial"], former);
    assert_eq!(node.serial(), enrolled["serial"]);
    assert_eq!(node.status()["enabled"], true);
    check(&node, &b, &a);

    // The configuration that named A all along changes nothing either, nor does a restart.
    assert_eq!(node.stop(), 0);
    node.set("LICENSOR_LICENSE__ENROLLMENT__ROOT_ADDRESS", &a.address());
    node.start();
    check(&node, &b, &a);
}

/// The key file whose public key is that of the node's certificate.
fn licensor_key(node: &Node, workshop: &Workshop) -> std::path::PathBuf {
    let certificate = node.data("licensor-certificate.pem");
    let public = workshop.openssl(&["x509", "-in", certificate.to_str().unwrap(), "-noout", "-pubkey"]).ok();
    let files = std::fs::read_dir(node.data("keys")).unwrap();
    files
        .map(|file| file.unwrap().path())
        .find(|file| workshop.openssl(&["pkey", "-in", file.to_str().unwrap(), "-pubout"]).ok() == public)
        .expect("the key of the certificate")
}

#[test]
fn a_running_node_moves_and_renews_by_itself_at_the_new_root() {
    let quick = || RootOptions {
        tables: "[certificate]\nvalidity = \"60s\"\n[renewal]\nat = 0.1\n".into(),
        ..RootOptions::default()
    };
    let (a, b) = (Root::started(RootOptions::default()), Root::started(quick()));
    let node = Node::started(&a, "berlin-1", NodeOptions::default());
    let first = node.enroll(&b.token("berlin-1"))["serial"].clone();
    wait_for("a renewal", || (json!(node.serial()) != first).then_some(()));
    assert!(serials(&b).contains(&node.serial()));
    assert_eq!(serials(&a).len(), 1);
}

#[test]
fn a_node_whose_root_is_away_asks_no_other() {
    let (mut a, b) = (Root::started(RootOptions::default()), Root::started(RootOptions::default()));
    let node =
        Node::started(&a, "berlin-1", NodeOptions { environment: Vec::new(), ..NodeOptions::default() });
    let (serial, untouched) = (node.serial(), b.ledger());
    a.stop();
    node.run(&["renew"]).refused(1, &["reason: ROOT_UNREACHABLE", &a.address(), "is it running?"]);
    assert_eq!(node.serial(), serial);
    assert_eq!(node.status()["enabled"], true, "a failed renewal leaves the certificate that works");
    assert!(node.status()["last_renewal_error"].as_str().unwrap().contains(&a.address()));
    assert_eq!(b.ledger(), untouched);
    a.start();
    check(&node, &a, &b);
}
