//! Client certificates: who may renew, and what everyone else is told.

use std::fs;

use licensor_tests::{
    ForeignNode, Grpc, RENEW, Refusal, Root, RootOptions, Workshop, decoded, encoded, wait_for,
};
use serde_json::{Value, json};

/// A request for a renewal with a new key.
fn renewal(workshop: &Workshop) -> Value {
    workshop.key("next.pem", "P-256");
    json!({ "licensor_csr": encoded(&workshop.request("next.pem", &[])) })
}

/// Checks that a renewal is refused with these words, and that the ledger stays as it was.
fn check(root: &Root, as_whom: &Grpc, request: &Value, reason: &str, words: &[&str]) -> Box<Refusal> {
    let before = root.ledger();
    let refusal = as_whom.call(RENEW, request).expect_err(reason);
    assert_eq!(refusal.reason, reason, "{refusal:?}");
    assert_eq!(refusal.code, if reason == "CLIENT_CERTIFICATE_REQUIRED" { 16 } else { 7 });
    for word in words {
        assert!(refusal.message.contains(word), "`{word}` is not in: {refusal:?}");
    }
    assert_eq!(root.ledger(), before);
    refusal
}

fn serial(workshop: &Workshop, node: &ForeignNode) -> String {
    let path = node.certificate.to_str().unwrap();
    let shown = workshop.openssl(&["x509", "-in", path, "-noout", "-serial"]).ok();
    shown.trim().trim_start_matches("serial=").to_lowercase()
}

#[test]
fn without_a_certificate_of_this_root_nobody_renews() {
    let (root, other) = (Root::started(RootOptions::default()), Root::started(RootOptions::default()));
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let request = renewal(&workshop);
    check(
        &root,
        &root.grpc(),
        &request,
        "CLIENT_CERTIFICATE_REQUIRED",
        &["licensor certificate", "mutual TLS"],
    );

    let stranger = workshop.enroll(&other, "berlin-1", "key.pem");
    let as_stranger = root.grpc_as(&stranger);
    let words = ["did not issue", &serial(&workshop, &stranger), &other.address()];
    let refusal = check(&root, &as_stranger, &request, "NOT_ISSUED_BY_THIS_ROOT", &words);
    assert_eq!(refusal.metadata["issuer_address"], other.address());

    // One that names neither an issuer nor an address.
    workshop.openssl(&["req", "-x509", "-key", "key.pem", "-subj", "/CN=berlin-1", "-out", "self.pem"]).ok();
    let as_nobody = root.grpc().with(&workshop.path("self.pem"), &workshop.path("key.pem"));
    let refusal = check(&root, &as_nobody, &request, "NOT_ISSUED_BY_THIS_ROOT", &["at the root that did"]);
    assert_eq!(refusal.metadata["issuer_address"], Value::Null);
    // The stranger's own root was asked nothing.
    assert_eq!(other.ledger()["certificates"].as_array().unwrap().len(), 1);
}

/// A certificate for `key.pem` that this key signs in the name of the root; it looks like one of the root's.
fn forged(root: &Root, workshop: &Workshop, authority_key: &str, name: &str) -> ForeignNode {
    let anchor = root.data("trust-anchor.pem");
    let key_id = root.json(&["status"])["authority"]["key_id"].as_str().unwrap().to_owned();
    // 30168014: SEQUENCE { keyIdentifier [0] of 20 octets }
    let extensions = format!(
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n\
         subjectAltName=URI:spiffe://licensor.local/licensing-server/berlin-1\n\
         authorityKeyIdentifier=DER:30168014{key_id}\n"
    );
    fs::write(workshop.path("extensions"), extensions).unwrap();
    workshop.openssl(&["req", "-new", "-key", "key.pem", "-subj", "/CN=berlin-1", "-out", "forged.csr"]).ok();
    let anchor = anchor.to_str().unwrap();
    let subject = workshop.openssl(&["x509", "-in", anchor, "-noout", "-subject", "-nameopt", "compat"]).ok();
    let subject = subject.trim().trim_start_matches("subject=");
    let issuer = ["req", "-x509", "-key", authority_key, "-subj", subject, "-out", "issuer.pem"];
    workshop.openssl(&issuer).ok();
    let sign = ["x509", "-req", "-in", "forged.csr", "-CA", "issuer.pem", "-CAkey", authority_key];
    let more = ["-extfile", "extensions", "-days", "30", "-set_serial", "0x4242", "-out", name];
    workshop.openssl(&[sign.as_slice(), more.as_slice()].concat()).ok();
    let path = workshop.path(name);
    ForeignNode { certificate: path, server: None, key: workshop.path("key.pem"), answer: Value::Null }
}

