//! Texts of any length in a store of short values: in pieces, under their digest. The same text is kept once.

use super::{Batch, Store, StoreError};
use crate::key::sha256;

/// Octets of a piece.
const PIECE: usize = 4 << 10;
/// Pieces that are read at once.
const PAGE: usize = 256;

/// Adds `text` to `batch` under `prefix`; what it is found by.
#[must_use]
pub fn put(batch: &mut Batch, prefix: &[u8], text: &[u8]) -> [u8; 32] {
    let digest = sha256(text);
    for (number, piece) in (0_u32..).zip(text.chunks(PIECE)) {
        batch.put(key(prefix, &digest, number), piece);
    }
    digest
}

/// The text with this digest.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not there as it was put.
pub async fn read(store: &dyn Store, prefix: &[u8], digest: &[u8]) -> Result<Vec<u8>, StoreError> {
    let whole = [prefix, digest].concat();
    let (mut text, mut next) = (Vec::new(), whole.clone());
    loop {
        let page = store.scan(&whole, &next, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        next = [last.as_slice(), &[0]].concat();
        page.iter().for_each(|(_, piece)| text.extend(piece));
    }
    if sha256(&text).as_slice() == digest {
        return Ok(text);
    }
    let cause = "a text is not there as it was put".to_owned();
    Err(StoreError::Damaged { path: "the store".into(), cause })
}

fn key(prefix: &[u8], digest: &[u8], number: u32) -> Vec<u8> {
    [prefix, digest, &number.to_be_bytes()].concat()
}
