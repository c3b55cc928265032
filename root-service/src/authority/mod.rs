//! The certificate authority: the only holder of its keys, and the rules by which it issues.

mod caller;
mod csr;
mod entitlement;
mod files;
mod generation;
mod issue;
mod own_server;
mod renewal;
mod revocation;
mod rotation;
#[cfg(test)]
mod tests;
mod tokens;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    expiry::Validity,
    key::PrivateKey,
};
use rcgen::PublicKeyData;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit, watch};
use verifier::{Certificate, certificate::hex};

use crate::{
    config::Config,
    ledger::{AuthoritiesRecord, Change, GenerationRecord, Ledger, Standing, UpstreamKind, UpstreamRecord},
    profile::{NotEncodable, Profile},
};

pub(crate) use caller::Caller;
pub(crate) use entitlement::Put;
pub(crate) use files::{AuthorityFiles, InitError, KEY, read_passphrase};
pub(crate) use generation::{Generation, Generations};
pub(crate) use issue::{CertificateRequests, Issued};
pub(crate) use own_server::OwnServer;
pub(crate) use renewal::{Certified, files_error};
use revocation::Publications;
pub(crate) use tokens::TokenOrder;

/// How often a change is tried again when another came first.
const ATTEMPTS: usize = 32;

/// The authority of a root.
#[derive(Debug)]
pub(crate) struct Authority {
    clock: SharedClock,
    ledger: Arc<Ledger>,
    config: Config,
    profile: Profile,
    files: AuthorityFiles,
    generations: ArcSwap<Generations>,
    /// Tells that `generations` were exchanged.
    changed: watch::Sender<()>,
    /// Held while the generations are changed.
    turn: Mutex<()>,
    publications: Publications,
    /// Those who sign at the same time.
    signing: Semaphore,
}

/// A change of the authorities, and keys that it brings.
#[derive(Debug)]
struct Renovation {
    record: AuthoritiesRecord,
    /// Key identifier and key.
    key: Option<(String, Arc<PrivateKey>)>,
    events: Vec<Event>,
}

impl Authority {
    /// The authority that is recorded; that of the trust anchor in the data directory if none is. `begun` is how the first
    /// certificate is to be had if there is not even an anchor.
    ///
    /// # Errors
    /// [`InitError`] if there is nothing, or if what is there does not belong together.
    pub(crate) async fn open(
        config: &Config,
        clock: SharedClock,
        ledger: Arc<Ledger>,
        begun: Option<UpstreamKind>,
    ) -> Result<Self, InitError> {
        let files = AuthorityFiles::new(config)?;
        let profile = profile(config);
        let recorded = ledger.authorities().await?;
        let recorded = match recorded {
            Some(recorded) => recorded,
            None => {
                let (record, validity, events) = match begun {
                    Some(kind) => requested(&files.first_key()?, kind),
                    None => anchored(&files.load_anchor()?)?,
                };
                let known = ledger.knows_authority(&record.watched).await?;
                let events = if known { Vec::new() } else { events };
                ledger.change_authorities(None, Change { record, validity, events }).await?
            }
        };
        let mut keys = HashMap::new();
        for generation in &recorded.record.generations {
            let key = files.load(&generation.key_file)?;
            keys.insert(generation.key_id.clone(), Arc::new(key));
        }
        let generations = Generations::new(recorded, keys, &profile)?;
        let authority = Self {
            clock,
            ledger,
            profile,
            files,
            generations: ArcSwap::from_pointee(generations),
            changed: watch::Sender::default(),
            turn: Mutex::default(),
            publications: Publications::default(),
            signing: Semaphore::new(config.limits.signing),
            config: config.clone(),
        };
        authority.export();
        Ok(authority)
    }

    /// All generations as they are.
    pub(crate) fn generations(&self) -> Arc<Generations> {
        self.generations.load_full()
    }

