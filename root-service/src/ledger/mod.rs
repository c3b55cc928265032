//! The ledger: nodes, certificates, tokens and events. The only user of the store; it knows the records, the store
//! knows bytes. Every change and its event are one durable commit.

mod audit;
mod authorities;
mod entitlement;
mod expiry;
mod fleet;
mod record;
mod revocation;

use std::{sync::Arc, time::SystemTime};

use licensor::{
    clock::from_unix_seconds,
    config::Expiry,
    error::Result,
    event::{Event, EventLog},
    expiry::Validity,
    key::sha256,
    page::{page_start, page_token},
    store::{Batch, SharedStore, Snapshot, StoreError},
};
use prost::Message;
use verifier::certificate;

pub(crate) use authorities::Change;
pub(crate) use entitlement::Signed;
pub(crate) use fleet::Worth;
use record::AuthorityCertificateRecord;
pub(crate) use record::{
    AuditState, AuthoritiesRecord, CertificateRecord, Current, EntitlementRecord, GenerationRecord,
    NodeRecord, PendingRecord, RevocationListRecord, RevocationRecord, Standing, TokenRecord, TokenStanding,
    UpstreamKind, UpstreamRecord,
};

const NODE: &str = "node/";
const CERTIFICATE: &str = "certificate/";
const AUTHORITY_CERTIFICATE: &str = "authority-certificate/";
const TOKEN: &str = "token/";

/// Certificates of a node among which the successor of an older one is looked for.
const LOOKED_BACK: usize = 100;

/// A record together with the bytes that it was read from: a change expects them to be still there.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<R> {
    pub(crate) record: R,
    bytes: Vec<u8>,
}

impl<R> Versioned<R> {
    /// Another record in the place of this one.
    pub(crate) fn with(&self, record: R) -> Self {
        Self { record, bytes: self.bytes.clone() }
    }
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

    /// Everything as it is now.
    pub(crate) async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.snapshot().await
    }

    pub(crate) async fn node(&self, name: &str) -> Result<Option<Versioned<NodeRecord>>, StoreError> {
        self.read(&key(NODE, name)).await
    }

    pub(crate) async fn certificate(&self, serial: &str) -> Result<Option<CertificateRecord>, StoreError> {
        Ok(self.read(&serial_key(CERTIFICATE, serial)).await?.map(|versioned| versioned.record))
    }

    /// The certificate with this serial number, or the one that was issued with the certificate of a root's authority that
    /// has it.
    pub(crate) async fn certificate_named(
        &self,
        serial: &str,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        if let Some(certificate) = self.certificate(serial).await? {
            return Ok(Some(certificate));
        }
        let key = serial_key(AUTHORITY_CERTIFICATE, serial);
        match self.read::<AuthorityCertificateRecord>(&key).await? {
            Some(found) => self.certificate(&found.record.serial).await,
            None => Ok(None),
        }
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
        if let Ok(authority) = verifier::Certificate::parse(&certificate.authority) {
            let record = AuthorityCertificateRecord { serial: certificate.serial.clone() };
            batch.add(serial_key(AUTHORITY_CERTIFICATE, &authority.serial), record.encode_to_vec());
        }
        let look_at = former_node.map_or(0, |node| node.record.look_at);
        let look_at = self.watch_node(&mut batch, &node.name, look_at, validity(certificate), now);
        // Whatever was raised for the former certificate ends.
        if let Some(former) = former_node.map(|node| &node.record.current)
            && former.warned
        {
            self.events.end(&mut batch, &expiry::topic(&former.serial));
        }
        let digest = sha256(&certificate.licensor);
        let current = Current {
            serial: certificate.serial.clone(),
            digest: digest.to_vec(),
            issued_at: certificate.issued_at,
            warned: false,
            revoked: false,
            not_after: certificate.not_after,
        };
        let node_key = key(NODE, &node.name);
        // As it was read: of two renewals one wins, and none gets past a warning that is just being raised.
        batch.expect(node_key.clone(), former_node.map(|node| node.bytes.clone()));
        batch.put(node_key, NodeRecord { current, look_at, ..node }.encode_to_vec());
        let logged = if certificate.authority.is_empty() { digest } else { sha256(certificate.logged()) };
        self.events.commit(batch, vec![event.of_certificate(logged)]).await
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

/// The octets of a serial number; those of the text itself if it is none, which then stands for nothing.
fn octets(serial: &str) -> Vec<u8> {
    certificate::octets(serial).unwrap_or_else(|| serial.as_bytes().to_vec())
}

/// Validity of a recorded certificate.
pub(crate) fn validity(certificate: &CertificateRecord) -> Validity {
    Validity {
        not_before: from_unix_seconds(certificate.not_before),
        issued_at: from_unix_seconds(certificate.issued_at),
        not_after: from_unix_seconds(certificate.not_after),
    }
}
