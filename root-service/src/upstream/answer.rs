//! What an upstream answered: checked as a stranger would check it before any of it is kept.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{from_timestamp, from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    expiry::Validity,
};
use proto::certification::v1::{EnrollResponse, RenewResponse, RenewalWindow};
use rcgen::PublicKeyData;
use verifier::{Certificate, verify_server_chain};

use super::{Attempt, Upstream};
use crate::{
    authority::{Certified, Generation},
    ledger::{UpstreamKind, UpstreamRecord},
};

/// What the answers to an enrolment and to a renewal have in common.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What this root authenticates with (DER).
    pub(super) identity: Vec<u8>,
    /// The certificate of its authority (DER).
    pub(super) authority: Vec<u8>,
    /// Issuers of both below the anchor (DER).
    pub(super) issuers: Vec<Vec<u8>>,
    /// Trust anchors (DER).
    pub(super) anchors: Vec<Vec<u8>>,
    window: Option<RenewalWindow>,
    /// `host:port` of the next renewal.
    address: String,
}

impl From<EnrollResponse> for Answer {
    fn from(answer: EnrollResponse) -> Self {
        Self {
            identity: answer.licensor_certificate,
            authority: answer.authority_certificate,
            issuers: answer.issuers,
            anchors: answer.trust_bundle.unwrap_or_default().trust_anchors,
            window: answer.renewal_window,
            address: answer.renewal_address,
        }
    }
}

impl From<RenewResponse> for Answer {
    fn from(answer: RenewResponse) -> Self {
        Self {
            identity: answer.licensor_certificate,
            authority: answer.authority_certificate,
            issuers: answer.issuers,
            anchors: answer.trust_bundle.unwrap_or_default().trust_anchors,
            window: answer.renewal_window,
            address: answer.renewal_address,
        }
    }
}

impl Upstream {
    /// Checks an answer to an attempt, against the anchors that were trusted before (DER).
    ///
    /// # Errors
    /// `CREDENTIAL_INVALID`, or `CERTIFICATE_NOT_YET_VALID` if this machine's clock is behind.
    pub(super) fn check(
        &self,
        attempt: &Attempt,
        answer: Answer,
        trusted: &[Vec<u8>],
        kind: UpstreamKind,
        address: &str,
    ) -> Result<Certified> {
        let authority = Certificate::parse(&answer.authority)
            .map_err(|_| invalid("it has no certificate of an authority"))?;
        if authority.public_key_info != attempt.authority_key.subject_public_key_info() {
            return Err(invalid("its certificate is for another key"));
        }
        let identity = Certificate::parse(&answer.identity).map_err(|_| invalid("it has no identity"))?;
        if identity.public_key_info != attempt.identity_key.subject_public_key_info()
            || identity.issuer_key_id != authority.issuer_key_id
        {
            return Err(invalid("its identity is for another key, or of another issuer"));
        }
        let own = format!("spiffe://{}", self.authority.trust_domain());
        if authority.spiffe_id.as_deref() != Some(own.as_str()) {
            return Err(invalid(&format!(
                "its certificate is for the trust domain `{}`: set `trust_domain` of this root to that one",
                authority.spiffe_id.unwrap_or_default().trim_start_matches("spiffe://")
            )));
        }
        let now = self.authority.now();
        check_dates(&authority, now)?;
        let issuers =
            self.chain(&attempt.pending.key_id, &answer.authority, &answer.issuers, trusted, now)?;
        self.chain(&attempt.pending.key_id, &answer.authority, &answer.issuers, &answer.anchors, now)?;
        let renew_at = renew_at(answer.window, &authority)?;
        let upstream = UpstreamRecord {
            kind: kind.into(),
            address: if answer.address.is_empty() { address.to_owned() } else { answer.address },
            identity: answer.identity,
            identity_key: attempt.pending.identity_key.clone(),
            issuers: answer.issuers,
            anchors: answer.anchors.clone(),
            pending: Vec::new(),
            renewed_at: unix_seconds(now),
            error: String::new(),
            reason: String::new(),
            revoked: String::new(),
            revoked_at: 0,
        };
        Ok(Certified {
            key_id: attempt.pending.key_id.clone(),
            certificate: answer.authority.clone(),
            anchors: self.leading_first(&attempt.pending.key_id, &answer.authority, &issuers, answer.anchors),
            issuers,
            renew_at: unix_seconds(renew_at),
            upstream,
        })
    }

