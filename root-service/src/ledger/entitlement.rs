//! Entitlements: the newest of each owner and vendor, and every one before it.

use licensor::{
    error::Result,
    event::Event,
    page::{page_start, page_token},
    store::{Batch, StoreError, blob},
};
use prost::Message;

use super::{EntitlementRecord, Ledger, Page, Versioned, decode};

const NEWEST: &[u8] = b"entitlement/";
const VERSION: &[u8] = b"entitlement-version/";
const TEXT: &[u8] = b"entitlement-text/";
/// Records read from the store at once.
const PAGE: usize = 100;

/// An entitlement that is to become the newest of its owner and vendor.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    /// Its record, without the digests of its texts.
    pub(crate) record: EntitlementRecord,
    /// The compact JWS.
    pub(crate) jws: &'a str,
    pub(crate) document: &'a str,
    pub(crate) event: Event,
}

impl Ledger {
    /// The newest entitlement of an owner and a vendor.
    pub(crate) async fn entitlement(
        &self,
        owner: &str,
        vendor: &str,
    ) -> Result<Option<Versioned<EntitlementRecord>>, StoreError> {
        self.read(&newest(owner, vendor)).await
    }

    /// Keeps an entitlement as the newest, in the place of `former`, which is as it was read.
    pub(crate) async fn put_entitlement(
        &self,
        former: Option<&Versioned<EntitlementRecord>>,
        signed: Signed<'_>,
    ) -> Result<EntitlementRecord, StoreError> {
        let Signed { mut record, jws, document, event } = signed;
        let mut batch = Batch::new();
        record.jws = blob::put_text(&mut batch, TEXT, jws.as_bytes()).to_vec();
        record.document = blob::put_text(&mut batch, TEXT, document.as_bytes()).to_vec();
        let key = newest(&record.owner, &record.vendor);
        let version = [&key[NEWEST.len()..], &[0], &record.version.to_be_bytes()].concat();
        batch.expect(key.clone(), former.map(|former| former.bytes.clone()));
        batch.put(key, record.encode_to_vec());
        batch.put([VERSION, &version].concat(), record.encode_to_vec());
        self.events.commit(batch, vec![event]).await?;
        Ok(record)
    }

    /// A text of an entitlement: its JWS, or its document.
    pub(crate) async fn entitlement_text(&self, digest: &[u8]) -> Result<String, StoreError> {
        let text = blob::get_text(&*self.store, TEXT, digest).await?;
        String::from_utf8(text).map_err(|_| StoreError::Damaged {
            path: "the ledger".into(),
            cause: "a text is not UTF-8".into(),
        })
    }

    /// The newest of every vendor for an owner, by vendor.
    pub(crate) async fn entitlements_of(&self, owner: &str) -> Result<Vec<EntitlementRecord>, StoreError> {
        let prefix = newest(owner, "");
        let (mut records, mut from) = (Vec::new(), prefix.clone());
        loop {
            let page = self.store.scan(&prefix, &from, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(records) };
            from = [last.as_slice(), &[0]].concat();
            for (_, value) in &page {
                records.push(decode(value)?);
            }
        }
    }

    /// The newest of each owner and vendor, or of one owner, each with its JWS; fewer than `limit` if they are long.
    pub(crate) async fn entitlements(
        &self,
        owner: &str,
        token: &str,
        limit: usize,
    ) -> Result<Page<(EntitlementRecord, String)>> {
        /// Octets of JWS after which a page ends.
        const FULL: usize = 1 << 20;
        let prefix = if owner.is_empty() { NEWEST.to_vec() } else { newest(owner, "") };
        let (mut page, mut octets) = (Vec::new(), 0);
        let mut from = page_start(token)?;
        loop {
            let records = self.store.scan(&prefix, &from, PAGE).await?;
            let Some((last, _)) = records.last() else { return Ok((page, String::new())) };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in records {
                if page.len() == limit || octets >= FULL {
                    return Ok((page, page_token(&key)));
                }
                let record: EntitlementRecord = decode(&value)?;
                let jws = self.entitlement_text(&record.jws).await?;
                octets += jws.len();
                page.push((record, jws));
            }
        }
    }
}

/// Neither an owner nor a vendor has control characters.
fn newest(owner: &str, vendor: &str) -> Vec<u8> {
    [NEWEST, owner.as_bytes(), &[0], vendor.as_bytes()].concat()
}
