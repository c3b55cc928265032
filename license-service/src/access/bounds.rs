//! How much one caller may call: so often, and so much at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use licensor::error::{Error, Reason, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::AccessConfig;

/// A place for one call or stream, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// The bounds of one caller.
#[derive(Debug)]
pub(super) struct Bounds {
    per_second: f64,
    burst: f64,
    bucket: Mutex<Bucket>,
    places: Arc<Semaphore>,
}

/// What is left to be called at once, and when that was so (steady time).
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Bounds {
    /// Nothing was called yet.
    pub(super) fn new(config: &AccessConfig) -> Self {
        let burst = f64::from(config.burst);
        Self {
            per_second: f64::from(config.calls_per_second),
            burst,
            bucket: Mutex::new(Bucket { left: burst, at: Duration::ZERO }),
            places: Arc::new(Semaphore::new(config.concurrent_calls)),
        }
    }

    /// A place for a call that begins at the steady time `now`.
    ///
    /// # Errors
    /// `OVERLOADED`, with the time after which to try again.
    pub(super) fn enter(&self, now: Duration) -> Result<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let wait = Duration::from_millis(rand::random_range(200..1_000));
            let message =
                "this caller has too many calls and streams open (`access.concurrent_calls`): end some first";
            Error::new(Reason::Overloaded, message).retry_after(wait)
        })?;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.left = since.mul_add(self.per_second, bucket.left).min(self.burst);
        bucket.at = bucket.at.max(now);
        if bucket.left < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - bucket.left) / self.per_second);
            let message =
                "this caller calls too often (`access.calls_per_second`): call less, or more in one call";
            return Err(
                Error::new(Reason::Overloaded, message).retry_after(wait.max(Duration::from_millis(1)))
            );
        }
        bucket.left -= 1.0;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(calls_per_second: u32, burst: u32, concurrent_calls: usize) -> Bounds {
        Bounds::new(&AccessConfig { calls_per_second, burst, concurrent_calls, ..AccessConfig::default() })
    }

    #[test]
    fn after_a_burst_calls_are_let_in_at_the_rate_that_is_allowed() {
        let bounds = bounds(10, 3, 100);
        let at = |millis| bounds.enter(Duration::from_millis(millis)).map(drop);
        for _ in 0..3 {
            at(1000).unwrap();
        }
        let refused = at(1000).unwrap_err();
        assert_eq!(refused.reason, Reason::Overloaded);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(100)));
        at(1099).unwrap_err();
        at(1100).unwrap();
        at(1100).unwrap_err();
        // A long pause saves up no more than the burst, and a clock that seems to stand still nothing at all.
        let let_in = (0..10).filter(|_| at(1_000_000).is_ok()).count();
        assert_eq!(let_in, 3);
        at(1_000).unwrap_err();
    }

    #[test]
    fn a_place_is_given_back_when_it_is_dropped() {
        let bounds = bounds(1000, 1000, 2);
        let enter = || bounds.enter(Duration::ZERO);
        let (first, _second) = (enter().unwrap(), enter().unwrap());
        let refused = enter().unwrap_err();
        assert_eq!(refused.reason, Reason::Overloaded);
        assert!(refused.retry_after.is_some());
        drop(first);
        let _third = enter().unwrap();
    }
}
