//! A view of the whole store as it was at one instant, while it goes on being changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sled::IVec;

use super::{Pairs, Snapshot, StoreError, overlay::Former, sled_store::Shared};

/// What a snapshot under way needs: the committer adds to it, and the reader takes from it.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Keys up to this one have been read.
    read: IVec,
    /// The values from before of keys that were changed since, and are still to be read.
    former: BTreeMap<IVec, Option<IVec>>,
    /// Octets of these.
    octets: usize,
}

/// Octets that are kept for a reader at most: one that falls too far behind is told so.
const KEPT: usize = 64 << 20;

impl UnderWay {
    fn is_outrun(&self) -> bool {
        self.octets > KEPT
    }

    /// Keeps the values of keys that are about to be changed for the first time.
    pub(super) fn keep(&mut self, former: &Former) {
        for (key, value) in former.range(self.read.clone()..) {
            if *key > self.read && !self.is_outrun() && !self.former.contains_key(key) {
                self.octets += octets(key, value.as_ref());
                self.former.insert(key.clone(), value.clone());
            }
        }
        if self.is_outrun() {
            self.former.clear();
        }
    }
}

fn octets(key: &IVec, value: Option<&IVec>) -> usize {
    key.len() + value.map_or(0, |value| value.len())
}

/// Reads the store as it was when this was made.
#[derive(Debug)]
pub(super) struct SledSnapshot {
    shared: Arc<Shared>,
}

impl SledSnapshot {
    pub(super) fn begin(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let mut under_way = shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.is_some() {
            return Err(StoreError::Busy);
        }
        *under_way = Some(UnderWay { read: IVec::default(), former: BTreeMap::new(), octets: 0 });
        Ok(Self { shared: Arc::clone(shared) })
    }

    fn under_way(&self) -> MutexGuard<'_, Option<UnderWay>> {
        self.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Snapshot for SledSnapshot {
    async fn next(&mut self, limit: usize) -> Result<Pairs, StoreError> {
        // The committer changes nothing while this is held.
        let mut guard = self.under_way();
        let Some(under_way) = guard.as_mut() else { return Ok(Pairs::new()) };
        if under_way.is_outrun() {
            return Err(StoreError::Outrun);
        }
        let after = |key: &IVec| *key > under_way.read;
        let mut page = Pairs::new();
        let mut former = under_way.former.iter().peekable();
        let stored = self.shared.database.range(under_way.read.clone()..);
        let mut stored = stored.filter(|pair| pair.as_ref().map_or(true, |(key, _)| after(key))).peekable();
        let mut last = None;
        while page.len() < limit {
            let next_stored = match stored.peek() {
                Some(Ok((key, _))) => Some(key.clone()),
                Some(Err(error)) => {
                    return Err(StoreError::Failed {
                        path: "the data directory".into(),
                        cause: error.to_string(),
                    });
                }
                None => None,
            };
            let next_former = former.peek().map(|(key, _)| (*key).clone());
            let Some(key) = [next_stored.clone(), next_former.clone()].into_iter().flatten().min() else {
                break;
            };
            let stored = if next_stored.as_ref() == Some(&key) { stored.next() } else { None };
            let former = if next_former.as_ref() == Some(&key) { former.next() } else { None };
            let value = match (former, stored) {
                (Some((_, value)), _) => value.clone(),
                (None, Some(Ok((_, value)))) => Some(value),
                (None, _) => None,
            };
            if let Some(value) = value {
                page.push((key.to_vec(), value.to_vec()));
            }
            last = Some(key);
        }
        match last {
            Some(last) => {
                under_way.former.retain(|key, _| *key > last);
                under_way.octets =
                    under_way.former.iter().map(|(key, value)| octets(key, value.as_ref())).sum();
                under_way.read = last;
            }
            None => under_way.former.clear(),
        }
        Ok(page)
    }
}

impl Drop for SledSnapshot {
    fn drop(&mut self) {
        *self.under_way() = None;
    }
}
