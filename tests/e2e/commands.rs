//! The command lines: JSON that scripts read, tables, exit codes, help and completions.

use std::process::Command;

use licensor_tests::{Node, NodeOptions, Ran, Root, RootOptions, Service, run, run_with_input, tool};
use serde_json::{Value, json};

/// Checks that an object has these keys and that instants and serials have their form.
fn check(object: &Value, keys: &[&str]) {
    for key in keys {
        let value = object.get(key).unwrap_or_else(|| panic!("`{key}` is not in {object}"));
        let text = value.as_str().unwrap_or_default();
        match *key {
            "serial" | "key_id" | "issuer_key_id" => {
                assert!(
                    text.len() >= 32 && text.chars().all(|c| "0123456789abcdef".contains(c)),
                    "{key}: {value}"
                );
            }
            "not_before" | "not_after" | "expires_at" | "time" | "renew_at" | "last_renewal" => {
                let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                assert_eq!(digits, "0000-00-00T00:00:00Z", "{key}: {value}");
            }
            _ => {}
        }
    }
}

/// Checks that every element of a list has these keys.
fn check_all(list: &Value, keys: &[&str]) {
    let list = list.as_array().unwrap();
    assert!(!list.is_empty());
    list.iter().for_each(|object| check(object, keys));
}

