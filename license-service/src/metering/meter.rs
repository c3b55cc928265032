//! The one task that counts. It takes all reports that wait, and commits what they add together: events, counters, and
//! what they raise. While a commit is on its way the next reports gather.

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    store::StoreError,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    chunk::{self, OpenChunk},
    index::Index,
    item::Item,
    tally::{Place, Tally, Users},
    terms::{Book, Books, InForce, read_books},
};
use crate::{
    entitlement::EntitlementWatch,
    ledger::{CounterKey, CounterRecord, HeadRecord, Ledger},
};

/// Usage events that are counted in one commit, give or take a report.
const GROUP: usize = 8192;
/// How far ahead of the clock usage may be, in seconds.
const AHEAD: i64 = 5 * 60;
/// How long ago usage may be, in seconds.
const AGO: i64 = 400 * 86_400;
/// Attempts to commit while others change the same.
const ATTEMPTS: usize = 10;
/// Chunks that are read at once.
const PAGE: usize = 256;

/// What became of a usage event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was counted.
    Accepted,
    /// It had been counted before.
    Duplicate,
    /// It was not counted.
    Refused(Error),
}

/// Usage events that were reported together.
pub(super) struct Report {
    pub(super) items: Vec<Item>,
    pub(super) answer: oneshot::Sender<Result<Vec<Outcome>>>,
}

/// Everything that was counted up to one instant.
#[derive(Debug)]
pub(super) struct Position {
    /// Events in the log.
    pub(super) events: u64,
    pub(super) counters: Vec<(CounterKey, CounterRecord)>,
}

/// What the task is asked for.
pub(super) enum Request {
    Count(Report),
    /// Look at the clock and the entitlements.
    Tick(oneshot::Sender<Result<()>>),
    Position(oneshot::Sender<Result<Position>>),
}

/// The state of the task: all of it can be had from the store.
pub(super) struct Meter {
    pub(super) ledger: Arc<Ledger>,
    pub(super) clock: SharedClock,
    pub(super) entitlements: EntitlementWatch,
    pub(super) in_force: Arc<InForce>,
    /// Whether `in_force` is what the entitlements say.
    pub(super) current: bool,
    pub(super) grace: Duration,
    pub(super) books: watch::Sender<Arc<Books>>,
    /// Nothing has ever been kept if absent.
    pub(super) head: Option<HeadRecord>,
    last: Option<OpenChunk>,
    users: Users,
    pub(super) index: Index,
    /// Whether the store may have more than is known here.
    pub(super) stale: bool,
}

impl Meter {
    pub(super) async fn open(
        ledger: Arc<Ledger>,
        clock: SharedClock,
        entitlements: EntitlementWatch,
        grace: Duration,
        many: usize,
    ) -> Result<Self, StoreError> {
        let index = Index::new(ledger.clone(), many);
        let mut meter = Self {
            ledger,
            clock,
            entitlements,
            in_force: Arc::default(),
            current: false,
            grace,
            books: watch::Sender::default(),
            head: None,
            last: None,
            users: Users::new(),
            index,
            stale: false,
        };
        meter.load().await?;
        meter.index.drop_abandoned(meter.head.as_ref()).await?;
        Ok(meter)
    }

    /// Reads what the store has.
    async fn load(&mut self) -> Result<(), StoreError> {
        self.head = self.ledger.usage_head().await?;
        self.books.send_replace(Arc::new(read_books(&self.ledger).await?));
        self.last = None;
        self.index.forget();
        let head = self.head.clone().unwrap_or_default();
        let mut next = head.indexed;
        while next < head.chunks {
            for (number, chunk) in self.ledger.usage_chunks(next, PAGE).await? {
                next = number + 1;
                self.index.seen.new.extend(chunk::marks(&chunk));
            }
        }
        self.stale = false;
        Ok(())
    }

