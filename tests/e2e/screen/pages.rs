//! Every page, in every language, at every width, light and dark.

use licensor_tests::{DAY, FakeClock, NodeOptions, scenario, wait_for};
use serde_json::json;

use super::{acquire, assign, office, report, seats};

#[track_caller]
fn every_page_is_whole(language: &str) {
    let mut clock = FakeClock::new();
    let tables = "[expiry]\ncheck_interval = \"1s\"\n".into();
    let (root, mut node) = office(NodeOptions { environment: clock.environment(), tables });
    for user in ["anna", "ben", "carl"] {
        assign(&node, user);
    }
    acquire(&node, "dora@example.com");
    let time = |clock: &FakeClock| {
        let since = std::time::Duration::from_secs(clock.now().unsigned_abs());
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
    };
    report(&node, "mail", 123_456, &time(&clock));
    report(&node, "storage", 512_000, &time(&clock));
    // The month ends, and its statement becomes final.
    clock.advance(36 * DAY);
    let statement = wait_for("a final statement", || {
        let listed = node.json(&["statements", "list"]);
        listed.as_array()?.iter().find(|statement| statement["state"] == "final").cloned()
    });
    report(&node, "mail", 14, &time(&clock));
    let described = ["--description", "The disks are exchanged.", "--expected-end", "2h"];
    let added = node.json(&[&["events", "add", "--kind", "maintenance"][..], &described].concat());
    // The next version has fewer seats than are in use.
    root.entitle(&seats(2));
    node.run(&["entitlement", "check"]).ok();
    acquire(&node, "dora@example.com");
    scenario(&mut node, "pages", &[("LANGUAGE_TAG", language)], |_, what, _| {
        assert_eq!(what, "what there is");
        json!({ "event": added["sequence"], "month": statement["month"] })
    });
}

#[test]
fn every_page_is_whole_in_english() {
    every_page_is_whole("en");
}

#[test]
fn every_page_is_whole_in_dutch() {
    every_page_is_whole("nl");
}

#[test]
fn every_page_is_whole_in_swedish() {
    every_page_is_whole("sv");
}
