//! The main job: enrol, renew, restart.

use licensor_tests::{Node, NodeOptions, Root, RootOptions, wait_for};

#[test]
fn a_node_enrols_renews_and_survives_a_restart() {
    let root = Root::started(RootOptions::default());
    let mut node = Node::new(NodeOptions::default());
    let enrolled = node.enroll(&root.token("berlin-1"));
    node.start();
    let first = node.serial();
    assert_eq!(enrolled["serial"], first);
    let renewed = node.json(&["renew"]);
    assert_ne!(renewed["serial"], first);
    assert_eq!(node.serial(), renewed["serial"]);
    assert_eq!(node.stop(), 0);
    node.start();
    assert_eq!(node.serial(), renewed["serial"]);
    let listed = root.json(&["certificates", "list", "--node", "berlin-1"]);
    let statuses: Vec<_> = listed.as_array().unwrap().iter().map(|c| c["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["current", "superseded"]);
}

#[test]
fn a_node_enrols_while_it_runs_and_works_at_once() {
    let root = Root::started(RootOptions::default());
    let mut node = Node::new(NodeOptions::default());
    node.start();
    assert_eq!(node.status()["disabled_reason"], "NOT_ENROLLED");
    assert_eq!(node.ops("/readyz").0, 503);
    node.enroll(&root.token("berlin-1"));
    assert_eq!(node.status()["enabled"], true);
    assert_eq!(node.ops("/readyz").0, 200);
}

#[test]
fn a_node_renews_by_itself_in_the_window_that_the_root_named() {
    let root = Root::started(RootOptions {
        tables: "[certificate]\nvalidity = \"30s\"\n[renewal]\nat = 0.2\n".into(),
        ..RootOptions::default()
    });
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let first = node.serial();
    wait_for("a renewal", || (node.serial() != first).then_some(()));
    wait_for("the renewal to be counted", || {
        node.metric("licensor_renewals_total{result=\"ok\"}").filter(|count| *count >= 1.0)
    });
}
