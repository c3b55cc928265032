//! Values of any length in a store of short ones: in pieces, under a key and the number of each.

use super::{Batch, Store, StoreError};
use crate::key::sha256;

/// Octets of a piece.
const PIECE: usize = 4 << 10;
/// Octets of the number of a piece.
const NUMBER: usize = 4;
/// Pieces that are read at once.
const PAGE: usize = 256;

/// Adds to `batch` a value under a key that nobody has ever set, or only to this value.
pub fn put(batch: &mut Batch, key: &[u8], value: &[u8]) {
    for (number, piece) in (0_u32..).zip(value.chunks(PIECE)) {
        batch.put([key, &number.to_be_bytes()].concat(), piece);
    }
}

/// The value under `key`, if there is one.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub async fn get(store: &dyn Store, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let (mut value, mut next) = (None, key.to_vec());
    loop {
        let page = store.scan(key, &next, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(value) };
        next = [last.as_slice(), &[0]].concat();
        // Longer keys that begin like this one are others.
        for (_, piece) in page.iter().filter(|(found, _)| found.len() == key.len() + NUMBER) {
            value.get_or_insert_with(Vec::new).extend_from_slice(piece);
        }
    }
}

/// Adds `text` to `batch` under `prefix` and its digest, by which it is found: the same text is kept once.
#[must_use]
pub fn put_text(batch: &mut Batch, prefix: &[u8], text: &[u8]) -> [u8; 32] {
    let digest = sha256(text);
    put(batch, &[prefix, &digest].concat(), text);
    digest
}

/// The text with this digest.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not there as it was put.
pub async fn get_text(store: &dyn Store, prefix: &[u8], digest: &[u8]) -> Result<Vec<u8>, StoreError> {
    let text = get(store, &[prefix, digest].concat()).await?.unwrap_or_default();
    if sha256(&text).as_slice() == digest {
        return Ok(text);
    }
    let cause = "a text is not there as it was put".to_owned();
    Err(StoreError::Damaged { path: "the store".into(), cause })
}

#[cfg(test)]
mod tests {
    use crate::store::{SledOptions, SledStore};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn values_of_any_length_are_read_as_they_were_put() {
        let folder = tempfile::tempdir().unwrap();
        let options = SledOptions {
            directory: folder.path().join("store"),
            cache_bytes: 1 << 20,
            minimum_free_bytes: 0,
        };
        let store = SledStore::open(&options).unwrap();
        for length in [1, PIECE, PIECE + 1, 300 * PIECE] {
            let value: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let mut batch = Batch::new();
            let key = format!("value/{length}");
            put(&mut batch, key.as_bytes(), &value);
            let digest = put_text(&mut batch, b"text/", &value);
            store.commit(batch).await.unwrap();
            assert_eq!(get(&store, key.as_bytes()).await.unwrap().as_ref(), Some(&value));
            assert_eq!(get_text(&store, b"text/", &digest).await.unwrap(), value);
        }
        assert_eq!(get(&store, b"value/").await.unwrap(), None, "other keys begin like this one");
        assert!(matches!(get_text(&store, b"text/", &[0; 32]).await, Err(StoreError::Damaged { .. })));
    }
}
