//! The upstream: where the authority's own certificates come from. Another root over the network, files that are carried,
//! or nobody: then the authority signs for itself.
//!
//! Keys are on the disk and recorded before anything is asked for with them, and an answer is checked before any of it is
//! kept. Whatever stops in between, the next attempt uses the same keys and gets the same certificates.

mod answer;
mod automatic;
mod carried;
mod conversation;
mod poll;

use std::sync::{Arc, atomic::AtomicBool};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::PrivateKey,
    token::EnrollmentToken,
};
use tokio::sync::Mutex;
use verifier::{Certificate, certificate::hex};

pub(crate) use automatic::Automatic;

use crate::{
    authority::{Authority, Generation, InitError},
    ledger::{AuthoritiesRecord, GenerationRecord, PendingRecord, Standing, UpstreamKind, UpstreamRecord},
};

/// Attempts without an answer that are kept.
const PENDING: usize = 8;

/// Fetches the authority's certificates.
#[derive(Debug)]
pub(crate) struct Upstream {
    authority: Arc<Authority>,
    /// Held while one asks the upstream for a certificate.
    turn: Mutex<()>,
    /// Number of the upstream's revocation list that was looked at last, and for which certificate.
    known_list: std::sync::Mutex<(String, u64)>,
    /// Whether the upstream issues under another key than it did when it certified this root.
    outdated: AtomicBool,
}

/// Which earlier attempt is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Any for the same purpose: the upstream may have answered it, and answers nothing else until it is asked so again.
    Any,
    /// Only one for the same key of the authority.
    SameKey,
}

/// What a certificate is asked for with.
struct Attempt {
    pending: PendingRecord,
    /// Of the next identity.
    identity_key: PrivateKey,
    /// Of the authority.
    authority_key: Arc<PrivateKey>,
}

