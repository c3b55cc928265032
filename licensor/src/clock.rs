//! The one source of time. Certificates, timers, TLS verification and records share its axis of wall time.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use tokio::sync::watch;

/// A clock that is handed to everything that asks what time it is.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;

    /// Returns when `now()` has reached `deadline` or `at_most` has passed, whichever is first. The bound is what
    /// lets a caller notice a clock that jumped or a machine that slept: timers stop with the machine.
    async fn wait_until(&self, deadline: SystemTime, at_most: Duration);

    /// Time since some fixed instant, for measuring how long something took. Never goes back.
    fn elapsed(&self) -> Duration;
}

/// The clock as everyone holds it.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A shared system clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn shared() -> SharedClock {
        Arc::new(Self { start: Instant::now() })
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    async fn wait_until(&self, deadline: SystemTime, at_most: Duration) {
        let left = deadline.duration_since(self.now()).unwrap_or_default();
        // Timers count whole milliseconds: one more, so that the deadline has passed when this returns.
        tokio::time::sleep(left.saturating_add(Duration::from_millis(1)).min(at_most)).await;
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<SystemTime>,
    start: SystemTime,
    at_most: Mutex<Option<Duration>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: SystemTime) -> Arc<Self> {
        Arc::new(Self { now: watch::Sender::new(now), start: now, at_most: Mutex::new(None) })
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, to: SystemTime) {
        self.now.send_replace(to);
    }

    /// The bound of the latest wait, if any.
    pub fn latest_bound(&self) -> Option<Duration> {
        *lock(&self.at_most)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.now.borrow()
    }

    async fn wait_until(&self, deadline: SystemTime, at_most: Duration) {
        *lock(&self.at_most) = Some(at_most);
        let start = self.now();
        let wake = start.checked_add(at_most).map_or(deadline, |bound| bound.min(deadline));
        let mut now = self.now.subscribe();
        // The sender lives as long as `self`; a jump back wakes the waiter too, as the bound would in life.
        let _ = now.wait_for(|now| *now >= wake || *now < start).await;
    }

    fn elapsed(&self) -> Duration {
        self.now().duration_since(self.start).unwrap_or_default()
    }
}

/// A clock as rustls reads it.
#[derive(Debug)]
pub struct TlsTime(pub SharedClock);

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        self.0.now().duration_since(UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

/// The difference between expected and actual time from which on a clock is said to have jumped.
const TOLERANCE: Duration = Duration::from_secs(120);

/// Notices that the wall clock jumped. Each look begins where the last one ended, so that no jump falls in between.
#[derive(Debug)]
pub struct JumpDetector {
    wall: SystemTime,
    steady: Duration,
}

impl JumpDetector {
    /// A detector that has looked at `clock` once.
    #[must_use]
    pub fn new(clock: &SharedClock) -> Self {
        Self { wall: clock.now(), steady: clock.elapsed() }
    }

    /// By how many seconds `clock` is ahead of what the last look led to expect (behind: negative), if it is by
    /// two minutes or more. A machine that was suspended looks the same.
    pub fn look(&mut self, clock: &SharedClock) -> Option<i64> {
        let next = Self::new(clock);
        let expected = self.wall + next.steady.saturating_sub(self.steady);
        *self = next;
        let (sign, by) = match self.wall.duration_since(expected) {
            Ok(by) => (1, by),
            Err(behind) => (-1, behind.duration()),
        };
        (by >= TOLERANCE).then(|| sign * i64::try_from(by.as_secs()).unwrap_or(i64::MAX))
    }
}

/// Seconds since 1970; negative before.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// The instant at `seconds` since 1970; 1970 itself for what lies before it.
#[must_use]
pub fn from_unix_seconds(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// `time` as RFC 3339 in UTC, with whole seconds.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(UNIX_EPOCH)).to_string()
}

/// `time` as protobuf carries it.
#[must_use]
pub fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    prost_types::Timestamp::from(time)
}

/// What protobuf carried; `None` if absent or out of range.
#[must_use]
pub fn from_timestamp(timestamp: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    SystemTime::try_from(timestamp?).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wall time that can be set, and steady time that stands still.
    #[derive(Debug)]
    struct Jumpy(Mutex<SystemTime>);

    #[async_trait]
    impl Clock for Jumpy {
        fn now(&self) -> SystemTime {
            *lock(&self.0)
        }

        async fn wait_until(&self, _: SystemTime, _: Duration) {}

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn a_jump_is_noticed_once_whenever_it_came() {
        let jumpy = Arc::new(Jumpy(Mutex::new(UNIX_EPOCH + Duration::from_secs(1_000_000))));
        let clock: SharedClock = jumpy.clone();
        let mut detector = JumpDetector::new(&clock);
        assert_eq!(detector.look(&clock), None);
        *lock(&jumpy.0) += Duration::from_secs(119);
        assert_eq!(detector.look(&clock), None);
        *lock(&jumpy.0) += Duration::from_secs(3_600);
        assert_eq!(detector.look(&clock), Some(3_600));
        assert_eq!(detector.look(&clock), None);
        *lock(&jumpy.0) -= Duration::from_secs(7_200);
        assert_eq!(detector.look(&clock), Some(-7_200));
    }
}
