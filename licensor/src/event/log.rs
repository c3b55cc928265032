//! The durable log of events: appended to in the commit of the change that an event tells of.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use prost::Message;
use prost_types::Timestamp;
use tokio::{runtime::Handle, sync::watch};

use super::{EventKind, Severity};
use crate::{
    clock::{SharedClock, from_timestamp, rfc3339, timestamp},
    error::Result,
    store::{Batch, SharedStore, StoreError},
    telemetry::Metrics,
};

const LOG: &[u8] = b"event/";
/// The argument that names whom an event is about. Not stored where it is the node.
const HOLDER: &str = "holder";
const ENDED: &[u8] = b"event-ended/";
/// Events read from the store at once.
const PAGE: usize = 256;
/// Events that one call looks at.
const LOOKED_AT: u64 = 4096;

/// An event that is about to be raised.
#[derive(Debug, Clone)]
pub struct Event {
    /// What kind.
    pub kind: EventKind,
    /// Serial number of the certificate that it is about; may be empty.
    pub serial: String,
    /// Licensing server that it is about; may be empty.
    pub node: String,
    /// Who caused it; `service` if nobody did.
    pub activated_by: String,
    /// Arguments of its message.
    pub arguments: BTreeMap<String, String>,
    /// SHA-256 of the certificate (DER) whose issue it tells of; empty if of none.
    pub certificate_digest: Vec<u8>,
    /// What the event holds for: it is active until [`EventLog::end`] is told the same. Empty: it ends at once.
    pub topic: String,
}

impl Event {
    /// An event with nothing but its kind.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            serial: String::new(),
            node: String::new(),
            activated_by: "service".into(),
            arguments: BTreeMap::new(),
            certificate_digest: Vec::new(),
            topic: String::new(),
        }
    }

    /// Tells of the issue of the certificate with this SHA-256.
    #[must_use]
    pub fn of_certificate(mut self, digest: [u8; 32]) -> Self {
        self.certificate_digest = digest.to_vec();
        self
    }

    /// About this certificate of this node, or of the authority if `node` is empty.
    #[must_use]
    pub fn about(mut self, serial: &str, node: &str) -> Self {
        serial.clone_into(&mut self.serial);
        node.clone_into(&mut self.node);
        if !node.is_empty() {
            self = self.argument(HOLDER, node);
        }
        self
    }

    /// Caused by.
    #[must_use]
    pub fn by(mut self, whom: &str) -> Self {
        whom.clone_into(&mut self.activated_by);
        self
    }

    /// An argument of the message.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl Into<String>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// The end of validity, as an argument.
    #[must_use]
    pub fn until(self, not_after: SystemTime) -> Self {
        self.argument("not_after", rfc3339(not_after))
    }

    /// Active until the topic is ended.
    #[must_use]
    pub fn active_for(mut self, topic: String) -> Self {
        self.topic = topic;
        self
    }
}

/// What is stored of an event; its sequence number is its position in the log.
#[derive(Clone, PartialEq, Message)]
struct EventRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "2")]
    time: Option<Timestamp>,
    #[prost(string, tag = "3")]
    serial: String,
    #[prost(string, tag = "4")]
    node: String,
    #[prost(string, tag = "5")]
    activated_by: String,
    #[prost(btree_map = "string, string", tag = "6")]
    arguments: BTreeMap<String, String>,
    #[prost(string, tag = "7")]
    topic: String,
    #[prost(bytes = "vec", tag = "8")]
    certificate_digest: Vec<u8>,
}

/// The first field of [`EventRecord`] alone.
#[derive(Clone, PartialEq, Message)]
struct KindRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
}

#[derive(Clone, PartialEq, Message)]
struct EndRecord {
    #[prost(message, optional, tag = "1")]
    time: Option<Timestamp>,
}

/// An event as it stands in the log.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Position in the log, from 1.
    pub sequence: u64,
    /// When it was raised.
    pub time: SystemTime,
    /// When it ended; `None` while it is active.
    pub ended: Option<SystemTime>,
    /// What it says.
    pub event: Event,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only this id; without one, every kind but what is routine.
    pub id: Option<u32>,
    /// Only about this certificate.
    pub serial: Option<String>,
    /// Only about this node.
    pub node: Option<String>,
    /// Only active ones, or only ended ones.
    pub active: Option<bool>,
    /// At least as severe.
    pub severity: Option<Severity>,
}

