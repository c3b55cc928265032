//! What the nodes come to at an instant: how many stand where, run out when, and have not renewed in time.

use std::time::Duration;

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    config::Expiry,
    expiry::{Validity, Warnings},
};

use super::index::{Facts, Standing};
use crate::authority::renewal_window;

const DAY: i64 = 86_400;

/// How long it is until a node expires. A bucket begins where the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    Expired,
    Week,
    Month,
    ThreeMonths,
    SixMonths,
    Year,
    Longer,
}

impl Bucket {
    /// Every one, in order, with its name in an address.
    pub(crate) const ALL: [(Self, &str); 7] = [
        (Self::Expired, "expired"),
        (Self::Week, "1w"),
        (Self::Month, "1m"),
        (Self::ThreeMonths, "3m"),
        (Self::SixMonths, "6m"),
        (Self::Year, "12m"),
        (Self::Longer, "longer"),
    ];

    /// The one for so many seconds. Months have 30 days, and the year 365.
    pub(crate) fn of(left: i64) -> Self {
        match left {
            ..=0 => Self::Expired,
            left if left < 7 * DAY => Self::Week,
            left if left < 30 * DAY => Self::Month,
            left if left < 90 * DAY => Self::ThreeMonths,
            left if left < 180 * DAY => Self::SixMonths,
            left if left < 365 * DAY => Self::Year,
            _ => Self::Longer,
        }
    }
}

/// What a node is at an instant, by the rules of the warnings (events 16 to 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Current,
    MonthLeft,
    WeekLeft,
    Expired,
    Revoked,
    Decommissioned,
}

impl State {
    /// Every one, in order, with its name in an address.
    pub(crate) const ALL: [(Self, &str); 6] = [
        (Self::Current, "current"),
        (Self::MonthLeft, "month"),
        (Self::WeekLeft, "week"),
        (Self::Expired, "expired"),
        (Self::Revoked, "revoked"),
        (Self::Decommissioned, "decommissioned"),
    ];
}

/// Whether a node has renewed in time, by the window that the root names to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Its window has not begun.
    NotDue,
    /// It is in its window.
    Due,
    /// It should have renewed by now.
    Overdue,
    /// It cannot renew: it is revoked or decommissioned.
    Never,
}

/// By which rules nodes are looked at, and when.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) expiry: Expiry,
    /// Share of the lifetime around which nodes are told to renew.
    pub(crate) renew_at: f64,
}

/// The rules for one lifetime: all of them count from the end of a certificate back. In milliseconds before it.
#[derive(Debug, Clone, Copy)]
struct Marks {
    lifetime: u32,
    month: i64,
    week: i64,
    window: (i64, i64),
}

/// The rules at an instant.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    rules: &'a Rules,
    now: i64,
    /// Nodes that follow one another mostly have the same lifetime.
    marks: std::cell::Cell<Option<Marks>>,
}

impl Rules {
    /// The rules at `now` (milliseconds since 1970).
    pub(crate) fn at(&self, now: i64) -> Judge<'_> {
        Judge { rules: self, now, marks: std::cell::Cell::new(None) }
    }

    fn marks(&self, lifetime: u32) -> Marks {
        let end = from_unix_seconds(i64::from(lifetime));
        let start = from_unix_seconds(0);
        let validity = Validity { not_before: start, issued_at: start, not_after: end };
        let before = |at| {
            let before = end.duration_since(at).as_ref().map_or(0, Duration::as_millis);
            i64::try_from(before).unwrap_or(i64::MAX)
        };
        let (month, week) = Warnings::of(&validity, &self.expiry).before_expiry();
        let (from, until) = renewal_window(self.renew_at, 0, unix_seconds(end));
        Marks { lifetime, month: before(month), week: before(week), window: (before(from), before(until)) }
    }
}

impl Judge<'_> {
    fn marks(&self, lifetime: u32) -> Marks {
        match self.marks.get() {
            Some(marks) if marks.lifetime == lifetime => marks,
            _ => {
                let marks = self.rules.marks(lifetime);
                self.marks.set(Some(marks));
                marks
            }
        }
    }

    /// Milliseconds until a node expires.
    fn left(&self, facts: Facts) -> i64 {
        facts.not_after.saturating_mul(1000).saturating_sub(self.now)
    }

    /// When it expires; `None` of a node that is not in service.
    pub(crate) fn bucket(&self, facts: Facts) -> Option<Bucket> {
        let left = self.left(facts);
        // What has half a second left has not expired.
        let seconds = if left > 0 { (left / 1000).max(1) } else { 0 };
        (facts.standing == Standing::InService).then(|| Bucket::of(seconds))
    }

    /// What a node is.
    pub(crate) fn state(&self, facts: Facts) -> State {
        let left = self.left(facts);
        match facts.standing {
            Standing::Decommissioned => State::Decommissioned,
            Standing::Revoked => State::Revoked,
            Standing::InService if left <= 0 => State::Expired,
            Standing::InService => {
                let marks = self.marks(facts.lifetime);
                if left <= marks.week {
                    State::WeekLeft
                } else if left <= marks.month {
                    State::MonthLeft
                } else {
                    State::Current
                }
            }
        }
    }

    /// Whether a node has renewed in time.
    pub(crate) fn renewal(&self, facts: Facts) -> Renewal {
        if facts.standing != Standing::InService {
            return Renewal::Never;
        }
        let (left, (from, until)) = (self.left(facts), self.marks(facts.lifetime).window);
        if left < until {
            Renewal::Overdue
        } else if left <= from {
            Renewal::Due
        } else {
            Renewal::NotDue
        }
    }

    /// Everything that is counted.
    pub(crate) fn count(&self, all: &[Facts]) -> Counts {
        let mut counts = Counts { nodes: all.len() as u64, ..Counts::default() };
        let now = self.now.div_euclid(1000);
        for &facts in all {
            counts.states[self.state(facts) as usize] += 1;
            if let Some(bucket) = self.bucket(facts) {
                counts.buckets[bucket as usize] += 1;
            }
            match self.renewal(facts) {
                Renewal::Due => counts.due += 1,
                Renewal::Overdue => counts.overdue += 1,
                Renewal::NotDue | Renewal::Never => {}
            }
            if facts.renewed {
                let ago = now - facts.issued_at();
                counts.renewed_in_a_day += u64::from(ago < DAY);
                counts.renewed_in_a_week += u64::from(ago < 7 * DAY);
            }
        }
        counts
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) nodes: u64,
    /// By [`State`].
    pub(crate) states: [u64; 6],
    /// Of the nodes in service, by [`Bucket`].
    pub(crate) buckets: [u64; 7],
    /// In their window.
    pub(crate) due: u64,
    /// Past their window.
    pub(crate) overdue: u64,
    /// Whose newest certificate, a successor, was issued in the last 24 hours. A node that has renewed twice counts once.
    pub(crate) renewed_in_a_day: u64,
    /// In the last seven days.
    pub(crate) renewed_in_a_week: u64,
}
