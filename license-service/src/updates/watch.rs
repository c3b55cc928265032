//! What time does: warns of entitlements that run out, and of a clock that goes back.

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339, unix_seconds},
    event::{Event, EventKind},
    serve::Shutdown,
    store::StoreError,
};

use crate::{
    ledger::Ledger,
    licensing::{Licensing, TOLERANCE},
};

/// Looks at the clock.
#[derive(Debug)]
pub(crate) struct TimeWatch {
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) licensing: Arc<Licensing>,
    pub(crate) check_interval: Duration,
}

impl TimeWatch {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let mut entitlements = self.licensing.entitlements();
        loop {
            entitlements.borrow_and_update();
            let now = unix_seconds(self.clock.now());
            if let Err(error) = self.look(now).await {
                tracing::error!(%error, "what the time has brought could not be kept; it is tried again");
            }
            let deadline = self.clock.now() + self.check_interval;
            tokio::select! {
                () = self.clock.wait_until(deadline, self.check_interval) => {}
                changed = entitlements.changed() => if changed.is_err() { return },
            }
        }
    }

    /// One look at `now`, seconds since 1970.
    pub(crate) async fn look(&self, now: i64) -> Result<(), StoreError> {
        let known = self.licensing.seen().highest();
        let seen = self.licensing.seen().note(now);
        if seen > known {
            self.ledger.keep_highest_time(seen).await?;
        }
        let behind = now.saturating_add(TOLERANCE) < seen;
        self.ledger.note_clock(now, behind.then_some(seen)).await?;
        if behind {
            return Ok(());
        }
        let entitlements = self.licensing.entitlements().borrow().clone();
        for installed in entitlements.iter() {
            let entitlement = &installed.claims.entitlement;
            let dates = &entitlement.dates;
            let Some(expires) = dates.expires else { continue };
            let date = |at| rfc3339(from_unix_seconds(at));
            let event = if now >= expires {
                let grace_ends = dates.end_of_grace().unwrap_or(expires);
                Event::new(EventKind::EntitlementExpired).argument("grace_ends", date(grace_ends))
            } else if dates.first_warning.is_some_and(|warning| now >= warning) {
                Event::new(EventKind::EntitlementExpiresSoon)
            } else {
                continue;
            };
            let event = event.argument("expires", date(expires));
            self.ledger.raise_of_entitlement(event, &entitlement.vendor, entitlement.version).await?;
        }
        Ok(())
    }
}
