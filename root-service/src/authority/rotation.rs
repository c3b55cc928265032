//! The life of the authority's own certificates: renewal with the same key, and the exchange of the key in three steps,
//! each of which is one commit. Prepared: the next authority is in the trust bundle. Activated: it issues, and the former
//! one still verifies. Retired: the former one is in the trust bundle no more.

use std::sync::Arc;

use licensor::{
    clock::{rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    expiry::Validity,
    key::PrivateKey,
};
use rcgen::PublicKeyData;
use verifier::{Certificate, certificate::hex};

use super::{
    Authority, Generation, Generations, Renovation,
    files::{self, InitError},
};
use crate::ledger::{AuthoritiesRecord, GenerationRecord, Standing, UpstreamKind, UpstreamRecord};

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
        active.certificate = certificate;
        active.set_standing(Standing::Active);
        let events = vec![told(kind, &active.certificate, by)?];
        record.upstream = UpstreamRecord { renewed_at: now, ..UpstreamRecord::default() };
        self.renovate(&generations, Renovation { record, key: None, events }).await?;
        self.active()
    }

    /// Takes a certificate that the upstream issued: of the one that issues, of its successor, or the first.
    pub(crate) async fn adopt(&self, certified: Certified, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        let Certified { key_id, certificate, issuers, anchors, upstream } = certified;
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

    /// The authority that is to follow: made if there is none. One whose certificate comes from an upstream waits for it.
    ///
    /// # Errors
    /// `ROTATION_UNDER_WAY` if it is there already, or the former one still is.
    pub(crate) async fn prepare_rotation(&self, by: &str) -> Result<GenerationRecord> {
        let _turn = self.turn.lock().await;
        let generations = self.generations();
        let former = self.active()?;
        let mut record = generations.record().clone();
        let under_way = |what: &str| Error::new(Reason::RotationUnderWay, what);
        for generation in &record.generations {
            match generation.standing() {
                Standing::Requested => return Ok(generation.clone()),
                Standing::Prepared => {
                    return Err(under_way(
                        "the next authority is prepared already: go on with `root-service authority rotate activate`",
                    ));
                }
                Standing::Former => {
                    return Err(under_way(
                        "the former authority is not retired yet: first run `root-service authority rotate retire`",
                    ));
                }
                Standing::Active | Standing::Retired => {}
            }
        }
        // What was retired long ago has nothing left to sign.
        let now = unix_seconds(self.clock.now());
        let over = |it: &GenerationRecord| {
            it.standing() == Standing::Retired
                && Certificate::parse(&it.certificate).is_ok_and(|facts| now >= facts.not_after)
        };
        let (gone, kept) = record.generations.into_iter().partition(over);
        record.generations = kept;
        let gone: Vec<GenerationRecord> = gone;
        let failed = |error: InitError| files_error(&error);
        let (key_file, key) = self.files.generate("authority").map_err(failed)?;
        let key = Arc::new(key);
        let key_id = hex(&files::key_id(key.der_bytes()));
        let mut generation = GenerationRecord {
            key_id: key_id.clone(),
            key_file: key_file.clone(),
            ..GenerationRecord::default().with(Standing::Requested)
        };
        let mut event = Event::new(EventKind::RotationRequested).by(by).argument("key_id", &key_id);
        if record.upstream.kind() == UpstreamKind::SelfSigned {
            generation.certificate = self.self_sign(&key)?;
            generation.anchors = vec![generation.certificate.clone()];
            // Whoever knows the former authority alone gets from there to what the next one issues.
            generation.issuers = vec![self.cross_certify(&former, &key)?];
            generation.set_standing(Standing::Prepared);
            event = told(EventKind::RotationPrepared, &generation.certificate, by)?;
        }
        record.generations.push(generation.clone());
        let change = Renovation { record, key: Some((key_id, key)), events: vec![event] };
        match self.renovate(&generations, change).await {
            Ok(_) => {
                gone.iter().for_each(|gone| self.files.remove(&gone.key_file));
                Ok(generation)
            }
            Err(error) => {
                self.files.remove(&key_file);
                Err(error)
            }
        }
    }

    /// Lets the prepared authority issue.
    ///
    /// # Errors
    /// `ROTATION_NOT_PREPARED`.
    pub(crate) async fn activate_rotation(&self, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        let generations = self.generations();
        let mut record = generations.record().clone();
        let Some(next) = record.generations.iter().position(|it| it.standing() == Standing::Prepared) else {
            let message = "there is no authority that could take over: first run `root-service authority rotate prepare`";
            return Err(Error::new(Reason::RotationNotPrepared, message));
        };
        let validity = Validity::of(
            &Certificate::parse(&record.generations[next].certificate).map_err(|_| missing("certificate"))?,
        );
        if self.clock.now() >= validity.not_after {
            let message = format!(
                "the prepared authority expired on {}: renew it first (`root-service authority renew`)",
                rfc3339(validity.not_after)
            );
            return Err(Error::new(Reason::AuthorityExpired, message));
        }
        for generation in &mut record.generations {
            if generation.standing() == Standing::Active {
                generation.set_standing(Standing::Former);
            }
        }
        record.generations[next].set_standing(Standing::Active);
        let events = vec![told(EventKind::RotationActivated, &record.generations[next].certificate, by)?];
        self.renovate(&generations, Renovation { record, key: None, events }).await?;
        self.active()
    }

    /// Takes the former authority out of the trust bundle.
    ///
    /// # Errors
    /// `AUTHORITY_IN_USE` while certificates of it are; `ROTATION_NOT_ACTIVE` if there is none.
    pub(crate) async fn retire(&self, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        let generations = self.generations();
        let mut record = generations.record().clone();
        let Some(former) = record.generations.iter_mut().find(|it| it.standing() == Standing::Former) else {
            let message = "there is no former authority: one becomes it when another is activated (`root-service authority rotate activate`)";
            return Err(Error::new(Reason::RotationNotActive, message));
        };
        let key_id = former.key_id.clone();
        let (count, names) = self.ledger.nodes_of(&key_id, unix_seconds(self.clock.now())).await?;
        if count > 0 {
            let (first, more) = (names.join(", "), count - names.len());
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!(
                "certificates of the authority {key_id} are in use by {first}{others}: have them renewed, or end them (`root-service nodes decommission`)"
            );
            return Err(Error::new(Reason::AuthorityInUse, message)
                .with("nodes", count.to_string())
                .with("first", first)
                .with("key_id", key_id));
        }
        former.set_standing(Standing::Retired);
        let events = vec![told(EventKind::AuthorityRetired, &former.certificate, by)?];
        let generations = self.renovate(&generations, Renovation { record, key: None, events }).await?;
        generations.of_key(&key_id).cloned().ok_or_else(|| missing(&key_id))
    }

    /// The key of a generation, for a request to the upstream.
    pub(crate) fn key_of(&self, key_id: &str) -> Result<Arc<PrivateKey>> {
        key_of(&self.generations(), key_id)
    }

    /// A server certificate that the generation with this key would issue under another certificate of its own (both DER):
    /// by it a stranger finds out whether that certificate holds.
    pub(crate) fn probe(&self, key_id: &str, certificate: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::internal("probe", error);
        let key = super::generation::SharedKey(self.key_of(key_id)?);
        let issuer =
            rcgen::Issuer::from_ca_cert_der(&certificate.into(), key).map_err(|error| failed(&error))?;
        let places = self.profile.places(key_id);
        let facts = crate::profile::IssuerFacts {
            places: &places,
            not_after: self.clock.now() + std::time::Duration::from_secs(60),
        };
        let names = ["probe.invalid".to_owned()];
        let params = self.profile.server("probe", &names, &[], facts, self.clock.now())?;
        let key = PrivateKey::generate(licensor::key::KeyAlgorithm::P256).map_err(|error| failed(&error))?;
        Ok(params.signed_by(&key, &issuer).map_err(|error| failed(&error))?.der().to_vec())
    }

    fn self_sign(&self, key: &PrivateKey) -> Result<Vec<u8>> {
        files::self_signed(&self.config, key, self.clock.now())
            .map_err(|error| Error::internal("anchor", error))
    }

    /// The certificate of another key by this generation (DER).
    fn cross_certify(&self, issuer: &Generation, key: &PrivateKey) -> Result<Vec<u8>> {
        let key_id = files::key_id(key.der_bytes());
        let organization = &self.config.organization;
        let params = self.profile.cross(organization, &key_id, issuer.issuer_facts(), self.clock.now())?;
        let certificate = params.signed_by(key, &issuer.issuer);
        certificate.map(|it| it.der().to_vec()).map_err(|error| Error::internal("cross certificate", error))
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
fn told(kind: EventKind, certificate: &[u8], by: &str) -> Result<Event> {
    let facts = Certificate::parse(certificate).map_err(|_| missing("certificate"))?;
    Ok(Event::new(kind)
        .about(&facts.serial, "")
        .by(by)
        .argument("holder", &facts.common_name)
        .argument("key_id", &facts.key_id)
        .until(Validity::of(&facts).not_after))
}

fn missing(what: &str) -> Error {
    Error::internal("authorities", format!("{what} is missing"))
}

/// A key file that cannot be written or read; what and why goes to the log.
pub(crate) fn files_error(error: &InitError) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "a key file cannot be used");
    let message = "a key file cannot be written or read, see the log of this service; nothing has changed";
    Error::new(Reason::StoreUnavailable, message)
}
