//! What is counted, what is not, and that nothing is counted twice.

use super::*;

const ZONE: &str = "Europe/Amsterdam";

#[tokio::test]
async fn an_event_counts_once_and_another_content_is_a_conflict() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    let usage = scene.usage("1", 7);
    assert_eq!(scene.report(std::slice::from_ref(&usage)).await, [Outcome::Accepted]);
    assert_eq!(scene.report(std::slice::from_ref(&usage)).await, [Outcome::Duplicate]);
    // Vendor and owner may be named or not: it is the same.
    let named = Reported { vendor: "acme".into(), owner: "Example GmbH".into(), ..usage.clone() };
    assert_eq!(scene.report(&[named]).await, [Outcome::Duplicate]);
    for other in [
        Reported { quantity: 8, ..usage.clone() },
        Reported { service: "logins".into(), ..usage.clone() },
        Reported { vendor: "other".into(), ..usage.clone() },
        at(usage.clone(), "2026-11-10T11:59:59Z"),
        Reported { time: usage.time.map(|(seconds, _)| (seconds, 1)), ..usage.clone() },
    ] {
        assert_eq!(refusal(&scene.report(&[other]).await[0]), Reason::UsageIdConflict);
    }
    // Of another source it is another one.
    let elsewhere = Reported { source: "app-2".into(), ..usage.clone() };
    assert_eq!(scene.report(&[elsewhere]).await, [Outcome::Accepted]);
    assert_eq!(scene.used("2026-11").await, 14);
    assert_eq!(scene.check().await, 2);
    let scene = scene.reopen().await;
    assert_eq!(scene.report(&[usage]).await, [Outcome::Duplicate]);
    assert_eq!((scene.used("2026-11").await, scene.check().await), (14, 2));
}

#[tokio::test]
async fn every_item_of_a_batch_has_a_result_of_its_own() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    let usage = |id: &str| Ok(scene.usage(id, 1));
    let batch = vec![
        usage("a"),
        usage("a"),
        Ok(Reported { quantity: 0, ..scene.usage("b", 1) }),
        Ok(scene.usage("a", 2)),
        Err(Error::new(Reason::CloudEventInvalid, "not one")),
        usage("c"),
        Ok(Reported { service: "fax".into(), ..scene.usage("d", 1) }),
        Ok(Reported { owner: "Other Ltd".into(), ..scene.usage("e", 1) }),
    ];
    let outcomes = scene.metering.report(batch.clone()).await.unwrap();
    assert_eq!(outcomes[0], Outcome::Accepted);
    assert_eq!(outcomes[1], Outcome::Duplicate);
    assert_eq!(refusal(&outcomes[2]), Reason::UsageQuantityInvalid);
    assert_eq!(refusal(&outcomes[3]), Reason::UsageIdConflict);
    assert_eq!(refusal(&outcomes[4]), Reason::CloudEventInvalid);
    assert_eq!(outcomes[5], Outcome::Accepted);
    assert_eq!(refusal(&outcomes[6]), Reason::ServiceUnknown);
    assert_eq!(refusal(&outcomes[7]), Reason::UsageOfAnotherOwner);
    // The answer was lost: the same again.
    let again = scene.metering.report(batch).await.unwrap();
    assert_eq!((&again[0], &again[5]), (&Outcome::Duplicate, &Outcome::Duplicate));
    assert_eq!(again[6..], outcomes[6..]);
    assert_eq!((scene.used("2026-11").await, scene.check().await), (2, 2));
}

#[tokio::test]
async fn a_batch_past_the_bound_is_refused_as_a_whole() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    let batch = |count: usize| (0..count).map(|id| Ok(scene.usage(&id.to_string(), 1))).collect();
    let error = scene.metering.report(batch(1001)).await.unwrap_err();
    assert_eq!(error.reason, Reason::UsageBatchTooLarge);
    assert_eq!(error.metadata, [("limit".to_owned(), "1000".to_owned())]);
    assert_eq!(scene.used("2026-11").await, 0);
    assert_eq!(scene.metering.report(batch(1000)).await.unwrap(), vec![Outcome::Accepted; 1000]);
    assert_eq!(scene.metering.report(Vec::new()).await.unwrap(), []);
    assert_eq!(scene.used("2026-11").await, 1000);
}

