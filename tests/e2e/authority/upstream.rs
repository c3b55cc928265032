//! Roots below an activation service: three tiers, each of which renews by itself.

use std::{collections::BTreeSet, fs, process::Command};

use licensor_tests::{Answers, Node, NodeOptions, Proxy, RootOptions, Shown, Workshop, run, tool, wait_for};
use serde_json::Value;

use super::*;

#[test]
fn three_tiers_renew_at_every_tier_and_nobody_below_is_left_behind() {
    let activation = started_root();
    let root = root_below(&activation, "berlin");
    let nodes = [node(&root, "berlin-1"), node(&root, "berlin-2")];
    let anchor = activation.data("trust-anchor.pem");
    assert_eq!(fs::read(root.data("trust-anchor.pem")).unwrap(), fs::read(&anchor).unwrap());
    check_chain(&anchor, &root.data("authority-certificate.pem"));
    let licences: Vec<_> = nodes.iter().map(licence).collect();
    for (node, licence) in nodes.iter().zip(&licences) {
        check_chain(&anchor, &node.data("licensor-certificate.pem"));
        check_chain(&anchor, &node.data("server-certificate.pem"));
        verify(node, licence, &anchor, &[]).ok();
        node.json(&["renew"]);
    }
    // The root renews: the same key, and the nodes take its certificate over by themselves.
    let (key, former) = (key_id(&root), serial(&root));
    let before: Vec<_> = nodes.iter().map(Node::serial).collect();
    let renewed = root.json(&["authority", "renew"]);
    assert_eq!(renewed["key_id"], key);
    let renewed = renewed["serial"].as_str().unwrap().to_owned();
    assert_ne!(renewed, former);
    for (node, serial) in nodes.iter().zip(&before) {
        let chain = node.data("licensor-certificate.pem");
        let expected = [serial.clone(), renewed.clone()];
        wait_for("the node to take the renewed issuer over", || (serials(&chain) == expected).then_some(()));
        check_chain(&anchor, &chain);
        verify(node, &licence(node), &anchor, &[]).ok();
        assert!(node.event_ids().contains(&122));
    }
    // The activation service renews its anchor: everyone has it soon, and the former one goes on to be good.
    let former = fs::read(&anchor).unwrap();
    let kept = activation.folder().join("former.pem");
    fs::write(&kept, former).unwrap();
    let renewed = activation.json(&["authority", "renew"])["serial"].as_str().unwrap().to_owned();
    for (node, licence) in nodes.iter().zip(&licences) {
        let bundle = node.data("trust-bundle.pem");
        wait_for("the renewed anchor to arrive", || serials(&bundle).contains(&renewed).then_some(()));
        node.json(&["renew"]);
        verify(node, licence, &kept, &[]).ok();
        verify(node, licence, &bundle, &[]).ok();
    }
    root.json(&["authority", "renew"]);
    for service in [&activation, &root] {
        assert_eq!(service.json(&["audit", "verify"])["intact"], true);
    }
}

#[test]
fn the_certificates_of_a_root_are_as_promised() {
    let activation = started_root();
    let root = root_below(&activation, "berlin");
    let chain = root.data("authority-certificate.pem");
    let shown = Shown::read(&chain);
    let names: Vec<_> = shown.extensions.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "Authority Information Access",
            "X509v3 Authority Key Identifier",
            "X509v3 Basic Constraints critical",
            "X509v3 CRL Distribution Points",
            "X509v3 Key Usage critical",
            "X509v3 Subject Alternative Name",
            "X509v3 Subject Key Identifier",
        ]
    );
    assert_eq!(shown.extension("X509v3 Basic Constraints critical"), "CA:TRUE, pathlen:0");
    assert_eq!(shown.extension("X509v3 Key Usage critical"), "Certificate Sign, CRL Sign");
    assert_eq!(shown.extension("X509v3 Subject Alternative Name"), "URI:spiffe://licensor.local");
    assert_eq!(shown.not_after - shown.not_before - 120, 3 * 365 * 86_400);
    let found = activation.json(&["certificates", "show", &shown.serial]);
    assert_eq!(
        (&found["node"], &found["authority_serial"]),
        (&"berlin".into(), &shown.serial.clone().into())
    );
    // What the root authenticates with is no authority, and issues no licences.
    let identity = activation.folder().join("identity.pem");
    fs::write(&identity, found["certificate"].as_str().unwrap()).unwrap();
    let shown = Shown::read(&identity);
    assert_eq!(shown.extension("X509v3 Extended Key Usage"), "TLS Web Client Authentication");
    assert_eq!(shown.extension("X509v3 Basic Constraints critical"), "CA:FALSE");
    let name = "URI:spiffe://licensor.local/root/berlin";
    assert_eq!(shown.extension("X509v3 Subject Alternative Name"), name);
    for file in [&chain, &identity] {
        assert_eq!(lint(file), BTreeSet::new());
    }
    let proof = activation.run(&["audit", "prove", &serial(&root)]).ok();
    assert!(proof.contains("c2sp.org/tlog-proof"), "{proof}");
}

