//! Warnings of the end of certificates: when to look, and what is raised then.
//!
//! A node has one [`DueRecord`], at an instant that is no later than its next warning. A renewal leaves it alone: when the
//! instant has come, whoever looks finds a certificate with a later end, and puts the next look there.

use std::time::{Duration, SystemTime};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    event::Event,
    expiry::{Validity, Warnings},
    store::{Batch, StoreError},
};
use prost::Message;
use verifier::certificate::hex;

use super::{
    Ledger, NODE, Versioned, key, put_over,
    record::{AuthorityRecord, Current, DueRecord, NodeRecord, Watched},
    validity,
};

const DUE: &str = "due/";
const AUTHORITY: &str = "authority/";

impl Ledger {
    /// Sees to it that a node is looked at no later than its next warning is due; returns when.
    pub(super) fn watch_node(
        &self,
        batch: &mut Batch,
        node: &str,
        look_at: i64,
        validity: Validity,
        now: SystemTime,
    ) -> i64 {
        let next = Warnings::of(&validity, &self.expiry).next(now).map_or(0, whole_seconds);
        // A look that comes too early puts itself off.
        if look_at > unix_seconds(now) && look_at <= next {
            return look_at;
        }
        if look_at != 0 {
            batch.delete(due_key(look_at, node));
        }
        if next != 0 {
            let due = DueRecord { watched: Some(Watched::Node(node.to_owned())), ..DueRecord::default() };
            batch.put(due_key(next, node), due.encode_to_vec());
        }
        next
    }

    /// A node is not looked at any more.
    pub(super) fn watch_no_more(&self, batch: &mut Batch, node: &mut NodeRecord) {
        if node.look_at != 0 {
            batch.delete(due_key(node.look_at, &node.name));
            node.look_at = 0;
        }
    }

    /// Sees to it that the end of the authority's certificate is watched; once for each of its certificates.
    pub(super) async fn watch_authority(
        &self,
        batch: &mut Batch,
        serial: &str,
        validity: Validity,
    ) -> Result<(), StoreError> {
        let authority_key = key(AUTHORITY, serial);
        if self.store.get(&authority_key).await?.is_some() {
            return Ok(());
        }
        let record = AuthorityRecord {
            issued_at: unix_seconds(validity.issued_at),
            not_after: unix_seconds(validity.not_after),
        };
        batch.add(authority_key, record.encode_to_vec());
        self.watch_authority_end(batch, serial, validity, validity.issued_at);
        Ok(())
    }

    /// Whether the authority's certificate with this serial number was watched before.
    pub(crate) async fn knows_authority(&self, serial: &str) -> Result<bool, StoreError> {
        Ok(self.store.get(&key(AUTHORITY, serial)).await?.is_some())
    }

    fn watch_authority_end(&self, batch: &mut Batch, serial: &str, validity: Validity, now: SystemTime) {
        if let Some(next) = Warnings::of(&validity, &self.expiry).next(now) {
            let due =
                DueRecord { watched: Some(Watched::Authority(serial.to_owned())), ..DueRecord::default() };
            batch.put(due_key(whole_seconds(next), serial), due.encode_to_vec());
        }
    }

