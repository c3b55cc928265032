//! Which nodes somebody wants to see.

use super::{
    counts::{Bucket, Judge, Renewal, State},
    index::{Facts, Index},
};

/// Which nodes somebody wants to see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    pub(crate) bucket: Option<Bucket>,
    pub(crate) state: Option<State>,
    pub(crate) renewal: Option<Renewal>,
    /// Part of a name or an owner; empty: all.
    pub(crate) search: String,
    /// Names of nodes that were found otherwise.
    pub(crate) names: Vec<String>,
    /// How many to leave out at the start.
    pub(crate) first: usize,
    pub(crate) limit: usize,
}

/// The nodes that were wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) names: Vec<String>,
    /// How many there are in all.
    pub(crate) total: usize,
}

impl Selection {
    fn wants(&self, judge: &Judge<'_>, facts: Facts) -> bool {
        self.bucket.is_none_or(|bucket| judge.bucket(facts) == Some(bucket))
            && self.state.is_none_or(|state| judge.state(facts) == state)
            && self.renewal.is_none_or(|renewal| judge.renewal(facts) == renewal)
    }

    pub(super) fn of(&self, index: &Index, judge: &Judge<'_>) -> Selected {
        let found = (!self.search.is_empty()).then(|| index.find(&self.search, &self.names));
        let wants = |facts| self.wants(judge, facts);
        let all = self.bucket.is_none() && self.state.is_none() && self.renewal.is_none();
        let wanted: Option<&dyn Fn(Facts) -> bool> = if all { None } else { Some(&wants) };
        let (names, total) = index.page(self.first, self.limit, wanted, found.as_ref());
        Selected { names: names.into_iter().map(str::to_owned).collect(), total }
    }
}
