//! What Prometheus sees of seats, entitlements and usage, and the alerts that look at it.

use std::{collections::BTreeSet, fs, path::Path};

use licensor_tests::{
    ENTITLEMENT, FakeClock, Node, NodeOptions, Root, RootOptions, acquire, instant, wait_for,
};

/// A metric of the module that every node of the bench has.
fn of_module(node: &Node, name: &str) -> Option<f64> {
    node.metric(&format!("licensor_{name}{{vendor=\"Example\",module=\"crm\"}}"))
}

fn of_vendor(node: &Node, name: &str) -> Option<f64> {
    node.metric(&format!("licensor_{name}{{vendor=\"Example\"}}"))
}

#[test]
fn seats_and_the_dates_of_entitlements_are_numbers_that_follow_at_once() {
    let mut clock = FakeClock::new();
    let root = Root::started(RootOptions { environment: clock.environment(), ..RootOptions::default() });
    let options = NodeOptions { environment: clock.environment(), ..NodeOptions::default() };
    let node = Node::started(&root, "berlin-1", options);
    assert_eq!((of_module(&node, "seats"), of_module(&node, "seats_in_use")), (Some(1000.0), Some(0.0)));
    for date in ["entitlement_expires_seconds", "entitlement_grace_ends_seconds"] {
        assert_eq!(of_vendor(&node, date), None, "it never expires");
    }
    acquire(&node).ok();
    node.json(&["assignments", "add", "--module", "crm", "--user", "anna"]);
    assert_eq!(of_module(&node, "seats_in_use"), Some(2.0));
    // A lease ends by itself; an assignment does not.
    clock.advance(3_700);
    assert_eq!(of_module(&node, "seats_in_use"), Some(1.0));

    let dates = "[dates]\nexpires = 2999-01-01\ngrace_ends = 2999-02-01\n[[modules]]";
    let other = ENTITLEMENT.replace("[[modules]]", dates).replace("quantity = 1000", "quantity = 7");
    root.entitle(&other.replace("\"crm\"", "\"erp\""));
    node.json(&["assignments", "remove", "--module", "crm", "--user", "anna"]);
    node.json(&["renew"]);
    wait_for("the newer entitlement", || of_vendor(&node, "entitlement_expires_seconds"));
    let shown = &node.json(&["entitlement", "show"])[0];
    for (date, name) in
        [("expires_at", "entitlement_expires_seconds"), ("grace_ends_at", "entitlement_grace_ends_seconds")]
    {
        assert_eq!(of_vendor(&node, name), Some(instant(&shown[date]) as f64), "{name}");
    }
    // The module of before is gone.
    assert_eq!((of_module(&node, "seats"), of_module(&node, "seats_in_use")), (None, None));
    assert_eq!(node.metric("licensor_seats{vendor=\"Example\",module=\"erp\"}"), Some(7.0));
}

/// Names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("licensor_")).collect()
}

#[test]
fn alerts_look_at_metrics_that_are_there() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability/alerts.yaml");
    let rules = fs::read_to_string(rules).unwrap();
    let shown = [&*root, &*node].map(|service| service.ops("/metrics").1).concat();
    let (used, known) = (names(&rules), names(&shown));
    assert!(used.len() >= 6, "{used:?}");
    // What never expires has no date: its name stands in the description of the metric alone.
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?} are in no {known:?}");
}
