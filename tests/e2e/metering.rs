//! Metering: what reporters see over the network, and administrators on the command line.

use licensor_tests::{
    ENTITLEMENT, FakeClock, Line, Node, NodeOptions, Root, RootOptions, block_on, call, instant, wait_for,
};
use proto::licensing::v1::{
    ReportUsageRequest, ReportUsageStreamRequest, UsageEvent, UsageItem, UsageOutcome,
    metering_service_client::MeteringServiceClient, usage_item::Form,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const REPORT_USAGE: &str = "licensor.licensing.v1.MeteringService/ReportUsage";

fn batch(count: usize) -> ReportUsageRequest {
    let event = |id: usize| UsageEvent {
        id: format!("event-{id:08}"),
        source: "urn:example:app".into(),
        service: "mail".into(),
        quantity: 1,
        time: Some(std::time::UNIX_EPOCH.into()),
        ..UsageEvent::default()
    };
    let items = (0..count).map(|id| UsageItem { form: Some(Form::Event(event(id))) }).collect();
    ReportUsageRequest { items, ..ReportUsageRequest::default() }
}

/// Checks that a batch was refused as a whole, and that the refusal says how many are taken.
#[track_caller]
fn too_large(status: &Status) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (Code::InvalidArgument, "USAGE_BATCH_TOO_LARGE"));
    assert_eq!(info.metadata["limit"], "1000");
    assert!(status.message().contains("1000"), "{status:?}");
}

#[test]
fn a_batch_past_the_bound_is_refused_by_name_however_large_it_is() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let channel = Line::open(&node, &root.data("trust-anchor.pem")).channel;
    let mut client = MeteringServiceClient::new(channel);
    // The second one is too large to be read at all.
    for count in [1_001, 100_000] {
        too_large(&block_on(client.report_usage(batch(count))).unwrap_err());
        let request = ReportUsageStreamRequest { batch: Some(batch(count)) };
        let small = ReportUsageStreamRequest { batch: Some(batch(2)) };
        let requests = tokio_stream::iter([small, request]);
        block_on(async {
            let mut answers = client.report_usage_stream(requests).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().answer.unwrap();
            assert_eq!(answer.results.len(), 2);
            too_large(&answers.message().await.unwrap_err());
        });
    }
    // What is taken is judged one by one.
    let answer = block_on(client.report_usage(batch(1_000))).unwrap().into_inner();
    assert_eq!(answer.results.len(), 1_000);
    for result in answer.results {
        assert_eq!((result.outcome(), result.reason.as_str()), (UsageOutcome::Refused, "SERVICE_UNKNOWN"));
    }
}

#[test]
fn a_server_without_entitlements_says_so_to_foreign_clients_and_on_the_command_line() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let cloud_event = r#"{"specversion": "1.0", "id": "1", "source": "urn:app", "type": "mail",
        "time": "2026-11-30T12:00:00Z", "data": {"quantity": 3}}"#;
    let request = serde_json::json!({
        "items": [{ "cloudEvent": cloud_event }, { "cloudEvent": "{" }],
        "cloudEvents": format!("[{cloud_event}]"),
    });
    let answer = call(&node, REPORT_USAGE, &request.to_string()).json();
    let reasons: Vec<_> = answer["results"].as_array().unwrap().iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(reasons, ["SERVICE_UNKNOWN", "CLOUD_EVENT_INVALID", "SERVICE_UNKNOWN"]);
    assert_eq!(node.json(&["usage", "show"]), serde_json::json!([]));
    assert_eq!(node.json(&["statements", "list"]), serde_json::json!([]));
    let check = node.json(&["usage", "check"]);
    assert_eq!((&check["events"], &check["agree"]), (&0.into(), &true.into()));
    node.run(&["statements", "show", "2026-11"]).refused(1, &["reason: STATEMENT_UNKNOWN"]);
    node.run(&["usage", "show", "--month", "11/2026"]).refused(1, &["`11/2026` is not a month"]);
    node.run(&["usage", "show", "--vendor", "nobody"]).refused(1, &["reason: SERVICE_UNKNOWN"]);
}

