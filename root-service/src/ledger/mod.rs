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
    key::sha256,
    page::{page_start, page_token},
    store::{Batch, SharedStore, StoreError},
};
use prost::Message;
use verifier::certificate::{self, hex};

pub(crate) use record::{
    AuthorityRecord, CertificateRecord, Current, DueRecord, NodeRecord, TokenRecord, TokenStanding,
};

const NODE: &str = "node/";
const CERTIFICATE: &str = "certificate/";
const TOKEN: &str = "token/";
const DUE: &str = "due/";
const AUTHORITY: &str = "authority/";

/// Certificates of a node among which the successor of an older one is looked for.
const LOOKED_BACK: usize = 100;

/// A record together with the bytes that it was read from: a change expects them to be still there.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<R> {
    pub(crate) record: R,
    bytes: Vec<u8>,
}

/// A certificate that is to become the newest of its node.
#[derive(Debug)]
pub(crate) struct Issuance<'a> {
    pub(crate) certificate: &'a CertificateRecord,
    /// The node as it was read; `None` if it is new.
    pub(crate) former_node: Option<&'a Versioned<NodeRecord>>,
    pub(crate) event: Event,
    /// The instant of issue.
    pub(crate) now: SystemTime,
}

/// A certificate whose end is watched.
#[derive(Debug)]
struct Watched {
    validity: Validity,
    /// Its holder; `None` for the authority itself.
    node: Option<Versioned<NodeRecord>>,
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
        Ok(self.read(&serial_key(CERTIFICATE, serial)).await?.map(|versioned| versioned.record))
    }

    pub(crate) async fn token(&self, id: &str) -> Result<Option<Versioned<TokenRecord>>, StoreError> {
        self.read(&key(TOKEN, id)).await
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
        node: NodeRecord,
        issuance: Issuance<'_>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let used = TokenRecord { serial: issuance.certificate.serial.clone(), ..token.record.clone() };
        put_over(&mut batch, key(TOKEN, &used.id), token, &used);
        self.issue(batch, node, issuance).await
    }

    /// Keeps the successor of the newest certificate of a node.
    pub(crate) async fn renew(&self, node: NodeRecord, issuance: Issuance<'_>) -> Result<(), StoreError> {
        self.issue(Batch::new(), node, issuance).await
    }

    async fn issue(
        &self,
        mut batch: Batch,
        node: NodeRecord,
        issuance: Issuance<'_>,
    ) -> Result<(), StoreError> {
        let Issuance { certificate, former_node, event, now } = issuance;
        batch.add(serial_key(CERTIFICATE, &certificate.serial), certificate.encode_to_vec());
        self.watch_end(&mut batch, &certificate.serial, validity(certificate), now);
        // Whatever was raised for the former certificate ends.
        if let Some(former) = former_node.map(|node| &node.record.current)
            && former.warned
        {
            self.events.end(&mut batch, &expiry_topic(&former.serial));
        }
        let current = Current {
            serial: certificate.serial.clone(),
            digest: sha256(&certificate.licensor).to_vec(),
            issued_at: certificate.issued_at,
            warned: false,
        };
        let node_key = key(NODE, &node.name);
        // As it was read: of two renewals one wins, and none gets past a warning that is just being raised.
        batch.expect(node_key.clone(), former_node.map(|node| node.bytes.clone()));
        batch.put(node_key, NodeRecord { current, ..node }.encode_to_vec());
        self.events.commit(batch, vec![event]).await
    }

    /// Adds the next warning of a certificate's end to what is due.
    fn watch_end(&self, batch: &mut Batch, serial: &str, validity: Validity, now: SystemTime) {
        if let Some(next) = Warnings::of(&validity, &self.expiry).next(now) {
            let due = DueRecord { serial: octets(serial) };
            batch.add(due_key(next, &due.serial), due.encode_to_vec());
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
        let serial = DueRecord::decode(&*value).map(|due| hex(&due.serial)).unwrap_or_default();
        let Some(watched) = self.watched(&serial).await? else {
            return self.events.commit(batch, Vec::new()).await;
        };
        self.watch_end(&mut batch, &serial, watched.validity, now);
        let event = Warnings::of(&watched.validity, &self.expiry).due(now).map(|kind| {
            let holder = watched.node.as_ref().map_or("", |node| &node.record.name);
            let event = Event::new(kind).about(&serial, holder).until(watched.validity.not_after);
            let event =
                if holder.is_empty() { event.argument("holder", "this root's authority") } else { event };
            event.active_for(expiry_topic(&serial))
        });
        // A renewal that came meanwhile leaves nothing to warn of.
        if let Some(node) = watched.node.filter(|_| event.is_some()) {
            let current = Current { warned: true, ..node.record.current.clone() };
            let warned = NodeRecord { current, ..node.record.clone() };
            put_over(&mut batch, key(NODE, &node.record.name), &node, &warned);
        }
        self.events.commit(batch, event.into_iter().collect()).await
    }

    /// The certificate with this serial number, unless it has a successor.
    async fn watched(&self, serial: &str) -> Result<Option<Watched>, StoreError> {
        if let Some(certificate) = self.certificate(serial).await? {
            let node = self.node(&certificate.node).await?;
            return Ok(node
                .filter(|node| node.record.current.serial == serial)
                .map(|node| Watched { validity: validity(&certificate), node: Some(node) }));
        }
        let authority = self.read::<AuthorityRecord>(&key(AUTHORITY, serial)).await?;
        Ok(authority.map(|Versioned { record, .. }| {
            let issued_at = from_unix_seconds(record.issued_at);
            let validity =
                Validity { not_before: issued_at, issued_at, not_after: from_unix_seconds(record.not_after) };
            Watched { validity, node: None }
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

    /// The certificate of a node that superseded the one with this serial number. Only a lost answer is asked for again,
    /// and that soon: what lies far back is not looked for.
    pub(crate) async fn successor(
        &self,
        node: &NodeRecord,
        serial: &str,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        let mut next = node.current.serial.clone();
        for _ in 0..LOOKED_BACK {
            match self.certificate(&next).await? {
                Some(certificate) if certificate.former == serial => return Ok(Some(certificate)),
                Some(certificate) => next = certificate.former,
                None => break,
            }
        }
        Ok(None)
    }

    /// Certificates of one node, from the newest on.
    pub(crate) async fn certificates_of(
        &self,
        node: &str,
        token: &str,
        limit: usize,
    ) -> Result<Page<CertificateRecord>> {
        let mut next = match token {
            "" => self.node(node).await?.map(|node| node.record.current.serial).unwrap_or_default(),
            token => String::from_utf8_lossy(&page_start(token)?).into_owned(),
        };
        let mut certificates = Vec::new();
        while !next.is_empty() && certificates.len() < limit {
            // What the token of a page names may be anything.
            let certificate = self.certificate(&next).await?.filter(|certificate| certificate.node == node);
            next = certificate.as_ref().map(|certificate| certificate.former.clone()).unwrap_or_default();
            certificates.extend(certificate);
        }
        let next = if next.is_empty() { String::new() } else { page_token(next.as_bytes()) };
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

/// Keys are short, and so cheap to the store: octets instead of digits, and as many as tell two apart.
fn serial_key(prefix: &str, serial: &str) -> Vec<u8> {
    [prefix.as_bytes(), &octets(serial)].concat()
}

fn due_key(at: SystemTime, serial: &[u8]) -> Vec<u8> {
    // Rounded up: when the key is due, so is the warning.
    let seconds = unix_seconds(at + Duration::from_nanos(999_999_999));
    let mut key = DUE.as_bytes().to_vec();
    key.extend(u64::try_from(seconds).unwrap_or_default().to_be_bytes());
    // The last octets of a serial number are random.
    key.extend(&serial[serial.len().saturating_sub(8)..]);
    key
}

/// The octets of a serial number; those of the text itself if it is none, which then stands for nothing.
fn octets(serial: &str) -> Vec<u8> {
    certificate::octets(serial).unwrap_or_else(|| serial.as_bytes().to_vec())
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
