//! The generations of the authority: each a key with its certificate. One issues; one may be about to, and those that
//! did before still verify, and keep their revocation lists.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    expiry::Validity,
    key::PrivateKey,
};
use rcgen::{Issuer, PublicKeyData, SignatureAlgorithm, SigningKey};
use verifier::Certificate;

use super::files::InitError;
use crate::{
    ledger::{AuthoritiesRecord, GenerationRecord, Standing, UpstreamRecord, Versioned},
    profile::{IssuerFacts, Places, Profile},
};

/// A key of the authority that has a certificate.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) standing: Standing,
    /// Its certificate (DER).
    pub(crate) certificate: Vec<u8>,
    /// Issuers of what it issues, below the anchor (DER), the direct issuer first.
    pub(crate) issuers: Vec<Vec<u8>>,
    /// Trust anchors of what it issues (DER), the newest first.
    pub(crate) anchors: Vec<Vec<u8>>,
    /// What its certificate says.
    pub(crate) facts: Certificate,
    pub(crate) validity: Validity,
    /// When the upstream revoked its certificate, seconds since 1970.
    pub(crate) revoked_at: Option<i64>,
    pub(super) issuer: Issuer<'static, SharedKey>,
    pub(super) places: Places,
}

/// A key that outlives each of the certificates for it.
#[derive(Debug, Clone)]
pub(super) struct SharedKey(pub(super) Arc<PrivateKey>);

impl PublicKeyData for SharedKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&*self.0)
    }
}

impl SigningKey for SharedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl Generation {
    fn new(
        record: &GenerationRecord,
        upstream: &UpstreamRecord,
        key: &Arc<PrivateKey>,
        profile: &Profile,
    ) -> Result<Self, InitError> {
        let certificate = record.certificate.clone();
        let facts = Certificate::parse(&certificate).map_err(|_| InitError::NotACertificate)?;
        if key.subject_public_key_info() != facts.public_key_info {
            return Err(InitError::KeyDoesNotMatch(record.key_file.clone()));
        }
        let key = SharedKey(Arc::clone(key));
        let issuer = Issuer::from_ca_cert_der(&certificate.as_slice().into(), key)
            .map_err(|_| InitError::NotACertificate)?;
        Ok(Self {
            standing: record.standing(),
            certificate,
            issuers: record.issuers.clone(),
            anchors: record.anchors.clone(),
            validity: Validity::of(&facts),
            places: profile.places(&facts.key_id),
            revoked_at: (upstream.revoked == facts.serial).then_some(upstream.revoked_at),
            facts,
            issuer,
        })
    }

    /// Subject key identifier, lower-case hexadecimal.
    pub(crate) fn key_id(&self) -> &str {
        &self.facts.key_id
    }

    /// The trust anchor that is handed out (DER).
    pub(crate) fn trust_anchor(&self) -> &[u8] {
        self.anchors.first().unwrap_or(&self.certificate)
    }

    /// Whether it can certify roots: it is a trust anchor, with one more authority below it.
    pub(crate) fn certifies_roots(&self) -> bool {
        self.anchors.contains(&self.certificate)
    }

    /// That it can certify roots.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, with who can instead.
    pub(super) fn check_certifies_roots(&self) -> Result<()> {
        if self.certifies_roots() {
            return Ok(());
        }
        let message = "this root stands below another one: it certifies licensing servers and no roots; ask its upstream for a token";
        Err(Error::new(Reason::InvalidArgument, message))
    }

    /// Its certificate and every issuer below the anchor (DER); empty if it is the anchor.
    pub(crate) fn chain(&self) -> &[Vec<u8>] {
        if self.certifies_roots() { &[] } else { &self.issuers }
    }

    pub(super) fn issuer_facts(&self) -> IssuerFacts<'_> {
        IssuerFacts { places: &self.places, not_after: self.validity.not_after }
    }
}

/// All generations as they are at some time.
#[derive(Debug)]
pub(crate) struct Generations {
    pub(super) record: Versioned<AuthoritiesRecord>,
    pub(super) keys: HashMap<String, Arc<PrivateKey>>,
    /// Those that have a certificate, the oldest first.
    certified: Vec<Arc<Generation>>,
    active: Option<Arc<Generation>>,
    /// Anchors of those in the trust bundle (DER), and when they expire (seconds since 1970).
    anchors: Vec<(Vec<u8>, i64)>,
}

impl Generations {
    /// Puts together what is recorded. `keys` has the key of every generation, by key identifier.
    pub(super) fn new(
        record: Versioned<AuthoritiesRecord>,
        keys: HashMap<String, Arc<PrivateKey>>,
        profile: &Profile,
    ) -> Result<Self, InitError> {
        let mut certified = Vec::new();
        for generation in &record.record.generations {
            if let Some(key) = keys.get(&generation.key_id)
                && !generation.certificate.is_empty()
            {
                certified.push(Arc::new(Generation::new(generation, &record.record.upstream, key, profile)?));
            }
        }
        let active = certified.iter().find(|generation| generation.standing == Standing::Active).cloned();
        let mut generations = Self { record, keys, certified, active, anchors: Vec::new() };
        generations.anchors = generations.bundled();
        Ok(generations)
    }

    /// What is recorded of them.
    pub(crate) fn record(&self) -> &AuthoritiesRecord {
        &self.record.record
    }

    /// The one that issues, if there is one.
    pub(crate) fn active(&self) -> Option<&Arc<Generation>> {
        self.active.as_ref()
    }

    /// Those that have a certificate, the oldest first.
    pub(crate) fn certified(&self) -> &[Arc<Generation>] {
        &self.certified
    }

    /// The one with this subject key identifier.
    pub(crate) fn of_key(&self, key_id: &str) -> Option<&Arc<Generation>> {
        self.certified.iter().find(|generation| generation.key_id() == key_id)
    }

    /// Those in the trust bundle, the one that issues first.
    pub(crate) fn in_bundle(&self) -> impl Iterator<Item = &Arc<Generation>> {
        let others = self
            .certified
            .iter()
            .rev()
            .filter(|generation| matches!(generation.standing, Standing::Prepared | Standing::Former));
        self.active.iter().chain(others)
    }

    /// The trust anchors in force at `now` (DER), that of the one that issues first. If none is in force, those that were.
    pub(crate) fn trust_anchors(&self, now: SystemTime) -> Vec<Vec<u8>> {
        let now = unix_seconds(now);
        let some = self.anchors.iter().any(|(_, not_after)| now < *not_after);
        let in_force = self.anchors.iter().filter(|(_, not_after)| !some || now < *not_after);
        in_force.map(|(anchor, _)| anchor.clone()).collect()
    }

    fn bundled(&self) -> Vec<(Vec<u8>, i64)> {
        let mut anchors: Vec<(Vec<u8>, i64)> = Vec::new();
        for anchor in self.in_bundle().flat_map(|generation| &generation.anchors) {
            if anchors.iter().all(|(known, _)| known != anchor)
                && let Ok(facts) = Certificate::parse(anchor)
            {
                anchors.push((anchor.clone(), facts.not_after));
            }
        }
        anchors
    }

    /// Those whose certificate has not expired at `now`, whether they issue or not: they sign what is to be believed of
    /// their time. At least the one that issues.
    pub(crate) fn signers(&self, now: SystemTime) -> impl Iterator<Item = &Arc<Generation>> {
        let others = self.certified.iter().filter(move |generation| {
            !matches!(generation.standing, Standing::Active | Standing::Prepared)
                && now < generation.validity.not_after
        });
        self.active.iter().chain(others)
    }
}
