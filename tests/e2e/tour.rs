//! The README's tour with grpcurl: its very lines, against a running pair.

use std::{env, fmt::Write, fs, path::Path, process::Command};

use licensor_tests::{Node, NodeOptions, Root, RootOptions, run_with_input, tool};

const HEADING: &str = "## A tour with grpcurl";
/// Stands between the outputs of two blocks.
const MARK: &str = "=====";

/// Each block in its order: what it runs, and what its output says.
const BLOCKS: &[(&str, &[&str])] = &[
    ("TOUR=$(mktemp -d)", &[]),
    (
        "\"$ROOT\" list",
        &[
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "licensor.certification.v1.CertificationService",
            "licensor.event.v1.EventService",
        ],
    ),
    ("describe licensor.certification.v1.CertificationService.Renew", &["rpc Renew", "RenewRequest"]),
    ("\"$NODE\" list", &["licensor.licensing.v1.LicensingService", "licensor.licensing.v1.StatusService"]),
    ("describe licensor.licensing.v1.AcquireLicenseRequest", &["string subject = 3"]),
    ("\"$ROOT\" grpc.health.v1.Health/Check", &["\"status\": \"SERVING\""]),
    ("\"$NODE\" grpc.health.v1.Health/Check", &["\"status\": \"SERVING\""]),
    ("GetTrustBundle", &["subject=O = Licensor, CN = Licensor Root", "notAfter=", "sha256 Fingerprint="]),
    (
        "GetStatus",
        &["\"node\": \"berlin-1\"", "\"enabled\": true", "\"renewalAddress\"", "\"renewTime\"", "\"serial\""],
    ),
    ("access create --name tour", &[]),
    ("ListModules", &["\"vendor\": \"Example\"", "\"name\": \"crm\""]),
    ("LicensingService/AcquireLicense | tee", &["\"license\": \"ey", "\"licenseId\"", "\"expireTime\""]),
    ("license-service verify", &["spiffe://licensor.local/licensing-server/berlin-1", "anna", "crm"]),
    ("token create", &[]),
    ("for key in licensor server", &[]),
    (
        "CertificationService/Enroll |\n  tee",
        &["\"licensorCertificate\"", "\"serverCertificate\"", "\"trustBundle\"", "\"renewalWindow\""],
    ),
    (
        "openssl verify -x509_strict",
        &[
            "licensor-certificate.pem: OK",
            "subject=O = Example GmbH, CN = tour-1",
            "URI:spiffe://licensor.local/licensing-server/tour-1",
            "TLS Web Client Authentication, 2.25.",
        ],
    ),
    ("next-key.pem", &[]),
    ("CertificationService/Renew | tee", &["\"licensorCertificate\"", "\"renewalWindow\""]),
    ("certificates list --node tour-1", &["superseded", "current"]),
    (
        "CertificationService/Enroll || true",
        &["Code: PermissionDenied", "\"reason\": \"TOKEN_ALREADY_USED\""],
    ),
    (
        "\"$ROOT\" licensor.certification.v1.CertificationService/Renew || true",
        &[
            "Code: Unauthenticated",
            "\"reason\": \"CLIENT_CERTIFICATE_REQUIRED\"",
            "\"domain\": \"licensor\"",
            "google.rpc.ErrorInfo",
        ],
    ),
    (
        "CertificationService/Renew || true",
        &["Code: PermissionDenied", "\"reason\": \"CERTIFICATE_SUPERSEDED\""],
    ),
    (
        "\"anna\"}' \\\n  \"$NODE\" licensor.licensing.v1.LicensingService/AcquireLicense || true",
        &["Code: Unauthenticated", "\"reason\": \"ACCESS_TOKEN_REQUIRED\"", "license-service access create"],
    ),
    ("chess", &["Code: NotFound", "\"reason\": \"MODULE_UNKNOWN\"", "\"module\": \"chess\""]),
    ("certificates revoke", &["revoked", "key_compromise"]),
    ("GetRevocationList", &["verify OK", "Key Compromise", "X509v3 CRL Number"]),
    ("audit verify", &["intact", "true"]),
    ("audit prove", &["c2sp.org/tlog-proof@v1", "spiffe://licensor.local/licensing-server/berlin-1"]),
    ("admin.sock\" list", &["licensor.certification.v1.CertificationAdminService"]),
    (
        "\"$ROOT_DATA/admin.sock\" licensor.event.v1.EventService/ListEvents",
        &["NodeEnrolledEvent", "CertificateRenewedEvent", "TokenMisusedEvent", "SEVERITY_ERROR"],
    ),
    (
        "\"$NODE_DATA/admin.sock\" licensor.event.v1.EventService/ListEvents",
        &["not_after", "CertificateRenewedEvent"],
    ),
    ("LicensingAdminService/RenewCertificate", &["Code: Unimplemented"]),
    ("access revoke", &["revoked", "Code: Unauthenticated", "\"reason\": \"ACCESS_TOKEN_REVOKED\""]),
    ("rm -r", &[]),
];

