//! The certificate authority: the only holder of its key, and the rules by which it issues.

mod anchor;
mod caller;
mod csr;
mod issue;
mod own_server;
mod revocation;
#[cfg(test)]
mod tests;
mod token;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    expiry::Validity,
    key::{PrivateKey, sha256},
    store::StoreError,
};
use rcgen::Issuer;
use tokio::sync::{Semaphore, SemaphorePermit};
use verifier::Certificate;

use crate::{
    config::Config,
    ledger::{Ledger, TokenRecord},
    profile::{IssuerFacts, NotEncodable, Places, Profile},
};

pub(crate) use anchor::{AuthorityFiles, InitError, read_passphrase};
pub(crate) use caller::Caller;
pub(crate) use issue::{CertificateRequests, Issued};
pub(crate) use own_server::OwnServer;
use revocation::Publication;

/// How often a change is tried again when another came first.
const ATTEMPTS: usize = 32;

/// The authority of a root.
#[derive(Debug)]
pub(crate) struct Authority {
    clock: SharedClock,
    ledger: Arc<Ledger>,
    profile: Profile,
    places: Places,
    issuer: Issuer<'static, PrivateKey>,
    /// Its certificate (DER).
    certificate: Vec<u8>,
    facts: Certificate,
    validity: Validity,
    renew_after_expiry: Duration,
    renewal_at: f64,
    /// How long a revocation list is valid.
    list_validity: Duration,
    publication: Publication,
    /// Those who sign at the same time.
    signing: Semaphore,
}

/// What a new token is for.
#[derive(Debug)]
pub(crate) struct TokenOrder {
    pub(crate) node: String,
    pub(crate) owner: String,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<String>,
    pub(crate) ttl: Duration,
    /// Who asked for it.
    pub(crate) by: String,
}

impl Authority {
    /// The authority whose key and certificate are in `files`.
    ///
    /// # Errors
    /// [`InitError`] if they do not belong together.
    pub(crate) fn open(
        config: &Config,
        files: AuthorityFiles,
        clock: SharedClock,
        ledger: Arc<Ledger>,
    ) -> Result<Self, InitError> {
        let AuthorityFiles { key, certificate } = files;
        let facts = Certificate::parse(&certificate).map_err(|_| InitError::NotACertificate)?;
        let issuer = Issuer::from_ca_cert_der(&certificate.as_slice().into(), key)
            .map_err(|_| InitError::NotACertificate)?;
        if rcgen::PublicKeyData::subject_public_key_info(issuer.key()) != facts.public_key_info {
            return Err(InitError::KeyDoesNotMatch);
        }
        let profile = profile(config);
        Ok(Self {
            clock,
            ledger,
            places: profile.places(&facts.key_id),
            profile,
            issuer,
            validity: Validity::of(&facts),
            certificate,
            facts,
            renew_after_expiry: config.certificate.renew_after_expiry.0,
            renewal_at: config.renewal.at,
            list_validity: config.revocation.list_validity.0,
            publication: Publication::default(),
            signing: Semaphore::new(config.limits.signing),
        })
    }

    /// The trust anchor (DER).
    pub(crate) fn trust_anchor(&self) -> &[u8] {
        &self.certificate
    }

    /// Issuers below the trust anchor (DER), the direct issuer first.
    pub(crate) fn issuers(&self) -> &[Vec<u8>] {
        &[]
    }

