//! What is issued: every field as promised, checked by software of other people.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use licensor_tests::{
    ENROLL, ForeignNode, Node, NodeOptions, RENEW, Root, RootOptions, Shown, Workshop, decoded, encoded, run,
    tool,
};
use serde_json::{Value, json};

const DAY: i64 = 86_400;
/// notBefore lies this much before the issue.
const BACK: i64 = 120;
const PURPOSE: &str = "2.25.104752958.1";
const RENEWAL: &str = "2.25.104752958.2";

/// Checks a certificate below the anchor with OpenSSL, strictly and for what it is used, and with pkilint.
pub(crate) fn check(anchor: &Path, certificate: &Path, purpose: &[&str]) {
    let verified = run(Command::new(tool("openssl"))
        .args(["verify", "-x509_strict", "-check_ss_sig", "-CAfile"])
        .arg(anchor)
        .args(purpose)
        .arg(certificate));
    assert!(verified.stdout.ends_with(": OK\n"), "{verified:?}");
    assert_eq!(lint(certificate), BTreeSet::new());
}

/// What pkilint finds wrong, less what it cannot know: its list of URI schemes is short and lacks `spiffe`, and it takes
/// a host name of one label, which RFC 1123 allows, for none.
fn lint(certificate: &Path) -> BTreeSet<String> {
    let ran = run(Command::new(tool("lint_pkix_cert"))
        .args(["lint", "-s", "ERROR", "-f", "JSON"])
        .arg(certificate));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let results = report["results"].as_array().unwrap().iter();
    let findings = results.flat_map(|result| result["finding_descriptions"].as_array().unwrap().clone());
    let known = |code: &str, message: &str| match code {
        "pkix.invalid_uri_syntax" => message.starts_with("Invalid URI syntax: \"spiffe://licensor.local"),
        "pkix.invalid_domain_name_syntax" => message == "Invalid domain name syntax: \"localhost\"",
        _ => false,
    };
    findings
        .map(|finding| (text(&finding["code"]), text(&finding["message"])))
        .filter(|(code, message)| !known(code, message))
        .map(|(code, message)| format!("{code}: {message}"))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Names of the extensions.
fn names(shown: &Shown) -> Vec<&str> {
    shown.extensions.keys().map(String::as_str).collect()
}

/// Checks what all certificates have in common.
pub(crate) fn check_common(shown: &Shown) {
    assert_eq!(shown.line("Version:"), "3 (0x2)");
    assert_eq!(shown.line("Signature Algorithm:"), "ecdsa-with-SHA256");
    assert_eq!(shown.serial.len(), 40, "20 octets: {}", shown.serial);
    assert!(matches!(shown.serial.as_bytes()[0], b'4'..=b'7'), "positive, no leading zero: {}", shown.serial);
}

/// Enrols `node` with a key of this kind for both certificates.
fn enroll(root: &Root, workshop: &Workshop, node: &str, kind: &str) -> ForeignNode {
    let key = format!("{node}.key");
    workshop.key(&key, kind);
    let csr = encoded(&workshop.request(&key, &[]));
    let created = root.json(&[
        "token",
        "create",
        "--node",
        node,
        "--owner",
        "Müller & Söhne GmbH",
        "--dns",
        "berlin-1.example.com",
        "--ip",
        "127.0.0.1",
        "--ip",
        "::1",
    ]);
    let request = json!({ "token": created["token"], "licensor_csr": csr, "server_csr": csr });
    workshop.foreign_node(node, &key, root.grpc().call(ENROLL, &request).unwrap())
}

#[test]
fn the_trust_anchor_has_its_profile() {
    let root = Root::started(RootOptions::default());
    let anchor = root.data("trust-anchor.pem");
    let shown = Shown::read(&anchor);
    check_common(&shown);
    assert_eq!(shown.not_after - shown.not_before, 3650 * DAY + BACK);
    let key_id = shown.extension("X509v3 Subject Key Identifier").replace(':', "").to_lowercase();
    assert_eq!(key_id.len(), 40);
    let subject = format!("O = Licensor, CN = Licensor Root {}", &key_id[..8]);
    assert_eq!((shown.line("Subject:"), shown.line("Issuer:")), (&*subject, &*subject));
    assert_eq!(
        names(&shown),
        [
            "Authority Information Access",
            "X509v3 Basic Constraints critical",
            "X509v3 Key Usage critical",
            "X509v3 Subject Alternative Name",
            "X509v3 Subject Key Identifier",
        ]
    );
    assert_eq!(shown.extension("X509v3 Basic Constraints critical"), "CA:TRUE, pathlen:1");
    assert_eq!(shown.extension("X509v3 Key Usage critical"), "Certificate Sign, CRL Sign");
    assert_eq!(shown.extension("X509v3 Subject Alternative Name"), "URI:spiffe://licensor.local");
    let access = format!("CA Issuers - URI:http://127.0.0.1:{}/issuer/{key_id}.cer", root.ops_port);
    assert_eq!(shown.extension("Authority Information Access"), access);
    assert_eq!(shown.line("ASN1 OID:"), "prime256v1");
    check(&anchor, &anchor, &[]);

    // The address in the certificate leads to the certificate (RFC 5280 §4.2.2.1: DER).
    let workshop = Workshop::new();
    let url = access.trim_start_matches("CA Issuers - URI:");
    let fetched = workshop.path("fetched.der");
    run(Command::new(tool("curl")).args(["--silent", "--fail", url, "--output"]).arg(&fetched)).ok();
    let fetched = workshop.certificate("fetched.pem", &fs::read(fetched).unwrap());
    assert_eq!(Shown::read(&fetched).serial, shown.serial);
}

#[test]
fn licensor_and_server_certificates_have_their_profiles() {
    let root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    let anchor = root.data("trust-anchor.pem");
    let issuer = Shown::read(&anchor);
    let key_id = issuer.extension("X509v3 Subject Key Identifier");
    let address = format!("http://127.0.0.1:{}", root.ops_port);
    let hexadecimal = key_id.replace(':', "").to_lowercase();
    let list = format!("Full Name:\nURI:{address}/crl/{hexadecimal}.crl");
    let issuers = format!("CA Issuers - URI:{address}/issuer/{hexadecimal}.cer");
    let common = [
        "Authority Information Access",
        "X509v3 Authority Key Identifier",
        "X509v3 Basic Constraints critical",
        "X509v3 CRL Distribution Points",
        "X509v3 Extended Key Usage",
        "X509v3 Key Usage critical",
        "X509v3 Subject Alternative Name",
        "X509v3 Subject Key Identifier",
    ];
    for (kind, name) in [("P-256", "berlin-1"), ("P-384", "berlin.2"), ("ED25519", "Berlin_3")] {
        let node = enroll(&root, &workshop, name, kind);
        let (licensor, server) = (Shown::read(&node.certificate), Shown::read(node.server.as_ref().unwrap()));
        for shown in [&licensor, &server] {
            check_common(shown);
            assert_eq!(names(shown), common);
            assert_eq!(shown.line("Issuer:"), issuer.line("Subject:"));
            assert_eq!(shown.extension("X509v3 Authority Key Identifier"), key_id);
            assert_eq!(shown.extension("X509v3 Basic Constraints critical"), "CA:FALSE");
            assert_eq!(shown.extension("X509v3 Key Usage critical"), "Digital Signature");
            assert_eq!(shown.extension("X509v3 CRL Distribution Points"), list);
            assert_eq!(shown.extension("X509v3 Subject Key Identifier").len(), 59);
        }
        assert_eq!(licensor.not_after - licensor.not_before, 365 * DAY + BACK);
        assert_eq!(
            (server.not_before, server.not_after),
            (licensor.not_before, licensor.not_after + 90 * DAY)
        );
        let subject = ["-subject", "-nameopt", "utf8,sep_comma_plus_space"];
        let path = node.certificate.to_str().unwrap();
        let subject = workshop.openssl(&[["x509", "-noout", "-in", path].as_slice(), &subject].concat()).ok();
        assert_eq!(subject, format!("subject=O=Müller & Söhne GmbH, CN={name}\n"));
        assert_eq!(server.line("Subject:"), format!("CN = {name}"));
        assert_eq!(
            licensor.extension("X509v3 Subject Alternative Name"),
            format!("URI:spiffe://licensor.local/licensing-server/{name}")
        );
        assert_eq!(
            server.extension("X509v3 Subject Alternative Name"),
            "DNS:berlin-1.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"
        );
        let purposes = format!("TLS Web Client Authentication, {PURPOSE}");
        assert_eq!(licensor.extension("X509v3 Extended Key Usage"), purposes);
        assert_eq!(server.extension("X509v3 Extended Key Usage"), "TLS Web Server Authentication");
        let renewal = format!("{issuers}\n{RENEWAL} - URI:https://{}", root.address());
        assert_eq!(licensor.extension("Authority Information Access"), renewal);
        assert_eq!(server.extension("Authority Information Access"), issuers);
        check(&anchor, &node.certificate, &["-purpose", "sslclient"]);
        let host = ["-purpose", "sslserver", "-verify_hostname", "berlin-1.example.com", "-verify_ip", "::1"];
        check(&anchor, node.server.as_ref().unwrap(), &host);
    }
}

#[test]
fn both_ports_serve_certificates_that_strangers_accept() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let workshop = Workshop::new();
    let anchor = root.data("trust-anchor.pem");
    for (service, name) in [(&*root, "root.pem"), (&*node, "node.pem")] {
        let address = service.address();
        let served = workshop.openssl(&["s_client", "-connect", &address, "-alpn", "h2", "-tls1_3"]).stdout;
        fs::write(workshop.path("served"), &served).unwrap();
        workshop.openssl(&["x509", "-in", "served", "-out", name]).ok();
        let host = ["-purpose", "sslserver", "-verify_hostname", "localhost", "-verify_ip", "127.0.0.1"];
        check(&anchor, &workshop.path(name), &host);
        let refused = workshop.openssl(&["s_client", "-connect", &address, "-tls1_2"]);
        assert!(!refused.stdout.contains("BEGIN CERTIFICATE"), "TLS 1.2 is not spoken");
    }
    // What the node keeps for others: leaf first, and what it leads to.
    check(&node.data("trust-bundle.pem"), &node.data("licensor-certificate.pem"), &["-purpose", "sslclient"]);
    check(&node.data("trust-bundle.pem"), &node.data("server-certificate.pem"), &["-purpose", "sslserver"]);
    assert_eq!(Shown::read(&node.data("licensor-certificate.pem")).serial, node.serial());
    let bundle = node.data("trust-bundle.pem");
    assert_eq!(Shown::read(&bundle).serial, root.json(&["status"])["authority"]["serial"]);
}