    /// The shortest chain by which what the authority issues under this certificate leads to one of `anchors` (all DER): the
    /// certificate alone, or with the other issuers.
    ///
    /// # Errors
    /// `CREDENTIAL_INVALID` if none does.
    pub(super) fn chain(
        &self,
        key_id: &str,
        certificate: &[u8],
        others: &[Vec<u8>],
        anchors: &[Vec<u8>],
        now: SystemTime,
    ) -> Result<Vec<Vec<u8>>> {
        let probe = self.authority.probe(key_id, certificate)?;
        let alone = vec![certificate.to_vec()];
        let whole = [&alone[..], others].concat();
        let mut problem = String::new();
        for chain in [alone, whole] {
            match verify_server_chain(&probe, &chain, anchors, unix_seconds(now)) {
                Ok(_) => return Ok(chain),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(invalid(&problem))
    }

    /// Trust anchors with those first to which what the authority issues leads under this certificate, with these issuers (all
    /// DER): one of them is handed out.
    pub(super) fn leading_first(
        &self,
        key_id: &str,
        certificate: &[u8],
        issuers: &[Vec<u8>],
        anchors: Vec<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        let now = self.authority.now();
        let others = issuers.get(1..).unwrap_or_default();
        let leads = |anchor: &Vec<u8>| {
            self.chain(key_id, certificate, others, std::slice::from_ref(anchor), now).is_ok()
        };
        let (leading, rest): (Vec<_>, Vec<_>) = anchors.into_iter().partition(leads);
        [leading, rest].concat()
    }

    /// Keeps what was checked, and uses it.
    pub(super) async fn keep(&self, certified: Certified, by: &str) -> Result<Arc<Generation>> {
        let former = self.record();
        let kept = certified.upstream.identity_key.clone();
        let generation = self.authority.adopt(certified, by).await?;
        let keys =
            former.pending.into_iter().map(|pending| pending.identity_key).chain([former.identity_key]);
        for key in keys.filter(|key| !key.is_empty() && *key != kept) {
            self.authority.files().remove(&key);
        }
        Ok(generation)
    }
}

fn check_dates(authority: &Certificate, now: SystemTime) -> Result<()> {
    let Validity { not_before, not_after, .. } = Validity::of(authority);
    if now < not_before {
        let message = format!(
            "the certificate of the upstream is valid from {} on, and the clock of this machine says {}: set the clock and try again; nothing is lost",
            rfc3339(not_before),
            rfc3339(now)
        );
        return Err(Error::new(Reason::CertificateNotYetValid, message));
    }
    if now >= not_after {
        return Err(invalid(&format!("its certificate expired on {}", rfc3339(not_after))));
    }
    Ok(())
}

/// An instant of the window at random, inside of the lifetime whatever the window says.
fn renew_at(window: Option<RenewalWindow>, authority: &Certificate) -> Result<SystemTime> {
    let window = window.and_then(|window| Some((from_timestamp(window.start)?, from_timestamp(window.end)?)));
    let (start, end) = window.ok_or_else(|| invalid("it does not say when to renew"))?;
    let length = end.duration_since(start).unwrap_or(Duration::ZERO);
    let issued_at = from_unix_seconds(authority.issued_at());
    let lifetime = Duration::from_secs(u64::try_from(authority.lifetime()).unwrap_or_default());
    let at = start + length.mul_f64(rand::random_range(0.0..1.0));
    Ok(at.clamp(issued_at + lifetime.mul_f64(0.05), issued_at + lifetime.mul_f64(0.98)))
}

pub(super) fn invalid(problem: &str) -> Error {
    let message = format!("the answer of the upstream cannot be used: {problem}; nothing has changed");
    Error::new(Reason::CredentialInvalid, message)
}
