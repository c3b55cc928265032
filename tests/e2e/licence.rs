//! A licence is verified by strangers: a stock JOSE library with OpenSSL, and `license-service verify`. What was changed
//! after it was signed is refused by both.

use std::{fs, path::Path, process::Command};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use licensor::key::{KeyAlgorithm, PrivateKey};
use licensor_tests::{
    Line, Node, NodeOptions, Ran, Root, RootOptions, block_on, certificates, faketime_library, run,
    run_with_input, tool,
};
use proto::licensing::v1::{AcquireLicenseRequest, licensing_service_client::LicensingServiceClient};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use serde_json::{Value, json};
use verifier::oid::LICENSOR_PURPOSE;

fn acquire(root: &Root, node: &Node) -> String {
    let line = Line::open(node, &root.data("trust-anchor.pem"));
    let request = AcquireLicenseRequest {
        vendor: "Example".into(),
        module: "crm".into(),
        subject: "anna".into(),
        ..Default::default()
    };
    block_on(LicensingServiceClient::new(line.channel).acquire_license(request)).unwrap().into_inner().license
}

/// What the foreign verifier says at this time (as libfaketime writes it).
fn foreign(license: &str, bundle: &Path, time: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("license.jwt");
    fs::write(&file, license).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/verify_license.py");
    let mut command = Command::new(tool("python3"));
    run(command.arg(script).arg(file).arg(bundle).env("LD_PRELOAD", faketime_library()).env("FAKETIME", time))
}

/// What our own verifier says. It needs neither a service nor a configuration.
fn own(node: &Node, license: &str, bundle: &Path, time: &str) -> Ran {
    let mut command = Command::new(node.command(&[]).get_program());
    command.args(["verify", "-", "--output", "json", "--trust-bundle"]).arg(bundle);
    command.env("LD_PRELOAD", faketime_library()).env("FAKETIME", time);
    run_with_input(&mut command, license)
}

/// Checks that both refuse, each with its own words.
fn refused(node: &Node, license: &str, bundle: &Path, time: &str, foreign_says: &str, own_says: &str) {
    foreign(license, bundle, time).refused(1, &["refused: ", foreign_says]);
    own(node, license, bundle, time).refused(1, &[own_says]);
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap())
}

/// Header, claims and signature.
fn parts(license: &str) -> (Value, Value, String) {
    let parts: Vec<_> = license.split('.').collect();
    let json = |part: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(parts[0]), json(parts[1]), parts[2].to_owned())
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = new;
    value
}

#[test]
fn a_stranger_verifies_a_licence_with_a_stock_library_and_the_trust_anchor() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let license = acquire(&root, &node);
    for bundle in [root.data("trust-anchor.pem"), node.data("trust-bundle.pem")] {
        let theirs = foreign(&license, &bundle, "+0").json();
        let ours = own(&node, &license, &bundle, "+0").json();
        assert_eq!(theirs, ours);
        assert_eq!(ours["iss"], "spiffe://licensor.local/licensing-server/berlin-1");
        assert_eq!(ours["sub"], "anna");
        let license = json!({
            "vendor": "Example", "module": "crm", "owner": "Example GmbH", "serial_number": "EX-1", "lease": 3600, "seats": 1, "features": ["mail"],
        });
        assert_eq!(ours["license"], license);
        assert_eq!(ours["exp"].as_i64().unwrap() - ours["iat"].as_i64().unwrap(), 3600);
    }
}

#[test]
fn a_licence_is_refused_outside_of_its_time() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let (license, bundle) = (acquire(&root, &node), root.data("trust-anchor.pem"));
    foreign(&license, &bundle, "+59m").ok();
    own(&node, &license, &bundle, "+59m").ok();
    refused(&node, &license, &bundle, "+62m", "expired_token", "the licence expired at");
    refused(&node, &license, &bundle, "-2m", "issued in the future", "it is not valid before");
}

#[test]
fn what_was_issued_before_a_renewal_and_before_the_expiry_stays_valid() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let license = acquire(&root, &node);
    node.json(&["renew"]);
    foreign(&license, &node.data("trust-bundle.pem"), "+0").ok();
    own(&node, &license, &node.data("trust-bundle.pem"), "+0").ok();
    let newer = acquire(&root, &node);
    assert_ne!(parts(&newer).0["x5c"], parts(&license).0["x5c"]);
    foreign(&newer, &node.data("trust-bundle.pem"), "+0").ok();
}

