//! Usage that is refused: batches that are too large, and servers that meter nothing.

use licensor_tests::{Line, Node, NodeOptions, Root, RootOptions, block_on, call};
use proto::licensing::v1::{UsageOutcome, metering_service_client::MeteringServiceClient};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{REPORT_USAGE, batch, cloud_event, streamed};

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
        too_large(&block_on(client.report_usage(batch("e", count, 0))).unwrap_err());
        let requests = tokio_stream::iter([streamed(batch("e", 2, 0)), streamed(batch("e", count, 0))]);
        block_on(async {
            let mut answers = client.report_usage_stream(requests).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().answer.unwrap();
            assert_eq!(answer.results.len(), 2);
            too_large(&answers.message().await.unwrap_err());
        });
    }
    // What is taken is judged one by one.
    let answer = block_on(client.report_usage(batch("e", 1_000, 0))).unwrap().into_inner();
    assert_eq!(answer.results.len(), 1_000);
    for result in answer.results {
        assert_eq!((result.outcome(), result.reason.as_str()), (UsageOutcome::Refused, "SERVICE_UNKNOWN"));
    }
}

#[test]
fn a_server_without_entitlements_says_so_to_foreign_clients_and_on_the_command_line() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let event = cloud_event("1", 3, "2026-11-30T12:00:00Z").to_string();
    let request = json!({
        "items": [{ "cloudEvent": event }, { "cloudEvent": "{" }],
        "cloudEvents": format!("[{event}]"),
    });
    let answer = call(&node, REPORT_USAGE, &request.to_string()).json();
    let reasons: Vec<_> = answer["results"].as_array().unwrap().iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(reasons, ["SERVICE_UNKNOWN", "CLOUD_EVENT_INVALID", "SERVICE_UNKNOWN"]);
    assert_eq!(node.json(&["usage", "show"]), json!([]));
    assert_eq!(node.json(&["statements", "list"]), json!([]));
    let check = node.json(&["usage", "check"]);
    assert_eq!((&check["events"], &check["agree"]), (&0.into(), &true.into()));
    node.run(&["statements", "show", "2026-11"]).refused(1, &["reason: STATEMENT_UNKNOWN"]);
    node.run(&["usage", "show", "--month", "11/2026"]).refused(1, &["`11/2026` is not a month"]);
    node.run(&["usage", "show", "--vendor", "nobody"]).refused(1, &["reason: SERVICE_UNKNOWN"]);
}
