//! The ledger of a licensing server: its credential, what it raised, what it issued. The only user of the store.

mod access;
mod entitlements;
mod records;
mod seats;
mod system_events;
mod usage;
mod users;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use licensor::{
    clock::unix_seconds,
    config::Expiry,
    error::{Error, Result},
    event::{Event, EventKind, EventLog},
    expiry::Warnings,
    store::{Batch, SharedStore, StoreError},
};
use prost::Message;
use verifier::{Revoked, revocation::reason_name};

use records::{EnabledRecord, RaisedRecord};

pub(crate) use access::AccessTokenRecord;
pub(crate) use records::{
    CredentialRecord, Exported, ExportedEnrollment, ExportedRecord, Holder, KeyNames, RenewalRecord,
};
pub(crate) use seats::{SeatPlace, SeatRecord};
pub(crate) use usage::{
    ChunkRecord, CounterKey, CounterRecord, EventRecord, HeadRecord, RunPart, RunRecord, SeriesRecord,
    TermsRecord, UsageChange, VendorRecord,
};

const CREDENTIAL: &[u8] = b"credential/current";
const PENDING: &str = "credential/pending/";
const EXPORTED: &[u8] = b"credential/exported";
const RENEWAL: &[u8] = b"renewal";
const ENABLED: &[u8] = b"enabled";
const RAISED: &str = "raised/";

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
        names.extend(self.exported().await?.map(|record| record.keys));
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

    /// The request that was exported last, if its answer can still be imported.
    pub(crate) async fn exported(&self) -> Result<Option<ExportedRecord>, StoreError> {
        self.read(EXPORTED).await
    }

    /// Keeps what was exported, in place of what was exported before.
    pub(crate) async fn keep_exported(&self, record: &ExportedRecord) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(EXPORTED, record.encode_to_vec());
        self.events.commit(batch, Vec::new()).await
    }

    /// Makes a checked credential the current one, as somebody asked for. `former` is the one in use until now; what was raised
    /// for it ends.
    pub(crate) async fn adopt(
        &self,
        record: &CredentialRecord,
        holder: &Holder<'_>,
        former: Option<&Holder<'_>>,
        (kind, by): (EventKind, &str),
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
        let exported = self.exported().await?.and_then(|exported| exported.request);
        // An enrolment with another token is not outrun: a server that is to move renews until then.
        let still_open =
            matches!(&exported, Some(Exported::Enrollment(other)) if other.token != record.token);
        if !still_open {
            batch.delete(EXPORTED);
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
        let event =
            Event::new(kind).by(by).about(holder.serial, holder.node).until(holder.validity.not_after);
        self.events.commit(batch, vec![event]).await?;
        *self.unkept_problem() = None;
        Ok(())
    }

    /// Replaces issuers and anchors of the current credential, if its record is still `former`.
    pub(crate) async fn replace_trust(
        &self,
        former: &CredentialRecord,
        record: &CredentialRecord,
        holder: &Holder<'_>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.expect(CREDENTIAL, Some(former.encode_to_vec())).put(CREDENTIAL, record.encode_to_vec());
        let event = Event::new(EventKind::TrustChanged).about(holder.serial, holder.node);
        self.events.commit(batch, vec![event]).await
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