/// What pkilint finds wrong, less the URI scheme `spiffe`, which it does not know.
fn lint(certificate: &Path) -> BTreeSet<String> {
    let ran = run(Command::new(tool("lint_pkix_cert"))
        .args(["lint", "-s", "ERROR", "-f", "JSON"])
        .arg(certificate));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let results = report["results"].as_array().unwrap().iter();
    let findings = results.flat_map(|result| result["finding_descriptions"].as_array().unwrap().clone());
    let findings = findings.map(|finding| finding.to_string());
    findings.filter(|finding| !finding.contains("Invalid URI syntax: \\\"spiffe://licensor.local")).collect()
}

#[test]
fn an_expired_root_issues_nothing_and_still_renews_itself() {
    let mut activation = root_with("root_validity = \"6s\"\n");
    activation.run(&["init"]).ok();
    activation.start();
    let root = root_below(&activation, "berlin");
    let node = node(&root, "berlin-1");
    let token = root.token("berlin-2");
    let other = Node::new(NodeOptions::default());
    // Nobody is there to renew at.
    activation.stop();
    wait_for("the root to expire", || {
        (root.json(&["status"])["disabled_reason"] == "AUTHORITY_EXPIRED").then_some(())
    });
    let enroll = ["enroll", "--token", "-"];
    let refused = other.run_with_input(&enroll, &token);
    assert_ne!(refused.code, 0);
    assert_eq!(root.ops("/readyz").0, 503);
    root.run(&["authority", "renew"]).refused(1, &["ROOT_UNREACHABLE"]);
    let raised = wait_for("the events of the end", || {
        let ids = root.event_ids();
        ids.contains(&18).then_some(ids)
    });
    assert!(raised.contains(&102), "{raised:?}");
    activation.start();
    // By itself, or by hand.
    let _ = root.run(&["authority", "renew"]);
    wait_for("the root to issue again", || {
        let status = root.json(&["status"]);
        (status["enabled"] == true).then_some(())
    });
    wait_for("the node to have a certificate again", || {
        let _ = node.run(&["renew"]);
        (node.status()["enabled"] == true).then_some(())
    });
}

#[test]
fn a_root_changes_its_upstream_and_what_it_issued_goes_on() {
    let activation = started_root();
    let root = started_root();
    let node = node(&root, "berlin-1");
    let (key, licence) = (key_id(&root), licence(&node));
    let own = root.folder().join("own.pem");
    fs::copy(root.data("trust-anchor.pem"), &own).unwrap();
    // Another owner would be another name: what was issued before would lead nowhere.
    let wrong = root_token(&activation, "wrong", "Somebody Else");
    let before = root.json(&["authority", "show"]);
    root.run(&["authority", "upstream", "grpc", "--token-file", text(&wrong)])
        .refused(1, &["CREDENTIAL_INVALID", "for the owner `Licensor`", "nothing has changed"]);
    assert_eq!(root.json(&["authority", "show"]), before);
    root.run(&["authority", "upstream", "grpc"]).refused(1, &["a token of the upstream is needed"]);
    let token = root_token(&activation, "berlin", "Licensor");
    let moved = root.json(&["authority", "upstream", "grpc", "--token-file", text(&token)]);
    assert_eq!((&moved["key_id"], &moved["upstream"]["kind"]), (&key.clone().into(), &"grpc".into()));
    let anchor = activation.data("trust-anchor.pem");
    let bundle = node.data("trust-bundle.pem");
    let expected = serials(&anchor).remove(0);
    wait_for("the node to know the other anchor", || serials(&bundle).contains(&expected).then_some(()));
    node.json(&["renew"]);
    for trusted in [&own, &anchor, &bundle] {
        verify(&node, &super::licence(&node), trusted, &[]).ok();
    }
    verify(&node, &licence, &own, &[]).ok();
    // A root below another one certifies no roots.
    root.run(&["token", "create", "--root", "x", "--owner", "X"]).refused(1, &["ask its upstream"]);
    // And back.
    root.json(&["authority", "upstream", "offline"]);
    root.run(&["authority", "renew"]).refused(1, &["UPSTREAM_OFFLINE", "export-request"]);
    root.json(&["authority", "upstream", "grpc"]);
    root.json(&["authority", "renew"]);
    let back = root.json(&["authority", "upstream", "self"]);
    assert_eq!((&back["key_id"], &back["upstream"]["kind"]), (&key.into(), &"self".into()));
    node.json(&["renew"]);
    verify(&node, &super::licence(&node), &root.data("trust-anchor.pem"), &[]).ok();
    root.run(&["authority", "export-request", "x"]).refused(1, &["UPSTREAM_SELF"]);
    let told = root.event_ids();
    assert_eq!(told.iter().filter(|id| **id == 117).count(), 4, "{told:?}");
}

