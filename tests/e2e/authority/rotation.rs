//! The authority's key is exchanged under load, and nobody is left behind.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use licensor_tests::{Line, Load, block_on, wait_for};
use proto::licensing::v1::{AcquireLicenseRequest, licensing_service_client::LicensingServiceClient};

use super::*;

const ROTATE: [&str; 2] = ["authority", "rotate"];

fn rotate(root: &Root, step: &str) -> Ran {
    root.run(&[&ROTATE[..], &[step, "--output", "json"]].concat())
}

#[test]
fn a_rotation_under_load_loses_no_call_and_both_generations_verify() {
    let root = started_root();
    let node = node(&root, "berlin-1");
    let former = root.folder().join("former.pem");
    fs::copy(root.data("trust-anchor.pem"), &former).unwrap();
    let old_licence = node.folder().join("old.jwt");
    fs::rename(licence(&node), &old_licence).unwrap();
    let old_key = key_id(&root);
    // These know the former anchor alone, and are never told of another.
    let load = Load::of(Load::enrolled(&[root.token("a"), root.token("b")]));
    let (enough, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let line = Line::open(&node, &former);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = LicensingServiceClient::new(line.channel.clone());
            while !enough.load(Ordering::SeqCst) {
                let request = AcquireLicenseRequest {
                    vendor: "Example".into(),
                    module: "crm".into(),
                    subject: "alice".into(),
                    ..AcquireLicenseRequest::default()
                };
                block_on(client.acquire_license(request)).unwrap();
                calls.fetch_add(1, Ordering::SeqCst);
            }
        });
        let go_on = || {
            let (renewals, licences) = (load.renewals(), calls.load(Ordering::SeqCst));
            wait_for("the load to go on", || {
                let on = load.renewals() > renewals + 5 && calls.load(Ordering::SeqCst) > licences + 5;
                on.then_some(())
            });
        };
        go_on();
        rotate(&root, "activate").refused(1, &["ROTATION_NOT_PREPARED"]);
        rotate(&root, "retire").refused(1, &["ROTATION_NOT_ACTIVE"]);
        let next = rotate(&root, "prepare").json()["serial"].as_str().unwrap().to_owned();
        rotate(&root, "prepare").refused(1, &["ROTATION_UNDER_WAY", "rotate activate"]);
        let bundle = node.data("trust-bundle.pem");
        wait_for("the next authority to arrive", || serials(&bundle).contains(&next).then_some(()));
        go_on();
        rotate(&root, "activate").json();
        rotate(&root, "prepare").refused(1, &["ROTATION_UNDER_WAY", "rotate retire"]);
        go_on();
        let refused = rotate(&root, "retire").refused(1, &["AUTHORITY_IN_USE"]);
        assert!(refused.stderr.contains("berlin-1"), "{refused:?}");
        assert_eq!(standings(&root), ["active", "former"]);
        // Both verify: by the former anchor, by the next one, and by the bundle.
        let renewed = node.json(&["renew"]);
        assert_ne!(renewed["issuer_key_id"], old_key);
        let new_licence = licence(&node);
        let next_anchor = root.data("trust-anchor.pem");
        for (licence, trusted) in [
            (&old_licence, &former),
            (&old_licence, &bundle),
            (&new_licence, &former),
            (&new_licence, &next_anchor),
            (&new_licence, &bundle),
        ] {
            verify(&node, licence, trusted, &[]).ok();
        }
        for file in ["licensor-certificate.pem", "server-certificate.pem"] {
            check_chain(&former, &node.data(file));
            check_chain(&next_anchor, &node.data(file));
        }
        // Each has a revocation list of its own.
        for key in [&old_key, &key_id(&root)] {
            assert_eq!(root.ops(&format!("/crl/{key}.crl")).0, 200);
            assert_eq!(root.ops(&format!("/issuer/{key}.cer")).0, 200);
        }
        assert_eq!(root.ops("/crl/00.crl").0, 404);
        go_on();
        enough.store(true, Ordering::SeqCst);
    });
    // The load renews under the next authority: when it was not before, it is now.
    let (identities, _) = load.end();
    let serials: Vec<_> = identities.iter().map(|identity| identity.serial.clone()).collect();
    for serial in &serials {
        assert_ne!(root.json(&["certificates", "show", serial])["issuer_key_id"], old_key);
    }
    rotate(&root, "retire").json();
    assert_eq!(standings(&root), ["active", "retired"]);
    let bundle = node.data("trust-bundle.pem");
    wait_for("the former anchor to be gone", || (serials_of(&bundle) == 1).then_some(()));
    verify(&node, &licence(&node), &bundle, &[]).ok();
    // One that was away all the time, and knows the former anchor alone, renews still.
    let mut identities = identities;
    block_on(identities[0].renew()).unwrap();
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
    let told = root.event_ids();
    assert!([119, 120, 121].iter().all(|id| told.contains(id)), "{told:?}");
}

