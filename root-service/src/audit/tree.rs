//! The hashes of the tree.

use std::collections::HashMap;

use licensor::{
    error::{Error, Result},
    store::StoreError,
};
use tlog_tiles::{
    Hash, HashReader, prove_record, stored_hash_count, stored_hashes_for_record_hash, sub_tree_index,
    tree_hash,
};

use super::Audit;

/// The hashes that are needed to go on from a tree of some size.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    hashes: HashMap<u64, Hash>,
    pub(super) size: u64,
}

impl HashReader for Frontier {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let missing = || tlog_tiles::Error::InvalidInput("a hash is missing".into());
        indexes.iter().map(|index| self.hashes.get(index).copied().ok_or_else(missing)).collect()
    }
}

impl Frontier {
    /// Adds an entry by its hash; the hashes that are to be stored for it.
    pub(super) fn add(&mut self, entry: Hash) -> Result<Vec<Hash>> {
        let added = stored_hashes_for_record_hash(self.size, entry, self).map_err(failed)?;
        let first = stored_hash_count(self.size);
        self.hashes.extend((first..).zip(added.iter().copied()));
        self.size += 1;
        Ok(added)
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> Result<[u8; 32]> {
        Ok(tree_hash(self.size, self).map_err(failed)?.0)
    }

    /// Forgets what is not needed to go on.
    pub(super) fn forget(&mut self) {
        let needed = sub_tree_index(0, self.size, Vec::new());
        self.hashes.retain(|index, _| needed.contains(index));
    }
}

/// Says which hashes are asked for, and gives those that it has.
struct Asked<'a> {
    indexes: &'a std::cell::RefCell<Vec<u64>>,
    hashes: Vec<Hash>,
}

impl HashReader for Asked<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        self.indexes.replace(indexes.to_vec());
        if self.hashes.len() == indexes.len() {
            return Ok(self.hashes.clone());
        }
        Err(tlog_tiles::Error::InvalidInput("to be read".into()))
    }
}

impl Audit {
    /// The hashes to go on from a tree of this size.
    pub(super) async fn frontier(&self, size: u64) -> Result<Frontier> {
        let mut frontier = Frontier { size, ..Frontier::default() };
        for index in sub_tree_index(0, size, Vec::new()) {
            frontier.hashes.insert(index, self.hash(index).await?);
        }
        Ok(frontier)
    }

    /// The way from an entry (its index, from 0) up to the root of a tree of this size.
    pub(super) async fn path(&self, index: u64, size: u64) -> Result<Vec<[u8; 32]>> {
        let wanted = wanted(size, index)?;
        let mut hashes = Vec::with_capacity(wanted.len());
        for index in wanted {
            hashes.push(self.hash(index).await?);
        }
        let asked = Asked { indexes: &std::cell::RefCell::default(), hashes };
        let proof = prove_record(size, index, &asked).map_err(failed)?;
        Ok(proof.into_iter().map(|hash| hash.0).collect())
    }

    async fn hash(&self, index: u64) -> Result<Hash> {
        let hash = self.ledger().audit_hashes(index, 1).await?.pop();
        let missing = || StoreError::Damaged {
            path: "the audit log".into(),
            cause: format!("hash {index} is missing: run `root-service audit verify`"),
        };
        Ok(Hash(hash.ok_or_else(missing)?))
    }
}

/// The indexes of the hashes that a proof is made of.
fn wanted(size: u64, index: u64) -> Result<Vec<u64>> {
    let indexes = std::cell::RefCell::default();
    let asked = Asked { indexes: &indexes, hashes: Vec::new() };
    // Asked for nothing, a proof of nothing is enough: there is one entry only.
    let proof = prove_record(size, index, &asked);
    let wanted = indexes.into_inner();
    if wanted.is_empty() {
        proof.map_err(failed)?;
    }
    Ok(wanted)
}

fn failed(error: tlog_tiles::Error) -> Error {
    Error::internal("audit tree", error)
}
