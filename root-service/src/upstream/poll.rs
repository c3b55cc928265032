//! What the upstream says of itself, its trust bundle, and of this root: whether its certificate was revoked.

use std::sync::{PoisonError, atomic::Ordering};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    root_client,
};
use proto::certification::v1::{
    GetRevocationListRequest, GetTrustBundleRequest, TrustBundle,
    certification_service_client::CertificationServiceClient,
};
use tonic::transport::Channel;
use verifier::{Certificate, RevocationList, revocation::reason_name};

use super::{Upstream, wanted};
use crate::ledger::{AuthoritiesRecord, Standing, UpstreamRecord};

/// A list of this many octets is taken at most.
const LARGEST: usize = 64 << 20;

impl Upstream {
    /// Looks what the upstream says of itself and of this root.
    pub(super) async fn poll(&self, record: &UpstreamRecord) -> Result<()> {
        let mut root = self.connect(record).await?;
        let answer = root.get_trust_bundle(GetTrustBundleRequest {}).await;
        let answer = answer.map_err(|status| root_client::call_error(&record.address, status))?;
        let taken = self.take_bundle(record, answer.into_inner().trust_bundle.unwrap_or_default()).await;
        self.look_for_revocation(record, root).await?;
        taken
    }

    /// Takes the trust bundle of the upstream, if what this authority issues is still believed by it.
    async fn take_bundle(&self, record: &UpstreamRecord, bundle: TrustBundle) -> Result<()> {
        // Another authority of the upstream issues now: what it issues lives on when the former one is retired.
        let issuing = bundle.issuers.first().map(|issuer| issuer.key_id.clone()).unwrap_or_default();
        let generations = self.authority.generations();
        let outdated = generations.active().is_some_and(|active| active.facts.issuer_key_id != issuing);
        self.outdated.store(outdated && !issuing.is_empty(), Ordering::Relaxed);
        if bundle.trust_anchors == record.anchors {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let generations = self.authority.generations();
        let now = self.authority.now();
        let Some(active) = generations.active() else { return Ok(()) };
        if wanted(generations.record()).as_deref() != Some(active.key_id())
            || generations.record().upstream != *record
        {
            // Something is under way: the next poll takes it.
            return Ok(());
        }
        let mut others = active.issuers.get(1..).unwrap_or_default().to_vec();
        others.extend(bundle.issuers.iter().flat_map(|issuer| issuer.certificates.iter().cloned()));
        let anchors = bundle.trust_anchors;
        let issuers = self.chain(active.key_id(), &active.certificate, &others, &anchors, now)?;
        let key_id = active.key_id().to_owned();
        let handed_out = self.leading_first(&key_id, &active.certificate, &issuers, anchors.clone());
        let seconds = unix_seconds(now);
        let change = |record: &mut AuthoritiesRecord| {
            record.upstream.anchors.clone_from(&anchors);
            for generation in &mut record.generations {
                if generation.standing() == Standing::Retired || generation.certificate.is_empty() {
                    continue;
                }
                let of_key = |der: &&Vec<u8>| {
                    Certificate::parse(der)
                        .is_ok_and(|own| own.key_id == generation.key_id && seconds < own.not_after)
                };
                let own: Vec<_> = generation.anchors.iter().filter(of_key).cloned().collect();
                generation.anchors = [handed_out.clone(), own].concat();
                if generation.key_id == key_id {
                    generation.issuers.clone_from(&issuers);
                }
            }
        };
        self.authority.change_upstream(change, Vec::new()).await?;
        tracing::info!("the trust bundle of the upstream has changed, and was taken over");
        Ok(())
    }

    /// Finds out whether the certificate of the one that issues is on the revocation list of its issuer, and keeps that it is.
    async fn look_for_revocation(
        &self,
        record: &UpstreamRecord,
        root: CertificationServiceClient<Channel>,
    ) -> Result<()> {
        let active = self.authority.active()?;
        let known = self.known_list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = GetRevocationListRequest {
            issuer_key_id: active.facts.issuer_key_id.clone(),
            // It was looked at for this certificate alone.
            known_number: if known.0 == active.facts.serial { known.1 } else { 0 },
        };
        let answer = root.max_decoding_message_size(LARGEST).get_revocation_list(request).await;
        let answer = answer.map_err(|status| root_client::call_error(&record.address, status))?.into_inner();
        if answer.revocation_list.is_empty() {
            return Ok(());
        }
        let issuers = [record.issuers.clone(), record.anchors.clone()].concat();
        let list = RevocationList::verify(&answer.revocation_list, &issuers).map_err(|error| {
            let message = format!("the revocation list of the upstream cannot be used: {error}");
            Error::new(Reason::RevocationListInvalid, message)
        })?;
        if let Some(revoked) = list.find_certificate(&active.facts)
            && active.revoked_at.is_none()
        {
            let event = Event::new(EventKind::CertificateRevoked)
                .about(&active.facts.serial, "")
                .argument("holder", &active.facts.common_name)
                .argument("certificate", &active.facts.serial)
                .argument("reason", reason_name(revoked.reason));
            let (serial, at) = (active.facts.serial.clone(), revoked.at);
            let change = |record: &mut AuthoritiesRecord| {
                record.upstream.revoked = serial;
                record.upstream.revoked_at = at;
            };
            self.authority.change_upstream(change, vec![event]).await?;
        }
        let known = (active.facts.serial.clone(), list.number);
        *self.known_list.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }
}
