//! The authority's key under a passphrase.

use std::{fs, os::unix::fs::PermissionsExt};

use licensor_tests::{Root, RootOptions, Workshop};

/// A root whose key is encrypted with the passphrase in a file of this mode.
fn root(passphrase: &str, mode: u32) -> Root {
    let root = Root::new(RootOptions {
        tables: "[authority]\npassphrase_file = \"{folder}/passphrase\"\n".into(),
        ..RootOptions::default()
    });
    write(&root, passphrase, mode);
    root
}

fn write(root: &Root, passphrase: &str, mode: u32) {
    let file = root.folder().join("passphrase");
    fs::write(&file, passphrase).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_key_is_encrypted_at_rest_and_only_the_right_passphrase_opens_it() {
    // The line's end does not belong to the passphrase.
    let mut root = root("correct horse battery staple\n", 0o600);
    root.run(&["init"]).ok();
    let key = root.data("authority-key.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = fs::read_to_string(&key).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{pem}");

    let workshop = Workshop::new();
    let decrypt = |passphrase: &str| {
        let passphrase = format!("pass:{passphrase}");
        workshop.openssl(&["pkey", "-in", key.to_str().unwrap(), "-passin", &passphrase, "-pubout"])
    };
    let anchor = root.data("trust-anchor.pem");
    let certified = workshop.openssl(&["x509", "-in", anchor.to_str().unwrap(), "-noout", "-pubkey"]).ok();
    assert_eq!(decrypt("correct horse battery staple").ok(), certified);
    assert_ne!(decrypt("correct horse").code, 0);

    root.start();
    root.token("berlin-1");
    assert!(!root.log().contains("correct horse"), "the passphrase is in the log");
    assert_eq!(root.stop(), 0);

    write(&root, "wrong\n", 0o600);
    let words = [key.to_str().unwrap(), "the passphrase is wrong", "`authority.passphrase_file`"];
    root.serve_in_vain().refused(64, &words);
    fs::write(root.config(), fs::read_to_string(root.config()).unwrap().replace("passphrase_file", "#"))
        .unwrap();
    let words = [key.to_str().unwrap(), "is encrypted", "`authority.passphrase_file`"];
    root.serve_in_vain().refused(64, &words);
    assert_eq!(fs::read_to_string(&key).unwrap(), pem);
}

#[test]
fn a_passphrase_that_cannot_be_used_is_refused_before_anything_is_made() {
    for (passphrase, mode, words) in [
        ("secret\n", 0o644, "others may read it (mode 0644); run: chmod 600"),
        ("\n", 0o600, "the passphrase is empty"),
    ] {
        let root = root(passphrase, mode);
        let file = root.folder().join("passphrase");
        let words = [file.to_str().unwrap(), "`authority.passphrase_file`", words];
        root.run(&["init"]).refused(64, &words);
        assert!(!root.data("authority-key.pem").exists() && !root.data("trust-anchor.pem").exists());
    }
    let root = root("secret", 0o600);
    fs::remove_file(root.folder().join("passphrase")).unwrap();
    root.run(&["init"]).refused(64, &["passphrase", "No such file"]);
}

#[test]
fn without_a_passphrase_the_key_is_the_owners_alone_and_init_never_replaces_it() {
    let root = Root::new(RootOptions::default());
    let made = root.json(&["init"]);
    assert_eq!(made["created"], true);
    assert_eq!(made["trust_anchor"], root.data("trust-anchor.pem").to_str().unwrap());
    let key = root.data("authority-key.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&key).unwrap();
    root.run(&["init"]).refused(1, &["there is a trust anchor already", "it is left as it is"]);
    assert_eq!(root.json(&["init", "--if-needed"])["created"], false);
    assert_eq!(fs::read(&key).unwrap(), before);
    let empty = Root::new(RootOptions::default());
    empty.serve_in_vain().refused(1, &["there is no trust anchor", "root-service init"]);
}
