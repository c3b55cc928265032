//! The audit log: the log of events as a Merkle tree (RFC 9162 §2.1, hashes as in C2SP tlog-tiles), with checkpoints
//! signed by the authority.
//!
//! An entry is the event that stands in the commit of the change that it tells of. The tree follows a moment later: it is
//! made of what is durable, and costs a change nothing.

mod memorable;
mod seal;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    error::{Error, Reason, Result},
    event::decode,
};
use tokio::sync::Mutex;
use verifier::InclusionProof;

use crate::{
    authority::Authority,
    ledger::{CertificateRecord, Ledger},
};

pub(crate) use memorable::Memorable;
pub(crate) use seal::AuditWatch;
pub(crate) use verify::{Finding, Progress};

/// Entries that are read at once.
const PAGE: usize = 1024;
/// Seconds by which the time of an entry and of the certificate in it may differ.
const SLACK: i64 = 10;

/// The audit log of a root.
#[derive(Debug)]
pub(crate) struct Audit {
    authority: Arc<Authority>,
    /// Where a copy of the newest checkpoint is kept beside the store.
    file: PathBuf,
    /// Held by the one who adds to the tree.
    turn: Mutex<()>,
    /// The newest checkpoint; empty if there is none yet.
    newest: RwLock<String>,
}

impl Audit {
    pub(crate) fn new(authority: Arc<Authority>, file: PathBuf) -> Self {
        Self { authority, file, turn: Mutex::default(), newest: RwLock::default() }
    }

    /// The newest signed checkpoint; empty if there is none yet.
    pub(crate) fn newest(&self) -> String {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ledger(&self) -> &Ledger {
        self.authority.ledger()
    }

    /// Name of the log: roots of one trust domain have one each.
    fn origin(&self) -> String {
        format!("{}/audit/{}", self.authority.trust_domain(), self.authority.log_name())
    }

    /// A proof that the issue of a certificate is in the log.
    pub(crate) async fn prove(&self, serial: &str) -> Result<InclusionProof> {
        let unknown = || {
            let message = format!("there is no certificate {serial}: see `root-service certificates list`");
            Error::new(Reason::CertificateUnknown, message).with("serial", serial)
        };
        let certificate = self.ledger().certificate_named(serial).await?.ok_or_else(unknown)?;
        let checkpoint = self.seal().await?;
        let Some((position, entry)) = self.entry_of(&certificate).await? else {
            let message =
                format!("the log does not tell of the issue of {serial}: run `root-service audit verify`");
            return Err(Error::new(Reason::AuditLogChanged, message).with("serial", serial));
        };
        let hashes = self.path(position - 1, checkpoint.size).await?;
        // Without names: whoever is shown a proof need not know of others.
        let plain = self.checkpoint(&self.frontier(checkpoint.size).await?, Vec::new())?;
        Ok(InclusionProof { index: position - 1, entry, hashes, checkpoint: plain })
    }

    /// The entry that tells of the issue of a certificate. Entries follow one another in time, so that it is near where
    /// bisection leads; if the clock was set in between, all of them are looked at.
    async fn entry_of(&self, certificate: &CertificateRecord) -> Result<Option<(u64, Vec<u8>)>> {
        let events = self.ledger().events();
        let (mut low, mut high) = (1, *events.subscribe().borrow() + 1);
        let since = from_unix_seconds(certificate.issued_at - SLACK);
        while low < high {
            let middle = low.midpoint(high);
            let entry = events.entries(middle, 1).await?.pop();
            match entry.and_then(|(_, entry)| decode(&entry)) {
                Some((time, _)) if time < since => low = middle + 1,
                _ => high = middle,
            }
        }
        match self.entry_from(low, certificate, Some(certificate.issued_at + SLACK)).await? {
            None => self.entry_from(1, certificate, None).await,
            found => Ok(found),
        }
    }

    async fn entry_from(
        &self,
        mut from: u64,
        certificate: &CertificateRecord,
        until: Option<i64>,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        let digest = licensor::key::sha256(certificate.logged());
        loop {
            let page = self.ledger().events().entries(from, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            from = last + 1;
            for (position, entry) in page {
                let Some((time, event)) = decode(&entry) else { continue };
                if event.certificate_digest == digest {
                    return Ok(Some((position, entry)));
                }
                if until.is_some_and(|until| unix_seconds(time) > until) {
                    return Ok(None);
                }
            }
        }
    }
}
