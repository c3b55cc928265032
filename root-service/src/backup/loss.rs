//! What a restore forgets, by name: from the records of the root that was lost, as far as they can still be read, and from
//! the revocation lists that nodes keep.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use licensor::{
    clock::SharedClock,
    data_dir::DataDir,
    event::{EventLog, decode},
    store::{SharedStore, SledOptions, SledStore, StoreError},
    telemetry::Metrics,
};
use prost::Message;
use verifier::{
    RevocationList,
    certificate::{hex, octets},
};

use super::restore::RestoreError;
use crate::{
    audit::Memorable,
    config::Config,
    ledger::{NodeRecord, RevocationRecord, TokenRecord},
};

/// Entries that are read at once.
const PAGE: usize = 1000;
/// How many are named: no fewer than a checkpoint has.
const NAMED: usize = 200;
/// What the records that tell of something memorable are kept under.
const REVOCATIONS: &[u8] = b"revocation/";
const TOKENS: &[u8] = b"token/";
const NODES: &[u8] = b"node/";

/// What would be forgotten.
#[derive(Debug, Default)]
pub(super) struct Loss {
    names: BTreeSet<String>,
}

impl Loss {
    /// Adds what the log in the data directory of a lost root tells of from this entry on.
    pub(super) async fn add_log(
        &mut self,
        lost: &Path,
        from: u64,
        config: &Config,
        clock: &SharedClock,
    ) -> Result<(), RestoreError> {
        let options = SledOptions {
            directory: lost.join("store"),
            cache_bytes: config.store.cache_bytes,
            minimum_free_bytes: 0,
        };
        if !options.directory.exists() {
            let cause = "there is no store in it".to_owned();
            return Err(StoreError::Damaged { path: lost.display().to_string(), cause }.into());
        }
        // One that still runs is not lost, and two processes on one store damage it.
        let _data_dir = DataDir::open(lost)?;
        let store: SharedStore = Arc::new(SledStore::open(&options)?);
        let events = EventLog::open(store, clock.clone(), Metrics::shared()).await?;
        let mut from = from;
        loop {
            let page = events.entries(from, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = last + 1;
            for (_, event) in page.iter().filter_map(|(_, entry)| decode(entry)) {
                self.names.extend(Memorable::of(&event).map(|memorable| memorable.to_string()));
            }
        }
    }

    /// Adds what is on a revocation list, and not among these serial numbers (octets).
    pub(super) fn add_list(&mut self, list: &RevocationList, known: &BTreeSet<Vec<u8>>) {
        let missing = list.serials().filter(|serial| !known.contains(*serial));
        self.names.extend(missing.map(|serial| Memorable::Revoked(hex(serial)).to_string()));
    }

    /// Adds what is missing.
    pub(super) fn add(&mut self, missing: &BTreeSet<Memorable>) {
        self.names.extend(missing.iter().map(Memorable::to_string));
    }

    /// Whether nothing would be.
    pub(super) fn is_nothing(&self) -> bool {
        self.names.is_empty()
    }

    /// All of it in a sentence.
    pub(super) fn sentence(&self) -> String {
        let named: Vec<&str> = self.names.iter().take(NAMED).map(String::as_str).collect();
        match self.names.len() - named.len() {
            0 => named.join(", "),
            more => format!("{}, and {more} more", named.join(", ")),
        }
    }
}

/// What a backup knows of what others have seen.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Serial numbers of everything that was revoked (octets).
    pub(super) revoked: BTreeSet<Vec<u8>>,
    /// What is looked for, and was not found yet.
    pub(super) missing: BTreeSet<Memorable>,
}

impl Known {
    /// Takes note of a pair of the store.
    pub(super) fn note(&mut self, key: &[u8], value: &[u8]) {
        if key.starts_with(REVOCATIONS) {
            let RevocationRecord { serial, server_serial, .. } =
                RevocationRecord::decode(value).unwrap_or_default();
            self.revoked.extend([&serial, &server_serial].into_iter().filter_map(|it| octets(it)));
            self.missing.remove(&Memorable::Revoked(serial));
        } else if self.missing.is_empty() {
            // Nothing is looked for in what is most of a large backup.
        } else if key.starts_with(TOKENS) {
            let record = TokenRecord::decode(value).unwrap_or_default();
            if record.revoked {
                self.missing.remove(&Memorable::TokenRevoked(record.id));
            } else if !record.serial.is_empty() {
                self.missing.remove(&Memorable::TokenUsed(record.id, record.node));
            }
        } else if key.starts_with(NODES) {
            let record = NodeRecord::decode(value).unwrap_or_default();
            if record.decommissioned_at != 0 {
                self.missing.remove(&Memorable::Decommissioned(record.name));
            }
        }
    }
}
