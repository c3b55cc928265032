//! What a service does not start with: configuration, files, ports and directories; and what it says.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf};

use licensor_tests::{Node, NodeOptions, Root, RootOptions, Service};

/// Both services, neither initialised nor started.
fn services(tables: &str) -> (Root, Node) {
    let root = Root::new(RootOptions { tables: tables.into(), ..RootOptions::default() });
    let node = Node::new(NodeOptions { tables: tables.into(), ..NodeOptions::default() });
    (root, node)
}

/// Checks that `serve` ends with this exit code and these words, and that no command gets further.
fn check(service: &Service, code: i32, words: &[&str]) {
    service.serve_in_vain().refused(code, words);
    if code == 64 {
        service.run(&["status"]).refused(64, words);
        let shown = service.run(&["status", "--output", "json"]).refused(64, &[]).stderr;
        let error: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(error["error"].as_str().map(str::is_empty), Some(false), "{error}");
        assert!(error["metadata"].is_object(), "{error}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_key() {
    let (root, node) = services("[expiry]\nmonht = \"30d\"\n");
    check(&root, 64, &["config.toml", "line 6", "`monht`", "did you mean `month`?"]);
    check(&node, 64, &["config.toml", "line 5", "`monht`", "did you mean `month`?"]);
    let (mut root, mut node) = services("");
    root.set("LICENSOR_ROOT__CERTIFICATE__VALIDTY", "1d");
    check(&root, 64, &["LICENSOR_ROOT__CERTIFICATE__VALIDTY", "did you mean `validity`?"]);
    node.set("LICENSOR_LICENSE__LISTN", "127.0.0.1:1");
    check(&node, 64, &["LICENSOR_LICENSE__LISTN", "did you mean `listen`?"]);
}

#[test]
fn a_bad_value_is_refused_with_its_line_and_how_to_write_it() {
    let (root, node) = services("[expiry]\nmonth = \"soon\"\n");
    check(&root, 64, &["config.toml", "line 6", "`soon` is not a duration", "30d, 12h, 60s"]);
    check(&node, 64, &["config.toml", "line 5", "`soon` is not a duration", "30d, 12h, 60s"]);
    let bad = [
        ("[expiry]\ncheck_interval = \"-5s\"\n", "is not a duration"),
        ("[expiry]\ncheck_interval = \"200y\"\n", "longer than 100 years"),
        ("[expiry]\ncheck_interval = 5\n", "line 6"),
        ("[expiry]\nweek = \"40d\"\n", "`expiry.week`"),
        ("[renewal]\nat = 1.5\n", "`renewal.at`"),
        ("[certificate]\nvalidity = \"0s\"\n", "`certificate.validity`"),
        ("not toml", "line 5"),
    ];
    for (tables, words) in bad {
        let root = Root::new(RootOptions { tables: tables.into(), ..RootOptions::default() });
        check(&root, 64, &[words]);
        root.run(&["init"]).refused(64, &[words]);
        assert!(!root.data("").exists(), "nothing is made with a configuration that is refused");
    }
    let (mut root, _) = services("");
    root.set("LICENSOR_ROOT__LISTEN", "everywhere");
    check(&root, 64, &["LICENSOR_ROOT__LISTEN"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_by_its_name() {
    let (root, node) = services("");
    for service in [&*root, &*node] {
        fs::remove_file(service.config()).unwrap();
        check(service, 64, &[service.config().to_str().unwrap(), "cannot be read"]);
        fs::create_dir(service.config()).unwrap();
        check(service, 64, &[service.config().to_str().unwrap(), "cannot be read"]);
        fs::remove_dir(service.config()).unwrap();
        fs::write(service.config(), [0xff, 0xfe]).unwrap();
        check(service, 64, &[service.config().to_str().unwrap()]);
    }
}

/// Checks that the service refuses to start with a key that others may read, or that is no file.
fn check_key(service: &Service, key: &PathBuf) {
    let (name, good) = (key.to_str().unwrap(), fs::read(key).unwrap());
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
        let shown = format!("mode {mode:04o}");
        service.serve_in_vain().refused(64, &[name, "others may read it", &shown, "chmod 600"]);
    }
    fs::remove_file(key).unwrap();
    service.serve_in_vain().refused(64, &[name, "No such file"]);
    fs::create_dir(key).unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o700)).unwrap();
    service.serve_in_vain().refused(64, &[name, "Is a directory"]);
    fs::remove_dir(key).unwrap();
    fs::write(key, "nonsense").unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    service.serve_in_vain().refused(64, &[name, "not a private key"]);
    fs::write(key, good).unwrap();
}

#[test]
fn a_key_that_others_can_read_or_nobody_is_refused() {
    let mut root = Root::started(RootOptions::default());
    let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
    let (serial, ledger) = (node.serial(), root.ledger());
    assert_eq!((node.stop(), root.stop()), (0, 0));
    check_key(&root, &root.data("authority-key.pem"));
    let keys: Vec<_> = fs::read_dir(node.data("keys")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(keys.len(), 2);
    keys.iter().for_each(|key| check_key(&node, key));
    root.start();
    node.start();
    assert_eq!((node.serial(), root.ledger()), (serial, ledger), "nothing was lost");
    // The key of another authority is not this one's.
    root.stop();
    let other = Root::started(RootOptions::default());
    fs::copy(other.data("authority-key.pem"), root.data("authority-key.pem")).unwrap();
    root.serve_in_vain().refused(1, &["authority-key.pem", "is not the key of its certificate"]);
}

#[test]
fn a_second_process_on_one_directory_is_told_who_has_it() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    for service in [&*root, &*node] {
        let pid = format!("process {}", service.pid());
        let directory = service.data("");
        let directory = directory.to_str().unwrap().trim_end_matches('/');
        check(service, 1, &[directory, &pid, "stop it first", "`data_dir`"]);
    }
    root.run(&["init"]).refused(1, &[&format!("process {}", root.pid())]);
    // Both still work.
    node.json(&["renew"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let (mut root, mut node) = services("");
    let file = root.folder().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    for directory in [below.to_str().unwrap(), "/proc/licensor"] {
        root.set("LICENSOR_ROOT__DATA_DIR", directory);
        node.set("LICENSOR_LICENSE__DATA_DIR", directory);
        let words = [directory, "`data_dir` must be a directory that this user can write"];
        root.run(&["init"]).refused(1, &words);
        node.serve_in_vain().refused(1, &words);
        // A token shall not be spent where nothing can be kept.
        node.run_with_input(&["enroll", "--token", "-"], "token").refused(1, &words);
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let mut root = Root::started(RootOptions::default());
    let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
    assert_eq!((node.stop(), root.stop()), (0, 0));
    for service in [&*root, &*node] {
        for (port, key) in [(service.port, "`listen`"), (service.ops_port, "`ops_listen`")] {
            let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
            let address = format!("127.0.0.1:{port}");
            service.serve_in_vain().refused(1, &[&address, key, "choose another"]);
        }
    }
    root.start();
    node.start();
}
