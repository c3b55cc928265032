//! Usage events as numbers, by what became of them.

use std::collections::BTreeMap;

use licensor::{
    error::{Reason, Result},
    telemetry::Metrics,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use super::Outcome;

const ACCEPTED: &str = "accepted";
const DUPLICATE: &str = "duplicate";

/// Usage events by outcome: `accepted`, `duplicate`, or the reason why they were refused.
#[derive(Debug)]
pub(super) struct Results(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

impl Results {
    /// Shows them among `metrics`.
    pub(super) fn shown(metrics: &Metrics) -> Self {
        let results = Family::default();
        metrics.register("usage_events", "Usage events that were reported, by what became of each", &results);
        // What alerts look at is there from the start: so they see the first one, too.
        let troubles = [Reason::DiskFull, Reason::StoreUnavailable, Reason::Overloaded].map(Reason::as_str);
        for result in [ACCEPTED, DUPLICATE].into_iter().chain(troubles) {
            drop(results.get_or_create(&Labels { result }));
        }
        Self(results)
    }

    /// Counts what became of so many events that were reported together.
    pub(super) fn count(&self, events: usize, outcomes: &Result<Vec<Outcome>>) {
        let mut counts = BTreeMap::<&'static str, u64>::new();
        match outcomes {
            Ok(outcomes) => {
                for outcome in outcomes {
                    *counts.entry(name(outcome)).or_default() += 1;
                }
            }
            Err(error) => _ = counts.insert(error.reason.as_str(), events as u64),
        }
        for (result, count) in counts {
            self.0.get_or_create(&Labels { result }).inc_by(count);
        }
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => ACCEPTED,
        Outcome::Duplicate => DUPLICATE,
        Outcome::Refused(error) => error.reason.as_str(),
    }
}
