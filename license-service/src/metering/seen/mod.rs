//! The index of what was counted: whether a source and an id are known, and with what content.
//!
//! New marks are kept in memory, and found again in the log of events after a restart. When there are many they become a
//! run: sorted, in the store, with a filter that says of nearly every unknown key that it is not there. Runs are merged
//! when there are several of a size, so that a mark is written a few times and never among others one by one. What is in
//! memory does not grow with what has been counted.

mod build;
mod run;

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use licensor::store::StoreError;

use super::item::{Key, Mark};
use crate::ledger::{Ledger, RunRecord};

pub(super) use build::{build, merge};
use run::{block_of, decode_block, filter_has, filter_of};

/// Octets of filters that are kept in memory.
const FILTERS: usize = 32 << 20;

/// Marks by their keys.
pub(super) type Marks = HashMap<Key, Mark, Scatter>;

/// Scatters keys, which are digests, with a secret: nobody can choose many that fall together.
#[derive(Debug, Clone)]
pub(super) struct Scatter(u64);

impl Default for Scatter {
    fn default() -> Self {
        Self(rand::random::<u64>() | 1)
    }
}

impl BuildHasher for Scatter {
    type Hasher = Scattered;

    fn build_hasher(&self) -> Scattered {
        Scattered { secret: self.0, state: self.0 }
    }
}

/// A key that is being scattered.
#[derive(Debug)]
pub(super) struct Scattered {
    secret: u64,
    state: u64,
}

impl Hasher for Scattered {
    fn write(&mut self, octets: &[u8]) {
        for part in octets.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let product = u128::from(self.state ^ u64::from_ne_bytes(word)) * u128::from(self.secret);
            self.state = (product as u64) ^ ((product >> 64) as u64);
        }
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

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
        self.filters.parts.retain(|(id, _)| runs.iter().any(|run| run.id == *id));
        let kept = self.filters.parts.iter().flat_map(|(_, parts)| parts.iter().flatten());
        self.filters.octets = kept.map(|part| part.len()).sum();
    }
}

/// Parts of one run's filter, by their numbers.
type Parts = Vec<Option<Box<[u8]>>>;

/// Parts of filters, as they were needed.
#[derive(Debug, Default)]
struct Filters {
    /// By run: few enough to look through.
    parts: Vec<(u64, Parts)>,
    octets: usize,
}

impl Filters {
    /// Whether a run may have this key.
    async fn has(&mut self, ledger: &Ledger, run: &RunRecord, key: &Key) -> Result<bool, StoreError> {
        let number = filter_of(run, key);
        let place = number as usize;
        let known = self.parts.iter().find(|(id, _)| *id == run.id);
        if let Some(part) = known.and_then(|(_, parts)| parts.get(place)?.as_ref()) {
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
        let known = self.parts.iter().position(|(id, _)| *id == run.id);
        let known = known.unwrap_or_else(|| {
            self.parts.push((run.id, vec![None; 1 << run.filter_bits]));
            self.parts.len() - 1
        });
        self.parts[known].1[place] = Some(part);
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