    /// Word of every change of them.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The generation that issues.
    ///
    /// # Errors
    /// `NOT_ENROLLED` before the first certificate.
    pub(crate) fn active(&self) -> Result<Arc<Generation>> {
        self.generations.load().active().cloned().ok_or_else(|| {
            Error::new(
                Reason::NotEnrolled,
                "this root has no certificate yet: fetch it from its upstream (`root-service authority upstream grpc --token-file …`), or carry files (`root-service authority export-request`)",
            )
        })
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

    pub(crate) fn files(&self) -> &AuthorityFiles {
        &self.files
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Name of the audit log in this trust domain: the identifier of the first key.
    pub(crate) fn log_name(&self) -> String {
        self.generations.load().record().log.clone()
    }

    /// Signs what begins with words that no certificate begins with, a checkpoint or the end of a backup: ECDSA with
    /// SHA-256, DER.
    pub(crate) fn sign_statement(&self, by: &Generation, message: &[u8]) -> Result<Vec<u8>> {
        rcgen::SigningKey::sign(by.issuer.key(), message).map_err(|error| Error::internal("signature", error))
    }

    /// Nothing of the authorities is changed as long as this is held.
    pub(crate) async fn keep_still(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Every key that a record names, with the name of its file.
    pub(crate) fn keys(&self) -> Result<Vec<(String, Arc<PrivateKey>)>> {
        let generations = self.generations.load();
        let record = generations.record();
        let named = record.generations.iter();
        let named =
            named.filter_map(|record| Some((record.key_file.clone(), generations.keys.get(&record.key_id)?)));
        let mut keys: Vec<_> = named.map(|(name, key)| (name, Arc::clone(key))).collect();
        let upstream = &record.upstream;
        let pending = upstream.pending.iter().map(|pending| pending.identity_key.as_str());
        for name in pending.chain([upstream.identity_key.as_str()]) {
            if !name.is_empty() && keys.iter().all(|(known, _)| known != name) {
                let key = self.files.load(name).map_err(|error| renewal::files_error(&error))?;
                keys.push((name.to_owned(), Arc::new(key)));
            }
        }
        Ok(keys)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// That the authority can issue now, or why it cannot.
    ///
    /// # Errors
    /// `NOT_ENROLLED`, `CERTIFICATE_REVOKED`, `AUTHORITY_EXPIRED` or `CERTIFICATE_NOT_YET_VALID`.
    pub(crate) fn check_enabled(&self) -> Result<Arc<Generation>> {
        let now = self.clock.now();
        let active = self.active()?;
        let Validity { not_before, not_after, .. } = active.validity;
        if let Some(revoked_at) = active.revoked_at {
            let at = rfc3339(from_unix_seconds(revoked_at));
            let message = format!(
                "the certificate of this root was revoked by its upstream on {at}: it issues nothing until a new token brings it another one (`root-service authority upstream grpc --token-file …`)"
            );
            return Err(Error::new(Reason::CertificateRevoked, message)
                .with("serial", &active.facts.serial)
                .with("revoked_at", at));
        }
        if now >= not_after {
            return Err(Error::new(
                Reason::AuthorityExpired,
                format!(
                    "the certificate of this root expired on {}: it issues nothing until it is renewed (`root-service authority renew`)",
                    rfc3339(not_after)
                ),
            )
            .with("not_after", rfc3339(not_after)));
        }
        if now < not_before {
            return Err(Error::new(
                Reason::CertificateNotYetValid,
                format!(
                    "the certificate of this root is valid from {} on, and its clock says {}: set the clock",
                    rfc3339(not_before),
                    rfc3339(now)
                ),
            ));
        }
        Ok(active)
    }

    /// Changes the authorities as one commit with its events, then uses them so.
    async fn renovate(&self, former: &Generations, change: Renovation) -> Result<Arc<Generations>> {
        let Renovation { mut record, key, events } = change;
        let active = record.generations.iter().find(|generation| generation.standing() == Standing::Active);
        let facts = active.and_then(|active| Certificate::parse(&active.certificate).ok());
        record.watched = facts.as_ref().map(|facts| facts.serial.clone()).unwrap_or_default();
        let validity = facts.as_ref().map(Validity::of);
        let mut keys = former.keys.clone();
        keys.extend(key);
        // What cannot be used is not kept.
        let failed = |error: InitError| Error::internal("authorities", error);
        Generations::new(former.record.with(record.clone()), keys.clone(), &self.profile).map_err(failed)?;
        let change = Change { record, validity, events };
        let record = self.ledger.change_authorities(Some(&former.record), change).await?;
        let generations = Arc::new(Generations::new(record, keys, &self.profile).map_err(failed)?);
        self.generations.store(Arc::clone(&generations));
        self.export();
        self.changed.send_replace(());
        Ok(generations)
    }

    /// Writes the copies of certificates. The ledger is what counts: what cannot be written is written at the next start.
    fn export(&self) {
        let generations = self.generations.load();
        let Some(active) = generations.active() else { return };
        if let Err(error) = self.files.export(&generations.trust_anchors(self.clock.now()), active.chain()) {
            tracing::warn!(%error, "the certificates in the data directory could not be written");
        }
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

    /// The span in which the holder of a certificate should renew: a fifteenth of its lifetime around the configured
    /// share of it.
    pub(crate) fn renewal_window(&self, issued_at: i64, not_after: i64) -> (SystemTime, SystemTime) {
        renewal_window(self.config.renewal.at, issued_at, not_after)
    }
}

/// The span in which the holder of a certificate should renew that is valid from `issued_at` to `not_after`: around the share
/// `renew_at` of its lifetime.
pub(crate) fn renewal_window(renew_at: f64, issued_at: i64, not_after: i64) -> (SystemTime, SystemTime) {
    let lifetime = Duration::from_secs(u64::try_from(not_after - issued_at).unwrap_or_default());
    let at = |share: f64| from_unix_seconds(issued_at) + lifetime.mul_f64(share);
    (at((renew_at - 1.0 / 30.0).max(0.0)), at((renew_at + 1.0 / 30.0).min(0.98)))
}

pub(crate) fn profile(config: &Config) -> Profile {
    Profile {
        trust_domain: config.trust_domain.clone(),
        renewal_address: config.public_address(),
        ops_url: config.ops_url(),
        validity: config.certificate.validity.0,
        root_validity: config.authority.root_validity.0,
    }
}

impl From<NotEncodable> for Error {
    fn from(NotEncodable(problem): NotEncodable) -> Self {
        Self::new(Reason::InvalidArgument, problem)
    }
}

/// What is recorded of a trust anchor (DER) that was just made.
fn anchored(anchor: &[u8]) -> Result<(AuthoritiesRecord, Option<Validity>, Vec<Event>), InitError> {
    let facts = Certificate::parse(anchor).map_err(|_| InitError::NotACertificate)?;
    let generation = GenerationRecord {
        key_id: facts.key_id.clone(),
        key_file: KEY.to_owned(),
        certificate: anchor.to_vec(),
        anchors: vec![anchor.to_vec()],
        ..GenerationRecord::default()
    };
    let validity = Validity::of(&facts);
    let created = Event::new(EventKind::AuthorityCreated)
        .about(&facts.serial, "")
        .argument("holder", &facts.common_name)
        .until(validity.not_after);
    let record = AuthoritiesRecord {
        generations: vec![generation.with(Standing::Active)],
        upstream: UpstreamRecord::default(),
        log: facts.key_id,
        watched: facts.serial,
    };
    Ok((record, Some(validity), vec![created]))
}

/// What is recorded of a key that has no certificate yet.
fn requested(key: &PrivateKey, kind: UpstreamKind) -> (AuthoritiesRecord, Option<Validity>, Vec<Event>) {
    let key_id = hex(&files::key_id(key.der_bytes()));
    let generation =
        GenerationRecord { key_id: key_id.clone(), key_file: KEY.to_owned(), ..GenerationRecord::default() };
    let mut upstream = UpstreamRecord::default();
    upstream.set_kind(kind);
    let record = AuthoritiesRecord {
        generations: vec![generation.with(Standing::Requested)],
        upstream,
        log: key_id,
        watched: String::new(),
    };
    (record, None, Vec::new())
}
