//! Pages that are open while something happens.

use licensor_tests::{FakeClock, NodeOptions, instant, scenario};
use serde_json::Value;

use super::{acquire, nothing, office, office_below};

#[test]
fn an_open_page_shows_what_happens_and_outlives_a_restart() {
    let (_root, mut node) = office(NodeOptions::default());
    scenario(&mut node, "live", &[], |node, what, details| {
        match what {
            "acquire" => acquire(node, details.as_str().unwrap()),
            "stop" => assert_eq!(node.stop(), 0),
            "start" => node.start(),
            _ => return nothing(node, what, details),
        }
        Value::Null
    });
}

#[test]
fn an_open_page_says_at_once_that_the_certificate_was_revoked() {
    let tables = "[revocation]\npoll_interval = \"1s\"\n".into();
    let (root, mut node) = office(NodeOptions { tables, ..NodeOptions::default() });
    let serial = node.serial();
    let settings = [
        ("NAME", "revoked"),
        ("TEXT", "Nothing is issued: the licensor certificate was revoked on"),
        ("NEXT", "with a new token, run license-service enroll"),
    ];
    scenario(&mut node, "disabled", &settings, |node, what, details| {
        assert_eq!(what, "disable", "{details} {node:?}");
        root.json(&["certificates", "revoke", &serial])
    });
}

#[test]
fn an_open_page_says_at_once_that_the_certificate_has_expired_and_renews_it() {
    let mut clock = FakeClock::new();
    let tables = "[expiry]\ncheck_interval = \"1s\"\n[renewal]\nautomatic = false\n".into();
    // Less than a session lasts.
    let below = "[certificate]\nvalidity = \"4h\"\n";
    let (_root, mut node) = office_below(below, NodeOptions { environment: clock.environment(), tables });
    let settings = [
        ("NAME", "expired"),
        ("TEXT", "Nothing is issued: the licensor certificate expired on"),
        ("NEXT", "Renew it on the Status page, or with license-service renew. It works again at once."),
    ];
    scenario(&mut node, "disabled", &settings, |node, _, _| {
        clock.set_to(instant(&node.json(&["status"])["certificate"]["not_after"]) + 1);
        Value::Null
    });
}
