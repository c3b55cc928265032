//! Access tokens in the ledger. A token's last use is a record of its own: it is written without its owner asking, and
//! must never stand in the way of a revocation.

use licensor::{
    event::Event,
    store::{Batch, StoreError},
};
use prost::Message;

use super::{Ledger, decode};

const TOKEN: &[u8] = b"access/token/";
const USED: &[u8] = b"access/used/";

/// An access token, without its secret. Key: `access/token/<id>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AccessTokenRecord {
    /// Eight octets.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    /// SHA-256 of the secret.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) secret_hash: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) owner: String,
    /// Names of permissions.
    #[prost(string, repeated, tag = "5")]
    pub(crate) allows: Vec<String>,
    #[prost(string, tag = "6")]
    pub(crate) created_by: String,
    /// Seconds since 1970.
    #[prost(int64, tag = "7")]
    pub(crate) created_at: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "8")]
    pub(crate) expires_at: i64,
    /// Seconds since 1970; 0 if it was not revoked.
    #[prost(int64, tag = "9")]
    pub(crate) revoked_at: i64,
}

/// When an access token was used. Key: `access/used/<id>`.
#[derive(Clone, PartialEq, Message)]
struct UseRecord {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    at: i64,
}

impl Ledger {
    /// Every access token, by id, with its last use (seconds since 1970; 0 if never).
    pub(crate) async fn access_tokens(&self) -> Result<Vec<(AccessTokenRecord, i64)>, StoreError> {
        let (mut tokens, mut next) = (Vec::new(), TOKEN.to_vec());
        loop {
            let page = self.store.scan(TOKEN, &next, 1000).await?;
            let Some((last, _)) = page.last() else { return Ok(tokens) };
            next = [last.as_slice(), &[0]].concat();
            for (_, value) in &page {
                let token: AccessTokenRecord = decode(value)?;
                let used: Option<UseRecord> = self.read(&key(USED, &token.id)).await?;
                tokens.push((token, used.map_or(0, |used| used.at)));
            }
        }
    }

    /// Keeps a new access token, in place of the one with the id `dropped`.
    pub(crate) async fn add_access_token(
        &self,
        token: &AccessTokenRecord,
        dropped: Option<&[u8]>,
        event: Event,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.add(key(TOKEN, &token.id), token.encode_to_vec());
        if let Some(id) = dropped {
            batch.delete(key(TOKEN, id)).delete(key(USED, id));
        }
        self.events.commit(batch, vec![event]).await
    }

    /// Keeps that an access token was revoked, if its record is still `former`.
    pub(crate) async fn revoke_access_token(
        &self,
        former: &AccessTokenRecord,
        at: i64,
        event: Event,
    ) -> Result<(), StoreError> {
        let key = key(TOKEN, &former.id);
        let record = AccessTokenRecord { revoked_at: at, ..former.clone() };
        let mut batch = Batch::new();
        batch.expect(key.clone(), Some(former.encode_to_vec())).put(key, record.encode_to_vec());
        self.events.commit(batch, vec![event]).await
    }

    /// Keeps when access tokens were used: id, and seconds since 1970.
    pub(crate) async fn note_access(&self, uses: &[(Vec<u8>, i64)]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for (id, at) in uses {
            batch.put(key(USED, id), UseRecord { at: *at }.encode_to_vec());
        }
        self.store.commit(batch).await.map(|_| ())
    }
}

fn key(prefix: &[u8], id: &[u8]) -> Vec<u8> {
    [prefix, id].concat()
}