const SERVICES: &str = r#"
[[services]]
name = "mail"
unit = "e-mail"
allowance = { base = 10, per_user = 5 }
price = { minor_units = 2, currency = "EUR", per = 1 }
"#;

/// A root and a licensing server whose owner has e-mails metered.
fn metered(environment: Vec<(String, String)>) -> (Root, Node) {
    let tables = "[expiry]\ncheck_interval = \"1s\"\n".to_owned();
    let root = Root::started(RootOptions { environment: environment.clone(), ..RootOptions::default() });
    let token = root.token("berlin-1");
    root.entitle(&format!("{ENTITLEMENT}{SERVICES}"));
    let mut node = Node::new(NodeOptions { environment, tables });
    node.enroll(&token);
    node.start();
    wait_for("the service", || (!node.json(&["usage", "show"]).as_array()?.is_empty()).then_some(()));
    (root, node)
}

/// Reports a CloudEvent with this id and quantity, `time` as RFC 3339; its result.
fn report(node: &Node, id: &str, quantity: u64, time: &str) -> Value {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "urn:app", "type": "mail", "time": time,
        "data": { "quantity": quantity },
    });
    let data = json!({ "items": [{ "cloudEvent": event.to_string() }] }).to_string();
    call(node, REPORT_USAGE, &data).json()["results"][0].clone()
}

fn rfc3339(seconds: i64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.unsigned_abs());
    humantime::format_rfc3339_seconds(at).to_string()
}

#[test]
fn usage_counts_once_through_kills_and_a_month_ends_with_a_statement_that_stays_as_it_is() {
    let mut clock = FakeClock::new();
    // Noon of the first of a month of its own, far from its ends in any time zone.
    let start = instant(&json!("2031-03-02T12:00:00Z"));
    clock.set_to(start);
    let (_root, mut node) = metered(clock.environment());
    node.json(&["assignments", "add", "--module", "crm", "--user", "anna"]);
    let now = rfc3339(start);
    for number in 0..16_u64 {
        let first = report(&node, &number.to_string(), 1, &now);
        assert_eq!(first["outcome"], "USAGE_OUTCOME_ACCEPTED", "{first}");
        if number % 5 == 0 {
            node.kill();
            node.start();
        }
        let again = report(&node, &number.to_string(), 1, &now);
        assert_eq!(again["outcome"], "USAGE_OUTCOME_DUPLICATE", "{again}");
    }
    assert_eq!(report(&node, "3", 2, &now)["reason"], "USAGE_ID_CONFLICT");
    assert_eq!(report(&node, "f", 1, &rfc3339(start + 3600))["reason"], "USAGE_TIME_INVALID");
    let used = &node.json(&["usage", "show"])[0];
    assert_eq!(used["used"], 16, "{used}");
    // 85 % and 100 % of 10 and 5 for the one user.
    for id in ["140", "141"] {
        assert_eq!(node.json(&["events", "list", "--id", id]).as_array().unwrap().len(), 1, "event {id}");
    }
    assert_eq!(node.json(&["usage", "check"])["agree"], true);
    let draft = node.json(&["statements", "show", "2031-03"]);
    assert_eq!(draft["state"], "draft", "{draft}");

    clock.set_to(instant(&json!("2031-04-04T12:00:00Z")));
    wait_for("the statement to be final", || {
        (node.json(&["statements", "show", "2031-03"])["state"] == "final").then_some(())
    });
    let last = node.json(&["statements", "show", "2031-03"]);
    let line = &last["lines"][0];
    assert_eq!((&line["used"], &line["surplus"]), (&json!(16), &json!(1)), "{last}");
    assert_eq!(report(&node, "late", 4, &now)["outcome"], "USAGE_OUTCOME_ACCEPTED");
    assert_eq!(node.json(&["statements", "show", "2031-03"]), last, "what is final stays as it is");
    let next = node.json(&["statements", "show", "2031-04"]);
    assert!(next["adjustments"].as_array().is_some_and(|late| !late.is_empty()), "{next}");
    let csv = node.run(&["statements", "show", "2031-03", "--format", "csv"]).ok();
    assert!(csv.contains("mail") && csv.lines().count() >= 2, "{csv}");
}
