//! Who calls: what a client certificate is worth at this root, looked at on every call.

use std::time::SystemTime;

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
    key::sha256,
    serve::PeerCertificate,
};
use verifier::Certificate;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{
    Authority, Generation,
    revocation::{check_commissioned, check_not_revoked, revoked},
};
use crate::ledger::{NodeRecord, Versioned};

/// A licensing server whose certificate is in the ledger.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The server.
    pub(crate) node: Versioned<NodeRecord>,
    /// Serial number of the certificate with which it authenticated.
    pub(crate) serial: String,
    /// Validity of that certificate, seconds since 1970.
    not_before: i64,
    not_after: i64,
}

impl Caller {
    /// Whether its certificate is the newest of the node.
    pub(crate) fn is_newest(&self) -> bool {
        self.node.record.current.serial == self.serial
    }
}

impl Authority {
    /// Finds the caller in the ledger. Says nothing yet of dates, or of whether the certificate has a successor.
    ///
    /// # Errors
    /// `CLIENT_CERTIFICATE_REQUIRED`, `NOT_ISSUED_BY_THIS_ROOT`, `CERTIFICATE_UNKNOWN`, `CERTIFICATE_REVOKED` or
    /// `NODE_DECOMMISSIONED`.
    pub(crate) async fn identify(&self, peer: Option<&PeerCertificate>) -> Result<Caller> {
        let Some(peer) = peer else {
            return Err(Error::new(
                Reason::ClientCertificateRequired,
                "this call needs the licensor certificate as client certificate (mutual TLS)",
            ));
        };
        let serial = &peer.facts.serial;
        let generations = self.generations();
        let Some(issuer) = generations.of_key(&peer.facts.issuer_key_id) else {
            return Err(not_issued_here(peer));
        };
        if let Some(node) = self.holder(peer).await? {
            check_commissioned(&node.record)?;
            check_not_revoked(&node)?;
            if node.record.current.serial != *serial
                && self.ledger.revocation(issuer.key_id(), serial).await?.is_some()
            {
                return Err(revoked(serial));
            }
            let Certificate { not_before, not_after, .. } = peer.facts;
            return Ok(Caller { node, serial: serial.clone(), not_before, not_after });
        }
        if !signed(issuer, &peer.der) {
            return Err(not_issued_here(peer));
        }
        Err(Error::new(
            Reason::CertificateUnknown,
            format!(
                "certificate {serial} is not a licensor certificate in this root's ledger: enrol again with a new token"
            ),
        )
        .with("serial", serial))
    }

    /// The node that a certificate was issued to. The certificate is compared whole: what is in the ledger is what this
    /// authority signed.
    async fn holder(&self, peer: &PeerCertificate) -> Result<Option<Versioned<NodeRecord>>> {
        let serial = &peer.facts.serial;
        // The newest certificate of a node is in the record of the node that it names.
        let name = peer.facts.spiffe_id.as_deref().and_then(|id| self.profile.node_name(id));
        if let Some(name) = name
            && let Some(node) = self.ledger.node(name).await?
            && node.record.current.serial == *serial
            && node.record.current.digest == sha256(&peer.der)
        {
            return Ok(Some(node));
        }
        match self.ledger.certificate(serial).await? {
            Some(certificate) if certificate.licensor == peer.der => {
                Ok(self.ledger.node(&certificate.node).await?)
            }
            _ => Ok(None),
        }
    }

    /// That the caller may use its certificate for anything but a renewal at `now`.
    ///
    /// # Errors
    /// `CERTIFICATE_SUPERSEDED`, `CERTIFICATE_EXPIRED` or `CERTIFICATE_NOT_YET_VALID`.
    pub(crate) fn check_in_force(&self, caller: &Caller) -> Result<()> {
        let now = self.clock.now();
        check_newest(caller)?;
        check_begun(caller, now)?;
        if now >= from_unix_seconds(caller.not_after) {
            return Err(expired(caller, "with an expired certificate nothing but a renewal is possible"));
        }
        Ok(())
    }

    /// That the caller's certificate can be renewed at `now`.
    ///
    /// # Errors
    /// As for [`Authority::check_in_force`]; `CERTIFICATE_EXPIRED` only past the time allowed for a late renewal.
    pub(super) fn check_renewable(&self, caller: &Caller, now: SystemTime) -> Result<()> {
        check_newest(caller)?;
        check_begun(caller, now)?;
        let latest =
            from_unix_seconds(caller.not_after).checked_add(self.config.certificate.renew_after_expiry.0);
        if latest.is_some_and(|latest| now >= latest) {
            return Err(expired(caller, "too long ago for a renewal: enrol again with a new token"));
        }
        Ok(())
    }
}

fn signed(issuer: &Generation, der: &[u8]) -> bool {
    let issuer = X509Certificate::from_der(&issuer.certificate);
    let certificate = X509Certificate::from_der(der);
    match (issuer, certificate) {
        (Ok((_, issuer)), Ok((_, certificate))) => {
            certificate.verify_signature(Some(issuer.public_key())).is_ok()
        }
        _ => false,
    }
}

fn check_newest(caller: &Caller) -> Result<()> {
    if caller.is_newest() {
        return Ok(());
    }
    let (serial, current) = (&caller.serial, &caller.node.record.current);
    Err(Error::new(
        Reason::CertificateSuperseded,
        format!(
            "certificate {serial} was replaced by {} on {}: use that one; if this node does not have it, enrol again with a new token",
            current.serial,
            rfc3339(from_unix_seconds(current.issued_at))
        ),
    )
    .with("serial", serial)
    .with("superseded_by", &current.serial))
}

fn check_begun(caller: &Caller, now: SystemTime) -> Result<()> {
    let not_before = from_unix_seconds(caller.not_before);
    if now >= not_before {
        return Ok(());
    }
    Err(Error::new(
        Reason::CertificateNotYetValid,
        format!(
            "certificate {} is valid from {} on, and the clock of this root says {}: set the clock of the root",
            caller.serial,
            rfc3339(not_before),
            rfc3339(now)
        ),
    )
    .with("not_before", rfc3339(not_before)))
}

fn expired(caller: &Caller, rest: &str) -> Error {
    let not_after = rfc3339(from_unix_seconds(caller.not_after));
    Error::new(
        Reason::CertificateExpired,
        format!("certificate {} expired on {not_after}; {rest}", caller.serial),
    )
    .with("serial", &caller.serial)
    .with("not_after", not_after)
}

fn not_issued_here(peer: &PeerCertificate) -> Error {
    let serial = &peer.facts.serial;
    let error = |message| Error::new(Reason::NotIssuedByThisRoot, message).with("serial", serial);
    match &peer.facts.renewal_address {
        Some(address) => error(format!(
            "this root did not issue certificate {serial}: renew it at {address}, which it names itself"
        ))
        .with("issuer_address", address),
        None => error(format!("this root did not issue certificate {serial}: renew it at the root that did")),
    }
}
