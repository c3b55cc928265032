//! The durable log of events: appended to in the commit of the change that an event tells of.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use prost::Message;
use tokio::{runtime::Handle, sync::watch};

use super::{
    Event, EventFilter, EventKind, Severity, StoredEvent,
    active::{INDEXED, active_key},
    record::{EndRecord, decode},
};
use crate::{
    clock::{SharedClock, from_timestamp, timestamp},
    error::Result,
    store::{Batch, SharedStore, StoreError},
    telemetry::Metrics,
};

pub(super) const LOG: &[u8] = b"event/";
pub(super) const ENDED: &[u8] = b"event-ended/";
/// Events read from the store at once.
pub(super) const PAGE: usize = 256;
/// Events that one call looks at.
const LOOKED_AT: u64 = 4096;

/// The log of events of a service.
#[derive(Debug)]
pub struct EventLog {
    pub(super) store: SharedStore,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    pub(super) latest: watch::Sender<u64>,
}

impl EventLog {
    /// The log that is kept in `store`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn open(
        store: SharedStore,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let latest = store.log_end(LOG).await?;
        let log = Self { store, clock, metrics, latest: watch::Sender::new(latest) };
        log.index().await?;
        Ok(log)
    }

    /// Commits `batch` together with `events`: both are kept, or neither. What the caller gives the log is shown to
    /// people (log lines, metrics, watchers) after it is durable.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was kept then.
    pub async fn commit(self: &Arc<Self>, mut batch: Batch, events: Vec<Event>) -> Result<(), StoreError> {
        let now = self.clock.now();
        if *self.latest.borrow() == 0 {
            batch.put(INDEXED, []);
        }
        for event in &events {
            if !event.topic.is_empty() {
                self.activate(&mut batch, &event.topic).await?;
            }
            batch.append(LOG, event.encode(now));
        }
        let store = Arc::clone(&self.store);
        let kept = Box::pin(async move { store.commit(batch).await });
        Commit { log: Arc::clone(self), kept: Some(kept), events }.await
    }

    /// Shows to people what has become durable.
    fn tell(&self, events: &[Event], positions: &[u64]) {
        for (event, sequence) in events.iter().zip(positions) {
            self.metrics.event(event.kind);
            announce(event, *sequence);
        }
        if let Some(last) = positions.last() {
            self.latest.send_if_modified(|latest| {
                let newer = last > latest;
                *latest = (*latest).max(*last);
                newer
            });
        }
    }

    /// Raises one event alone.
    ///
    /// # Errors
    /// [`StoreError`] if it was not kept.
    pub async fn raise(self: &Arc<Self>, event: Event) -> Result<(), StoreError> {
        self.commit(Batch::new(), vec![event]).await
    }

    /// Raises that the clock jumped by this many seconds, if it did.
    pub async fn note_jump(self: &Arc<Self>, seconds: Option<i64>) {
        let Some(seconds) = seconds else { return };
        let event = Event::new(EventKind::ClockJumped).argument("seconds", seconds.to_string());
        if let Err(error) = self.raise(event).await {
            tracing::error!(%error, seconds, "the clock jumped, and the event could not be kept");
        }
    }

    /// Adds to `batch` that every event of this topic has ended.
    pub fn end(&self, batch: &mut Batch, topic: &str) {
        self.end_by(batch, topic, "");
    }

    /// Adds to `batch` that somebody has ended every event of this topic.
    pub fn end_by(&self, batch: &mut Batch, topic: &str, whom: &str) {
        let record = EndRecord { time: Some(timestamp(self.clock.now())), by: whom.to_owned() };
        batch.put([ENDED, topic.as_bytes()].concat(), record.encode_to_vec());
        batch.delete(active_key(topic));
    }

    /// At most `limit` events that `filter` admits, from the sequence number `from` on, and the number to go on from
    /// if there may be more. Looks at a bounded number of events: it may return few, or none, with more to come.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn list(
        &self,
        from: u64,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<(Vec<StoredEvent>, Option<u64>), StoreError> {
        if filter.active == Some(true)
            && let Some(page) = self.list_active(from, limit, filter).await?
        {
            return Ok(page);
        }
        let mut events = Vec::new();
        let mut next = from.max(1);
        loop {
            let page = self.store.read_log(LOG, next, PAGE).await?;
            let whole = page.len() == PAGE;
            for (sequence, value) in page {
                if events.len() == limit || sequence.saturating_sub(from) >= LOOKED_AT {
                    return Ok((events, Some(sequence)));
                }
                next = sequence + 1;
                if let Some(stored) = self.read(sequence, &value).await?
                    && filter.admits(&stored)
                {
                    events.push(stored);
                }
            }
            if !whole {
                return Ok((events, None));
            }
            tokio::task::yield_now().await;
        }
    }

    /// The newest events that `filter` admits, at most `limit` of them, the newest first; only those before the sequence number
    /// `before`, if there is one. And the number to go on before, if there may be more. Looks at a bounded number of events.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn newest(
        &self,
        before: Option<u64>,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<(Vec<StoredEvent>, Option<u64>), StoreError> {
        let mut end = before.unwrap_or(u64::MAX).min(self.latest.borrow().saturating_add(1));
        if filter.active == Some(true)
            && let Some((mut active, _)) = self.list_active(1, usize::MAX, filter).await?
        {
            active.retain(|event| event.sequence < end);
            active.reverse();
            let more = active.len() > limit;
            active.truncate(limit);
            let next = active.last().filter(|_| more).map(|last| last.sequence);
            return Ok((active, next));
        }
        let lowest = end.saturating_sub(LOOKED_AT).max(1);
        let mut events = Vec::new();
        while end > lowest {
            let start = end.saturating_sub(PAGE as u64).max(lowest);
            let wanted = usize::try_from(end - start).unwrap_or(PAGE);
            for (sequence, value) in self.store.read_log(LOG, start, wanted).await?.into_iter().rev() {
                if events.len() == limit {
                    return Ok((events, Some(sequence + 1)));
                }
                if let Some(stored) = self.read(sequence, &value).await?
                    && filter.admits(&stored)
                {
                    events.push(stored);
                }
            }
            end = start;
            tokio::task::yield_now().await;
        }
        Ok((events, (lowest > 1).then_some(lowest)))
    }

    /// The event with this sequence number; `None` if there is none, or a newer release wrote it.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn find(&self, sequence: u64) -> Result<Option<StoredEvent>, StoreError> {
        match self.store.read_log(LOG, sequence, 1).await?.first() {
            Some((found, value)) if *found == sequence => self.read(sequence, value).await,
            _ => Ok(None),
        }
    }

    pub(super) async fn read(&self, sequence: u64, value: &[u8]) -> Result<Option<StoredEvent>, StoreError> {
        let Some((time, event)) = decode(value) else { return Ok(None) };
        let mut stored = StoredEvent { sequence, time, ended: Some(time), ended_by: String::new(), event };
        if !stored.event.topic.is_empty() {
            let end = self.store.get(&[ENDED, stored.event.topic.as_bytes()].concat()).await?;
            let end = end.and_then(|end| EndRecord::decode(&*end).ok());
            stored.ended = end.as_ref().map(|end| from_timestamp(end.time).unwrap_or(time));
            stored.ended_by = end.map(|end| end.by).unwrap_or_default();
        }
        Ok(Some(stored))
    }

    /// At most `limit` entries from the sequence number `from` on, octet for octet.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.store.read_log(LOG, from, limit).await
    }

    /// The sequence number of the newest event, and word of every newer one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }
}

