//! Values that may be larger than the store takes: in parts, under the key and the number of each.

use licensor::store::{Batch, SharedStore, StoreError};

/// Octets of a part.
const PART: usize = 6 << 10;

/// Adds to `batch` a value that nobody has ever set.
pub(super) fn add(batch: &mut Batch, key: &[u8], value: &[u8]) {
    for (number, part) in (0_u16..).zip(value.chunks(PART)) {
        batch.add([key, &number.to_be_bytes()].concat(), part);
    }
}

/// The value, if it is there.
pub(super) async fn get(store: &SharedStore, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut value = None;
    let mut next = key.to_vec();
    loop {
        let page = store.scan(key, &next, 100).await?;
        let Some((last, _)) = page.last() else { return Ok(value) };
        next = [last.as_slice(), &[0]].concat();
        for (_, part) in page.iter().filter(|(found, _)| found.len() == key.len() + 2) {
            value.get_or_insert_with(Vec::new).extend_from_slice(part);
        }
    }
}
