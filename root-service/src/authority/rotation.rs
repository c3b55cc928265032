//! The exchange of the authority's key in three steps, each of which is one commit. Prepared: the next authority is in the
//! trust bundle. Activated: it issues, and the former one still verifies. Retired: the former one is in the trust bundle no
//! more.

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
    Authority, Generation, Renovation, files,
    renewal::{files_error, missing, told},
};
use crate::ledger::{AuthoritiesRecord, GenerationRecord, Standing, UpstreamKind};

impl Authority {
    /// The authority that is to follow: made if there is none. One whose certificate comes from an upstream waits for it.
    ///
    /// # Errors
    /// `ROTATION_UNDER_WAY` if it is there already, or the former one still is.
    pub(crate) async fn prepare_rotation(&self, by: &str) -> Result<GenerationRecord> {
        let _turn = self.turn.lock().await;
        let generations = self.generations();
        let former = self.active()?;
        let mut record = generations.record().clone();
        let now = unix_seconds(self.clock.now());
        // A preparation that took so long that its outcome has expired begins anew, with the same key.
        let expired = |it: &GenerationRecord| {
            it.standing() == Standing::Prepared
                && Certificate::parse(&it.certificate).is_ok_and(|facts| now >= facts.not_after)
        };
        check_none_under_way(record.generations.iter().filter(|it| !expired(it)))?;
        let by_itself = record.upstream.kind() == UpstreamKind::SelfSigned;
        // One that was begun under another upstream, or waits for an answer, is gone on with.
        let waits = |it: &GenerationRecord| it.standing() == Standing::Requested;
        let begun = record.generations.iter().position(|it| waits(it) || expired(it));
        let (mut next, key, new) = match begun {
            Some(position) if !by_itself && waits(&record.generations[position]) => {
                return Ok(record.generations[position].clone());
            }
            Some(position) => {
                let next = record.generations.remove(position).with(Standing::Requested);
                let key = self.key_of(&next.key_id)?;
                (next, key, None)
            }
            None => {
                let (key_file, key) =
                    self.files.generate("authority").map_err(|error| files_error(&error))?;
                let (key_id, key) = (hex(&files::key_id(key.der_bytes())), Arc::new(key));
                let next =
                    GenerationRecord { key_id: key_id.clone(), key_file, ..GenerationRecord::default() };
                (next.with(Standing::Requested), Arc::clone(&key), Some((key_id, key)))
            }
        };
        let mut event = Event::new(EventKind::RotationRequested).by(by).argument("key_id", &next.key_id);
        if by_itself {
            next.certificate = self.self_sign(&key)?;
            next.anchors = vec![next.certificate.clone()];
            // Whoever knows the former authority alone gets from there to what the next one issues.
            next.issuers = vec![self.cross_certify(&former, &key)?];
            next.set_standing(Standing::Prepared);
            let cross = next.issuers.first().and_then(|der| Certificate::parse(der).ok());
            event = told(EventKind::RotationPrepared, &next.certificate, by)?
                .argument("cross_certificate", cross.map(|cross| cross.serial).unwrap_or_default());
        }
        let gone = self.forget_expired(&mut record);
        record.generations.push(next.clone());
        // If this fails the key stays on the disk: whether it is recorded may not be known.
        self.renovate(&generations, Renovation { record, key: new, events: vec![event] }).await?;
        gone.iter().for_each(|gone| self.files.remove(&gone.key_file));
        Ok(next)
    }

    /// Takes those out of the record that were retired and have expired since: they have nothing left to sign.
    fn forget_expired(&self, record: &mut AuthoritiesRecord) -> Vec<GenerationRecord> {
        let now = unix_seconds(self.clock.now());
        let over = |it: &GenerationRecord| {
            it.standing() == Standing::Retired
                && Certificate::parse(&it.certificate).is_ok_and(|facts| now >= facts.not_after)
        };
        let (gone, kept) = std::mem::take(&mut record.generations).into_iter().partition(over);
        record.generations = kept;
        gone
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
                "the prepared authority expired on {}: have it certified anew (`root-service authority rotate prepare`)",
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
        let now = unix_seconds(self.clock.now());
        let (count, names) =
            self.ledger.nodes_with(now, |_, certificate| certificate.issuer_key_id == key_id).await?;
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

    /// The certificate of another key by this generation (DER).
    fn cross_certify(&self, issuer: &Generation, key: &PrivateKey) -> Result<Vec<u8>> {
        let key_id = files::key_id(key.der_bytes());
        let organization = &self.config.organization;
        let params = self.profile.cross(organization, &key_id, issuer.issuer_facts(), self.clock.now())?;
        let certificate = params.signed_by(key, &issuer.issuer);
        certificate.map(|it| it.der().to_vec()).map_err(|error| Error::internal("cross certificate", error))
    }
}

/// That no exchange of the key is half done.
///
/// # Errors
/// `ROTATION_UNDER_WAY`, with what is to be done first.
fn check_none_under_way<'a>(mut generations: impl Iterator<Item = &'a GenerationRecord>) -> Result<()> {
    let problem = generations.find_map(|generation| match generation.standing() {
        Standing::Prepared => Some(
            "the next authority is prepared already: go on with `root-service authority rotate activate`",
        ),
        Standing::Former => {
            Some("the former authority is not retired yet: first run `root-service authority rotate retire`")
        }
        _ => None,
    });
    problem.map_or(Ok(()), |problem| Err(Error::new(Reason::RotationUnderWay, problem)))
}