impl EventFilter {
    /// Whether it lets an event through.
    #[must_use]
    pub fn admits(&self, stored: &StoredEvent) -> bool {
        let event = &stored.event;
        self.id.map_or(!event.kind.is_routine(), |id| event.kind.id() == id)
            && self.serial.as_ref().is_none_or(|serial| event.serial == *serial)
            && self.node.as_ref().is_none_or(|node| event.node == *node)
            && self.active.is_none_or(|active| stored.ended.is_none() == active)
            && self.severity.is_none_or(|severity| event.kind.severity() >= severity)
    }
}

/// The log of events of a service.
#[derive(Debug)]
pub struct EventLog {
    store: SharedStore,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    latest: watch::Sender<u64>,
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
        Ok(Self { store, clock, metrics, latest: watch::Sender::new(latest) })
    }

    /// Commits `batch` together with `events`: both are kept, or neither. What the caller gives the log is shown to
    /// people (log lines, metrics, watchers) after it is durable.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was kept then.
    pub async fn commit(self: &Arc<Self>, mut batch: Batch, events: Vec<Event>) -> Result<(), StoreError> {
        let now = self.clock.now();
        for event in &events {
            let record = EventRecord {
                id: event.kind.id(),
                time: Some(timestamp(now)),
                serial: event.serial.clone(),
                node: event.node.clone(),
                activated_by: event.activated_by.clone(),
                arguments: event
                    .arguments
                    .iter()
                    .filter(|(name, value)| *name != HOLDER || **value != event.node)
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                topic: event.topic.clone(),
                certificate_digest: event.certificate_digest.clone(),
            };
            batch.append(LOG, record.encode_to_vec());
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
        let record = EndRecord { time: Some(timestamp(self.clock.now())) };
        batch.put([ENDED, topic.as_bytes()].concat(), record.encode_to_vec());
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

    async fn read(&self, sequence: u64, value: &[u8]) -> Result<Option<StoredEvent>, StoreError> {
        let Some((time, event)) = decode(value) else { return Ok(None) };
        let ended = if event.topic.is_empty() {
            Some(time)
        } else {
            let end = self.store.get(&[ENDED, event.topic.as_bytes()].concat()).await?;
            end.and_then(|end| EndRecord::decode(&*end).ok())
                .map(|end| from_timestamp(end.time).unwrap_or(time))
        };
        Ok(Some(StoredEvent { sequence, time, ended, event }))
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

/// The kind of an entry of the log, for much less than [`decode`] takes.
#[must_use]
pub fn kind_of(entry: &[u8]) -> Option<EventKind> {
    EventKind::from_id(KindRecord::decode(entry).ok()?.id)
}

/// What an entry of the log says, and when it was raised. A kind that a newer release wrote is none.
#[must_use]
pub fn decode(entry: &[u8]) -> Option<(SystemTime, Event)> {
    let record = EventRecord::decode(entry).ok()?;
    let kind = EventKind::from_id(record.id)?;
    let time = from_timestamp(record.time).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut arguments = record.arguments;
    if !record.node.is_empty() {
        arguments.entry(HOLDER.to_owned()).or_insert_with(|| record.node.clone());
    }
    let event = Event {
        kind,
        serial: record.serial,
        node: record.node,
        activated_by: record.activated_by,
        arguments,
        certificate_digest: record.certificate_digest,
        topic: record.topic,
    };
    Some((time, event))
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
    let message = event.kind.message(&event.arguments);
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::{
        clock::SystemClock,
        store::{SledOptions, SledStore},
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn what_becomes_durable_is_told_though_its_caller_has_gone() {
        let directory = tempfile::tempdir().unwrap();
        let options = SledOptions {
            directory: directory.path().join("store"),
            cache_bytes: 1 << 24,
            minimum_free_bytes: 0,
        };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let metrics = Metrics::shared();
        let log = EventLog::open(store, SystemClock::shared(), Arc::clone(&metrics)).await.unwrap();
        let log = Arc::new(log);
        let mut latest = log.subscribe();
        let mut commit = Box::pin(log.raise(Event::new(EventKind::TokenCreated)));
        let _ = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(commit);
        latest.wait_for(|latest| *latest == 1).await.unwrap();
        let counted = "licensor_events_total{id=\"106\",name=\"TokenCreatedEvent\"} 1";
        assert!(metrics.text().contains(counted), "{}", metrics.text());
    }
}
