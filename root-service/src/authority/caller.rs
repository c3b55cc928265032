//! Who calls: what a client certificate is worth at this root, looked at on every call.

use std::time::SystemTime;

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
    serve::PeerCertificate,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Authority;
use crate::ledger::{CertificateRecord, StandingRecord};

/// A licensing server whose certificate is in the ledger.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The certificate with which it authenticated.
    pub(crate) certificate: CertificateRecord,
    /// Its standing; `None` while it is the newest of its node.
    pub(crate) standing: Option<StandingRecord>,
}

impl Caller {
    /// SPIFFE ID of the caller.
    pub(crate) fn spiffe_id(&self, authority: &Authority) -> String {
        authority.profile.spiffe_id(&self.certificate.node)
    }
}

impl Authority {
    /// Finds the caller in the ledger. Says nothing yet of dates or standing.
    ///
    /// # Errors
    /// `CLIENT_CERTIFICATE_REQUIRED`, `NOT_ISSUED_BY_THIS_ROOT` or `CERTIFICATE_UNKNOWN`.
    pub(crate) async fn identify(&self, peer: Option<&PeerCertificate>) -> Result<Caller> {
        let Some(peer) = peer else {
            return Err(Error::new(
                Reason::ClientCertificateRequired,
                "this call needs the licensor certificate as client certificate (mutual TLS)",
            ));
        };
        let serial = &peer.facts.serial;
        if peer.facts.issuer_key_id != self.facts.key_id {
            return Err(not_issued_here(peer));
        }
        // The certificate is compared whole: what is in the ledger is what this authority signed.
        if let Some(certificate) = self.ledger.certificate(serial).await?
            && certificate.licensor == peer.der
        {
            let standing = self.ledger.standing(serial).await?;
            return Ok(Caller { certificate, standing });
        }
        if !self.signed(&peer.der) {
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

    /// That the caller may use its certificate for anything but a renewal at `now`.
    ///
    /// # Errors
    /// `CERTIFICATE_SUPERSEDED`, `CERTIFICATE_EXPIRED` or `CERTIFICATE_NOT_YET_VALID`.
    pub(crate) fn check_in_force(&self, caller: &Caller) -> Result<()> {
        let now = self.clock.now();
        check_newest(caller)?;
        check_begun(caller, now)?;
        if now >= from_unix_seconds(caller.certificate.not_after) {
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
        let latest = from_unix_seconds(caller.certificate.not_after).checked_add(self.renew_after_expiry);
        if latest.is_some_and(|latest| now >= latest) {
            return Err(expired(caller, "too long ago for a renewal: enrol again with a new token"));
        }
        Ok(())
    }

    fn signed(&self, der: &[u8]) -> bool {
        let issuer = X509Certificate::from_der(&self.certificate);
        let certificate = X509Certificate::from_der(der);
        match (issuer, certificate) {
            (Ok((_, issuer)), Ok((_, certificate))) => {
                certificate.verify_signature(Some(issuer.public_key())).is_ok()
            }
            _ => false,
        }
    }
}

fn check_newest(caller: &Caller) -> Result<()> {
    let Some(standing) = &caller.standing else { return Ok(()) };
    let serial = &caller.certificate.serial;
    Err(Error::new(
        Reason::CertificateSuperseded,
        format!(
            "certificate {serial} was replaced by {} on {}: use that one; if this node does not have it, enrol again with a new token",
            standing.superseded_by,
            rfc3339(from_unix_seconds(standing.superseded_at))
        ),
    )
    .with("serial", serial)
    .with("superseded_by", &standing.superseded_by))
}

fn check_begun(caller: &Caller, now: SystemTime) -> Result<()> {
    let not_before = from_unix_seconds(caller.certificate.not_before);
    if now >= not_before {
        return Ok(());
    }
    Err(Error::new(
        Reason::CertificateNotYetValid,
        format!(
            "certificate {} is valid from {} on, and the clock of this root says {}: set the clock of the root",
            caller.certificate.serial,
            rfc3339(not_before),
            rfc3339(now)
        ),
    )
    .with("not_before", rfc3339(not_before)))
}

fn expired(caller: &Caller, rest: &str) -> Error {
    let not_after = rfc3339(from_unix_seconds(caller.certificate.not_after));
    Error::new(
        Reason::CertificateExpired,
        format!("certificate {} expired on {not_after}; {rest}", caller.certificate.serial),
    )
    .with("serial", &caller.certificate.serial)
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
