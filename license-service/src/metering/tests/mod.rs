//! Metering on a real store and a clock that is set by hand.

mod counting;
mod killed;
mod property;
mod runs;
mod speed;
mod statements;

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use licensor::{
    clock::{Clock, ManualClock, SharedClock, from_unix_seconds, unix_seconds},
    config::{Expiry, Span},
    event::{EventFilter, EventKind, EventLog, StoredEvent},
    store::{Batch, SharedStore, SledOptions, SledStore, Store},
    telemetry::Metrics,
};
use proto::licensing::v1::Statement;
use tempfile::TempDir;
use tokio::sync::watch;
use verifier::{
    Entitlement, EntitlementClaims,
    entitlement::{Aggregation, Allowance, Price, Service},
};

use super::*;
use crate::entitlement::{Entitlements, Installed};

/// A server that meters, without ports.
pub(super) struct Scene {
    folder: Option<TempDir>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) entitlements: watch::Sender<Entitlements>,
    pub(super) config: MeteringConfig,
    pub(super) store: Weak<SledStore>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) metering: Arc<Metering>,
}

impl Scene {
    /// A server with these entitlements at noon (UTC) of November 10, 2026.
    pub(super) async fn open(installed: &[Entitlement]) -> Self {
        Self::at("2026-11-10T12:00:00Z", installed).await
    }

    pub(super) async fn at(now: &str, installed: &[Entitlement]) -> Self {
        let clock = ManualClock::at(instant(now));
        let entitlements = watch::Sender::new(install(installed));
        let config = MeteringConfig::default();
        Self::on(tempfile::tempdir().unwrap(), clock, entitlements, config).await
    }

    async fn on(
        folder: TempDir,
        clock: Arc<ManualClock>,
        entitlements: watch::Sender<Entitlements>,
        config: MeteringConfig,
    ) -> Self {
        let path = folder.path().to_owned();
        Self { folder: Some(folder), ..Self::inside(&path, clock, entitlements, config).await }
    }

    /// A server in a folder that somebody else has.
    async fn inside(
        folder: &Path,
        clock: Arc<ManualClock>,
        entitlements: watch::Sender<Entitlements>,
        config: MeteringConfig,
    ) -> Self {
        let options =
            SledOptions { directory: folder.join("store"), cache_bytes: 64 << 20, minimum_free_bytes: 0 };
        // A store that another thread drops is closed a moment after nobody has it any more.
        let sled = loop {
            match SledStore::open(&options) {
                Err(StoreError::Directory { cause, .. }) if cause.contains("lock") => {
                    tokio::task::yield_now().await;
                }
                opened => break Arc::new(opened.unwrap()),
            }
        };
        let store = Arc::downgrade(&sled);
        let shared: SharedStore = sled;
        let shared_clock: SharedClock = clock.clone();
        let events = EventLog::open(shared.clone(), shared_clock.clone(), Metrics::shared()).await.unwrap();
        let ledger = Arc::new(Ledger::new(shared, Arc::new(events), Expiry::default()));
        let parts = MeteringParts {
            config: config.clone(),
            ledger: ledger.clone(),
            clock: shared_clock,
            entitlements: entitlements.subscribe(),
            metrics: Metrics::shared(),
        };
        let metering = Metering::open_with(parts, many()).await.unwrap();
        metering.tick().await.unwrap();
        Self { folder: None, clock, entitlements, config, store, ledger, metering }
    }

    /// The server after a restart.
    pub(super) async fn reopen(self) -> Self {
        let Self { folder, clock, entitlements, config, store, ledger, metering } = self;
        drop((ledger, metering));
        while store.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        Self::on(folder.unwrap(), clock, entitlements, config).await
    }

    pub(super) fn install(&self, installed: &[Entitlement]) {
        self.entitlements.send_replace(install(installed));
    }

    /// Sets the clock, and lets become final what is due.
    pub(super) async fn now_is(&self, now: &str) {
        self.clock.set(instant(now));
        self.metering.tick().await.unwrap();
    }

    pub(super) async fn report(&self, reported: &[Reported]) -> Vec<Outcome> {
        self.metering.report(reported.iter().cloned().map(Ok).collect()).await.unwrap()
    }