    /// Raises every warning that is due at `now`, each with the removal of what was due in one commit: none is raised
    /// twice, whatever stops in between.
    pub(crate) async fn raise_due(&self, now: SystemTime) -> Result<(), StoreError> {
        let mut damaged = false;
        loop {
            let page = self.store.scan(DUE.as_bytes(), DUE.as_bytes(), 256).await?;
            let due: Vec<_> =
                page.into_iter().take_while(|(key, _)| due_at(key) <= unix_seconds(now)).collect();
            if due.is_empty() || damaged {
                return Ok(());
            }
            for (key, value) in due {
                match self.raise_one(key, value, now).await {
                    // A renewal came first: the next round looks again.
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error @ StoreError::Damaged { .. }) => {
                        tracing::error!(%error, "a warning cannot be raised: its record is damaged");
                        damaged = true;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn raise_one(&self, due_key: Vec<u8>, value: Vec<u8>, now: SystemTime) -> Result<(), StoreError> {
        let at = due_at(&due_key);
        let mut batch = Batch::new();
        batch.expect(due_key.clone(), Some(value.clone())).delete(due_key);
        let due = DueRecord::decode(&*value).unwrap_or_default();
        let event = match due.watched {
            None => self.look_at_former(&mut batch, &hex(&due.serial), now).await?,
            Some(Watched::Authority(serial)) => self.look_at_authority(&mut batch, &serial, now).await?,
            Some(Watched::Node(name)) => match self.node(&name).await? {
                Some(node) if node.record.look_at == at => self.look_at_node(&mut batch, node, now).await?,
                _ => None,
            },
        };
        self.events.commit(batch, event.into_iter().collect()).await
    }

    /// A look that an older release left: at any certificate, from whose node another look goes out.
    async fn look_at_former(
        &self,
        batch: &mut Batch,
        serial: &str,
        now: SystemTime,
    ) -> Result<Option<Event>, StoreError> {
        let Some(certificate) = self.certificate(serial).await? else {
            return self.look_at_authority(batch, serial, now).await;
        };
        match self.node(&certificate.node).await? {
            Some(node) if node.record.current.serial == serial && node.record.look_at == 0 => {
                self.look_at_node(batch, node, now).await
            }
            _ => Ok(None),
        }
    }

    async fn look_at_node(
        &self,
        batch: &mut Batch,
        node: Versioned<NodeRecord>,
        now: SystemTime,
    ) -> Result<Option<Event>, StoreError> {
        let NodeRecord { name, current, .. } = &node.record;
        if current.revoked {
            return Ok(None);
        }
        let Some(certificate) = self.certificate(&current.serial).await? else { return Ok(None) };
        let validity = validity(&certificate);
        let look_at = self.watch_node(batch, name, 0, validity, now);
        let event = self.warning(&current.serial, name, validity, now);
        let current = Current { warned: current.warned || event.is_some(), ..current.clone() };
        let looked_at = NodeRecord { current, look_at, ..node.record.clone() };
        put_over(batch, key(NODE, name), &node, &looked_at);
        Ok(event)
    }

    async fn look_at_authority(
        &self,
        batch: &mut Batch,
        serial: &str,
        now: SystemTime,
    ) -> Result<Option<Event>, StoreError> {
        let record = self.read::<AuthorityRecord>(&key(AUTHORITY, serial)).await?;
        let Some(Versioned { record, .. }) = record else { return Ok(None) };
        // One that has a successor is of no concern any more.
        if self.authorities().await?.is_some_and(|authorities| authorities.record.watched != serial) {
            return Ok(None);
        }
        let issued_at = from_unix_seconds(record.issued_at);
        let validity =
            Validity { not_before: issued_at, issued_at, not_after: from_unix_seconds(record.not_after) };
        self.watch_authority_end(batch, serial, validity, now);
        let event = self.warning(serial, "", validity, now);
        Ok(event.map(|event| event.argument("holder", "this root's authority")))
    }

    /// The warning that is due at `now`; the one about the authority if `node` is empty.
    fn warning(&self, serial: &str, node: &str, validity: Validity, now: SystemTime) -> Option<Event> {
        let kind = Warnings::of(&validity, &self.expiry).due(now)?;
        let event = Event::new(kind).about(serial, node).until(validity.not_after);
        Some(event.active_for(topic(serial)))
    }

    /// The instant of the next look.
    pub(crate) async fn next_due(&self) -> Result<Option<SystemTime>, StoreError> {
        let first = self.store.scan(DUE.as_bytes(), DUE.as_bytes(), 1).await?;
        Ok(first.first().map(|(key, _)| from_unix_seconds(due_at(key))))
    }
}

/// Rounded up: when the look is due, so is the warning.
fn whole_seconds(at: SystemTime) -> i64 {
    unix_seconds(at + Duration::from_nanos(999_999_999))
}

fn due_key(at: i64, whose: &str) -> Vec<u8> {
    [DUE.as_bytes(), &u64::try_from(at).unwrap_or_default().to_be_bytes(), whose.as_bytes()].concat()
}

fn due_at(key: &[u8]) -> i64 {
    let octets =
        key.get(DUE.len()..DUE.len() + 8).and_then(|octets| octets.try_into().ok()).unwrap_or_default();
    i64::try_from(u64::from_be_bytes(octets)).unwrap_or(i64::MAX)
}

/// The warnings of one certificate are active until this ends.
pub(super) fn topic(serial: &str) -> String {
    format!("expiry/{serial}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use licensor::{
        clock::{ManualClock, SharedClock},
        config::Expiry,
        event::{EventFilter, EventLog},
        store::{SharedStore, SledOptions, SledStore},
        telemetry::Metrics,
    };

    use super::*;
    use crate::ledger::{CertificateRecord, octets, serial_key};

    const ISSUED: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    /// What is raised of a certificate that an older release was to look at.
    async fn raised(revoked: bool) -> Vec<u32> {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("store");
        let options = SledOptions { directory, cache_bytes: 1 << 24, minimum_free_bytes: 0 };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let clock = ManualClock::at(from_unix_seconds(ISSUED));
        let shared: SharedClock = clock.clone();
        let events = EventLog::open(store.clone(), shared, Metrics::shared()).await.unwrap();
        let ledger = Ledger::new(store.clone(), Arc::new(events), Expiry::default());
        let serial = "41aa".to_owned();
        let certificate = CertificateRecord {
            serial: serial.clone(),
            node: "a".into(),
            issued_at: ISSUED,
            not_after: ISSUED + 365 * DAY,
            ..CertificateRecord::default()
        };
        let current = Current { serial: serial.clone(), issued_at: ISSUED, revoked, ..Current::default() };
        let node = NodeRecord { name: "a".into(), current, ..NodeRecord::default() };
        let month = ISSUED + 335 * DAY;
        let due = DueRecord { serial: octets(&serial), watched: None };
        let due_key = [DUE.as_bytes(), &month.to_be_bytes(), &octets(&serial)].concat();
        let mut batch = Batch::new();
        batch.put(serial_key("certificate/", &serial), certificate.encode_to_vec());
        batch.put(key(NODE, "a"), node.encode_to_vec()).put(due_key, due.encode_to_vec());
        store.commit(batch).await.unwrap();
        for days in [335, 358, 365] {
            let now = from_unix_seconds(ISSUED + days * DAY);
            clock.set(now);
            ledger.raise_due(now).await.unwrap();
        }
        let (raised, _) = ledger.events().list(1, 10, &EventFilter::default()).await.unwrap();
        assert_eq!(ledger.next_due().await.unwrap(), None);
        raised.iter().map(|stored| stored.event.kind.id()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_an_older_release_was_to_look_at_is_looked_at_unless_it_was_revoked() {
        assert_eq!(raised(false).await, [16, 17, 18]);
        assert_eq!(raised(true).await, [] as [u32; 0]);
    }
}
