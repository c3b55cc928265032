//! Revoked certificates and decommissioned nodes: refused at once, listed for everyone, and disabled when they learn of it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use licensor::error::Error;
use licensor_tests::{
    Grpc, Load, Node, NodeOptions, Root, RootOptions, Workshop, acquire, block_on, certificate_request,
    health, run, tool, wait_for,
};
use proto::{
    certification::v1::{RenewRequest, certification_service_client::CertificationServiceClient},
    event::v1::{WatchEventsRequest, event_service_client::EventServiceClient},
};
use serde_json::{Value, json};

const GET_LIST: &str = "licensor.certification.v1.CertificationService/GetRevocationList";

/// A node that asks for the revocation list every second or so.
fn node(root: &Root, name: &str) -> Node {
    let tables = "[revocation]\npoll_interval = \"1s\"\n".to_owned();
    Node::started(root, name, NodeOptions { tables, ..NodeOptions::default() })
}

fn wait_until_disabled(node: &Node, reason: &str) -> Value {
    wait_for("the node to disable itself", || {
        let status = node.status();
        (status["disabled_reason"] == reason).then_some(status)
    })
}

/// Fetches the list from the address that certificates name, and lets OpenSSL write what it reads.
fn fetched(root: &Root, workshop: &Workshop) -> String {
    let key_id = root.json(&["status"])["authority"]["key_id"].as_str().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{}/crl/{key_id}.crl", root.ops_port);
    let arguments = ["--silent", "--fail", "--output", "list.crl", "--write-out", "%{content_type}", &url];
    let curl = run(Command::new(tool("curl")).current_dir(workshop.path("")).args(arguments));
    assert_eq!(curl.ok(), "application/pkix-crl");
    let anchor = root.data("trust-anchor.pem");
    let shown = workshop.openssl(&[
        "crl",
        "-inform",
        "DER",
        "-in",
        "list.crl",
        "-noout",
        "-text",
        "-verify",
        "-CAfile",
        anchor.to_str().unwrap(),
    ]);
    assert!(shown.stderr.contains("verify OK"), "{shown:?}");
    shown.stdout
}

/// What pkilint finds wrong with a list.
fn lint(list: &Path) -> BTreeSet<String> {
    let ran = run(Command::new(tool("lint_crl"))
        .args(["lint", "-t", "CRL", "-p", "PKIX", "-s", "ERROR", "-f", "JSON"])
        .arg(list));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let results = report["results"].as_array().unwrap().iter();
    results
        .flat_map(|result| result["finding_descriptions"].as_array().unwrap().clone())
        .map(|f| f.to_string())
        .collect()
}

#[test]
fn a_revocation_is_effective_at_once_on_open_connections() {
    let root = Root::started(RootOptions::default());
    let identity = Load::enrolled(&[root.token("berlin-1")]).remove(0);
    let (channel, mut stream) = block_on(async {
        let channel = identity.channel().await.unwrap();
        let request = WatchEventsRequest { from_sequence: 1 };
        let stream = EventServiceClient::new(channel.clone()).watch_events(request).await.unwrap();
        let mut stream = stream.into_inner();
        stream.message().await.unwrap().expect("the event of the enrolment");
        (channel, stream)
    });
    root.run(&["certificates", "revoke", &identity.serial, "--reason", "key-compromise"]).ok();
    let request = RenewRequest { licensor_csr: certificate_request(), ..Default::default() };
    let refused = block_on(CertificationServiceClient::new(channel).renew(request)).unwrap_err();
    let refused = Error::from(refused);
    assert_eq!(refused.reason.as_str(), "CERTIFICATE_REVOKED");
    assert_eq!(refused.metadata, [("serial".to_owned(), identity.serial.clone())]);
    let ended = block_on(async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(status) => break Some(Error::from(status).reason.as_str()),
            }
        }
    });
    assert_eq!(ended, Some("CERTIFICATE_REVOKED"));
}

