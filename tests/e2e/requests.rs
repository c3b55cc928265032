//! Certificate signing requests: what is certified, and what is not.

use licensor_tests::{ENROLL, ForeignNode, RENEW, Refusal, Root, RootOptions, Workshop, decoded, encoded};
use serde_json::{Value, json};

/// A root, a token that nobody used yet, and a node that can renew.
struct Stand {
    root: Root,
    token: String,
    node: ForeignNode,
    workshop: Workshop,
    good: Vec<u8>,
    /// The ledger before anything was refused.
    ledger: Value,
}

impl Stand {
    fn new() -> Self {
        let root = Root::started(RootOptions::default());
        let workshop = Workshop::new();
        workshop.key("good.pem", "P-256");
        let node = workshop.enroll(&root, "berlin-1", "good.pem");
        workshop.key("new.pem", "P-256");
        let good = workshop.request("new.pem", &[]);
        let token = root.token("berlin-2");
        let ledger = root.ledger();
        let statuses: Vec<_> = ledger["tokens"].as_array().unwrap().iter().map(|t| &t["status"]).collect();
        assert!(statuses.contains(&&json!("unused")), "{ledger}");
        Self { token, root, node, workshop, good, ledger }
    }

    /// Sends two requests to `Enroll` and to `Renew`.
    fn send(&self, licensor: &[u8], server: &[u8]) -> [Result<Value, Box<Refusal>>; 2] {
        let (licensor, server) = (encoded(licensor), encoded(server));
        let enroll = json!({ "token": self.token, "licensor_csr": licensor, "server_csr": server });
        let renew = json!({ "licensor_csr": licensor, "server_csr": server });
        [self.root.grpc().call(ENROLL, &enroll), self.root.grpc_as(&self.node).call(RENEW, &renew)]
    }
}

/// Checks that `csr` is refused for this reason with these words, in either field of either call, and that the ledger
/// stays as it was.
fn check(stand: &Stand, csr: &[u8], reason: &str, words: &[&str]) {
    for field in ["licensor_csr", "server_csr"] {
        let answers = match field {
            "licensor_csr" => stand.send(csr, &stand.good),
            _ => stand.send(&stand.good, csr),
        };
        for answer in answers {
            let refusal = answer.expect_err(reason);
            assert_eq!((refusal.code, refusal.reason.as_str()), (3, reason), "{refusal:?}");
            assert_eq!(refusal.metadata["field"], field);
            for word in words.iter().copied().chain([field]) {
                assert!(refusal.message.contains(word), "`{word}` is not in: {refusal:?}");
            }
        }
    }
    assert_eq!(stand.root.ledger(), stand.ledger);
}

#[test]
fn what_is_no_request_in_der_is_refused() {
    let stand = Stand::new();
    check(&stand, b"hello", "CSR_MALFORMED", &["cannot be read", "openssl req -new -outform DER"]);
    let pem = std::fs::read(stand.workshop.path("good.pem")).unwrap();
    check(&stand, &pem, "CSR_MALFORMED", &["cannot be read"]);
    let cut = &stand.good[..stand.good.len() - 1];
    check(&stand, cut, "CSR_MALFORMED", &["cannot be read"]);
    check(&stand, &stand.good[..20], "CSR_MALFORMED", &["cannot be read"]);
    let longer = [stand.good.as_slice(), &[0]].concat();
    check(&stand, &longer, "CSR_MALFORMED", &["1 octets follow"]);
    let mut long = stand.good.clone();
    long.resize(1 << 20, 0);
    check(&stand, &long, "CSR_MALFORMED", &["1048576 octets", "16384 are allowed"]);
    let certificate = decoded(&stand.node.answer["licensorCertificate"]);
    check(&stand, &certificate, "CSR_MALFORMED", &["cannot be read"]);
}

#[test]
fn a_request_without_proof_of_possession_is_refused() {
    let stand = Stand::new();
    let mut csr = stand.good.clone();
    *csr.last_mut().unwrap() ^= 1;
    check(&stand, &csr, "CSR_SIGNATURE_INVALID", &["not signed with the private key", "make a new one"]);
    // A request that somebody changed on its way.
    let mut csr = stand.workshop.request("new.pem", &["-subj", "/CN=aaaa"]);
    let at = csr.windows(4).position(|octets| octets == b"aaaa").unwrap();
    csr[at..at + 4].copy_from_slice(b"bbbb");
    check(&stand, &csr, "CSR_SIGNATURE_INVALID", &["not signed with the private key"]);
}

