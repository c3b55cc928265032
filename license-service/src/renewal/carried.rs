//! Enrolment and renewal by files that are carried, where no network leads to the root.

use std::{sync::Arc, time::SystemTime};

use licensor::{
    carried::{ReadAnswer, read_answer, write_call},
    clock::{timestamp, unix_seconds},
    error::{Error, Reason, Result},
    event::EventKind,
    key::PrivateKey,
    token::EnrollmentToken,
};
use proto::certification::v1::{CarriedCall, carried_answer::Answer, carried_call::Call};
use verifier::{certificate::hex, verify_licensor_chain};

use super::{
    Renewal,
    answer::{Checked, Purpose, check_enrollment, check_renewal},
    enroll_request, key_store,
    online::nothing_to_renew,
    renew_request, to_its_end,
};
use crate::{
    credential::{Credential, Issuance},
    ledger::{CredentialRecord, Exported, ExportedEnrollment, ExportedRecord, KeyNames},
};

impl Renewal {
    /// Makes the file with a request: an enrolment with the token, or a renewal if `token` is empty. Its keys are those
    /// that an attempt over the network would ask with: whichever answer comes, it is the same certificate.
    pub(crate) async fn export(self: &Arc<Self>, token: &str, same_key: bool) -> Result<String> {
        let (this, token) = (Arc::clone(self), token.to_owned());
        to_its_end(async move {
            let turn = this.turn.lock().await;
            if token.is_empty() {
                this.export_renewal(turn.as_ref(), same_key).await
            } else if same_key {
                let message = "an enrolment has new keys: leave out the token, or `same_key`";
                Err(Error::new(Reason::InvalidArgument, message))
            } else {
                this.export_enrollment(turn.as_ref(), &token).await
            }
        })
        .await
    }

    async fn export_enrollment(&self, current: Option<&CredentialRecord>, text: &str) -> Result<String> {
        let token = EnrollmentToken::parse(text)?;
        let token_id = hex(&token.id);
        if current.is_some_and(|record| record.token == token_id) {
            let message = "this server was enrolled with this very token already: renew its certificate (`license-service export-request` without a token), or ask for a new token";
            return Err(Error::new(Reason::TokenAlreadyUsed, message));
        }
        let (names, keys) = self.pending_keys(&format!("enroll/{token_id}"), None).await?;
        let call = Call::Enroll(enroll_request(text, &keys)?);
        let asked = ExportedEnrollment { token: token_id, fingerprint: token.trust_anchor_sha256 };
        self.write_request(call, Vec::new(), &keys.licensor, (names, Exported::Enrollment(asked))).await
    }

    async fn export_renewal(&self, current: Option<&CredentialRecord>, same_key: bool) -> Result<String> {
        let former = self.current.borrow().clone();
        let (Some(former), Some(record)) = (former, current) else { return Err(nothing_to_renew()) };
        let serial = former.facts.serial.clone();
        let kept = same_key.then_some(record.keys.licensor.as_str());
        let (names, keys) = self.pending_keys(&format!("renew/{serial}"), kept).await?;
        let call = Call::Renew(renew_request(&keys)?);
        let Issuance { licensor, keys: own, .. } = &former.issuance;
        self.write_request(call, licensor.clone(), &own.licensor, (names, Exported::Renewal(serial))).await
    }

    async fn write_request(
        &self,
        call: Call,
        client_certificate: Vec<u8>,
        signer: &PrivateKey,
        (keys, request): (KeyNames, Exported),
    ) -> Result<String> {
        let create_time = Some(timestamp(self.clock.now()));
        let call = CarriedCall { create_time, call: Some(call), client_certificate };
        let (text, digest) = write_call(&call, signer)?;
        let record = ExportedRecord { digest: digest.to_vec(), keys, request: Some(request) };
        self.ledger.keep_exported(&record).await?;
        Ok(text)
    }

    /// Takes the answer to the newest request that was exported. Nothing of it is kept before all of it was checked.
    pub(crate) async fn import(self: &Arc<Self>, text: &str, by: &str) -> Result<Arc<Credential>> {
        let answer = read_answer(text)?;
        let (this, by) = (Arc::clone(self), by.to_owned());
        to_its_end(async move {
            let mut turn = this.turn.lock().await;
            let (checked, purpose) = this.check_answer(turn.as_ref(), &answer, by).await?;
            let outcomes = match purpose.kind {
                EventKind::NodeEnrolled => &this.metrics.enrollments,
                _ => &this.metrics.renewals,
            };
            let credential = this.adopt(&mut turn, checked, purpose).await?;
            outcomes.ok();
            Ok(credential)
        })
        .await
    }

    async fn check_answer(
        &self,
        current: Option<&CredentialRecord>,
        read: &ReadAnswer,
        by: String,
    ) -> Result<(Checked, Purpose)> {
        // 1. It is the answer to what was asked for last, and is still wanted.
        let Some(ExportedRecord { digest, keys: names, request: Some(request) }) =
            self.ledger.exported().await?
        else {
            return Err(another_request(
                "no request waits for an answer here: it was imported already, or this server got its certificate in another way meanwhile",
            ));
        };
        read.check_answers(&digest)?;
        let keys = || self.keys.load(&names).map_err(|error| key_store::unusable(&error));
        let now = self.clock.now();
        // 2. What is in it stands up to the checks of a stranger.
        let (checked, token, kind) = match (request, read.answer.answer.clone()) {
            (Exported::Enrollment(asked), Some(Answer::Enroll(answer))) => {
                let checked = check_enrollment(answer, keys()?, &asked.fingerprint, now)?;
                (checked, asked.token, EventKind::NodeEnrolled)
            }
            (Exported::Renewal(serial), Some(Answer::Renew(answer))) => {
                let former = self.current.borrow().clone();
                let former = former.filter(|former| former.facts.serial == serial);
                let (Some(former), Some(record)) = (former, current) else {
                    return Err(another_request("this server was renewed in another way meanwhile"));
                };
                let checked = check_renewal(answer, keys()?, &former, now)?;
                (checked, record.token.clone(), EventKind::CertificateRenewed)
            }
            _ => return Err(another_request("the answer is of another kind than the request")),
        };
        // 3. The authority that issued the certificate signed all of it.
        read.check_signature(issuer(&checked.credential, now)?)?;
        Ok((checked, Purpose { keys: names, token, kind, by }))
    }
}

/// The certificate of the authority that signed the licensor certificate. Its key identifier alone would not do: anyone
/// can write that into a certificate.
fn issuer(credential: &Credential, now: SystemTime) -> Result<&[u8]> {
    let Issuance { licensor, issuers, anchors, .. } = &credential.issuance;
    let now = unix_seconds(now);
    let signed_it = |candidate: &&Vec<u8>| {
        verify_licensor_chain(licensor, &[], std::slice::from_ref(*candidate), now).is_ok()
    };
    issuers.iter().chain(anchors).find(signed_it).map(Vec::as_slice).ok_or_else(|| {
        let message = "the answer cannot be used: the certificate of the authority that issued what is in it is missing; nothing has changed";
        Error::new(Reason::CarriedFileInvalid, message)
    })
}

fn another_request(problem: &str) -> Error {
    let message = format!(
        "{problem}; see `license-service status`, and export a new request if a new certificate is wanted; nothing has changed"
    );
    Error::new(Reason::AnswerToAnotherRequest, message)
}

#[cfg(test)]
mod tests;
