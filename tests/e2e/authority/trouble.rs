//! Roots in the states that nobody plans for: none of them is a dead end.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, thread};

use licensor_tests::{Workshop, run, tool, wait_for};

use super::*;

fn rotate(root: &Root, step: &str) -> Ran {
    root.run(&["authority", "rotate", step, "--output", "json"])
}

/// The revocation list of the authority that issues, as PEM.
fn list(root: &Root, workshop: &Workshop) -> PathBuf {
    let url = format!("http://127.0.0.1:{}/crl/{}.crl", root.ops_port, key_id(root));
    run(Command::new(tool("curl"))
        .args(["--silent", "--fail", "--output"])
        .arg(workshop.path("list"))
        .arg(url))
    .ok();
    workshop.openssl(&["crl", "-inform", "DER", "-in", "list", "-out", "list.pem"]).ok();
    workshop.path("list.pem")
}

#[test]
fn a_root_that_is_ended_or_revoked_is_so_with_every_certificate_of_its_key() {
    let activation = started_root();
    for _ in 0..2 {
        let root = root_below(&activation, "berlin");
        let node = node(&root, "berlin-1");
        let former = root.folder().join("former.pem");
        fs::copy(root.data("authority-certificate.pem"), &former).unwrap();
        root.json(&["authority", "renew"]);
        activation.json(&["certificates", "revoke", &serial(&root), "--reason", "key-compromise"]);
        let workshop = Workshop::new();
        let list = list(&activation, &workshop);
        for certificate in [&former, &root.data("authority-certificate.pem")] {
            let verified = run(Command::new(tool("openssl"))
                .args(["verify", "-crl_check", "-CAfile"])
                .arg(activation.data("trust-anchor.pem"))
                .arg("-CRLfile")
                .arg(&list)
                .arg(certificate));
            assert!(verified.stderr.contains("certificate revoked"), "{verified:?}");
        }
        wait_for("the root to disable itself", || {
            (root.json(&["status"])["disabled_reason"] == "CERTIFICATE_REVOKED").then_some(())
        });
        node.run(&["renew"]).refused(1, &["CERTIFICATE_REVOKED"]);
    }
    let root = root_below(&activation, "hamburg");
    rotate(&root, "prepare").json();
    activation.json(&["nodes", "decommission", "hamburg", "--yes"]);
    wait_for("the root to disable itself", || {
        (root.json(&["status"])["disabled_reason"] == "CERTIFICATE_REVOKED").then_some(())
    });
    // The authority that was prepared is revoked as well.
    rotate(&root, "activate").json();
    wait_for("the root to disable itself again", || {
        (root.json(&["status"])["disabled_reason"] == "CERTIFICATE_REVOKED").then_some(())
    });
}

#[test]
fn an_anchor_that_is_renewed_again_and_again_still_fits_into_a_handshake() {
    let root = started_root();
    let node = node(&root, "berlin-1");
    for _ in 0..130 {
        root.json(&["authority", "renew"]);
    }
    node.json(&["renew"]);
    super::node(&root, "berlin-2");
    assert_eq!(serials(&root.data("trust-anchor.pem")).len(), 4);
}

#[test]
fn a_preparation_that_expired_or_was_begun_under_another_upstream_is_gone_on_with() {
    let mut root = root_with("anchor_validity = \"6s\"\n");
    root.run(&["init"]).ok();
    root.start();
    rotate(&root, "prepare").json();
    let expired = || root.json(&["status"])["disabled_reason"] == "AUTHORITY_EXPIRED";
    wait_for("the authority to expire", || expired().then_some(()));
    root.json(&["authority", "renew"]);
    wait_for("the prepared authority to expire, too", || expired().then_some(()));
    rotate(&root, "activate").refused(1, &["AUTHORITY_EXPIRED", "rotate prepare"]);
    root.json(&["authority", "renew"]);
    rotate(&root, "prepare").json();
    rotate(&root, "activate").json();
    let other = started_root();
    other.json(&["authority", "upstream", "offline"]);
    assert_eq!(rotate(&other, "prepare").json()["standing"], "requested");
    other.json(&["authority", "upstream", "self"]);
    assert_eq!(rotate(&other, "prepare").json()["standing"], "prepared");
    rotate(&other, "activate").json();
    rotate(&other, "retire").json();
}

