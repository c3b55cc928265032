//! Metrics in the OpenMetrics text format.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

use crate::{clock::unix_seconds, event::EventKind};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: String,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    id: u32,
    name: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// Calls by outcome: `ok`, or the reason of the error.
#[derive(Debug, Clone, Default)]
pub struct Outcomes {
    by_result: Family<ResultLabels, Counter>,
    failures: Counter,
}

impl Outcomes {
    /// Counts a success.
    pub fn ok(&self) {
        self.count("ok");
    }

    /// Counts a failure.
    pub fn failed(&self, reason: crate::error::Reason) {
        self.count(reason.as_str());
        self.failures.inc();
    }

    /// Failures since the service started, whatever their reasons.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Shows that there was no success yet.
    fn begin(&self) {
        drop(self.by_result.get_or_create(&ResultLabels { result: "ok" }));
    }

    fn count(&self, result: &'static str) {
        self.by_result.get_or_create(&ResultLabels { result }).inc();
    }
}

/// The metrics of a service.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    calls: Family<CallLabels, Histogram, fn() -> Histogram>,
    events: Family<EventLabels, Counter>,
    not_after: Gauge,
    last_renewal: Gauge,
    list_number: Gauge,
    list_next_update: Gauge,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were turned away or failed their handshake.
    pub connections_refused: Counter,
    /// Calls on the TLS port whose answer has not begun.
    pub calls_under_way: Gauge,
    /// Renewals by outcome.
    pub renewals: Outcomes,
    /// Enrolments by outcome.
    pub enrollments: Outcomes,
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        let mut registry = Registry::with_prefix("licensor");
        let latency: fn() -> Histogram = || {
            Histogram::new([
                0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
            ])
        };
        let metrics = Self {
            calls: Family::new_with_constructor(latency),
            events: Family::default(),
            not_after: Gauge::default(),
            last_renewal: Gauge::default(),
            list_number: Gauge::default(),
            list_next_update: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            calls_under_way: Gauge::default(),
            renewals: Outcomes::default(),
            enrollments: Outcomes::default(),
            registry: Mutex::default(),
        };
        registry.register("request_duration_seconds", "Time to answer a call", metrics.calls.clone());
        registry.register("events", "Events raised", metrics.events.clone());
        registry.register(
            "certificate_not_after_seconds",
            "When this service's own certificate expires, seconds since 1970; 0 if it has none",
            metrics.not_after.clone(),
        );
        registry.register(
            "last_successful_renewal_seconds",
            "When a certificate was last renewed here, seconds since 1970; 0 if never",
            metrics.last_renewal.clone(),
        );
        registry.register(
            "revocation_list_number",
            "Number of the newest revocation list; 0 if there is none",
            metrics.list_number.clone(),
        );
        registry.register(
            "revocation_list_next_update_seconds",
            "When the revocation list must have been replaced, seconds since 1970; 0 if there is none",
            metrics.list_next_update.clone(),
        );
        registry.register("connections", "Open connections on the TLS port", metrics.connections.clone());
        registry.register(
            "connections_refused",
            "Connections turned away, or failed in their handshake",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "calls_under_way",
            "Calls on the TLS port whose answer has not begun",
            metrics.calls_under_way.clone(),
        );
        registry.register("renewals", "Renewals by outcome", metrics.renewals.by_result.clone());
        registry.register("enrollments", "Enrolments by outcome", metrics.enrollments.by_result.clone());
        metrics.renewals.begin();
        metrics.enrollments.begin();
        // Every kind is there from the start: an alert on an increase sees the first one, too.
        for kind in EventKind::ALL {
            drop(metrics.events.get_or_create(&EventLabels { id: kind.id(), name: kind.name() }));
        }
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        Arc::new(metrics)
    }

    /// Adds a metric of one service alone. Its name gets the prefix `licensor_`.
    pub fn register(&self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric.clone());
    }

    /// Adds metrics that are counted whenever somebody looks. Their names get the prefix `licensor_`.
    pub fn collect(&self, collector: impl Collector) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// Counts an event.
    pub fn event(&self, kind: EventKind) {
        self.events.get_or_create(&EventLabels { id: kind.id(), name: kind.name() }).inc();
    }

    /// Shows when this service's own certificate expires.
    pub fn set_not_after(&self, not_after: SystemTime) {
        self.not_after.set(unix_seconds(not_after));
    }

    /// Shows when a renewal last succeeded.
    pub fn set_last_renewal(&self, at: SystemTime) {
        self.last_renewal.set(unix_seconds(at));
    }

    /// Shows which revocation list is the newest.
    pub fn set_revocation_list(&self, number: u64, next_update: SystemTime) {
        self.list_number.set(i64::try_from(number).unwrap_or(i64::MAX));
        self.list_next_update.set(unix_seconds(next_update));
    }

    /// Records a call.
    pub fn call(&self, method: &str, code: &'static str, took: Duration) {
        self.calls.get_or_create(&CallLabels { method: method.to_owned(), code }).observe(took.as_secs_f64());
    }

    /// All metrics as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            let _ = writeln!(text, "# incomplete");
        }
        text
    }
}
