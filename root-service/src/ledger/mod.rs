//! The ledger: nodes, certificates, tokens and events. The only user of the store; it knows the records, the store
//! knows bytes. Every change and its event are one durable commit.

mod record;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    config::Expiry,
    error::Result,
    event::{Event, EventLog},
    expiry::{Validity, Warnings},
    page::{page_start, page_token},
    store::{Batch, SharedStore, StoreError},
};
use prost::Message;

pub(crate) use record::{
    AuthorityRecord, CertificateRecord, DueRecord, NodeRecord, StandingRecord, TokenRecord, TokenStanding,
};

const NODE: &str = "node/";
const CERTIFICATE: &str = "certificate/";
const NODE_CERTIFICATE: &str = "node-certificate/";
const CURRENT: &str = "current/";
const STANDING: &str = "standing/";
const RAISED: &str = "raised/";
const TOKEN: &str = "token/";
const DUE: &str = "due/";
const AUTHORITY: &str = "authority/";

/// A record together with the bytes that it was read from: a change expects them to be still there.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<R> {
    pub(crate) record: R,
    bytes: Vec<u8>,
}

/// A certificate that is to take the place of `former`, if there is one.
#[derive(Debug)]
pub(crate) struct Issuance<'a> {
    pub(crate) certificate: &'a CertificateRecord,
    pub(crate) former: Option<&'a CertificateRecord>,
    pub(crate) event: Event,
    /// The instant of issue.
    pub(crate) now: SystemTime,
}

/// A page of records, and the token of the next page.
pub(crate) type Page<R> = (Vec<R>, String);

