//! Events that an administrator adds and ends, as he and everyone else sees them.

use std::thread;

use licensor_tests::{Grpc, Node, NodeOptions, Root, RootOptions, Service, Watch, run_with_input, wait_for};
use serde_json::{Value, json};

fn node() -> (Root, Node) {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    (root, node)
}

fn add(node: &Service, arguments: &[&str]) -> Value {
    node.json(&[&["events", "add"], arguments].concat())
}

fn active(node: &Service) -> Value {
    node.json(&["events", "list", "--active"])
}

fn sequence(event: &Value) -> String {
    event["sequence"].to_string()
}

#[test]
fn an_administrator_adds_and_ends_an_event_and_everyone_sees_it() {
    let (_root, mut node) = node();
    let watch = Watch::start(&node);
    let added = add(
        &node,
        &[
            "--kind",
            "maintenance",
            "--description",
            "The disks are exchanged.",
            "--expected-end",
            "2h",
            "--scope",
            "database",
            "--target",
            "sales",
        ],
    );
    assert_eq!((&added["id"], &added["name"]), (&json!(161), &json!("MaintenanceEvent")));
    assert_eq!((&added["status"], &added["activated_by"]), (&json!("active"), &json!("uid:0")));
    assert_eq!((&added["scope"], &added["target"]), (&json!("database"), &json!("sales")));
    assert_eq!(added["message"], "Maintenance: The disks are exchanged.");
    assert_eq!((&added["ended_at"], &added["ended_by"]), (&Value::Null, &Value::Null));
    let two_hours = licensor_tests::instant(&added["expected_end"]) - licensor_tests::instant(&added["time"]);
    assert!((7_199..=7_200).contains(&two_hours), "{two_hours}");
    assert_eq!(active(&node), json!([added]));
    let table = node.run(&["events", "list", "--active"]).ok();
    for word in [
        "ACTIVATED BY",
        "EXPECTED END",
        "ENDED AT",
        "SCOPE",
        "active",
        "uid:0",
        "database",
        "sales",
        "The disks",
    ] {
        assert!(table.contains(word), "{word} is not in: {table}");
    }
    // As anyone reads it over the network, by each filter.
    let port = Grpc::any_tls(&node.address());
    let list = |filter: &Value| {
        let answer = port.call("licensor.event.v1.EventService/ListEvents", filter).unwrap();
        answer["events"].as_array().cloned().unwrap_or_default()
    };
    for filter in [
        json!({ "scope": "SCOPE_DATABASE" }),
        json!({ "target": "sales" }),
        json!({ "status": "EVENT_STATUS_ACTIVE", "scope": "SCOPE_DATABASE", "target": "sales", "id": 161 }),
    ] {
        let listed = list(&filter);
        assert_eq!(listed.len(), 1, "{filter}: {listed:?}");
        assert_eq!(listed[0]["scope"], "SCOPE_DATABASE");
        assert_eq!((&listed[0]["target"], &listed[0]["activatedBy"]), (&json!("sales"), &json!("uid:0")));
        assert!(listed[0]["expectedEndTime"].is_string());
    }
    for filter in [json!({ "scope": "SCOPE_USER" }), json!({ "target": "sale" })] {
        assert!(list(&filter).is_empty(), "{filter}");
    }

    assert_eq!(node.stop(), 0);
    node.start();
    assert_eq!(active(&node), json!([added]));
    let ended = node.json(&["events", "end", &sequence(&added)]);
    assert_eq!((&ended["status"], &ended["ended_by"]), (&json!("ended"), &json!("uid:0")));
    assert!(ended["ended_at"].is_string());
    assert_eq!(active(&node), json!([]));
    assert_eq!(node.json(&["events", "list", "--scope", "database", "--id", "161"]), json!([ended]));
    drop(watch);
    // Whoever watches learns of both.
    let watch = Watch::start(&node);
    let told = wait_for("word of the end", || watch.seen().into_iter().find(|event| event["id"] == 159));
    assert_eq!(told["arguments"], json!({ "name": "MaintenanceEvent", "sequence": sequence(&added) }));
    assert_eq!((&told["activated_by"], &told["target"]), (&json!("uid:0"), &json!("sales")));
    let again = add(
        &node,
        &["--kind", "maintenance", "--description", "x", "--scope", "database", "--target", "sales"],
    );
    let seen = || watch.seen().into_iter().find(|event| event["sequence"] == again["sequence"]);
    assert_eq!(wait_for("the next one", seen)["status"], "active");
}

