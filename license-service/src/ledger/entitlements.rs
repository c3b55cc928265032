//! Entitlements in the ledger: those in force, and those that could come into force.

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    event::{Event, EventKind},
    store::{Batch, StoreError, blob},
};
use prost::Message;

use super::{Ledger, decode, unless_outrun};

const CURRENT: &[u8] = b"entitlement/current/";
const CANDIDATE: &[u8] = b"entitlement/candidate/";
const RAISED: &[u8] = b"entitlement/raised/";
const CLOCK_BEHIND: &[u8] = b"clock/behind";
const TEXT: &[u8] = b"entitlement/text/";
/// Vendors that are read at once; there are no more.
const VENDORS: usize = 1000;

/// An entitlement. Key: `entitlement/current/<vendor>` or `entitlement/candidate/<vendor>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct EntitlementRecord {
    #[prost(string, tag = "1")]
    pub(crate) vendor: String,
    #[prost(uint64, tag = "2")]
    pub(crate) version: u64,
    /// Digest under which the JWS is kept.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) digest: Vec<u8>,
}

impl Ledger {
    /// The entitlements in force (JWS), by vendor.
    pub(crate) async fn installed_entitlements(
        &self,
    ) -> Result<Vec<(EntitlementRecord, String)>, StoreError> {
        self.entitlements(CURRENT).await
    }

    /// Those that could come into force (JWS), by vendor.
    pub(crate) async fn candidate_entitlements(
        &self,
    ) -> Result<Vec<(EntitlementRecord, String)>, StoreError> {
        self.entitlements(CANDIDATE).await
    }

    /// Vendor and version of those that could come into force.
    pub(crate) async fn candidate_versions(&self) -> Result<Vec<EntitlementRecord>, StoreError> {
        let records = self.store.scan(CANDIDATE, CANDIDATE, VENDORS).await?;
        records.iter().map(|(_, value)| decode(value)).collect()
    }

    async fn entitlements(&self, prefix: &[u8]) -> Result<Vec<(EntitlementRecord, String)>, StoreError> {
        let mut entitlements = Vec::new();
        for (_, value) in self.store.scan(prefix, prefix, VENDORS).await? {
            let record: EntitlementRecord = decode(&value)?;
            let text = blob::get_text(&*self.store, TEXT, &record.digest).await?;
            entitlements.push((record, String::from_utf8_lossy(&text).into_owned()));
        }
        Ok(entitlements)
    }

    /// Keeps an entitlement that could come into force.
    pub(crate) async fn keep_candidate(
        &self,
        vendor: &str,
        version: u64,
        jws: &str,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let digest = blob::put_text(&mut batch, TEXT, jws.as_bytes()).to_vec();
        let record = EntitlementRecord { vendor: vendor.to_owned(), version, digest };
        batch.put([CANDIDATE, vendor.as_bytes()].concat(), record.encode_to_vec());
        self.store.commit(batch).await.map(|_| ())
    }

    /// Adds to `batch` that an entitlement comes into force.
    pub(crate) async fn install_entitlement(
        &self,
        batch: &mut Batch,
        vendor: &str,
        version: u64,
        jws: &str,
    ) -> Result<(), StoreError> {
        let key = [CURRENT, vendor.as_bytes()].concat();
        let former = self.store.get(&key).await?;
        let digest = blob::put_text(batch, TEXT, jws.as_bytes()).to_vec();
        let record = EntitlementRecord { vendor: vendor.to_owned(), version, digest };
        batch.expect(key.clone(), former).put(key, record.encode_to_vec());
        batch.delete([CANDIDATE, vendor.as_bytes()].concat());
        Ok(())
    }

    /// Adds to `batch` that it fails unless this version of a vendor's entitlement is in force when it is applied.
    pub(crate) fn expect_entitlement(batch: &mut Batch, vendor: &str, version: u64, jws: &str) {
        let digest = licensor::key::sha256(jws.as_bytes()).to_vec();
        let record = EntitlementRecord { vendor: vendor.to_owned(), version, digest };
        batch.expect([CURRENT, vendor.as_bytes()].concat(), Some(record.encode_to_vec()));
    }
}

/// What was raised last about a vendor's entitlement. Key: `entitlement/raised/<vendor>`.
#[derive(Clone, PartialEq, Message)]
struct RaisedRecord {
    /// What is still to be ended.
    #[prost(string, repeated, tag = "1")]
    topics: Vec<String>,
}

impl Ledger {
    /// Raises an event about an entitlement (version and all else are its arguments), once for each version.
    pub(crate) async fn raise_of_entitlement(
        &self,
        event: Event,
        vendor: &str,
        version: u64,
    ) -> Result<(), StoreError> {
        let topic = format!("entitlement/{vendor}/{version}/{}", event.kind.id());
        let key = [RAISED, vendor.as_bytes()].concat();
        let former = self.store.get(&key).await?;
        let mut record: RaisedRecord = former.as_deref().map(decode).transpose()?.unwrap_or_default();
        if record.topics.contains(&topic) {
            return Ok(());
        }
        record.topics.push(topic.clone());
        let mut batch = Batch::new();
        batch.expect(key.clone(), former).put(key, record.encode_to_vec());
        let event =
            event.argument("vendor", vendor).argument("version", version.to_string()).active_for(topic);
        unless_outrun(self.events.commit(batch, vec![event]).await)
    }

    /// Adds to `batch` that what was raised about a vendor's entitlement has ended.
    pub(crate) async fn end_entitlement_events(
        &self,
        batch: &mut Batch,
        vendor: &str,
    ) -> Result<(), StoreError> {
        let key = [RAISED, vendor.as_bytes()].concat();
        if let Some(record) = self.read::<RaisedRecord>(&key).await? {
            for topic in &record.topics {
                self.events.end(batch, topic);
            }
            batch.delete(key);
        }
        Ok(())
    }

    /// Raises that the clock is behind the highest time that was seen, or ends that it was.
    pub(crate) async fn note_clock(&self, now: i64, seen: Option<i64>) -> Result<(), StoreError> {
        let former = self.store.get(CLOCK_BEHIND).await?;
        let mut batch = Batch::new();
        match (seen, &former) {
            (Some(seen), None) => {
                let topic = format!("clock-behind/{}", *self.events.subscribe().borrow() + 1);
                batch.expect(CLOCK_BEHIND, None).put(CLOCK_BEHIND, topic.clone().into_bytes());
                let date = |at| rfc3339(from_unix_seconds(at));
                let event = Event::new(EventKind::ClockRolledBack)
                    .argument("now", date(now))
                    .argument("seen", date(seen))
                    .active_for(topic);
                unless_outrun(self.events.commit(batch, vec![event]).await)
            }
            (None, Some(topic)) => {
                self.events.end(&mut batch, &String::from_utf8_lossy(topic));
                batch.expect(CLOCK_BEHIND, former.clone()).delete(CLOCK_BEHIND);
                unless_outrun(self.events.commit(batch, Vec::new()).await)
            }
            _ => Ok(()),
        }
    }
}
