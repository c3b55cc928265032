//! The authority's own certificates: renewed by itself, or taken from an upstream; always with the same key and name.

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    expiry::Validity,
    key::{KeyAlgorithm, PrivateKey},
};
use verifier::Certificate;

use super::{
    Authority, Generation, Generations, Renovation,
    files::{self, InitError},
    generation::SharedKey,
};
use crate::{
    ledger::{AuthoritiesRecord, Standing, UpstreamRecord},
    profile::IssuerFacts,
};

/// Self-signed certificates of one key that are handed out: whoever pins an earlier one needs another token.
const ANCHORS: usize = 4;

/// A certificate of the authority that an upstream issued, after every check.
#[derive(Debug)]
pub(crate) struct Certified {
    /// Subject key identifier of the generation that it is for.
    pub(crate) key_id: String,
    /// The certificate (DER).
    pub(crate) certificate: Vec<u8>,
    /// It and every issuer below the anchor (DER).
    pub(crate) issuers: Vec<Vec<u8>>,
    /// The upstream's trust anchors (DER).
    pub(crate) anchors: Vec<Vec<u8>>,
    /// When to ask for the next one, seconds since 1970.
    pub(crate) renew_at: i64,
    /// What is recorded of the upstream from now on.
    pub(crate) upstream: UpstreamRecord,
}

impl Authority {
    /// Renews the self-signed certificate, with the same key. The former one stays in the trust bundle until it expires.
    pub(crate) async fn renew_anchor(&self, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        let generations = self.generations();
        let mut record = generations.record().clone();
        let active = record
            .generations
            .iter_mut()
            .find(|it| it.standing() != Standing::Retired && it.standing() != Standing::Former);
        let active = active.ok_or_else(|| missing("generation"))?;
        let key = key_of(&generations, &active.key_id)?;
        let certificate = self.self_sign(&key)?;
        let kind = match active.standing() {
            Standing::Requested => EventKind::AuthorityCreated,
            _ => EventKind::AuthorityRenewed,
        };
        check_same_subject(&generations, &active.key_id, &certificate)?;
        // Who knows this authority by a former certificate goes on to do so until that one expires.
        let now = unix_seconds(self.clock.now());
        let key_id = active.key_id.clone();
        let own = |der: &Vec<u8>| {
            Certificate::parse(der).is_ok_and(|own| own.key_id == key_id && now < own.not_after)
        };
        active.anchors.retain(own);
        active.issuers.retain(own);
        active.anchors.insert(0, certificate.clone());
        // All of them go along in every handshake.
        active.anchors.truncate(ANCHORS);
        active.certificate = certificate;
        active.renew_at = 0;
        active.set_standing(Standing::Active);
        let events = vec![told(kind, &active.certificate, by)?];
        let upstream = UpstreamRecord { renewed_at: now, ..UpstreamRecord::default() };
        let former = std::mem::replace(&mut record.upstream, upstream);
        self.renovate(&generations, Renovation { record, key: None, events }).await?;
        // What this root authenticated with to an upstream is of no more use.
        let keys =
            former.pending.into_iter().map(|pending| pending.identity_key).chain([former.identity_key]);
        keys.filter(|key| !key.is_empty()).for_each(|key| self.files.remove(&key));
        self.active()
    }

    /// Takes a certificate that the upstream issued: of the one that issues, of its successor, or the first.
    pub(crate) async fn adopt(&self, certified: Certified, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        let Certified { key_id, certificate, issuers, anchors, renew_at, upstream } = certified;
        let generations = self.generations();
        check_same_subject(&generations, &key_id, &certificate)?;
        let mut record = generations.record().clone();
        let begun = record.generations.iter().all(|it| it.standing() != Standing::Active);
        let generation = record.generations.iter_mut().find(|it| it.key_id == key_id);
        let generation = generation.ok_or_else(|| missing(&key_id))?;
        let mut kind = EventKind::AuthorityRenewed;
        if generation.standing() == Standing::Requested {
            kind = if begun { EventKind::AuthorityCreated } else { EventKind::RotationPrepared };
            generation.set_standing(if begun { Standing::Active } else { Standing::Prepared });
        }
        // Who knows this authority by itself goes on to do so until that certificate expires.
        let now = unix_seconds(self.clock.now());
        let own = generation.anchors.iter().filter(|der| {
            Certificate::parse(der).is_ok_and(|anchor| anchor.key_id == key_id && now < anchor.not_after)
        });
        generation.anchors = anchors.iter().chain(own).cloned().collect();
        generation.issuers = issuers;
        generation.certificate = certificate;
        generation.renew_at = renew_at;
        let events = vec![told(kind, &generation.certificate, by)?];
        record.upstream = upstream;
        let generations = self.renovate(&generations, Renovation { record, key: None, events }).await?;
        generations.of_key(&key_id).cloned().ok_or_else(|| missing(&key_id))
    }

