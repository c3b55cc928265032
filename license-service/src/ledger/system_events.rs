//! Events that an administrator adds: there is one active event of a kind, scope and target at a time.

use std::cmp::Reverse;

use licensor::{
    event::{Event, EventKind, Scope, StoredEvent},
    store::{Batch, StoreError},
};
use prost::Message;

use super::{Ledger, decode};

const PLACE: &str = "system-event/";
/// Active events of administrators that are looked at.
const LOOKED_AT: usize = 200;

/// The active event of a kind, scope and target. Key: `system-event/<id of the kind>/<scope>/<target>`.
#[derive(Clone, PartialEq, Message)]
struct PlaceRecord {
    /// Topic of the event.
    #[prost(string, tag = "1")]
    topic: String,
}

impl Ledger {
    /// The active event in the place of `event`, if there is one.
    pub(crate) async fn active_in_place_of(&self, event: &Event) -> Result<Option<StoredEvent>, StoreError> {
        match self.read::<PlaceRecord>(&place(event)).await? {
            Some(record) => Ok(self.events.active(&record.topic).await?.pop()),
            None => Ok(None),
        }
    }

    /// At most `limit` of the active events that administrators have added: first those for the whole system, then the newest.
    pub(crate) async fn notices(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let mut notices = Vec::new();
        for (_, place) in self.store.scan(PLACE.as_bytes(), PLACE.as_bytes(), LOOKED_AT).await? {
            let PlaceRecord { topic } = decode(&place)?;
            notices.extend(self.events.active(&topic).await?);
        }
        notices.sort_by_key(|notice| (notice.event.scope != Scope::System, Reverse(notice.sequence)));
        notices.truncate(limit);
        Ok(notices)
    }

    /// Raises an event with a topic of its own in a place that is free; [`StoreError::Conflict`] if it is not.
    pub(crate) async fn add_system_event(&self, event: Event) -> Result<(), StoreError> {
        let key = place(&event);
        let record = PlaceRecord { topic: event.topic.clone() };
        let mut batch = Batch::new();
        batch.expect(key.clone(), None).put(key, record.encode_to_vec());
        self.events.commit(batch, vec![event]).await
    }

    /// Ends an event that was added, and raises that it has ended; [`StoreError::Conflict`] if it was not active.
    pub(crate) async fn end_system_event(&self, added: &StoredEvent, by: &str) -> Result<(), StoreError> {
        let key = place(&added.event);
        let record = PlaceRecord { topic: added.event.topic.clone() };
        let mut batch = Batch::new();
        batch.expect(key.clone(), Some(record.encode_to_vec())).delete(key);
        self.events.end_by(&mut batch, &added.event.topic, by);
        let ended = Event::new(EventKind::EventEnded)
            .by(by)
            .concerning(added.event.scope, &added.event.target)
            .argument("sequence", added.sequence.to_string())
            .argument("name", added.event.kind.name());
        self.events.commit(batch, vec![ended]).await
    }
}

fn place(event: &Event) -> Vec<u8> {
    format!("{PLACE}{}/{}/{}", event.kind.id(), event.scope.as_str(), event.target).into_bytes()
}
