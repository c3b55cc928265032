//! Live updates: word to open pages that something on them has changed (server-sent events). What has changed they fetch
//! themselves, so that a page is the same however it came about. A page that has lost its connection, to a service that was
//! restarted say, fetches itself anew when it has another one: nothing that happened meanwhile is missing.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use licensor::clock::from_unix_seconds;
use tokio::sync::OwnedSemaphorePermit;

use crate::visitor::{Viewer, Visitor};

/// Changes within this time are one.
const GATHER: Duration = Duration::from_millis(500);
/// Pages of one session that are kept up to date at once.
const OF_ONE: usize = 24;
/// The longest time for which the end of a session goes unnoticed.
const LOOK: Duration = Duration::from_secs(5);

/// Waits for changes.
pub trait Changes: Send + 'static {
    /// Returns when something has changed that pages show.
    fn next(&mut self) -> impl Future<Output = ()> + Send;
}

struct Feed<C> {
    changes: C,
    visitor: Arc<Visitor>,
    greeted: bool,
    _place: Place,
}

/// A place among the pages that are kept up to date, and among those of its session.
struct Place {
    visitor: Arc<Visitor>,
    key: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl Place {
    /// `None` if there are too many already.
    fn take(visitor: &Arc<Visitor>) -> Option<Self> {
        let place = Arc::clone(&visitor.screen.live).try_acquire_owned().ok()?;
        let key = visitor.session.as_ref()?.key().to_vec();
        let mut open = visitor.screen.live_of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key.clone()).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Self { visitor: Arc::clone(visitor), key, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.visitor.screen.live_of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// Tells the page of a viewer of changes until the session ends or the service stops.
pub fn tell<C: Changes>(Viewer(visitor): Viewer, changes: C) -> Response {
    let Some(place) = Place::take(&visitor) else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")]).into_response();
    };
    let feed = Feed { changes, visitor, greeted: false, _place: place };
    let events = stream::unfold(feed, |mut feed| async {
        if !feed.greeted {
            feed.greeted = true;
            return Some((Ok::<_, Infallible>(word("hello")), feed));
        }
        feed.wait().await.then(|| (Ok(word("changed")), feed))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(LOOK)).into_response();
    // A proxy that gathers would hold everything back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// An event of this kind. Browsers pass over one without data.
fn word(kind: &str) -> Event {
    Event::default().event(kind).data(kind)
}

impl<C: Changes> Feed<C> {
    /// Whether there is something to tell; else the end has come.
    async fn wait(&mut self) -> bool {
        let visitor = Arc::clone(&self.visitor);
        let screen = &visitor.screen;
        let end = self.visitor.session.as_ref().map_or(0, |session| session.expires_at);
        let end = from_unix_seconds(end);
        let ended = async {
            while screen.clock.now() < end && is_signed_in(&visitor).await {
                screen.clock.wait_until(end, LOOK).await;
            }
        };
        tokio::select! {
            () = screen.shutdown.wait() => return false,
            () = ended => return false,
            () = self.changes.next() => {}
        }
        screen.clock.wait_until(screen.clock.now() + GATHER, GATHER).await;
        true
    }
}

/// Whether the visitor has not signed out meanwhile.
async fn is_signed_in(visitor: &Visitor) -> bool {
    match &visitor.session {
        Some(session) => visitor.screen.sessions.goes_on(session).await,
        None => false,
    }
}
