//! What the ledger keeps of usage: events, counters, the index of what was counted, statements.

mod records;
mod runs;

use licensor::{
    event::Event,
    store::{Batch, StoreError, blob},
};
use prost::Message;

use super::{Ledger, decode};

pub(crate) use records::{
    ChunkRecord, CounterKey, CounterRecord, EventRecord, HeadRecord, RunRecord, SeriesRecord, TermsRecord,
    VendorRecord,
};
pub(crate) use runs::RunPart;

const HEAD: &[u8] = b"usage/head";
const EVENT: &[u8] = b"usage/event/";
const COUNTER: &[u8] = b"usage/counter/";
const VENDOR: &[u8] = b"usage/vendor/";
const TERMS: &[u8] = b"usage/terms/";
const STATEMENT: &[u8] = b"usage/statement/";

/// A change of what is kept of usage: all of it, or nothing.
#[derive(Debug, Default)]
pub(crate) struct UsageChange {
    batch: Batch,
    events: Vec<Event>,
}

impl UsageChange {
    /// Whoever changes anything changes the head, and says what it was; `None` if there was none.
    pub(crate) fn new(former: Option<&HeadRecord>, head: &HeadRecord) -> Self {
        let mut batch = Batch::new();
        batch.expect(HEAD, former.map(Message::encode_to_vec)).put(HEAD, head.encode_to_vec());
        Self { batch, events: Vec::new() }
    }

    /// Adds a chunk to the log, or puts one with more events in the place of the last one.
    pub(crate) fn chunk(&mut self, number: u64, chunk: &ChunkRecord, is_new: bool) {
        let key = [EVENT, &number.to_be_bytes()].concat();
        if is_new {
            self.batch.add(key, chunk.encode_to_vec());
        } else {
            self.batch.put(key, chunk.encode_to_vec());
        }
    }

    /// Changes a counter.
    pub(crate) fn counter(
        &mut self,
        key: &CounterKey,
        former: Option<&CounterRecord>,
        counter: &CounterRecord,
    ) {
        let key = counter_key(key);
        self.batch.expect(key.clone(), former.map(Message::encode_to_vec)).put(key, counter.encode_to_vec());
    }

    /// Changes how far the statements of a vendor have come.
    pub(crate) fn vendor(&mut self, vendor: &str, former: Option<&VendorRecord>, record: &VendorRecord) {
        let key = [VENDOR, vendor.as_bytes()].concat();
        self.batch.expect(key.clone(), former.map(Message::encode_to_vec)).put(key, record.encode_to_vec());
    }

    /// Keeps terms that are in force from `from` on (seconds since 1970), after so many others of the same second.
    pub(crate) fn terms(&mut self, vendor: &str, from: i64, others: u16, terms: &TermsRecord) {
        let (from, others) = (from.max(0).to_be_bytes(), others.to_be_bytes());
        let key = [TERMS, vendor.as_bytes(), &[0], &from, &others].concat();
        blob::put(&mut self.batch, &key, &terms.encode_to_vec());
    }

    /// Keeps a statement for good.
    pub(crate) fn statement(&mut self, vendor: &str, month: u32, statement: &[u8]) {
        blob::put(&mut self.batch, &statement_key(vendor, month), statement);
    }