#[test]
fn a_root_with_roots_below_it_is_not_moved_below_another() {
    let (top, middle) = (started_root(), started_root());
    let _below = root_below(&middle, "berlin");
    let token = root_token(&top, "middle", "Licensor");
    middle
        .run(&["authority", "upstream", "grpc", "--token-file", text(&token)])
        .refused(1, &["AUTHORITY_IN_USE", "berlin"]);
    middle.json(&["authority", "renew"]);
}

#[test]
fn a_root_moves_by_itself_to_the_authority_that_its_upstream_issues_with() {
    let activation = started_root();
    let root = root_below(&activation, "berlin");
    let node = node(&root, "berlin-1");
    rotate(&activation, "prepare").json();
    let next = serials(&activation.data("trust-anchor.pem"));
    let bundle = node.data("trust-bundle.pem");
    wait_for("the next anchor to arrive", || (serials(&bundle).len() == 2 && next.len() == 2).then_some(()));
    // Also soon after a renewal that came by itself.
    rotate(&root, "prepare").json();
    rotate(&root, "activate").json();
    let former = serial(&root);
    rotate(&activation, "activate").json();
    wait_for("the root to be certified by the next authority", || (serial(&root) != former).then_some(()));
    rotate(&activation, "retire").json();
    super::node(&root, "berlin-2");
}

#[test]
fn a_backup_has_every_key_that_its_records_name() {
    let mut root = started_root();
    let passphrase = root.folder().join("passphrase");
    fs::write(&passphrase, "correct horse\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let file = |n: usize| root.folder().join(format!("{n}.backup"));
    let backup = |n: usize| {
        root.run(&["backup", "create", text(&file(n)), "--passphrase-file", text(&passphrase)]).ok();
    };
    thread::scope(|scope| {
        scope.spawn(|| (0..6).for_each(backup));
        for step in ["prepare", "activate", "retire", "prepare", "activate", "retire"] {
            rotate(&root, step).json();
        }
    });
    let files: Vec<_> = (0..6).map(file).collect();
    root.stop();
    for file in files {
        fs::rename(root.data(""), root.folder().join("lost")).unwrap();
        root.run(&["backup", "restore", text(&file), "--passphrase-file", text(&passphrase)]).ok();
        root.start();
        assert_eq!(root.json(&["audit", "verify"])["intact"], true);
        root.stop();
        fs::remove_dir_all(root.folder().join("lost")).unwrap();
    }
}

#[test]
fn an_answer_that_was_long_on_its_way_is_taken_though_another_key_was_asked_for() {
    let activation = started_root();
    let workshop = Workshop::new();
    let mut root = root_with("");
    root.run(&["init", "--upstream", "offline"]).ok();
    root.start();
    let token = root_token(&activation, "berlin", "Example GmbH");
    let answered = |name: &str, options: &[&str]| {
        let request = workshop.path(name);
        root.json(&[&["authority", "export-request", text(&request)], options].concat());
        let signed = activation.json(&["sign-request", text(&request)]);
        PathBuf::from(signed["answer"].as_str().unwrap())
    };
    let first = answered("first", &["--token-file", text(&token)]);
    root.json(&["authority", "import", text(&first)]);
    let renewal = answered("renewal", &[]);
    rotate(&root, "prepare").json();
    let next = workshop.path("next");
    root.json(&["authority", "export-request", text(&next)]);
    activation.run(&["sign-request", text(&next)]).refused(1, &["CERTIFICATE_SUPERSEDED"]);
    root.json(&["authority", "import", text(&renewal)]);
    let prepared = answered("again", &[]);
    root.json(&["authority", "import", text(&prepared)]);
    assert_eq!(standings(&root), ["prepared", "active"]);
}