    /// Changes what is recorded of the upstream.
    pub(crate) async fn change_upstream(
        &self,
        change: impl FnOnce(&mut AuthoritiesRecord),
        events: Vec<Event>,
    ) -> Result<Arc<Generations>> {
        let _turn = self.turn.lock().await;
        let generations = self.generations();
        let mut record = generations.record().clone();
        change(&mut record);
        if record == *generations.record() && events.is_empty() {
            return Ok(generations);
        }
        self.renovate(&generations, Renovation { record, key: None, events }).await
    }

    /// The key of a generation, for a request to the upstream.
    pub(crate) fn key_of(&self, key_id: &str) -> Result<Arc<PrivateKey>> {
        key_of(&self.generations(), key_id)
    }

    /// A server certificate that the generation with this key would issue under another certificate of its own (both DER):
    /// by it a stranger finds out whether that certificate holds.
    pub(crate) fn probe(&self, key_id: &str, certificate: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::internal("probe", error);
        let key = SharedKey(self.key_of(key_id)?);
        let issuer =
            rcgen::Issuer::from_ca_cert_der(&certificate.into(), key).map_err(|error| failed(&error))?;
        let places = self.profile.places(key_id);
        let facts = IssuerFacts { places: &places, not_after: self.clock.now() + Duration::from_secs(60) };
        let names = ["probe.invalid".to_owned()];
        let params = self.profile.server("probe", &names, &[], facts, self.clock.now())?;
        let key = PrivateKey::generate(KeyAlgorithm::P256).map_err(|error| failed(&error))?;
        Ok(params.signed_by(&key, &issuer).map_err(|error| failed(&error))?.der().to_vec())
    }

    pub(super) fn self_sign(&self, key: &PrivateKey) -> Result<Vec<u8>> {
        files::self_signed(&self.config, key, self.clock.now())
            .map_err(|error| Error::internal("anchor", error))
    }
}

/// That a key keeps its name: what was issued under it says who issued it.
fn check_same_subject(generations: &Generations, key_id: &str, certificate: &[u8]) -> Result<()> {
    let Some(former) = generations.of_key(key_id) else { return Ok(()) };
    let subject = Certificate::parse(certificate).map_err(|_| missing("certificate"))?.subject;
    if subject == former.facts.subject {
        return Ok(());
    }
    let message = format!(
        "the certificate is for `{subject}`, and this authority is `{}`: what it has issued would lead nowhere; have the token made for the owner `{}`; nothing has changed",
        former.facts.subject, former.facts.organization
    );
    Err(Error::new(Reason::CredentialInvalid, message))
}

fn key_of(generations: &Generations, key_id: &str) -> Result<Arc<PrivateKey>> {
    generations.keys.get(key_id).cloned().ok_or_else(|| missing(key_id))
}

/// An event about a certificate of the authority.
pub(super) fn told(kind: EventKind, certificate: &[u8], by: &str) -> Result<Event> {
    let facts = Certificate::parse(certificate).map_err(|_| missing("certificate"))?;
    Ok(Event::new(kind)
        .about(&facts.serial, "")
        .by(by)
        .argument("holder", &facts.common_name)
        .argument("key_id", &facts.key_id)
        .until(Validity::of(&facts).not_after))
}

pub(super) fn missing(what: &str) -> Error {
    Error::internal("authorities", format!("{what} is missing"))
}

/// A key file that cannot be written or read; what and why goes to the log.
pub(crate) fn files_error(error: &InitError) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "a key file cannot be used");
    let message = "a key file cannot be written or read, see the log of this service; nothing has changed";
    Error::new(Reason::StoreUnavailable, message)
}
