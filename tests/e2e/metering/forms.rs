//! CloudEvents in both forms, from a foreign client.

use licensor_tests::{NodeOptions, call};
use serde_json::{Value, json};

use super::{REPORT_USAGE, assert_used, cloud_event, metered, rfc3339};

/// What became of each event: `ACCEPTED`, `DUPLICATE`, or the reason.
fn results(answer: &Value) -> Vec<String> {
    let result = |result: &Value| match result["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => result["outcome"].as_str().unwrap().trim_start_matches("USAGE_OUTCOME_").to_owned(),
    };
    answer["results"].as_array().unwrap().iter().map(result).collect()
}

#[test]
fn cloud_events_one_by_one_and_in_batches_are_counted_once_however_they_come_again() {
    let (_root, node) = metered(NodeOptions::default());
    let now = licensor_tests::FakeClock::new().now();
    let (one, two, three) = (
        cloud_event("1", 3, &rfc3339(now)),
        cloud_event("2", 4, &rfc3339(now)),
        cloud_event("3", 5, &rfc3339(now)),
    );
    let report = |request: Value| results(&call(&node, REPORT_USAGE, &request.to_string()).json());
    let request = json!({
        "items": [{ "cloudEvent": one.to_string() }],
        "cloudEvents": json!([two, three]).to_string(),
    });
    assert_eq!(report(request.clone()), ["ACCEPTED"; 3]);
    assert_eq!(report(request), ["DUPLICATE"; 3]);
    // The other way round, as a message, and with an attribute more: it is the same usage.
    let mut more = two.clone();
    (more["datacontenttype"], more["subject"]) = (json!("application/json"), json!("Example GmbH"));
    let event = json!({
        "source": "urn:app", "id": "3", "service": "mail", "vendor": "Example", "quantity": "5",
        "time": rfc3339(now),
    });
    let request = json!({
        "items": [{ "cloudEvent": more.to_string() }, { "event": event }],
        "cloudEvents": json!([one]).to_string(),
    });
    assert_eq!(report(request), ["DUPLICATE"; 3]);
    // The same identifier with another quantity or time; one that is new beside them is counted.
    let (mut larger, mut later) = (one, two);
    larger["data"]["quantity"] = json!(30);
    later["time"] = json!(rfc3339(now - 1));
    let request = json!({
        "items": [{ "cloudEvent": larger.to_string() }],
        "cloudEvents": json!([later, cloud_event("4", 1, &rfc3339(now))]).to_string(),
    });
    assert_eq!(report(request), ["USAGE_ID_CONFLICT", "USAGE_ID_CONFLICT", "ACCEPTED"]);
    assert_used(&node, 3 + 4 + 5 + 1, 4);
    let refused = json!({ "cloudEvents": cloud_event("5", 1, &rfc3339(now)).to_string() });
    call(&node, REPORT_USAGE, &refused.to_string()).refused(64 + 3, &["CLOUD_EVENT_INVALID"]);
    for (result, count) in [("accepted", 4.0), ("duplicate", 6.0), ("USAGE_ID_CONFLICT", 2.0)] {
        let metric = format!("licensor_usage_events_total{{result=\"{result}\"}}");
        assert_eq!(node.metric(&metric), Some(count), "{metric}");
    }
}
