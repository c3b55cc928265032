//! The record of the root's own authorities: changed as a whole, each time with its events.
//!
//! Certificates are records of their own, under their digests: the record has digests in their place, and stays small
//! however many there are.

use licensor::{
    event::Event,
    expiry::Validity,
    key::sha256,
    store::{Batch, StoreError},
};
use prost::Message;

use super::{
    AuthoritiesRecord, CertificateRecord, GenerationRecord, Ledger, NODE, NodeRecord, UpstreamRecord,
    Versioned, decode, expiry,
};

const AUTHORITIES: &[u8] = b"authorities";
const OWN_CERTIFICATE: &[u8] = b"own-certificate/";
/// Nodes read from the store at once.
const PAGE: usize = 1000;

/// A change of the authorities.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) record: AuthoritiesRecord,
    /// Validity of the certificate that issues from now on.
    pub(crate) validity: Option<Validity>,
    pub(crate) events: Vec<Event>,
}

impl Ledger {
    pub(crate) async fn authorities(&self) -> Result<Option<Versioned<AuthoritiesRecord>>, StoreError> {
        let Some(mut read) = self.read::<AuthoritiesRecord>(AUTHORITIES).await? else { return Ok(None) };
        for certificate in certificates(&mut read.record) {
            if !certificate.is_empty() {
                let der = self.store.get(&[OWN_CERTIFICATE, certificate].concat()).await?;
                *certificate = der.ok_or_else(|| StoreError::Damaged {
                    path: "the ledger".into(),
                    cause: "a certificate of the authority is missing".into(),
                })?;
            }
        }
        Ok(Some(read))
    }

    /// Changes the authorities, which are as they were read. If another certificate is watched from now on, what was raised
    /// of the former one ends.
    pub(crate) async fn change_authorities(
        &self,
        former: Option<&Versioned<AuthoritiesRecord>>,
        change: Change,
    ) -> Result<Versioned<AuthoritiesRecord>, StoreError> {
        let Change { record, validity, events } = change;
        let mut batch = Batch::new();
        let mut brief = record.clone();
        for certificate in certificates(&mut brief) {
            if !certificate.is_empty() {
                let digest = sha256(certificate).to_vec();
                batch.put([OWN_CERTIFICATE, &digest].concat(), std::mem::replace(certificate, digest));
            }
        }
        let bytes = brief.encode_to_vec();
        // What nothing names any more.
        let mut replaced = match former {
            Some(former) => decode::<AuthoritiesRecord>(&former.bytes)?,
            None => AuthoritiesRecord::default(),
        };
        let kept: Vec<Vec<u8>> = certificates(&mut brief).map(|digest| digest.clone()).collect();
        for digest in certificates(&mut replaced).filter(|digest| !kept.contains(digest)) {
            batch.delete([OWN_CERTIFICATE, digest].concat());
        }
        batch.expect(AUTHORITIES, former.map(|former| former.bytes.clone()));
        batch.put(AUTHORITIES, bytes.clone());
        let watched = former.map(|former| former.record.watched.as_str()).unwrap_or_default();
        if record.watched != watched {
            if !watched.is_empty() {
                self.events.end(&mut batch, &expiry::topic(watched));
            }
            if let Some(validity) = validity {
                self.watch_authority(&mut batch, &record.watched, validity).await?;
            }
        }
        self.events.commit(batch, events).await?;
        Ok(Versioned { record, bytes })
    }

    /// Nodes whose newest certificate is neither revoked nor expired at `now` (seconds since 1970), and `wanted`: how many,
    /// and the names of the first few.
    pub(crate) async fn nodes_with(
        &self,
        now: i64,
        wanted: impl Fn(&NodeRecord, &CertificateRecord) -> bool,
    ) -> Result<(usize, Vec<String>), StoreError> {
        const NAMED: usize = 20;
        let (mut count, mut names) = (0, Vec::new());
        let mut from = NODE.as_bytes().to_vec();
        loop {
            let page = self.store.scan(NODE.as_bytes(), &from, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok((count, names)) };
            from = [last.as_slice(), &[0]].concat();
            for (_, value) in &page {
                let node: NodeRecord = decode(value)?;
                if node.current.revoked {
                    continue;
                }
                let certificate = self.certificate(&node.current.serial).await?;
                if certificate.is_some_and(|held| held.not_after > now && wanted(&node, &held)) {
                    count += 1;
                    if names.len() < NAMED {
                        names.push(node.name);
                    }
                }
            }
        }
    }
}

/// Every certificate in a record.
fn certificates(record: &mut AuthoritiesRecord) -> impl Iterator<Item = &mut Vec<u8>> {
    let AuthoritiesRecord { generations, upstream, .. } = record;
    let of_generations = generations.iter_mut().flat_map(|generation| {
        let GenerationRecord { certificate, issuers, anchors, .. } = generation;
        std::iter::once(certificate).chain(issuers).chain(anchors)
    });
    let UpstreamRecord { identity, issuers, anchors, .. } = upstream;
    of_generations.chain(std::iter::once(identity)).chain(issuers).chain(anchors)
}
