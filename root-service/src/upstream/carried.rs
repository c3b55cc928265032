//! Requests to an upstream and its answers as files that are carried.

use std::sync::Arc;

use licensor::{
    carried::{read_answer, write_call},
    clock::timestamp,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    token::EnrollmentToken,
};
use proto::certification::v1::{
    CarriedCall, EnrollRequest, RenewRequest, carried_answer, carried_call::Call,
};
use verifier::certificate::hex;

use super::{
    Attempt, Repeat, Upstream,
    answer::{Answer, invalid},
    conversation::request_for,
    enrollment, renewal,
};
use crate::{
    authority::{Generation, files_error},
    ledger::UpstreamKind,
};

impl Upstream {
    /// The file with a request: an enrolment with a token, a renewal without.
    pub(crate) async fn export(&self, token: &str, by: &str) -> Result<String> {
        let _turn = self.turn.lock().await;
        let record = self.record();
        if record.kind() == UpstreamKind::SelfSigned {
            let message = "this root is its own trust anchor, and has no upstream: renew it with `root-service authority renew`, or first run `root-service authority upstream offline`";
            return Err(Error::new(Reason::UpstreamSelf, message));
        }
        let (attempt, call, key) = if token.is_empty() {
            let attempt = self.begin(renewal(&record.identity)?, None, Repeat::SameKey).await?;
            let request = RenewRequest {
                licensor_csr: request_for(&attempt.identity_key)?,
                server_csr: Vec::new(),
                authority_csr: request_for(&attempt.authority_key)?,
            };
            (attempt, Call::Renew(request), Some(self.identity_key(&record)?))
        } else {
            let parsed = EnrollmentToken::parse(token)?;
            let attempt = self.begin(enrollment(&parsed), Some(&parsed), Repeat::SameKey).await?;
            let request = EnrollRequest {
                token: token.trim().to_owned(),
                licensor_csr: request_for(&attempt.identity_key)?,
                server_csr: Vec::new(),
                authority_csr: request_for(&attempt.authority_key)?,
            };
            (attempt, Call::Enroll(request), None)
        };
        let renewed = key.is_some();
        let call = CarriedCall {
            create_time: Some(timestamp(self.authority.now())),
            call: Some(call),
            client_certificate: if renewed { record.identity } else { Vec::new() },
        };
        let (text, digest) = write_call(&call, key.as_ref().unwrap_or(&attempt.identity_key))?;
        let change = |record: &mut crate::ledger::AuthoritiesRecord| {
            for pending in &mut record.upstream.pending {
                if pending.identity_key == attempt.pending.identity_key {
                    pending.call_digest = digest.to_vec();
                } else if pending.purpose != attempt.pending.purpose {
                    pending.call_digest.clear();
                }
            }
        };
        let event = Event::new(EventKind::RequestExported)
            .by(by)
            .argument("key_id", &attempt.pending.key_id)
            .argument("request", hex(&digest));
        self.authority.change_upstream(change, vec![event]).await?;
        Ok(text)
    }

    /// Takes the answer to the newest request that was exported.
    pub(crate) async fn import(&self, text: &str, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        let record = self.record();
        let read = read_answer(text)?;
        // The newest request counts, and one for the same purpose with another key: its answer may have taken long.
        let exported = || record.pending.iter().rev().filter(|pending| !pending.call_digest.is_empty());
        let digest = &read.answer.call_digest;
        let pending = exported().find(|it| it.call_digest == *digest).or_else(|| exported().next()).cloned();
        let Some(pending) = pending else {
            let message = "no request of this root waits for an answer: it was answered already, or none was exported (`root-service authority export-request`)";
            return Err(Error::new(Reason::AnswerToAnotherRequest, message));
        };
        read.check_answers(&pending.call_digest)?;
        let (answer, trusted) = match read.answer.answer.clone() {
            Some(carried_answer::Answer::Enroll(answer)) => {
                let answer = Answer::from(answer);
                let trusted = answer.anchors_with(&pending.fingerprint);
                (answer, trusted)
            }
            Some(carried_answer::Answer::Renew(answer)) => (Answer::from(answer), record.anchors.clone()),
            None => (Answer::default(), Vec::new()),
        };
        let identity_key = self.authority.files().load(&pending.identity_key);
        let identity_key = identity_key.map_err(|error| files_error(&error))?;
        let authority_key = self.authority.key_of(&pending.key_id)?;
        let address = if pending.address.is_empty() { &record.address } else { &pending.address }.clone();
        let attempt = Attempt { pending, identity_key, authority_key };
        // Who signed counts once it is known that they may.
        let issuers = [answer.issuers.clone(), answer.anchors.clone()].concat();
        let certified = self.check(&attempt, answer, &trusted, record.kind(), &address)?;
        // Its key identifier alone would not do: anyone can write that into a certificate.
        let signed_it = |candidate: &&Vec<u8>| {
            let anchor = std::slice::from_ref(*candidate);
            let now = self.authority.now();
            self.chain(&certified.key_id, &certified.certificate, &[], anchor, now).is_ok()
        };
        let issuer = issuers.iter().find(signed_it).ok_or_else(|| invalid("it does not have its issuer"))?;
        read.check_signature(issuer)?;
        self.keep(certified, by).await
    }
}