#[test]
fn a_revoked_node_disables_itself_also_after_a_restart_until_it_is_enrolled_again() {
    let mut root = Root::started(RootOptions::default());
    let mut node = node(&root, "berlin-1");
    let serial = node.serial();
    acquire(&node).ok();
    root.json(&["certificates", "revoke", &serial, "--reason", "privilege-withdrawn"]);
    wait_until_disabled(&node, "CERTIFICATE_REVOKED");
    assert_eq!(health(&node), "NOT_SERVING");
    assert_eq!(node.ops("/readyz").0, 503);
    acquire(&node).refused(71, &["was revoked on", "CERTIFICATE_REVOKED"]);
    // Nobody is there to tell it once more.
    root.stop();
    node.stop();
    node.start();
    assert_eq!(node.status()["disabled_reason"], "CERTIFICATE_REVOKED");
    acquire(&node).refused(71, &["CERTIFICATE_REVOKED"]);
    let told = node.event_ids().into_iter().filter(|id| [103, 104].contains(id));
    assert_eq!(told.collect::<Vec<_>>(), [103, 104], "it was never enabled again");
    root.start();
    node.run(&["renew"]).refused(1, &["was revoked", "new token", "reason: CERTIFICATE_REVOKED"]);
    let ids = || node.event_ids();
    assert_eq!(ids().iter().filter(|id| **id == 110).count(), 1, "{:?}", ids());
    assert!(ids().contains(&104));
    node.enroll(&root.token("berlin-1"));
    assert_eq!(node.status()["enabled"], true);
    acquire(&node).ok();
    let events = node.json(&["events", "list", "--id", "110"]);
    assert_eq!((&events[0]["status"], &events[0]["serial"]), (&json!("ended"), &json!(serial)));
}

#[test]
fn a_node_that_hears_of_it_in_a_renewal_looks_at_the_list_at_once() {
    let root = Root::started(RootOptions::default());
    // The next poll is far away.
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    wait_for("the first list", || node.data("revocation-list.crl").exists().then_some(()));
    root.run(&["certificates", "revoke", &node.serial()]).ok();
    node.run(&["renew"]).refused(1, &["reason: CERTIFICATE_REVOKED"]);
    wait_until_disabled(&node, "CERTIFICATE_REVOKED");
}

#[test]
fn the_list_is_what_openssl_and_pkilint_expect_and_stops_licences() {
    let root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    let empty = fetched(&root, &workshop);
    assert!(empty.contains("No Revoked Certificates"), "{empty}");
    assert_eq!(lint(&workshop.path("list.crl")), BTreeSet::new());
    let before = root.metric("licensor_revocation_list_number").unwrap();

    let node = node(&root, "berlin-1");
    let serial = node.serial();
    let license = acquire(&node).json()["license"].as_str().unwrap().to_owned();
    let file = workshop.path("license.jwt");
    fs::write(&file, license).unwrap();
    let list = workshop.path("list.crl");
    let verify = ["verify", file.to_str().unwrap(), "--revocation-list", list.to_str().unwrap()];
    node.run(&verify).ok();
    let revoked = root.json(&["certificates", "revoke", &serial, "--reason", "key-compromise"]);
    assert_eq!(
        (&revoked["status"], &revoked["revocation_reason"]),
        (&json!("revoked"), &json!("key_compromise"))
    );
    let shown = fetched(&root, &workshop);
    let number = revoked["revocation_list_number"].as_u64().unwrap();
    assert!(number as f64 > before);
    assert!(shown.contains(&serial.to_uppercase()), "{shown}");
    assert_eq!(shown.matches("Serial Number:").count(), 2, "the server certificate goes with it: {shown}");
    assert_eq!(shown.matches("Key Compromise").count(), 2, "{shown}");
    assert_eq!(lint(&list), BTreeSet::new());
    node.run(&verify).refused(1, &["was revoked", &serial]);
    // OpenSSL refuses the licensor certificate with that list.
    workshop.openssl(&["crl", "-inform", "DER", "-in", "list.crl", "-out", "list.pem"]).ok();
    let (anchor, certificate) = (root.data("trust-anchor.pem"), node.data("licensor-certificate.pem"));
    let verified = workshop.openssl(&[
        "verify",
        "-crl_check",
        "-CRLfile",
        "list.pem",
        "-CAfile",
        anchor.to_str().unwrap(),
        certificate.to_str().unwrap(),
    ]);
    assert!(verified.stderr.contains("certificate revoked"), "{verified:?}");

    // The same over gRPC, unless the caller has it.
    let answer = root.grpc().call(GET_LIST, &json!({})).unwrap();
    assert_eq!(licensor_tests::decoded(&answer["revocationList"]), fs::read(&list).unwrap());
    assert_eq!(answer["number"], number.to_string());
    let answer = root.grpc().call(GET_LIST, &json!({ "known_number": number })).unwrap();
    assert_eq!(answer.get("revocationList"), None);
    let refusal = root.grpc().call(GET_LIST, &json!({ "issuer_key_id": "00" })).unwrap_err();
    assert_eq!(refusal.reason, "AUTHORITY_UNKNOWN");
}

