//! Metering: usage is counted exactly once, month by month, and stated.
//!
//! One task counts ([`meter`]). An event, what stands for it in the index ([`seen`]) and the counters are one commit, and
//! nothing is answered before it is on the disk. Whoever reads looks at what was committed.

mod check;
mod chunk;
mod closing;
pub(crate) mod cloud_event;
mod index;
mod item;
mod meter;
mod month;
mod results;
mod seen;
mod statement;
mod statements;
mod tally;
mod terms;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::SharedClock,
    error::{Error, Reason, Result},
    serve::Shutdown,
    store::StoreError,
    telemetry::Metrics,
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use meter::{Meter, Report, Request};
use results::Results;
use terms::Books;

use crate::{config::MeteringConfig, entitlement::EntitlementWatch, ledger::Ledger};

pub(crate) use check::Difference;
pub(crate) use item::{Item, Reported};
pub(crate) use meter::Outcome;
pub(crate) use month::Month;

/// Reports that wait to be counted, and
const WAITING: usize = 1024;
/// usage events in all of them; past it callers are told to come back.
const WAITING_EVENTS: usize = 1 << 17;

/// Counts usage, and states it.
#[derive(Debug)]
pub(crate) struct Metering {
    requests: mpsc::Sender<Request>,
    ledger: Arc<Ledger>,
    clock: SharedClock,
    entitlements: EntitlementWatch,
    books: watch::Receiver<Arc<Books>>,
    batch: usize,
    places: Semaphore,
    results: Results,
}

/// What [`Metering`] works with.
pub(crate) struct MeteringParts {
    pub(crate) config: MeteringConfig,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: SharedClock,
    pub(crate) entitlements: EntitlementWatch,
    pub(crate) metrics: Arc<Metrics>,
}

impl Metering {
    /// Goes on with what the ledger has. The counting ends with the last holder of this.
    ///
    /// # Errors
    /// [`StoreError`] if the ledger cannot be read.
    pub(crate) async fn open(parts: MeteringParts) -> Result<Arc<Self>, StoreError> {
        Self::open_with(parts, index::MANY).await
    }

    /// As [`Metering::open`], with an index that makes a run of so many marks.
    async fn open_with(parts: MeteringParts, many: usize) -> Result<Arc<Self>, StoreError> {
        let MeteringParts { config, ledger, clock, entitlements, metrics } = parts;
        let (clock_of_meter, subscribed) = (clock.clone(), entitlements.clone());
        let meter = Meter::open(ledger.clone(), clock_of_meter, subscribed, config.grace.0, many).await?;
        let books = meter.books.subscribe();
        let (requests, received) = mpsc::channel(WAITING);
        tokio::spawn(meter.run(received));
        let (batch, places) = (config.batch, Semaphore::new(WAITING_EVENTS));
        let results = Results::shown(&metrics);
        Ok(Arc::new(Self { requests, ledger, clock, entitlements, books, batch, places, results }))
    }

    /// Counts usage events, and says what became of each, in their order. It works while nothing is issued.
    ///
    /// # Errors
    /// `USAGE_BATCH_TOO_LARGE`, `OVERLOADED`, `DISK_FULL` or `STORE_UNAVAILABLE`: then whether anything was counted shows
    /// when the same is reported again.
    pub(crate) async fn report(&self, reported: Vec<Result<Reported>>) -> Result<Vec<Outcome>> {
        let events = reported.len();
        let outcomes = self.judge(reported).await;
        self.results.count(events, &outcomes);
        outcomes
    }

    async fn judge(&self, reported: Vec<Result<Reported>>) -> Result<Vec<Outcome>> {
        self.check_size(reported.len())?;
        let mut items = Vec::with_capacity(reported.len());
        // Places of the items that are asked for are filled later.
        let mut outcomes = Vec::with_capacity(reported.len());
        for reported in reported {
            match reported.and_then(Item::check) {
                Ok(item) => {
                    items.push(item);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Outcome::Refused(error))),
            }
        }
        let mut counted = if items.is_empty() {
            Vec::new()
        } else {
            let events = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let _place = self.places.try_acquire_many(events).map_err(|_| overloaded())?;
            self.ask(|answer| Request::Count(Report { items, answer })).await?
        }
        .into_iter();
        let missing = || Error::internal("metering", "a usage event has no outcome");
        outcomes.into_iter().map(|outcome| outcome.or_else(|| counted.next()).ok_or_else(missing)).collect()
    }

    /// Refuses a batch that is too large.
    ///
    /// # Errors
    /// `USAGE_BATCH_TOO_LARGE`.
    pub(crate) fn check_size(&self, events: usize) -> Result<()> {
        if events > self.batch {
            return Err(self.too_large(&format!("{events} usage events")));
        }
        Ok(())
    }

    /// The refusal of a batch that is too large.
    pub(crate) fn too_large(&self, what: &str) -> Error {
        let limit = self.batch;
        let message = format!(
            "{what} are too many at once: send batches of {limit} at most (`metering.batch`), nothing of this one was counted"
        );
        Error::new(Reason::UsageBatchTooLarge, message).with("limit", limit.to_string())
    }

    /// Counts every event anew, and says where the counters differ. `progress` is told how many of how many were counted.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` or `OVERLOADED`.
    pub(crate) async fn check(
        &self,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<(u64, Vec<Difference>)> {
        let position = self.ask(Request::Position).await?;
        let events = position.events;
        let differences =
            check::recount(&self.ledger, position, &|counted| progress(counted, events)).await?;
        Ok((events, differences))
    }

    /// Makes statements final when they are due, until `shutdown`.
    pub(crate) async fn run(
        self: Arc<Self>,
        check_interval: Duration,
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.wait() => Ok(()),
            () = self.watch(check_interval) => Err(anyhow::anyhow!("usage is not counted any more")),
        }
    }

    /// Ends when nobody counts any more.
    async fn watch(&self, check_interval: Duration) {
        let mut entitlements = self.entitlements.clone();
        loop {
            if let Err(error) = self.tick().await {
                tracing::error!(%error, "statements that are due could not be made final; it will be tried again");
            }
            let changed = async {
                if entitlements.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.requests.closed() => return,
                () = changed => {}
                () = self.clock.wait_until(self.clock.now() + check_interval, check_interval) => {}
            }
        }
    }

    /// Looks at the clock and the entitlements.
    async fn tick(&self) -> Result<()> {
        self.ask(Request::Tick).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.try_send(request(answer)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        answered.await.map_err(|_| gone())?
    }
}

fn overloaded() -> Error {
    let wait = Duration::from_millis(rand::random_range(100..500));
    Error::new(Reason::Overloaded, "too much usage is reported at once: try again later").retry_after(wait)
}

/// Whoever counts has ended: the service is about to end, too.
fn gone() -> Error {
    Error::new(Reason::StoreUnavailable, "usage is not counted at the moment: try again later")
        .retry_after(Duration::from_secs(5))
}
