//! A licensing server for tests, without ports.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{Clock, ManualClock, SharedClock},
    config::Expiry,
    event::{EventFilter, EventKind, EventLog},
    store::{SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};
use tempfile::TempDir;

use super::{
    KeyStore, Parts, Renewal, SeenCheckpoint,
    answer::{Purpose, check_renewal},
    renew_request,
};
use crate::{
    credential::Credential,
    ledger::{CredentialRecord, ExportedRecord, Ledger},
    licensing::Licensing,
    test_root::{TestRoot, start},
};

/// A server, and what is behind it.
pub(crate) struct TestNode {
    folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) renewal: Arc<Renewal>,
}

/// What a refusal must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    record: Option<CredentialRecord>,
    exported: Option<ExportedRecord>,
    serial: Option<String>,
    jose_header: Option<String>,
    events: usize,
    files: Vec<(String, Vec<u8>)>,
}

impl TestNode {
    /// A server that is not enrolled.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(start());
        let options = SledOptions {
            directory: folder.path().join("store"),
            cache_bytes: 1 << 20,
            minimum_free_bytes: 0,
        };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let shared_clock: SharedClock = clock.clone();
        let metrics = Metrics::shared();
        let events = EventLog::open(store.clone(), shared_clock.clone(), metrics.clone()).await.unwrap();
        let ledger = Arc::new(Ledger::new(store, Arc::new(events), Expiry::default()));
        let parts = Parts {
            clock: shared_clock,
            ledger: ledger.clone(),
            keys: KeyStore::new(folder.path()),
            metrics: metrics.clone(),
            seen: SeenCheckpoint::new(folder.path()),
            root_address: None,
        };
        let renewal = Arc::new(Renewal::open(parts).await.unwrap());
        Self { folder, clock, ledger, metrics, renewal }
    }

    /// A server that `root` enrolled.
    pub(crate) async fn enrolled(root: &TestRoot) -> Self {
        let node = Self::open().await;
        let request = node.renewal.export(&root.token(), false).await.unwrap();
        node.renewal.import(&root.answer(&request, node.now()), "uid:0").await.unwrap();
        node
    }

    /// Renews as the online path does, but for the network.
    pub(crate) async fn renew(&self, root: &TestRoot) {
        let former = self.credential();
        let mut turn = self.renewal.turn.lock().await;
        let purpose = format!("renew/{}", former.facts.serial);
        let (names, keys) = self.renewal.pending_keys(&purpose, None).await.unwrap();
        let answer = root.renew(&renew_request(&keys).unwrap(), self.now());
        let checked = check_renewal(answer, keys, &former, self.now()).unwrap();
        let token = turn.as_ref().unwrap().token.clone();
        let purpose =
            Purpose { keys: names, token, kind: EventKind::CertificateRenewed, by: "service".into() };
        self.renewal.adopt(&mut turn, checked, purpose).await.unwrap();
    }

    /// Its licensing, as a start finds it.
    pub(crate) async fn licensing(&self) -> Arc<Licensing> {
        let clock: SharedClock = self.clock.clone();
        let credential = self.renewal.subscribe();
        Arc::new(Licensing::open(10_000, clock, self.ledger.clone(), credential).await.unwrap())
    }

    pub(crate) fn credential(&self) -> Arc<Credential> {
        self.renewal.subscribe().borrow().clone().unwrap()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many events of a kind there are.
    pub(crate) async fn count(&self, kind: EventKind) -> usize {
        let filter = EventFilter { id: Some(kind.id()), ..EventFilter::default() };
        self.ledger.events().list(0, 100, &filter).await.unwrap().0.len()
    }

    pub(crate) async fn state(&self) -> State {
        let credential = self.renewal.subscribe().borrow().clone();
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.folder()).unwrap().flatten() {
            if entry.file_type().unwrap().is_file() {
                let name = entry.file_name().into_string().unwrap();
                files.push((name, std::fs::read(entry.path()).unwrap()));
            }
        }
        files.sort();
        State {
            record: self.ledger.credential().await.unwrap(),
            exported: self.ledger.exported().await.unwrap(),
            serial: credential.as_ref().map(|credential| credential.facts.serial.clone()),
            jose_header: credential.map(|credential| credential.jose_header.clone()),
            events: self.ledger.events().list(0, 100, &EventFilter::default()).await.unwrap().0.len(),
            files,
        }
    }

    pub(crate) fn key_files(&self) -> usize {
        std::fs::read_dir(self.folder().join("keys")).unwrap().count()
    }

    pub(crate) fn advance(&self, days: u32) {
        self.clock.advance(Duration::from_secs(86_400) * days);
    }
}
