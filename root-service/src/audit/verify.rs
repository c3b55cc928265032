//! Finds what was changed, dropped or rolled back.

use std::fs;

use licensor::{
    clock::rfc3339,
    error::{Error, Reason, Result},
    event::decode,
};
use tlog_tiles::{Hash, record_hash, stored_hash_count};
use verifier::{AuditError, Checkpoint};

use super::{Audit, PAGE, tree::Frontier};

/// Findings that are told; more say no more.
const TOLD: usize = 100;

/// Something that is not as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The entries (sequence numbers of events) that it is about.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) problem: String,
}

/// How far a verification has come.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) verified: u64,
    pub(crate) size: u64,
}

/// A checkpoint that the log is compared with when it has come to its size.
struct Expected {
    checkpoint: Checkpoint,
    whence: &'static str,
}

/// A verification under way.
struct Verification<'a> {
    audit: &'a Audit,
    frontier: Frontier,
    findings: Vec<Finding>,
    /// Entries up to here are as a checkpoint says.
    agreed: u64,
    /// Entries up to here must have their hashes in the store.
    sealed: u64,
}

impl Audit {
    /// Verifies every entry against the hashes of the tree, and the tree against every checkpoint: those in the store, the
    /// copy beside it, and `seen`, one that was kept elsewhere.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `seen` is no checkpoint of this log; `STORE_UNAVAILABLE`.
    pub(crate) async fn verify(
        &self,
        seen: Option<&str>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(Checkpoint, Vec<Finding>)> {
        let mut verification = Verification {
            audit: self,
            frontier: Frontier::default(),
            findings: Vec::new(),
            agreed: 0,
            sealed: 0,
        };
        let mut expected = Vec::new();
        if let Some(seen) = seen.filter(|seen| !seen.is_empty()) {
            let checkpoint = self.own_checkpoint(seen).map_err(|error| {
                Error::new(Reason::InvalidArgument, format!("the checkpoint is not one of this log: {error}"))
            })?;
            expected.push(Expected { checkpoint, whence: "the checkpoint that was given" });
        }
        if let Ok(copy) = fs::read_to_string(&self.file) {
            match self.own_checkpoint(&copy) {
                Ok(checkpoint) => expected.push(Expected { checkpoint, whence: "the copy beside the store" }),
                Err(error) => {
                    verification.find(1, 1, format!("the checkpoint in {}: {error}", self.file.display()))
                }
            }
        }
        // What was logged since the latest checkpoint gets one first, if the log lets it.
        if let Err(error) = self.seal().await {
            tracing::warn!(%error, "the audit log could not be sealed before it is verified");
        }
        let end = *self.ledger().events().subscribe().borrow();
        if let Some(state) = self.ledger().audit_state().await? {
            verification.sealed = state.record.size;
            match self.own_checkpoint(&state.record.checkpoint) {
                Ok(checkpoint) => expected.push(Expected { checkpoint, whence: "the newest checkpoint" }),
                Err(error) => verification.find(1, end.max(1), format!("the newest checkpoint: {error}")),
            }
        }
        for Expected { checkpoint, whence } in &expected {
            if checkpoint.size > end {
                let problem = format!("dropped or rolled back: {whence} has {} entries", checkpoint.size);
                verification.find(end + 1, checkpoint.size, problem);
            }
        }
        expected.retain(|expected| expected.checkpoint.size <= end);
        expected.sort_by_key(|expected| expected.checkpoint.size);
        verification.run(end, expected, progress).await?;
        let checkpoint = Checkpoint {
            origin: self.origin(),
            size: end,
            root: verification.frontier.root().unwrap_or_default(),
            extensions: Vec::new(),
        };
        Ok((checkpoint, verification.findings))
    }

    fn own_checkpoint(&self, note: &str) -> Result<Checkpoint, AuditError> {
        let generations = self.authority.generations();
        let mut checkpoint = Err(AuditError::Malformed("this root has no certificate yet"));
        for generation in generations.certified() {
            checkpoint = Checkpoint::verify(note, &generation.certificate);
            if checkpoint.is_ok() {
                break;
            }
        }
        let checkpoint = checkpoint?;
        if checkpoint.origin != self.origin() {
            return Err(AuditError::Malformed("it is of another log"));
        }
        Ok(checkpoint)
    }
}

impl Verification<'_> {
    fn find(&mut self, first: u64, last: u64, problem: String) {
        if self.findings.len() < TOLD {
            self.findings.push(Finding { first, last, problem });
        }
    }

