//! The fleet as it is read, followed and forgotten, over a real store.

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::{ManualClock, SharedClock, from_unix_seconds},
    config::Expiry,
    event::{Event, EventKind, EventLog},
    serve::Shutdown,
    store::{Batch, SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};
use prost::Message;

use super::{super::*, DAY, NOW, all, rules};
use crate::ledger::{CertificateRecord, Ledger, NodeRecord};

struct Bench {
    clock: Arc<ManualClock>,
    store: SharedStore,
    ledger: Arc<Ledger>,
    fleet: Arc<FleetWatch>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("store");
        let options = SledOptions { directory, cache_bytes: 1 << 24, minimum_free_bytes: 0 };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let clock = ManualClock::at(from_unix_seconds(NOW));
        let shared: SharedClock = clock.clone();
        let events = EventLog::open(store.clone(), shared.clone(), Metrics::shared()).await.unwrap();
        let ledger = Arc::new(Ledger::new(store.clone(), Arc::new(events), Expiry::default()));
        let fleet = FleetWatch::new(ledger.clone(), shared, rules());
        Self { clock, store, ledger, fleet, _folder: folder }
    }

    /// Keeps a node that expires at `not_after`, as an older release did if `old`; and tells of it by an event of this kind.
    async fn put(&self, name: &str, not_after: i64, old: bool, told: Option<EventKind>) {
        let mut node = NodeRecord { name: name.into(), owner: "Example".into(), ..NodeRecord::default() };
        node.current.serial = format!("4100{:08x}", not_after);
        node.current.issued_at = NOW;
        node.current.not_after = if old { 0 } else { not_after };
        let certificate = CertificateRecord {
            serial: node.current.serial.clone(),
            node: name.into(),
            not_after,
            ..CertificateRecord::default()
        };
        let serial = verifier::certificate::octets(&certificate.serial).unwrap();
        let mut batch = Batch::new();
        batch.put([b"certificate/", &serial[..]].concat(), certificate.encode_to_vec());
        batch.put(format!("node/{name}"), node.encode_to_vec());
        let event = told.map(|kind| Event::new(kind).about(&node.current.serial, name));
        self.ledger.events().commit(batch, event.into_iter().collect()).await.unwrap();
    }

    async fn names(&self) -> Vec<String> {
        self.fleet.look();
        self.until(Duration::from_secs(1), |view| view.index.is_some(), || self.fleet.look()).await;
        let view = self.fleet.view().await;
        self.fleet.select(&view.index.unwrap(), all()).await.unwrap().names
    }

    /// Lets time pass by such steps until there is this to be seen.
    async fn until(&self, step: Duration, wanted: impl Fn(&View) -> bool, meanwhile: impl Fn()) {
        let mut view = self.fleet.subscribe();
        // Whoever is about to wait for the clock may not do so yet.
        while tokio::time::timeout(Duration::from_millis(20), view.wait_for(&wanted)).await.is_err() {
            meanwhile();
            self.clock.advance(step);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_read_when_somebody_looks_and_forgotten_when_nobody_does() {
    let bench = Bench::new().await;
    bench.put("a", NOW + 3 * DAY, false, None).await;
    bench.put("b", NOW + 2 * DAY, true, None).await;
    let (stop, shutdown) = Shutdown::channel();
    let working = tokio::spawn(bench.fleet.clone().run(shutdown));
    for _ in 0..100 {
        bench.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(bench.fleet.subscribe().borrow().index.is_none(), "nobody has looked");
    // Both are there, also the one whose end stands in its certificate alone.
    assert_eq!(bench.names().await, ["b", "a"]);
    let counts = bench.fleet.counts(&bench.fleet.view().await).await.unwrap();
    assert_eq!((counts.nodes, counts.buckets), (2, [0, 2, 0, 0, 0, 0, 0]));
    // What is told to have changed is read again; what is not stays as it was read.
    bench.put("a", NOW + DAY, false, Some(EventKind::CertificateRenewed)).await;
    bench.put("b", NOW - DAY, false, Some(EventKind::TokenCreated)).await;
    bench.put("c", NOW + 9 * DAY, false, Some(EventKind::NodeEnrolled)).await;
    bench.until(Duration::from_secs(1), |view| view.read == 3, || bench.fleet.look()).await;
    assert_eq!(bench.names().await, ["a", "b", "c"]);
    let view = bench.fleet.view().await;
    let counts = bench.fleet.counts(&view).await.unwrap();
    assert_eq!(counts.buckets, [0, 2, 1, 0, 0, 0, 0]);
    // Time passes while nothing happens.
    bench.clock.set(from_unix_seconds(NOW + DAY));
    assert_eq!(bench.fleet.counts(&view).await.unwrap().buckets, [1, 1, 1, 0, 0, 0, 0]);
    bench.until(Duration::from_secs(100), |view| view.index.is_none(), || {}).await;
    assert_eq!(bench.names().await, ["b", "a", "c"], "it is read anew");
    drop(stop);
    working.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_found_by_the_beginning_of_a_serial_number() {
    let bench = Bench::new().await;
    bench.put("a", 0x1234_5678, false, None).await;
    bench.put("b", 0x1234_5699, false, None).await;
    let found = async |digits: &str| bench.ledger.nodes_with_serial(digits, 10).await.unwrap();
    assert_eq!(found("410012345678").await, ["a"]);
    assert_eq!(found("41001234567").await, ["a"]);
    assert_eq!(found("4100123456").await, ["a", "b"]);
    assert_eq!(found("410012345699").await, ["b"]);
    assert_eq!(found("4100ABCD").await, [] as [&str; 0]);
    assert_eq!(found("4100").await, [] as [&str; 0], "too short");
    assert_eq!(found("4100xyzw").await, [] as [&str; 0]);
    assert!(bench.store.get(b"node/a").await.unwrap().is_some());
}
