//! A screen for tests: a store of its own, and a clock that is moved by hand.

use std::{sync::Arc, time::Duration};

use axum::Router;
use licensor::{
    admin::Administrators,
    clock::{ManualClock, from_unix_seconds},
    config::Span,
    event::{EventFilter, EventKind, EventLog, StoredEvent},
    serve::Shutdown,
    store::{SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};
use tempfile::TempDir;

use crate::{
    config::WebConfig,
    guard,
    screen::{Screen, ScreenParts},
    session::{SessionParts, Sessions},
};

/// Somebody who is an administrator because the configuration says so, whoever runs the test.
pub(crate) const UID: u32 = 47_110;
/// How long a session lasts.
pub(crate) const SESSION: Duration = Duration::from_secs(3600);
/// How long a link is good.
pub(crate) const LINK: Duration = Duration::from_secs(60);

pub(crate) struct TestScreen {
    _directory: TempDir,
    pub(crate) store: SharedStore,
    pub(crate) events: Arc<EventLog>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) screen: Arc<Screen>,
}

impl TestScreen {
    /// A screen on loopback.
    pub(crate) async fn open() -> Self {
        Self::at("127.0.0.1:7445").await
    }

    /// A screen that listens at `address`.
    pub(crate) async fn at(address: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = SledOptions {
            directory: directory.path().join("store"),
            cache_bytes: 1 << 24,
            minimum_free_bytes: 0,
        };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let clock = ManualClock::at(from_unix_seconds(1_800_000_000));
        let events = EventLog::open(store.clone(), clock.clone(), Metrics::shared()).await.unwrap();
        let events = Arc::new(events);
        let (_, shutdown) = Shutdown::channel();
        let config = WebConfig { session: Span(SESSION), link: Span(LINK), ..WebConfig::default() };
        let screen = Screen::open(ScreenParts {
            config: &config,
            address: address.parse().unwrap(),
            texts: |_| &[],
            store: store.clone(),
            events: Arc::clone(&events),
            clock: clock.clone(),
            administrators: Administrators::new(&[UID]),
            product: "node-product",
            command: "license-service web login",
            shutdown,
        })
        .unwrap();
        Self { _directory: directory, store, events, clock, screen: Arc::new(screen) }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.screen.sessions
    }

    /// The same sessions after a restart with other administrators.
    pub(crate) fn restarted(&self, administrators: &[u32]) -> Sessions {
        sessions(&self.store, &self.events, &self.clock, administrators, &[])
    }

    /// The same sessions after a restart with other rules for those whom a provider vouches for.
    pub(crate) fn with_rules(&self, rules: &[u8]) -> Sessions {
        sessions(&self.store, &self.events, &self.clock, &[UID], rules)
    }

    pub(crate) fn pages(&self, own: Router) -> Router {
        guard::pages(Arc::clone(&self.screen), own)
    }

    /// Events of one kind.
    pub(crate) async fn events(&self, kind: EventKind) -> Vec<StoredEvent> {
        let filter = EventFilter { id: Some(kind.id()), ..EventFilter::default() };
        self.events.list(1, 100, &filter).await.unwrap().0
    }
}

fn sessions(
    store: &SharedStore,
    events: &Arc<EventLog>,
    clock: &Arc<ManualClock>,
    administrators: &[u32],
    rules: &[u8],
) -> Sessions {
    Sessions::new(SessionParts {
        store: store.clone(),
        events: Arc::clone(events),
        clock: clock.clone(),
        administrators: Administrators::new(administrators),
        lifetime: SESSION,
        link_lifetime: LINK,
        rules: rules.to_vec(),
    })
}