fn serials_of(file: &Path) -> usize {
    serials(file).len()
}

#[test]
fn every_step_outlives_a_killed_process_and_a_restored_backup_goes_on() {
    let mut root = started_root();
    let node = node(&root, "berlin-1");
    rotate(&root, "prepare").json();
    root.kill();
    root.start();
    assert_eq!(standings(&root), ["prepared", "active"]);
    rotate(&root, "activate").json();
    root.kill();
    root.start();
    assert_eq!(standings(&root), ["active", "former"]);
    let passphrase = root.folder().join("passphrase");
    fs::write(&passphrase, "correct horse\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let backup = root.folder().join("root.backup");
    root.json(&["backup", "create", text(&backup), "--passphrase-file", text(&passphrase)]);
    node.json(&["renew"]);
    rotate(&root, "retire").json();
    root.kill();
    root.start();
    assert_eq!(standings(&root), ["active", "retired"]);
    // Back to the backup: both keys are there.
    let checkpoint = root.folder().join("seen.txt");
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
    fs::copy(root.data("audit-checkpoint.txt"), &checkpoint).unwrap();
    root.stop();
    fs::rename(root.data(""), root.folder().join("lost")).unwrap();
    let restore = ["backup", "restore", text(&backup), "--passphrase-file", text(&passphrase)];
    root.run(&[&restore[..], &["--checkpoint", text(&checkpoint)]].concat()).refused(1, &["forgets entries"]);
    root.run(&restore).ok();
    root.start();
    assert_eq!(standings(&root), ["active", "former"]);
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
    let another = super::node(&root, "berlin-2");
    verify(&another, &licence(&another), &root.data("trust-anchor.pem"), &[]).ok();
}

#[test]
fn the_middle_and_the_top_of_three_tiers_rotate() {
    let activation = started_root();
    let root = root_below(&activation, "berlin");
    let node = node(&root, "berlin-1");
    // The middle: the upstream certifies the next key, and the anchor stays.
    rotate(&root, "prepare").json();
    rotate(&root, "activate").json();
    rotate(&root, "retire").refused(1, &["AUTHORITY_IN_USE", "berlin-1"]);
    node.json(&["renew"]);
    rotate(&root, "retire").json();
    let anchor = activation.data("trust-anchor.pem");
    check_chain(&anchor, &node.data("licensor-certificate.pem"));
    verify(&node, &licence(&node), &anchor, &[]).ok();
    // The top: everyone has the next anchor before it issues.
    let next = rotate(&activation, "prepare").json()["serial"].as_str().unwrap().to_owned();
    let bundle = node.data("trust-bundle.pem");
    wait_for("the next anchor to arrive", || serials(&bundle).contains(&next).then_some(()));
    rotate(&activation, "activate").json();
    rotate(&activation, "retire").refused(1, &["AUTHORITY_IN_USE", "berlin"]);
    root.json(&["authority", "renew"]);
    node.json(&["renew"]);
    rotate(&activation, "retire").json();
    wait_for("the former anchor to be gone", || (serials(&bundle) == [next.clone()]).then_some(()));
    verify(&node, &licence(&node), &activation.data("trust-anchor.pem"), &[]).ok();
    node.json(&["renew"]);
}
