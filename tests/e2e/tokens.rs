//! Enrolment tokens: for one key, for one root, for a while.

use licensor_tests::{
    ENROLL, FakeClock, Grpc, Node, NodeOptions, Root, RootOptions, Workshop, encoded, wait_for,
};
use serde_json::{Value, json};

fn enrollment(token: &str, csr: &[u8]) -> Value {
    json!({ "token": token, "licensor_csr": encoded(csr) })
}

/// A request (DER) for a new key.
fn request(workshop: &Workshop, key: &str) -> Vec<u8> {
    workshop.key(key, "P-256");
    workshop.request(key, &[])
}

/// Checks that an enrolment with this token is refused with these words, and that the ledger stays as it was.
fn check(root: &Root, token: &str, csr: &[u8], reason: &str, words: &[&str]) -> Value {
    let before = root.ledger();
    let refusal = root.grpc().call(ENROLL, &enrollment(token, csr)).expect_err(reason);
    assert_eq!((refusal.code, refusal.reason.as_str()), (7, reason), "{refusal:?}");
    for word in words {
        assert!(refusal.message.contains(word), "`{word}` is not in: {refusal:?}");
    }
    assert_eq!(root.ledger(), before);
    refusal.metadata
}

fn statuses(root: &Root) -> Vec<(String, String)> {
    let tokens = root.json(&["token", "list"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut rows: Vec<_> =
        tokens.as_array().unwrap().iter().map(|row| (text(&row["node"]), text(&row["status"]))).collect();
    rows.sort();
    rows
}

#[test]
fn what_the_root_did_not_make_is_no_token() {
    let root = Root::started(RootOptions::default());
    let csr = request(&Workshop::new(), "key.pem");
    let token = root.token("berlin-1");
    check(&root, "", &csr, "TOKEN_UNKNOWN", &["no enrolment token", "copy the whole line"]);
    check(&root, &token[..token.len() - 4], &csr, "TOKEN_UNKNOWN", &["no enrolment token"]);
    // Another secret behind the same identifier; the last characters belong to the secret.
    let last = if token.ends_with("AAAA") { "BBBB" } else { "AAAA" };
    let forged = format!("{}{last}", &token[..token.len() - 4]);
    check(&root, &forged, &csr, "TOKEN_UNKNOWN", &["did not make the token", "root-service token create"]);
    let other = Root::started(RootOptions::default());
    check(&root, &other.token("berlin-1"), &csr, "TOKEN_UNKNOWN", &["use it at the root that made it"]);
    assert_eq!(statuses(&root), [("berlin-1".into(), "unused".into())]);
    root.grpc().call(ENROLL, &enrollment(&token, &csr)).expect("the right token still works");
}

#[test]
fn a_node_does_not_enrol_with_the_token_of_another_root() {
    let here = Root::started(RootOptions::default());
    let there = Root::started(RootOptions::default());
    // The configuration leads the node to a root that did not make its token.
    let node = Node::new(NodeOptions {
        tables: format!("[enrollment]\nroot_address = \"{}\"\n", there.address()),
        ..NodeOptions::default()
    });
    let (ledger_here, ledger_there) = (here.ledger(), there.ledger());
    let token = here.token("berlin-1");
    let words = ["another fingerprint", &there.address(), "reason: TOKEN_UNKNOWN"];
    node.run_with_input(&["enroll", "--token", "-"], &token).refused(1, &words);
    assert_ne!(here.ledger(), ledger_here, "the token is there");
    assert_eq!(here.ledger()["certificates"], json!([]));
    assert_eq!(there.ledger(), ledger_there);
    assert_eq!(statuses(&here), [("berlin-1".into(), "unused".into())]);
}

#[test]
fn a_token_is_of_no_use_after_its_time_or_its_revocation() {
    let root = Root::started(RootOptions::default());
    let csr = request(&Workshop::new(), "key.pem");
    let create = ["token", "create", "--node", "late", "--owner", "Example GmbH", "--ttl", "1s"];
    let late = root.json(&create);
    wait_for("the token to expire", || (statuses(&root)[0].1 == "expired").then_some(()));
    let metadata = check(
        &root,
        late["token"].as_str().unwrap(),
        &csr,
        "TOKEN_EXPIRED",
        &["late has expired", "a new one"],
    );
    assert_eq!(metadata, json!({ "token": late["id"], "node": "late" }));

    let revoked = root.json(&["token", "create", "--node", "revoked", "--owner", "Example GmbH"]);
    root.run(&["token", "revoke", revoked["id"].as_str().unwrap()]).ok();
    check(
        &root,
        revoked["token"].as_str().unwrap(),
        &csr,
        "TOKEN_REVOKED",
        &["revoked was revoked", "a new one"],
    );
    assert_eq!(statuses(&root), [("late".into(), "expired".into()), ("revoked".into(), "revoked".into())]);
    assert_eq!(root.ledger()["nodes"], json!([]));
}

#[test]
fn a_used_token_gives_the_same_certificate_for_the_same_key_and_an_alarm_for_another() {
    let mut clock = FakeClock::new();
    let root = Root::started(RootOptions { environment: clock.environment(), ..RootOptions::default() });
    let workshop = Workshop::new();
    let (csr, other) = (request(&workshop, "key.pem"), request(&workshop, "other.pem"));
    let token = root.token("berlin-1");
    let first = root.grpc().call(ENROLL, &enrollment(&token, &csr)).unwrap();
    // Another request for the same key is the same enrolment.
    let again = workshop.request("key.pem", &["-subj", "/CN=again"]);
    for csr in [&csr, &again] {
        let repeated = root.grpc().call(ENROLL, &enrollment(&token, csr)).unwrap();
        assert_eq!(repeated["licensorCertificate"], first["licensorCertificate"]);
    }
    assert_eq!(root.ledger()["certificates"].as_array().unwrap().len(), 1);

    let alarms = |root: &Root| root.json(&["events", "list", "--id", "108"]).as_array().unwrap().clone();
    assert_eq!(alarms(&root).len(), 0);
    for _ in 0..3 {
        let words = ["used with another key", "a new one"];
        let metadata = check(&root, &token, &other, "TOKEN_ALREADY_USED", &words);
        assert_eq!(metadata["node"], "berlin-1");
        assert_eq!(metadata["serial"], root.ledger()["certificates"][0]["serial"]);
    }
    assert_eq!(alarms(&root).len(), 1, "one alarm for a token, however often it is tried");
    assert_eq!(alarms(&root)[0]["node"], "berlin-1");
    assert_eq!(alarms(&root)[0]["severity"], "error");

    // A second server certificate for the same licensor key is no repetition.
    let both = json!({ "token": token, "licensor_csr": encoded(&csr), "server_csr": encoded(&other) });
    assert_eq!(root.grpc().call(ENROLL, &both).unwrap_err().reason, "TOKEN_ALREADY_USED");

    // The repetition ends with the token's lifetime.
    clock.advance(7_200);
    let late = Grpc::any_tls(&root.address()).call(ENROLL, &enrollment(&token, &csr));
    assert_eq!(late.unwrap_err().reason, "TOKEN_EXPIRED");
}
