//! Entitlements at the root: put as documents, listed, shown, fetched by whom they are for, and kept.

use std::{collections::BTreeSet, fs, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use licensor_tests::{ForeignNode, Grpc, Root, RootOptions, Shown, Workshop, encoded};
use serde_json::{Value, json};

use crate::issued;

const GET: &str = "licensor.certification.v1.CertificationService/GetEntitlement";
const PUT: &str = "licensor.certification.v1.CertificationAdminService/PutEntitlement";
const EXAMPLE: &str = include_str!("../../deploy/local/entitlement.toml");

/// A document in the root's folder.
fn file(root: &Root, name: &str, text: &str) -> PathBuf {
    let path = root.folder().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn put(root: &Root, name: &str, text: &str) -> Value {
    root.json(&["entitlement", "put", file(root, name, text).to_str().unwrap()])
}

fn shown(root: &Root, options: &[&str]) -> String {
    root.run(&[["entitlement", "show", "--owner", "Example GmbH"].as_slice(), options].concat()).ok()
}

/// Header and claims of a JWS.
fn parts(jws: &str) -> [Value; 2] {
    let mut parts = jws.trim().split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

/// Messages of the events with this id, oldest first.
fn messages(root: &Root, id: &str) -> Vec<String> {
    let events = root.json(&["events", "list", "--id", id]);
    events.as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_document_is_put_listed_and_shown_and_each_call_is_in_the_audit_log() {
    let root = Root::started(RootOptions::default());
    let uid = format!("uid:{}", rustix::process::getuid().as_raw());
    let first = put(&root, "entitlement.toml", EXAMPLE);
    let expected = json!({
        "owner": "Example GmbH",
        "vendor": "Example",
        "version": 1,
        "expires": first["expires"],
        "put_at": first["put_at"],
        "put_by": uid,
        "unchanged": false,
    });
    assert_eq!(first, expected);
    let again = root.run(&["--output", "json", "entitlement", "put", "-"]);
    again.refused(1, &["line 1: missing field `owner`"]);
    let again = root.run_with_input(&["--output", "json", "entitlement", "put", "-"], EXAMPLE);
    assert!(again.stderr.contains("nothing new"), "{again:?}");
    assert_eq!(again.json()["unchanged"], true);
    let json = json!({
        "owner": "Example GmbH",
        "vendor": "Other",
        "serial_number": "O-1",
        "version": 7,
        "dates": { "expires": "2030-01-01" },
        "modules": [{ "name": "crm", "quantity": 3 }],
    });
    assert_eq!(put(&root, "entitlement.json", &json.to_string())["version"], 7);
    // Lists and what is shown.
    let list = root.json(&["entitlement", "list"]);
    let rows =
        list.as_array().unwrap().iter().map(|row| (row["vendor"].as_str().unwrap(), row["version"].clone()));
    assert_eq!(rows.collect::<Vec<_>>(), [("Example", json!(1)), ("Other", json!(7))]);
    assert_eq!(list[1]["expires"], "2030-01-01T00:00:00Z");
    assert_eq!(root.json(&["entitlement", "list", "--owner", "Example"]), json!([]));
    assert!(root.run(&["entitlement", "list"]).ok().contains("PUT BY"));
    assert_eq!(shown(&root, &["--vendor", "Example", "--document"]), EXAMPLE);
    let whole: Value =
        serde_json::from_str(&shown(&root, &["--vendor", "Example", "--output", "json"])).unwrap();
    let [_, claims] = parts(&shown(&root, &["--vendor", "Example", "--jws"]));
    assert_eq!(claims["sub"], "Example GmbH");
    assert_eq!(whole["services"], claims["entitlement"]["services"]);
    assert_eq!((&whole["modules"][0]["quantity"], &whole["issuer"]), (&json!(10), &claims["iss"]));
    root.run(&["entitlement", "show", "--owner", "Example GmbH"])
        .refused(1, &["name one", "INVALID_ARGUMENT"]);
    let unknown = root.run(&["entitlement", "show", "--owner", "Example GmbH", "--vendor", "Nobody"]);
    unknown.refused(1, &["ENTITLEMENT_UNKNOWN", "entitlement list"]);
    // The log.
    let signed: Vec<_> = messages(&root, "126");
    assert_eq!(
        signed,
        [
            "Version 1 of the entitlement of Example GmbH for Example was signed.",
            "Version 7 of the entitlement of Example GmbH for Other was signed.",
        ]
    );
    let by = root.json(&["events", "list", "--id", "126"]);
    assert!(by.as_array().unwrap().iter().all(|event| event["activated_by"] == uid.as_str()), "{by}");
    assert!(messages(&root, "112")[0].contains("PutEntitlement"));
    let read = messages(&root, "125").join("\n");
    for call in ["PutEntitlement(Example GmbH / Example)", "ListEntitlements(Example)", "ShowEntitlement("] {
        assert!(read.contains(call), "{call}: {read}");
    }
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
}

#[test]
fn a_mistake_is_named_with_its_line_to_everyone_alike() {
    let root = Root::started(RootOptions::default());
    let bad = EXAMPLE.replace("quantity = 10", "quantity = 0");
    let line = bad.lines().position(|line| line == "quantity = 0").unwrap() + 1;
    let sentence = format!("line {line}: quantity must be 1 to 1000000, and is 0");
    let path = file(&root, "bad.toml", &bad);
    let put = ["entitlement", "put", path.to_str().unwrap()];
    root.run(&put).refused(1, &[&sentence, "reason: ENTITLEMENT_INVALID"]);
    let refused = root.run(&[["--output", "json"].as_slice(), &put].concat()).refused(1, &[]);
    let refused: Value = serde_json::from_str(&refused.stderr).unwrap();
    assert_eq!(refused["metadata"], json!({ "line": line.to_string() }));
    let socket = Grpc::unix(&root.data("admin.sock"));
    let refusal = socket.call(PUT, &json!({ "document": bad })).unwrap_err();
    assert_eq!((refusal.code, &*refusal.reason, &refusal.message), (3, "ENTITLEMENT_INVALID", &sentence));
    fs::write(&path, b"owner = \"a\"\nvendor = \"\xff\"\n").unwrap();
    root.run(&put).refused(1, &["line 2: the document is not in UTF-8"]);
    root.run(&["entitlement", "put", "/nonexistent"]).refused(1, &["/nonexistent"]);
    root.run_with_input(&["entitlement", "put", "-"], EXAMPLE).ok();
    let old = EXAMPLE.replace("quantity = 10", "quantity = 11\nfeatures = []").replacen(
        "[dates]",
        "version = 1\n[dates]",
        1,
    );
    let old = old.replacen("features = [\"export\", \"reminders\"]\n", "", 1);
    root.run_with_input(&["entitlement", "put", "-"], &old).refused(1, &["ENTITLEMENT_OUTDATED"]);
    assert_eq!(root.json(&["entitlement", "list"])[0]["version"], 1);
}

#[test]
fn the_signer_is_one_that_strangers_accept_for_this_alone() {
    let root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    put(&root, "entitlement.toml", EXAMPLE);
    let [header, claims] = parts(&shown(&root, &["--jws"]));
    let chain = header["x5c"].as_array().unwrap();
    assert_eq!(chain.len(), 1, "without the anchor");
    assert_eq!((&header["typ"], &header["alg"]), (&json!("entitlement+jwt"), &json!("ES256")));
    let der = BASE64_STANDARD.decode(chain[0].as_str().unwrap()).unwrap();
    let certificate = workshop.certificate("signer.pem", &der);
    let signer = Shown::read(&certificate);
    issued::check_common(&signer);
    assert_eq!(signer.not_after - signer.not_before, 600 + 120);
    assert_eq!(signer.line("Subject:"), "O = Licensor, CN = Entitlements");
    let extensions: BTreeSet<_> = signer.extensions.keys().map(String::as_str).collect();
    let expected = [
        "Authority Information Access",
        "X509v3 Authority Key Identifier",
        "X509v3 Basic Constraints critical",
        "X509v3 CRL Distribution Points",
        "X509v3 Extended Key Usage",
        "X509v3 Key Usage critical",
        "X509v3 Subject Alternative Name",
        "X509v3 Subject Key Identifier",
    ];
    assert_eq!(extensions, BTreeSet::from(expected));
    assert_eq!(signer.extension("X509v3 Key Usage critical"), "Digital Signature");
    assert_eq!(signer.extension("X509v3 Extended Key Usage"), "2.25.104752958.3");
    let identity = format!("URI:{}", claims["iss"].as_str().unwrap());
    assert_eq!(signer.extension("X509v3 Subject Alternative Name"), identity);
    issued::check(&root.data("trust-anchor.pem"), &certificate, &[]);
}

/// Enrols a node of this owner with software of other people.
fn enrolled(root: &Root, workshop: &Workshop, node: &str, owner: &str) -> ForeignNode {
    let key = format!("{node}.key");
    workshop.key(&key, "P-256");
    let csr = encoded(&workshop.request(&key, &[]));
    let created = root.json(&["token", "create", "--node", node, "--owner", owner]);
    let request = json!({ "token": created["token"], "licensor_csr": csr });
    workshop.foreign_node(node, &key, root.grpc().call(licensor_tests::ENROLL, &request).unwrap())
}

#[test]
fn a_licensing_server_fetches_those_of_its_owner_also_from_a_root_that_was_restored() {
    let mut root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    put(&root, "entitlement.toml", EXAMPLE);
    let jws = shown(&root, &["--jws"]).trim().to_owned();
    let node = enrolled(&root, &workshop, "berlin-1", "Example GmbH");
    let other = enrolled(&root, &workshop, "paris-1", "Exemple SA");
    let expected = json!({ "entitlements": [
        { "owner": "Example GmbH", "vendor": "Example", "version": "1", "entitlement": jws },
    ] });
    assert_eq!(root.grpc_as(&node).call(GET, &json!({})).unwrap(), expected);
    assert_eq!(root.grpc_as(&other).call(GET, &json!({})).unwrap(), json!({}));
    let refusal = root.grpc().call(GET, &json!({})).unwrap_err();
    assert_eq!((refusal.code, &*refusal.reason), (16, "CLIENT_CERTIFICATE_REQUIRED"));
    // Everything is in a backup.
    let backup = root.folder().join("root.backup");
    let key = root.folder().join("key.pem");
    fs::copy(root.data("authority-key.pem"), &key).unwrap();
    root.run(&["backup", "create", backup.to_str().unwrap()]).ok();
    root.stop();
    fs::rename(root.data(""), root.folder().join("lost")).unwrap();
    let restore = ["backup", "restore", backup.to_str().unwrap(), "--key", key.to_str().unwrap()];
    root.run(&restore).ok();
    root.start();
    assert_eq!(root.grpc_as(&node).call(GET, &json!({})).unwrap(), expected);
    assert_eq!(shown(&root, &["--document"]), EXAMPLE);
    assert_eq!(put(&root, "entitlement.toml", EXAMPLE)["unchanged"], true);
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
    root.run(&["nodes", "decommission", "berlin-1", "--yes"]).ok();
    let refusal = root.grpc_as(&node).call(GET, &json!({})).unwrap_err();
    assert_eq!(refusal.reason, "NODE_DECOMMISSIONED");
}
