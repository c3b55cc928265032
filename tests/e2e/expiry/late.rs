//! Warnings after downtime, for certificates that were replaced, for short lives; and renewals that come too late.

use licensor_tests::{
    DAY, FakeClock, Node, NodeOptions, Root, RootOptions, acquire, health, instant, wait_for,
};

use super::{BY_HAND, CHECK_OFTEN, EXPIRED, MONTH, Pair, WEEK, events, wait_for_warnings, warnings};

#[test]
fn after_downtime_only_the_most_severe_warning_is_raised() {
    let mut pair = Pair::started();
    let serial = pair.node.serial();
    let not_after = pair.not_after();
    for (left, expected) in [(5 * DAY, &[WEEK][..]), (-5 * DAY, &[WEEK, EXPIRED][..])] {
        assert_eq!([pair.root.stop(), pair.node.stop()], [0, 0]);
        pair.clock.set_to(not_after - left);
        pair.root.start();
        pair.node.start();
        for service in [&*pair.root, &*pair.node] {
            wait_for_warnings(service, &serial, expected);
        }
    }
    pair.let_them_look();
    for service in [&*pair.root, &*pair.node] {
        assert_eq!(warnings(service, &serial), [WEEK, EXPIRED]);
    }
}

#[test]
fn a_certificate_that_was_replaced_is_not_warned_of() {
    let mut pair = Pair::started();
    let first = pair.node.serial();
    let first_not_after = pair.not_after();
    pair.jump_to(first_not_after - 100 * DAY);
    pair.node.json(&["renew"]);
    let second = pair.node.serial();
    for left in [29, 6, -1] {
        pair.jump_to(first_not_after - left * DAY);
        pair.let_them_look();
    }
    let second_not_after = pair.not_after();
    pair.clock.set_to(second_not_after - 29 * DAY);
    for service in [&*pair.root, &*pair.node] {
        wait_for_warnings(service, &second, &[MONTH]);
        assert_eq!(warnings(service, &first), [] as [u64; 0]);
        assert_eq!(events(service, EXPIRED).len() + events(service, WEEK).len(), 0);
    }
    // The renewal ends what was said of the certificate before.
    pair.node.json(&["renew"]);
    for service in [&*pair.root, &*pair.node] {
        assert_eq!(events(service, MONTH)[0]["status"], "ended");
        assert!(!events(service, MONTH)[0]["ended_at"].is_null());
    }
}

#[test]
fn past_the_time_for_late_renewals_only_a_new_token_helps() {
    let mut pair = Pair::with_root("[certificate]\nrenew_after_expiry = \"10d\"\n");
    let first = pair.node.serial();
    let not_after = pair.not_after();
    pair.jump_to(not_after + 10 * DAY - 60);
    let second = pair.node.json(&["renew"])["serial"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(health(&pair.node), "SERVING");

    let not_after = pair.not_after();
    pair.jump_to(not_after + 10 * DAY + 1);
    pair.node.run(&["renew"]).refused(1, &["CERTIFICATE_EXPIRED", "new token"]);
    assert_eq!(pair.node.serial(), second);
    let status = pair.node.status();
    assert!(status["last_renewal_error"].as_str().unwrap().contains("new token"), "{status}");
    assert_eq!(health(&pair.node), "NOT_SERVING");
    wait_for_warnings(&pair.node, &second, &[EXPIRED]);

    let pid = pair.node.pid();
    pair.node.enroll(&pair.root.token("berlin-1"));
    assert_eq!(health(&pair.node), "SERVING");
    assert_eq!(pair.node.pid(), pid);
    acquire(&pair.node).ok();
    assert!(pair.node.status()["last_renewal_error"].is_null());
    let listed = pair.root.json(&["certificates", "list", "--node", "berlin-1"]);
    let statuses: Vec<_> = listed.as_array().unwrap().iter().map(|c| c["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["current", "superseded", "superseded"]);
    for service in [&*pair.root, &*pair.node] {
        assert!(events(service, EXPIRED).iter().all(|event| event["status"] == "ended"));
    }
}

#[test]
fn a_certificate_of_one_minute_has_its_warnings_in_its_last_seconds() {
    let mut clock = FakeClock::new();
    let root = Root::started(RootOptions {
        tables: format!("{CHECK_OFTEN}[certificate]\nvalidity = \"1m\"\n"),
        environment: clock.environment(),
        ..RootOptions::default()
    });
    let options = NodeOptions { tables: BY_HAND.into(), environment: clock.environment() };
    let node = Node::started(&root, "berlin-1", options);
    let serial = node.serial();
    let not_after = instant(&node.status()["certificate"]["not_after"]);
    clock.set_to(not_after - 8);
    for service in [&*root, &*node] {
        wait_for_warnings(service, &serial, &[MONTH, WEEK, EXPIRED]);
        // A twelfth of a minute, and a fifty-second: shares of it as 30 and 7 days are of a year.
        let left = |id| not_after - instant(&events(service, id)[0]["time"]);
        assert!((3..=5).contains(&left(MONTH)), "{} s were left", left(MONTH));
        assert!((0..=2).contains(&left(WEEK)), "{} s were left", left(WEEK));
        assert!((-2..=0).contains(&left(EXPIRED)), "{} s were left", left(EXPIRED));
    }
    wait_for("the refusal", || (acquire(&node).code != 0).then_some(()));
    node.json(&["renew"]);
    acquire(&node).ok();
}
