//! Seats in the ledger: one record for each seat that is taken.

use licensor::{
    event::Event,
    store::{Batch, StoreError},
};
use prost::Message;

use super::{Ledger, decode};

const SEAT: &[u8] = b"seat/";
const CLOCK: &[u8] = b"clock/highest";

/// A seat that is taken. Key: `seat/<vendor>\0<module>\0<number, big-endian>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SeatRecord {
    #[prost(string, tag = "1")]
    pub(crate) user: String,
    #[prost(string, tag = "2")]
    pub(crate) device: String,
    #[prost(string, tag = "3")]
    pub(crate) session: String,
    /// Identifier of the lease, 16 octets.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) lease: Vec<u8>,
    /// How many licences have been issued for it.
    #[prost(uint64, tag = "5")]
    pub(crate) issued: u64,
    /// Since when it is taken, seconds since 1970.
    #[prost(int64, tag = "6")]
    pub(crate) since: i64,
    /// `exp` of the latest licence, seconds since 1970; 0 if none is out.
    #[prost(int64, tag = "7")]
    pub(crate) until: i64,
    /// Assigned to the user by name: it stays taken.
    #[prost(bool, tag = "8")]
    pub(crate) assigned: bool,
    #[prost(bool, tag = "9")]
    pub(crate) borrowed: bool,
    /// Who assigned it.
    #[prost(string, tag = "10")]
    pub(crate) assigned_by: String,
    /// By what its holder is told from others: 16 octets of a digest.
    #[prost(bytes = "vec", tag = "11")]
    pub(crate) holder: Vec<u8>,
}

/// The highest time that was seen. Key: `clock/highest`.
#[derive(Clone, PartialEq, Message)]
struct HighestTimeRecord {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    at: i64,
}

/// Where a seat is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeatPlace {
    pub(crate) vendor: String,
    pub(crate) module: String,
    pub(crate) number: u32,
}

impl Ledger {
    /// What is recorded of a seat, with the bytes that a change expects.
    pub(crate) async fn seat(
        &self,
        vendor: &str,
        module: &str,
        number: u32,
    ) -> Result<Option<(SeatRecord, Vec<u8>)>, StoreError> {
        let bytes = self.store.get(&key(vendor, module, number)).await?;
        bytes.map(|bytes| Ok((decode(&bytes)?, bytes))).transpose()
    }

    /// A page of seats from the place of `token` on, and the token of the next page; empty at the end. `vendor` and
    /// `module` narrow it down; a module needs its vendor.
    pub(crate) async fn seats(
        &self,
        vendor: &str,
        module: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<(Vec<(SeatPlace, SeatRecord)>, Vec<u8>), StoreError> {
        let prefix = match (vendor, module) {
            ("", _) => SEAT.to_vec(),
            (vendor, "") => [SEAT, vendor.as_bytes(), &[0]].concat(),
            (vendor, module) => prefix(vendor, module),
        };
        let mut pairs =
            self.store.scan(&prefix, if from.is_empty() { &prefix } else { from }, limit + 1).await?;
        let next = if pairs.len() > limit { pairs.pop().map(|(key, _)| key) } else { None };
        let seats = pairs.into_iter().filter_map(|(key, value)| Some((place(&key)?, value)));
        let seats = seats.map(|(place, value)| Ok((place, decode(&value)?)));
        Ok((seats.collect::<Result<_, StoreError>>()?, next.unwrap_or_default()))
    }

    /// Adds to `batch` that a seat is taken; `former` is what was read of it.
    pub(crate) fn take_seat(
        batch: &mut Batch,
        (vendor, module, number): (&str, &str, u32),
        former: Option<Vec<u8>>,
        record: &SeatRecord,
    ) {
        let key = key(vendor, module, number);
        batch.expect(key.clone(), former).put(key, record.encode_to_vec());
    }

    /// Adds to `batch` that a seat is free; `former` is what was read of it.
    pub(crate) fn free_seat(batch: &mut Batch, (vendor, module, number): (&str, &str, u32), former: Vec<u8>) {
        let key = key(vendor, module, number);
        batch.expect(key.clone(), Some(former)).delete(key);
    }

    /// Commits changes of seats and entitlements.
    pub(crate) async fn commit(&self, batch: Batch, events: Vec<Event>) -> Result<(), StoreError> {
        if events.is_empty() {
            return self.store.commit(batch).await.map(|_| ());
        }
        self.events.commit(batch, events).await
    }

    /// The highest time that was seen, seconds since 1970; 0 if none was.
    pub(crate) async fn highest_time(&self) -> Result<i64, StoreError> {
        Ok(self.read::<HighestTimeRecord>(CLOCK).await?.map_or(0, |record| record.at))
    }

    /// Keeps the highest time that was seen.
    pub(crate) async fn keep_highest_time(&self, at: i64) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(CLOCK, HighestTimeRecord { at }.encode_to_vec());
        self.store.commit(batch).await.map(|_| ())
    }
}

fn prefix(vendor: &str, module: &str) -> Vec<u8> {
    [SEAT, vendor.as_bytes(), &[0], module.as_bytes(), &[0]].concat()
}

fn key(vendor: &str, module: &str, number: u32) -> Vec<u8> {
    [prefix(vendor, module).as_slice(), &number.to_be_bytes()].concat()
}

fn place(key: &[u8]) -> Option<SeatPlace> {
    // The number may have any octets; names have no control characters.
    let (names, number) = key.strip_prefix(SEAT)?.split_last_chunk::<4>()?;
    let mut names = names.strip_suffix(&[0])?.split(|octet| *octet == 0);
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).ok();
    let (vendor, module) = (text(names.next()?)?, text(names.next()?)?);
    Some(SeatPlace { vendor, module, number: u32::from_be_bytes(*number) })
}
