//! Metering: what reporters see over the network, and administrators on the command line.

mod crashes;
mod forms;
mod load;
mod months;
mod refusals;
mod states;

use std::time::{Duration, SystemTime};

use licensor_tests::{ENTITLEMENT, Node, NodeOptions, Root, RootOptions, call, wait_for};
use proto::licensing::v1::{
    ReportUsageRequest, ReportUsageResponse, ReportUsageStreamRequest, UsageEvent, UsageItem, UsageOutcome,
    usage_item::Form,
};
use serde_json::{Value, json};

const REPORT_USAGE: &str = "licensor.licensing.v1.MeteringService/ReportUsage";

/// What the owner has metered.
const SERVICES: &str = r#"
[[services]]
name = "mail"
unit = "e-mail"
allowance = { base = 10, per_user = 5 }
price = { minor_units = 2, currency = "EUR", per = 1 }
"#;

/// A root, and a licensing server with these tables whose owner has e-mails metered.
fn metered(options: NodeOptions) -> (Root, Node) {
    let root =
        Root::started(RootOptions { environment: options.environment.clone(), ..RootOptions::default() });
    let token = token(&root);
    let mut node = Node::new(options);
    node.enroll(&token);
    node.start();
    wait_for_service(&node);
    (root, node)
}

/// A token of a root for a licensing server whose owner has e-mails metered.
fn token(root: &Root) -> String {
    let token = root.token("berlin-1");
    root.entitle(&format!("{ENTITLEMENT}{SERVICES}"));
    token
}

fn wait_for_service(node: &Node) {
    wait_for("the service", || (!node.json(&["usage", "show"]).as_array()?.is_empty()).then_some(()));
}

/// A usage event with this id: one e-mail at `seconds` since 1970.
fn event(id: &str, seconds: i64) -> UsageEvent {
    UsageEvent {
        id: id.to_owned(),
        source: "urn:example:app".into(),
        service: "mail".into(),
        quantity: 1,
        time: Some(at(seconds).into()),
        ..UsageEvent::default()
    }
}

/// A batch with so many events, whose ids begin like this.
fn batch(name: &str, count: usize, seconds: i64) -> ReportUsageRequest {
    let item = |id| UsageItem { form: Some(Form::Event(event(&format!("{name}-{id:08}"), seconds))) };
    ReportUsageRequest { items: (0..count).map(item).collect(), ..ReportUsageRequest::default() }
}

fn streamed(batch: ReportUsageRequest) -> ReportUsageStreamRequest {
    ReportUsageStreamRequest { batch: Some(batch) }
}

/// What became of each event.
fn outcomes(answer: &ReportUsageResponse) -> Vec<UsageOutcome> {
    answer.results.iter().map(proto::licensing::v1::UsageResult::outcome).collect()
}

/// Reports a CloudEvent with this id and quantity, `time` as RFC 3339; its result.
fn report(node: &Node, id: &str, quantity: u64, time: &str) -> Value {
    let data = json!({ "items": [{ "cloudEvent": cloud_event(id, quantity, time).to_string() }] });
    call(node, REPORT_USAGE, &data.to_string()).json()["results"][0].clone()
}

fn cloud_event(id: &str, quantity: u64, time: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "urn:app", "type": "mail", "time": time,
        "data": { "quantity": quantity },
    })
}

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn rfc3339(seconds: i64) -> String {
    humantime::format_rfc3339_seconds(at(seconds)).to_string()
}

/// E-mails of the current month.
fn used(node: &Node) -> u64 {
    node.json(&["usage", "show"])[0]["used"].as_u64().unwrap()
}

/// Checks that so many e-mails of so many events were counted, and that a recount says the same.
#[track_caller]
fn assert_used(node: &Node, quantity: u64, events: u64) {
    let shown = node.json(&["usage", "show"]);
    assert_eq!((&shown[0]["used"], &shown[0]["events"]), (&json!(quantity), &json!(events)), "{shown}");
    let check = node.json(&["usage", "check"]);
    assert_eq!((&check["events"], &check["agree"]), (&json!(events), &json!(true)), "{check}");
}
