//! Backups that are made while the root serves, and roots that are made from them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use licensor_tests::{Load, Node, NodeOptions, Ran, Root, RootOptions, run, tool, wait_for};

/// A private file in the root's folder.
fn private(root: &Root, name: &str, text: &str) -> PathBuf {
    let path = root.folder().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A backup with the key, which the passphrase in the file `passphrase` opens.
fn backed_up(root: &Root) -> PathBuf {
    let passphrase = private(root, "passphrase", "correct horse\n");
    let file = root.folder().join("root.backup");
    root.run(&["backup", "create", text(&file), "--passphrase-file", text(&passphrase)]).ok();
    file
}

/// Restores with the passphrase, and more options.
fn restore(root: &Root, file: &Path, options: &[&str]) -> Ran {
    let passphrase = root.folder().join("passphrase");
    let first = ["backup", "restore", text(file), "--passphrase-file", text(&passphrase)];
    root.run(&[&first, options].concat())
}

/// Moves the data away, as an operator does after a disaster.
fn lose_data(root: &Root) -> PathBuf {
    let lost = root.folder().join("lost");
    fs::rename(root.data(""), &lost).unwrap();
    lost
}

fn serials(root: &Root) -> Vec<String> {
    let certificates = root.json(&["certificates", "list"]);
    certificates.as_array().unwrap().iter().map(|c| c["serial"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_backup_of_a_root_that_is_busy_is_a_root_as_it_was_at_one_instant() {
    let mut root = Root::started(RootOptions::default());
    let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
    let tokens: Vec<_> = (0..4).map(|n| root.token(&format!("load-{n}"))).collect();
    let load = Load::of(Load::enrolled(&tokens));
    wait_for("renewals", || (load.renewals() > 50).then_some(()));
    let before = load.acknowledged();
    let file = backed_up(&root);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    load.end();
    assert!(root.event_ids().contains(&115));
    let all = serials(&root);
    root.stop();
    lose_data(&root);
    restore(&root, &file, &[]).ok();
    root.start();
    let restored = serials(&root);
    assert!(before.iter().all(|serial| restored.contains(serial)), "what was acknowledged before is there");
    assert!(restored.iter().all(|serial| all.contains(serial)));
    // Every node has the certificate that its record names, and every certificate its event.
    let issued = root.json(&["events", "list"]);
    let issued =
        issued.as_array().unwrap().iter().filter(|event| [100, 101].contains(&event["id"].as_u64().unwrap()));
    assert_eq!(issued.count(), restored.len());
    for listed in root.json(&["nodes", "list"]).as_array().unwrap() {
        let shown = root.json(&["certificates", "show", listed["serial"].as_str().unwrap()]);
        assert_eq!(shown["status"], "current");
    }
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
    assert_eq!(root.event_ids().iter().filter(|id| **id == 114).count(), 1);
    node.json(&["renew"]);
    node.stop();
}

#[test]
fn a_root_does_not_go_back_in_time_unless_it_is_told_to() {
    let mut root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let file = backed_up(&root);
    let serial = node.serial();
    root.run(&["certificates", "revoke", &serial]).ok();
    Load::enrolled(&[root.token("berlin-2")]);
    let list = root.folder().join("list.crl");
    let key_id = root.json(&["status"])["authority"]["key_id"].as_str().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{}/crl/{key_id}.crl", root.ops_port);
    run(Command::new(tool("curl")).args(["--silent", "--fail", "--output", text(&list), &url])).ok();
    let entries = root.entries();
    wait_for("a checkpoint with the revocation", || {
        let note = fs::read_to_string(root.data("audit-checkpoint.txt")).unwrap_or_default();
        (note.lines().nth(1) == Some(&entries.to_string())).then_some(())
    });
    root.stop();
    let lost = lose_data(&root);
    let seen = lost.join("audit-checkpoint.txt");
    let words = [&*format!("logged {entries} entries"), "revocation", "--accept-loss"];
    restore(&root, &file, &["--checkpoint", text(&seen)]).refused(1, &words);
    // With what is left of the lost root, or a list that a node has, what is forgotten is named.
    let named = format!("the revocation of certificate {serial}");
    let used = ["the use of token", "by berlin-2", &named];
    restore(&root, &file, &["--checkpoint", text(&seen), "--lost", text(&lost)]).refused(1, &used);
    restore(&root, &file, &["--lost", text(&lost)]).refused(1, &used);
    restore(&root, &file, &["--lost", text(&root.folder().join("nothing"))]).refused(1, &["no store in it"]);
    restore(&root, &file, &["--revocation-list", text(&list)]).refused(1, &["does not have", &named]);
    restore(&root, &file, &["--revocation-list", text(&seen)])
        .refused(1, &["none of the root in this backup"]);
    assert!(!root.data("store").exists() && !root.data("trust-anchor.pem").exists());
    // A checkpoint of another root says nothing of this one.
    let other = Root::started(RootOptions::default());
    wait_for("its checkpoint", || other.data("audit-checkpoint.txt").exists().then_some(()));
    let foreign = other.data("audit-checkpoint.txt");
    restore(&root, &file, &["--checkpoint", text(&foreign)]).refused(1, &["none of the root in this backup"]);
    // One that runs is not lost: nobody else opens its store.
    restore(&root, &file, &["--lost", text(&other.data(""))]).refused(1, &["in use by process"]);
    restore(&root, &file, &["--checkpoint", text(&seen), "--accept-loss"]).ok();
    root.start();
    assert_eq!(root.json(&["certificates", "show", &serial])["status"], "current", "that is the loss");
    // What is revoked now has a list that is newer than any that nodes have seen.
    let number = root.metric("licensor_revocation_list_number").unwrap();
    let revoked = root.json(&["certificates", "revoke", &serial]);
    assert!(revoked["revocation_list_number"].as_f64().unwrap() > number);
    wait_for("the node to learn of it", || {
        node.run(&["renew"]);
        (node.status()["disabled_reason"] == "CERTIFICATE_REVOKED").then_some(())
    });
}

#[test]
fn what_a_root_would_forget_is_named_by_the_checkpoint_of_a_node_alone() {
    let mut root = Root::started(RootOptions::default());
    let [revoked, ended, witness] =
        ["berlin-1", "paris-1", "tokyo-1"].map(|name| Node::started(&root, name, NodeOptions::default()));
    let token = |name: &str| root.json(&["token", "create", "--node", name, "--owner", "Example GmbH"]);
    let (used, withdrawn) = (token("oslo-1"), token("rome-1"));
    let id = |token: &serde_json::Value| token["id"].as_str().unwrap().to_owned();
    let file = backed_up(&root);
    let serial = revoked.serial();
    let ended_serial = ended.serial();
    root.run(&["certificates", "revoke", &serial]).ok();
    root.run(&["nodes", "decommission", "paris-1", "--yes"]).ok();
    root.run(&["token", "revoke", &id(&withdrawn)]).ok();
    Load::enrolled(&[used["token"].as_str().unwrap().to_owned()]);
    let seen = || fs::read_to_string(witness.data("audit-checkpoint.txt")).unwrap_or_default();
    let covers = |entries: usize| {
        let size = seen().lines().nth(1).and_then(|size| size.parse::<usize>().ok());
        witness.json(&["renew"]);
        size.is_some_and(|size| size >= entries).then_some(())
    };
    let entries = root.entries();
    wait_for("the node to see all of it", || covers(entries));
    let later = root.folder().join("later.backup");
    let passphrase = root.folder().join("passphrase");
    root.run(&["backup", "create", text(&later), "--passphrase-file", text(&passphrase)]).ok();
    let entries = root.entries() + 1;
    wait_for("the node to see a renewal that no backup has", || covers(entries));
    root.stop();
    lose_data(&root);
    let kept = witness.data("audit-checkpoint.txt");
    let named = [
        format!("the revocation of certificate {serial}"),
        format!("the revocation of certificate {ended_serial}"),
        "the end of paris-1".to_owned(),
        format!("the use of token {} by oslo-1", id(&used)),
        format!("the revocation of token {}", id(&withdrawn)),
    ];
    let refused = restore(&root, &file, &["--checkpoint", text(&kept)]);
    // What the backup has is not named.
    assert!(!refused.stderr.contains("by tokyo-1"), "{}", refused.stderr);
    refused.refused(1, &[&["the root had logged"], &named.each_ref().map(String::as_str)[..]].concat());
    let refused = restore(&root, &later, &["--checkpoint", text(&kept)]);
    refused.refused(1, &["the root had logged", "certificate among them; take a later backup"]);
    // Nobody takes a name out of it unseen.
    let edited = private(&root, "edited.txt", &seen().replace(&format!("revoked {serial}\n"), ""));
    let edited = restore(&root, &file, &["--checkpoint", text(&edited)]);
    edited.refused(1, &["none of the root in this backup", "not signed by the authority"]);
    assert!(!root.data("store").exists());
    restore(&root, &file, &["--checkpoint", text(&kept), "--accept-loss"]).ok();
    root.start();
    assert_eq!(root.json(&["certificates", "show", &serial])["status"], "current", "that is the loss");
    assert_eq!(root.json(&["audit", "verify"])["intact"], true);
}

#[test]
fn a_backup_that_is_damaged_foreign_or_newer_is_refused_and_nothing_is_made_of_it() {
    let mut root = Root::started(RootOptions::default());
    root.token("berlin-1");
    let file = backed_up(&root);
    root.stop();
    lose_data(&root);
    let whole = fs::read(&file).unwrap();
    let changed = root.folder().join("changed.backup");
    let refused = |octets: &[u8], words: &[&str]| {
        fs::write(&changed, octets).unwrap();
        restore(&root, &changed, &[]).refused(1, words);
        assert!(!root.data("store").exists() && !root.data("trust-anchor.pem").exists());
    };
    let flipped = |at: usize| {
        let mut octets = whole.clone();
        octets[at] ^= 0x10;
        octets
    };
    for at in
        [30, 100, whole.len() / 3, whole.len() / 2, whole.len() - 120, whole.len() - 20, whole.len() - 1]
    {
        refused(&flipped(at), &["damaged"]);
    }
    for length in [30, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], &["damaged", "cut short"]);
    }
    refused(&[&whole[..], b"x"].concat(), &["damaged", "follows its end"]);
    refused(b"", &["no backup"]);
    refused(b"licensor node backup 1\n and more", &["no backup"]);
    refused(&[b"licensor root backup 2\n", &whole[23..]].concat(), &["newer release"]);
    restore(&root, &root.folder().join("none"), &[]).refused(1, &["none"]);
    // The key of another root is not taken for this one's.
    fs::write(root.data("authority-key.pem"), "another").unwrap();
    restore(&root, &file, &[]).refused(1, &["there is a root"]);
    fs::remove_file(root.data("authority-key.pem")).unwrap();
    restore(&root, &file, &[]).ok();
    root.start();
}

#[test]
fn the_key_is_in_a_backup_only_with_a_passphrase_and_comes_out_only_with_the_same() {
    let mut root = Root::started(RootOptions::default());
    let file = backed_up(&root);
    let octets = fs::read(&file).unwrap();
    let has = |word: &[u8]| octets.windows(word.len()).any(|window| window == word);
    assert!(has(b"BEGIN ENCRYPTED PRIVATE KEY") && !has(b"BEGIN PRIVATE KEY"));
    let keyless = root.folder().join("keyless.backup");
    root.run(&["backup", "create", text(&keyless)]).ok();
    assert!(!fs::read(&keyless).unwrap().windows(11).any(|window| window == b"PRIVATE KEY"));
    // Nothing is written over, neither a backup nor a root.
    root.run(&["backup", "create", text(&keyless)]).refused(1, &["keyless.backup is there already"]);
    let names = fs::read_dir(root.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("unfinished")));
    root.stop();
    restore(&root, &file, &[]).refused(1, &["there is a root", "move that directory away"]);
    let lost = lose_data(&root);

    let wrong = private(&root, "wrong", "battery staple\n");
    let run = |arguments: &[&str]| root.run(&[&["backup", "restore"], arguments].concat());
    run(&[text(&file)]).refused(1, &["--passphrase-file"]);
    run(&[text(&file), "--passphrase-file", text(&wrong)]).refused(1, &["does not open the key"]);
    run(&[text(&keyless)]).refused(1, &["--key"]);
    let other = Root::started(RootOptions::default());
    run(&[text(&keyless), "--key", text(&other.data("authority-key.pem"))])
        .refused(1, &["not that of the authority"]);
    run(&[text(&keyless), "--key", text(&lost.join("authority-key.pem"))]).ok();
    root.start();
    assert_eq!(
        fs::read(root.data("trust-anchor.pem")).unwrap(),
        fs::read(lost.join("trust-anchor.pem")).unwrap()
    );
}