#[tokio::test]
async fn nothing_is_metered_without_an_entitlement_and_a_vendor_is_named_where_two_have_it() {
    let scene = Scene::open(&[]).await;
    let usage = scene.usage("1", 1);
    let outcome = scene.report(std::slice::from_ref(&usage)).await;
    assert_eq!(refusal(&outcome[0]), Reason::ServiceUnknown);
    let other = Entitlement { vendor: "other".into(), ..acme("Asia/Kolkata") };
    scene.install(&[acme(ZONE), other]);
    let outcome = scene.report(std::slice::from_ref(&usage)).await;
    assert_eq!(refusal(&outcome[0]), Reason::ServiceAmbiguous);
    let named = Reported { vendor: "other".into(), ..usage.clone() };
    assert_eq!(scene.report(&[named]).await, [Outcome::Accepted]);
    // What is known needs no entitlement: an answer that was lost is the same again.
    scene.install(&[]);
    assert_eq!(scene.report(&[usage]).await, [Outcome::Duplicate]);
}

#[tokio::test]
async fn usage_has_a_time_that_is_taken() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    for (id, time, taken) in [
        ("1", "2026-11-10T12:05:00Z", true),
        ("2", "2026-11-10T12:05:01Z", false),
        ("3", "2025-10-06T12:00:00Z", true),
        ("4", "2025-10-06T11:59:59Z", false),
    ] {
        let outcome = scene.report(&[at(scene.usage(id, 1), time)]).await;
        match taken {
            true => assert_eq!(outcome, [Outcome::Accepted], "{time}"),
            false => assert_eq!(refusal(&outcome[0]), Reason::UsageTimeInvalid, "{time}"),
        }
    }
    let outcome = scene.report(&[Reported { time: Some((i64::MIN, 0)), ..scene.usage("5", 1) }]).await;
    assert_eq!(refusal(&outcome[0]), Reason::UsageTimeInvalid);
}

#[tokio::test]
async fn an_unknown_time_zone_is_an_error_by_name() {
    let scene = Scene::open(&[acme("Europe/Nowhere")]).await;
    let outcome = scene.report(&[scene.usage("1", 1)]).await;
    assert_eq!(refusal(&outcome[0]), Reason::TimeZoneUnknown);
    // With an entitlement that has one, it counts.
    scene.install(&[Entitlement { version: 2, ..acme(ZONE) }]);
    scene.count("1", 1).await;
}

#[tokio::test]
async fn a_sum_never_overflows() {
    let mut entitlement = acme(ZONE);
    entitlement.services[0].price.as_mut().unwrap().per = 1;
    let scene = Scene::open(&[entitlement]).await;
    let largest = 1_u64 << 53;
    // 2^64 - 1 is 2047 times 2^53 and 2^53 - 1.
    for hundred in 0..21 {
        let batch: Vec<_> = (hundred * 100..(hundred * 100 + 100).min(2047))
            .map(|id: u32| scene.usage(&id.to_string(), largest))
            .collect();
        assert!(scene.report(&batch).await.iter().all(|outcome| *outcome == Outcome::Accepted));
    }
    let outcome = scene.report(&[scene.usage("more", largest), scene.usage("fits", largest - 1)]).await;
    assert_eq!(refusal(&outcome[0]), Reason::UsageOverflow);
    assert_eq!(outcome[1], Outcome::Accepted);
    assert_eq!(scene.used("2026-11").await, u64::MAX);
    let statement = scene.statement("2026-11").await;
    let amount = statement.lines[1].amount.clone().unwrap();
    assert_eq!((amount.minor_units, amount.exceeded), (i64::MAX, true));
    assert_eq!(scene.check().await, 2048);
}

