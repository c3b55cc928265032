//! The index of active events: a record a topic, so that what is active is found without a look at all that ever
//! happened.
//!
//! The sequence number of an event is known only once it is durable. So the index has the number of an event before it, and
//! the event itself is the next one of its topic.

use std::collections::BTreeMap;

use prost::Message;

use super::{
    EventFilter, EventLog, StoredEvent,
    log::{ENDED, LOG, PAGE},
    record::topic_of,
};
use crate::store::{Batch, StoreError};

const ACTIVE: &[u8] = b"event-active/";
/// There if every active event is in the index: an older release kept none.
pub(super) const INDEXED: &[u8] = b"event-indexed";
/// Topics for which the index is used. Where there are more, a walk through the log costs no more.
const MOST: usize = 4096;
/// Entries of the log that are read at once to find an event.
const NEAR: usize = 16;

/// The active events of a topic. Key: `event-active/<topic>`.
#[derive(Clone, PartialEq, Message)]
struct ActiveRecord {
    /// For each of them, in their order: a sequence number between the event of this topic before it and itself.
    #[prost(uint64, repeated, tag = "1")]
    after: Vec<u64>,
}

pub(super) fn active_key(topic: &str) -> Vec<u8> {
    [ACTIVE, topic.as_bytes()].concat()
}

impl EventLog {
    /// Adds to `batch` that an event of this topic, which the batch raises, is active.
    pub(super) async fn activate(&self, batch: &mut Batch, topic: &str) -> Result<(), StoreError> {
        let key = active_key(topic);
        let former = self.store.get(&key).await?;
        let mut record = former.as_deref().map(read).transpose()?.unwrap_or_default();
        record.after.push(*self.latest.borrow());
        batch.expect(key.clone(), former).put(key, record.encode_to_vec());
        Ok(())
    }

    /// The active events of a topic.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn active(&self, topic: &str) -> Result<Vec<StoredEvent>, StoreError> {
        match self.store.get(&active_key(topic)).await? {
            Some(record) => self.events_of(topic, &read(&record)?).await,
            None => Ok(Vec::new()),
        }
    }

    /// A page of the active events that `filter` admits; `None` if there are so many that the index does not help, or it is
    /// not complete.
    pub(super) async fn list_active(
        &self,
        from: u64,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<Option<(Vec<StoredEvent>, Option<u64>)>, StoreError> {
        let topics = self.store.scan(ACTIVE, ACTIVE, MOST + 1).await?;
        if topics.len() > MOST || self.store.get(INDEXED).await?.is_none() {
            return Ok(None);
        }
        let mut events = Vec::new();
        for (key, record) in topics {
            let topic = String::from_utf8_lossy(&key[ACTIVE.len()..]).into_owned();
            let found = self.events_of(&topic, &read(&record)?).await?;
            events.extend(found.into_iter().filter(|event| event.sequence >= from && filter.admits(event)));
        }
        events.sort_by_key(|event| event.sequence);
        let next = events.get(limit).map(|event| event.sequence);
        events.truncate(limit);
        Ok(Some((events, next)))
    }

    async fn events_of(&self, topic: &str, record: &ActiveRecord) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::<StoredEvent>::new();
        for after in &record.after {
            let mut next = events.last().map_or(0, |last| last.sequence).max(*after) + 1;
            'search: loop {
                let page = self.store.read_log(LOG, next, NEAR).await?;
                let Some((last, _)) = page.last() else { break };
                next = last + 1;
                for (sequence, value) in page {
                    if topic_of(&value).is_some_and(|found| found == topic) {
                        events.extend(self.read(sequence, &value).await?);
                        break 'search;
                    }
                }
            }
        }
        Ok(events)
    }

    /// Makes the index if there is none: once, after an older release. A store that cannot take it now is left as it is.
    pub(super) async fn index(&self) -> Result<(), StoreError> {
        if *self.latest.borrow() == 0 || self.store.get(INDEXED).await?.is_some() {
            return Ok(());
        }
        let mut active = BTreeMap::<String, ActiveRecord>::new();
        let mut next = 1;
        loop {
            let page = self.store.read_log(LOG, next, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            next = last + 1;
            for (sequence, value) in page {
                let Some(topic) = topic_of(&value).filter(|topic| !topic.is_empty()) else { continue };
                if self.store.get(&[ENDED, topic.as_bytes()].concat()).await?.is_none() {
                    active.entry(topic).or_default().after.push(sequence - 1);
                }
            }
        }
        let mut batch = Batch::new();
        batch.put(INDEXED, []);
        for (topic, record) in active {
            batch.put(active_key(&topic), record.encode_to_vec());
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::warn!(%error, "the index of active events was not made; it is tried again at the next start");
        }
        Ok(())
    }
}

fn read(record: &[u8]) -> Result<ActiveRecord, StoreError> {
    ActiveRecord::decode(record).map_err(|error| StoreError::Damaged {
        path: "the index of active events".into(),
        cause: error.to_string(),
    })
}
