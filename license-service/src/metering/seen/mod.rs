//! The index of what was counted: whether a source and an id are known, and with what content.
//!
//! New marks are kept in memory, and found again in the log of events after a restart. When there are many they become a
//! run: sorted, in the store, with a filter that says of nearly every unknown key that it is not there. Runs are merged
//! when there are several of a size, so that a mark is written a few times and never among others one by one. What is in
//! memory does not grow with what has been counted.

mod build;
mod run;

use std::{collections::HashMap, sync::Arc};

use licensor::store::StoreError;

use super::item::{Key, Mark};
use crate::ledger::{Ledger, RunRecord};

pub(super) use build::{build, merge};
use run::{block_of, decode_block, filter_has, filter_of};

/// Octets of filters that are kept in memory.
const FILTERS: usize = 32 << 20;

/// Marks by their keys.
pub(super) type Marks = HashMap<Key, Mark>;

/// The index.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What came last.
    pub(super) new: Marks,
    /// What is being made a run of.
    pub(super) frozen: Option<Arc<Marks>>,
    filters: Filters,
}

impl Seen {
    /// What is known under a key, apart from what is in runs.
    pub(super) fn recent(&self, key: &Key) -> Option<Mark> {
        self.new.get(key).or_else(|| self.frozen.as_ref()?.get(key)).copied()
    }

    /// What is known under a key in `runs`.
    pub(super) async fn stored(
        &mut self,
        ledger: &Ledger,
        runs: &[RunRecord],
        key: &Key,
    ) -> Result<Option<Mark>, StoreError> {
        for run in runs.iter().rev() {
            if self.filters.has(ledger, run, key).await?
                && let Some(mark) = find(ledger, run, key).await?
            {
                return Ok(Some(mark));
            }
        }
        Ok(None)
    }

    /// Forgets what is in memory of runs that are not among these.
    pub(super) fn keep_only(&mut self, runs: &[RunRecord]) {
        self.filters.parts.retain(|id, _| runs.iter().any(|run| run.id == *id));
        let kept = self.filters.parts.values().flatten().flatten();
        self.filters.octets = kept.map(|part| part.len()).sum();
    }
}

/// Parts of filters, as they were needed.
#[derive(Debug, Default)]
struct Filters {
    parts: HashMap<u64, Vec<Option<Box<[u8]>>>>,
    octets: usize,
}

impl Filters {
    /// Whether a run may have this key.
    async fn has(&mut self, ledger: &Ledger, run: &RunRecord, key: &Key) -> Result<bool, StoreError> {
        let number = filter_of(run, key);
        let place = number as usize;
        if let Some(part) = self.parts.get(&run.id).and_then(|parts| parts.get(place)?.as_ref()) {
            return Ok(filter_has(part, key));
        }
        // A part that is not there has nothing.
        let part = ledger.run_filter(run.id, number).await?.unwrap_or_default().into_boxed_slice();
        let has = filter_has(&part, key);
        if self.octets + part.len() > FILTERS {
            self.parts.clear();
            self.octets = 0;
        }
        self.octets += part.len();
        let parts = self.parts.entry(run.id).or_default();
        parts.resize(parts.len().max(1 << run.filter_bits), None);
        parts[place] = Some(part);
        Ok(has)
    }
}

/// Looks a key up in the block where it would be.
async fn find(ledger: &Ledger, run: &RunRecord, key: &Key) -> Result<Option<Mark>, StoreError> {
    let number = block_of(run, key);
    let mut next = (number, 0);
    while let Some(((block, part), value)) = ledger.run_blocks(run.id, next, 1).await?.pop()
        && block == number
    {
        if let Some((_, mark)) = decode_block(&value).find(|(found, _)| found == key) {
            return Ok(Some(mark));
        }
        let Some(after) = part.checked_add(1) else { break };
        next = (number, after);
    }
    Ok(None)
}
