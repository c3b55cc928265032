//! What is read of nodes to sum them up.

use std::time::SystemTime;

use licensor::{clock::from_unix_seconds, store::StoreError};

use super::{CERTIFICATE, CertificateRecord, Ledger, NodeRecord, RevocationRecord, decode, serial_key};

/// Digits of a serial number with which it is looked for: fewer would be any time at all, by which the numbers begin.
const DIGITS: usize = 8;

/// What a certificate is worth at an instant.
#[derive(Debug, Clone)]
pub(crate) struct Worth {
    /// It was revoked.
    pub(crate) revocation: Option<RevocationRecord>,
    /// Serial number of the newest certificate of its node; empty if it is this one.
    pub(crate) superseded_by: String,
    pub(crate) expired: bool,
}

impl Ledger {
    /// When the newest certificate of a node expires, seconds since 1970.
    pub(crate) async fn not_after(&self, node: &NodeRecord) -> Result<i64, StoreError> {
        if node.current.not_after != 0 {
            return Ok(node.current.not_after);
        }
        // Older releases kept it with the certificate alone.
        let certificate = self.certificate(&node.current.serial).await?;
        Ok(certificate.map_or(0, |certificate| certificate.not_after))
    }

    /// Nodes that have, or had, a certificate whose serial number begins with these digits (hexadecimal, eight at least); of
    /// `limit` certificates at most.
    pub(crate) async fn nodes_with_serial(
        &self,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let digits = digits.to_ascii_lowercase();
        if digits.len() < DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        // Keys have whole octets.
        let prefix = serial_key(CERTIFICATE, &digits[..digits.len() / 2 * 2]);
        let mut names = Vec::new();
        for (_, value) in self.store.scan(&prefix, &prefix, limit).await? {
            let certificate: CertificateRecord = decode(&value)?;
            if certificate.serial.starts_with(&digits) && !names.contains(&certificate.node) {
                names.push(certificate.node);
            }
        }
        Ok(names)
    }

    /// What a certificate is worth at `now`.
    pub(crate) async fn worth(
        &self,
        certificate: &CertificateRecord,
        now: SystemTime,
    ) -> Result<Worth, StoreError> {
        let node = self.node(&certificate.node).await?;
        let newest = node.map(|node| node.record.current.serial).unwrap_or_default();
        Ok(Worth {
            revocation: self.revocation(&certificate.issuer_key_id, &certificate.serial).await?,
            superseded_by: if newest == certificate.serial { String::new() } else { newest },
            expired: now >= from_unix_seconds(certificate.not_after),
        })
    }
}
