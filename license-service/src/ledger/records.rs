//! What the ledger keeps, as it is stored.

use std::time::SystemTime;

use licensor::{clock::from_unix_seconds, expiry::Validity};
use prost::{Message, Oneof};

/// The credential in use; the keys are files that it names.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CredentialRecord {
    /// DER.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) licensor: Vec<u8>,
    /// DER.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) server: Vec<u8>,
    /// DER.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) issuers: Vec<Vec<u8>>,
    /// DER.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) anchors: Vec<Vec<u8>>,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) renew_at: i64,
    #[prost(message, required, tag = "6")]
    pub(crate) keys: KeyNames,
    /// Identifier of the token with which this line of certificates began, hexadecimal.
    #[prost(string, tag = "7")]
    pub(crate) token: String,
}

/// Names of key files.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyNames {
    #[prost(string, tag = "1")]
    pub(crate) licensor: String,
    #[prost(string, tag = "2")]
    pub(crate) server: String,
}

/// The newest request that was exported, until its answer was imported. Key: `credential/exported`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportedRecord {
    /// Stands for the call in its answer.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) digest: Vec<u8>,
    #[prost(message, required, tag = "2")]
    pub(crate) keys: KeyNames,
    /// What was asked for.
    #[prost(oneof = "Exported", tags = "3, 4")]
    pub(crate) request: Option<Exported>,
}

/// What an exported request asks for.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Exported {
    /// An enrolment.
    #[prost(message, tag = "3")]
    Enrollment(ExportedEnrollment),
    /// The renewal of the certificate with this serial number.
    #[prost(string, tag = "4")]
    Renewal(String),
}

/// What is kept of the token that was exported.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportedEnrollment {
    /// Identifier of the token, hexadecimal.
    #[prost(string, tag = "1")]
    pub(crate) token: String,
    /// SHA-256 of the trust anchor that the token names.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) fingerprint: Vec<u8>,
}

/// How renewals have gone.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RenewalRecord {
    /// Seconds since 1970; 0 if never.
    #[prost(int64, tag = "1")]
    pub(crate) succeeded_at: i64,
    /// Why the latest attempt failed; empty if it succeeded.
    #[prost(string, tag = "2")]
    pub(crate) error: String,
    /// Reason of the latest failure.
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    /// Topic of the event that told of it.
    #[prost(string, tag = "4")]
    pub(crate) topic: String,
}

/// The warning that was raised last for a certificate. Key: `raised/<serial>`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RaisedRecord {
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
}

/// Whether the service issues. Key: `enabled`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EnabledRecord {
    #[prost(bool, tag = "1")]
    pub(super) enabled: bool,
    /// Topic of the event that told that it does not.
    #[prost(string, tag = "2")]
    pub(super) topic: String,
}

/// A certificate as events name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    /// Name of the licensing server.
    pub(crate) node: &'a str,
    /// Serial number of its certificate.
    pub(crate) serial: &'a str,
    pub(crate) validity: Validity,
}

impl RenewalRecord {
    /// When a renewal last succeeded.
    pub(crate) fn succeeded(&self) -> Option<SystemTime> {
        (self.succeeded_at != 0).then(|| from_unix_seconds(self.succeeded_at))
    }
}
