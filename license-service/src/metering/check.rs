//! Counts every event anew, and compares with the counters.

use std::collections::{BTreeMap, BTreeSet};

use licensor::store::StoreError;

use super::meter::Position;
use crate::ledger::{CounterKey, CounterRecord, Ledger};

/// Chunks that are read at once.
const PAGE: usize = 256;
/// Differences that are told at most.
const TOLD: usize = 100;

/// A counter that is not what its events say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) key: CounterKey,
    pub(crate) counter: CounterRecord,
    pub(crate) recount: CounterRecord,
}

/// Counts the events that `position` has, and says where its counters differ. `progress` is told how many were counted.
pub(super) async fn recount(
    ledger: &Ledger,
    position: Position,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Vec<Difference>, StoreError> {
    let mut recounted: BTreeMap<CounterKey, CounterRecord> = BTreeMap::new();
    let (mut counted, mut next) = (0, 0);
    'log: while counted < position.events {
        let page = ledger.usage_chunks(next, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for (number, chunk) in page {
            next = number + 1;
            // What events of a chunk have in common is looked up once.
            let mut counts = vec![CounterRecord::default(); chunk.series.len()];
            for event in &chunk.events {
                if counted == position.events {
                    break;
                }
                counted += 1;
                if let Some(count) = counts.get_mut(event.series as usize) {
                    count.sum = count.sum.saturating_add(event.quantity);
                    count.maximum = count.maximum.max(event.quantity);
                    count.events += 1;
                }
            }
            for (series, count) in chunk.series.into_iter().zip(counts).filter(|(_, count)| count.events > 0)
            {
                let key = CounterKey {
                    vendor: series.vendor,
                    booked: series.booked,
                    month: series.month,
                    service: series.service,
                };
                let known = recounted.entry(key).or_default();
                known.sum = known.sum.saturating_add(count.sum);
                known.maximum = known.maximum.max(count.maximum);
                known.events += count.events;
            }
            if counted == position.events {
                break 'log;
            }
        }
        progress(counted);
        tokio::task::yield_now().await;
    }
    progress(counted);
    // What was raised is no count.
    let counters: BTreeMap<_, _> = position
        .counters
        .into_iter()
        .map(|(key, counter)| (key, CounterRecord { near: false, reached: false, ..counter }))
        .collect();
    let keys: BTreeSet<_> = counters.keys().chain(recounted.keys()).collect();
    let differences = keys.into_iter().filter_map(|key| {
        let counter = counters.get(key).copied().unwrap_or_default();
        let recount = recounted.get(key).copied().unwrap_or_default();
        (counter != recount).then(|| Difference { key: key.clone(), counter, recount })
    });
    Ok(differences.take(TOLD).collect())
}
