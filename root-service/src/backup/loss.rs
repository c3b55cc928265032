//! What a restore forgets, by name: from the records of the root that was lost, as far as they can still be read, and from
//! the revocation lists that nodes keep.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use licensor::{
    clock::SharedClock,
    data_dir::DataDir,
    event::{EventKind, EventLog, decode},
    store::{SharedStore, SledOptions, SledStore, StoreError},
    telemetry::Metrics,
};
use verifier::{RevocationList, certificate::hex};

use super::restore::RestoreError;
use crate::config::Config;

/// Entries that are read at once.
const PAGE: usize = 1000;
/// How many are named.
const NAMED: usize = 50;

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
                let argument = |name: &str| event.arguments.get(name).cloned().unwrap_or_default();
                self.names.extend(match event.kind {
                    EventKind::CertificateRevoked => Some(revocation(&event.serial)),
                    EventKind::NodeDecommissioned => Some(format!("the end of {}", event.node)),
                    EventKind::NodeEnrolled => {
                        Some(format!("the use of token {} by {}", argument("token"), event.node))
                    }
                    EventKind::TokenRevoked => Some(format!("the revocation of token {}", argument("token"))),
                    _ => None,
                });
            }
        }
    }

    /// Adds what is on a revocation list, and not among these serial numbers (octets).
    pub(super) fn add_list(&mut self, list: &RevocationList, known: &BTreeSet<Vec<u8>>) {
        let missing = list.serials().filter(|serial| !known.contains(*serial));
        self.names.extend(missing.map(|serial| revocation(&hex(serial))));
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

fn revocation(serial: &str) -> String {
    format!("the revocation of certificate {serial}")
}