#[test]
fn an_upstream_that_is_not_the_right_one_changes_nothing() {
    let activation = started_root();
    let token = root_token(&activation, "berlin", "Example GmbH");
    // Another trust domain.
    let tables = "trust_domain = \"another.domain\"\n".to_owned();
    let foreign = Root::new(RootOptions { tables, ..RootOptions::default() });
    let init = ["init", "--upstream", "grpc", "--token-file"];
    foreign
        .run(&[&init[..], &[text(&token)]].concat())
        .refused(1, &["CREDENTIAL_INVALID", "set `trust_domain`", "`licensor.local`"]);
    assert!(!foreign.data("trust-anchor.pem").exists());
    // The token of a licensing server.
    let server = activation.folder().join("server.token");
    fs::write(&server, activation.token("server")).unwrap();
    let root = root_with("");
    root.run(&[&init[..], &[text(&server)]].concat()).refused(1, &["authority_csr"]);
    // A token is used once, and by one key; the same attempt again is answered again.
    let token = root_token(&activation, "hamburg", "Example GmbH");
    root.run(&[&init[..], &[text(&token)]].concat()).ok();
    root.run(&[&init[..], &[text(&token)]].concat()).refused(1, &["there is a trust anchor already"]);
    let thief = root_with("");
    thief.run(&[&init[..], &[text(&token)]].concat()).refused(1, &["TOKEN_ALREADY_USED"]);
    assert!(!thief.data("trust-anchor.pem").exists());
    let garbage = activation.folder().join("garbage.token");
    fs::write(&garbage, "garbage").unwrap();
    thief.run(&[&init[..], &[text(&garbage)]].concat()).refused(1, &["TOKEN_UNKNOWN"]);
    thief.run(&["init", "--upstream", "grpc"]).refused(2, &["--token-file"]);
}

#[test]
fn an_answer_of_the_upstream_that_is_lost_costs_nothing() {
    let proxy = Proxy::start();
    let public_address = Some(proxy.address());
    let activation = Root::started(RootOptions { public_address, ..RootOptions::default() });
    proxy.lead_to(Some(activation.port));
    let mut root = Root::new(RootOptions::default());
    let token = root_token(&activation, "berlin", "Example GmbH");
    root.run(&["init", "--upstream", "grpc", "--token-file", text(&token)]).ok();
    root.start();
    root.json(&["authority", "renew"]);
    let issued = || activation.json(&["certificates", "list"]).as_array().unwrap().len();
    let whole = proxy.largest();
    for missing in [300, 700, 1200] {
        let (before, former) = (issued(), serial(&root));
        proxy.set(Answers::Cut(whole - missing));
        root.run(&["authority", "renew"]).refused(1, &["ROOT_UNREACHABLE"]);
        assert_eq!(serial(&root), former);
        proxy.set(Answers::Pass);
        root.kill();
        root.start();
        root.json(&["authority", "renew"]);
        assert_eq!(issued(), before + 1, "{missing} bytes before the end");
    }
    // The exchange of the key first takes up what was lost.
    let (before, former) = (issued(), key_id(&root));
    proxy.set(Answers::Cut(whole - 300));
    root.run(&["authority", "renew"]).refused(1, &["ROOT_UNREACHABLE"]);
    root.run(&["authority", "rotate", "prepare"]).refused(1, &["ROOT_UNREACHABLE"]);
    proxy.set(Answers::Pass);
    root.kill();
    root.start();
    wait_for("the next authority, which is fetched by itself, too", || {
        let _ = root.run(&["authority", "rotate", "prepare"]);
        (standings(&root) == ["prepared", "active"]).then_some(())
    });
    root.json(&["authority", "rotate", "activate"]);
    assert_ne!(key_id(&root), former);
    assert_eq!(issued(), before + 2);
}

#[test]
fn a_revoked_root_is_not_renewed_and_what_it_issues_is_refused() {
    let activation = started_root();
    let root = root_below(&activation, "berlin");
    let node = node(&root, "berlin-1");
    let licence = licence(&node);
    let anchor = activation.data("trust-anchor.pem");
    activation.json(&["certificates", "revoke", &serial(&root), "--reason", "key-compromise"]);
    root.run(&["authority", "renew"]).refused(1, &["CERTIFICATE_REVOKED"]);
    // It learns of it by the upstream's list, and issues nothing.
    wait_for("the root to disable itself", || {
        (root.json(&["status"])["disabled_reason"] == "CERTIFICATE_REVOKED").then_some(())
    });
    node.run(&["renew"]).refused(1, &["CERTIFICATE_REVOKED", "the certificate of this root was revoked"]);
    assert!(root.event_ids().contains(&110));
    let workshop = Workshop::new();
    let list = workshop.path("activation.crl");
    let url = format!("http://127.0.0.1:{}/crl/{}.crl", activation.ops_port, key_id(&activation));
    run(Command::new(tool("curl")).args(["--silent", "--fail", "--output", text(&list), &url])).ok();
    verify(&node, &licence, &anchor, &["--revocation-list", text(&list)]).refused(1, &["revoked"]);
    verify(&node, &licence, &anchor, &[]).ok();
    // A token brings it back, with the same key.
    let key = key_id(&root);
    let token = root_token(&activation, "berlin", "Example GmbH");
    root.json(&["authority", "upstream", "grpc", "--token-file", text(&token)]);
    assert_eq!(key_id(&root), key);
    root.json(&["authority", "renew"]);
    node.json(&["renew"]);
}