#[test]
fn keys_that_are_too_weak_or_of_another_kind_are_refused() {
    let stand = Stand::new();
    let kinds = [
        ("RSA:1024", "1.2.840.113549.1.1.1"),
        ("RSA:3072", "1.2.840.113549.1.1.1"),
        ("secp256k1", "1.3.132.0.10"),
        ("brainpoolP256r1", "1.3.36.3.3.2.8.1.1.7"),
        ("P-521", "1.3.132.0.35"),
    ];
    for (kind, oid) in kinds {
        stand.workshop.key("refused.pem", kind);
        let csr = stand.workshop.request("refused.pem", &[]);
        check(&stand, &csr, "KEY_NOT_ACCEPTED", &[oid, "use P-256, P-384 or Ed25519"]);
    }
}

#[test]
fn asking_for_an_authority_or_for_names_of_others_is_refused() {
    let stand = Stand::new();
    let ask = |extension: &str| stand.workshop.request("new.pem", &["-addext", extension]);
    check(&stand, &ask("basicConstraints=critical,CA:TRUE"), "CSR_MALFORMED", &["CA:TRUE"]);
    for (name, shown) in [
        ("DNS:evil.example", "evil.example"),
        ("IP:10.1.2.3", "10.1.2.3"),
        ("IP:fd00::1", "fd00::1"),
        ("URI:spiffe://licensor.local/licensing-server/berlin-9", "berlin-9"),
        ("URI:spiffe://licensor.local", "spiffe://licensor.local"),
        ("email:root@evil.example", "root@evil.example"),
        ("RID:1.2.3.4", "1.2.3.4"),
    ] {
        let words = [shown, "no administrator approved", "leave subjectAltName out"];
        check(&stand, &ask(&format!("subjectAltName={name}")), "CSR_MALFORMED", &words);
    }
    // Half of it would have been right.
    let csr = ask(
        "subjectAltName=DNS:localhost,URI:spiffe://licensor.local/licensing-server/berlin-2,DNS:a.example",
    );
    check(&stand, &csr, "CSR_MALFORMED", &["no administrator approved"]);
}

#[test]
fn good_keys_are_certified_and_nothing_else_is_taken_from_a_request() {
    let root = Root::started(RootOptions::default());
    let workshop = Workshop::new();
    for kind in ["P-256", "P-384", "ED25519"] {
        let node = format!("node-{}", kind.to_lowercase());
        workshop.key("licensor.pem", kind);
        workshop.key("server.pem", kind);
        let own_name = format!("subjectAltName=URI:spiffe://licensor.local/licensing-server/{node}");
        let licensor = workshop.request(
            "licensor.pem",
            &["-subj", "/CN=another/O=Evil", "-addext", &own_name, "-addext", "keyUsage=keyCertSign"],
        );
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        let server = workshop.request("server.pem", &["-addext", names]);
        let request = json!({
            "token": root.token(&node),
            "licensor_csr": encoded(&licensor),
            "server_csr": encoded(&server),
        });
        let enrolled =
            workshop.foreign_node(&node, "licensor.pem", root.grpc().call(ENROLL, &request).unwrap());
        let renewed = root.grpc_as(&enrolled).call(RENEW, &request_without_token(&request)).unwrap();
        let renewed = workshop.foreign_node(&format!("{node}-renewed"), "licensor.pem", renewed);
        for issued in [&enrolled, &renewed] {
            assert_eq!(public_key(&workshop, &issued.certificate), pkey(&workshop, "licensor.pem"), "{kind}");
            assert_eq!(
                public_key(&workshop, issued.server.as_ref().unwrap()),
                pkey(&workshop, "server.pem"),
                "{kind}"
            );
            let path = issued.certificate.to_str().unwrap();
            let shown =
                workshop.openssl(&["x509", "-in", path, "-noout", "-subject", "-ext", "keyUsage"]).ok();
            assert!(shown.contains(&format!("subject=O = Example GmbH, CN = {node}\n")), "{shown}");
            assert!(shown.contains("Digital Signature\n") && !shown.contains("Certificate Sign"), "{shown}");
        }
    }
}

fn request_without_token(request: &Value) -> Value {
    json!({ "licensor_csr": request["licensor_csr"], "server_csr": request["server_csr"] })
}

fn public_key(workshop: &Workshop, certificate: &std::path::Path) -> String {
    workshop.openssl(&["x509", "-in", certificate.to_str().unwrap(), "-noout", "-pubkey"]).ok()
}

fn pkey(workshop: &Workshop, key: &str) -> String {
    workshop.openssl(&["pkey", "-in", key, "-pubout"]).ok()
}
