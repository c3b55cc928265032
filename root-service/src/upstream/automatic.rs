//! The task that renews the authority's certificate at its upstream by itself, and looks what the upstream says of itself
//! and of this root.
//!
//! A trust anchor is left alone: whoever has written its fingerprint down shall not find another one some day.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use licensor::{
    backoff,
    clock::from_unix_seconds,
    error::{Error, Reason},
    serve::Shutdown,
};

use super::Upstream;
use crate::ledger::{AuthoritiesRecord, Standing, UpstreamKind};

/// Renews when the time has come.
#[derive(Debug)]
pub(crate) struct Automatic {
    pub(crate) upstream: Arc<Upstream>,
    /// How often at least the clock is looked at.
    pub(crate) check_interval: Duration,
    /// How often the trust bundle and the revocation list are asked for.
    pub(crate) poll_interval: Duration,
}

/// When to do what.
#[derive(Debug)]
struct Plan {
    failures: u32,
    not_before: SystemTime,
    next_poll: SystemTime,
}

impl Automatic {
    /// Works until `shutdown`. An attempt that is under way is given up: the next start takes it up again.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let authority = &self.upstream.authority;
        let clock = authority.clock();
        let mut changed = authority.subscribe();
        let mut plan =
            Plan { failures: 0, not_before: SystemTime::UNIX_EPOCH, next_poll: SystemTime::UNIX_EPOCH };
        loop {
            changed.mark_unchanged();
            let generations = authority.generations();
            let record = &generations.record().upstream;
            let by_network = record.kind() == UpstreamKind::Grpc && !record.identity.is_empty();
            let now = clock.now();
            let mut deadline = now + self.check_interval;
            if by_network {
                let due = self.due(&plan, generations.record());
                if now >= due {
                    self.renew(&mut plan, generations.record()).await;
                } else if now >= plan.next_poll {
                    let pause = self.poll_interval.mul_f64(rand::random_range(0.8..1.2));
                    plan.next_poll = now + pause;
                    if let Err(error) = self.upstream.poll(record).await {
                        tracing::warn!(reason = %error.reason, %error, "the trust bundle and revocation list of the upstream could not be had, or not be taken over; it is tried again");
                    }
                    // What was heard may be a reason to renew at once.
                    continue;
                }
                deadline = due.min(plan.next_poll).max(clock.now());
            }
            tokio::select! {
                () = clock.wait_until(deadline, self.check_interval) => {}
                _ = changed.changed() => {}
            }
            // A clock that was set back must not keep waits alive that were meant to be short.
            let now = clock.now();
            plan.not_before = plan.not_before.min(now + backoff::LONGEST);
            plan.next_poll = plan.next_poll.min(now + self.poll_interval.mul_f64(1.2));
        }
    }

    /// When a certificate is to be asked for: at once for an authority that waits for its first, and if the upstream issues
    /// under another key than before; unless that was tried in vain just now.
    fn due(&self, plan: &Plan, record: &AuthoritiesRecord) -> SystemTime {
        let waits = record.generations.iter().any(|it| it.standing() == Standing::Requested);
        let at_once = waits || self.upstream.outdated.load(Ordering::Relaxed);
        if at_once && plan.failures == 0 {
            return SystemTime::UNIX_EPOCH;
        }
        let active = record.generations.iter().find(|it| it.standing() == Standing::Active);
        let planned = active.filter(|_| !at_once).map_or(0, |active| active.renew_at);
        from_unix_seconds(planned).max(plan.not_before)
    }

    async fn renew(&self, plan: &mut Plan, seen: &AuthoritiesRecord) {
        let authority = &self.upstream.authority;
        let renewed = self.upstream.renew_unless_changed(seen).await;
        let now = authority.clock().now();
        let left = authority.active().ok().and_then(|it| it.validity.not_after.duration_since(now).ok());
        match renewed {
            // Where the clocks are far apart, the new certificate may look due at once.
            Ok(()) => {
                let lifetime = authority.active().map(|active| active.validity.lifetime());
                plan.failures = 0;
                self.upstream.outdated.store(false, Ordering::Relaxed);
                plan.not_before = now + (lifetime.unwrap_or_default() / 20).max(Duration::from_secs(1));
            }
            Err(Error { reason, retry_after, .. }) => {
                if reason == Reason::CertificateRevoked {
                    // What counts is the list.
                    plan.next_poll = now;
                }
                plan.failures = plan.failures.saturating_add(1);
                let random = rand::random_range(0.0..1.0);
                let left = left.unwrap_or_default();
                plan.not_before = now + backoff::delay(plan.failures, left, retry_after, random);
            }
        }
    }
}
