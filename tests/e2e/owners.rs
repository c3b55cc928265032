//! A licensing server that gets another owner.

use std::fs;

use licensor_tests::{ENTITLEMENT, Node, NodeOptions, Root, RootOptions, acquire, wait_for};
use serde_json::json;

const SUCCESSOR: &str = "Successor AG";

/// Enrols the server anew, under the same name, for its next owner.
fn change_owner(root: &Root, node: &Node) {
    let order = ["token", "create", "--node", "berlin-1", "--owner", SUCCESSOR, "--ip", "127.0.0.1"];
    node.enroll(root.json(&order)["token"].as_str().unwrap());
}

#[test]
fn the_entitlement_of_a_former_owner_is_refused_and_everyone_is_told_what_to_do() {
    let root = Root::started(RootOptions::default());
    let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
    // Its versions have come far before.
    root.entitle(&ENTITLEMENT.replacen("[[modules]]", "version = 9\n[[modules]]", 1));
    root.entitle(&ENTITLEMENT.replace("quantity = 1000", "quantity = 999"));
    node.json(&["renew"]);
    wait_for("the newest version", || (node.json(&["licenses", "list"])[0]["total"] == 999).then_some(()));
    let license = acquire(&node).json();
    let jws = root.run(&["entitlement", "show", "--owner", "Example GmbH", "--jws"]).ok();
    let file = node.folder().join("former.entitlement");
    fs::write(&file, jws).unwrap();
    for command in [&["status"][..], &["licenses", "list"]] {
        assert_eq!(node.run(command).stderr, "", "{command:?}");
    }

    change_owner(&root, &node);
    assert_eq!(node.status()["owner"], SUCCESSOR);
    let refusal = ["ENTITLEMENT_OF_ANOTHER_OWNER", "Example GmbH", "ask for one for Successor AG"];
    acquire(&node).refused(64 + 7, &refusal);
    let extend = json!({ "license_id": license["licenseId"] }).to_string();
    licensor_tests::call(&node, "licensor.licensing.v1.LicensingService/ExtendLicense", &extend)
        .refused(64 + 7, &refusal);
    node.run(&["assignments", "add", "--module", "crm", "--user", "anna"]).refused(1, &refusal);
    let import = ["entitlement", "import", file.to_str().unwrap()];
    node.run(&import).refused(1, &["ENTITLEMENT_OF_ANOTHER_OWNER", SUCCESSOR]);
    let note = [
        "the entitlement of Example is for Example GmbH",
        "belongs to Successor AG now",
        "entitlement check",
    ];
    let commands =
        [&["status"][..], &["licenses", "list"], &["entitlement", "show"], &["entitlement", "check"]];
    for command in commands {
        node.run(command).refused(0, &note);
    }

    // The next owner's begins with version 1, and is none the less newer here.
    root.entitle(&ENTITLEMENT.replace("Example GmbH", SUCCESSOR).replace("quantity = 1000", "quantity = 4"));
    node.json(&["renew"]);
    wait_for("the entitlement of the next owner", || (acquire(&node).code == 0).then_some(()));
    let shown = &node.json(&["entitlement", "show"])[0];
    assert_eq!((&shown["owner"], &shown["version"]), (&json!(SUCCESSOR), &json!(1)));
    node.kill();
    node.start();
    acquire(&node).ok();
    assert_eq!(node.json(&["licenses", "list"])[0]["total"], 4);
    assert_eq!(node.run(&["licenses", "list"]).stderr, "");
    node.run(&import).refused(1, &["ENTITLEMENT_OF_ANOTHER_OWNER"]);
}
