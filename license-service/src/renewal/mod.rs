//! Enrolment and renewal: the only writer of the credential. TLS, licences, status and the expiry watch only read it.
//!
//! Keys are on the disk before anything is asked for with them, an answer is checked before it is kept, and kept before
//! it is used. Whatever stops in between, the next attempt uses the same keys and gets the same certificates.

mod answer;
mod automatic;
mod carried;
mod checkpoint;
mod key_store;
mod online;
mod revocation;
#[cfg(test)]
pub(crate) mod test_node;
mod trust;
mod upkeep;

use std::sync::Arc;

use licensor::{
    clock::{SharedClock, from_unix_seconds},
    error::{Error, Result},
    telemetry::Metrics,
};
use proto::certification::v1::{EnrollRequest, RenewRequest};
use tokio::sync::{Mutex, watch};

use crate::{
    credential::{Credential, Issuance, Keys},
    ledger::{CredentialRecord, KeyNames, Ledger},
};

pub(crate) use automatic::Automatic;
pub(crate) use checkpoint::SeenCheckpoint;
pub(crate) use key_store::KeyStore;
pub(crate) use revocation::{RevocationWatch, kept_list};
pub(crate) use upkeep::Upkeep;

/// What everyone reads: the credential in use, `None` before enrolment.
pub(crate) type CredentialWatch = watch::Receiver<Option<Arc<Credential>>>;

/// Enrols and renews.
#[derive(Debug)]
pub(crate) struct Renewal {
    clock: SharedClock,
    ledger: Arc<Ledger>,
    keys: KeyStore,
    metrics: Arc<Metrics>,
    /// Where to enrol instead of the address in the token.
    root_address: Option<String>,
    current: watch::Sender<Option<Arc<Credential>>>,
    seen: SeenCheckpoint,
    /// Number of the newest revocation list that a root spoke of, and word of it.
    list_number: watch::Sender<u64>,
    /// The record behind `current`; held while one enrols or renews, so that nobody else does.
    turn: Mutex<Option<CredentialRecord>>,
}

/// What [`Renewal::open`] works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) keys: KeyStore,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) seen: SeenCheckpoint,
    pub(crate) root_address: Option<String>,
}

impl Renewal {
    /// Reads the credential of the ledger, if there is one.
    ///
    /// # Errors
    /// A sentence if its keys are missing or cannot be used.
    pub(crate) async fn open(parts: Parts) -> anyhow::Result<Self> {
        let Parts { clock, ledger, keys, metrics, seen, root_address } = parts;
        let record = ledger.credential().await?;
        let credential = match &record {
            None => None,
            Some(record) => {
                let issuance = issuance(record, keys.load(&record.keys)?);
                let credential = Credential::assemble(issuance)?;
                metrics.set_not_after(credential.validity.not_after);
                if let Err(error) = keys.export(&credential.issuance) {
                    tracing::warn!(%error, "the certificates in the data directory could not be written");
                }
                Some(Arc::new(credential))
            }
        };
        if let Some(last) = ledger.renewal().await?.succeeded() {
            metrics.set_last_renewal(last);
        }
        let current = watch::Sender::new(credential);
        let list_number = watch::Sender::new(0);
        let turn = Mutex::new(record);
        Ok(Self { clock, ledger, keys, metrics, root_address, current, seen, list_number, turn })
    }

    /// The credential in use, and word of every new one.
    pub(crate) fn subscribe(&self) -> CredentialWatch {
        self.current.subscribe()
    }

    /// Lets everyone look at the credential again: more is known of it.
    fn tell_again(&self) {
        self.current.send_modify(|_| ());
    }

    /// The keys of an attempt that may have got through, or new ones.
    async fn pending_keys(&self, purpose: &str, licensor: Option<&str>) -> Result<(KeyNames, Arc<Keys>)> {
        if let Some(names) = self.ledger.pending(purpose).await? {
            match self.keys.load(&names) {
                Ok(keys) => return Ok((names, keys)),
                // Only what is surely gone is replaced: a certificate may have been issued for these keys.
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(key_store::unusable(&error)),
            }
        }
        let names = self.keys.generate(licensor)?;
        if let Err(error) = self.ledger.begin(purpose, &names).await {
            self.tidy_keys().await;
            return Err(error.into());
        }
        let keys = self.keys.load(&names).map_err(|error| key_store::unusable(&error))?;
        Ok((names, keys))
    }

    /// Removes the keys that no record names.
    async fn tidy_keys(&self) {
        // A key that stays behind does no harm; the next renewal tries again.
        if let Ok(named) = self.ledger.named_keys().await {
            self.keys.keep_only(&named);
        }
    }
}

/// Runs `work` to its end even if the caller goes away: between the ledger and the memory nothing may come in.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Error::internal("renewal", error)))
}

/// The call with which a server is enrolled.
fn enroll_request(token: &str, keys: &Keys) -> Result<EnrollRequest> {
    Ok(EnrollRequest {
        token: token.trim().to_owned(),
        licensor_csr: request_for(&keys.licensor)?,
        server_csr: request_for(&keys.server)?,
        authority_csr: Vec::new(),
    })
}

/// The call with which its certificate is renewed.
fn renew_request(keys: &Keys) -> Result<RenewRequest> {
    Ok(RenewRequest {
        licensor_csr: request_for(&keys.licensor)?,
        server_csr: request_for(&keys.server)?,
        authority_csr: Vec::new(),
    })
}

fn request_for(key: &licensor::key::PrivateKey) -> Result<Vec<u8>> {
    key.certificate_request().map_err(|error| Error::internal("certificate request", error))
}

fn issuance(record: &CredentialRecord, keys: Arc<Keys>) -> Issuance {
    Issuance {
        licensor: record.licensor.clone(),
        server: record.server.clone(),
        issuers: record.issuers.clone(),
        anchors: record.anchors.clone(),
        renew_at: from_unix_seconds(record.renew_at),
        keys,
    }
}
