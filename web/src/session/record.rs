//! Links and sessions as they are stored.

use prost::Message;

/// Key: `web/link/<SHA-256 of the secret>`.
pub(super) const LINK: &[u8] = b"web/link/";
/// Key: `web/session/<SHA-256 of the secret>`.
pub(super) const SESSION: &[u8] = b"web/session/";

/// A link that signs a local administrator in.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LinkRecord {
    #[prost(uint32, tag = "1")]
    pub(super) uid: u32,
    /// Seconds since 1970.
    #[prost(int64, tag = "2")]
    pub(super) expires_at: i64,
    /// Seconds since 1970; 0 if it was not used.
    #[prost(int64, tag = "3")]
    pub(super) used_at: i64,
    /// That it was used again has been told.
    #[prost(bool, tag = "4")]
    pub(super) told: bool,
}

/// Somebody who is signed in.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionRecord {
    #[prost(string, tag = "1")]
    pub(super) person: String,
    /// 0: viewer, 1: administrator.
    #[prost(uint32, tag = "2")]
    pub(super) role: u32,
    #[prost(uint32, optional, tag = "3")]
    pub(super) uid: Option<u32>,
    #[prost(string, tag = "4")]
    pub(super) form_token: String,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(super) expires_at: i64,
    /// The rules by which an identity provider's word gave the person a role; empty for a local user.
    #[prost(bytes = "vec", tag = "6")]
    pub(super) rules: Vec<u8>,
}

/// Whether a key of the store is that of a link or a session: what stands for somebody who is signed in now, and is of no use
/// to whom restores a backup.
#[must_use]
pub fn is_of_session(key: &[u8]) -> bool {
    key.starts_with(LINK) || key.starts_with(SESSION)
}

pub(super) fn key(prefix: &[u8], digest: &[u8; 32]) -> Vec<u8> {
    [prefix, digest].concat()
}
