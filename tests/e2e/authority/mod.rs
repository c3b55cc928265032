//! The authority's own certificates: where they come from, and how they and their key are exchanged.

mod carried;
mod entitlements;
mod rotation;
mod trouble;
mod upstream;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use licensor_tests::{Node, NodeOptions, Ran, Root, RootOptions, acquire, certificates, run, tool};
use serde_json::Value;
use verifier::Certificate;

/// Everyone asks every second or so what the others say of themselves.
const EAGER_ROOT: &str = "[authority]\npoll_interval = \"1s\"\n";
const EAGER_NODE: &str = "[revocation]\npoll_interval = \"1s\"\n";

fn root_with(tables: &str) -> Root {
    Root::new(RootOptions { tables: format!("{EAGER_ROOT}{tables}"), ..RootOptions::default() })
}

fn started_root() -> Root {
    let mut root = root_with("");
    root.run(&["init"]).ok();
    root.start();
    root
}

fn node(root: &Root, name: &str) -> Node {
    Node::started(root, name, NodeOptions { tables: EAGER_NODE.into(), ..NodeOptions::default() })
}

/// A file with a token for a root below `activation`.
fn root_token(activation: &Root, name: &str, owner: &str) -> PathBuf {
    let created = activation.json(&["token", "create", "--root", name, "--owner", owner]);
    let file = activation.folder().join(format!("{name}.token"));
    fs::write(&file, created["token"].as_str().unwrap()).unwrap();
    file
}

/// A root that `activation` certifies over the network; it runs.
fn root_below(activation: &Root, name: &str) -> Root {
    let mut root = root_with("");
    let token = root_token(activation, name, "Example GmbH");
    root.run(&["init", "--upstream", "grpc", "--token-file", text(&token)]).ok();
    root.start();
    root
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Key identifier of the authority that issues.
fn key_id(root: &Root) -> String {
    root.json(&["authority", "show"])["key_id"].as_str().unwrap().to_owned()
}

/// Serial number of the certificate of the authority that issues.
fn serial(root: &Root) -> String {
    root.json(&["authority", "show"])["serial"].as_str().unwrap().to_owned()
}

/// What `authority show` says of each authority, the newest first.
fn standings(root: &Root) -> Vec<String> {
    let shown = root.json(&["authority", "show"]);
    let authorities = shown["authorities"].as_array().unwrap().iter();
    authorities.map(|authority| authority["standing"].as_str().unwrap().to_owned()).collect()
}

/// Serial numbers of the certificates in a PEM file.
fn serials(file: &Path) -> Vec<String> {
    certificates(file).iter().map(|der| Certificate::parse(der).unwrap().serial).collect()
}

/// That OpenSSL believes the chain in a PEM file by this anchor, strictly.
fn check_chain(anchor: &Path, chain: &Path) {
    let verified = run(Command::new(tool("openssl"))
        .args(["verify", "-x509_strict", "-CAfile"])
        .arg(anchor)
        .arg("-untrusted")
        .arg(chain)
        .arg(chain));
    assert!(verified.stdout.ends_with(": OK\n"), "{verified:?}");
}

/// A licence of the node in a file.
fn licence(node: &Node) -> PathBuf {
    let answer: Value = acquire(node).json();
    let file = node.folder().join("license.jwt");
    fs::write(&file, answer["license"].as_str().unwrap()).unwrap();
    file
}

/// `license-service verify` by this anchor alone.
fn verify(node: &Node, licence: &Path, anchor: &Path, options: &[&str]) -> Ran {
    let verify = ["verify", text(licence), "--trust-bundle", text(anchor)];
    node.run(&[&verify, options].concat())
}