/// The ledger of one root.
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

    pub(crate) async fn node(&self, name: &str) -> Result<Option<Versioned<NodeRecord>>, StoreError> {
        self.read(&key(NODE, name)).await
    }

    pub(crate) async fn certificate(&self, serial: &str) -> Result<Option<CertificateRecord>, StoreError> {
        Ok(self.read(&key(CERTIFICATE, serial)).await?.map(|versioned| versioned.record))
    }

    pub(crate) async fn standing(&self, serial: &str) -> Result<Option<StandingRecord>, StoreError> {
        Ok(self.read(&key(STANDING, serial)).await?.map(|versioned| versioned.record))
    }

    pub(crate) async fn token(&self, id: &str) -> Result<Option<Versioned<TokenRecord>>, StoreError> {
        self.read(&key(TOKEN, id)).await
    }

    /// The newest certificate of a node.
    pub(crate) async fn newest_of(&self, node: &str) -> Result<Option<CertificateRecord>, StoreError> {
        match self.store.get(&key(CURRENT, node)).await? {
            Some(serial) => self.certificate(&String::from_utf8_lossy(&serial)).await,
            None => Ok(None),
        }
    }

    /// Keeps a new token.
    pub(crate) async fn add_token(&self, token: &TokenRecord, event: Event) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let key = key(TOKEN, &token.id);
        batch.expect(key.clone(), None).put(key, token.encode_to_vec());
        self.events.commit(batch, vec![event]).await
    }

    /// Changes a token that is as it was read.
    pub(crate) async fn change_token(
        &self,
        token: &Versioned<TokenRecord>,
        changed: &TokenRecord,
        event: Event,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        put_over(&mut batch, key(TOKEN, &token.record.id), token, changed);
        self.events.commit(batch, vec![event]).await
    }

    /// Keeps the first certificate that a token was used for, with its node and the used token.
    pub(crate) async fn enroll(
        &self,
        token: &Versioned<TokenRecord>,
        node: &NodeRecord,
        former_node: Option<&Versioned<NodeRecord>>,
        issuance: Issuance<'_>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let used = TokenRecord { serial: issuance.certificate.serial.clone(), ..token.record.clone() };
        put_over(&mut batch, key(TOKEN, &used.id), token, &used);
        let node_key = key(NODE, &node.name);
        batch.expect(node_key.clone(), former_node.map(|node| node.bytes.clone()));
        batch.put(node_key, node.encode_to_vec());
        self.issue(batch, issuance).await
    }

    /// Keeps the successor of a certificate.
    pub(crate) async fn renew(&self, issuance: Issuance<'_>) -> Result<(), StoreError> {
        self.issue(Batch::new(), issuance).await
    }

    async fn issue(&self, mut batch: Batch, issuance: Issuance<'_>) -> Result<(), StoreError> {
        let Issuance { certificate, former, event, now } = issuance;
        let certificate_key = key(CERTIFICATE, &certificate.serial);
        batch.expect(certificate_key.clone(), None).put(certificate_key, certificate.encode_to_vec());
        batch.put(node_certificate_key(certificate, now), certificate.serial.as_bytes());
        let current_key = key(CURRENT, &certificate.node);
        batch.expect(current_key.clone(), former.map(|former| former.serial.as_bytes().to_vec()));
        batch.put(current_key, certificate.serial.as_bytes());
        self.watch_end(&mut batch, &certificate.serial, validity(certificate), now);
        if let Some(former) = former {
            let standing = StandingRecord {
                superseded_by: certificate.serial.clone(),
                superseded_at: certificate.issued_at,
            };
            batch.put(key(STANDING, &former.serial), standing.encode_to_vec());
            // Whatever was raised for the former certificate ends; what is about to be raised fails on its own expectation.
            let raised_key = key(RAISED, &former.serial);
            let raised = self.store.get(&raised_key).await?;
            if raised.is_some() {
                self.events.end(&mut batch, &expiry_topic(&former.serial));
            }
            batch.expect(raised_key, raised);
        }
        self.events.commit(batch, vec![event]).await
    }

    /// Adds the next warning of a certificate's end to what is due.
    fn watch_end(&self, batch: &mut Batch, serial: &str, validity: Validity, now: SystemTime) {
        if let Some(next) = Warnings::of(&validity, &self.expiry).next(now) {
            let due = DueRecord { serial: serial.to_owned() };
            batch.put(due_key(next, serial), due.encode_to_vec());
        }
    }

    /// Sees to it that the authority's own end is watched; once for each of its certificates.
    pub(crate) async fn watch_authority(
        &self,
        serial: &str,
        validity: Validity,
        event: Event,
    ) -> Result<(), StoreError> {
        let authority_key = key(AUTHORITY, serial);
        if self.store.get(&authority_key).await?.is_some() {
            return Ok(());
        }
        let record = AuthorityRecord {
            issued_at: unix_seconds(validity.issued_at),
            not_after: unix_seconds(validity.not_after),
        };
        let mut batch = Batch::new();
        batch.expect(authority_key.clone(), None).put(authority_key, record.encode_to_vec());
        self.watch_end(&mut batch, serial, validity, validity.issued_at);
        self.events.commit(batch, vec![event]).await
    }

    /// Raises every warning that is due at `now`, each with the removal of what was due in one commit: none is raised
    /// twice, whatever stops in between.
    pub(crate) async fn raise_due(&self, now: SystemTime) -> Result<(), StoreError> {
        let mut damaged = false;
        loop {
            let page = self.store.scan(DUE.as_bytes(), DUE.as_bytes(), 256).await?;
            let due: Vec<_> =
                page.into_iter().take_while(|(key, _)| due_at(key) <= unix_seconds(now)).collect();
            if due.is_empty() || damaged {
                return Ok(());
            }
            for (key, value) in due {
                match self.raise_one(key, value, now).await {
                    // A renewal came first: the next round looks again.
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error @ StoreError::Damaged { .. }) => {
                        tracing::error!(%error, "a warning cannot be raised: its record is damaged");
                        damaged = true;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn raise_one(&self, due_key: Vec<u8>, value: Vec<u8>, now: SystemTime) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.expect(due_key.clone(), Some(value.clone())).delete(due_key);
        let serial = DueRecord::decode(&*value).map(|due| due.serial).unwrap_or_default();
        let Some((validity, node)) = self.watched(&serial).await? else {
            return self.events.commit(batch, Vec::new()).await;
        };
        let standing_key = key(STANDING, &serial);
        if self.store.get(&standing_key).await?.is_some() {
            return self.events.commit(batch, Vec::new()).await;
        }
        batch.expect(standing_key, None);
        self.watch_end(&mut batch, &serial, validity, now);
        let event = Warnings::of(&validity, &self.expiry).due(now).map(|kind| {
            let event = Event::new(kind).about(&serial, &node).until(validity.not_after);
            let event =
                if node.is_empty() { event.argument("holder", "this root's authority") } else { event };
            event.active_for(expiry_topic(&serial))
        });
        if let Some(event) = &event {
            batch.put(key(RAISED, &serial), event.kind.id().to_be_bytes());
        }
        self.events.commit(batch, event.into_iter().collect()).await
    }

    async fn watched(&self, serial: &str) -> Result<Option<(Validity, String)>, StoreError> {
        if let Some(certificate) = self.certificate(serial).await? {
            return Ok(Some((validity(&certificate), certificate.node)));
        }
        let authority = self.read::<AuthorityRecord>(&key(AUTHORITY, serial)).await?;
        Ok(authority.map(|Versioned { record, .. }| {
            let issued_at = from_unix_seconds(record.issued_at);
            let validity =
                Validity { not_before: issued_at, issued_at, not_after: from_unix_seconds(record.not_after) };
            (validity, String::new())
        }))
    }

    /// The instant at which the next warning is due.
    pub(crate) async fn next_due(&self) -> Result<Option<SystemTime>, StoreError> {
        let first = self.store.scan(DUE.as_bytes(), DUE.as_bytes(), 1).await?;
        Ok(first.first().map(|(key, _)| from_unix_seconds(due_at(key))))
    }

    pub(crate) async fn nodes(&self, token: &str, limit: usize) -> Result<Page<NodeRecord>> {
        self.page(NODE.as_bytes(), token, limit).await
    }

    pub(crate) async fn tokens(&self, token: &str, limit: usize) -> Result<Page<TokenRecord>> {
        self.page(TOKEN.as_bytes(), token, limit).await
    }

    pub(crate) async fn certificates(&self, token: &str, limit: usize) -> Result<Page<CertificateRecord>> {
        self.page(CERTIFICATE.as_bytes(), token, limit).await
    }

    /// Certificates of one node, from the oldest on.
    pub(crate) async fn certificates_of(
        &self,
        node: &str,
        token: &str,
        limit: usize,
    ) -> Result<Page<CertificateRecord>> {
        let prefix = node_certificate_prefix(node);
        let (serials, next) = self.raw_page(&prefix, token, limit).await?;
        let mut certificates = Vec::with_capacity(serials.len());
        for serial in serials {
            certificates.extend(self.certificate(&String::from_utf8_lossy(&serial)).await?);
        }
        Ok((certificates, next))
    }

    /// How many nodes there are.
    pub(crate) async fn count_nodes(&self) -> Result<usize> {
        let mut token = String::new();
        let mut count = 0;
        loop {
            let (nodes, next) = self.raw_page(NODE.as_bytes(), &token, 1000).await?;
            count += nodes.len();
            if next.is_empty() {
                return Ok(count);
            }
            token = next;
        }
    }

    async fn page<R: Message + Default>(&self, prefix: &[u8], token: &str, limit: usize) -> Result<Page<R>> {
        let (values, next) = self.raw_page(prefix, token, limit).await?;
        let records = values.iter().map(|value| decode(value)).collect::<Result<_, StoreError>>()?;
        Ok((records, next))
    }

    async fn raw_page(&self, prefix: &[u8], token: &str, limit: usize) -> Result<(Vec<Vec<u8>>, String)> {
        let mut pairs = self.store.scan(prefix, &page_start(token)?, limit + 1).await?;
        let next = if pairs.len() > limit { pairs.pop().map(|(key, _)| page_token(&key)) } else { None };
        Ok((pairs.into_iter().map(|(_, value)| value).collect(), next.unwrap_or_default()))
    }

    async fn read<R: Message + Default>(&self, key: &[u8]) -> Result<Option<Versioned<R>>, StoreError> {
        match self.store.get(key).await? {
            Some(bytes) => Ok(Some(Versioned { record: decode(&bytes)?, bytes })),
            None => Ok(None),
        }
    }
}

fn decode<R: Message + Default>(bytes: &[u8]) -> Result<R, StoreError> {
    R::decode(bytes).map_err(|error| StoreError::Damaged {
        path: "the ledger".into(),
        cause: format!("a record: {error}"),
    })
}

fn put_over<R>(batch: &mut Batch, key: Vec<u8>, former: &Versioned<R>, record: &impl Message) {
    batch.expect(key.clone(), Some(former.bytes.clone())).put(key, record.encode_to_vec());
}

fn key(prefix: &str, name: &str) -> Vec<u8> {
    [prefix.as_bytes(), name.as_bytes()].concat()
}

fn node_certificate_prefix(node: &str) -> Vec<u8> {
    // Names have no slash, so no name's keys lie under another's.
    [NODE_CERTIFICATE.as_bytes(), node.as_bytes(), b"/"].concat()
}

fn node_certificate_key(certificate: &CertificateRecord, now: SystemTime) -> Vec<u8> {
    let nanoseconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut key = node_certificate_prefix(&certificate.node);
    key.extend(u64::try_from(nanoseconds).unwrap_or(u64::MAX).to_be_bytes());
    key.extend(certificate.serial.as_bytes());
    key
}

fn due_key(at: SystemTime, serial: &str) -> Vec<u8> {
    // Rounded up: when the key is due, so is the warning.
    let seconds = unix_seconds(at + Duration::from_nanos(999_999_999));
    let mut key = DUE.as_bytes().to_vec();
    key.extend(u64::try_from(seconds).unwrap_or_default().to_be_bytes());
    key.extend(serial.as_bytes());
    key
}

fn due_at(key: &[u8]) -> i64 {
    let octets =
        key.get(DUE.len()..DUE.len() + 8).and_then(|octets| octets.try_into().ok()).unwrap_or_default();
    i64::try_from(u64::from_be_bytes(octets)).unwrap_or(i64::MAX)
}

/// Validity of a recorded certificate.
pub(crate) fn validity(certificate: &CertificateRecord) -> Validity {
    Validity {
        not_before: from_unix_seconds(certificate.not_before),
        issued_at: from_unix_seconds(certificate.issued_at),
        not_after: from_unix_seconds(certificate.not_after),
    }
}

/// The warnings of one certificate are active until this ends.
fn expiry_topic(serial: &str) -> String {
    format!("expiry/{serial}")
}
