//! How long to wait after a failure: full jitter from 5 seconds to an hour, sooner as expiry nears.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(5);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// The longest wait while the service is disabled.
const LONGEST_WHEN_EXPIRED: Duration = Duration::from_secs(60);

/// The wait before the next attempt after `failures` in a row. `left` is the time until expiry (zero once expired);
/// `asked` is what the root asked for, which is kept to; `random` lies in 0..1.
#[must_use]
pub fn delay(failures: u32, left: Duration, asked: Option<Duration>, random: f64) -> Duration {
    let cap = if left.is_zero() { LONGEST_WHEN_EXPIRED } else { (left / 8).clamp(FIRST, LONGEST) };
    let ceiling = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(cap);
    // Full jitter, but never at once: a thousand nodes that failed together come back apart.
    let jittered = FIRST.min(ceiling) / 5 + ceiling.mul_f64(random) * 4 / 5;
    jittered.max(asked.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn waits_grow_to_an_hour_and_shrink_towards_expiry() {
        let longest = |failures, left| delay(failures, left, None, 1.0).as_secs();
        assert_eq!(longest(1, 100 * DAY), 5);
        assert!(longest(5, 100 * DAY) > 60);
        assert!((2_800..=3_600).contains(&longest(40, 100 * DAY)));
        assert!(longest(40, Duration::from_secs(800)) <= 100);
        assert!(longest(40, Duration::ZERO) <= 60);
    }

    #[test]
    fn waits_are_never_nothing_and_keep_to_what_the_root_asks() {
        assert!(delay(1, DAY, None, 0.0) >= Duration::from_secs(1));
        assert_eq!(delay(1, DAY, Some(Duration::from_secs(90)), 0.0), Duration::from_secs(90));
        assert_eq!(delay(1, DAY, Some(100 * DAY), 0.0), LONGEST);
    }
}