#[test]
fn of_two_who_add_the_same_at_once_one_succeeds_and_the_other_is_told_which_is_active() {
    let (_root, node) = node();
    let arguments = ["events", "add", "--kind", "no-login", "--description", "Closed.", "--output", "json"];
    let ran: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| node.run(&arguments))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(ran.iter().filter(|ran| ran.code == 0).count(), 1);
    let listed = active(&node);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for ran in ran.into_iter().filter(|ran| ran.code != 0) {
        let refused: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(refused["reason"], "EVENT_ALREADY_ACTIVE");
        assert_eq!(refused["metadata"]["sequence"], sequence(&listed[0]));
    }
    // Of another kind or for others there may be one.
    add(&node, &["--kind", "message-of-the-day", "--description", "Closed."]);
    add(&node, &["--kind", "no-login", "--description", "Closed.", "--scope", "group", "--target", "guests"]);
    assert_eq!(active(&node).as_array().unwrap().len(), 3);
}

#[test]
fn text_passes_as_it_is() {
    let (_root, mut node) = node();
    let texts = [
        "<script>alert('{description}')</script> & \"quotes\" \\ %s ${HOME} `id`",
        "first line\nsecond line\n\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
        "Wartung – 保守作業 – صيانة – 🛠",
    ];
    let longest = "ü".repeat(1000);
    for text in texts.iter().copied().chain([longest.as_str()]) {
        let added = add(&node, &["--kind", "message-of-the-day", "--description", text]);
        assert_eq!((&added["message"], &added["arguments"]["description"]), (&json!(text), &json!(text)));
        let by_socket = Grpc::unix(&node.data("admin.sock"))
            .call("licensor.event.v1.EventService/ListEvents", &json!({ "status": "EVENT_STATUS_ACTIVE" }))
            .unwrap();
        assert_eq!(by_socket["events"][0]["message"], *text);
        node.json(&["events", "end", &sequence(&added)]);
    }
    for line in node.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_ne!(line["message"], "forged");
    }
    assert_eq!(node.stop(), 0);
    // Nor in a log for people does a text look like a line of its own.
    node.set("LICENSOR_LICENSE__LOG__FORMAT", "pretty");
    node.start();
    add(&node, &["--kind", "message-of-the-day", "--description", "one\nFORGED"]);
    wait_for("the line", || node.log().contains("one / FORGED").then_some(()));
    assert!(!node.log().lines().any(|line| line.trim_start().starts_with("FORGED")));

    let too_long = "x".repeat(1001);
    for wrong in ["", &too_long, "a\tb", "a\r\nb", "\u{1b}[2J"] {
        let arguments = ["events", "add", "--kind", "no-login", "--description", wrong];
        node.run(&arguments).refused(1, &["description", "INVALID_ARGUMENT"]);
    }
}

#[test]
fn what_cannot_be_ended_or_added_says_why() {
    let (_root, node) = node();
    node.run(&["events", "end", "4711"]).refused(1, &["EVENT_UNKNOWN", "events list"]);
    let enabled = node.json(&["events", "list", "--id", "103"]);
    let words = ["EVENT_NOT_ENDED_BY_HAND", "ServiceEnabledEvent"];
    node.run(&["events", "end", &sequence(&enabled[0])]).refused(1, &words);
    let added = add(&node, &["--kind", "no-login", "--description", "Closed."]);
    node.run(&["events", "end", &sequence(&added)]).ok();
    node.run(&["events", "end", &sequence(&added)]).refused(1, &["EVENT_ALREADY_ENDED", "uid:0"]);

    let add = ["events", "add", "--description", "x", "--kind"];
    let with = |more: &[&'static str]| node.run(&[&add[..], more].concat());
    with(&["party"]).refused(2, &["no-login", "maintenance", "message-of-the-day"]);
    with(&["no-login", "--scope", "database"]).refused(1, &["target must name the database"]);
    with(&["no-login", "--target", "sales"]).refused(1, &["the whole system has no target"]);
    with(&["no-login", "--expected-end", "2020-01-01T00:00:00Z"]).refused(1, &["must lie ahead"]);
    with(&["no-login", "--expected-end", "tomorrow"]).refused(2, &["2027-03-31T22:00:00Z", "2h"]);
    // The contract's own form, without a kind.
    let ran = run_with_input(
        &mut Grpc::unix(&node.data("admin.sock"))
            .command("licensor.licensing.v1.LicensingAdminService/AddEvent"),
        "{\"description\": \"x\"}",
    );
    assert!(ran.stderr.contains("kind must be one of SystemEventKind"), "{}", ran.stderr);
    assert_eq!(active(&node), json!([]));
}
