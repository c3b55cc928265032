//! Entitlements of roots that stand below one another, and of authorities whose certificates come and go.

use serde_json::json;

use licensor_tests::{ENTITLEMENT, wait_for};

use super::*;

/// What a root below the vendor's states for the owner of the bench's nodes.
fn of_partner(quantity: u32) -> String {
    let document = ENTITLEMENT.replace("quantity = 1000", &format!("quantity = {quantity}"));
    document.replace("vendor = \"Example\"", "vendor = \"Partner\"")
}

/// The newest entitlement of a vendor as a file in the folder of `node`.
fn carried(root: &Root, vendor: &str, node: &Node) -> PathBuf {
    let show = ["entitlement", "show", "--owner", "Example GmbH", "--vendor", vendor, "--jws"];
    let file = node.folder().join(format!("{vendor}.entitlement"));
    fs::write(&file, root.run(&show).ok()).unwrap();
    file
}

fn import(node: &Node, file: &Path) -> Ran {
    node.run(&["entitlement", "import", text(file), "--output", "json"])
}

fn version(node: &Node, vendor: &str) -> u64 {
    let shown = node.json(&["entitlement", "show"]);
    let of_vendor = shown.as_array().unwrap().iter().find(|shown| shown["vendor"] == vendor);
    of_vendor.unwrap_or_else(|| panic!("{shown}"))["version"].as_u64().unwrap()
}

#[test]
fn a_partner_whose_root_the_vendor_certified_stands_beside_the_vendor_until_it_is_revoked() {
    let vendor = started_root();
    let partner = root_below(&vendor, "partner");
    let node = node(&vendor, "berlin-1");
    partner.entitle(&of_partner(5));
    let file = carried(&partner, "Partner", &node);
    let imported = import(&node, &file).json();
    assert_eq!((&imported["vendor"], &imported["version"]), (&json!("Partner"), &json!(1)));
    node.json(&["entitlement", "activate", "--vendor", "Partner"]);
    let listed = node.json(&["licenses", "list"]);
    let rows: Vec<_> = listed.as_array().unwrap().iter().map(|row| (&row["vendor"], &row["total"])).collect();
    assert_eq!(rows, [(&json!("Example"), &json!(1000)), (&json!("Partner"), &json!(5))]);
    let of_partner_and = ["licenses", "acquire", "--module", "crm", "--user", "anna", "--vendor"];
    for vendor in ["Example", "Partner"] {
        node.run(&[&of_partner_and[..], &[vendor]].concat()).ok();
    }
    // It speaks for itself alone; and whoever stands below somebody else does not speak here.
    partner.entitle(ENTITLEMENT);
    import(&node, &carried(&partner, "Example", &node)).refused(1, &["VENDOR_TAKEN"]);
    let stranger = started_root();
    let below = root_below(&stranger, "below");
    for root in [&stranger, &below] {
        root.entitle(&of_partner(9));
        import(&node, &carried(root, "Partner", &node))
            .refused(1, &["ENTITLEMENT_SIGNER_UNTRUSTED", "entitlements.trust_anchors"]);
    }

    // The vendor takes back what it certified: nothing new of that is taken, and what is in force stays.
    partner.entitle(&of_partner(50));
    let newer = carried(&partner, "Partner", &node);
    vendor.json(&["certificates", "revoke", &serial(&partner), "--reason", "key-compromise"]);
    let refused = wait_for("the node to know it", || Some(import(&node, &newer)).filter(|ran| ran.code != 0));
    let refused = refused.refused(1, &["ENTITLEMENT_SIGNER_UNTRUSTED", "revoked", "another certificate"]);
    assert!(!refused.stderr.contains("trust_anchors"), "{refused:?}");
    node.run(&["entitlement", "activate", "--vendor", "Partner"]).refused(1, &["ENTITLEMENT_UNKNOWN"]);
    assert_eq!(version(&node, "Partner"), 1);

    // With another certificate it signs the same anew when it is asked for.
    let token = root_token(&vendor, "partner", "Example GmbH");
    partner.json(&["authority", "upstream", "grpc", "--token-file", text(&token)]);
    let anew = carried(&partner, "Partner", &node);
    assert_eq!(import(&node, &anew).json()["version"], 2);
    node.json(&["entitlement", "activate", "--vendor", "Partner"]);
    assert_eq!(node.json(&["licenses", "show", "crm", "--vendor", "Partner"])["total"], 50);
}

