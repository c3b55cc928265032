//! What the ledger stores: protobuf messages, so that a release reads what an older one wrote. Tags are never reused.

use std::time::SystemTime;

use licensor::clock::from_unix_seconds;
use prost::Message;

/// A licensing server, or a root below this one. Key: `node/<name>`.
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
    /// Whether it is a root below this one.
    #[prost(bool, tag = "9")]
    pub(crate) root: bool,
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
    /// Seconds since 1970, so that whoever sums up all nodes need not read a certificate for each; 0 in what an older release
    /// wrote.
    #[prost(int64, tag = "6")]
    pub(crate) not_after: i64,
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
    /// The certificate of the authority, if it is a root that this was issued to: `licensor` is then what that root
    /// authenticates with. DER.
    #[prost(bytes = "vec", tag = "11")]
    pub(crate) authority: Vec<u8>,
}

impl CertificateRecord {
    /// What the audit log tells of: what others build upon.
    pub(crate) fn logged(&self) -> &[u8] {
        if self.authority.is_empty() { &self.licensor } else { &self.authority }
    }
}

/// Leads from the certificate of a root's authority to the record that has it. Key: `authority-certificate/<octets of the
/// serial>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuthorityCertificateRecord {
    /// Serial number under which the record is, lower-case hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
}

/// A certificate that was revoked, with the server certificate of its time. Key: `revocation/<octets of the issuer's key
/// identifier>/<octets of the serial>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevocationRecord {
    /// Lower-case hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
    /// Of the server certificate, or of that of a root's authority; lower-case hexadecimal; empty if there was none.
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

/// An entitlement. Keys: `entitlement/<owner>\0<vendor>` for the newest, `entitlement-version/<owner>\0<vendor>\0<version,
/// 8 octets>` for each.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct EntitlementRecord {
    #[prost(string, tag = "1")]
    pub(crate) owner: String,
    #[prost(string, tag = "2")]
    pub(crate) vendor: String,
    /// Grows with every change.
    #[prost(uint64, tag = "3")]
    pub(crate) version: u64,
    /// SHA-256 of the compact JWS, under which it is kept.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) jws: Vec<u8>,
    /// SHA-256 of the document that it was made from, under which it is kept.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) document: Vec<u8>,
    /// Seconds since 1970.
    #[prost(int64, tag = "6")]
    pub(crate) put_at: i64,
    /// Who put it.
    #[prost(string, tag = "7")]
    pub(crate) put_by: String,
    /// SHA-256 of what it says, without its version.
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) content: Vec<u8>,
    /// SHA-256 of the certificate of the authority that certified its signer, and of the trust anchor above (DER).
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) signed_under: Vec<u8>,
}

/// How far the tree over the log of events has come. Key: `audit-state`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuditState {
    /// Entries in the tree.
    #[prost(uint64, tag = "1")]
    pub(crate) size: u64,
    /// The signed checkpoint, with the names of what must not be forgotten.
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
    /// Whether it enrols a root below this one.
    #[prost(bool, tag = "12")]
    pub(crate) root: bool,
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

/// The authorities of this root, and where their certificates come from. Key: `authorities`; in the store it has the digests
/// of certificates in their place, and each is under `own-certificate/<SHA-256>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuthoritiesRecord {
    /// The oldest first.
    #[prost(message, repeated, tag = "1")]
    pub(crate) generations: Vec<GenerationRecord>,
    #[prost(message, required, tag = "2")]
    pub(crate) upstream: UpstreamRecord,
    /// Key identifier in the name of the audit log, which stays when the authority's key does not; lower-case hexadecimal.
    #[prost(string, tag = "3")]
    pub(crate) log: String,
    /// Serial number of the certificate whose end is watched; lower-case hexadecimal.
    #[prost(string, tag = "4")]
    pub(crate) watched: String,
}