#[test]
fn json_has_the_keys_that_scripts_read() {
    let root = Root::started(RootOptions::default());
    let node = Node::new(NodeOptions::default());
    let created =
        root.json(&["token", "create", "--node", "berlin-1", "--owner", "Example GmbH", "--ip", "127.0.0.1"]);
    check(&created, &["token", "id", "node", "expires_at"]);
    assert_eq!(created["node"], "berlin-1");
    assert_eq!(created.as_object().unwrap().len(), 4);

    let certificate = ["serial", "not_before", "not_after", "issuer_key_id"];
    let file = node.folder().join("token");
    std::fs::write(&file, created["token"].as_str().unwrap()).unwrap();
    let enrolled = node.json(&["enroll", "--token-file", file.to_str().unwrap()]);
    check(&enrolled, &certificate);
    let mut node = node;
    node.start();
    let renewed = node.json(&["renew"]);
    check(&renewed, &certificate);

    let status = node.status();
    check(
        &status,
        &["node", "enabled", "disabled_reason", "certificate", "last_renewal", "last_renewal_error"],
    );
    check(&status["certificate"], &[certificate.as_slice(), &["renewal_address", "renew_at"]].concat());
    assert_eq!(status["node"], "berlin-1");
    assert_eq!((&status["enabled"], &status["disabled_reason"]), (&json!(true), &Value::Null));
    for key in certificate {
        assert_eq!(status["certificate"][key], renewed[key]);
    }

    let status = root.json(&["status"]);
    check(&status, &["trust_domain", "authority", "nodes", "enabled", "disabled_reason"]);
    check(&status["authority"], &["serial", "not_after", "key_id"]);
    assert_eq!((&status["nodes"], &status["enabled"]), (&json!(1), &json!(true)));
    assert_eq!(status["authority"]["key_id"], renewed["issuer_key_id"]);
    let shown = root.json(&["authority", "show"]);
    check(&shown, &["serial", "not_before", "not_after", "key_id", "standing", "upstream", "authorities"]);
    for (key, value) in status["authority"].as_object().unwrap() {
        assert_eq!(shown[key], *value);
    }
    assert_eq!(shown["authorities"], json!([status["authority"]]));

    let event = ["sequence", "id", "name", "severity", "time", "serial", "node", "status"];
    check_events(&root, &event);
    check_events(&node, &event);
    let listed = ["serial", "node", "not_before", "not_after", "status"];
    let of_node = root.json(&["certificates", "list", "--node", "berlin-1"]);
    check_all(&of_node, &listed);
    let statuses: Vec<_> = of_node.as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["current", "superseded"]);
    assert_eq!(root.json(&["certificates", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(root.json(&["certificates", "list", "--node", "nobody"]), json!([]));
    let shown = root.json(&["certificates", "show", renewed["serial"].as_str().unwrap()]);
    check(&shown, &listed);
    assert!(shown["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    check_all(&root.json(&["nodes", "list"]), &["name", "owner", "serial", "not_after"]);
    check(&root.json(&["nodes", "show", "berlin-1"]), &["name", "owner", "serial", "not_after"]);
    check_all(&root.json(&["token", "list"]), &["id", "node", "owner", "status", "expires_at", "serial"]);
}

/// Checks `events list`: every event has these keys, a sequence number above the last, and a name.
fn check_events(service: &Service, keys: &[&str]) {
    let events = service.json(&["events", "list"]);
    let mut last = 0;
    for event in events.as_array().unwrap() {
        for key in keys {
            assert!(event.get(key).is_some(), "`{key}` is not in {event}");
        }
        check(event, &["time"]);
        assert!(event["sequence"].as_u64().unwrap() > last, "{event}");
        last = event["sequence"].as_u64().unwrap();
        assert!(event["name"].as_str().unwrap().ends_with("Event"), "{event}");
        assert!(["info", "warning", "error"].contains(&event["severity"].as_str().unwrap()), "{event}");
        assert!(["active", "ended"].contains(&event["status"].as_str().unwrap()), "{event}");
    }
    assert!(last > 0);
}

#[test]
fn tables_have_a_heading_and_one_line_for_each_thing() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let tables: [(&Service, &[&str], &str, usize); 6] = [
        (&root, &["token", "list"], "ID NODE OWNER STATUS EXPIRES AT SERIAL", 1),
        (&root, &["nodes", "list"], "NAME OWNER SERIAL NOT AFTER DECOMMISSIONED AT", 1),
        (&root, &["certificates", "list"], "SERIAL NODE NOT BEFORE NOT AFTER STATUS", 1),
        (&root, &["certificates", "list", "--node", "nobody"], "SERIAL NODE NOT BEFORE NOT AFTER STATUS", 0),
        (
            &root,
            &["events", "list"],
            "SEQUENCE TIME ID NAME SEVERITY STATUS SCOPE TARGET ACTIVATED BY EXPECTED END ENDED AT NODE MESSAGE",
            4,
        ),
        (
            &node,
            &["events", "list", "--id", "100"],
            "SEQUENCE TIME ID NAME SEVERITY STATUS SCOPE TARGET ACTIVATED BY EXPECTED END ENDED AT NODE MESSAGE",
            1,
        ),
    ];
    for (service, arguments, heading, rows) in tables {
        let shown = service.run(arguments);
        assert_eq!(shown.stderr, "");
        let shown = shown.ok();
        let mut lines = shown.lines();
        let found: Vec<_> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(found.join(" "), heading);
        assert_eq!(lines.count(), rows, "{shown}");
        assert!(!shown.contains('\u{1b}'), "colour where no terminal is: {shown}");
    }
    let status = node.run(&["status"]).ok();
    let line = status.lines().find(|line| line.starts_with("certificate.serial")).unwrap();
    assert!(line.ends_with(&node.serial()), "{status}");
}

/// Checks what a refused command prints for people and for programs.
fn check_refused(service: &Service, arguments: &[&str], reason: &str, words: &[&str]) {
    let ran = service.run(arguments).refused(1, words);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(&format!("\nreason: {reason}\n")), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let ran = service.run(&[arguments, &["--output", "json"]].concat()).refused(1, &[]);
    assert_eq!(ran.stdout, "");
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    let keys: Vec<_> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error", "reason", "metadata"]);
    assert_eq!(error["reason"], reason);
    assert!(words.iter().all(|word| error["error"].as_str().unwrap().contains(word)), "{error}");
    assert!(error["metadata"].is_object());
}

#[test]
fn what_is_refused_says_why_in_words_and_as_json() {
    let root = Root::started(RootOptions::default());
    let mut node = Node::new(NodeOptions::default());
    check_refused(&node, &["status"], "SERVICE_UNREACHABLE", &["admin.sock", "start it with `serve`"]);
    check_refused(&root, &["nodes", "show", "nobody"], "NODE_UNKNOWN", &["no node nobody", "nodes list"]);
    check_refused(&root, &["certificates", "show", "42"], "CERTIFICATE_UNKNOWN", &["no certificate 42"]);
    check_refused(&root, &["token", "revoke", "42"], "TOKEN_UNKNOWN", &["no token 42", "token list"]);
    let bad_name = ["token", "create", "--node", "-", "--owner", "Example GmbH"];
    check_refused(&root, &bad_name, "INVALID_ARGUMENT", &["`-` is no name for a node"]);
    check_refused(&node, &["enroll", "--token", "nonsense"], "TOKEN_UNKNOWN", &["no enrolment token"]);
    node.start();
    check_refused(&node, &["renew"], "NOT_ENROLLED", &["license-service enroll"]);
    node.enroll(&root.token("berlin-1"));
    let used = root.json(&["token", "list"])[0]["id"].as_str().unwrap().to_owned();
    check_refused(
        &root,
        &["token", "revoke", &used],
        "TOKEN_ALREADY_USED",
        &[&used, "nothing is left to revoke"],
    );
}

#[test]
fn bad_usage_ends_with_2_and_says_what_is_missing() {
    let (root, node) = (Root::new(RootOptions::default()), Node::new(NodeOptions::default()));
    let bad: [(&Service, &[&str], &str); 9] = [
        (&root, &[], "Usage"),
        (&root, &["dance"], "unrecognized subcommand"),
        (&root, &["token", "create", "--node", "a"], "--owner"),
        (&root, &["token", "create", "--node", "a", "--owner", "b", "--ttl", "soon"], "is not a duration"),
        (&root, &["status", "--output", "yaml"], "json"),
        (&root, &["nodes", "show"], "<NAME>"),
        (&node, &["enroll"], "--token"),
        (&node, &["enroll", "--token", "a", "--token-file", "b"], "cannot be used with"),
        (&node, &["renew", "--samekey"], "--same-key"),
    ];
    for (service, arguments, words) in bad {
        service.run(arguments).refused(2, &[words]);
    }
    for service in [&*root, &*node] {
        assert!(service.run(&["--version"]).ok().contains("0."));
    }
}

/// The names under `Commands:` in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let section = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

/// Checks the help of a command and of all below it; returns how many there are.
fn check_help(service: &Service, path: &[&str]) -> usize {
    let help = service.run(&[path, &["--help"]].concat()).ok();
    let example =
        help.split("Example:\n").nth(1).unwrap_or_else(|| panic!("no example for {path:?}: {help}"));
    assert!(!example.trim().is_empty(), "{help}");
    if let Some(last) = path.last() {
        assert!(example.contains(last), "the example for {path:?} shows another command: {help}");
    }
    let below = subcommands(&help);
    1 + below.iter().map(|name| check_help(service, &[path, &[name.as_str()]].concat())).sum::<usize>()
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let (root, node) = (Root::new(RootOptions::default()), Node::new(NodeOptions::default()));
    assert!(check_help(&root, &[]) >= 19);
    assert!(check_help(&node, &[]) >= 10);
}

#[test]
fn completions_for_three_shells_know_every_command() {
    let (root, node) = (Root::new(RootOptions::default()), Node::new(NodeOptions::default()));
    for service in [&*root, &*node] {
        let commands = subcommands(&service.run(&["--help"]).ok());
        for shell in ["bash", "zsh", "fish"] {
            let script = service.run(&["completions", shell]).ok();
            for command in &commands {
                assert!(script.contains(command), "`{command}` is not in the completions for {shell}");
            }
            if shell == "bash" {
                let Ran { code, stderr, .. } = run_with_input(Command::new(tool("bash")).arg("-n"), &script);
                assert_eq!((code, stderr.as_str()), (0, ""));
            }
        }
        service.run(&["completions", "abacus"]).refused(2, &["bash"]);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let root = Root::started(RootOptions::default());
    let listing = root.command(&["events", "list"]);
    let words: Vec<_> = std::iter::once(listing.get_program())
        .chain(listing.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let script = format!("set -o pipefail; {} | true", words.join(" "));
    assert_eq!(run(Command::new(tool("bash")).args(["-c", &script])).code, 0);
}
