//! What a root answered, over the network or by a file: checked as a stranger would check it, kept, and then used.

use std::{sync::Arc, time::SystemTime};

use licensor::{
    clock::{from_timestamp, unix_seconds},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::sha256,
};
use proto::certification::v1::{EnrollResponse, RenewResponse, RenewalWindow};

use super::{Renewal, checkpoint::RolledBack};
use crate::{
    credential::{Credential, Issuance, Keys, instant_in},
    ledger::{CredentialRecord, KeyNames},
};

/// An answer that stood up to every check.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) credential: Credential,
    checkpoint: String,
    list_number: u64,
}

/// What a checked answer becomes.
#[derive(Debug)]
pub(super) struct Purpose {
    /// Names of the keys that were asked with.
    pub(super) keys: KeyNames,
    /// Identifier of the token with which this line of certificates began, hexadecimal.
    pub(super) token: String,
    /// The event that tells of it.
    pub(super) kind: EventKind,
    /// Who asked for it.
    pub(super) by: String,
}

/// Checks the answer of an enrolment: it leads to the trust anchor with this SHA-256.
pub(super) fn check_enrollment(
    answer: EnrollResponse,
    keys: Arc<Keys>,
    fingerprint: &[u8],
    now: SystemTime,
) -> Result<Checked> {
    let anchors = answer.trust_bundle.iter().flat_map(|bundle| &bundle.trust_anchors);
    let trusted: Vec<_> = anchors.filter(|anchor| sha256(anchor) == fingerprint).cloned().collect();
    check(as_renewal(answer), keys, &trusted, now)
}

/// Checks the answer of a renewal of `former`: it is for the same server, and leads to an anchor of `former`.
pub(super) fn check_renewal(
    answer: RenewResponse,
    keys: Arc<Keys>,
    former: &Credential,
    now: SystemTime,
) -> Result<Checked> {
    let checked = check(answer, keys, &former.issuance.anchors, now)?;
    if checked.credential.spiffe_id != former.spiffe_id {
        return Err(Error::new(
            Reason::CredentialInvalid,
            format!(
                "the root answered with a certificate for {}: the credential in use is kept",
                checked.credential.spiffe_id
            ),
        ));
    }
    Ok(checked)
}

fn check(answer: RenewResponse, keys: Arc<Keys>, trusted: &[Vec<u8>], now: SystemTime) -> Result<Checked> {
    let issuance = Issuance {
        licensor: answer.licensor_certificate,
        server: answer.server_certificate,
        issuers: answer.issuers,
        anchors: answer.trust_bundle.unwrap_or_default().trust_anchors,
        renew_at: chosen_instant(answer.renewal_window)?,
        keys,
    };
    let credential = Credential::check(issuance, trusted, now)?;
    Ok(Checked {
        credential,
        checkpoint: answer.audit_checkpoint,
        list_number: answer.revocation_list_number,
    })
}

/// The answer of an enrolment has what that of a renewal has.
fn as_renewal(answer: EnrollResponse) -> RenewResponse {
    RenewResponse {
        licensor_certificate: answer.licensor_certificate,
        server_certificate: answer.server_certificate,
        issuers: answer.issuers,
        trust_bundle: answer.trust_bundle,
        renewal_window: answer.renewal_window,
        revocation_list_number: answer.revocation_list_number,
        audit_checkpoint: answer.audit_checkpoint,
        authority_certificate: answer.authority_certificate,
        renewal_address: answer.renewal_address,
    }
}

fn chosen_instant(window: Option<RenewalWindow>) -> Result<SystemTime> {
    let window = window.and_then(|window| Some((from_timestamp(window.start)?, from_timestamp(window.end)?)));
    window.map(instant_in).ok_or_else(|| {
        Error::new(
            Reason::CredentialInvalid,
            "the root did not say when to renew: the credential in use is kept",
        )
    })
}

impl Renewal {
    /// Keeps a checked answer, then uses it.
    pub(super) async fn adopt(
        &self,
        turn: &mut Option<CredentialRecord>,
        checked: Checked,
        purpose: Purpose,
    ) -> Result<Arc<Credential>> {
        let Checked { credential, checkpoint, list_number } = checked;
        let Purpose { keys, token, kind, by } = purpose;
        self.note_checkpoint(&checkpoint, &credential).await;
        let Issuance { licensor, server, issuers, anchors, renew_at, .. } = &credential.issuance;
        let record = CredentialRecord {
            licensor: licensor.clone(),
            server: server.clone(),
            issuers: issuers.clone(),
            anchors: anchors.clone(),
            renew_at: unix_seconds(*renew_at),
            keys,
            token,
        };
        let former = self.current.borrow().clone();
        let now = self.clock.now();
        let former = former.as_deref().map(Credential::holder);
        let (holder, former) = (credential.holder(), former.as_ref());
        self.ledger.adopt(&record, &holder, former, (kind, &by), now).await?;
        let credential = self.put_to_use(turn, credential, record);
        self.list_number.send_replace(list_number);
        self.metrics.set_not_after(credential.validity.not_after);
        if kind == EventKind::CertificateRenewed {
            self.metrics.set_last_renewal(now);
        }
        self.tidy_keys().await;
        Ok(credential)
    }

    /// Lets everyone have a credential that the ledger has.
    pub(super) fn put_to_use(
        &self,
        turn: &mut Option<CredentialRecord>,
        credential: Credential,
        record: CredentialRecord,
    ) -> Arc<Credential> {
        let credential = Arc::new(credential);
        self.current.send_replace(Some(Arc::clone(&credential)));
        if let Err(error) = self.keys.export(&credential.issuance) {
            tracing::warn!(%error, "the certificates in the data directory could not be written; a restart writes them");
        }
        *turn = Some(record);
        credential
    }

    /// Keeps the checkpoint of the root's log; people are told if that log went back.
    async fn note_checkpoint(&self, note: &str, credential: &Credential) {
        let Some(RolledBack { seen, now }) = self.seen.note(note, &credential.issuance) else { return };
        let event = Event::new(EventKind::RootWentBack)
            .about(&credential.facts.serial, credential.node())
            .argument("seen", seen.to_string())
            .argument("now", now.to_string());
        if let Err(error) = self.ledger.events().raise(event).await {
            tracing::error!(%error, seen, now, "the root's audit log went back, and the event could not be kept");
        }
    }
}
