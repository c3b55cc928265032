//! The ledger of a licensing server: its credential, what it raised, what it issued. The only user of the store.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    config::Expiry,
    error::Error,
    error::Result,
    event::{Event, EventKind, EventLog},
    expiry::{Validity, Warnings},
    store::{Batch, SharedStore, StoreError},
};
use prost::Message;
use verifier::{Revoked, certificate::octets, revocation::reason_name};

const CREDENTIAL: &[u8] = b"credential/current";
const PENDING: &str = "credential/pending/";
const RENEWAL: &[u8] = b"renewal";
const ENABLED: &[u8] = b"enabled";
const RAISED: &str = "raised/";
const LICENSE: &[u8] = b"license/";

/// The credential in use; the keys are files that it names.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CredentialRecord {
    /// DER.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) licensor: Vec<u8>,
    /// DER.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) server: Vec<u8>,
    /// DER.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) issuers: Vec<Vec<u8>>,
    /// DER.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) anchors: Vec<Vec<u8>>,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) renew_at: i64,
    #[prost(message, required, tag = "6")]
    pub(crate) keys: KeyNames,
    /// Identifier of the token with which this line of certificates began, hexadecimal.
    #[prost(string, tag = "7")]
    pub(crate) token: String,
}

/// Names of key files.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyNames {
    #[prost(string, tag = "1")]
    pub(crate) licensor: String,
    #[prost(string, tag = "2")]
    pub(crate) server: String,
}

/// How renewals have gone.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RenewalRecord {
    /// Seconds since 1970; 0 if never.
    #[prost(int64, tag = "1")]
    pub(crate) succeeded_at: i64,
    /// Why the latest attempt failed; empty if it succeeded.
    #[prost(string, tag = "2")]
    pub(crate) error: String,
    /// Reason of the latest failure.
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    /// Topic of the event that told of it.
    #[prost(string, tag = "4")]
    pub(crate) topic: String,
}

/// The warning that was raised last for a certificate. Key: `raised/<serial>`.
#[derive(Clone, PartialEq, Message)]
struct RaisedRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
}

/// Whether the service issues. Key: `enabled`.
#[derive(Clone, PartialEq, Message)]
struct EnabledRecord {
    #[prost(bool, tag = "1")]
    enabled: bool,
    /// Topic of the event that told that it does not.
    #[prost(string, tag = "2")]
    topic: String,
}

/// A certificate as events name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    /// Name of the licensing server.
    pub(crate) node: &'a str,
    /// Serial number of its certificate.
    pub(crate) serial: &'a str,
    pub(crate) validity: Validity,
}

/// A licence that was issued. Key: `license/<exp, big-endian><octets of jti>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LicenseRecord {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) vendor: String,
    #[prost(string, tag = "3")]
    pub(crate) module: String,
    #[prost(string, tag = "4")]
    pub(crate) subject: String,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) issued_at: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "6")]
    pub(crate) expires_at: i64,
}

/// The ledger of one licensing server.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: SharedStore,
    events: Arc<EventLog>,
    expiry: Expiry,
    /// Why the latest attempt to renew failed, if the store could not take that up: on a full disk, say.
    unkept_problem: Mutex<Option<String>>,
}

impl Ledger {
    pub(crate) fn new(store: SharedStore, events: Arc<EventLog>, expiry: Expiry) -> Self {
        Self { store, events, expiry, unkept_problem: Mutex::default() }
    }

    pub(crate) fn events(&self) -> &Arc<EventLog> {
        &self.events
    }

    pub(crate) async fn credential(&self) -> Result<Option<CredentialRecord>, StoreError> {
        self.read(CREDENTIAL).await
    }

    /// Names of the keys that were made for `purpose` (`renew/<serial>` or `enroll/<token id>`): a root may have certified
    /// them already, though no answer came, and only with these the answer can be had again.
    pub(crate) async fn pending(&self, purpose: &str) -> Result<Option<KeyNames>, StoreError> {
        self.read(&pending_key(purpose)).await
    }

    /// Every key that a record names.
    pub(crate) async fn named_keys(&self) -> Result<Vec<KeyNames>, StoreError> {
        let mut names: Vec<KeyNames> =
            self.credential().await?.into_iter().map(|record| record.keys).collect();
        for (_, value) in self.store.scan(PENDING.as_bytes(), PENDING.as_bytes(), 1000).await? {
            names.push(decode(&value)?);
        }
        Ok(names)
    }

