//! Entitlements: put at the root, pulled or carried to a licensing server, shown before they come into force.

use std::fs;

use licensor_tests::{
    DAY, ENTITLEMENT, FakeClock, Node, NodeOptions, Root, RootOptions, acquire, instant, wait_for,
};
use serde_json::{Value, json};

/// A licensing server that puts nothing into force by itself, but for the first entitlement.
fn by_hand(root: &Root) -> Node {
    let tables = "[entitlements]\nautomatic = false\n".into();
    Node::started(root, "berlin-1", NodeOptions { tables, ..NodeOptions::default() })
}

/// The usual entitlement with so many seats.
fn seats(quantity: u32) -> String {
    ENTITLEMENT.replace("quantity = 1000", &format!("quantity = {quantity}"))
}

fn crm(node: &Node) -> Value {
    node.json(&["licenses", "show", "crm"])
}

/// The newest entitlement as a file in the folder of `node`.
fn carried(root: &Root, node: &Node) -> String {
    let jws =
        root.run(&["entitlement", "show", "--owner", "Example GmbH", "--vendor", "Example", "--jws"]).ok();
    let file = node.folder().join("example.entitlement");
    fs::write(&file, jws).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn what_a_newer_version_changes_is_shown_and_comes_into_force_when_it_is_told_to() {
    let root = Root::started(RootOptions::default());
    let node = by_hand(&root);
    let shown = &node.json(&["entitlement", "show"])[0];
    assert_eq!((&shown["vendor"], &shown["owner"]), (&json!("Example"), &json!("Example GmbH")));
    assert_eq!(node.json(&["entitlement", "check"]), json!([]));
    node.run(&["entitlement", "activate"]).refused(1, &["ENTITLEMENT_UNKNOWN", "entitlement check"]);

    root.entitle(&seats(1200));
    let preview = &node.json(&["entitlement", "check"])[0];
    let changes: Vec<_> =
        preview["changes"].as_array().unwrap().iter().map(|change| &change["what"]).collect();
    assert_eq!(changes, ["modules.crm.quantity", "version"]);
    assert_eq!(crm(&node)["total"], 1000, "nothing is in force yet");
    let table = node.run(&["entitlement", "check"]).ok();
    assert!(table.contains("modules.crm.quantity") && !table.contains("features"), "{table}");
    node.json(&["entitlement", "activate"]);
    assert_eq!(crm(&node)["total"], 1200);
    let activated = node.json(&["events", "list", "--id", "127"]);
    assert!(activated[1]["activated_by"].as_str().unwrap().starts_with("uid:"), "{activated}");
}

#[test]
fn a_newer_version_comes_into_force_by_itself_at_a_renewal_unless_seats_are_in_its_way() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    root.entitle(&seats(3));
    node.json(&["renew"]);
    wait_for("the newer version", || (crm(&node)["total"] == 3).then_some(()));
    for user in ["anna", "ben"] {
        node.json(&["assignments", "add", "--module", "crm", "--user", user]);
    }
    acquire(&node).ok();
    root.entitle(&seats(1));
    node.json(&["renew"]);
    let blocked = wait_for("word of what is in its way", || {
        node.json(&["events", "list", "--id", "128"]).as_array()?.first().cloned()
    });
    assert_eq!((&blocked["severity"], &blocked["status"]), (&json!("warning"), &json!("active")));
    assert_eq!((&crm(&node)["total"], &crm(&node)["in_use"]), (&json!(3), &json!(3)));
    node.run(&["entitlement", "activate"])
        .refused(1, &["SEATS_IN_USE", "3 of crm", "alice", "--remove-superfluous"]);
    let preview = &node.json(&["entitlement", "check"])[0]["superfluous"][0];
    assert_eq!((&preview["in_use"], &preview["total"]), (&json!(3), &json!(1)));
    let activated = node.json(&["entitlement", "activate", "--remove-superfluous"]);
    let removed = activated["removed"][0]["holders"].as_array().unwrap();
    assert_eq!(removed.len(), 2, "{activated}");
    assert_eq!(removed[0]["user"], "alice", "leases go before assignments");
    assert_eq!((&crm(&node)["total"], &crm(&node)["in_use"]), (&json!(1), &json!(1)));
    let ended = &node.json(&["events", "list", "--id", "128"])[0];
    assert_eq!(ended["status"], "ended");
}

#[test]
fn what_is_carried_is_checked_before_anything_is_kept() {
    let root = Root::started(RootOptions::default());
    let mut node = by_hand(&root);
    let older = carried(&root, &node);
    let old = fs::read_to_string(&older).unwrap();
    root.entitle(&seats(7));
    let file = carried(&root, &node);
    let newest = fs::read_to_string(&file).unwrap();

    // Edited, cut, another form, nothing at all.
    let (signed, signature) = newest.trim().rsplit_once('.').unwrap();
    let (_, other_signature) = old.trim().rsplit_once('.').unwrap();
    for wrong in [&format!("{signed}.{other_signature}"), signed, "", "{}", &format!("{signed}.{signature}x")]
    {
        fs::write(&file, wrong).unwrap();
        node.run(&["entitlement", "import", &file]).refused(1, &["ENTITLEMENT_INVALID"]);
    }
    // A stranger's.
    let stranger = Root::started(RootOptions::default());
    stranger.entitle(ENTITLEMENT);
    let foreign = carried(&stranger, &node);
    node.run(&["entitlement", "import", &foreign])
        .refused(1, &["ENTITLEMENT_SIGNER_UNTRUSTED", "entitlements.trust_anchors"]);
    // Another owner's.
    root.entitle(&ENTITLEMENT.replace("Example GmbH", "Somebody Else"));
    let jws = root.run(&["entitlement", "show", "--owner", "Somebody Else", "--jws"]).ok();
    fs::write(&file, jws).unwrap();
    node.run(&["entitlement", "import", &file])
        .refused(1, &["ENTITLEMENT_OF_ANOTHER_OWNER", "Somebody Else"]);
    assert_eq!(crm(&node)["total"], 1000);

    // The right one; then the older one is refused, also after a restart.
    fs::write(&file, &newest).unwrap();
    assert_eq!(node.json(&["entitlement", "import", &file])["version"], 2);
    node.json(&["entitlement", "activate"]);
    node.kill();
    node.start();
    assert_eq!(crm(&node)["total"], 7);
    fs::write(&file, &old).unwrap();
    node.run(&["entitlement", "import", &file]).refused(1, &["ENTITLEMENT_OUTDATED", "version 2"]);
    fs::write(&file, &newest).unwrap();
    assert_eq!(node.json(&["entitlement", "import", &file])["changes"], json!([]), "again: nothing changes");
}

