//! Backups: one file with everything that a root is, as it was at one instant.
//!
//! A line that says what it is, then protobuf messages, each with its length before it: a [`Header`], the pairs of the
//! store, an [`End`] with a digest of all before it that the authority signed.

mod create;
mod loss;
mod restore;

use prost::Message;

pub(crate) use create::create;
pub(crate) use restore::{RestoreOrder, Restored, restore};

/// What a backup begins with; the number is that of its form.
const MAGIC: &[u8] = b"licensor root backup 1\n";
/// Pairs that are read from the store, or written to it, at once.
const PAGE: usize = 500;

/// What comes before the pairs.
#[derive(Clone, PartialEq, Message)]
struct Header {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    created_at: i64,
    #[prost(string, tag = "2")]
    trust_domain: String,
    /// DER, the one that is handed out first.
    #[prost(bytes = "vec", repeated, tag = "3")]
    trust_anchors: Vec<Vec<u8>>,
    /// What an older release wrote instead of `keys`: the key of the only authority (PEM, encrypted PKCS #8), which is the
    /// trust anchor.
    #[prost(string, tag = "4")]
    only_key: String,
    #[prost(message, repeated, tag = "5")]
    keys: Vec<KeyFile>,
    /// Certificates of the authorities (DER), that of the one that issues first.
    #[prost(bytes = "vec", repeated, tag = "6")]
    authorities: Vec<Vec<u8>>,
    /// The chain of the one that issues (DER); empty if it is the trust anchor.
    #[prost(bytes = "vec", repeated, tag = "7")]
    chain: Vec<Vec<u8>>,
}

/// A key of the root.
#[derive(Clone, PartialEq, Message)]
struct KeyFile {
    /// Name of the file in the data directory.
    #[prost(string, tag = "1")]
    name: String,
    /// SubjectPublicKeyInfo (DER).
    #[prost(bytes = "vec", tag = "2")]
    public_key_info: Vec<u8>,
    /// PEM, encrypted PKCS #8; empty if no passphrase was given.
    #[prost(string, tag = "3")]
    pem: String,
}

/// A message after the header.
#[derive(Clone, PartialEq, Message)]
struct Frame {
    #[prost(oneof = "Part", tags = "1, 2")]
    part: Option<Part>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Part {
    #[prost(message, tag = "1")]
    Pair(Pair),
    #[prost(message, tag = "2")]
    End(End),
}

/// A pair of the store.
#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// What comes after the pairs.
#[derive(Clone, PartialEq, Message)]
struct End {
    #[prost(uint64, tag = "1")]
    pairs: u64,
    /// Entries of the audit log.
    #[prost(uint64, tag = "2")]
    entries: u64,
    /// SHA-256 of everything before this message.
    #[prost(bytes = "vec", tag = "3")]
    digest: Vec<u8>,
    /// Of the authority over [`End::signed`]: ECDSA with SHA-256, DER.
    #[prost(bytes = "vec", tag = "4")]
    signature: Vec<u8>,
}

impl End {
    /// What is signed.
    fn signed(&self) -> Vec<u8> {
        let Self { pairs, entries, digest, .. } = self;
        [MAGIC, &pairs.to_be_bytes(), &entries.to_be_bytes(), digest].concat()
    }
}
