//! Revoked certificates, decommissioned nodes, and which revocation lists were published.

use licensor::{
    event::Event,
    store::{Batch, StoreError},
};
use prost::Message;

use super::{
    Current, Ledger, NODE, NodeRecord, RevocationListRecord, RevocationRecord, Versioned, decode, expiry,
    key, octets, put_over, serial_key,
};

const REVOCATION: &str = "revocation/";
const REVOCATION_LIST: &str = "revocation-list/";
/// Revocations read from the store at once.
const PAGE: usize = 1000;

impl Ledger {
    /// Keeps that certificates of a node are revoked, with what follows from it for the node, which is to be `changed`.
    pub(crate) async fn revoke(
        &self,
        node: &Versioned<NodeRecord>,
        mut changed: NodeRecord,
        revocations: &[RevocationRecord],
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for revocation in revocations {
            let key = revocation_key(&revocation.issuer_key_id, &revocation.serial);
            batch.expect(key.clone(), None).put(key, revocation.encode_to_vec());
            if changed.current.serial == revocation.serial {
                self.end_current(&mut batch, &mut changed);
            }
        }
        put_over(&mut batch, key(NODE, &changed.name), node, &changed);
        self.events.commit(batch, events).await
    }

    /// A revoked certificate is not warned of.
    fn end_current(&self, batch: &mut Batch, node: &mut NodeRecord) {
        if node.current.warned {
            self.events.end(batch, &expiry::topic(&node.current.serial));
        }
        self.watch_no_more(batch, node);
        node.current = Current { revoked: true, warned: false, ..std::mem::take(&mut node.current) };
    }

    pub(crate) async fn revocation(
        &self,
        issuer_key_id: &str,
        serial: &str,
    ) -> Result<Option<RevocationRecord>, StoreError> {
        let revocation = self.read(&revocation_key(issuer_key_id, serial)).await?;
        Ok(revocation.map(|versioned| versioned.record))
    }

    /// Every revocation of certificates of one issuer.
    pub(crate) async fn revocations(&self, issuer_key_id: &str) -> Result<Vec<RevocationRecord>, StoreError> {
        let prefix = revocation_key(issuer_key_id, "");
        let mut revocations: Vec<RevocationRecord> = Vec::new();
        let mut from = prefix.clone();
        loop {
            let page = self.store.scan(&prefix, &from, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(revocations) };
            from = [last.as_slice(), &[0]].concat();
            for (_, value) in &page {
                revocations.push(decode(value)?);
            }
        }
    }

    /// The newest list of an issuer.
    pub(crate) async fn revocation_list(
        &self,
        issuer_key_id: &str,
    ) -> Result<Option<Versioned<RevocationListRecord>>, StoreError> {
        self.read(&serial_key(REVOCATION_LIST, issuer_key_id)).await
    }

    /// Keeps which list is about to be published in the place of the one that was read.
    pub(crate) async fn add_revocation_list(
        &self,
        issuer_key_id: &str,
        former: Option<&Versioned<RevocationListRecord>>,
        list: &RevocationListRecord,
    ) -> Result<(), StoreError> {
        let key = serial_key(REVOCATION_LIST, issuer_key_id);
        let mut batch = Batch::new();
        batch.expect(key.clone(), former.map(|former| former.bytes.clone())).put(key, list.encode_to_vec());
        self.events.commit(batch, Vec::new()).await
    }
}

fn revocation_key(issuer_key_id: &str, serial: &str) -> Vec<u8> {
    [&serial_key(REVOCATION, issuer_key_id), b"/".as_slice(), &octets(serial)].concat()
}