/// A key of the authority, and its certificates.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GenerationRecord {
    /// Lower-case hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) key_id: String,
    /// Name of the file in the data directory.
    #[prost(string, tag = "2")]
    pub(crate) key_file: String,
    #[prost(enumeration = "Standing", tag = "3")]
    pub(crate) standing: i32,
    /// Its certificate (DER); empty as long as there is none.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) certificate: Vec<u8>,
    /// What leads from what it issues to an anchor: issuers below the anchor, the direct issuer first (DER).
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(crate) issuers: Vec<Vec<u8>>,
    /// Trust anchors of what it issues, the one to be handed out first (DER).
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) anchors: Vec<Vec<u8>>,
    /// When the upstream is asked for its next certificate, seconds since 1970; 0: by hand alone.
    #[prost(int64, tag = "7")]
    pub(crate) renew_at: i64,
}

/// What a generation of the authority does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
pub(crate) enum Standing {
    /// It issues.
    Active = 0,
    /// It waits for its first certificate.
    Requested = 1,
    /// It is in the trust bundle, and does not issue yet.
    Prepared = 2,
    /// It issues no more.
    Former = 3,
    /// It is not in the trust bundle any more.
    Retired = 4,
}

/// Where the certificates of the authority come from.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpstreamRecord {
    #[prost(enumeration = "UpstreamKind", tag = "1")]
    pub(crate) kind: i32,
    /// `host:port`.
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    /// The certificate with which this root authenticates to its upstream (DER); empty before the first enrolment there.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) identity: Vec<u8>,
    /// File of its key.
    #[prost(string, tag = "4")]
    pub(crate) identity_key: String,
    /// Issuers of `identity` below the anchor (DER).
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(crate) issuers: Vec<Vec<u8>>,
    /// What the upstream is known by (DER).
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) anchors: Vec<Vec<u8>>,
    /// What was asked for and not answered yet, as far as is known here: the oldest first.
    #[prost(message, repeated, tag = "8")]
    pub(crate) pending: Vec<PendingRecord>,
    /// Seconds since 1970; 0: never.
    #[prost(int64, tag = "9")]
    pub(crate) renewed_at: i64,
    /// Why the latest attempt failed; empty if it succeeded.
    #[prost(string, tag = "10")]
    pub(crate) error: String,
    /// Reason of the latest failure.
    #[prost(string, tag = "11")]
    pub(crate) reason: String,
    /// Serial number of the authority's certificate that the upstream has revoked, lower-case hexadecimal.
    #[prost(string, tag = "12")]
    pub(crate) revoked: String,
    /// When, seconds since 1970.
    #[prost(int64, tag = "13")]
    pub(crate) revoked_at: i64,
}

/// How the certificates of the authority are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
pub(crate) enum UpstreamKind {
    /// Self-signed.
    SelfSigned = 0,
    /// From another root, over the network.
    Grpc = 1,
    /// From another root, by files that are carried.
    Offline = 2,
}

/// A request to the upstream: repeated with the same keys it is answered with the same certificates.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PendingRecord {
    /// `enroll/<id of the token>` or `renew/<serial number of the identity>`.
    #[prost(string, tag = "1")]
    pub(crate) purpose: String,
    /// File of the key of the next identity.
    #[prost(string, tag = "2")]
    pub(crate) identity_key: String,
    /// Key identifier of the generation that a certificate is asked for.
    #[prost(string, tag = "3")]
    pub(crate) key_id: String,
    /// SHA-256 of the call in the newest file that was exported for it; empty if none was.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) call_digest: Vec<u8>,
    /// SHA-256 of the upstream's trust anchor, from the token; empty for a renewal.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) fingerprint: Vec<u8>,
    /// `host:port`, from the token.
    #[prost(string, tag = "6")]
    pub(crate) address: String,
}

impl GenerationRecord {
    pub(crate) fn with(mut self, standing: Standing) -> Self {
        self.set_standing(standing);
        self
    }
}