#[test]
fn a_certificate_that_is_not_in_the_ledger_is_worth_nothing() {
    let root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let node = workshop.enroll(&root, "berlin-1", "key.pem");
    let request = renewal(&workshop);
    // Signed with the authority's own key: somebody had the key, or the ledger was lost.
    let key = root.data("authority-key.pem");
    let signed = forged(&root, &workshop, key.to_str().unwrap(), "signed.pem");
    let words = ["4242", "not a licensor certificate in this root's ledger", "enrol again"];
    check(&root, &root.grpc_as(&signed), &request, "CERTIFICATE_UNKNOWN", &words);
    // Signed with another key under the authority's name and key identifier.
    workshop.key("thief.pem", "P-256");
    let stolen_name = forged(&root, &workshop, "thief.pem", "thief-made.pem");
    check(&root, &root.grpc_as(&stolen_name), &request, "NOT_ISSUED_BY_THIS_ROOT", &["did not issue"]);
    // A server certificate of the root is no licensor certificate.
    let server = root.grpc().with(node.server.as_ref().unwrap(), &node.key);
    check(&root, &server, &request, "CERTIFICATE_UNKNOWN", &["not a licensor certificate"]);
    root.grpc_as(&node).call(RENEW, &request).expect("the node's own certificate still works");
}

#[test]
fn a_certificate_is_renewed_once_and_a_lost_answer_costs_nothing() {
    let root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let node = workshop.enroll(&root, "berlin-1", "key.pem");
    let request = renewal(&workshop);
    let as_node = root.grpc_as(&node);
    let first = as_node.call(RENEW, &request).unwrap();
    let ledger = root.ledger();
    let again = as_node.call(RENEW, &request).unwrap();
    assert_eq!(again["licensorCertificate"], first["licensorCertificate"]);
    assert_eq!(again["renewalWindow"], first["renewalWindow"]);
    assert_eq!(root.ledger(), ledger);

    let renewed = workshop.foreign_node("renewed", "next.pem", first);
    workshop.key("third.pem", "P-256");
    let other = json!({ "licensor_csr": encoded(&workshop.request("third.pem", &[])) });
    let (old, new) = (serial(&workshop, &node), serial(&workshop, &renewed));
    let words = ["was replaced by", &old, &new, "use that one"];
    let refusal = check(&root, &as_node, &other, "CERTIFICATE_SUPERSEDED", &words);
    assert_eq!(refusal.metadata, json!({ "serial": old, "superseded_by": new }));
    // The new certificate with the key of the old one is as good as with any other: both are the node's.
    root.grpc_as(&renewed).call(RENEW, &other).expect("the successor renews");
    // The first answer can be fetched even now; what it gives is superseded as well.
    let late = as_node.call(RENEW, &request).unwrap();
    assert_eq!(decoded(&late["licensorCertificate"]), decoded(&renewed.answer["licensorCertificate"]));
    check(&root, &root.grpc_as(&renewed), &request, "CERTIFICATE_SUPERSEDED", &[&new]);
}

#[test]
fn an_expired_certificate_renews_for_as_long_as_the_root_allows_and_does_nothing_else() {
    let mut root = Root::started(RootOptions {
        tables: "[certificate]\nvalidity = \"2s\"\nrenew_after_expiry = \"0s\"\n".into(),
        ..RootOptions::default()
    });
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let node = workshop.enroll(&root, "berlin-1", "key.pem");
    let request = renewal(&workshop);
    wait_for("the certificate to expire", || {
        let listed = root.json(&["certificates", "list"]);
        (listed[0]["status"] == "expired").then_some(())
    });
    let serial = serial(&workshop, &node);
    let words = [serial.as_str(), "expired on", "enrol again with a new token"];
    let refusal = check(&root, &root.grpc_as(&node), &request, "CERTIFICATE_EXPIRED", &words);
    assert!(refusal.metadata["not_after"].as_str().unwrap().ends_with('Z'), "{refusal:?}");

    root.stop();
    root.set("LICENSOR_ROOT__CERTIFICATE__RENEW_AFTER_EXPIRY", "30d");
    root.set("LICENSOR_ROOT__CERTIFICATE__VALIDITY", "1d");
    root.start();
    let refusal =
        root.grpc_as(&node).call("licensor.event.v1.EventService/ListEvents", &json!({})).unwrap_err();
    assert_eq!(refusal.reason, "CERTIFICATE_EXPIRED", "{refusal:?}");
    assert!(refusal.message.contains("nothing but a renewal"), "{refusal:?}");
    let renewed = root.grpc_as(&node).call(RENEW, &request).unwrap();
    let renewed = workshop.foreign_node("renewed", "next.pem", renewed);
    let statuses: Vec<_> = root
        .json(&["certificates", "list", "--node", "berlin-1"])
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| certificate["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(statuses, ["current", "superseded"]);
    let events =
        root.grpc_as(&renewed).call("licensor.event.v1.EventService/ListEvents", &json!({})).unwrap();
    assert!(events["events"].as_array().unwrap().iter().all(|event| event["node"] == "berlin-1"));
}
