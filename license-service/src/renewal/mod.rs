//! Enrolment and renewal: the only writer of the credential. TLS, licences, status and the expiry watch only read it.
//!
//! Keys are on the disk before anything is asked for with them, an answer is checked before it is kept, and kept before
//! it is used. Whatever stops in between, the next attempt uses the same keys and gets the same certificates.

mod automatic;
mod checkpoint;
mod key_store;
mod revocation;

use std::{sync::Arc, time::SystemTime};

use licensor::{
    clock::{SharedClock, from_timestamp, from_unix_seconds, unix_seconds},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    root_client,
    telemetry::Metrics,
    tls::{Single, client_config, first_contact_config},
    token::EnrollmentToken,
};
use proto::certification::v1::{EnrollRequest, RenewRequest, RenewResponse, RenewalWindow};
use tokio::sync::{Mutex, watch};
use verifier::certificate::hex;

use self::checkpoint::RolledBack;
use crate::{
    credential::{Credential, Issuance, Keys, instant_in},
    ledger::{CredentialRecord, KeyNames, Ledger},
};

pub(crate) use automatic::Automatic;
pub(crate) use checkpoint::SeenCheckpoint;
pub(crate) use key_store::KeyStore;
pub(crate) use revocation::RevocationWatch;

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

    /// Enrols with a token, and uses the new credential from then on.
    pub(crate) async fn enroll(self: &Arc<Self>, text: &str) -> Result<Arc<Credential>> {
        let (this, text) = (Arc::clone(self), text.to_owned());
        to_its_end(async move { this.count_enrollment(&text).await }).await
    }

    async fn count_enrollment(&self, text: &str) -> Result<Arc<Credential>> {
        let result = self.try_enroll(text).await;
        match &result {
            Ok(_) => self.metrics.enrollments.ok(),
            Err(error) => self.metrics.enrollments.failed(error.reason),
        }
        result
    }

    async fn try_enroll(&self, text: &str) -> Result<Arc<Credential>> {
        let token = EnrollmentToken::parse(text)?;
        let token_id = hex(&token.id);
        let mut turn = self.turn.lock().await;
        let former = self.current.borrow().clone();
        if let (Some(record), Some(credential)) = (&*turn, &former)
            && record.token == token_id
        {
            if self.clock.now() < credential.validity.not_after {
                return Ok(Arc::clone(credential));
            }
            return Err(Error::new(
                Reason::TokenAlreadyUsed,
                "this server was enrolled with this very token, and its certificate has expired: renew it (`license-service renew`), or ask for a new token",
            ));
        }
        // 1. Keys, on the disk before they are used.
        let (names, keys) = self.pending_keys(&format!("enroll/{token_id}"), None).await?;
        // 2. The root: known by the fingerprint in the token, and by nothing else yet.
        let (tls, pinned) = first_contact_config(token.fingerprint(), self.clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let address = self.root_address.as_ref().unwrap_or(&token.address);
        let mut root = root_client::connect(address, tls, &self.clock).await.map_err(|error| {
            if !pinned.mismatched() {
                return error;
            }
            let message = format!(
                "the root at {address} is not the one that made the token: its trust anchor has another fingerprint; ask for a token of that root, or look who answers there"
            );
            Error::new(Reason::TokenUnknown, message).with("address", address)
        })?;
        let request = EnrollRequest {
            token: text.trim().to_owned(),
            licensor_csr: request_for(&keys.licensor)?,
            server_csr: request_for(&keys.server)?,
        };
        let answer = root.enroll(request).await.map_err(|status| root_client::call_error(address, status))?;
        // 3. The answer, checked as a stranger would check it.
        let answer = answer.into_inner();
        self.list_number.send_replace(answer.revocation_list_number);
        let checkpoint = answer.audit_checkpoint;
        let anchors = answer.trust_bundle.unwrap_or_default().trust_anchors;
        let trusted: Vec<_> = anchors
            .iter()
            .filter(|anchor| licensor::key::sha256(anchor) == token.fingerprint())
            .cloned()
            .collect();
        let issuance = Issuance {
            licensor: answer.licensor_certificate,
            server: answer.server_certificate,
            issuers: answer.issuers,
            anchors,
            renew_at: chosen_instant(answer.renewal_window)?,
            keys,
        };
        let credential = Credential::check(issuance, &trusted, self.clock.now())?;
        self.note_checkpoint(&checkpoint, &credential).await;
        // 4. Kept, then used.
        self.adopt(&mut turn, credential, names, token_id, EventKind::NodeEnrolled).await
    }

    /// Renews at the root that issued the current certificate. With `same_key` the licensor key stays.
    pub(crate) async fn renew(self: &Arc<Self>, same_key: bool) -> Result<Arc<Credential>> {
        let this = Arc::clone(self);
        to_its_end(async move {
            let turn = this.turn.lock().await;
            this.renew_in_turn(turn, same_key).await
        })
        .await
    }

    /// Renews if `credential` is still the one in use: another may have been faster.
    async fn renew_if_current(self: &Arc<Self>, credential: &Arc<Credential>) -> Result<()> {
        let (this, credential) = (Arc::clone(self), Arc::clone(credential));
        to_its_end(async move {
            let turn = this.turn.lock().await;
            let current = this.current.borrow().clone();
            if current.is_some_and(|current| Arc::ptr_eq(&current, &credential)) {
                this.renew_in_turn(turn, false).await?;
            }
            Ok(())
        })
        .await
    }

    async fn renew_in_turn(
        &self,
        mut turn: tokio::sync::MutexGuard<'_, Option<CredentialRecord>>,
        same_key: bool,
    ) -> Result<Arc<Credential>> {
        let former = self.current.borrow().clone();
        let (Some(former), Some(record)) = (former, turn.clone()) else {
            let message = "this licensing server is not enrolled: there is nothing to renew; run `license-service enroll`";
            return Err(Error::new(Reason::NotEnrolled, message));
        };
        let result = self.try_renew(&mut turn, &former, record, same_key).await;
        match &result {
            Ok(_) => self.metrics.renewals.ok(),
            Err(error) => {
                self.metrics.renewals.failed(error.reason);
                if matches!(error.reason, Reason::CertificateRevoked | Reason::NodeDecommissioned) {
                    // What counts is the list; whoever watches it looks at once.
                    self.list_number.send_replace(revocation::ONE_TO_COME);
                }
                tracing::warn!(reason = %error.reason, %error, "renewal failed; the credential in use is kept");
                let kept = self.ledger.renewal_failed(&former.holder(), error).await;
                if let Err(error) = kept {
                    tracing::error!(%error, "that the renewal failed could not be kept as an event");
                }
            }
        }
        result
    }

    async fn try_renew(
        &self,
        turn: &mut Option<CredentialRecord>,
        former: &Credential,
        record: CredentialRecord,
        same_key: bool,
    ) -> Result<Arc<Credential>> {
        // 1. Keys, on the disk before they are used.
        let kept = same_key.then_some(record.keys.licensor.as_str());
        let (names, keys) = self.pending_keys(&format!("renew/{}", former.facts.serial), kept).await?;
        // 2. The root that issued the certificate, at the address inside it.
        let address = &former.renewal_address;
        let own = Arc::new(Single(former.client.clone()));
        let tls = client_config(&former.issuance.anchors, Some(own), self.clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let mut root = root_client::connect(address, tls, &self.clock).await?;
        let request = RenewRequest {
            licensor_csr: request_for(&keys.licensor)?,
            server_csr: request_for(&keys.server)?,
        };
        let answer = root.renew(request).await.map_err(|status| root_client::call_error(address, status))?;
        // 3. The answer, checked as a stranger would check it.
        let answer = answer.into_inner();
        self.list_number.send_replace(answer.revocation_list_number);
        let checkpoint = answer.audit_checkpoint.clone();
        let RenewResponse {
            licensor_certificate,
            server_certificate,
            issuers,
            trust_bundle,
            renewal_window,
            ..
        } = answer;
        let issuance = Issuance {
            licensor: licensor_certificate,
            server: server_certificate,
            issuers,
            anchors: trust_bundle.unwrap_or_default().trust_anchors,
            renew_at: chosen_instant(renewal_window)?,
            keys,
        };
        let credential = Credential::check(issuance, &former.issuance.anchors, self.clock.now())?;
        if credential.spiffe_id != former.spiffe_id {
            return Err(Error::new(
                Reason::CredentialInvalid,
                format!(
                    "the root answered with a certificate for {}: the credential in use is kept",
                    credential.spiffe_id
                ),
            ));
        }
        self.note_checkpoint(&checkpoint, &credential).await;
        // 4. Kept, then used.
        self.adopt(turn, credential, names, record.token, EventKind::CertificateRenewed).await
    }

    /// Keeps the checkpoint of the root's log; people are told if that log went back.
    async fn note_checkpoint(&self, note: &str, credential: &Credential) {
        let Some(RolledBack { seen, now }) = self.seen.note(note, &credential.issuance) else { return };
        let event = Event::new(EventKind::RootWentBack)
            .about(&credential.facts.serial, credential.node())
            .argument("seen", seen.to_string())
            .argument("now", now.to_string());
        if let Err(error) = self.ledger.events().raise(event).await {
            tracing::error!(%error, seen, now, "the root's audit log went back, and the event could not be kept");
        }
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

    async fn adopt(
        &self,
        turn: &mut Option<CredentialRecord>,
        credential: Credential,
        keys: KeyNames,
        token: String,
        kind: EventKind,
    ) -> Result<Arc<Credential>> {
        let Issuance { licensor, server, issuers, anchors, renew_at, .. } = &credential.issuance;
        let record = CredentialRecord {
            licensor: licensor.clone(),
            server: server.clone(),
            issuers: issuers.clone(),
            anchors: anchors.clone(),
            renew_at: unix_seconds(*renew_at),
            keys,
            token,
        };
        let former = self.current.borrow().clone();
        let now = self.clock.now();
        let former = former.as_deref().map(Credential::holder);
        self.ledger.adopt(&record, &credential.holder(), former.as_ref(), kind, now).await?;
        let credential = Arc::new(credential);
        self.current.send_replace(Some(Arc::clone(&credential)));
        self.metrics.set_not_after(credential.validity.not_after);
        if kind == EventKind::CertificateRenewed {
            self.metrics.set_last_renewal(now);
        }
        if let Err(error) = self.keys.export(&credential.issuance) {
            tracing::warn!(%error, "the certificates in the data directory could not be written; a restart writes them");
        }
        *turn = Some(record);
        self.tidy_keys().await;
        Ok(credential)
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

fn request_for(key: &licensor::key::PrivateKey) -> Result<Vec<u8>> {
    key.certificate_request().map_err(|error| Error::internal("certificate request", error))
}

fn chosen_instant(window: Option<RenewalWindow>) -> Result<SystemTime> {
    let window = window.and_then(|window| Some((from_timestamp(window.start)?, from_timestamp(window.end)?)));
    window.map(instant_in).ok_or_else(|| {
        Error::new(
            Reason::CredentialInvalid,
            "the root did not say when to renew: the credential in use is kept",
        )
    })
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