#[test]
fn what_is_unknown_or_revoked_already_is_refused_and_changes_nothing() {
    let root = Root::started(RootOptions::default());
    let first = Load::enrolled(&[root.token("berlin-1")]).remove(0).serial;
    let unknown = "5a".repeat(20);
    root.run(&["certificates", "revoke", &unknown]).refused(1, &[&unknown, "reason: CERTIFICATE_UNKNOWN"]);
    root.run(&["certificates", "revoke", "no-number"]).refused(1, &["reason: CERTIFICATE_UNKNOWN"]);
    root.run(&["certificates", "revoke", &first, "--reason", "boredom"]).refused(2, &["key-compromise"]);
    let admin = Grpc::unix(&root.data("admin.sock"));
    let revoke = "licensor.certification.v1.CertificationAdminService/RevokeCertificate";
    let refusal = admin.call(revoke, &json!({ "serial": first, "reason": 8 })).unwrap_err();
    assert_eq!(refusal.reason, "INVALID_ARGUMENT");
    assert_eq!(root.json(&["certificates", "list"])[0]["status"], "current");
    // Serial numbers are written in many ways.
    let colons: Vec<_> = first.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair)).collect();
    root.run(&["certificates", "revoke", &colons.join(":").to_uppercase()]).ok();
    let ledger = root.ledger();
    let words = [&first, "already", "reason: CERTIFICATE_ALREADY_REVOKED"];
    root.run(&["certificates", "revoke", &first]).refused(1, &words);
    assert_eq!(root.ledger(), ledger);
}

#[test]
fn a_decommissioned_node_is_disabled_and_never_enrolled_again() {
    let root = Root::started(RootOptions::default());
    let node = node(&root, "berlin-1");
    let unused = root.token("berlin-1");
    root.run(&["nodes", "decommission", "paris-1", "--yes"]).refused(1, &["reason: NODE_UNKNOWN"]);
    for typed in ["", "yes\n", "Berlin-1\n"] {
        let asked = root.run_with_input(&["nodes", "decommission", "berlin-1"], typed);
        asked.refused(1, &["Type its name", "was not decommissioned"]);
    }
    assert_eq!(node.status()["enabled"], true);
    root.run_with_input(&["nodes", "decommission", "berlin-1"], "berlin-1\n").ok();
    wait_until_disabled(&node, "CERTIFICATE_REVOKED");
    node.run(&["renew"]).refused(1, &["for good", "reason: NODE_DECOMMISSIONED"]);
    let words = ["berlin-1", "another name", "reason: NODE_DECOMMISSIONED"];
    node.run_with_input(&["enroll", "--token", "-"], &unused).refused(1, &words);
    root.run(&["token", "create", "--node", "berlin-1", "--owner", "Example GmbH"]).refused(1, &words);
    root.run(&["nodes", "decommission", "berlin-1", "--yes"]).refused(1, &words);
    // Its history is kept.
    assert!(root.json(&["nodes", "show", "berlin-1"])["decommissioned_at"].is_string());
    let certificates = root.json(&["certificates", "list", "--node", "berlin-1"]);
    assert_eq!(certificates[0]["status"], "revoked");
    assert_eq!(certificates[0]["revocation_reason"], "cessation_of_operation");
    assert_eq!(root.event_ids().iter().filter(|id| [110, 111].contains(id)).count(), 2);
}
