//! A clock that is set while the services run.

use licensor_tests::{DAY, acquire, health, wait_for};

use super::{CLOCK_JUMPED, EXPIRED, Pair, events, wait_for_warnings};

#[test]
fn a_clock_that_jumps_past_the_end_is_noticed_and_disables_the_service() {
    let mut pair = Pair::started();
    let serial = pair.node.serial();
    let not_after = pair.not_after();
    let jump = not_after + DAY - pair.clock.now();
    pair.jump_to(not_after + DAY);
    for service in [&*pair.root, &*pair.node] {
        let [event] = &events(service, CLOCK_JUMPED)[..] else { panic!("the jump is not told once") };
        let seconds: i64 = event["arguments"]["seconds"].as_str().unwrap().parse().unwrap();
        assert!((jump - 10..=jump + 10).contains(&seconds), "{seconds} instead of {jump}");
        wait_for_warnings(service, &serial, &[EXPIRED]);
    }
    assert_eq!(health(&pair.node), "NOT_SERVING");
    let answer = acquire(&pair.node);
    assert!(answer.stderr.contains("LICENSOR_CERTIFICATE_EXPIRED"), "{}", answer.stderr);
}

#[test]
fn a_clock_that_is_set_back_disables_the_service_until_it_is_right_again() {
    let mut pair = Pair::started();
    let now = pair.clock.now();
    pair.jump_to(now - DAY);
    assert_eq!(health(&pair.node), "NOT_SERVING");
    assert_eq!(pair.node.ops("/readyz").0, 503);
    assert_eq!(pair.node.status()["disabled_reason"], "LICENSOR_CERTIFICATE_NOT_YET_VALID");
    let answer = acquire(&pair.node);
    for words in ["FailedPrecondition", "LICENSOR_CERTIFICATE_NOT_YET_VALID", "set the clock"] {
        assert!(answer.stderr.contains(words), "`{words}` is not in: {}", answer.stderr);
    }
    // A renewal now would only make the damage last; it is refused with the same advice, and nothing is lost.
    let serial = pair.node.serial();
    pair.node.run(&["renew"]).refused(1, &["NOT_YET_VALID", "set the clock"]);
    assert_eq!(pair.root.json(&["certificates", "list"]).as_array().unwrap().len(), 1);

    let right = pair.clock.now() + DAY;
    pair.jump_to(right);
    assert_eq!(health(&pair.node), "SERVING");
    assert_eq!(pair.node.serial(), serial);
    acquire(&pair.node).ok();
    pair.node.json(&["renew"]);
    wait_for("the word that the service is enabled", || {
        let told: Vec<_> = pair.node.event_ids().into_iter().filter(|id| [103, 104].contains(id)).collect();
        (told == [103, 104, 103]).then_some(())
    });
}