    /// An event that is raised with the change.
    pub(crate) fn raise(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Ledger {
    pub(crate) async fn usage_head(&self) -> Result<Option<HeadRecord>, StoreError> {
        self.read(HEAD).await
    }

    pub(crate) async fn change_usage(&self, change: UsageChange) -> Result<(), StoreError> {
        self.events.commit(change.batch, change.events).await
    }

    /// At most `limit` chunks of events from the one with this number on.
    pub(crate) async fn usage_chunks(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, ChunkRecord)>, StoreError> {
        let page = self.store.scan(EVENT, &[EVENT, &from.to_be_bytes()].concat(), limit).await?;
        page.into_iter()
            .map(|(key, value)| Ok((number(key.strip_prefix(EVENT).unwrap_or_default()), decode(&value)?)))
            .collect()
    }

    pub(crate) async fn counter(&self, key: &CounterKey) -> Result<Option<CounterRecord>, StoreError> {
        self.read(&counter_key(key)).await
    }

    /// Counters of `vendor` that stand on statements of the month `booked` or later; all counters if there is no vendor.
    pub(crate) async fn counters(
        &self,
        vendor: Option<(&str, u32)>,
    ) -> Result<Vec<(CounterKey, CounterRecord)>, StoreError> {
        let (prefix, mut next) = match vendor {
            None => (COUNTER.to_vec(), COUNTER.to_vec()),
            Some((vendor, booked)) => {
                let prefix = [COUNTER, vendor.as_bytes(), &[0]].concat();
                let from = [prefix.as_slice(), &booked.to_be_bytes()].concat();
                (prefix, from)
            }
        };
        let mut counters = Vec::new();
        loop {
            let page = self.store.scan(&prefix, &next, 500).await?;
            let Some((last, _)) = page.last() else { return Ok(counters) };
            next = [last.as_slice(), &[0]].concat();
            for (key, value) in page {
                if let Some(key) = parse_counter_key(&key) {
                    counters.push((key, decode(&value)?));
                }
            }
        }
    }

    pub(crate) async fn usage_vendors(&self) -> Result<Vec<(String, VendorRecord)>, StoreError> {
        let mut vendors = Vec::new();
        let mut next = VENDOR.to_vec();
        loop {
            let page = self.store.scan(VENDOR, &next, 500).await?;
            let Some((last, _)) = page.last() else { return Ok(vendors) };
            next = [last.as_slice(), &[0]].concat();
            for (key, value) in page {
                let name = String::from_utf8_lossy(&key[VENDOR.len()..]).into_owned();
                vendors.push((name, decode(&value)?));
            }
        }
    }

    /// What terms a vendor has had, and from when on each (seconds since 1970), oldest first.
    pub(crate) async fn terms(&self, vendor: &str) -> Result<Vec<(i64, TermsRecord)>, StoreError> {
        let prefix = [TERMS, vendor.as_bytes(), &[0]].concat();
        let mut terms = Vec::new();
        let mut next = prefix.clone();
        while let Some((key, _)) = self.store.scan(&prefix, &next, 1).await?.pop() {
            let key = &key[..key.len().min(prefix.len() + 10)];
            let Some(value) = blob::get(&*self.store, key).await? else { return Ok(terms) };
            terms.push((i64::try_from(number(&key[prefix.len()..])).unwrap_or(i64::MAX), decode(&value)?));
            next = [key, &[0xff; 3]].concat();
        }
        Ok(terms)
    }

    /// A statement that is final, as it was kept.
    pub(crate) async fn statement(&self, vendor: &str, month: u32) -> Result<Option<Vec<u8>>, StoreError> {
        blob::get(&*self.store, &statement_key(vendor, month)).await
    }
}

fn number(octets: &[u8]) -> u64 {
    octets.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets))
}

fn statement_key(vendor: &str, month: u32) -> Vec<u8> {
    [STATEMENT, vendor.as_bytes(), &[0], &month.to_be_bytes()].concat()
}

fn counter_key(key: &CounterKey) -> Vec<u8> {
    let CounterKey { vendor, booked, month, service } = key;
    [COUNTER, vendor.as_bytes(), &[0], &booked.to_be_bytes(), &month.to_be_bytes(), service.as_bytes()]
        .concat()
}

fn parse_counter_key(key: &[u8]) -> Option<CounterKey> {
    let rest = key.strip_prefix(COUNTER)?;
    let end = rest.iter().position(|octet| *octet == 0)?;
    let (vendor, rest) = (&rest[..end], &rest[end + 1..]);
    let (booked, rest) = rest.split_first_chunk()?;
    let (month, service) = rest.split_first_chunk()?;
    Some(CounterKey {
        vendor: String::from_utf8(vendor.to_vec()).ok()?,
        booked: u32::from_be_bytes(*booked),
        month: u32::from_be_bytes(*month),
        service: String::from_utf8(service.to_vec()).ok()?,
    })
}
