//! Access: who may call the licensing server over the network, and what everyone else is told.

mod certificates;

use std::{
    fs,
    path::{Path, PathBuf},
};

use licensor::{
    clock::SystemClock,
    error::{Error, Reason},
};
use licensor_tests::{
    FakeClock, Grpc, Line, Node, NodeOptions, Pending, Refusal, Root, RootOptions, Wire, block_on, wait_for,
};
use proto::licensing::v1::{
    AcquireLicenseRequest, AcquireLicenseResponse, ListModulesRequest, ReportUsageRequest,
    ReportUsageStreamRequest, licensing_service_client::LicensingServiceClient,
    metering_service_client::MeteringServiceClient,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const ACQUIRE: &str = "licensor.licensing.v1.LicensingService/AcquireLicense";
const LIST: &str = "licensor.licensing.v1.LicensingService/ListModules";

fn node(tables: &str) -> (Root, Node) {
    let root = Root::started(RootOptions::default());
    let options = NodeOptions { tables: tables.into(), ..NodeOptions::default() };
    let node = Node::started(&root, "berlin-1", options);
    (root, node)
}

fn create(node: &Node, arguments: &[&str]) -> Value {
    node.json(&[&["access", "create", "--name", "billing"], arguments].concat())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn port(node: &Node) -> Grpc {
    Grpc::any_tls(&node.address())
}

fn order() -> Value {
    json!({ "vendor": "Example", "module": "crm", "subject": "anna" })
}

/// Checks that a call is refused with these words.
fn check(grpc: &Grpc, method: &str, reason: &str, words: &[&str]) -> Box<Refusal> {
    let refusal = grpc.call(method, &order_of(method)).expect_err(reason);
    let code = match reason {
        "ACCESS_NOT_ALLOWED" => 7,
        "OVERLOADED" => 8,
        _ => 16,
    };
    assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason), "{refusal:?}");
    for word in words {
        assert!(refusal.message.contains(word), "`{word}` is not in: {refusal:?}");
    }
    refusal
}

fn order_of(method: &str) -> Value {
    if method == ACQUIRE { order() } else { json!({}) }
}

/// The files of a service in which this text stands.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if let Ok(octets) = fs::read(&path)
            && octets.windows(needle.len()).any(|window| window == needle)
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_token_opens_what_it_was_made_for_and_its_secret_is_kept_nowhere() {
    let (_root, mut node) = node("");
    let created =
        create(&node, &["--allow", "licenses", "--allow", "usage", "--ttl", "30d", "--owner", "Finance"]);
    let keys: Vec<_> = created.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys[..6], ["token", "id", "name", "owner", "allows", "status"]);
    assert_eq!((&created["name"], &created["owner"]), (&json!("billing"), &json!("Finance")));
    assert_eq!(created["allows"], json!(["licenses", "usage"]));
    let token = text(&created["token"]);
    assert!(token.starts_with(&format!("lic_{}_", text(&created["id"]))), "{token}");
    assert_eq!(created["last_used_at"], Value::Null);

    let grpc = port(&node).bearing(token);
    assert!(text(&grpc.call(ACQUIRE, &order()).unwrap()["license"]).starts_with("ey"));
    grpc.call(LIST, &json!({})).unwrap();
    let table = node.run(&["access", "list"]).ok();
    let listed = node.json(&["access", "list"]);
    assert!(listed[0]["last_used_at"].is_string(), "{listed}");
    assert_eq!((&listed[0]["status"], &listed[0]["created_by"]), (&json!("active"), &json!("uid:0")));

    let secret = token.split('_').nth(2).unwrap();
    assert_eq!(secret.len(), 64);
    let events = node.json(&["events", "list", "--id", "150"]);
    assert_eq!(events[0]["arguments"]["name"], "billing");
    assert_eq!(events[0]["activated_by"], "uid:0");
    for shown in [table, listed.to_string(), events.to_string(), node.log()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(node.stop(), 0);
    let octets: Vec<_> = (0..32).map(|at| u8::from_str_radix(&secret[at * 2..][..2], 16).unwrap()).collect();
    assert_eq!(files_with(node.folder(), secret.as_bytes()), [] as [PathBuf; 0]);
    assert_eq!(files_with(node.folder(), &octets), [] as [PathBuf; 0]);
    assert!(!files_with(node.folder(), b"Finance").is_empty(), "the search finds what is there");

    node.start();
    port(&node).bearing(token).call(ACQUIRE, &order()).unwrap();
}

