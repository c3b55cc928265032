//! Asks the root by itself: at enrolment, at renewal, when an entitlement says so, and now and then.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{SharedClock, from_unix_seconds},
    error::{Reason, Result},
    event::{Event, EventKind},
    serve::Shutdown,
};

use super::Updates;

/// Pause after a failure, give or take a fifth.
const AGAIN: Duration = Duration::from_secs(60);

/// Fetches entitlements, and puts them into force if nothing stands in their way.
#[derive(Debug)]
pub(crate) struct Automatic {
    pub(crate) updates: Arc<Updates>,
    pub(crate) clock: SharedClock,
    /// How often the root is asked, whatever the entitlements say.
    pub(crate) poll_interval: Duration,
    /// How often at least the clock is looked at.
    pub(crate) check_interval: Duration,
    /// Whether what is fetched comes into force by itself. The first entitlement of a vendor always does.
    pub(crate) activate: bool,
}

impl Automatic {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let mut credentials = self.updates.credential.clone();
        let mut next = SystemTime::UNIX_EPOCH;
        let mut asked_with = String::new();
        loop {
            let credential = credentials.borrow_and_update().clone();
            // A clock that was set back must not put the next time off for long.
            let latest = self.clock.now() + self.poll_interval.mul_f64(1.2);
            next = next.min(latest);
            let serial = credential.map(|credential| credential.facts.serial.clone()).unwrap_or_default();
            if !serial.is_empty() && (serial != asked_with || self.clock.now() >= next) {
                asked_with = serial;
                let asked_at = self.clock.now();
                next = match self.round().await {
                    Ok(()) => self.after(asked_at),
                    Err(error) => {
                        tracing::warn!(reason = %error.reason, %error, "the root could not be asked for entitlements");
                        asked_at + self.poll_interval.min(AGAIN).mul_f64(rand::random_range(0.8..1.2))
                    }
                };
            }
            tokio::select! {
                () = self.clock.wait_until(next, self.check_interval) => {}
                changed = credentials.changed() => if changed.is_err() { return },
            }
        }
    }

    /// When to ask after an answer: at the next check that lies ahead, and no later than the interval.
    fn after(&self, asked_at: SystemTime) -> SystemTime {
        let regular = asked_at + self.poll_interval.mul_f64(rand::random_range(0.8..1.2));
        let entitlements = self.updates.licensing.entitlements().borrow().clone();
        let checks =
            entitlements.iter().filter_map(|installed| installed.claims.entitlement.dates.next_check);
        checks.map(from_unix_seconds).filter(|check| *check > asked_at).fold(regular, SystemTime::min)
    }

    async fn round(&self) -> Result<()> {
        for preview in self.updates.check().await? {
            let first = preview.installed_version == 0;
            if !first && !self.activate {
                tracing::info!(
                    vendor = preview.vendor,
                    version = preview.version,
                    "a newer entitlement is at hand: see `license-service entitlement check`"
                );
                continue;
            }
            match self.updates.activate(&preview.vendor, None, false, "service").await {
                Ok(_) => {}
                Err(error) if error.reason == Reason::SeatsInUse => {
                    let event = Event::new(EventKind::EntitlementBlocked).argument("problem", &error.message);
                    self.updates.ledger.raise_of_entitlement(event, &preview.vendor, preview.version).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
