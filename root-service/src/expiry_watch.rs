//! Watches the clock: raises events 16, 17 and 18, and replaces the revocation list and the root's own server certificate
//! in time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{JumpDetector, SharedClock},
    serve::Shutdown,
    telemetry::Metrics,
};
use tokio::sync::watch;

use crate::authority::{Authority, OwnServer};

/// Everything that depends on the time of day and not on a call.
pub(crate) struct ExpiryWatch {
    pub(crate) authority: Arc<Authority>,
    pub(crate) own_server: Arc<OwnServer>,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) check_interval: Duration,
    /// Tells those who watch the health to look again.
    pub(crate) ticker: watch::Sender<u64>,
}

impl ExpiryWatch {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.watch()).await;
        Ok(())
    }

    async fn watch(&self) {
        let mut changed = self.authority.subscribe();
        let mut jumps = JumpDetector::new(&self.clock);
        loop {
            self.look().await;
            let deadline = self.next_deadline(self.clock.now()).await;
            tokio::select! {
                () = self.clock.wait_until(deadline, self.check_interval) => {}
                _ = changed.changed() => {}
            }
            self.authority.ledger().events().note_jump(jumps.look(&self.clock)).await;
        }
    }

    async fn look(&self) {
        let ledger = self.authority.ledger();
        if let Err(error) = ledger.raise_due(self.clock.now()).await {
            tracing::error!(%error, "events that are due could not be kept; they will be tried again");
        }
        if let Err(error) = self.authority.refresh_revocation_lists().await {
            tracing::error!(%error, "the revocation list could not be published; it will be tried again");
        }
        if let Ok(active) = self.authority.active() {
            self.metrics.set_not_after(active.validity.not_after);
        }
        if let Ok(list) = self.authority.revocation_list("") {
            self.metrics.set_revocation_list(list.number, list.next_update);
        }
        if let Err(error) = self.own_server.refresh(&self.authority) {
            tracing::error!(%error, "the certificate of the TLS port could not be replaced");
        }
        if let Err(error) = self.own_server.log(&self.authority).await {
            tracing::error!(%error, "the issue of the root's own server certificate is no entry of the log yet");
        }
        self.ticker.send_modify(|ticks| *ticks += 1);
    }

    async fn next_deadline(&self, now: SystemTime) -> SystemTime {
        let due = self.authority.ledger().next_due().await.ok().flatten();
        let not_after = self.authority.active().ok().map(|active| active.validity.not_after);
        let list = self.authority.next_revocation_list();
        // What should have been done by now could not be: it is tried again with the next check.
        let ahead = [due, not_after, list].into_iter().flatten().filter(|instant| *instant > now);
        ahead.min().unwrap_or(now + self.check_interval)
    }
}
