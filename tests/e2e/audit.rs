//! The audit log: who did what, which of it can be proved, and what a root that went back in time gives away.

use std::fs;

use licensor_tests::{Line, Node, NodeOptions, Ran, Root, RootOptions, acquire, wait_for};
use serde_json::{Value, json};

/// Events with this id, oldest first.
fn events(root: &Root, id: &str) -> Vec<Value> {
    root.json(&["events", "list", "--id", id]).as_array().unwrap().clone()
}

#[test]
fn every_change_is_an_entry_with_who_asked_for_it_and_a_refusal_is_one_too() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let serial = node.serial();
    node.json(&["renew"]);
    root.run(&["certificates", "revoke", &serial, "--reason", "superseded"]).ok();
    root.run(&["certificates", "revoke", &serial]).refused(1, &["already"]);
    root.run(&["nodes", "decommission", "paris-1", "--yes"]).refused(1, &["NODE_UNKNOWN"]);
    root.run(&["nodes", "decommission", "berlin-1", "--yes"]).ok();
    let made = root.json(&["token", "create", "--node", "paris-1", "--owner", "Example GmbH"]);
    root.run(&["token", "revoke", made["id"].as_str().unwrap()]).ok();
    let uid = format!("uid:{}", rustix::process::getuid().as_raw());
    let spiffe_id = "spiffe://licensor.local/licensing-server/berlin-1";
    for (id, by) in [
        ("106", &*uid),
        ("100", spiffe_id),
        ("101", spiffe_id),
        ("110", &uid),
        ("112", &uid),
        ("111", &uid),
        ("107", &uid),
    ] {
        let found = events(&root, id);
        assert!(
            found.iter().any(|event| event["activated_by"].as_str().unwrap().starts_with(by)),
            "{id}: {found:?}"
        );
    }
    let refused: Vec<_> = events(&root, "112").iter().map(|event| event["message"].to_string()).collect();
    assert!(
        refused[0].contains("RevokeCertificate") && refused[0].contains("CERTIFICATE_ALREADY_REVOKED"),
        "{refused:?}"
    );
    let verified = root.json(&["audit", "verify"]);
    assert_eq!(verified["intact"], true);
    assert_eq!(verified["entries"], root.entries());
}

#[test]
fn a_call_that_only_reads_is_an_entry_with_who_asked_for_what_and_is_listed_only_if_asked_for() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let serial = node.serial();
    let (before, seen) = (events(&root, "125").len(), root.event_ids());
    let calls: &[(&[&str], &str, &str)] = &[
        (&["status"], "GetRootStatus", ""),
        (&["authority", "show"], "GetAuthority", ""),
        (&["token", "list"], "ListTokens", ""),
        (&["nodes", "list"], "ListNodes", ""),
        (&["nodes", "show", "berlin-1"], "GetNode", "berlin-1"),
        (&["certificates", "list"], "ListCertificates", ""),
        (&["certificates", "list", "--node", "berlin-1"], "ListCertificates", "berlin-1"),
        (&["certificates", "show", &serial], "GetCertificate", &serial),
        (&["audit", "prove", &serial], "ProveCertificate", &serial),
        (&["audit", "verify"], "VerifyAudit", ""),
    ];
    for (arguments, ..) in calls {
        root.run(arguments).ok();
    }
    let uid = format!("uid:{}", rustix::process::getuid().as_raw());
    let made: Vec<_> = events(&root, "125").split_off(before);
    assert_eq!(made.len(), calls.len(), "{made:?}");
    for (event, (_, call, about)) in made.iter().zip(calls) {
        assert_eq!(event["name"], "AdministrativeCallMadeEvent");
        assert_eq!((&event["activated_by"], &event["arguments"]["call"]), (&json!(uid), &json!(call)));
        assert_eq!(event["arguments"]["about"], json!(about));
        assert_eq!(event["message"], json!(format!("An administrator called {call}({about}).")));
        assert!(event["time"].is_string());
    }
    root.run(&["nodes", "show", "paris-1"]).refused(1, &["NODE_UNKNOWN"]);
    let refused = events(&root, "112").pop().unwrap();
    assert_eq!(
        refused["arguments"],
        json!({ "call": "GetNode", "about": "paris-1", "reason": "NODE_UNKNOWN" })
    );
    assert_eq!(events(&root, "125").len(), before + calls.len());
    assert_eq!(root.event_ids(), [seen, vec![112]].concat());
    assert!(!root.log().contains("AdministrativeCallMade"), "nobody reads as many lines");
    let verified = root.json(&["audit", "verify"]);
    assert_eq!((&verified["intact"], &verified["entries"]), (&json!(true), &json!(root.entries())));
}

#[test]
fn the_certificate_of_the_roots_own_port_is_an_entry_too() {
    let mut root = Root::started(RootOptions::default());
    let issued = root.json(&["events", "list", "--id", "134"]);
    assert_eq!(issued.as_array().unwrap().len(), 1);
    let line = Line::open(&root, &root.data("trust-anchor.pem"));
    let shown = verifier::Certificate::parse(&line.server_certificate()).unwrap();
    assert_eq!(issued[0]["serial"], shown.serial);
    root.stop();
    root.start();
    assert_eq!(root.json(&["events", "list", "--id", "134"]).as_array().unwrap().len(), 2);
    let verified = root.json(&["audit", "verify"]);
    assert_eq!((&verified["intact"], &verified["entries"]), (&json!(true), &json!(root.entries())));
}