#[test]
fn a_licence_that_was_changed_is_refused() {
    let root = Root::started(RootOptions::default());
    let other = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let (license, bundle) = (acquire(&root, &node), root.data("trust-anchor.pem"));
    let (header, claims, signature) = parts(&license);
    let signed =
        |header: &Value, claims: &Value| format!("{}.{}.{signature}", encode(header), encode(claims));
    assert_eq!(signed(&header, &claims), license, "taking apart and putting together changes nothing");
    let check = |license: &str, foreign_says: &str, own_says: &str| {
        refused(&node, license, &bundle, "+0", foreign_says, own_says);
    };

    let more = with(claims.clone(), "/license/seats", json!(1000));
    check(&signed(&header, &more), "bad_signature", "the signature does not match");
    let longer = with(claims.clone(), "/exp", json!(claims["exp"].as_i64().unwrap() + 86_400));
    check(&signed(&header, &longer), "bad_signature", "the signature does not match");
    check(&license[..license.len() - 2], "", "the signature does not match");
    check(&license[..license.rfind('.').unwrap()], "", "does not have three parts");
    check(&format!("{}.{}.", encode(&header), encode(&claims)), "", "the signature does not match");
    let unsigned = with(header.clone(), "/alg", json!("none"));
    check(&format!("{}.{}.", encode(&unsigned), encode(&claims)), "alg is none", "algorithm none");
    let symmetric = with(header.clone(), "/alg", json!("HS256"));
    check(&signed(&symmetric, &claims), "alg is HS256", "algorithm HS256");
    let typed = with(header.clone(), "/typ", json!("JWT"));
    check(&signed(&typed, &claims), "typ is JWT", "its type is JWT");
    let bare = with(header.clone(), "/x5c", json!([]));
    check(&signed(&bare, &claims), "no x5c", "x5c is empty");
    refused(
        &node,
        &license,
        &other.data("trust-anchor.pem"),
        "+0",
        "the chain does not hold",
        "does not lead to a trust anchor",
    );
}

#[test]
fn a_licence_signed_with_a_certificate_of_ones_own_making_is_refused() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let (license, bundle) = (acquire(&root, &node), root.data("trust-anchor.pem"));
    let (header, claims, _) = parts(&license);
    let new_key = || PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, new_key()).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "berlin-1");
    params.subject_alt_names = vec![SanType::URI(claims["iss"].as_str().unwrap().try_into().unwrap())];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::Other(LICENSOR_PURPOSE.to_vec())];
    params.use_authority_key_identifier_extension = true;
    let key = new_key();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let x5c = json!([certificate.der(), authority.der()].map(|der| BASE64_STANDARD.encode(der)));
    let signed = format!("{}.{}", encode(&with(header, "/x5c", x5c)), encode(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign_token(signed.as_bytes()).unwrap());
    let own_making = format!("{signed}.{signature}");
    refused(&node, &own_making, &bundle, "+0", "the chain does not hold", "does not lead to a trust anchor");
    // It is the chain alone that stops it: who trusts that authority accepts it.
    let folder = tempfile::tempdir().unwrap();
    let anchor = folder.path().join("own.pem");
    fs::write(&anchor, authority.pem()).unwrap();
    own(&node, &own_making, &anchor, "+0").ok();
    foreign(&own_making, &anchor, "+0").ok();
}

#[test]
fn one_node_cannot_issue_in_the_name_of_another() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let key = licensor_key(&node);
    let (header, claims, _) = parts(&acquire(&root, &node));
    let claims = with(claims, "/iss", json!("spiffe://licensor.local/licensing-server/paris-1"));
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let license =
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(key.sign_token(signed.as_bytes()).unwrap()));
    let bundle = root.data("trust-anchor.pem");
    refused(&node, &license, &bundle, "+0", "the certificate is for", "berlin-1 signed it");
}

/// The key of the licensor certificate.
fn licensor_key(node: &Node) -> PrivateKey {
    let certificate = &certificates(&node.data("licensor-certificate.pem"))[0];
    let wanted = verifier::Certificate::parse(certificate).unwrap().public_key_info;
    let files = fs::read_dir(node.data("keys")).unwrap().map(|entry| entry.unwrap().path());
    let mut keys = files.map(|path| PrivateKey::load(&path, None).unwrap());
    keys.find(|key| key.subject_public_key_info() == wanted).unwrap()
}