#[test]
fn no_serial_number_comes_twice_though_the_key_stays() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let mut serials = BTreeSet::from([text(&root.json(&["status"])["authority"]["serial"]), node.serial()]);
    let certificate = node.data("licensor-certificate.pem");
    let key_id = || Shown::read(&certificate).extension("X509v3 Subject Key Identifier");
    let first = key_id();
    for _ in 0..2 {
        assert!(serials.insert(text(&node.json(&["renew", "--same-key"])["serial"])));
        assert_eq!(key_id(), first, "the key stays");
    }
    assert!(serials.insert(text(&node.json(&["renew"])["serial"])));
    assert_ne!(key_id(), first, "a new key by default");
    // A node that enrols again with a key that it had, and another with that key.
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    for name in ["berlin-2", "berlin-2", "berlin-3"] {
        let issued = workshop.enroll(&root, name, "key.pem");
        assert!(serials.insert(Shown::read(&issued.certificate).serial));
        assert!(serials.insert(Shown::read(issued.server.as_ref().unwrap()).serial));
    }
    let of_node = |name| root.json(&["certificates", "list", "--node", name]).as_array().unwrap().len();
    assert_eq!((of_node("berlin-1"), of_node("berlin-2"), of_node("berlin-3")), (4, 2, 1));
}

#[test]
fn nothing_outlives_its_issuer() {
    let root = Root::started(RootOptions {
        tables: "[authority]\nanchor_validity = \"100d\"\n".into(),
        ..RootOptions::default()
    });
    let workshop = Workshop::new();
    let end = Shown::read(&root.data("trust-anchor.pem")).not_after;
    let node = enroll(&root, &workshop, "berlin-1", "P-256");
    let csr = encoded(&workshop.request("berlin-1.key", &[]));
    let request = json!({ "licensor_csr": csr, "server_csr": csr });
    let renewed = root.grpc_as(&node).call(RENEW, &request).unwrap();
    assert!(decoded(&renewed["licensorCertificate"]).len() > 100);
    for issued in [node, workshop.foreign_node("renewed", "berlin-1.key", renewed)] {
        assert_eq!(Shown::read(&issued.certificate).not_after, end);
        assert_eq!(Shown::read(issued.server.as_ref().unwrap()).not_after, end);
    }
}