/// What happens to the certificate of an authority.
type Change = fn(&Root);

#[test]
fn whoever_is_enrolled_after_the_authority_has_changed_gets_its_entitlement() {
    let renew: Change = |root| _ = root.json(&["authority", "renew"]);
    let rotate: Change = |root| {
        for step in ["prepare", "activate", "retire"] {
            root.json(&["authority", "rotate", step]);
        }
    };
    for change in [renew, rotate] {
        let root = started_root();
        // It was stated which version it is.
        let stated = ENTITLEMENT.replacen("[[modules]]", "version = 7\n[[modules]]", 1);
        root.token("nobody");
        root.entitle(&stated.replace("quantity = 1000", "quantity = 3"));
        change(&root);
        let mut node = Node::new(NodeOptions { tables: EAGER_NODE.into(), ..NodeOptions::default() });
        node.enroll(&root.token("berlin-1"));
        node.start();
        node.wait_for_entitlement();
        assert_eq!(
            (version(&node, "Example"), &node.json(&["licenses", "list"])[0]["total"]),
            (7, &json!(3))
        );
        acquire(&node).ok();
        // It is the same for whoever has it; the document says nothing new either.
        assert_eq!(import(&node, &carried(&root, "Example", &node)).json()["changes"], json!([]));
        let put = root.entitle(&stated.replace("quantity = 1000", "quantity = 3"));
        assert_eq!((&put["unchanged"], &put["version"]), (&json!(true), &json!(7)));
        let signed = root.json(&["events", "list", "--id", "126"]);
        let last = signed.as_array().unwrap().last().unwrap();
        assert_eq!((&last["activated_by"], &last["arguments"]["version"]), (&json!("service"), &json!("7")));
        assert_eq!(root.json(&["audit", "verify"])["intact"], true);
    }
}

#[test]
fn below_an_upstream_too_and_servers_from_before_notice_nothing() {
    let activation = started_root();
    let root = root_below(&activation, "berlin");
    let former = node(&root, "berlin-1");
    let file = carried(&root, "Example", &former);
    let jws = fs::read_to_string(&file).unwrap();
    // The middle exchanges its key, then the top does.
    let rotate = |root: &Root, step: &str| root.json(&["authority", "rotate", step]);
    rotate(&root, "prepare");
    rotate(&root, "activate");
    former.json(&["renew"]);
    rotate(&root, "retire");
    let next = rotate(&activation, "prepare")["serial"].as_str().unwrap().to_owned();
    let bundle = former.data("trust-bundle.pem");
    wait_for("the next anchor to arrive", || serials(&bundle).contains(&next).then_some(()));
    rotate(&activation, "activate");
    root.json(&["authority", "renew"]);
    former.json(&["renew"]);
    rotate(&activation, "retire");
    wait_for("the former anchor to be gone", || (serials(&bundle) == [next.clone()]).then_some(()));
    let later = node(&root, "berlin-2");
    for node in [&former, &later] {
        acquire(node).ok();
        assert_eq!(version(node, "Example"), 1);
        assert_eq!(import(node, &carried(&root, "Example", node)).json()["changes"], json!([]));
        assert_eq!(node.json(&["events", "list", "--id", "127"]).as_array().unwrap().len(), 1);
    }
    // That of before leads to an anchor that is gone.
    fs::write(&file, jws).unwrap();
    import(&later, &file).refused(1, &["ENTITLEMENT_SIGNER_UNTRUSTED"]);
}
