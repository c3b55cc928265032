//! A month, its statement, and what comes late.

use licensor_tests::{FakeClock, Node, NodeOptions, instant, wait_for};
use serde_json::json;

use super::{assert_used, metered, report, rfc3339};

const ACCEPTED: &str = "USAGE_OUTCOME_ACCEPTED";

/// Sets the clock to an instant, and waits until the server has noticed that it jumped.
fn jump(node: &Node, clock: &mut FakeClock, to: &str) {
    let jumps = || node.json(&["events", "list", "--id", "105"]).as_array().unwrap().len();
    let before = jumps();
    clock.set_to(instant(&json!(to)));
    wait_for("the jump of the clock", || (jumps() > before).then_some(()));
}

#[test]
fn usage_counts_once_through_kills_and_a_month_ends_with_a_statement_that_stays_as_it_is() {
    let mut clock = FakeClock::new();
    // Noon of the first of a month of its own, far from its ends in any time zone.
    let start = instant(&json!("2031-03-02T12:00:00Z"));
    clock.set_to(start);
    let tables = "[expiry]\ncheck_interval = \"1s\"\n".to_owned();
    let (_root, mut node) = metered(NodeOptions { environment: clock.environment(), tables });
    node.json(&["assignments", "add", "--module", "crm", "--user", "anna"]);
    let now = rfc3339(start);
    for number in 0..16_u64 {
        let first = report(&node, &number.to_string(), 1, &now);
        assert_eq!(first["outcome"], ACCEPTED, "{first}");
        if number % 5 == 0 {
            node.kill();
            node.start();
        }
        let again = report(&node, &number.to_string(), 1, &now);
        assert_eq!(again["outcome"], "USAGE_OUTCOME_DUPLICATE", "{again}");
    }
    assert_eq!(report(&node, "3", 2, &now)["reason"], "USAGE_ID_CONFLICT");
    assert_eq!(report(&node, "f", 1, &rfc3339(start + 3600))["reason"], "USAGE_TIME_INVALID");
    assert_used(&node, 16, 16);
    // 85 % and 100 % of 10 and 5 for the one user.
    for id in ["140", "141"] {
        assert_eq!(node.json(&["events", "list", "--id", id]).as_array().unwrap().len(), 1, "event {id}");
    }
    let shown = |month: &str| node.json(&["statements", "show", month]);
    assert_eq!(shown("2031-03")["state"], "draft");

    // March ends at 22:00 UTC in Berlin. In the 72 hours after that what comes late is still counted in it.
    for (minute, late) in [("2031-03-31T22:05:00Z", "late-1"), ("2031-04-03T21:55:00Z", "late-2")] {
        jump(&node, &mut clock, minute);
        assert_eq!(report(&node, late, 1, &now)["outcome"], ACCEPTED);
        let draft = shown("2031-03");
        assert_eq!(draft["state"], "draft", "{draft}");
    }
    clock.set_to(instant(&json!("2031-04-03T22:00:01Z")));
    wait_for("the statement to be final", || (shown("2031-03")["state"] == "final").then_some(()));
    let last = shown("2031-03");
    let line = &last["lines"][0];
    assert_eq!((&line["used"], &line["surplus"]), (&json!(18), &json!(3)), "{last}");

    // From then on it is the next statement that says what comes late.
    assert_eq!(report(&node, "late-3", 4, &now)["outcome"], ACCEPTED);
    assert_eq!(shown("2031-03"), last, "what is final stays as it is");
    let next = shown("2031-04");
    let [adjustment] = next["adjustments"].as_array().unwrap().as_slice() else { panic!("{next}") };
    assert_eq!((&adjustment["month"], &adjustment["service"]), (&json!("2031-03"), &json!("mail")), "{next}");
    let csv = node.run(&["statements", "show", "2031-03", "--format", "csv"]).ok();
    assert!(csv.contains("mail") && csv.lines().count() >= 2, "{csv}");
    jump(&node, &mut clock, "2031-05-04T12:00:00Z");
    wait_for("the next one to be final", || (shown("2031-04")["state"] == "final").then_some(()));
    assert_eq!(shown("2031-04")["adjustments"], next["adjustments"]);
    assert_eq!(shown("2031-03"), last);
}
