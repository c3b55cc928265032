//! The ledger of a licensing server: its credential, what it raised, what it issued. The only user of the store.

use std::{sync::Arc, time::SystemTime};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    config::Expiry,
    error::Result,
    event::{Event, EventKind, EventLog},
    expiry::Warnings,
    store::{Batch, SharedStore, StoreError},
};
use prost::Message;

use crate::credential::Credential;

const CREDENTIAL: &[u8] = b"credential/current";
const PENDING: &[u8] = b"credential/pending";
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

/// Keys that a root may have certified already, though no answer came: only with these the answer can be had again.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PendingRecord {
    /// What they were made for: `renew/<serial>` or `enroll/<token id>`.
    #[prost(string, tag = "1")]
    pub(crate) purpose: String,
    #[prost(message, required, tag = "2")]
    pub(crate) keys: KeyNames,
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
}

/// A licence that was issued. Key: `license/<exp, big-endian><jti>`.
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
}

impl Ledger {
    pub(crate) fn new(store: SharedStore, events: Arc<EventLog>, expiry: Expiry) -> Self {
        Self { store, events, expiry }
    }

    pub(crate) fn events(&self) -> &Arc<EventLog> {
        &self.events
    }

    pub(crate) async fn credential(&self) -> Result<Option<CredentialRecord>, StoreError> {
        self.read(CREDENTIAL).await
    }

    pub(crate) async fn pending(&self) -> Result<Option<PendingRecord>, StoreError> {
        self.read(PENDING).await
    }

    pub(crate) async fn renewal(&self) -> Result<RenewalRecord, StoreError> {
        Ok(self.read(RENEWAL).await?.unwrap_or_default())
    }

    /// Keeps the names of keys before anything is asked for with them.
    pub(crate) async fn begin(&self, pending: &PendingRecord) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(PENDING, pending.encode_to_vec());
        self.events.commit(batch, Vec::new()).await
    }

    /// Makes a checked credential the current one. `former` is the one in use until now; what was raised for it ends.
    pub(crate) async fn adopt(
        &self,
        record: &CredentialRecord,
        credential: &Credential,
        former: Option<&Credential>,
        kind: EventKind,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(CREDENTIAL, record.encode_to_vec()).delete(PENDING);
        let mut renewal = self.renewal().await?;
        if !renewal.error.is_empty() {
            self.events.end(&mut batch, RENEWAL_TOPIC);
        }
        if kind == EventKind::CertificateRenewed {
            renewal.succeeded_at = unix_seconds(now);
        }
        renewal.error.clear();
        renewal.reason.clear();
        batch.put(RENEWAL, renewal.encode_to_vec());
        if let Some(former) = former
            && Warnings::of(&former.validity, &self.expiry).due(now).is_some()
        {
            self.events.end(&mut batch, &expiry_topic(&former.facts.serial));
        }
        let event = Event::new(kind)
            .about(&credential.facts.serial, credential.node())
            .until(credential.validity.not_after);
        self.events.commit(batch, vec![event]).await
    }

    /// Keeps why an attempt to renew failed. Of failures in a row that have the same reason, the first is an event.
    pub(crate) async fn renewal_failed(
        &self,
        credential: &Credential,
        reason: &str,
        problem: &str,
    ) -> Result<(), StoreError> {
        let former = self.renewal().await?;
        let mut batch = Batch::new();
        let record = RenewalRecord { error: problem.to_owned(), reason: reason.to_owned(), ..former.clone() };
        batch.put(RENEWAL, record.encode_to_vec());
        let event = (former.reason != reason).then(|| {
            Event::new(EventKind::RenewalFailed)
                .about(&credential.facts.serial, credential.node())
                .argument("reason", reason)
                .argument("problem", problem)
                .active_for(RENEWAL_TOPIC.to_owned())
        });
        self.events.commit(batch, event.into_iter().collect()).await
    }

    /// Raises the warning that is due for the credential at `now`, if it was not raised yet.
    pub(crate) async fn raise_due(&self, credential: &Credential, now: SystemTime) -> Result<(), StoreError> {
        let Some(kind) = Warnings::of(&credential.validity, &self.expiry).due(now) else { return Ok(()) };
        let serial = &credential.facts.serial;
        let key = [RAISED.as_bytes(), serial.as_bytes()].concat();
        let raised = self.store.get(&key).await?;
        // The ids 16, 17, 18 rise with the severity.
        if raised.as_ref().is_some_and(|raised| raised.first().is_some_and(|id| u32::from(*id) >= kind.id()))
        {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.expect(key.clone(), raised).put(key, vec![u8::try_from(kind.id()).unwrap_or(u8::MAX)]);
        let event = Event::new(kind)
            .about(serial, credential.node())
            .until(credential.validity.not_after)
            .active_for(expiry_topic(serial));
        match self.events.commit(batch, vec![event]).await {
            // Another replica raised it.
            Err(StoreError::Conflict { .. }) => Ok(()),
            result => result,
        }
    }

    /// Keeps whether the service issues, with an event if that has changed. A server that never was enrolled is not
    /// said to be disabled.
    pub(crate) async fn note_enabled(
        &self,
        problem: Option<&str>,
        node: &str,
        serial: &str,
    ) -> Result<(), StoreError> {
        let former = self.store.get(ENABLED).await?;
        let enabled = [u8::from(problem.is_none())];
        if former.as_deref() == Some(&enabled[..]) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.expect(ENABLED, former.clone()).put(ENABLED, enabled);
        let event = match problem {
            None => {
                self.events.end(&mut batch, DISABLED_TOPIC);
                Event::new(EventKind::ServiceEnabled).about(serial, node)
            }
            Some(problem) => Event::new(EventKind::ServiceDisabled)
                .about(serial, node)
                .argument("problem", problem)
                .active_for(DISABLED_TOPIC.to_owned()),
        };
        match self.events.commit(batch, vec![event]).await {
            Err(StoreError::Conflict { .. }) => Ok(()),
            result => result,
        }
    }

    /// Keeps a licence.
    pub(crate) async fn add_license(&self, license: &LicenseRecord) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let key = license_key(license.expires_at, &license.id);
        batch.expect(key.clone(), None).put(key, license.encode_to_vec());
        self.store.commit(batch).await.map(|_| ())
    }

    /// Drops licences that expired before `now`.
    pub(crate) async fn cull_licenses(&self, now: SystemTime) -> Result<(), StoreError> {
        let end = license_key(unix_seconds(now), "");
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
        let Some(bytes) = self.store.get(key).await? else { return Ok(None) };
        R::decode(&*bytes).map(Some).map_err(|error| StoreError::Damaged {
            path: "the ledger".into(),
            cause: format!("a record: {error}"),
        })
    }
}

const RENEWAL_TOPIC: &str = "renewal";
const DISABLED_TOPIC: &str = "disabled";

fn expiry_topic(serial: &str) -> String {
    format!("expiry/{serial}")
}

fn license_key(expires_at: i64, id: &str) -> Vec<u8> {
    let mut key = LICENSE.to_vec();
    key.extend(u64::try_from(expires_at).unwrap_or_default().to_be_bytes());
    key.extend(id.as_bytes());
    key
}

impl RenewalRecord {
    /// When a renewal last succeeded.
    pub(crate) fn succeeded(&self) -> Option<SystemTime> {
        (self.succeeded_at != 0).then(|| from_unix_seconds(self.succeeded_at))
    }
}
