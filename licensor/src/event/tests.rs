use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use prost::Message;
use prost_types::Timestamp;

use super::*;
use crate::{
    clock::{ManualClock, SharedClock, SystemClock, from_unix_seconds},
    store::{Batch, SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};

struct Bench {
    _directory: tempfile::TempDir,
    store: SharedStore,
    clock: SharedClock,
    log: Arc<EventLog>,
    metrics: Arc<Metrics>,
}

impl Bench {
    async fn open(clock: SharedClock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = SledOptions {
            directory: directory.path().join("store"),
            cache_bytes: 1 << 24,
            minimum_free_bytes: 0,
        };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let metrics = Metrics::shared();
        let log = EventLog::open(store.clone(), clock.clone(), metrics.clone()).await.unwrap();
        Self { _directory: directory, store, clock, log: Arc::new(log), metrics }
    }

    async fn reopen(&mut self) {
        let log = EventLog::open(self.store.clone(), self.clock.clone(), self.metrics.clone()).await;
        self.log = Arc::new(log.unwrap());
    }

    async fn end(&self, topic: &str, by: &str) {
        let mut batch = Batch::new();
        self.log.end_by(&mut batch, topic, by);
        self.log.commit(batch, Vec::new()).await.unwrap();
    }

    /// Numbers and kinds of the active events, in pages of this size.
    async fn active(&self, size: usize) -> Vec<(u64, u32)> {
        let filter = EventFilter { active: Some(true), ..EventFilter::default() };
        let (mut all, mut from) = (Vec::new(), 1);
        loop {
            let (events, next) = self.log.list(from, size, &filter).await.unwrap();
            all.extend(events.iter().map(|found| (found.sequence, found.event.kind.id())));
            match next {
                Some(next) => from = next,
                None => return all,
            }
        }
    }
}

fn active(kind: EventKind, topic: &str) -> Event {
    Event::new(kind).active_for(topic.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_durable_is_told_though_its_caller_has_gone() {
    let bench = Bench::open(SystemClock::shared()).await;
    let mut latest = bench.log.subscribe();
    let mut commit = Box::pin(bench.log.raise(Event::new(EventKind::TokenCreated)));
    let _ = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(commit);
    latest.wait_for(|latest| *latest == 1).await.unwrap();
    let counted = "licensor_events_total{id=\"106\",name=\"TokenCreatedEvent\"} 1";
    assert!(bench.metrics.text().contains(counted), "{}", bench.metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_events_are_those_that_were_not_ended() {
    let mut bench = Bench::open(ManualClock::at(from_unix_seconds(1_800_000_000))).await;
    assert_eq!(bench.active(10).await, []);
    bench.log.raise(Event::new(EventKind::NodeEnrolled)).await.unwrap();
    bench.log.raise(active(EventKind::LicensorCertExpiresInOneMonth, "expiry/1")).await.unwrap();
    bench.log.raise(active(EventKind::ServiceDisabled, "disabled/1")).await.unwrap();
    // Another one of the first topic, far away, in a commit with others.
    let mut more: Vec<_> = (0..200).map(|_| Event::new(EventKind::TokenCreated)).collect();
    more.push(active(EventKind::LicensorCertExpiresInOneWeek, "expiry/1"));
    bench.log.commit(Batch::new(), more).await.unwrap();
    let all = [(2, 16), (3, 104), (204, 17)];
    for size in [1, 2, 3, 4] {
        assert_eq!(bench.active(size).await, all, "pages of {size}");
    }
    let found: Vec<_> =
        bench.log.active("expiry/1").await.unwrap().iter().map(|found| found.sequence).collect();
    assert_eq!(found, [2, 204]);
    bench.reopen().await;
    assert_eq!(bench.active(10).await, all);
    bench.end("expiry/1", "uid:7").await;
    assert_eq!(bench.active(10).await, [(3, 104)]);
    assert!(bench.log.active("expiry/1").await.unwrap().is_empty());
    let ended = bench.log.find(204).await.unwrap().unwrap();
    assert_eq!((ended.ended.is_some(), ended.ended_by.as_str()), (true, "uid:7"));
    assert!(bench.log.find(205).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_events_are_found_without_a_walk_through_the_log() {
    let bench = Bench::open(SystemClock::shared()).await;
    bench.log.raise(active(EventKind::Maintenance, "by-hand/1")).await.unwrap();
    let many = (0..20_000).map(|_| Event::new(EventKind::TokenCreated)).collect();
    bench.log.commit(Batch::new(), many).await.unwrap();
    bench.log.raise(active(EventKind::NoLogin, "by-hand/2")).await.unwrap();
    let filter = EventFilter { active: Some(true), ..EventFilter::default() };
    // A walk would have looked at a few thousand events, and said where to go on.
    let (events, next) = bench.log.list(1, 100, &filter).await.unwrap();
    assert_eq!(events.iter().map(|found| found.sequence).collect::<Vec<_>>(), [1, 20_002]);
    assert_eq!(next, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_made_for_a_log_of_an_older_release() {
    let mut bench = Bench::open(SystemClock::shared()).await;
    for (kind, topic) in [
        (EventKind::LicensorCertExpiresInOneMonth, "expiry/1"),
        (EventKind::LicensorCertExpiresInOneMonth, "expiry/2"),
        (EventKind::LicensorCertExpired, "expiry/1"),
    ] {
        bench.log.raise(active(kind, topic)).await.unwrap();
    }
    bench.end("expiry/2", "").await;
    let mut batch = Batch::new();
    for key in ["event-indexed", "event-active/expiry/1"] {
        assert!(bench.store.get(key.as_bytes()).await.unwrap().is_some());
        batch.delete(key);
    }
    bench.store.commit(batch).await.unwrap();
    // Without an index the log itself says it.
    assert_eq!(bench.active(10).await, [(1, 16), (3, 18)]);
    bench.reopen().await;
    assert!(bench.store.get(b"event-active/expiry/1").await.unwrap().is_some());
    assert_eq!(bench.active(10).await, [(1, 16), (3, 18)]);
}

/// What an older release kept of an event.
#[derive(Clone, PartialEq, Message)]
struct OlderRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "2")]
    time: Option<Timestamp>,
    #[prost(string, tag = "4")]
    node: String,
    #[prost(btree_map = "string, string", tag = "6")]
    arguments: BTreeMap<String, String>,
}

#[test]
fn events_of_an_older_release_are_read_and_those_without_new_fields_are_octet_for_octet_the_same() {
    let record = OlderRecord {
        id: 101,
        time: Some(Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        node: "berlin-1".into(),
        arguments: BTreeMap::from([("not_after".into(), "x".into())]),
    };
    let (time, event) = decode(&record.encode_to_vec()).unwrap();
    assert_eq!((event.scope, event.target.as_str(), event.expected_end), (Scope::System, "", None));
    assert_eq!(event.arguments["holder"], "berlin-1");
    let event = event.by("");
    assert_eq!(event.encode(time), record.encode_to_vec());
}

#[test]
fn scope_target_and_expected_end_survive_the_store() {
    let now = from_unix_seconds(1_800_000_000);
    for scope in [Scope::System, Scope::Database, Scope::Group, Scope::User] {
        let end = Some(now + Duration::from_secs(60));
        let event = Event::new(EventKind::NoLogin).concerning(scope, "sales").expected_until(end);
        let (_, read) = decode(&event.encode(now)).unwrap();
        assert_eq!((read.scope, read.target.as_str(), read.expected_end), (scope, "sales", end));
    }
}
