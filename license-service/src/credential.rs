//! The credential of a licensing server: licensor certificate and key, and those of its TLS port; checked as a stranger
//! would check them before anyone sees them.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    expiry::Validity,
    jws,
    key::PrivateKey,
    tls::certified_key,
};
use rcgen::PublicKeyData;
use rustls::sign::CertifiedKey;
use verifier::{
    Certificate, ChainError, Revoked, license::LICENSE_TYPE, verify_licensor_chain, verify_server_chain,
};

use crate::ledger::Holder;

/// What a root issued, and the keys that it was issued for.
#[derive(Debug)]
pub(crate) struct Issuance {
    /// Licensor certificate (DER).
    pub(crate) licensor: Vec<u8>,
    /// Certificate of the TLS port (DER).
    pub(crate) server: Vec<u8>,
    /// Issuers below the anchor (DER).
    pub(crate) issuers: Vec<Vec<u8>>,
    /// Trust anchors (DER).
    pub(crate) anchors: Vec<Vec<u8>>,
    /// When to renew.
    pub(crate) renew_at: SystemTime,
    pub(crate) keys: Arc<Keys>,
}

impl Issuance {
    /// That both certificates lead through `issuers` to one of `anchors` at `now`.
    pub(crate) fn verify(
        &self,
        issuers: &[Vec<u8>],
        anchors: &[Vec<u8>],
        now: SystemTime,
    ) -> Result<(), ChainError> {
        let now = unix_seconds(now);
        verify_licensor_chain(&self.licensor, issuers, anchors, now)?;
        verify_server_chain(&self.server, issuers, anchors, now).map(|_| ())
    }

    /// That a trust bundle with these issuers is fit for both certificates at `now`; if not, what is wrong with it.
    pub(crate) fn check_bundle(
        &self,
        issuers: &[Vec<u8>],
        anchors: &[Vec<u8>],
        now: SystemTime,
    ) -> Result<(), String> {
        if anchors.is_empty() {
            return Err("is empty".into());
        }
        if issuers.iter().chain(anchors).any(|der| Certificate::parse(der).is_err()) {
            return Err("has something that is no certificate".into());
        }
        self.verify(issuers, anchors, now).map_err(|error| format!("does not fit: {error}"))
    }
}

/// The private keys of a server.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Signs licences, and authenticates to the root.
    pub(crate) licensor: PrivateKey,
    /// Serves the TLS port.
    pub(crate) server: PrivateKey,
}

/// A credential that stood up to every check.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) issuance: Issuance,
    /// What the licensor certificate says.
    pub(crate) facts: Certificate,
    pub(crate) validity: Validity,
    /// Its SPIFFE ID.
    pub(crate) spiffe_id: String,
    /// `host:port` of the root that renews it.
    pub(crate) renewal_address: String,
    /// The first part of every licence: the JOSE header in base64url.
    pub(crate) jose_header: String,
    /// What the TLS port serves.
    pub(crate) server: Arc<CertifiedKey>,
    /// What the root is shown.
    pub(crate) client: Arc<CertifiedKey>,
    /// Set for good once a revocation list names the certificate.
    pub(crate) revoked: OnceLock<Revoked>,
}

impl Credential {
    /// Checks what a root answered, at `now`: it leads to the anchors that were trusted before, and to those that it
    /// brings. A root that has another key is known by the certificate that its former key signed for it.
    ///
    /// # Errors
    /// `CREDENTIAL_INVALID`, or `CERTIFICATE_NOT_YET_VALID` if this machine's clock is behind.
    pub(crate) fn check(issuance: Issuance, trusted: &[Vec<u8>], now: SystemTime) -> Result<Self> {
        issuance.verify(&issuance.issuers, trusted, now).map_err(|error| chain_error(&error, now))?;
        issuance
            .check_bundle(&issuance.issuers, &issuance.anchors, now)
            .map_err(|problem| invalid(&format!("its trust bundle {problem}")))?;
        Self::assemble(issuance)
    }

    /// Puts together what was checked when it was issued; its dates are looked at where it is used.
    ///
    /// # Errors
    /// `CREDENTIAL_INVALID` if the parts do not belong together.
    pub(crate) fn assemble(issuance: Issuance) -> Result<Self> {
        let facts = Certificate::parse(&issuance.licensor).map_err(|_| invalid("it is not a certificate"))?;
        let Keys { licensor, server } = &*issuance.keys;
        if facts.public_key_info != licensor.subject_public_key_info() {
            return Err(invalid("the licensor certificate is for another key"));
        }
        let server_facts = Certificate::parse(&issuance.server)
            .map_err(|_| invalid("there is no server certificate with it"))?;
        if server_facts.public_key_info != server.subject_public_key_info() {
            return Err(invalid("the server certificate is for another key"));
        }
        let spiffe_id = facts.spiffe_id.clone().ok_or_else(|| invalid("it has no SPIFFE ID"))?;
        let renewal_address =
            facts.renewal_address.clone().ok_or_else(|| invalid("it does not say where it is renewed"))?;
        let chain = |leaf: &[u8]| -> Vec<Vec<u8>> {
            std::iter::once(leaf.to_vec()).chain(issuance.issuers.iter().cloned()).collect()
        };
        let licensor_chain = chain(&issuance.licensor);
        let jose_header = jws::header(licensor, LICENSE_TYPE, licensor_chain.iter().map(Vec::as_slice))?;
        let unfit = |_| invalid("its key is not fit for TLS");
        Ok(Self {
            validity: Validity::of(&facts),
            spiffe_id,
            renewal_address,
            jose_header,
            server: certified_key(&chain(&issuance.server), server).map_err(unfit)?,
            client: certified_key(&licensor_chain, licensor).map_err(unfit)?,
            revoked: OnceLock::new(),
            facts,
            issuance,
        })
    }