impl Upstream {
    pub(crate) fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            turn: Mutex::default(),
            known_list: std::sync::Mutex::default(),
            outdated: AtomicBool::default(),
        }
    }

    /// Renews the authority's certificate, or fetches that of the authority that is to follow.
    ///
    /// # Errors
    /// `UPSTREAM_OFFLINE` if files are carried; what keeps the upstream from answering, or from being believed.
    pub(crate) async fn renew(&self, by: &str) -> Result<Arc<Generation>> {
        let _turn = self.turn.lock().await;
        self.renew_in_turn(by).await
    }

    /// Renews, unless somebody else was faster since `seen` was read.
    async fn renew_unless_changed(&self, seen: &AuthoritiesRecord) -> Result<()> {
        let _turn = self.turn.lock().await;
        if self.authority.generations().record() == seen {
            self.renew_in_turn("").await?;
        }
        Ok(())
    }

    async fn renew_in_turn(&self, by: &str) -> Result<Arc<Generation>> {
        let record = self.record();
        match record.kind() {
            UpstreamKind::SelfSigned => self.authority.renew_anchor(by).await,
            UpstreamKind::Offline => Err(Error::new(
                Reason::UpstreamOffline,
                "the certificate of this root comes in files: run `root-service authority export-request`, carry the file to the upstream, and import its answer",
            )),
            UpstreamKind::Grpc => {
                let renewed = self.renew_over_network(&record, by).await.map_err(with_way_out);
                if let Err(error) = &renewed {
                    self.note_failure(error).await;
                }
                renewed
            }
        }
    }

    /// Changes the upstream. A certificate of a new one is fetched at once if a token is given.
    pub(crate) async fn set(&self, kind: UpstreamKind, token: &str, by: &str) -> Result<()> {
        let _turn = self.turn.lock().await;
        let record = self.record();
        match kind {
            UpstreamKind::SelfSigned => _ = self.authority.renew_anchor(by).await?,
            UpstreamKind::Grpc if !token.is_empty() => _ = self.enroll_over_network(token, by).await?,
            UpstreamKind::Grpc if record.identity.is_empty() => {
                let message =
                    "a token of the upstream is needed (there: `root-service token create --root …`)";
                return Err(Error::new(Reason::InvalidArgument, message));
            }
            UpstreamKind::Grpc | UpstreamKind::Offline => {}
        }
        let upstream = match kind {
            UpstreamKind::SelfSigned => "itself".to_owned(),
            UpstreamKind::Grpc => format!("the root at {}", self.record().address),
            UpstreamKind::Offline => "files that are carried".to_owned(),
        };
        let event = Event::new(EventKind::UpstreamChanged).by(by).argument("upstream", upstream);
        let events = if record.kind() == kind { Vec::new() } else { vec![event] };
        self.authority.change_upstream(|record| record.upstream.set_kind(kind), events).await?;
        Ok(())
    }

    /// Makes the authority that is to follow. Its certificate is fetched at once, unless files are carried.
    pub(crate) async fn prepare_rotation(&self, by: &str) -> Result<GenerationRecord> {
        let _turn = self.turn.lock().await;
        let prepared = self.authority.prepare_rotation(by).await?;
        let find = || {
            let generations = self.authority.generations();
            let record = generations.record().generations.iter().find(|it| it.key_id == prepared.key_id);
            record.cloned().unwrap_or_else(|| prepared.clone())
        };
        // A renewal whose answer was lost comes first.
        for _ in 0..2 {
            if find().standing() == Standing::Requested && self.record().kind() == UpstreamKind::Grpc {
                self.renew_in_turn(by).await?;
            }
        }
        Ok(find())
    }

    fn record(&self) -> UpstreamRecord {
        self.authority.generations().record().upstream.clone()
    }

    /// The keys of an attempt that may have got through, or others; recorded before they are used.
    async fn begin(
        &self,
        purpose: String,
        token: Option<&EnrollmentToken>,
        repeat: Repeat,
    ) -> Result<Attempt> {
        let generations = self.authority.generations();
        let record = generations.record();
        let key_id = wanted(record).ok_or_else(|| Error::internal("upstream", "there is no authority"))?;
        let files = self.authority.files();
        let failed = |error: InitError| crate::authority::files_error(&error);
        if token.is_some() {
            self.check_no_roots_below().await?;
        }
        let begun = record.upstream.pending.iter().find(|pending| {
            pending.purpose == purpose && (repeat == Repeat::Any || pending.key_id == key_id)
        });
        if let Some(pending) = begun {
            return Ok(Attempt {
                identity_key: files.load(&pending.identity_key).map_err(failed)?,
                authority_key: self.authority.key_of(&pending.key_id)?,
                pending: pending.clone(),
            });
        }
        let authority_key = self.authority.key_of(&key_id)?;
        let (name, identity_key) = files.generate("upstream").map_err(failed)?;
        let pending = PendingRecord {
            purpose,
            identity_key: name,
            key_id,
            call_digest: Vec::new(),
            fingerprint: token.map(|token| token.fingerprint().to_vec()).unwrap_or_default(),
            address: token.map(|token| token.address.clone()).unwrap_or_default(),
        };
        let begun = pending.clone();
        let mut dropped = Vec::new();
        let change = |record: &mut AuthoritiesRecord| {
            let all = &mut record.upstream.pending;
            all.push(begun);
            dropped.extend(all.drain(..all.len().saturating_sub(PENDING)));
        };
        // If this fails the key stays on the disk: whether it is recorded may not be known.
        self.authority.change_upstream(change, Vec::new()).await?;
        dropped.iter().for_each(|dropped| files.remove(&dropped.identity_key));
        Ok(Attempt { pending, identity_key, authority_key })
    }

    /// That no roots stand below this one: below another root it could not certify them.
    ///
    /// # Errors
    /// `AUTHORITY_IN_USE`, with the names of some.
    async fn check_no_roots_below(&self) -> Result<()> {
        let now = unix_seconds(self.authority.now());
        let (count, names) = self.authority.ledger().nodes_with(now, |node, _| node.root).await?;
        if count == 0 {
            return Ok(());
        }
        let names = names.join(", ");
        let message = format!(
            "roots stand below this one ({names}), and a root below another one certifies no roots: first have them enrolled elsewhere, and end them here (`root-service nodes decommission`)"
        );
        Err(Error::new(Reason::AuthorityInUse, message).with("nodes", count.to_string()).with("first", names))
    }

    /// Keeps why an attempt failed. Of failures in a row that have the same reason, the first is an event.
    async fn note_failure(&self, error: &Error) {
        let reason = error.reason.as_str();
        tracing::warn!(reason, %error, "the authority could not be renewed; its certificate is kept");
        let problem: String = error.message.chars().take(1000).collect();
        let mut events = Vec::new();
        if self.record().reason != reason {
            let active = self.authority.active();
            let facts = active.as_ref().map(|active| &active.facts);
            let event = Event::new(EventKind::RenewalFailed)
                .about(facts.map_or("", |facts| &facts.serial), "")
                .argument("holder", facts.map_or("this root", |facts| &facts.common_name))
                .argument("reason", reason)
                .argument("problem", &problem);
            events.push(event);
        }
        let change = |record: &mut AuthoritiesRecord| {
            record.upstream.error = problem;
            reason.clone_into(&mut record.upstream.reason);
        };
        if let Err(error) = self.authority.change_upstream(change, events).await {
            tracing::error!(%error, "that the renewal of the authority failed could not be kept");
        }
    }
}

/// Says how a root gets another certificate, where the upstream says so of licensing servers.
fn with_way_out(mut error: Error) -> Error {
    let lost = [
        Reason::CertificateUnknown,
        Reason::CertificateRevoked,
        Reason::CertificateSuperseded,
        Reason::CertificateExpired,
    ];
    if lost.contains(&error.reason) {
        error.message.push_str(
            "; at a root: `root-service authority upstream grpc --token-file FILE`, with a token of the upstream (`root-service token create --root NAME`)",
        );
    }
    error
}

/// Key identifier of the generation that a certificate is to be asked for: one that waits for its first, or the one that
/// issues.
fn wanted(record: &AuthoritiesRecord) -> Option<String> {
    let with = |standing| record.generations.iter().find(move |it| it.standing() == standing);
    with(Standing::Requested).or_else(|| with(Standing::Active)).map(|it| it.key_id.clone())
}

/// The purpose of an enrolment with this token.
fn enrollment(token: &EnrollmentToken) -> String {
    format!("enroll/{}", hex(&token.id))
}

/// The purpose of a renewal with this identity (DER).
fn renewal(identity: &[u8]) -> Result<String> {
    let facts = Certificate::parse(identity).map_err(|_| {
        let message = "this root was never enrolled at an upstream: a token is needed (there: `root-service token create --root NAME`); give it here with --token-file (`root-service authority upstream grpc`, or `authority export-request`)";
        Error::new(Reason::NotEnrolled, message)
    })?;
    Ok(format!("renew/{}", facts.serial))
}
