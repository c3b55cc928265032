//! Keeps the newest checkpoint of the root's audit log: by it a root that went back in time can be told.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use licensor::file;
use verifier::Checkpoint;

use crate::credential::Issuance;

/// The checkpoint that a licensing server has seen.
#[derive(Debug)]
pub(crate) struct SeenCheckpoint {
    file: PathBuf,
}

/// A log that has fewer entries than it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolledBack {
    pub(crate) seen: u64,
    pub(crate) now: u64,
}

impl SeenCheckpoint {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { file: data_dir.join("audit-checkpoint.txt") }
    }

    /// Keeps a signed note if its log has grown since the one at hand; says so if it has shrunk, and keeps the larger.
    pub(crate) fn note(&self, note: &str, issuance: &Issuance) -> Option<RolledBack> {
        let mut authorities = issuance.issuers.iter().chain(&issuance.anchors);
        let Some(new) = authorities.find_map(|authority| Checkpoint::verify(note, authority).ok()) else {
            if !note.is_empty() {
                tracing::warn!("the checkpoint of the root's audit log is not signed by it, and is not kept");
            }
            return None;
        };
        let kept = match fs::read_to_string(&self.file) {
            Ok(kept) => Checkpoint::parse(&kept).ok().filter(|kept| kept.origin == new.origin),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, file = %self.file.display(), "the checkpoint at hand cannot be read");
                None
            }
        };
        if let Some(kept) = kept {
            let changed = kept.size == new.size && kept.root != new.root;
            if kept.size > new.size || changed {
                return Some(RolledBack { seen: kept.size, now: new.size });
            }
        }
        if let Err(error) = file::write_durably(&self.file, note.as_bytes(), file::PUBLIC) {
            tracing::warn!(%error, file = %self.file.display(), "the checkpoint of the root's audit log could not be kept");
        }
        None
    }
}
