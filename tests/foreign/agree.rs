//! Verifiers in other languages, as users copy them, agree with ours on every vector, and take what the services make.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use licensor_tests::{Node, NodeOptions, Root, RootOptions, acquire, dependencies, run, tool};
use serde_json::Value;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn python() -> Command {
    let mut command = Command::new(tool("python3"));
    command.arg(here("foreign/verify_license.py"));
    command
}

fn node_js() -> Command {
    dependencies(&here("foreign/node/node_modules"));
    let mut command = Command::new(tool("node"));
    command.arg(here("foreign/node/verify.mjs"));
    command
}

/// Builds it into `folder`, from modules that are on this machine.
fn go(folder: &Path) -> Command {
    let program = folder.join("verify");
    let mut build = Command::new(tool("go"));
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(here("foreign/go"));
    run(build.env("GOPROXY", "off").env("GOFLAGS", "-mod=readonly")).ok();
    Command::new(program)
}

fn java() -> Command {
    let mut command = Command::new(tool("java"));
    let jars = dependencies(&here(".tools/java")).join("*");
    command.arg("-cp").arg(jars).arg(here("foreign/java/Verify.java"));
    command
}

/// Runs a verifier over all vectors, and over the example as people do.
#[track_caller]
fn agrees(verifier: impl Fn() -> Command) {
    let file = here("vectors/vectors.json");
    let vectors: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let said = run(verifier().arg("--vectors").arg(&file)).ok();
    let mut said = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    for case in vectors["cases"].as_array().unwrap() {
        let found = said.next().unwrap_or_default();
        assert_eq!(found["name"], case["name"], "the verifier says nothing of it");
        let wanted = &case["expected"];
        assert_eq!(found["accepted"], *wanted == "valid", "{} is {wanted}: {found}", case["name"]);
        assert_eq!(found["reason"] == "", *wanted == "valid", "{} is {wanted}: {found}", case["name"]);
    }
    assert_eq!(said.next(), None);

    let (license, anchor) = (here("vectors/example.jwt"), here("vectors/example-anchor.pem"));
    let claims = run(verifier().arg(&license).arg(&anchor)).json();
    assert_eq!(claims["iss"], "spiffe://licensor.test/licensing-server/berlin-1");
    assert_eq!(claims["license"]["module"], "crm");
    run(verifier().arg("--entitlement").arg(&license).arg(&anchor))
        .refused(1, &["refused: ", "typ is license+jwt"]);
}

#[test]
fn python_agrees() {
    agrees(python);
}

#[test]
fn node_agrees() {
    agrees(node_js);
}

#[test]
fn go_agrees() {
    let folder = tempfile::tempdir().unwrap();
    agrees(|| go(folder.path()));
}

#[test]
fn java_agrees() {
    agrees(java);
}

#[test]
fn all_take_the_licence_the_proof_and_the_revocation_list_that_the_services_make() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (serial, anchor) = (node.serial(), root.data("trust-anchor.pem"));
    let license =
        |name: &str| fs::write(path(name), acquire(&node).json()["license"].as_str().unwrap()).unwrap();
    let list = |name: &str| {
        let key_id = root.json(&["status"])["authority"]["key_id"].as_str().unwrap().to_owned();
        let url = format!("http://127.0.0.1:{}/crl/{key_id}.crl", root.ops_port);
        run(Command::new(tool("curl")).args(["--silent", "--fail", &url, "--output"]).arg(path(name))).ok();
    };
    license("license.jwt");
    fs::write(path("proof.txt"), root.run(&["audit", "prove", &serial]).ok()).unwrap();
    list("before.crl");
    node.json(&["renew"]);
    license("renewed.jwt");
    root.run(&["certificates", "revoke", &serial]).ok();
    list("after.crl");

    let built = tempfile::tempdir().unwrap();
    let verifiers: [&dyn Fn() -> Command; 4] = [&python, &node_js, &java, &|| go(built.path())];
    for verifier in verifiers {
        let verify = |license: &str, list: &str, proof: Option<&str>| {
            let mut command = verifier();
            command.arg("--revocation-list").arg(path(list));
            if let Some(proof) = proof {
                command.arg("--proof").arg(path(proof));
            }
            run(command.arg(path(license)).arg(&anchor))
        };
        verify("license.jwt", "before.crl", Some("proof.txt")).ok();
        verify("renewed.jwt", "after.crl", None).ok();
        verify("renewed.jwt", "after.crl", Some("proof.txt"))
            .refused(1, &["the entry is about something else"]);
        verify("license.jwt", "after.crl", None).refused(1, &["a certificate was revoked"]);
    }
}
