//! The audit log of a root, as a stranger checks it: checkpoints (C2SP tlog-checkpoint in a signed note) and proofs of
//! inclusion (C2SP tlog-proof) in a Merkle tree (RFC 9162 §2.1).

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use prost::Message;
use tlog_tiles::{Hash, check_record, record_hash};

use crate::{Certificate, certificate::MalformedCertificate};

const PROOF: &str = "c2sp.org/tlog-proof@v1";
/// No log has as many entries; larger numbers are not worth an attempt.
const LARGEST: u64 = 1 << 48;

/// Why a checkpoint or a proof is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// It does not have the form of a signed checkpoint, or of a proof with one.
    #[error("not an audit checkpoint or proof: {0}")]
    Malformed(&'static str),
    /// The certificate, or that of the authority, is none.
    #[error(transparent)]
    Certificate(#[from] MalformedCertificate),
    /// The authority did not sign the checkpoint.
    #[error("the checkpoint is not signed by the authority {key_id}")]
    BadSignature {
        /// Subject key identifier of the authority, lower-case hexadecimal.
        key_id: String,
    },
    /// The hashes do not lead from the entry to the checkpoint.
    #[error("entry {index} is not in the log of the checkpoint")]
    NotIncluded {
        /// Index of the entry, from 0.
        index: u64,
    },
    /// The entry is about something else.
    #[error("entry {index} of the log does not tell of the issue of certificate {serial}")]
    AnotherCertificate {
        /// Index of the entry, from 0.
        index: u64,
        /// Serial number of the certificate, lower-case hexadecimal.
        serial: String,
    },
}

/// The state of a log at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// Root of the tree over them.
    pub root: [u8; 32],
    /// What else the log says with it, a line each: none empty, none with the end of a line in it.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root));
        for line in &self.extensions {
            text.extend([line, "\n"]);
        }
        text
    }

    /// The signed note with this checkpoint. Each signature is an authority's SubjectPublicKeyInfo (DER) and its ECDSA
    /// signature with SHA-256 over [`Checkpoint::text`] (DER).
    #[must_use]
    pub fn note(&self, signatures: &[(&[u8], Vec<u8>)]) -> String {
        let mut note = format!("{}\n", self.text());
        for (public_key_info, signature) in signatures {
            let signature = [&key_hash(public_key_info), signature.as_slice()].concat();
            note.push_str(&format!("— {} {}\n", self.origin, BASE64_STANDARD.encode(signature)));
        }
        note
    }

    /// Reads a signed note without a look at its signature.
    ///
    /// # Errors
    /// [`AuditError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, AuditError> {
        let malformed = AuditError::Malformed;
        let (text, _) = note.split_once("\n\n").ok_or(malformed("it has no signatures"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or(malformed("it names no log"))?;
        let size = lines.next().unwrap_or_default();
        let number = decimal(size).ok_or(malformed("its size is no number"))?;
        let root = BASE64_STANDARD.decode(lines.next().unwrap_or_default()).ok();
        let root = root.and_then(|root| root.try_into().ok()).ok_or(malformed("it has no root hash"))?;
        let extensions = lines.map(str::to_owned).collect();
        Ok(Self { origin: origin.to_owned(), size: number, root, extensions })
    }

    /// Verifies a signed note against the certificate (DER) of the authority whose log it is.
    ///
    /// # Errors
    /// [`AuditError`] with the first thing that is wrong.
    pub fn verify(note: &str, authority: &[u8]) -> Result<Self, AuditError> {
        let checkpoint = Self::parse(note)?;
        let authority = Certificate::parse(authority)?;
        // The empty line is not signed; the line's end before it is.
        let (text, signatures) = note.split_once("\n\n").unwrap_or_default();
        let text = format!("{text}\n");
        let key_hash = key_hash(&authority.public_key_info);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &authority.public_key);
        let signed = signatures.lines().any(|line| {
            let Some((name, signature)) = line.strip_prefix("— ").and_then(|line| line.rsplit_once(' '))
            else {
                return false;
            };
            let signature = BASE64_STANDARD.decode(signature).unwrap_or_default();
            name == checkpoint.origin
                && signature
                    .strip_prefix(&key_hash)
                    .is_some_and(|signature| key.verify(text.as_bytes(), signature).is_ok())
        });
        if signed { Ok(checkpoint) } else { Err(AuditError::BadSignature { key_id: authority.key_id }) }
    }
}

/// An entry of the log, and the hashes that lead from it to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index of the entry, from 0.
    pub index: u64,
    /// The entry.
    pub entry: Vec<u8>,
    /// Hashes of the subtrees beside the way up.
    pub hashes: Vec<[u8; 32]>,
    /// The signed note.
    pub checkpoint: String,
}

/// What an entry of the log tells of the issue of a certificate. The rest of it is for people.
#[derive(Clone, PartialEq, Message)]
struct IssueEntry {
    /// Number of the event: 100 for an enrolment, 101 for a renewal.
    #[prost(uint32, tag = "1")]
    id: u32,
    /// SHA-256 of the certificate (DER).
    #[prost(bytes = "vec", tag = "8")]
    certificate_digest: Vec<u8>,
}

impl InclusionProof {
    /// The text of a proof (C2SP tlog-proof), with the entry in its `extra` line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect();
        let extra = BASE64_STANDARD.encode(&self.entry);
        format!("{PROOF}\nextra {extra}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads the text of a proof.
    ///
    /// # Errors
    /// [`AuditError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let malformed = AuditError::Malformed;
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(PROOF) {
            return Err(malformed("its first line is not that of a tlog-proof"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let entry = extra.and_then(|extra| BASE64_STANDARD.decode(extra).ok());
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let hash = |line: &str| BASE64_STANDARD.decode(line).ok()?.try_into().ok();
        Ok(Self {
            entry: entry.ok_or(malformed("it has no entry"))?,
            index: index.and_then(decimal).ok_or(malformed("it has no index"))?,
            hashes: lines
                .map(|line| hash(line).ok_or(malformed("one of its hashes is none")))
                .collect::<Result<_, _>>()?,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Verifies that the log of an `authority` tells of the issue of `certificate` (both DER).
    ///
    /// # Errors
    /// [`AuditError`] with the first thing that is wrong.
    pub fn verify(&self, certificate: &[u8], authority: &[u8]) -> Result<Checkpoint, AuditError> {
        let facts = Certificate::parse(certificate)?;
        let checkpoint = Checkpoint::verify(&self.checkpoint, authority)?;
        let not_included = AuditError::NotIncluded { index: self.index };
        let hashes = self.hashes.iter().map(|hash| Hash(*hash)).collect();
        let leaf = record_hash(&self.entry);
        check_record(&hashes, checkpoint.size, Hash(checkpoint.root), self.index, leaf)
            .map_err(|_| not_included)?;
        let of_this = IssueEntry::decode(self.entry.as_slice()).is_ok_and(|entry| {
            matches!(entry.id, 100 | 101) && entry.certificate_digest == digest(&SHA256, certificate).as_ref()
        });
        if !of_this {
            return Err(AuditError::AnotherCertificate { index: self.index, serial: facts.serial });
        }
        Ok(checkpoint)
    }
}

/// A number that is written as it would be written here, so that nobody reads another one.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && number <= LARGEST).then_some(number)
}

/// C2SP signed-note: the key hash of an ECDSA key is the beginning of its SubjectPublicKeyInfo's SHA-256.
fn key_hash(public_key_info: &[u8]) -> [u8; 4] {
    let mut hash = [0; 4];
    hash.copy_from_slice(&digest(&SHA256, public_key_info).as_ref()[..4]);
    hash
}
