//! What the ledger stores: protobuf messages, so that a release reads what an older one wrote. Tags are never reused.

use std::time::SystemTime;

use licensor::clock::from_unix_seconds;
use prost::Message;

/// A licensing server. Key: `node/<name>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeRecord {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) owner: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) dns_names: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) ip_addresses: Vec<String>,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) enrolled_at: i64,
    /// Its newest certificate; all others of this node are superseded.
    #[prost(message, required, tag = "6")]
    pub(crate) current: Current,
    /// When it was decommissioned, seconds since 1970; 0: it was not.
    #[prost(int64, tag = "8")]
    pub(crate) decommissioned_at: i64,
    /// When to look whether a warning is due, seconds since 1970: the time in the key of its [`DueRecord`]. 0: never.
    #[prost(int64, tag = "7")]
    pub(crate) look_at: i64,
}

/// The newest certificate of a node.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Current {
    /// Lower-case hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
    /// SHA-256 of the licensor certificate (DER).
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) digest: Vec<u8>,
    /// Seconds since 1970.
    #[prost(int64, tag = "3")]
    pub(crate) issued_at: i64,
    /// Whether a warning of its end was raised.
    #[prost(bool, tag = "4")]
    pub(crate) warned: bool,
    #[prost(bool, tag = "5")]
    pub(crate) revoked: bool,
}

/// A certificate that was issued; never changed. Key: `certificate/<octets of the serial>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CertificateRecord {
    /// Lower-case hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
    #[prost(string, tag = "2")]
    pub(crate) node: String,
    /// DER.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) licensor: Vec<u8>,
    /// DER; empty if none was asked for.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) server: Vec<u8>,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "6")]
    pub(crate) not_after: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "7")]
    pub(crate) issued_at: i64,
    /// Lower-case hexadecimal.
    #[prost(string, tag = "8")]
    pub(crate) issuer_key_id: String,
    /// SHA-256 over the digests of the public keys that were asked for.
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) keys_digest: Vec<u8>,
    /// Serial number of the certificate of the same node that this one superseded; empty for the first.
    #[prost(string, tag = "10")]
    pub(crate) former: String,
}

/// A certificate that was revoked, with the server certificate of its time. Key: `revocation/<octets of the issuer's key
/// identifier>/<octets of the serial>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevocationRecord {
    /// Lower-case hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
    /// Lower-case hexadecimal; empty if there was none.
    #[prost(string, tag = "2")]
    pub(crate) server_serial: String,
    /// Lower-case hexadecimal.
    #[prost(string, tag = "3")]
    pub(crate) issuer_key_id: String,
    /// `CRLReason` (RFC 5280 §5.3.1).
    #[prost(uint32, tag = "4")]
    pub(crate) reason: u32,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) revoked_at: i64,
    /// notAfter of the later of the two certificates, seconds since 1970.
    #[prost(int64, tag = "6")]
    pub(crate) not_after: i64,
}

/// The newest revocation list of an authority. Key: `revocation-list/<octets of the key identifier>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevocationListRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// Seconds since 1970.
    #[prost(int64, tag = "2")]
    pub(crate) this_update: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "3")]
    pub(crate) next_update: i64,
    /// SHA-256 of the list (DER).
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) digest: Vec<u8>,
}

/// How far the tree over the log of events has come. Key: `audit-state`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuditState {
    /// Entries in the tree.
    #[prost(uint64, tag = "1")]
    pub(crate) size: u64,
    /// The signed checkpoint.
    #[prost(string, tag = "2")]
    pub(crate) checkpoint: String,
}

/// An enrolment token without its secret. Key: `token/<id>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TokenRecord {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    /// SHA-256.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) secret_hash: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) node: String,
    #[prost(string, tag = "4")]
    pub(crate) owner: String,
    #[prost(string, repeated, tag = "5")]
    pub(crate) dns_names: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    pub(crate) ip_addresses: Vec<String>,
    /// Seconds since 1970.
    #[prost(int64, tag = "7")]
    pub(crate) created_at: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "8")]
    pub(crate) expires_at: i64,
    /// Serial number of the certificate that it was used for; empty while unused.
    #[prost(string, tag = "9")]
    pub(crate) serial: String,
    #[prost(bool, tag = "10")]
    pub(crate) revoked: bool,
    /// Somebody tried it with another key after it was used.
    #[prost(bool, tag = "11")]
    pub(crate) misused: bool,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenStanding {
    Unused,
    Used,
    Expired,
    Revoked,
}

impl TokenRecord {
    /// What the token is good for at `now`.
    pub(crate) fn standing(&self, now: SystemTime) -> TokenStanding {
        if self.revoked {
            TokenStanding::Revoked
        } else if !self.serial.is_empty() {
            TokenStanding::Used
        } else if now >= from_unix_seconds(self.expires_at) {
            TokenStanding::Expired
        } else {
            TokenStanding::Unused
        }
    }
}

/// Whose certificate is to be looked at when the time has come. Key: `due/<seconds since 1970, big-endian><name of the
/// node, or serial number of the authority's certificate>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DueRecord {
    /// Octets of the serial number of whatever certificate: what older releases wrote, under other keys.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) serial: Vec<u8>,
    #[prost(oneof = "Watched", tags = "2, 3")]
    pub(crate) watched: Option<Watched>,
}

/// Whose certificate is watched.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Watched {
    /// The newest of the node with this name.
    #[prost(string, tag = "2")]
    Node(String),
    /// The authority's own certificate with this serial number.
    #[prost(string, tag = "3")]
    Authority(String),
}

/// The certificate of the authority itself, whose end is watched like any other. Key: `authority/<serial>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuthorityRecord {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    pub(crate) issued_at: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "2")]
    pub(crate) not_after: i64,
}