    /// How renewals have gone, with the latest failure even if it could not be kept.
    pub(crate) async fn renewal(&self) -> Result<RenewalRecord, StoreError> {
        let mut record = self.kept_renewal().await?;
        if let Some(problem) = &*self.unkept_problem() {
            record.error.clone_from(problem);
        }
        Ok(record)
    }

    async fn kept_renewal(&self) -> Result<RenewalRecord, StoreError> {
        Ok(self.read(RENEWAL).await?.unwrap_or_default())
    }

    fn unkept_problem(&self) -> MutexGuard<'_, Option<String>> {
        self.unkept_problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the names of keys before anything is asked for with them.
    pub(crate) async fn begin(&self, purpose: &str, keys: &KeyNames) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(pending_key(purpose), keys.encode_to_vec());
        self.events.commit(batch, Vec::new()).await
    }

    /// Makes a checked credential the current one. `former` is the one in use until now; what was raised for it ends.
    pub(crate) async fn adopt(
        &self,
        record: &CredentialRecord,
        holder: &Holder<'_>,
        former: Option<&Holder<'_>>,
        kind: EventKind,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(CREDENTIAL, record.encode_to_vec());
        // Keys of attempts with this token, or with any certificate before this one, are of no more use.
        batch.delete(pending_key(&format!("enroll/{}", record.token)));
        let renewals = pending_key("renew/");
        for (key, _) in self.store.scan(&renewals, &renewals, 1000).await? {
            batch.delete(key);
        }
        let mut renewal = self.kept_renewal().await?;
        if !renewal.topic.is_empty() {
            self.events.end(&mut batch, &renewal.topic);
        }
        if kind == EventKind::CertificateRenewed {
            renewal.succeeded_at = unix_seconds(now);
        }
        let renewal = RenewalRecord { succeeded_at: renewal.succeeded_at, ..RenewalRecord::default() };
        batch.put(RENEWAL, renewal.encode_to_vec());
        if let Some(former) = former
            && self.store.get(&raised_key(former.serial)).await?.is_some()
        {
            self.events.end(&mut batch, &expiry_topic(former.serial));
        }
        let event = Event::new(kind).about(holder.serial, holder.node).until(holder.validity.not_after);
        self.events.commit(batch, vec![event]).await?;
        *self.unkept_problem() = None;
        Ok(())
    }

    /// Keeps why an attempt to renew failed. Of failures in a row that have the same reason, the first is an event.
    pub(crate) async fn renewal_failed(&self, holder: &Holder<'_>, error: &Error) -> Result<(), StoreError> {
        let former = self.kept_renewal().await?;
        let mut batch = Batch::new();
        let reason = error.reason.as_str();
        let problem: String = error.message.chars().take(1000).collect();
        let mut record =
            RenewalRecord { error: problem.clone(), reason: reason.to_owned(), ..former.clone() };
        let mut events = Vec::new();
        if former.reason != reason {
            if !former.topic.is_empty() {
                self.events.end(&mut batch, &former.topic);
            }
            record.topic = self.new_topic("renewal-failed", holder.serial);
            let event = Event::new(EventKind::RenewalFailed)
                .about(holder.serial, holder.node)
                .argument("reason", reason)
                .argument("problem", &problem);
            events.push(event.active_for(record.topic.clone()));
        }
        batch.put(RENEWAL, record.encode_to_vec());
        let kept = self.events.commit(batch, events).await;
        *self.unkept_problem() = kept.is_err().then_some(problem);
        kept
    }

    /// Raises the warning that is due for the certificate at `now`, if it was not raised yet and the certificate is still
    /// the current one.
    pub(crate) async fn raise_due(&self, holder: &Holder<'_>, now: SystemTime) -> Result<(), StoreError> {
        let Some(kind) = Warnings::of(&holder.validity, &self.expiry).due(now) else { return Ok(()) };
        self.raise_once(Event::new(kind).until(holder.validity.not_after), holder).await
    }

    /// Raises that the certificate was revoked, if it was not raised yet and the certificate is still the current one.
    pub(crate) async fn raise_revoked(
        &self,
        holder: &Holder<'_>,
        revoked: Revoked,
    ) -> Result<(), StoreError> {
        let event = Event::new(EventKind::CertificateRevoked)
            .argument("certificate", holder.serial)
            .argument("reason", reason_name(revoked.reason));
        self.raise_once(event, holder).await
    }

    /// Raises an event about a certificate, unless it or a more severe one was raised.
    async fn raise_once(&self, event: Event, holder: &Holder<'_>) -> Result<(), StoreError> {
        let kind = event.kind;
        let key = raised_key(holder.serial);
        let raised = self.store.get(&key).await?;
        let record: RaisedRecord = raised.as_deref().map(decode).transpose()?.unwrap_or_default();
        // The ids rise with the severity: 16, 17, 18, and 110 for a revoked one.
        if record.id >= kind.id() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.expect(key.clone(), raised).put(key, RaisedRecord { id: kind.id() }.encode_to_vec());
        self.expect_current(&mut batch).await?;
        let event = event.about(holder.serial, holder.node).active_for(expiry_topic(holder.serial));
        unless_outrun(self.events.commit(batch, vec![event]).await)
    }

    /// Keeps whether the service issues, with an event if that has changed.
    pub(crate) async fn note_enabled(
        &self,
        problem: Option<&str>,
        holder: &Holder<'_>,
    ) -> Result<(), StoreError> {
        let former = self.store.get(ENABLED).await?;
        let known: Option<EnabledRecord> = former.as_deref().map(decode).transpose()?;
        if known.as_ref().is_some_and(|known| known.enabled == problem.is_none()) {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.expect_current(&mut batch).await?;
        if let Some(topic) = known.map(|known| known.topic).filter(|topic| !topic.is_empty()) {
            self.events.end(&mut batch, &topic);
        }
        let mut record = EnabledRecord { enabled: problem.is_none(), topic: String::new() };
        let event = match problem {
            None => Event::new(EventKind::ServiceEnabled).about(holder.serial, holder.node),
            Some(problem) => {
                record.topic = self.new_topic("disabled", holder.serial);
                Event::new(EventKind::ServiceDisabled)
                    .about(holder.serial, holder.node)
                    .argument("problem", problem)
                    .active_for(record.topic.clone())
            }
        };
        batch.expect(ENABLED, former).put(ENABLED, record.encode_to_vec());
        unless_outrun(self.events.commit(batch, vec![event]).await)
    }

    /// The batch fails if the credential is exchanged before it is applied.
    async fn expect_current(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let current = self.store.get(CREDENTIAL).await?;
        batch.expect(CREDENTIAL, current);
        Ok(())
    }

    /// A topic that no event has had before.
    fn new_topic(&self, what: &str, serial: &str) -> String {
        format!("{what}/{serial}/{}", *self.events.subscribe().borrow() + 1)
    }

    /// Keeps a licence.
    pub(crate) async fn add_license(&self, license: &LicenseRecord) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.add(license_key(license.expires_at, &license.id), license.encode_to_vec());
        self.store.commit(batch).await.map(|_| ())
    }

    /// Drops licences that expired a day before `now` or earlier: a clock that ran ahead for a while takes none.
    pub(crate) async fn cull_licenses(&self, now: SystemTime) -> Result<(), StoreError> {
        let end = license_key(unix_seconds(now) - 86_400, "");
        loop {
            let page = self.store.scan(LICENSE, LICENSE, 500).await?;
            let mut batch = Batch::new();
            let expired: Vec<_> = page.into_iter().map(|(key, _)| key).filter(|key| *key < end).collect();
            if expired.is_empty() {
                return Ok(());
            }
            for key in expired {
                batch.delete(key);
            }
            self.store.commit(batch).await?;
        }
    }

    async fn read<R: Message + Default>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        self.store.get(key).await?.as_deref().map(decode).transpose()
    }
}

