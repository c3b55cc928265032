//! `EventService`: lists and watches the log.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::Stream;
use proto::event::v1::{
    self as pb, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
    event_service_server::EventService,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Extensions, Request, Response, Status};

use super::{EventFilter, EventLog, Severity, StoredEvent, scope::scope};
use crate::{
    clock::timestamp,
    config::Limits,
    error::{Error, Reason, Result},
    page::page_size,
    serve::Shutdown,
};

/// Events sent at once.
const PAGE: usize = 100;

/// The filter as narrowed for a caller, or a refusal.
pub type Narrowed = Pin<Box<dyn Future<Output = Result<EventFilter>> + Send>>;

/// Who may read which events.
pub type EventAccess = Arc<dyn Fn(&Extensions, EventFilter) -> Narrowed + Send + Sync>;

/// Serves the log of events.
#[derive(Clone)]
pub struct EventRpc {
    log: Arc<EventLog>,
    access: EventAccess,
    watchers: Arc<Semaphore>,
    longest: Duration,
    shutdown: Shutdown,
}

impl EventRpc {
    /// Serves `log` to those whom `access` lets in; at most `limits.watchers` of them a stream, for `limits.connection_age`
    /// at most.
    #[must_use]
    pub fn new(log: Arc<EventLog>, access: EventAccess, limits: &Limits, shutdown: Shutdown) -> Self {
        let watchers = Arc::new(Semaphore::new(limits.watchers));
        Self { log, access, watchers, longest: limits.connection_age.0, shutdown }
    }
}

#[tonic::async_trait]
impl EventService for EventRpc {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let filter = EventFilter {
            id: (request.id != 0).then_some(request.id),
            serial: Some(request.serial.to_lowercase()).filter(|serial| !serial.is_empty()),
            node: Some(request.node.clone()).filter(|node| !node.is_empty()),
            active: match request.status() {
                pb::EventStatus::Unspecified => None,
                status => Some(status == pb::EventStatus::Active),
            },
            severity: match request.minimum_severity() {
                pb::Severity::Unspecified => None,
                pb::Severity::Info => Some(Severity::Info),
                pb::Severity::Warning => Some(Severity::Warning),
                pb::Severity::Error => Some(Severity::Error),
            },
            scope: scope(request.scope()),
            target: Some(request.target.clone()).filter(|target| !target.is_empty()),
            public: false,
        };
        let filter = (self.access)(&extensions, filter).await?;
        let from = match request.page_token.as_str() {
            "" => 1,
            token => token.parse().map_err(|_| {
                Error::new(
                    Reason::InvalidArgument,
                    "page_token was not given out by ListEvents: leave it empty to begin",
                )
            })?,
        };
        let (events, next) =
            self.log.list(from, page_size(request.page_size)?, &filter).await.map_err(Error::from)?;
        Ok(Response::new(ListEventsResponse {
            events: events.into_iter().map(message).collect(),
            next_page_token: next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        (self.access)(&extensions, EventFilter::default()).await?;
        let permit = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            Error::new(Reason::Overloaded, "too many watch the events already (`limits.watchers`)")
                .retry_after(Duration::from_secs(30))
        })?;
        let latest = self.log.subscribe();
        let from = match request.from_sequence {
            0 => *latest.borrow() + 1,
            from => from,
        };
        let (sender, receiver) = mpsc::channel(16);
        let feed =
            Feed { log: Arc::clone(&self.log), access: Arc::clone(&self.access), extensions, latest, sender };
        let (shutdown, longest) = (self.shutdown.clone(), self.longest);
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                _ = tokio::time::timeout(longest, feed.run(from)) => {}
                () = shutdown.wait() => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Sends events to one watcher until it goes away.
struct Feed {
    log: Arc<EventLog>,
    access: EventAccess,
    extensions: Extensions,
    latest: watch::Receiver<u64>,
    sender: mpsc::Sender<Result<WatchEventsResponse, Status>>,
}

impl Feed {
    async fn run(mut self, mut next: u64) {
        loop {
            let seen = *self.latest.borrow_and_update();
            while next <= seen {
                let (events, more) = match self.page(next).await {
                    Ok(page) => page,
                    Err(error) => {
                        let _ = self.sender.send(Err(error.into())).await;
                        return;
                    }
                };
                // The page may reach past `seen`: what was sent is not sent again.
                let mut last = seen;
                for event in events {
                    last = last.max(event.sequence);
                    let response = WatchEventsResponse { event: Some(message(event)) };
                    if self.sender.send(Ok(response)).await.is_err() {
                        return;
                    }
                }
                next = more.unwrap_or(last + 1);
            }
            tokio::select! {
                changed = self.latest.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
            }
        }
    }
}

impl Feed {
    /// The next events. What the watcher may read is asked anew: its certificate may have expired since.
    async fn page(&self, next: u64) -> Result<(Vec<StoredEvent>, Option<u64>)> {
        let filter = (self.access)(&self.extensions, EventFilter::default()).await?;
        Ok(self.log.list(next, PAGE, &filter).await?)
    }
}

/// An event as protobuf carries it.
#[must_use]
pub fn message(stored: StoredEvent) -> pb::Event {
    let StoredEvent { sequence, time, ended, ended_by, event } = stored;
    let severity = match event.kind.severity() {
        Severity::Info => pb::Severity::Info,
        Severity::Warning => pb::Severity::Warning,
        Severity::Error => pb::Severity::Error,
    };
    let status = if ended.is_some() { pb::EventStatus::Ended } else { pb::EventStatus::Active };
    pb::Event {
        sequence,
        id: event.kind.id(),
        name: event.kind.name().to_owned(),
        severity: severity.into(),
        time: Some(timestamp(time)),
        serial: event.serial,
        node: event.node,
        scope: pb::Scope::from(event.scope).into(),
        target: event.target,
        status: status.into(),
        activated_by: event.activated_by,
        expected_end_time: event.expected_end.map(timestamp),
        end_time: ended.map(timestamp),
        ended_by,
        message_key: event.kind.name().to_owned(),
        message: event.kind.message(&event.arguments),
        arguments: event.arguments.into_iter().collect(),
    }
}
