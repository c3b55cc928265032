//! The tree over the log of events: its hashes, and the checkpoints that were signed.

use licensor::store::{Batch, StoreError};
use prost::Message;

use super::{AuditState, Ledger, Versioned};

const HASHES: &[u8] = b"audit-hash/";
const CHECKPOINTS: &[u8] = b"audit-checkpoint/";
const STATE: &[u8] = b"audit-state";

impl Ledger {
    pub(crate) async fn audit_state(&self) -> Result<Option<Versioned<AuditState>>, StoreError> {
        self.read(STATE).await
    }

    /// Adds hashes to the tree, and the checkpoint that they lead to: among all that ever were it is `plain`.
    pub(crate) async fn seal(
        &self,
        former: Option<&Versioned<AuditState>>,
        state: &AuditState,
        plain: &str,
        hashes: Vec<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.expect(STATE, former.map(|former| former.bytes.clone())).put(STATE, state.encode_to_vec());
        for hash in hashes {
            batch.append(HASHES, hash.as_slice());
        }
        batch.append(CHECKPOINTS, plain.as_bytes());
        self.store.commit(batch).await.map(|_| ())
    }

    /// At most `limit` hashes of the tree from the index `from` on, in the order in which they were added.
    pub(crate) async fn audit_hashes(&self, from: u64, limit: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        let page = self.store.read_log(HASHES, from + 1, limit).await?;
        let mut hashes = Vec::with_capacity(page.len());
        for (expected, (position, hash)) in (from + 1..).zip(page) {
            match hash.try_into() {
                Ok(hash) if position == expected => hashes.push(hash),
                // One that is missing, or none: what follows is of no use.
                _ => break,
            }
        }
        Ok(hashes)
    }

    /// At most `limit` checkpoints from the `from`th on (from 1), each with its number.
    pub(crate) async fn checkpoints(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let page = self.store.read_log(CHECKPOINTS, from, limit).await?;
        Ok(page.into_iter().map(|(n, note)| (n, String::from_utf8_lossy(&note).into_owned())).collect())
    }
}