    /// What the authority's certificate says.
    pub(crate) fn facts(&self) -> &Certificate {
        &self.facts
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn trust_domain(&self) -> &str {
        &self.profile.trust_domain
    }

    pub(crate) fn public_address(&self) -> &str {
        &self.profile.renewal_address
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Signs what begins with words that no certificate begins with, a checkpoint or the end of a backup: ECDSA with
    /// SHA-256, DER.
    pub(crate) fn sign_statement(&self, message: &[u8]) -> Result<Vec<u8>> {
        rcgen::SigningKey::sign(self.issuer.key(), message)
            .map_err(|error| Error::internal("signature", error))
    }

    /// The authority's key as PEM, encrypted.
    pub(crate) fn encrypted_key(&self, passphrase: &[u8]) -> Result<String> {
        let pem = self.issuer.key().to_pem(Some(passphrase));
        pem.map(|pem| pem.to_string()).map_err(|error| Error::internal("key", error))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// That the authority can issue now, or why it cannot.
    pub(crate) fn check_enabled(&self) -> Result<()> {
        let now = self.clock.now();
        if now >= self.validity.not_after {
            return Err(Error::new(
                Reason::AuthorityExpired,
                format!(
                    "the certificate of this root expired on {}: it issues nothing until it is renewed",
                    rfc3339(self.validity.not_after)
                ),
            )
            .with("not_after", rfc3339(self.validity.not_after)));
        }
        if now < self.validity.not_before {
            return Err(Error::new(
                Reason::CertificateNotYetValid,
                format!(
                    "the certificate of this root is valid from {} on, and its clock says {}: set the clock",
                    rfc3339(self.validity.not_before),
                    rfc3339(now)
                ),
            ));
        }
        Ok(())
    }

    /// Makes an enrolment token; returns its text, which is kept nowhere.
    pub(crate) async fn create_token(&self, order: TokenOrder) -> Result<(String, TokenRecord)> {
        let order = order.checked()?;
        if let Some(node) = self.ledger.node(&order.node).await? {
            revocation::check_commissioned(&node.record)?;
        }
        let new = token::create(&self.profile.renewal_address, sha256(&self.certificate))?;
        let now = self.clock.now();
        let expires_at = now
            .checked_add(order.ttl)
            .ok_or_else(|| Error::new(Reason::InvalidArgument, "ttl is too long"))?;
        let record = TokenRecord {
            id: verifier::certificate::hex(&new.token.id),
            secret_hash: new.secret_hash.to_vec(),
            node: order.node,
            owner: order.owner,
            dns_names: order.dns_names,
            ip_addresses: order.ip_addresses,
            created_at: licensor::clock::unix_seconds(now),
            expires_at: licensor::clock::unix_seconds(expires_at),
            serial: String::new(),
            revoked: false,
            misused: false,
        };
        let event = Event::new(EventKind::TokenCreated)
            .about("", &record.node)
            .by(&order.by)
            .argument("token", &record.id);
        self.ledger.add_token(&record, event).await?;
        Ok((new.token.encode_text(), record))
    }

    /// Makes an unused token useless.
    pub(crate) async fn revoke_token(&self, id: &str, by: &str) -> Result<TokenRecord> {
        let unknown = || {
            let message = format!("there is no token {id}: see `root-service token list`");
            Error::new(Reason::TokenUnknown, message).with("id", id)
        };
        for _ in 0..ATTEMPTS {
            let token = self.ledger.token(id).await?.ok_or_else(unknown)?;
            if !token.record.serial.is_empty() {
                return Err(Error::new(
                    Reason::TokenAlreadyUsed,
                    format!(
                        "token {id} has been used for certificate {}: nothing is left to revoke",
                        token.record.serial
                    ),
                )
                .with("serial", &token.record.serial));
            }
            if token.record.revoked {
                return Ok(token.record);
            }
            let revoked = TokenRecord { revoked: true, ..token.record.clone() };
            let event = Event::new(EventKind::TokenRevoked)
                .about("", &revoked.node)
                .by(by)
                .argument("token", &revoked.id);
            match self.ledger.change_token(&token, &revoked, event).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result.map(|()| revoked)?),
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// A place among those that sign at the same time.
    fn place(&self) -> Result<SemaphorePermit<'_>> {
        self.signing.try_acquire().map_err(|_| {
            // Those who are sent away together shall not come back together.
            let wait = Duration::from_millis(rand::random_range(500..2_000));
            Error::new(
                Reason::Overloaded,
                "too many certificates are being issued at once (`limits.signing`)",
            )
            .retry_after(wait)
        })
    }

    fn issuer_facts(&self) -> IssuerFacts<'_> {
        IssuerFacts { places: &self.places, not_after: self.validity.not_after }
    }

    /// The span in which the holder of a certificate should renew: a fifteenth of its lifetime around the configured
    /// share of it.
    pub(crate) fn renewal_window(&self, issued_at: i64, not_after: i64) -> (SystemTime, SystemTime) {
        let lifetime = Duration::from_secs(u64::try_from(not_after - issued_at).unwrap_or_default());
        let at = |share: f64| from_unix_seconds(issued_at) + lifetime.mul_f64(share);
        (at((self.renewal_at - 1.0 / 30.0).max(0.0)), at((self.renewal_at + 1.0 / 30.0).min(0.98)))
    }
}

pub(crate) fn profile(config: &Config) -> Profile {
    Profile {
        trust_domain: config.trust_domain.clone(),
        renewal_address: config.public_address(),
        ops_url: config.ops_url(),
        validity: config.certificate.validity.0,
    }
}

impl From<NotEncodable> for Error {
    fn from(NotEncodable(problem): NotEncodable) -> Self {
        Self::new(Reason::InvalidArgument, problem)
    }
}

impl TokenOrder {
    fn checked(mut self) -> Result<Self> {
        let refused = |problem: String| Err(Error::new(Reason::InvalidArgument, problem));
        if !is_node_name(&self.node) {
            return refused(format!(
                "`{}` is no name for a node: 1 to 63 letters, digits, '-', '.' and '_', with a letter or digit at both ends",
                self.node
            ));
        }
        let owner = self.owner.trim();
        if owner.is_empty() || owner.chars().count() > 64 || owner.chars().any(char::is_control) {
            return refused("owner must have 1 to 64 characters, none of them a control character".into());
        }
        self.owner = owner.to_owned();
        if self.ttl.is_zero() || self.ttl > Duration::from_secs(366 * 86_400) {
            return refused("ttl must be longer than nothing and at most a year".into());
        }
        if self.dns_names.is_empty() && self.ip_addresses.is_empty() {
            self.dns_names.push(self.node.to_lowercase());
        }
        if self.dns_names.len() + self.ip_addresses.len() > 32 {
            return refused("at most 32 DNS names and IP addresses can be approved".into());
        }
        if let Some(name) = self.dns_names.iter().find(|name| !is_dns_name(name)) {
            return refused(format!("`{name}` is no DNS name: name the node's own host with --dns or --ip"));
        }
        let octets: usize = self.dns_names.iter().map(String::len).sum();
        if octets > 2048 {
            return refused("the DNS names have more than 2048 characters together".into());
        }
        for address in &mut self.ip_addresses {
            match address.parse::<std::net::IpAddr>() {
                Ok(parsed) => *address = parsed.to_string(),
                Err(_) => return refused(format!("`{address}` is no IP address")),
            }
        }
        Ok(self)
    }
}

fn is_node_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 63
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// RFC 1123 §2.1; a wildcard is no host.
fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.parse::<std::net::IpAddr>().is_err()
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}