/// A commit on its way. A caller that goes away does not keep what becomes durable from being told.
struct Commit {
    log: Arc<EventLog>,
    kept: Option<BoxFuture<Result<Vec<u64>, StoreError>>>,
    events: Vec<Event>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Future for Commit {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(kept) = &mut self.kept else { return Poll::Pending };
        let positions = ready!(kept.as_mut().poll(cx));
        self.kept = None;
        Poll::Ready(positions.map(|positions| self.log.tell(&self.events, &positions)))
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        // Without a runtime the process ends; whether the batch was kept shows at the next start.
        if let Some(kept) = self.kept.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let (log, events) = (Arc::clone(&self.log), std::mem::take(&mut self.events));
            runtime.spawn(async move {
                if let Ok(positions) = kept.await {
                    log.tell(&events, &positions);
                }
            });
        }
    }
}

/// One line in the log of the system.
fn announce(event: &Event, sequence: u64) {
    // A line of the log is one line, whatever an administrator has written.
    let message = event.kind.message(&event.arguments).replace('\n', " / ");
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                event_id = event.kind.id(),
                event_name = event.kind.name(),
                severity = event.kind.severity().as_str(),
                sequence,
                serial = event.serial,
                node = event.node,
                activated_by = event.activated_by,
                "{message}"
            )
        };
    }
    match event.kind.severity() {
        Severity::Info if event.kind.is_routine() => line!(debug),
        Severity::Info => line!(info),
        Severity::Warning => line!(warn),
        Severity::Error => line!(error),
    }
}
