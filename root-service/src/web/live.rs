//! What makes an open page fetch itself anew: events, nodes that have changed, the authority, and time.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use licensor::clock::unix_seconds;
use licensor_web::{live, visitor::Viewer};
use tokio::sync::watch;

use super::{Here, Site};
use crate::fleet::{Counts, View};

/// The longest time for which what only time has changed goes unnoticed.
const LOOK: Duration = Duration::from_secs(2);
/// The shortest time between two changes that a page is told of: a thousand nodes that renew in a second are one.
const SPACING: Duration = Duration::from_secs(1);
/// After so many seconds the times that are left read differently.
const MINUTE: i64 = 60;

pub(super) async fn page(State(site): Here, viewer: Viewer) -> Response {
    site.fleet.look();
    let watched = Watched {
        events: site.authority.ledger().events().subscribe(),
        fleet: site.fleet.subscribe(),
        authority: site.authority.subscribe(),
        counts: None,
        told_at: unix_seconds(site.clock.now()),
        site,
    };
    live::tell(viewer, watched)
}

struct Watched {
    events: watch::Receiver<u64>,
    fleet: watch::Receiver<View>,
    authority: watch::Receiver<()>,
    /// What was counted when this looked last.
    counts: Option<Counts>,
    told_at: i64,
    site: Arc<Site>,
}

impl live::Changes for Watched {
    async fn next(&mut self) {
        let clock = self.site.clock.clone();
        clock.wait_until(clock.now() + SPACING, SPACING).await;
        loop {
            // Senders live as long as the service.
            tokio::select! {
                _ = self.events.changed() => break,
                _ = self.fleet.changed() => break,
                _ = self.authority.changed() => break,
                () = clock.wait_until(clock.now() + LOOK, LOOK) => {}
            }
            self.site.fleet.look();
            if self.has_turned().await {
                break;
            }
        }
        self.told_at = unix_seconds(clock.now());
    }
}

impl Watched {
    /// Whether time alone has changed what is shown.
    async fn has_turned(&mut self) -> bool {
        let view = self.fleet.borrow().clone();
        let counts = self.site.fleet.counts(&view).await.ok();
        let turned = self.counts.is_some() && counts != self.counts;
        self.counts = counts;
        turned || unix_seconds(self.site.clock.now()) - self.told_at >= MINUTE
    }
}
