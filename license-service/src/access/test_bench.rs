//! Access for tests, on a clock that is moved by hand.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, header::AUTHORIZATION};
use licensor::{
    clock::{ManualClock, SharedClock},
    config::Expiry,
    error::Error,
    event::{EventFilter, EventLog},
    serve::{Peer, PeerCertificate},
    store::{SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};
use tempfile::TempDir;

use super::{Access, AccessParts, AccessToken, Caller, Lifetime, Place, TokenOrder};
use crate::{
    config::{AccessConfig, Permission},
    ledger::Ledger,
    test_root::start,
};

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Access, and what is behind it.
pub(crate) struct Bench {
    _folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: Arc<Access>,
    pub(crate) config: AccessConfig,
}

impl Bench {
    /// Nobody has a token.
    pub(crate) async fn open(config: AccessConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(start());
        let options = SledOptions {
            directory: folder.path().join("store"),
            cache_bytes: 1 << 20,
            minimum_free_bytes: 0,
        };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let shared: SharedClock = clock.clone();
        let metrics = Metrics::shared();
        let events = EventLog::open(store.clone(), shared, metrics.clone()).await.unwrap();
        let ledger = Arc::new(Ledger::new(store, Arc::new(events), Expiry::default()));
        let access = access(&config, &clock, &ledger, &metrics).await;
        Self { _folder: folder, clock, ledger, metrics, access, config }
    }

    /// Access as a start of the service finds it.
    pub(crate) async fn reopen(&mut self) {
        self.access = access(&self.config, &self.clock, &self.ledger, &Metrics::shared()).await;
    }

    /// A token for these calls.
    pub(crate) async fn token(&self, allows: &[Permission], ttl: Duration) -> (String, AccessToken) {
        let order = TokenOrder {
            name: "billing".into(),
            owner: "Finance".into(),
            allows: allows.to_vec(),
            lifetime: Lifetime::For(ttl),
            by: "uid:0".into(),
        };
        self.access.tokens().create(order).await.unwrap()
    }

    /// Lets a call in that shows this token.
    pub(crate) fn admit(&self, token: &str, permission: Permission) -> Result<(Caller, Place), Error> {
        self.access.admit(&bearer(token), None, permission)
    }

    /// Lets a call in from a connection with these certificates.
    pub(crate) fn admit_certificate(
        &self,
        shown: &[Vec<u8>],
        permission: Permission,
    ) -> Result<(Caller, Place), Error> {
        let certificate = PeerCertificate::read(shown).map(Arc::new);
        let peer = Peer { address: ([127, 0, 0, 1], 1).into(), certificate };
        self.access.admit(&HeaderMap::new(), Some(&peer), permission)
    }

    /// Ids of all events.
    pub(crate) async fn event_ids(&self) -> Vec<u32> {
        let (events, _) = self.ledger.events().list(1, 1000, &EventFilter::default()).await.unwrap();
        events.iter().map(|stored| stored.event.kind.id()).collect()
    }

    pub(crate) fn now(&self) -> SystemTime {
        licensor::clock::Clock::now(&*self.clock)
    }
}

/// The headers of a call with this token.
pub(crate) fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

async fn access(
    config: &AccessConfig,
    clock: &Arc<ManualClock>,
    ledger: &Arc<Ledger>,
    metrics: &Arc<Metrics>,
) -> Arc<Access> {
    let parts = AccessParts {
        config: config.clone(),
        clock: clock.clone(),
        ledger: ledger.clone(),
        metrics: metrics.clone(),
    };
    Arc::new(Access::open(parts).await.unwrap())
}
