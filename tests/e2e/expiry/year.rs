//! A year in a minute: 16, 17 and 18 in order, the refusal at expiry, the recovery.

use licensor_tests::{DAY, Node, Service, Watch, acquire, call, health, instant, wait_for};
use serde_json::Value;

use super::{EXPIRED, MONTH, Pair, WEEK, events, wait_for_warnings, warnings};

const ALL: [(u64, &str, &str, i64); 3] = [
    (MONTH, "LicensorCertExpiresInOneMonthEvent", "warning", 30 * DAY),
    (WEEK, "LicensorCertExpiresInOneWeekEvent", "warning", 7 * DAY),
    (EXPIRED, "LicensorCertExpiredEvent", "error", 0),
];

#[test]
fn a_year_ends_with_a_month_a_week_and_an_end_each_told_once_and_a_renewal_brings_the_service_back() {
    let mut pair = Pair::started();
    let watches = [Watch::start(&pair.root), Watch::start(&pair.node)];
    let serial = pair.node.serial();
    let not_after = pair.not_after();

    // The year goes by; the service works.
    pair.jump_to(not_after - 200 * DAY);
    pair.jump_to(not_after - 30 * DAY - 3600);
    pair.let_them_look();
    for service in [&*pair.root, &*pair.node] {
        assert_eq!(warnings(service, &serial), [] as [u64; 0]);
    }
    for raised in 1..=2 {
        pair.clock.set_to(not_after - ALL[raised - 1].3);
        let expected: Vec<u64> = ALL[..raised].iter().map(|(id, ..)| *id).collect();
        for service in [&*pair.root, &*pair.node] {
            wait_for_warnings(service, &serial, &expected);
        }
        assert_works(&pair.node);
    }

    // The last seconds: licences are issued until the very end, and none lasts longer than the certificate.
    pair.clock.set_to(not_after - 3);
    let refused = wait_for("the refusal", || {
        let answer = acquire(&pair.node);
        if answer.code != 0 {
            return Some(answer);
        }
        assert!(instant(&answer.json()["expireTime"]) <= not_after);
        None
    });
    assert!(pair.clock.now() >= not_after, "it was refused before the end");
    for words in ["FailedPrecondition", "LICENSOR_CERTIFICATE_EXPIRED", "license-service renew"] {
        assert!(refused.stderr.contains(words), "`{words}` is not in: {}", refused.stderr);
    }
    assert_disabled(&pair.node);
    for service in [&*pair.root, &*pair.node] {
        wait_for_warnings(service, &serial, &[MONTH, WEEK, EXPIRED]);
        assert_shown(service, &serial, not_after);
    }
    for watch in &watches {
        wait_for("the watchers to see the end", || {
            let seen: Vec<_> = watch.seen().into_iter().filter(|event| event["serial"] == serial).collect();
            let ids = seen.iter().map(|event| event["id"].as_u64().unwrap()).filter(|id| *id < 100);
            (ids.collect::<Vec<_>>() == [MONTH, WEEK, EXPIRED]).then_some(())
        });
    }

    // Not again after a restart, which changes nothing.
    assert_eq!([pair.root.stop(), pair.node.stop()], [0, 0]);
    pair.root.start();
    pair.node.start();
    assert_disabled(&pair.node);
    pair.let_them_look();
    for service in [&*pair.root, &*pair.node] {
        assert_eq!(warnings(service, &serial), [MONTH, WEEK, EXPIRED]);
    }

    // A renewal brings it back at once.
    let pid = pair.node.pid();
    let renewed = pair.node.json(&["renew"]);
    assert_works(&pair.node);
    assert_eq!(pair.node.pid(), pid);
    for service in [&*pair.root, &*pair.node] {
        for (id, ..) in ALL {
            let raised = events(service, id);
            let about: Vec<_> = raised.iter().filter(|event| event["serial"] == serial).collect();
            assert!(about.iter().all(|event| event["status"] == "ended"), "{about:?}");
            assert_eq!(about.len(), 1);
        }
    }
    let license = acquire(&pair.node).json();
    assert!(instant(&license["expireTime"]) <= instant(&renewed["not_after"]));
    wait_for("the word that the service is enabled", || {
        let ids = pair.node.event_ids();
        (ids.iter().rposition(|id| *id == 103) > ids.iter().rposition(|id| *id == 104)).then_some(())
    });
}

fn assert_works(node: &Node) {
    assert_eq!(health(node), "SERVING");
    assert_eq!(node.ops("/readyz").0, 200);
    assert_eq!(node.status()["enabled"], true);
    acquire(node).ok();
}

fn assert_disabled(node: &Node) {
    assert_eq!(health(node), "NOT_SERVING");
    let (code, body) = node.ops("/readyz");
    assert_eq!(code, 503);
    assert!(body.contains("LICENSOR_CERTIFICATE_EXPIRED"), "{body}");
    assert_eq!(node.ops("/healthz").0, 200);
    assert_eq!(node.status()["disabled_reason"], "LICENSOR_CERTIFICATE_EXPIRED");
    let list = call(node, "licensor.licensing.v1.LicensingService/ListModules", "{}");
    assert!(list.stderr.contains("LICENSOR_CERTIFICATE_EXPIRED"), "{}", list.stderr);
    let status = call(node, "licensor.licensing.v1.StatusService/GetStatus", "{}").json();
    assert_eq!(status["disabledReason"], "LICENSOR_CERTIFICATE_EXPIRED");
}

/// Each of the three in the list, in the log and in the metrics: once, and at its time.
fn assert_shown(service: &Service, serial: &str, not_after: i64) {
    let log: Vec<Value> = service.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (id, name, severity, left) in ALL {
        let [event] = &events(service, id)[..] else { panic!("event {id} is not there once") };
        assert_eq!((event["name"].as_str(), event["severity"].as_str()), (Some(name), Some(severity)));
        assert_eq!((event["serial"].as_str(), event["node"].as_str()), (Some(serial), Some("berlin-1")));
        assert_eq!(event["status"], "active");
        let late = instant(&event["time"]) - (not_after - left);
        assert!((0..60).contains(&late), "event {id} came {late} s after its time");
        let lines: Vec<_> = log.iter().filter(|line| line["event_id"] == id).collect();
        let [line] = lines[..] else { panic!("event {id} is not in the log once: {lines:?}") };
        assert_eq!((line["event_name"].as_str(), line["severity"].as_str()), (Some(name), Some(severity)));
        assert_eq!(line["level"], if severity == "error" { "ERROR" } else { "WARN" });
        let metric = format!("licensor_events_total{{id=\"{id}\",name=\"{name}\"}}");
        assert_eq!(service.metric(&metric), Some(1.0), "{metric}");
    }
}