#[test]
fn who_shows_no_good_token_is_told_what_to_do_and_leaves_nothing_behind() {
    let (_root, node) = node("");
    let token = text(&create(&node, &[])["token"]).to_owned();
    let other = {
        let (_root, other) = self::node("");
        text(&create(&other, &[])["token"]).to_owned()
    };
    let (log, events) = (node.log(), node.event_ids());
    for method in [ACQUIRE, LIST] {
        check(
            &port(&node),
            method,
            "ACCESS_TOKEN_REQUIRED",
            &["license-service access create", "authorization"],
        );
        let mistyped = format!("{}0", &token[..token.len() - 1]);
        let mistyped = if mistyped == token { format!("{}1", &token[..token.len() - 1]) } else { mistyped };
        for wrong in [mistyped.as_str(), &token[..40], "secret", &token.replace("lic_", "LIC_")] {
            let refusal = check(&port(&node).bearing(wrong), method, "ACCESS_TOKEN_UNKNOWN", &["mistyped"]);
            assert!(!refusal.message.contains(wrong), "{refusal:?}");
        }
        check(&port(&node).bearing(&other), method, "ACCESS_TOKEN_UNKNOWN", &["did not give out"]);
        let forged = format!("{}{}", &token[..20], &other[20..85]);
        let forged = format!("{forged}_{:08x}", crc32fast::hash(forged.as_bytes()));
        check(&port(&node).bearing(&forged), method, "ACCESS_TOKEN_UNKNOWN", &["did not give out"]);
    }
    assert_eq!((node.log(), node.event_ids()), (log, events));
    assert_eq!(
        node.metric(r#"licensor_access_total{caller="nobody",result="ACCESS_TOKEN_REQUIRED"}"#),
        Some(2.0)
    );
    assert_eq!(
        node.metric(r#"licensor_access_total{caller="token",result="ACCESS_TOKEN_UNKNOWN"}"#),
        Some(12.0)
    );
    // What was open to everyone still is.
    for method in [
        "licensor.licensing.v1.StatusService/GetStatus",
        "licensor.event.v1.EventService/ListEvents",
        "grpc.health.v1.Health/Check",
    ] {
        port(&node).call(method, &json!({})).unwrap();
    }
    // The administrator needs no token on the socket.
    Grpc::unix(&node.data("admin.sock")).call(LIST, &json!({})).unwrap();
}

#[test]
fn a_token_for_something_else_names_what_is_missing() {
    let (_root, node) = node("");
    let created = create(&node, &["--allow", "statements"]);
    let grpc = port(&node).bearing(text(&created["token"]));
    let words = ["`licenses`", "license-service access create --name billing --allow licenses"];
    for method in [ACQUIRE, LIST] {
        let refusal = check(&grpc, method, "ACCESS_NOT_ALLOWED", &words);
        assert_eq!(refusal.metadata["missing"], "licenses");
    }
    node.run(&["access", "create", "--name", "x", "--allow", "everything"])
        .refused(2, &["licenses", "statements"]);
    node.run(&["access", "create", "--name", "x", "--ttl", "11y"])
        .refused(1, &["ten years", "INVALID_ARGUMENT"]);
    node.run(&["access", "create", "--name", ""]).refused(1, &["name", "INVALID_ARGUMENT"]);
    node.run(&["access", "revoke", "0011223344556677"])
        .refused(1, &["access list", "ACCESS_TOKEN_ID_UNKNOWN"]);
}

#[test]
fn a_revoked_token_is_refused_at_once_on_open_connections_and_in_the_middle_of_a_call() {
    let (root, node) = node("");
    let created = create(&node, &[]);
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let revoked = line.bearing(created["token"].as_str());
    let list = |wire: &Wire| {
        block_on(LicensingServiceClient::new(wire.clone()).list_modules(ListModulesRequest::default()))
            .map_err(Error::from)
    };
    list(&revoked).unwrap();
    let path = "/licensor.licensing.v1.LicensingService/AcquireLicense";
    let call = Pending::<AcquireLicenseRequest, AcquireLicenseResponse>::begin(&revoked, path);
    wait_for("the call", || (node.metric("licensor_calls_under_way") == Some(1.0)).then_some(()));

    let shown = node.json(&["access", "revoke", text(&created["id"])]);
    assert_eq!(shown["status"], "revoked");
    let clock = SystemClock::shared();
    assert_eq!(Error::from(call.outcome().unwrap_err()).reason, Reason::AccessTokenRevoked);
    // Long before the call would have been ended anyway.
    assert!(clock.elapsed().as_secs() < 10, "it took {:?}", clock.elapsed());
    let refusal = list(&revoked).unwrap_err();
    assert_eq!(refusal.reason, Reason::AccessTokenRevoked);
    assert!(refusal.message.contains("license-service access create"), "{refusal}");
    list(&line.channel).unwrap();
    assert_eq!(line.opened(), 1);
    assert_eq!(node.json(&["events", "list", "--id", "151"])[0]["arguments"]["token"], created["id"]);
    node.run(&["access", "revoke", text(&created["id"])]).ok();
    assert_eq!(node.event_ids().iter().filter(|id| **id == 151).count(), 1);
}

#[test]
fn a_stream_that_is_open_ends_when_its_token_is_revoked() {
    let (root, node) = node("");
    let created = create(&node, &["--allow", "usage"]);
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let mut client = MeteringServiceClient::new(line.bearing(created["token"].as_str()));
    let (sender, batches) = mpsc::channel(1);
    let batch = ReportUsageStreamRequest { batch: Some(ReportUsageRequest::default()) };
    let mut answers = block_on(async {
        sender.send(batch.clone()).await.unwrap();
        let answers = client.report_usage_stream(ReceiverStream::new(batches)).await;
        let mut answers = answers.unwrap().into_inner();
        answers.message().await.unwrap().unwrap();
        answers
    });
    node.json(&["access", "revoke", text(&created["id"])]);
    let clock = SystemClock::shared();
    // Nothing is sent or to be answered: the server ends it.
    let ended = Error::from(block_on(answers.message()).unwrap_err());
    assert_eq!(ended.reason, Reason::AccessTokenRevoked);
    assert!(clock.elapsed().as_secs() < 10, "it took {:?}", clock.elapsed());
}

#[test]
fn a_token_expires_by_the_clock_of_the_server() {
    let mut clock = FakeClock::new();
    let root = Root::started(RootOptions::default());
    let options = NodeOptions { environment: clock.environment(), ..NodeOptions::default() };
    let node = Node::started(&root, "berlin-1", options);
    let created = create(&node, &["--ttl", "1h"]);
    let grpc = port(&node).bearing(text(&created["token"]));
    grpc.call(LIST, &json!({})).unwrap();
    clock.advance(3_590);
    grpc.call(LIST, &json!({})).unwrap();
    clock.advance(10);
    check(
        &grpc,
        LIST,
        "ACCESS_TOKEN_EXPIRED",
        &[text(&created["expires_at"]), "license-service access create"],
    );
    assert_eq!(node.json(&["access", "list"])[0]["status"], "expired");
    // An hour from now, as the server sees it.
    let later = text(&create(&node, &["--ttl", "1h"])["expires_at"]).to_owned();
    assert_eq!(create(&node, &["--expires", &later])["expires_at"], later);
    let past = text(&created["expires_at"]);
    node.run(&["access", "create", "--name", "x", "--expires", past])
        .refused(1, &["lie ahead", "INVALID_ARGUMENT"]);
    node.run(&["access", "create", "--name", "x", "--expires", "soon"]).refused(2, &["2027-03-31T22:00:00Z"]);
}

#[test]
fn past_its_rate_a_caller_is_told_when_to_come_back_and_others_are_not_held_up() {
    let (root, node) = node("[access]\ncalls_per_second = 1\nburst = 5\nconcurrent_calls = 1\n");
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let token = create(&node, &[]);
    let caller = line.bearing(token["token"].as_str());
    let list = |wire: &Wire| {
        block_on(LicensingServiceClient::new(wire.clone()).list_modules(ListModulesRequest::default()))
            .map_err(Error::from)
    };
    let refusals: Vec<_> = (0..50).filter_map(|_| list(&caller).err()).collect();
    assert!(refusals.len() >= 40, "{}", refusals.len());
    for refusal in &refusals {
        assert_eq!(refusal.reason, Reason::Overloaded, "{refusal}");
        assert!(refusal.message.contains("access.calls_per_second"), "{refusal}");
        assert!(refusal.retry_after.is_some_and(|wait| wait.as_secs() < 2), "{refusal:?}");
    }
    // A call that is open has the only place.
    let path = "/licensor.licensing.v1.LicensingService/AcquireLicense";
    let _open = Pending::<AcquireLicenseRequest, AcquireLicenseResponse>::begin(&line.channel, path);
    wait_for("the call", || (node.metric("licensor_calls_under_way") == Some(1.0)).then_some(()));
    let refusal = list(&line.channel).unwrap_err();
    assert_eq!(refusal.reason, Reason::Overloaded);
    assert!(refusal.message.contains("access.concurrent_calls"), "{refusal}");
}