/// Another change came first, a renewal or that of a replica: what was to be told is no longer so.
fn unless_outrun(result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(StoreError::Conflict { .. }) => Ok(()),
        result => result,
    }
}

fn decode<R: Message + Default>(bytes: &[u8]) -> Result<R, StoreError> {
    R::decode(bytes).map_err(|error| StoreError::Damaged {
        path: "the ledger".into(),
        cause: format!("a record: {error}"),
    })
}

fn pending_key(purpose: &str) -> Vec<u8> {
    [PENDING.as_bytes(), purpose.as_bytes()].concat()
}

fn raised_key(serial: &str) -> Vec<u8> {
    [RAISED.as_bytes(), serial.as_bytes()].concat()
}

fn expiry_topic(serial: &str) -> String {
    format!("expiry/{serial}")
}

fn license_key(expires_at: i64, id: &str) -> Vec<u8> {
    let mut key = LICENSE.to_vec();
    key.extend(u64::try_from(expires_at).unwrap_or_default().to_be_bytes());
    key.extend(octets(id).unwrap_or_default());
    key
}

impl RenewalRecord {
    /// When a renewal last succeeded.
    pub(crate) fn succeeded(&self) -> Option<SystemTime> {
        (self.succeeded_at != 0).then(|| from_unix_seconds(self.succeeded_at))
    }
}