    /// What the ledger needs to know of it.
    pub(crate) fn holder(&self) -> Holder<'_> {
        Holder { node: self.node(), serial: &self.facts.serial, validity: self.validity }
    }

    /// Name of this licensing server.
    pub(crate) fn node(&self) -> &str {
        &self.facts.common_name
    }

    /// When to renew: the instant chosen in the root's window, or the share of the lifetime that is configured here.
    pub(crate) fn renew_at(&self, configured: Option<f64>) -> SystemTime {
        let lifetime = self.validity.lifetime();
        match configured {
            Some(share) => self.validity.issued_at + lifetime.mul_f64(share),
            // A root whose clock or configuration is off must not make this server renew at once and for ever, or never.
            None => self.issuance.renew_at.clamp(
                self.validity.issued_at + lifetime.mul_f64(0.05),
                self.validity.issued_at + lifetime.mul_f64(0.98),
            ),
        }
    }
}

/// That licences can be issued at `now`, with which credential; or why not.
///
/// # Errors
/// `NOT_ENROLLED`, `CERTIFICATE_REVOKED`, `LICENSOR_CERTIFICATE_EXPIRED` or `LICENSOR_CERTIFICATE_NOT_YET_VALID`.
pub(crate) fn enabled(credential: Option<&Arc<Credential>>, now: SystemTime) -> Result<&Arc<Credential>> {
    let Some(credential) = credential else {
        return Err(Error::new(
            Reason::NotEnrolled,
            "this licensing server is not enrolled: make a token at the root (`root-service token create`) and run `license-service enroll`",
        ));
    };
    if let Some(revoked) = credential.revoked.get() {
        let at = rfc3339(from_unix_seconds(revoked.at));
        let message = format!(
            "the licensor certificate of {} was revoked on {at}: nothing is issued until this server is enrolled again with a new token (`license-service enroll`)",
            credential.node()
        );
        return Err(Error::new(Reason::CertificateRevoked, message)
            .with("revoked_at", at)
            .with("serial", &credential.facts.serial));
    }
    let Validity { not_before, not_after, .. } = credential.validity;
    if now >= not_after {
        let message = format!(
            "the licensor certificate of {} expired on {}: nothing is issued until it is renewed (`license-service renew`)",
            credential.node(),
            rfc3339(not_after)
        );
        return Err(Error::new(Reason::LicensorCertificateExpired, message)
            .with("not_after", rfc3339(not_after))
            .with("serial", &credential.facts.serial));
    }
    if now < not_before {
        let message = format!(
            "the licensor certificate of {} is valid from {} on, and the clock of this machine says {}: set the clock",
            credential.node(),
            rfc3339(not_before),
            rfc3339(now)
        );
        return Err(Error::new(Reason::LicensorCertificateNotYetValid, message)
            .with("not_before", rfc3339(not_before))
            .with("serial", &credential.facts.serial));
    }
    Ok(credential)
}

/// An instant of the window at random.
pub(crate) fn instant_in(window: (SystemTime, SystemTime)) -> SystemTime {
    let (start, end) = window;
    let length = end.duration_since(start).unwrap_or(Duration::ZERO);
    start + length.mul_f64(rand::random_range(0.0..1.0))
}

fn invalid(problem: &str) -> Error {
    Error::new(
        Reason::CredentialInvalid,
        format!("the answer of the root cannot be used: {problem}; the credential in use is kept"),
    )
}

fn chain_error(error: &ChainError, now: SystemTime) -> Error {
    match error {
        ChainError::NotYetValid { not_before } => {
            let not_before = rfc3339(from_unix_seconds(*not_before));
            Error::new(
                Reason::CertificateNotYetValid,
                format!(
                    "the new certificate is valid from {not_before} on, and the clock of this machine says {}: set the clock and try again; nothing is lost",
                    rfc3339(now)
                ),
            )
            .with("not_before", not_before)
        }
        other => invalid(&other.to_string()),
    }
}

#[cfg(test)]
mod tests;
