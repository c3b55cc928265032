//! How many users have a user licence of a vendor, over time: each change of an assignment is one record.

use licensor::store::{Batch, StoreError};
use prost::Message;

use super::{Ledger, decode};

const USERS: &[u8] = b"users/";

/// How many users there are from an instant on. Key: `users/<vendor>\0<seconds since 1970, big-endian>`.
#[derive(Clone, PartialEq, Message)]
struct UsersRecord {
    /// Users to whom any licence of kind user is assigned, each counted once.
    #[prost(uint64, tag = "1")]
    count: u64,
    /// The highest number within this second.
    #[prost(uint64, tag = "2")]
    highest: u64,
}

impl Ledger {
    /// Adds to `batch` that there are `count` users of `vendor` from `now` (seconds since 1970) on. Whoever changes
    /// assignments does so one at a time.
    pub(crate) async fn note_users(
        &self,
        batch: &mut Batch,
        vendor: &str,
        count: u64,
        now: i64,
    ) -> Result<(), StoreError> {
        let key = key(vendor, now);
        let former = self.store.get(&key).await?;
        let highest =
            former.as_deref().map(decode::<UsersRecord>).transpose()?.map_or(0, |known| known.highest);
        let record = UsersRecord { count, highest: highest.max(count) };
        batch.expect(key.clone(), former).put(key, record.encode_to_vec());
        Ok(())
    }

    /// The highest number of users of `vendor` at any instant of `from..until` (seconds since 1970).
    pub(crate) async fn highest_number_of_users(
        &self,
        vendor: &str,
        from: i64,
        until: i64,
    ) -> Result<u64, StoreError> {
        let prefix = prefix(vendor);
        let (mut highest, mut next) = (0, prefix.clone());
        loop {
            let page = self.store.scan(&prefix, &next, 1000).await?;
            let Some((last, _)) = page.last() else { return Ok(highest) };
            next = [last.as_slice(), &[0]].concat();
            for (key, value) in page {
                let Some(at) =
                    key.strip_prefix(&*prefix).and_then(|at| Some(i64::from_be_bytes(at.try_into().ok()?)))
                else {
                    continue;
                };
                let record: UsersRecord = decode(&value)?;
                match at {
                    at if at >= until => return Ok(highest),
                    // What held when the span began.
                    at if at < from => highest = record.count,
                    _ => highest = highest.max(record.highest),
                }
            }
        }
    }
}

fn prefix(vendor: &str) -> Vec<u8> {
    [USERS, vendor.as_bytes(), &[0]].concat()
}

fn key(vendor: &str, at: i64) -> Vec<u8> {
    [prefix(vendor).as_slice(), &at.max(0).to_be_bytes()].concat()
}