#[test]
fn other_vendors_stand_beside_the_first_and_none_takes_the_name_of_another() {
    let root = Root::started(RootOptions::default());
    let partner = Root::started(RootOptions::default());
    let anchors = partner.data("trust-anchor.pem");
    let tables = format!("[entitlements]\ntrust_anchors = {anchors:?}\n");
    let node = Node::started(&root, "berlin-1", NodeOptions { tables, ..NodeOptions::default() });

    partner.entitle(&seats(5).replace("vendor = \"Example\"", "vendor = \"Partner\""));
    let jws = partner.run(&["entitlement", "show", "--owner", "Example GmbH", "--jws"]).ok();
    let file = node.folder().join("partner.entitlement");
    fs::write(&file, jws).unwrap();
    let file = file.to_str().unwrap();
    node.json(&["entitlement", "import", file]);
    node.json(&["entitlement", "activate", "--vendor", "Partner"]);
    let listed = node.json(&["licenses", "list"]);
    let listed: Vec<_> =
        listed.as_array().unwrap().iter().map(|row| (&row["vendor"], &row["total"])).collect();
    assert_eq!(listed, [(&json!("Example"), &json!(1000)), (&json!("Partner"), &json!(5))]);

    partner.entitle(&seats(9999));
    let jws =
        partner.run(&["entitlement", "show", "--owner", "Example GmbH", "--vendor", "Example", "--jws"]).ok();
    fs::write(file, jws).unwrap();
    node.run(&["entitlement", "import", file]).refused(1, &["VENDOR_TAKEN", "two vendors"]);
}

#[test]
fn dates_of_an_entitlement_are_kept_and_told() {
    let mut clock = FakeClock::new();
    let environment = clock.environment();
    let tables = "[expiry]\ncheck_interval = \"1s\"\n".to_owned();
    let root = Root::started(RootOptions {
        environment: environment.clone(),
        tables: tables.clone(),
        ..RootOptions::default()
    });
    let date = |days: i64| {
        let at =
            std::time::UNIX_EPOCH + std::time::Duration::from_secs((clock.now() + days * DAY).unsigned_abs());
        humantime::format_rfc3339_seconds(at).to_string()
    };
    let dates = format!(
        "[dates]\nfirst_warning = {}\nexpires = {}\ngrace_ends = {}\n[[modules]]",
        date(5),
        date(10),
        date(20)
    );
    root.entitle(&ENTITLEMENT.replace("[[modules]]", &dates));
    let node = Node::new(NodeOptions { environment, tables });
    node.enroll(&token_without_entitlement(&root));
    let mut node = node;
    node.start();
    node.wait_for_entitlement();
    let raised = |node: &Node, id: &str| node.json(&["events", "list", "--id", id]).as_array().unwrap().len();
    assert!(acquire(&node).json()["warnings"].is_null());
    assert_eq!(raised(&node, "129"), 0);
    clock.advance(6 * DAY);
    wait_for("the first warning", || (raised(&node, "129") == 1).then_some(()));
    clock.advance(5 * DAY);
    wait_for("word of the expiry", || (raised(&node, "130") == 1).then_some(()));
    let answer = acquire(&node).json();
    assert!(answer["warnings"][0].as_str().unwrap().contains("expired on"), "{answer}");
    let id = answer["licenseId"].as_str().unwrap().to_owned();
    let shown = node.json(&["entitlement", "show"]);
    assert_eq!(instant(&shown[0]["grace_ends_at"]) - instant(&shown[0]["expires_at"]), 10 * DAY);
    clock.advance(10 * DAY);
    acquire(&node).refused(64 + 9, &["ENTITLEMENT_EXPIRED", "entitlement check"]);
    // Its lease has ended long ago: there is nothing to extend.
    let data = json!({ "license_id": id }).to_string();
    licensor_tests::call(&node, "licensor.licensing.v1.LicensingService/ExtendLicense", &data)
        .refused(64 + 5, &["LICENSE_UNKNOWN"]);
    // A newer entitlement, and everything goes on.
    root.entitle(ENTITLEMENT);
    node.json(&["renew"]);
    wait_for("the newer entitlement", || (acquire(&node).code == 0).then_some(()));
    let told = &node.json(&["events", "list", "--id", "130"])[0];
    assert_eq!(told["status"], "ended");
}

/// A token of a root whose entitlement a test has put itself.
fn token_without_entitlement(root: &Root) -> String {
    let order = [
        "token",
        "create",
        "--node",
        "berlin-1",
        "--owner",
        "Example GmbH",
        "--dns",
        "localhost",
        "--ip",
        "127.0.0.1",
    ];
    root.json(&order)["token"].as_str().unwrap().to_owned()
}