    /// Works until nobody can ask any more.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            let full = self.index.is_full();
            tokio::select! {
                Some(done) = self.index.done.recv() => self.install(done).await,
                request = requests.recv(), if !full => match request {
                    None => return,
                    Some(request) => self.serve(request, &mut requests).await,
                },
            }
            self.index.work(self.head.as_ref());
        }
    }

    async fn serve(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) {
        let (mut reports, mut others, mut items) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        self.index.wake();
        while let Some(request) = next {
            match request {
                Request::Count(report) => {
                    items += report.items.len();
                    reports.push(report);
                }
                other => others.push(other),
            }
            next = if items < GROUP { requests.try_recv().ok() } else { None };
        }
        if !reports.is_empty() {
            self.count(reports).await;
        }
        for request in others {
            // Who does not wait for the answer does not need it.
            match request {
                Request::Count(_) => {}
                Request::Tick(answer) => _ = answer.send(self.tick().await.map_err(Error::from)),
                Request::Position(answer) => _ = answer.send(self.position().await.map_err(Error::from)),
            }
        }
    }

    async fn position(&self) -> Result<Position, StoreError> {
        let events = self.head.as_ref().map_or(0, |head| head.events);
        Ok(Position { events, counters: self.ledger.counters(None).await? })
    }

    async fn count(&mut self, reports: Vec<Report>) {
        let mut attempt = 0;
        let outcome = loop {
            attempt += 1;
            match self.try_count(&reports).await {
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS => self.stale = true,
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(outcomes) => {
                for (report, outcomes) in reports.into_iter().zip(outcomes) {
                    let _ = report.answer.send(Ok(outcomes));
                }
            }
            Err(error) => {
                // Whether it was kept nobody knows before the store was read again, but where nothing can have been.
                let nothing = matches!(error, StoreError::DiskFull { .. } | StoreError::TooLarge { .. });
                self.stale |= !nothing;
                let error = Error::from(error);
                for report in reports {
                    let _ = report.answer.send(Err(error.clone()));
                }
            }
        }
    }

    async fn try_count(&mut self, reports: &[Report]) -> Result<Vec<Vec<Outcome>>, StoreError> {
        self.refresh().await?;
        let head = self.head.clone();
        let begun = head.clone().unwrap_or_default();
        let last = self.last.as_ref().filter(|_| self.index.may_continue(begun.chunks));
        let mut tally = Tally::new(&begun, last);
        let books = self.books.borrow().clone();
        let now = unix_seconds(self.clock.now());
        let mut outcomes = Vec::with_capacity(reports.len());
        for report in reports {
            let mut results = Vec::with_capacity(report.items.len());
            for item in &report.items {
                results.push(self.judge(&mut tally, item, &books, now).await?);
            }
            outcomes.push(results);
        }
        if tally.is_empty() {
            return Ok(outcomes);
        }
        let (change, head) = tally.change(&self.ledger, head.as_ref(), &mut self.users).await?;
        self.ledger.change_usage(change).await?;
        self.head = Some(head);
        let (marks, last) = tally.kept();
        self.index.seen.new.extend(marks);
        self.last = last;
        Ok(outcomes)
    }

    /// What becomes of one event. What is known is not asked anything else: an answer that was lost is the same again,
    /// whatever has changed since.
    async fn judge(
        &mut self,
        tally: &mut Tally,
        item: &Item,
        books: &Books,
        now: i64,
    ) -> Result<Outcome, StoreError> {
        let runs = self.head.as_ref().map(|head| head.runs.as_slice()).unwrap_or_default();
        let seen = &mut self.index.seen;
        let known = match tally.marks.get(&item.key).copied().or_else(|| seen.recent(&item.key)) {
            Some(mark) => Some(mark),
            None => seen.stored(&self.ledger, runs, &item.key).await?,
        };
        if let Some(mark) = known {
            return Ok(if item.is_same(&mark) {
                Outcome::Duplicate
            } else {
                let message = format!(
                    "another usage was counted as `{}` of `{}`: give this one an id of its own",
                    item.id, item.source
                );
                Outcome::Refused(Error::new(Reason::UsageIdConflict, message))
            });
        }
        let in_force = self.in_force.clone();
        let place = match place(&in_force, item, books, now) {
            Ok(place) => place,
            Err(error) => return Ok(Outcome::Refused(error)),
        };
        let refused = tally.add(&self.ledger, item, place).await?;
        Ok(refused.map_or(Outcome::Accepted, Outcome::Refused))
    }

    /// Takes up changes of the entitlements, and what others may have changed in the store.
    pub(super) async fn refresh(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.load().await?;
            self.current = false;
        }
        if self.current && !self.entitlements.has_changed().unwrap_or(false) {
            return Ok(());
        }
        self.take_up_terms().await
    }
}

/// Where an event belongs.
fn place<'a>(in_force: &'a InForce, item: &Item, books: &Books, now: i64) -> Result<Place<'a>> {
    let (terms, _) = in_force.find(&item.vendor, &item.service, &item.owner)?;
    let zone = terms.zone.as_ref().map_err(Clone::clone)?;
    if !(now - AGO..=now + AHEAD).contains(&item.seconds) {
        let message = format!(
            "the usage is of {}, and it is {} now: usage is taken from 400 days ago until 5 minutes ahead",
            rfc3339(from_unix_seconds(item.seconds)),
            rfc3339(from_unix_seconds(now))
        );
        return Err(Error::new(Reason::UsageTimeInvalid, message));
    }
    let month = zone.month(item.seconds);
    let open = books.get(terms.vendor()).map_or(month, Book::open);
    Ok(Place { terms, month, booked: month.max(open) })
}
