//! Logs in a store of keys and values. Entries that become durable together share a value, under the position of the
//! last of them: the first key that is not less than a position has its entry.

use prost::Message;

use super::{Store, StoreError};

/// Octets that entries which share a value have together at most.
const FULL: usize = 4 << 10;

/// Chunks that are read at once: how many entries are in one shows only then.
const CHUNKS: usize = 16;

/// Entries with consecutive positions.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Chunk {
    #[prost(bytes = "vec", repeated, tag = "1")]
    entries: Vec<Vec<u8>>,
}

/// Keys and values of the entries that follow the position `last` in the log under `prefix`.
pub(super) fn chunks(prefix: &[u8], mut last: u64, entries: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut chunks = Vec::new();
    let (mut chunk, mut octets) = (Chunk::default(), 0);
    for entry in entries {
        if octets + entry.len() > FULL && !chunk.entries.is_empty() {
            chunks.push((key(prefix, last), std::mem::take(&mut chunk).encode_to_vec()));
            octets = 0;
        }
        last += 1;
        octets += entry.len();
        chunk.entries.push(entry);
    }
    if !chunk.entries.is_empty() {
        chunks.push((key(prefix, last), chunk.encode_to_vec()));
    }
    chunks
}

pub(super) async fn read<S: Store + ?Sized>(
    store: &S,
    prefix: &[u8],
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut entries = Vec::new();
    let mut next = from.max(1);
    while entries.len() < limit {
        let page = store.scan(prefix, &key(prefix, next), CHUNKS.min(limit - entries.len())).await?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            let chunk = Chunk::decode(&*value).ok().zip(position(prefix, &key));
            let Some((chunk, last)) = chunk else {
                let cause = "an entry of a log cannot be read".into();
                return Err(StoreError::Damaged { path: "the store".into(), cause });
            };
            let first = (last + 1).saturating_sub(chunk.entries.len() as u64);
            let chunk = (first..).zip(chunk.entries).filter(|(position, _)| *position >= next);
            entries.extend(chunk.take(limit - entries.len()));
            next = last + 1;
        }
    }
    Ok(entries)
}

/// By bisection over the keys: positions are dense.
pub(super) async fn end<S: Store + ?Sized>(store: &S, prefix: &[u8]) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0_u64, 1_u64 << 62);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match store.scan(prefix, &key(prefix, middle), 1).await?.first() {
            Some((key, _)) => low = position(prefix, key).unwrap_or(middle),
            None => high = middle - 1,
        }
    }
    Ok(low)
}

fn key(prefix: &[u8], position: u64) -> Vec<u8> {
    [prefix, &position.to_be_bytes()].concat()
}

/// The position that a key stands for, if it is one of the log.
pub(super) fn position(prefix: &[u8], key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(prefix)?.try_into().ok()?))
}
