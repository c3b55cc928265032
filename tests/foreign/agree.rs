//! Verifiers in other languages, as users copy them, agree with ours on every vector.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use licensor_tests::{dependencies, run, tool};
use serde_json::Value;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn python() -> Command {
    let mut command = Command::new(tool("python3"));
    command.arg(here("foreign/verify_license.py"));
    command
}

fn node() -> Command {
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
    agrees(node);
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