    /// Counts one event that is accepted, at the present.
    pub(super) async fn count(&self, id: &str, quantity: u64) {
        assert_eq!(self.report(&[self.usage(id, quantity)]).await, [Outcome::Accepted]);
    }

    /// Mail, at the present.
    pub(super) fn usage(&self, id: &str, quantity: u64) -> Reported {
        Reported {
            source: "app".into(),
            id: id.into(),
            service: "mail".into(),
            quantity,
            time: Some((unix_seconds(self.clock.now()), 0)),
            ..Reported::default()
        }
    }

    pub(super) async fn statement(&self, month: &str) -> Statement {
        self.metering.statement("", Month::parse(month).unwrap()).await.unwrap()
    }

    /// What was used of mail in a month.
    pub(super) async fn used(&self, month: &str) -> u64 {
        let usage = self.metering.usage(Some(Month::parse(month).unwrap()), "").await.unwrap();
        usage[0].lines.iter().find(|line| line.service == "mail").unwrap().used
    }

    pub(super) async fn events(&self, kind: EventKind) -> Vec<StoredEvent> {
        let filter = EventFilter { id: Some(kind.id()), ..EventFilter::default() };
        self.ledger.events().list(0, 100, &filter).await.unwrap().0
    }

    /// That the counters are what the events say.
    pub(super) async fn check(&self) -> u64 {
        let (events, differences) = self.metering.check(&|_, _| ()).await.unwrap();
        assert_eq!(differences, []);
        events
    }

    /// Changes the store behind the back of everyone.
    pub(super) async fn tamper(&self, batch: Batch) {
        self.store.upgrade().unwrap().commit(batch).await.unwrap();
    }
}

pub(super) fn instant(text: &str) -> SystemTime {
    from_unix_seconds(text.parse::<Timestamp>().unwrap().as_second())
}

pub(super) fn at(reported: Reported, time: &str) -> Reported {
    Reported { time: Some((unix_seconds(instant(time)), 0)), ..reported }
}

fn install(entitlements: &[Entitlement]) -> Entitlements {
    let installed = entitlements.iter().map(|entitlement| {
        let claims = EntitlementClaims {
            iss: "spiffe://vendor.example".into(),
            sub: "Example GmbH".into(),
            jti: format!("{}-{}", entitlement.vendor, entitlement.version),
            iat: 1_700_000_000,
            nbf: 1_700_000_000,
            entitlement: entitlement.clone(),
        };
        Arc::new(Installed { claims, jws: String::new() })
    });
    Arc::new(installed.collect())
}

/// Mail at 5 cents for every begun 10 beyond 100, and the largest number of logins beyond 3 free of charge.
pub(super) fn acme(time_zone: &str) -> Entitlement {
    Entitlement {
        vendor: "acme".into(),
        version: 1,
        company: "Example".into(),
        serial_number: "4711".into(),
        time_zone: time_zone.into(),
        services: vec![
            Service {
                name: "mail".into(),
                title: "Mail sent".into(),
                unit: "e-mail".into(),
                allowance: Allowance { base: 100, per_user: 0 },
                price: Some(Price { minor_units: 5, currency: "EUR".into(), per: 10 }),
                ..Service::default()
            },
            Service {
                name: "logins".into(),
                unit: "login".into(),
                aggregation: Aggregation::Maximum,
                allowance: Allowance { base: 3, per_user: 0 },
                ..Service::default()
            },
        ],
        ..Entitlement::default()
    }
}

/// Events that are counted to see how fast that is, if anybody wants to know.
pub(super) fn usage_events() -> Option<u64> {
    std::env::var("USAGE_EVENTS").ok()?.parse().ok()
}

/// Marks that become a run: few enough for tests to have many of them.
fn many() -> usize {
    usage_events().map_or(512, |_| index::MANY)
}

pub(super) fn refusal(outcome: &Outcome) -> Reason {
    match outcome {
        Outcome::Refused(error) => error.reason,
        other => panic!("{other:?}"),
    }
}

/// A span of whole hours.
pub(super) fn hours(hours: u64) -> Span {
    Span(Duration::from_secs(hours * 3600))
}
