//! Clocks that are behind: certificates that are not valid yet, at either end.

use licensor_tests::{
    DAY, ENROLL, FakeClock, Grpc, Node, NodeOptions, RENEW, Root, RootOptions, Service, Workshop, encoded,
};
use serde_json::json;

/// Moves a service's clock by so many seconds against the machine's, and restarts it.
fn restart(service: &mut Service, clock: &mut FakeClock, ahead: i64) {
    assert_eq!(service.stop(), 0);
    clock.set(ahead);
    service.start();
}

#[test]
fn a_node_whose_clock_is_behind_is_told_to_set_it_and_loses_nothing() {
    let root = Root::started(RootOptions::default());
    let mut clock = FakeClock::new();
    let mut node = Node::new(NodeOptions { environment: clock.environment(), ..NodeOptions::default() });
    clock.set(-DAY);
    let token = root.token("berlin-1");
    let before = root.ledger();
    let words = ["not valid yet", "set the clock", "reason: CERTIFICATE_NOT_YET_VALID"];
    node.run_with_input(&["enroll", "--token", "-"], &token).refused(1, &words);
    assert_eq!(root.ledger(), before, "the token is unused");
    clock.set(0);
    let enrolled = node.enroll(&token);
    node.start();
    assert_eq!(node.status()["enabled"], true);

    // Behind by less than a certificate is backdated does no harm.
    restart(&mut node, &mut clock, -60);
    assert_eq!(node.status()["enabled"], true);
    let renewed = node.json(&["renew"]);
    assert_ne!(renewed["serial"], enrolled["serial"]);

    restart(&mut node, &mut clock, -DAY);
    let status = node.status();
    assert_eq!(status["enabled"], false);
    assert_eq!(status["disabled_reason"], "LICENSOR_CERTIFICATE_NOT_YET_VALID");
    assert_eq!(node.ops("/readyz").0, 503);
    let before = root.ledger();
    node.run(&["renew"]).refused(1, &["set the clock", "reason: CERTIFICATE_NOT_YET_VALID"]);
    assert_eq!(root.ledger(), before);
    restart(&mut node, &mut clock, 0);
    assert_eq!(node.status()["enabled"], true);
    assert_eq!(node.serial(), renewed["serial"]);
}

#[test]
fn a_root_whose_clock_is_behind_issues_nothing_and_says_so() {
    let mut clock = FakeClock::new();
    clock.set(10 * DAY);
    let mut root = Root::started(RootOptions { environment: clock.environment(), ..RootOptions::default() });
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
    restart(&mut root, &mut clock, 9 * DAY);
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
    restart(&mut root, &mut clock, 10 * DAY);
    assert_eq!(root.json(&["status"])["enabled"], true);
    let enrollment = json!({ "token": root.token("berlin-3"), "licensor_csr": csr });
    grpc.call(ENROLL, &enrollment).expect("an enrolment");
}

#[test]
fn a_root_whose_clock_is_behind_a_certificate_does_not_renew_it() {
    let mut clock = FakeClock::new();
    let mut root = Root::started(RootOptions { environment: clock.environment(), ..RootOptions::default() });
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let csr = encoded(&workshop.request("key.pem", &[]));
    restart(&mut root, &mut clock, 10 * DAY);
    let grpc = Grpc::any_tls(&root.address());
    let enrolled =
        grpc.call(ENROLL, &json!({ "token": root.token("berlin-1"), "licensor_csr": csr })).unwrap();
    let node = workshop.foreign_node("node", "key.pem", enrolled);
    let as_node = grpc.with(&node.certificate, &node.key);
    restart(&mut root, &mut clock, 9 * DAY);
    assert_eq!(root.json(&["status"])["enabled"], true, "its own certificate is valid");
    workshop.key("next.pem", "P-256");
    let request = json!({ "licensor_csr": encoded(&workshop.request("next.pem", &[])) });
    let before = root.ledger();
    let refusal = as_node.call(RENEW, &request).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (7, "CERTIFICATE_NOT_YET_VALID"), "{refusal:?}");
    assert!(refusal.message.contains("set the clock of the root"), "{refusal:?}");
    assert!(refusal.metadata["not_before"].is_string());
    assert_eq!(root.ledger(), before);
    restart(&mut root, &mut clock, 10 * DAY);
    as_node.call(RENEW, &request).expect("a renewal");
}
