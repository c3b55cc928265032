//! Adds what was logged to the tree, and signs where that leads.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use licensor::{
    clock::SharedClock,
    error::{Error, Result},
    file,
    serve::Shutdown,
    store::StoreError,
};
use tlog_tiles::record_hash;
use verifier::Checkpoint;

use super::{Audit, PAGE, memorable::Newest, tree::Frontier};
use crate::ledger::AuditState;

/// How long entries are gathered for one checkpoint.
const GATHERED: Duration = Duration::from_secs(1);
/// Pause after a failure.
const AGAIN: Duration = Duration::from_secs(60);

/// Keeps the tree up to date.
#[derive(Debug)]
pub(crate) struct AuditWatch {
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: SharedClock,
}

impl AuditWatch {
    /// Works until `shutdown`. What is logged after that is added at the next start.
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.watch()).await;
        Ok(())
    }

    async fn watch(&self) {
        let mut latest = self.audit.ledger().events().subscribe();
        latest.mark_changed();
        while latest.changed().await.is_ok() {
            while let Err(error) = self.audit.seal().await {
                tracing::error!(%error, "the audit log could not be sealed; it is tried again");
                self.clock.wait_until(self.clock.now() + AGAIN, AGAIN).await;
            }
            self.clock.wait_until(self.clock.now() + GATHERED, GATHERED).await;
        }
    }
}

impl Audit {
    /// Adds every entry that is not in the tree yet; the checkpoint of the tree then.
    pub(super) async fn seal(&self) -> Result<Checkpoint> {
        let _turn = self.turn.lock().await;
        let mut state = self.ledger().audit_state().await?;
        let size = state.as_ref().map_or(0, |state| state.record.size);
        let end = *self.ledger().events().subscribe().borrow();
        if end < size {
            let cause = format!(
                "its checkpoint has {size} entries, and {end} are there: entries were lost, or the store was rolled back; run `root-service audit verify`"
            );
            return Err(StoreError::Damaged { path: "the audit log".into(), cause }.into());
        }
        let mut frontier = self.frontier(size).await?;
        // Before its first certificate a root has nothing to sign with.
        let end = if self.authority.active().is_ok() { end } else { size };
        let former = state.as_ref().and_then(|state| Checkpoint::parse(&state.record.checkpoint).ok());
        let mut newest = former.as_ref().map(Newest::of).unwrap_or_default();
        while frontier.size < end {
            let hashes = self.add_page(&mut frontier, &mut newest).await?;
            // Among all that ever were, each with the same names again would be most of what the log takes.
            let plain = self.checkpoint(&frontier, Vec::new())?;
            newest.fit(&plain);
            let checkpoint = self.checkpoint(&frontier, newest.lines())?;
            let sealed = AuditState { size: frontier.size, checkpoint };
            self.ledger().seal(state.as_ref(), &sealed, &plain, hashes).await?;
            frontier.forget();
            state = self.ledger().audit_state().await?;
        }
        let Some(state) = state else {
            return self.unsigned(&frontier, Vec::new());
        };
        self.newest.write().unwrap_or_else(PoisonError::into_inner).clone_from(&state.record.checkpoint);
        if size < end
            && let Err(error) =
                file::write_durably(&self.file, state.record.checkpoint.as_bytes(), file::PUBLIC)
        {
            tracing::warn!(%error, file = %self.file.display(), "the copy of the audit log's checkpoint could not be written");
        }
        self.unsigned(&frontier, newest.lines())
    }

    /// Adds a page of entries; the hashes to be stored for them.
    pub(super) async fn add_page(
        &self,
        frontier: &mut Frontier,
        newest: &mut Newest,
    ) -> Result<Vec<[u8; 32]>> {
        let mut hashes = Vec::with_capacity(2 * PAGE);
        let page = self.ledger().events().entries(frontier.size + 1, PAGE).await?;
        newest.add_entries(&page);
        for (position, entry) in page {
            if position != frontier.size + 1 {
                let cause = format!("entry {} is missing", frontier.size + 1);
                return Err(StoreError::Damaged { path: "the audit log".into(), cause }.into());
            }
            hashes.extend(frontier.add(record_hash(&entry))?.into_iter().map(|hash| hash.0));
        }
        Ok(hashes)
    }

    fn unsigned(&self, frontier: &Frontier, extensions: Vec<String>) -> Result<Checkpoint> {
        Ok(Checkpoint { origin: self.origin(), size: frontier.size, root: frontier.root()?, extensions })
    }

    /// The checkpoint of a tree as a signed note.
    pub(super) fn checkpoint(&self, frontier: &Frontier, extensions: Vec<String>) -> Result<String> {
        let checkpoint = self.unsigned(frontier, extensions)?;
        let generations = self.authority.generations();
        let mut signatures = Vec::new();
        // By each of them, so that who knows one authority alone can tell.
        for signer in generations.signers(self.authority.now()) {
            let signature = self.authority.sign_statement(signer, checkpoint.text().as_bytes())?;
            signatures.push((signer.facts.public_key_info.as_slice(), signature));
        }
        if checkpoint.size == 0 || signatures.is_empty() {
            return Err(Error::internal("audit", "a log of nothing"));
        }
        Ok(checkpoint.note(&signatures))
    }
}
