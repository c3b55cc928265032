//! Client certificates as callers.

use std::fs;

use licensor_tests::{FakeClock, Grpc, Node, NodeOptions, Root, RootOptions, Workshop};
use serde_json::json;

use super::{ACQUIRE, LIST, check, create, node, order, port, text};

/// Makes an authority, and has it certify a client.
struct Authority<'a> {
    workshop: &'a Workshop,
    name: &'a str,
}

impl<'a> Authority<'a> {
    fn new(workshop: &'a Workshop, name: &'a str) -> Self {
        let (key, file) = (format!("{name}-key.pem"), format!("{name}.pem"));
        workshop.key(&key, "P-256");
        let subject = format!("/CN={name}");
        let extensions = ["-addext", "keyUsage=critical,keyCertSign", "-days", "30"];
        let arguments = ["req", "-x509", "-key", &key, "-subj", &subject, "-out", &file];
        workshop.openssl(&[&arguments[..], &extensions].concat()).ok();
        Self { workshop, name }
    }

    /// The endpoint for a client with a certificate of these extensions, which lives for so many days.
    fn client(&self, node: &Node, name: &str, extensions: &str, days: &str) -> Grpc {
        let (key, file, config) = (format!("{name}-key.pem"), format!("{name}.pem"), format!("{name}.cnf"));
        fs::write(self.workshop.path(&config), extensions).unwrap();
        self.workshop.key(&key, "P-256");
        let subject = format!("/O=Example GmbH/CN={name}");
        self.workshop.request(&key, &["-subj", &subject]);
        let (issuer, issuer_key) = (format!("{}.pem", self.name), format!("{}-key.pem", self.name));
        let arguments =
            ["x509", "-req", "-inform", "DER", "-in", "request.der", "-CA", &issuer, "-CAkey", &issuer_key];
        let more = ["-CAcreateserial", "-extfile", &config, "-days", days, "-out", &file];
        self.workshop.openssl(&[&arguments[..], &more].concat()).ok();
        port(node).with(&self.workshop.path(&file), &self.workshop.path(&key))
    }
}

#[test]
fn a_client_certificate_of_a_configured_authority_is_a_caller_and_no_other_is() {
    const CLIENT: &str = "extendedKeyUsage = clientAuth\nsubjectAltName = ";
    let workshop = Workshop::new();
    let ours = Authority::new(&workshop, "ours");
    let others = Authority::new(&workshop, "others");
    let (_root, node) = node(&format!(
        "[access]\nclient_authorities = {:?}\nallow = [\"licenses\"]\n[[access.clients]]\nname = \"reports.example\"\n\
         owner = \"Controlling\"\nallow = [\"statements\"]\n",
        workshop.path("ours.pem")
    ));
    let shop = format!("{CLIENT}URI:spiffe://example/shop\n");
    ours.client(&node, "shop", &shop, "1").call(ACQUIRE, &order()).unwrap();
    let reports = ours.client(&node, "reports", &format!("{CLIENT}DNS:reports.example\n"), "1");
    let refusal = check(
        &reports,
        ACQUIRE,
        "ACCESS_NOT_ALLOWED",
        &["reports.example", "`licenses`", "[[access.clients]]"],
    );
    assert_eq!(refusal.metadata["missing"], "licenses");

    let reason = "ACCESS_CERTIFICATE_NOT_ACCEPTED";
    let stranger = others.client(&node, "stranger", &shop, "1");
    check(&stranger, ACQUIRE, reason, &["access.client_authorities", "license-service access create"]);
    let server = ours.client(&node, "server", "extendedKeyUsage = serverAuth\n", "1");
    check(&server, ACQUIRE, reason, &["clientAuth"]);
    let plain = ours.client(&node, "plain", "basicConstraints = CA:FALSE\n", "1");
    check(&plain, ACQUIRE, reason, &["clientAuth"]);
    // A token makes up for what the certificate lacks, and a wrong one is not made up for by any certificate.
    let token = create(&node, &[]);
    stranger.bearing(text(&token["token"])).call(ACQUIRE, &order()).unwrap();
    let wrong = ours.client(&node, "again", &shop, "1").bearing("lic_wrong");
    check(&wrong, ACQUIRE, "ACCESS_TOKEN_UNKNOWN", &[]);
    let counted = node.metric(r#"licensor_access_total{caller="certificate",result="ok"}"#);
    assert_eq!(counted, Some(1.0));
}

#[test]
fn a_client_certificate_is_good_until_it_expires() {
    let workshop = Workshop::new();
    let authority = Authority::new(&workshop, "ours");
    let mut clock = FakeClock::new();
    let root = Root::started(RootOptions::default());
    let tables =
        format!("[access]\nclient_authorities = {:?}\nallow = [\"licenses\"]\n", workshop.path("ours.pem"));
    let node = Node::started(&root, "berlin-1", NodeOptions { tables, environment: clock.environment() });
    let client = authority.client(&node, "shop", "extendedKeyUsage = clientAuth\n", "1");
    client.call(LIST, &json!({})).unwrap();
    clock.advance(86_400);
    check(&client, LIST, "ACCESS_CERTIFICATE_NOT_ACCEPTED", &["expired on"]);
    clock.advance(-90_000);
    check(&client, LIST, "ACCESS_CERTIFICATE_NOT_ACCEPTED", &["is not valid before"]);
}

#[test]
fn authorities_that_cannot_be_read_are_refused_at_the_start() {
    let root = Root::started(RootOptions::default());
    for (name, content, says) in [
        ("missing.pem", None, "missing.pem"),
        ("empty.pem", Some(""), "there is no certificate"),
        (
            "damaged.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "cannot be read",
        ),
    ] {
        let workshop = Workshop::new();
        if let Some(content) = content {
            fs::write(workshop.path(name), content).unwrap();
        }
        let tables =
            format!("[access]\nclient_authorities = {:?}\nallow = [\"usage\"]\n", workshop.path(name));
        let node = Node::new(NodeOptions { tables, ..NodeOptions::default() });
        node.serve_in_vain().refused(64, &["access.client_authorities", says]);
        drop(node);
    }
    drop(root);
}
