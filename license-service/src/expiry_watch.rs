//! Watches the clock: raises events 16, 17 and 18, says when the service is disabled and enabled, and lets the TLS port
//! serve the newest certificate.

use std::{sync::Arc, time::SystemTime};

use licensor::{
    clock::{JumpDetector, SharedClock},
    config::Expiry,
    expiry::Warnings,
    serve::Shutdown,
    store::StoreError,
    tls::Swappable,
};
use tokio::sync::watch;

use crate::{
    credential::{Credential, enabled},
    ledger::Ledger,
    renewal::CredentialWatch,
};

/// Everything that depends on the time of day and not on a call.
pub(crate) struct ExpiryWatch {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) credential: CredentialWatch,
    pub(crate) clock: SharedClock,
    pub(crate) expiry: Expiry,
    /// What the TLS port serves.
    pub(crate) server: Arc<Swappable>,
    /// Tells those who watch the health to look again.
    pub(crate) ticker: watch::Sender<u64>,
}

impl ExpiryWatch {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.watch()).await;
        Ok(())
    }

    async fn watch(mut self) {
        let mut jumps = JumpDetector::new(&self.clock);
        loop {
            let credential = self.credential.borrow_and_update().clone();
            if let Some(credential) = &credential {
                self.server.store(credential.server.clone());
            }
            if let Err(error) = self.look(credential.as_ref()).await {
                tracing::error!(%error, "events that are due could not be kept; they will be tried again");
            }
            self.ticker.send_modify(|ticks| *ticks += 1);
            let deadline = self.next_deadline(credential.as_deref(), self.clock.now());
            tokio::select! {
                () = self.clock.wait_until(deadline, self.expiry.check_interval.0) => {}
                changed = self.credential.changed() => if changed.is_err() { return },
            }
            self.ledger.events().note_jump(jumps.look(&self.clock)).await;
        }
    }

    async fn look(&self, credential: Option<&Arc<Credential>>) -> Result<(), StoreError> {
        let Some(credential) = credential else { return Ok(()) };
        let now = self.clock.now();
        match credential.revoked.get() {
            Some(revoked) => self.ledger.raise_revoked(&credential.holder(), *revoked).await?,
            None => self.ledger.raise_due(&credential.holder(), now).await?,
        }
        let problem = enabled(Some(credential), now).err().map(|error| error.message);
        self.ledger.note_enabled(problem.as_deref(), &credential.holder()).await
    }

    fn next_deadline(&self, credential: Option<&Credential>, now: SystemTime) -> SystemTime {
        let later = now + self.expiry.check_interval.0;
        credential.map_or(later, |credential| {
            let begin = Some(credential.validity.not_before).filter(|begin| *begin > now);
            begin.or_else(|| Warnings::of(&credential.validity, &self.expiry).next(now)).unwrap_or(later)
        })
    }
}