#[test]
fn the_tour_of_the_readme_works_as_written() {
    let blocks = blocks();
    let starts: Vec<_> = blocks.iter().map(|block| block.lines().next().unwrap()).collect();
    assert_eq!(blocks.len(), BLOCKS.len(), "{starts:#?}");
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());

    let mut script = String::from("set -euo pipefail\n");
    for (block, (what, _)) in blocks.iter().zip(BLOCKS) {
        assert!(block.contains(what), "`{what}` is not in: {block}");
        writeln!(script, "{}\necho '{MARK}'", with_own_pair(block)).unwrap();
    }
    let mut bash = Command::new("bash");
    bash.args(["-c", "exec 2>&1; . /dev/stdin"]).current_dir(root.folder());
    bash.env("ROOT", root.address()).env("ROOT_CONFIG", root.config()).env("ROOT_DATA", root.data(""));
    bash.env("NODE", node.address()).env("NODE_CONFIG", node.config()).env("NODE_DATA", node.data(""));
    bash.env("PATH", path(&root)).env("TMPDIR", root.folder());
    let ran = run_with_input(&mut bash, &script);
    let outputs: Vec<&str> = ran.stdout.split(&format!("{MARK}\n")).collect();
    assert_eq!(
        (ran.code, outputs.len() - 1),
        (0, blocks.len()),
        "the last output: {}{}",
        outputs.last().unwrap(),
        ran.stderr
    );
    for ((what, words), output) in BLOCKS.iter().zip(outputs) {
        for word in *words {
            assert!(output.contains(word), "`{what}` should say `{word}` and says: {output}");
        }
    }
    let left = fs::read_dir(root.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("tmp.")).collect();
    assert!(left.is_empty(), "the tour left {left:?}");
}

/// The `sh` blocks of the section.
fn blocks() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    let section = text.split(&format!("{HEADING}\n")).nth(1).expect("README.md has the section");
    let section = section.split("\n## ").next().unwrap();
    let parts: Vec<_> = section.split("```").collect();
    assert_eq!(parts.len() % 2, 1, "a block is not closed");
    let mut blocks = Vec::new();
    for block in parts.iter().skip(1).step_by(2) {
        let text = block.strip_prefix("sh\n").unwrap_or_else(|| panic!("a block that is no `sh`: {block}"));
        blocks.push(text.to_owned());
    }
    blocks
}

/// The first block says where the quickstart's pair is: all of it is replaced but what is not about the pair.
fn with_own_pair(block: &str) -> String {
    let pair = ["ROOT=", "ROOT_CONFIG=", "ROOT_DATA=", "NODE=", "NODE_CONFIG=", "NODE_DATA=", "PATH="];
    if !block.contains("TOUR=") {
        return block.to_owned();
    }
    let words: Vec<_> = block.split_whitespace().collect();
    for name in pair {
        assert!(words.iter().any(|word| word.starts_with(name)), "the first block does not set {name}");
    }
    let own = words.iter().filter(|word| !pair.iter().any(|name| word.starts_with(name)));
    own.copied().collect::<Vec<_>>().join(" ")
}

/// The binaries under test, the installed tools, then the path as it is.
fn path(root: &Root) -> std::ffi::OsString {
    let binaries = Path::new(root.command(&[]).get_program()).parent().unwrap().to_owned();
    let tools = tool("grpcurl").parent().unwrap().to_owned();
    let old = env::var_os("PATH").unwrap_or_default();
    env::join_paths([binaries, tools].into_iter().chain(env::split_paths(&old))).unwrap()
}