#[test]
fn a_certificate_is_proved_to_be_logged_with_the_trust_anchor_alone() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let (first, license) = (node.serial(), acquire(&node).json()["license"].as_str().unwrap().to_owned());
    node.json(&["renew"]);
    let later = acquire(&node).json()["license"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    write("license.jwt", &license);
    write("later.jwt", &later);
    let proof = root.run(&["audit", "prove", &first]).ok();
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n"), "{proof}");
    write("proof.txt", &proof);
    let verify = |license: &str, proof: &str| -> Ran {
        node.run(&["verify", path(license).to_str().unwrap(), "--proof", path(proof).to_str().unwrap()])
    };
    verify("license.jwt", "proof.txt").ok();
    verify("later.jwt", "proof.txt").refused(1, &["is not proved", "does not tell of the issue"]);
    // Each line of it matters.
    for (at, line) in proof.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let changed: Vec<_> =
            proof.lines().enumerate().filter(|(other, _)| *other != at).map(|(_, line)| line).collect();
        write("cut.txt", &(changed.join("\n") + "\n"));
        let ran = verify("license.jwt", "cut.txt");
        assert_eq!(ran.code, 1, "without `{line}`: {ran:?}");
    }
    // A proof of another root.
    let other = Root::started(RootOptions::default());
    let stranger = Node::started(&other, "berlin-1", NodeOptions::default());
    write("other.txt", &other.run(&["audit", "prove", &stranger.serial()]).ok());
    verify("license.jwt", "other.txt").refused(1, &["is not proved", "not signed by the authority"]);
    let unknown = "5a".repeat(20);
    root.run(&["audit", "prove", &unknown]).refused(1, &["reason: CERTIFICATE_UNKNOWN"]);
}

#[test]
fn a_root_that_was_put_back_is_told_by_the_checkpoints_of_its_nodes() {
    let mut root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let other = Node::started(&root, "paris-1", NodeOptions::default());
    root.stop();
    let (data, copy) = (root.data(""), root.folder().join("copy"));
    copy_folder(&data, &copy);
    root.start();
    node.json(&["renew"]);
    let seen = |node: &Node| fs::read_to_string(node.data("audit-checkpoint.txt")).unwrap_or_default();
    let size =
        |note: &str| note.lines().nth(1).and_then(|size| size.parse::<usize>().ok()).unwrap_or_default();
    // A checkpoint is some moments old: what is renewed later has a newer one.
    let entries = root.entries();
    wait_for("a checkpoint with the renewal", || {
        node.json(&["renew"]);
        (size(&seen(&node)) >= entries).then_some(())
    });
    let kept = seen(&node);
    fs::write(root.folder().join("seen.txt"), &kept).unwrap();
    root.stop();
    fs::remove_dir_all(&data).unwrap();
    copy_folder(&copy, &data);
    root.start();
    assert_eq!(root.json(&["audit", "verify"])["intact"], true, "by itself it is a good log");
    let file = root.folder().join("seen.txt");
    let verify = ["audit", "verify", "--checkpoint", file.to_str().unwrap(), "--output", "json"];
    let ran = root.run(&verify);
    assert_eq!(ran.code, 1);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["intact"], false);
    assert_eq!(found["findings"][0]["last_sequence"], json!(size(&kept)));
    assert!(found["findings"][0]["problem"].as_str().unwrap().contains("rolled back"), "{found}");
    // The other node has seen less, and takes what there is.
    other.json(&["renew"]);
    assert!(!other.event_ids().contains(&113));
    // The certificate of this one is not in the ledger any more; its next is, and what it saw still counts.
    node.enroll(&root.token("berlin-1"));
    assert!(node.event_ids().contains(&113), "{:?}", node.event_ids());
    assert_eq!(seen(&node), kept);
}

#[test]
fn a_node_that_moves_to_another_root_of_the_same_trust_domain_starts_anew() {
    let here = Root::started(RootOptions::default());
    let there = Root::started(RootOptions::default());
    let node = Node::started(&here, "berlin-1", NodeOptions::default());
    for name in ["a", "b", "c", "d"] {
        here.token(name);
    }
    let origin = |node: &Node| {
        let note = fs::read_to_string(node.data("audit-checkpoint.txt")).unwrap_or_default();
        note.lines().next().unwrap_or_default().to_owned()
    };
    let key_id = |root: &Root| root.json(&["status"])["authority"]["key_id"].as_str().unwrap().to_owned();
    wait_for("a checkpoint of the first", || {
        node.json(&["renew"]);
        origin(&node).ends_with(&key_id(&here)).then_some(())
    });
    node.enroll(&there.token("berlin-1"));
    wait_for("a checkpoint of the second", || {
        node.json(&["renew"]);
        origin(&node).ends_with(&key_id(&there)).then_some(())
    });
    assert!(!node.event_ids().contains(&113), "its log is another one, and not shorter");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
