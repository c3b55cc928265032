//! Clocks that are behind: certificates that are not valid yet, at either end.

use licensor_tests::{
    ENROLL, Grpc, Node, NodeOptions, RENEW, Root, RootOptions, Service, Workshop, encoded, faketime_library,
};
use serde_json::json;

/// Restarts a service with a clock that is off by this much.
fn restart(service: &mut Service, offset: &str) {
    assert_eq!(service.stop(), 0);
    set_clock(service, offset);
    service.start();
}

fn set_clock(service: &mut Service, offset: &str) {
    service.set("LD_PRELOAD", faketime_library().to_str().unwrap());
    service.set("FAKETIME", offset);
    service.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

#[test]
fn a_node_whose_clock_is_behind_is_told_to_set_it_and_loses_nothing() {
    let root = Root::started(RootOptions::default());
    let mut node = Node::new(NodeOptions::default());
    set_clock(&mut node, "-1d");
    let token = root.token("berlin-1");
    let before = root.ledger();
    let words = ["not valid yet", "set the clock", "reason: CERTIFICATE_NOT_YET_VALID"];
    node.run_with_input(&["enroll", "--token", "-"], &token).refused(1, &words);
    assert_eq!(root.ledger(), before, "the token is unused");
    set_clock(&mut node, "+0");
    let enrolled = node.enroll(&token);
    node.start();
    assert_eq!(node.status()["enabled"], true);

    // Behind by less than a certificate is backdated does no harm.
    restart(&mut node, "-60s");
    assert_eq!(node.status()["enabled"], true);
    let renewed = node.json(&["renew"]);
    assert_ne!(renewed["serial"], enrolled["serial"]);

    restart(&mut node, "-1d");
    let status = node.status();
    assert_eq!(status["enabled"], false);
    assert_eq!(status["disabled_reason"], "LICENSOR_CERTIFICATE_NOT_YET_VALID");
    assert_eq!(node.ops("/readyz").0, 503);
    let before = root.ledger();
    node.run(&["renew"]).refused(1, &["set the clock", "reason: CERTIFICATE_NOT_YET_VALID"]);
    assert_eq!(root.ledger(), before);
    restart(&mut node, "+0");
    assert_eq!(node.status()["enabled"], true);
    assert_eq!(node.serial(), renewed["serial"]);
}

#[test]
fn a_root_whose_clock_is_behind_issues_nothing_and_says_so() {
    let mut root = Root::new(RootOptions::default());
    set_clock(&mut root, "+10d");
    root.run(&["init"]).ok();
    root.start();
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let csr = encoded(&workshop.request("key.pem", &[]));
    // The root is ten days ahead of grpcurl: its port's certificate is not looked at.
    let grpc = Grpc::any_tls(&root.address());
    let enrolled =
        grpc.call(ENROLL, &json!({ "token": root.token("berlin-1"), "licensor_csr": csr })).unwrap();
    let node = workshop.foreign_node("node", "key.pem", enrolled);
    let as_node = grpc.clone().with(&node.certificate, &node.key);

    // Behind its own certificate's beginning.
    restart(&mut root, "+9d");
    let status = root.json(&["status"]);
    assert_eq!(status["enabled"], false);
    assert_eq!(status["disabled_reason"], "CERTIFICATE_NOT_YET_VALID");
    assert_eq!(root.ops("/readyz").0, 503);
    let enrollment = json!({ "token": root.token("berlin-2"), "licensor_csr": csr });
    let before = root.ledger();
    for (grpc, method, request) in
        [(&grpc, ENROLL, &enrollment), (&as_node, RENEW, &json!({ "licensor_csr": csr }))]
    {
        let refusal = grpc.call(method, request).unwrap_err();
        assert_eq!((refusal.code, refusal.reason.as_str()), (7, "CERTIFICATE_NOT_YET_VALID"), "{refusal:?}");
        assert!(refusal.message.contains("set the clock"), "{refusal:?}");
    }
    assert_eq!(root.ledger(), before);

    // Right again.
    restart(&mut root, "+10d");
    assert_eq!(root.json(&["status"])["enabled"], true);
    let enrollment = json!({ "token": root.token("berlin-3"), "licensor_csr": csr });
    grpc.call(ENROLL, &enrollment).expect("an enrolment");
}

#[test]
fn a_root_whose_clock_is_behind_a_certificate_does_not_renew_it() {
    let mut root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let csr = encoded(&workshop.request("key.pem", &[]));
    restart(&mut root, "+10d");
    let grpc = Grpc::any_tls(&root.address());
    let enrolled =
        grpc.call(ENROLL, &json!({ "token": root.token("berlin-1"), "licensor_csr": csr })).unwrap();
    let node = workshop.foreign_node("node", "key.pem", enrolled);
    let as_node = grpc.with(&node.certificate, &node.key);
    restart(&mut root, "+9d");
    assert_eq!(root.json(&["status"])["enabled"], true, "its own certificate is valid");
    workshop.key("next.pem", "P-256");
    let request = json!({ "licensor_csr": encoded(&workshop.request("next.pem", &[])) });
    let before = root.ledger();
    let refusal = as_node.call(RENEW, &request).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (7, "CERTIFICATE_NOT_YET_VALID"), "{refusal:?}");
    assert!(refusal.message.contains("set the clock of the root"), "{refusal:?}");
    assert!(refusal.metadata["not_before"].is_string());
    assert_eq!(root.ledger(), before);
    restart(&mut root, "+10d");
    as_node.call(RENEW, &request).expect("a renewal");
}
