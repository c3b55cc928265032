use std::time::Duration;

use licensor::event::EventFilter;
use tokio::task::JoinSet;

use super::*;
use crate::{access::test_bench::Bench, config::AccessConfig};

const HOUR: Duration = Duration::from_secs(3600);

async fn open() -> (Bench, SystemEvents) {
    let bench = Bench::open(AccessConfig::default()).await;
    let events = SystemEvents { ledger: bench.ledger.clone(), clock: bench.clock.clone() };
    (bench, events)
}

fn notice(kind: EventKind) -> Notice {
    let description = "The disks are exchanged.".into();
    Notice { kind, description, expected_end: None, scope: Scope::System, target: String::new() }
}

fn about(scope: Scope, target: &str) -> Notice {
    Notice { scope, target: target.into(), ..notice(EventKind::Maintenance) }
}

async fn active(bench: &Bench) -> Vec<u64> {
    let filter = EventFilter { active: Some(true), ..EventFilter::default() };
    let (events, next) = bench.ledger.events().list(1, 1000, &filter).await.unwrap();
    assert_eq!(next, None);
    events.iter().map(|found| found.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_active_until_it_is_ended_whatever_was_expected() {
    let (bench, events) = open().await;
    let end = bench.now() + HOUR;
    let notice = Notice { expected_end: Some(end), ..about(Scope::Database, "sales") };
    let added = events.add(&notice, "uid:7").await.unwrap();
    assert_eq!((added.sequence, added.ended, added.time), (1, None, bench.now()));
    assert_eq!(added.event.kind.message(&added.event.arguments), "Maintenance: The disks are exchanged.");
    assert_eq!((added.event.activated_by.as_str(), added.event.expected_end), ("uid:7", Some(end)));
    assert_eq!((added.event.scope, added.event.target.as_str()), (Scope::Database, "sales"));
    bench.clock.advance(HOUR * 24 * 365);
    assert_eq!(active(&bench).await, [1]);
    let ended = events.end(1, "uid:8").await.unwrap();
    assert_eq!((ended.ended, ended.ended_by.as_str()), (Some(bench.now()), "uid:8"));
    assert_eq!(ended.event.activated_by, "uid:7");
    assert!(active(&bench).await.is_empty());
    let told = bench.ledger.events().find(2).await.unwrap().unwrap();
    assert_eq!(told.event.kind, EventKind::EventEnded);
    assert_eq!((told.event.arguments["sequence"].as_str(), told.event.scope), ("1", Scope::Database));
    let again = events.end(1, "uid:9").await.unwrap_err();
    assert_eq!(again.reason, Reason::EventAlreadyEnded);
    assert!(again.message.contains("uid:8"), "{again}");
    // Its place is free again.
    assert_eq!(events.add(&notice_after(notice), "uid:7").await.unwrap().sequence, 3);
}

fn notice_after(notice: Notice) -> Notice {
    Notice { expected_end: None, ..notice }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_of_a_kind_scope_and_target_and_the_other_is_named() {
    let (bench, events) = open().await;
    let notices = [
        notice(EventKind::NoLogin),
        notice(EventKind::Maintenance),
        notice(EventKind::MessageOfTheDay),
        about(Scope::Database, "a"),
        about(Scope::Database, "b"),
        about(Scope::Group, "a"),
        about(Scope::User, "a"),
        about(Scope::User, "a/b"),
    ];
    for (sequence, notice) in (1..).zip(&notices) {
        assert_eq!(events.add(notice, "uid:0").await.unwrap().sequence, sequence);
    }
    for (sequence, notice) in (1_u64..).zip(&notices) {
        let other = Notice { description: "Something else.".into(), ..notice.clone() };
        let refused = events.add(&other, "uid:0").await.unwrap_err();
        assert_eq!(refused.reason, Reason::EventAlreadyActive);
        assert!(refused.metadata.contains(&("sequence".into(), sequence.to_string())), "{refused:?}");
        assert!(refused.message.contains(&format!("events end {sequence}")), "{refused}");
    }
    assert_eq!(active(&bench).await.len(), notices.len());
    assert_eq!(bench.event_ids().await.len(), notices.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_add_or_end_at_once_one_succeeds() {
    let (bench, events) = open().await;
    let mut calls = JoinSet::new();
    for administrator in 0..32 {
        let events = events.clone();
        calls.spawn(
            async move { events.add(&notice(EventKind::NoLogin), &format!("uid:{administrator}")).await },
        );
    }
    let outcomes = calls.join_all().await;
    let (added, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((added.len(), refused.len()), (1, 31));
    for refused in refused {
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason, Reason::EventAlreadyActive);
        assert!(refused.metadata.contains(&("sequence".into(), "1".into())), "{refused:?}");
    }
    let mut calls = JoinSet::new();
    for administrator in 0..32 {
        let events = events.clone();
        calls.spawn(async move { events.end(1, &format!("uid:{administrator}")).await });
    }
    let outcomes = calls.join_all().await;
    let (ended, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((ended.len(), refused.len()), (1, 31));
    for refused in refused {
        assert_eq!(refused.unwrap_err().reason, Reason::EventAlreadyEnded);
    }
    assert_eq!(bench.event_ids().await, [160, 159]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_should_be_is_refused_and_leaves_nothing() {
    let (bench, events) = open().await;
    let with = |description: String| Notice { description, ..notice(EventKind::MessageOfTheDay) };
    for wrong in [
        with(String::new()),
        with(" \n ".into()),
        with("x".repeat(1001)),
        with("a\tb".into()),
        with("a\r\nb".into()),
        with("\u{1b}[31mred".into()),
        with("\u{85}".into()),
        about(Scope::System, "sales"),
        about(Scope::Database, ""),
        about(Scope::Group, " "),
        about(Scope::User, "a\nb"),
        about(Scope::User, &"x".repeat(257)),
        notice(EventKind::LicensorCertExpired),
        notice(EventKind::EventEnded),
        Notice { expected_end: Some(bench.now()), ..notice(EventKind::NoLogin) },
    ] {
        let said = format!("{wrong:?}");
        assert_eq!(events.add(&wrong, "uid:0").await.unwrap_err().reason, Reason::InvalidArgument, "{said}");
    }
    assert_eq!(events.end(1, "uid:0").await.unwrap_err().reason, Reason::EventUnknown);
    assert_eq!(events.end(0, "uid:0").await.unwrap_err().reason, Reason::EventUnknown);
    assert_eq!(events.end(u64::MAX, "uid:0").await.unwrap_err().reason, Reason::EventUnknown);
    assert!(bench.event_ids().await.is_empty());
    // The longest that may be said, in characters of several octets.
    let longest = "ü\n".repeat(500);
    let added = events.add(&with(longest.clone()), "uid:0").await.unwrap();
    assert_eq!(added.event.arguments["description"], longest);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_service_itself_are_not_ended_by_hand() {
    let (bench, events) = open().await;
    let own = Event::new(EventKind::LicensorCertExpired).about("01", "berlin-1");
    bench.ledger.events().raise(own.active_for("expiry/01".into())).await.unwrap();
    bench.ledger.events().raise(Event::new(EventKind::ServiceEnabled)).await.unwrap();
    for sequence in [1, 2] {
        let refused = events.end(sequence, "uid:0").await.unwrap_err();
        assert_eq!(refused.reason, Reason::EventNotEndedByHand);
    }
    assert_eq!(active(&bench).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_everybody_is_shown_before_what_concerns_some() {
    let (bench, events) = open().await;
    for target in ["a", "b", "c"] {
        events.add(&about(Scope::Database, target), "uid:7").await.unwrap();
    }
    events.add(&about(Scope::System, ""), "uid:7").await.unwrap();
    let shown = bench.ledger.notices(3).await.unwrap();
    let sequences: Vec<u64> = shown.iter().map(|notice| notice.sequence).collect();
    assert_eq!(sequences, [4, 3, 2]);
}