    async fn run(
        &mut self,
        end: u64,
        expected: Vec<Expected>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<()> {
        let ledger = self.audit.ledger();
        let mut expected = expected.into_iter().peekable();
        let mut sealed = ledger.checkpoints(1, PAGE).await?.into_iter();
        let mut next_sealed = sealed.next();
        while self.frontier.size < end {
            let from = self.frontier.size;
            let entries = ledger.events().entries(from + 1, PAGE).await?;
            // Each entry adds two hashes at most on the average, and the way up at the end of a page.
            let stored = ledger.audit_hashes(stored_hash_count(from), 2 * PAGE + 64).await?;
            let mut stored = stored.into_iter();
            for (position, entry) in entries {
                let missing = self.frontier.size + 1;
                if position != missing {
                    self.find(missing, position - 1, "dropped".into());
                    return Ok(());
                }
                self.check_entry(position, &entry, &mut stored)?;
                let size = self.frontier.size;
                while let Some(next) = expected.next_if(|next| next.checkpoint.size == size) {
                    self.check_root(&next.checkpoint, next.whence)?;
                }
                while let Some((number, note)) = &next_sealed {
                    let checkpoint = Checkpoint::parse(note);
                    match &checkpoint {
                        Ok(checkpoint) if checkpoint.size > size => break,
                        Ok(checkpoint) if checkpoint.size == size => {
                            self.check_root(checkpoint, "the checkpoint of that time")?;
                        }
                        _ => self.find(size, size, format!("checkpoint {number} is damaged")),
                    }
                    let number = *number;
                    next_sealed = sealed.next();
                    if next_sealed.is_none() {
                        sealed = ledger.checkpoints(number + 1, PAGE).await?.into_iter();
                        next_sealed = sealed.next();
                    }
                }
            }
            if self.frontier.size == from {
                self.find(from + 1, end, "dropped".into());
                return Ok(());
            }
            self.frontier.forget();
            progress(Progress { verified: self.frontier.size, size: end });
        }
        Ok(())
    }

    /// Compares an entry, and what it adds to the tree, with the hashes of the tree. What was changed is told, and the
    /// tree goes on with the hash that was stored: so the next change is found as well.
    fn check_entry(
        &mut self,
        position: u64,
        entry: &[u8],
        stored: &mut impl Iterator<Item = [u8; 32]>,
    ) -> Result<()> {
        let computed = record_hash(entry);
        let leaf = stored.next();
        if leaf.is_none() && position <= self.sealed {
            self.find(position, self.sealed, "the hashes of the tree are missing from here on".into());
            // Once is enough; the checkpoints tell whether the entries are as they were.
            self.sealed = 0;
        }
        if leaf.is_some_and(|leaf| leaf != computed.0) {
            self.find(position, position, format!("changed: {}", described(entry)));
        }
        let added = self.frontier.add(leaf.map_or(computed, Hash))?;
        for above in added.into_iter().skip(1) {
            if stored.next().is_some_and(|stored| stored != above.0) {
                self.find(position, position, "the hashes of the tree were changed here".into());
            }
        }
        Ok(())
    }

    fn check_root(&mut self, checkpoint: &Checkpoint, whence: &str) -> Result<()> {
        if self.frontier.root()? == checkpoint.root {
            self.agreed = checkpoint.size;
        } else if self.findings.is_empty() {
            // Entries and hashes were changed together: no more can be told than between which checkpoints.
            let problem = format!("changed, with the hashes of the tree: {whence} says something else");
            self.find(self.agreed + 1, checkpoint.size, problem);
        }
        Ok(())
    }
}

fn described(entry: &[u8]) -> String {
    match decode(entry) {
        None => "it is no entry any more".into(),
        Some((time, event)) => {
            let message = event.kind.message(&event.arguments);
            format!("now it says `{} {}: {message}`", rfc3339(time), event.kind.name())
        }
    }
}
