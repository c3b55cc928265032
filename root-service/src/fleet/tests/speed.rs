//! How long a large fleet takes, and how much memory:
//! `FLEET_NODES=1000000 cargo test --release -p root-service fleet::tests::speed -- --nocapture`.

use std::sync::Arc;

use licensor::{
    clock::{SystemClock, unix_seconds},
    config::Expiry,
    event::{Event, EventKind, EventLog},
    serve::Shutdown,
    store::{Batch, SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};
use prost::Message;

use super::{super::*, DAY, rules};
use crate::ledger::{Ledger, NodeRecord};

/// Resident memory of this process in MB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_fleet_is_read_and_searched() {
    let nodes = std::env::var("FLEET_NODES").ok().and_then(|nodes| nodes.parse().ok()).unwrap_or(2_000_i64);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    let options = SledOptions { directory, cache_bytes: 64 << 20, minimum_free_bytes: 0 };
    let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
    let clock = SystemClock::shared();
    let now = unix_seconds(clock.now());
    for first in (0..nodes).step_by(1000) {
        let mut batch = Batch::new();
        for number in first..(first + 1000).min(nodes) {
            let name = format!("server-{number:07}.example");
            let mut node =
                NodeRecord { name, owner: format!("Owner {}", number % 5000), ..NodeRecord::default() };
            node.dns_names = vec![node.name.clone()];
            node.enrolled_at = now - 400 * DAY;
            node.current.serial = format!("4100{number:036x}");
            node.current.digest = vec![0; 32];
            node.current.issued_at = now - number * 7919 % (300 * DAY);
            node.current.not_after = node.current.issued_at + 365 * DAY;
            batch.add(format!("node/{}", node.name), node.encode_to_vec());
        }
        store.commit(batch).await.unwrap();
    }
    let events = EventLog::open(store.clone(), clock.clone(), Metrics::shared()).await.unwrap();
    let ledger = Arc::new(Ledger::new(store, Arc::new(events), Expiry::default()));
    let fleet = FleetWatch::new(ledger.clone(), clock.clone(), rules());
    let (_stop, shutdown) = Shutdown::channel();
    let working = tokio::spawn(fleet.clone().run(shutdown));
    let (before, begun) = (resident(), clock.elapsed());
    fleet.look();
    let mut seen = fleet.subscribe();
    let view = seen.wait_for(|view| view.index.is_some()).await.unwrap().clone();
    println!(
        "{nodes} nodes read in {:?}, {before} MB before, {} MB after",
        clock.elapsed() - begun,
        resident()
    );
    let index = view.index.clone().unwrap();
    let all = Selection { limit: 100, ..Selection::default() };
    let searched = |search: &str| Selection { search: search.into(), ..all.clone() };
    let overdue = Selection { renewal: Some(Renewal::Overdue), ..all.clone() };
    let took = async |what: &str, selection: &Selection| {
        let begun = clock.elapsed();
        let selected = fleet.select(&index, selection.clone()).await.unwrap();
        println!("{what}: {} in {:?}", selected.total, clock.elapsed() - begun);
        selected
    };
    for _ in 0..3 {
        let begun = clock.elapsed();
        let counts = fleet.counts(&view).await.unwrap();
        println!("counted in {:?}", clock.elapsed() - begun);
        assert_eq!(counts.nodes, u64::try_from(nodes).unwrap());
        let page = took("first page", &all).await;
        assert_eq!(page.names.len(), 100);
        took("overdue", &overdue).await;
        took("one by name", &searched("server-0000077")).await;
        took("all by name", &searched("e")).await;
        took("by owner", &searched("owner 77")).await;
    }
    let changed = ledger.node("server-0000001.example").await.unwrap().unwrap().record;
    let begun = clock.elapsed();
    let event = Event::new(EventKind::CertificateRenewed).about(&changed.current.serial, &changed.name);
    ledger.events().raise(event).await.unwrap();
    seen.changed().await.unwrap();
    println!("a renewal was seen after {:?}; {} MB", clock.elapsed() - begun, resident());
    working.abort();
}