#[tokio::test]
async fn thresholds_are_told_once_a_month_also_across_a_restart() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    scene.count("1", 84).await;
    assert_eq!(scene.events(EventKind::UsageNearsAllowance).await.len(), 0);
    scene.count("2", 1).await;
    let near = scene.events(EventKind::UsageNearsAllowance).await;
    let arguments = &near[0].event.arguments;
    assert_eq!((arguments["used"].as_str(), arguments["allowance"].as_str()), ("85", "100"));
    let scene = scene.reopen().await;
    scene.count("3", 14).await;
    assert_eq!(scene.events(EventKind::UsageReachedAllowance).await.len(), 0);
    scene.count("4", 1).await;
    scene.count("5", 100).await;
    assert_eq!(scene.events(EventKind::UsageNearsAllowance).await.len(), 1);
    assert_eq!(scene.events(EventKind::UsageReachedAllowance).await.len(), 1);
    // Another month, another service: both in one step.
    scene.now_is("2026-12-10T12:00:00Z").await;
    scene.count("6", 100).await;
    let logins = Reported { service: "logins".into(), ..scene.usage("7", 3) };
    assert_eq!(scene.report(&[logins]).await, [Outcome::Accepted]);
    assert_eq!(scene.events(EventKind::UsageNearsAllowance).await.len(), 3);
    assert_eq!(scene.events(EventKind::UsageReachedAllowance).await.len(), 3);
}

#[tokio::test]
async fn the_allowance_grows_with_the_highest_number_of_users() {
    let mut entitlement = acme(ZONE);
    entitlement.services[0].allowance = Allowance { base: 0, per_user: 10 };
    let scene = Scene::open(&[entitlement]).await;
    // Without users nothing is included, and there is no threshold to pass.
    scene.count("1", 1).await;
    assert_eq!(scene.events(EventKind::UsageReachedAllowance).await.len(), 0);
    for (time, users) in
        [("2026-10-20T00:00:00Z", 9), ("2026-11-02T00:00:00Z", 3), ("2026-11-05T00:00:00Z", 2)]
    {
        let mut batch = Batch::new();
        scene.ledger.note_users(&mut batch, "acme", users, unix_seconds(instant(time))).await.unwrap();
        scene.tamper(batch).await;
    }
    scene.count("2", 75).await;
    assert_eq!(scene.events(EventKind::UsageNearsAllowance).await.len(), 0);
    scene.count("3", 1).await;
    let near = scene.events(EventKind::UsageNearsAllowance).await;
    // Nine users were there when the month began.
    assert_eq!(near[0].event.arguments["allowance"], "90");
    let line = scene.statement("2026-11").await.lines[1].clone();
    let allowance = line.allowance.unwrap();
    assert_eq!((allowance.base, allowance.per_user, allowance.users, allowance.total), (0, 10, 9, 90));
    assert_eq!((line.used, line.surplus), (77, 0));
}

#[tokio::test]
async fn a_recount_finds_what_was_changed() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    scene.count("1", 3).await;
    let month = Month::parse("2026-11").unwrap();
    let counters = scene.ledger.counters(None).await.unwrap();
    let (key, counter) = counters[0].clone();
    assert_eq!((key.month, counter.sum), (month.0, 3));
    let changed = crate::ledger::CounterRecord { sum: 2, ..counter };
    let head = scene.ledger.usage_head().await.unwrap().unwrap();
    let mut change = crate::ledger::UsageChange::new(Some(&head), &head);
    change.counter(&key, Some(&counter), &changed);
    scene.ledger.change_usage(change).await.unwrap();
    let (events, differences) = scene.metering.check(&|_, _| ()).await.unwrap();
    assert_eq!((events, differences.len()), (1, 1));
    assert_eq!((differences[0].counter.sum, differences[0].recount.sum), (2, 3));
}

#[tokio::test]
async fn another_who_counts_on_the_same_store_is_noticed() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    let other = Metering::open(MeteringParts {
        config: scene.config.clone(),
        ledger: scene.ledger.clone(),
        clock: scene.clock.clone(),
        entitlements: scene.entitlements.subscribe(),
        metrics: Metrics::shared(),
    });
    let other = other.await.unwrap();
    for id in 0..20_u64 {
        let usage = scene.usage(&id.to_string(), 1);
        let (first, second) = if id % 2 == 0 { (&scene.metering, &other) } else { (&other, &scene.metering) };
        assert_eq!(first.report(vec![Ok(usage.clone())]).await.unwrap(), [Outcome::Accepted]);
        assert_eq!(second.report(vec![Ok(usage)]).await.unwrap(), [Outcome::Duplicate]);
    }
    assert_eq!((scene.used("2026-11").await, scene.check().await), (20, 20));
}
