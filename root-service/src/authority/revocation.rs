//! Revocation, decommissioning, and the revocation list (RFC 5280 §5) that tells the world of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::sha256,
    store::StoreError,
};
use rcgen::{RevocationReason, RevokedCertParams, SerialNumber};
use tokio::sync::Mutex;
use verifier::{Certificate, certificate::octets, revocation::reason_name};

use super::{ATTEMPTS, Authority, Generation};
use crate::{
    ledger::{CertificateRecord, NodeRecord, RevocationListRecord, RevocationRecord, Standing, Versioned},
    profile::whole_second,
};

/// Certificates of a node that are looked back upon.
const LINE: usize = 1000;

/// A revocation list as it is served.
#[derive(Debug)]
pub(crate) struct PublishedList {
    pub(crate) der: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) this_update: SystemTime,
    pub(crate) next_update: SystemTime,
    /// Changes that it has.
    covers: u64,
}

/// The lists of all generations of the authority, by subject key identifier.
#[derive(Debug, Default)]
pub(super) struct Publications(RwLock<HashMap<String, Arc<Publication>>>);

/// The list that is served, and what is not on it yet.
#[derive(Debug, Default)]
struct Publication {
    newest: RwLock<Option<Arc<PublishedList>>>,
    /// Changes since the start.
    changes: AtomicU64,
    /// Held by the one who makes a list: those who wait for it find theirs done.
    turn: Mutex<()>,
}

impl Publications {
    fn of(&self, key_id: &str) -> Arc<Publication> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(key_id.to_owned()).or_default())
        })
    }
}

impl Publication {
    fn newest(&self) -> Option<Arc<PublishedList>> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What was revoked, and the number of the list that has it, unless it could not be published.
#[derive(Debug)]
pub(crate) struct Revoked<R> {
    pub(crate) record: R,
    pub(crate) list_number: Option<u64>,
}

impl Authority {
    /// Revokes a certificate, and publishes a list that has it.
    pub(crate) async fn revoke(
        self: &Arc<Self>,
        serial: &str,
        reason: u32,
        by: &str,
    ) -> Result<Revoked<CertificateRecord>> {
        check_reason(reason)?;
        for _ in 0..ATTEMPTS {
            let Some(certificate) = self.ledger.certificate_named(serial).await? else {
                let message =
                    format!("there is no certificate {serial}: see `root-service certificates list`");
                return Err(Error::new(Reason::CertificateUnknown, message).with("serial", serial));
            };
            let serial = &certificate.serial;
            if let Some(former) = self.ledger.revocation(&certificate.issuer_key_id, serial).await? {
                let at = rfc3339(from_unix_seconds(former.revoked_at));
                let message =
                    format!("certificate {serial} was revoked on {at} already; nothing has changed");
                return Err(Error::new(Reason::CertificateAlreadyRevoked, message)
                    .with("serial", serial)
                    .with("revoked_at", at));
            }
            let node = self.ledger.node(&certificate.node).await?;
            let node = node.ok_or_else(|| Error::internal("revocation", "the node is gone"))?;
            let mut revoked = vec![certificate.clone()];
            if node.record.root {
                // Its other certificates are for the same key: with them it would go on.
                let key = authority_key(&certificate);
                let others = self.unrevoked(&node.record).await?.into_iter();
                revoked
                    .extend(others.filter(|it| it.serial != certificate.serial && authority_key(it) == key));
            }
            let (revocations, events) = self.revocations_of(&revoked, reason, by);
            match self.ledger.revoke(&node, node.record.clone(), &revocations, events).await {
                Err(StoreError::Conflict { .. }) => {}
                result => {
                    result?;
                    let list_number = self.publish_changes(&revocations).await;
                    return Ok(Revoked { record: certificate, list_number });
                }
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// Ends a node for good, and publishes a list with its certificate.
    pub(crate) async fn decommission(self: &Arc<Self>, name: &str, by: &str) -> Result<Revoked<NodeRecord>> {
        for _ in 0..ATTEMPTS {
            let Some(node) = self.ledger.node(name).await? else {
                let message = format!("there is no node {name}: see `root-service nodes list`");
                return Err(Error::new(Reason::NodeUnknown, message).with("node", name));
            };
            check_commissioned(&node.record)?;
            let mut revoked = self.unrevoked(&node.record).await?;
            if !node.record.root {
                revoked.retain(|certificate| certificate.serial == node.record.current.serial);
            }
            let reason = RevocationReason::CessationOfOperation as u32;
            let (revocations, mut events) = self.revocations_of(&revoked, reason, by);
            events.push(
                Event::new(EventKind::NodeDecommissioned).about(&node.record.current.serial, name).by(by),
            );
            let decommissioned_at = unix_seconds(self.clock.now());
            let changed = NodeRecord { decommissioned_at, ..node.record.clone() };
            match self.ledger.revoke(&node, changed, &revocations, events).await {
                Err(StoreError::Conflict { .. }) => {}
                result => {
                    result?;
                    let record = self.ledger.node(name).await?.map(|node| node.record);
                    let record = record.ok_or_else(|| Error::internal("decommission", "the node is gone"))?;
                    let list_number = self.publish_changes(&revocations).await;
                    return Ok(Revoked { record, list_number });
                }
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// The newest list of the authority with this subject key identifier; of the one that issues if empty.
    ///
    /// # Errors
    /// `AUTHORITY_UNKNOWN`, or `STORE_UNAVAILABLE` as long as none could be published.
    pub(crate) fn revocation_list(&self, key_id: &str) -> Result<Arc<PublishedList>> {
        let mut key_id = key_id.replace(':', "").to_lowercase();
        if key_id.is_empty() {
            self.active()?.key_id().clone_into(&mut key_id);
        } else if self.generations().of_key(&key_id).is_none() {
            let message = format!(
                "this root has no authority {key_id}: see the authority key identifier of the certificate"
            );
            return Err(Error::new(Reason::AuthorityUnknown, message).with("key_id", key_id));
        }
        self.publications.of(&key_id).newest().ok_or_else(|| {
            let message = "there is no revocation list yet: see the log of this root";
            Error::new(Reason::StoreUnavailable, message).retry_after(Duration::from_secs(5))
        })
    }

    /// Number of the newest list of an authority; 0 if there is none.
    pub(crate) fn revocation_list_number(&self, issuer: &Generation) -> u64 {
        self.publications.of(issuer.key_id()).newest().map_or(0, |list| list.number)
    }

    /// Publishes the list of every authority whose newest one lacks a change or has lived half its time.
    pub(crate) async fn refresh_revocation_lists(self: &Arc<Self>) -> Result<()> {
        for issuer in self.listed() {
            let publication = self.publications.of(issuer.key_id());
            let changes = publication.changes.load(Ordering::Acquire);
            let now = self.clock.now();
            let fresh = |list: &PublishedList| {
                list.covers >= changes && now < list.renew_at() && list.this_update <= now
            };
            if !publication.newest().is_some_and(|list| fresh(&list)) {
                let _turn = publication.turn.lock().await;
                self.publish_revocation_list(&issuer, &publication).await?;
            }
        }
        Ok(())
    }

    /// When the next list is to be replaced.
    pub(crate) fn next_revocation_list(&self) -> Option<SystemTime> {
        let newest =
            self.listed().into_iter().filter_map(|issuer| self.publications.of(issuer.key_id()).newest());
        newest.map(|list| list.renew_at()).min()
    }

    /// Those who keep a list: as long as something that they issued can be presented.
    fn listed(&self) -> Vec<Arc<Generation>> {
        let now = self.clock.now();
        let generations = self.generations();
        let listed = generations.certified().iter().filter(|generation| {
            generation.standing == Standing::Active || now < generation.validity.not_after
        });
        listed.cloned().collect()
    }

    /// Certificates of a node that can still be presented, the newest first.
    async fn unrevoked(&self, node: &NodeRecord) -> Result<Vec<CertificateRecord>> {
        let now = self.clock.now();
        let late = self.config.certificate.renew_after_expiry.0;
        let mut found = Vec::new();
        let mut next = node.current.serial.clone();
        for _ in 0..LINE {
            let Some(certificate) = self.ledger.certificate(&next).await? else { break };
            next.clone_from(&certificate.former);
            let over = from_unix_seconds(certificate.not_after).checked_add(late);
            let revoked = self.ledger.revocation(&certificate.issuer_key_id, &certificate.serial).await?;
            if revoked.is_none() && over.is_none_or(|over| now < over) {
                found.push(certificate);
            }
        }
        Ok(found)
    }

    fn revocations_of(
        &self,
        certificates: &[CertificateRecord],
        reason: u32,
        by: &str,
    ) -> (Vec<RevocationRecord>, Vec<Event>) {
        let revocations = certificates.iter().map(|certificate| {
            let revocation = self.revocation_of(certificate, reason);
            let event = revoked_event(&revocation, &certificate.node, by);
            (revocation, event)
        });
        revocations.unzip()
    }

    /// Publishes the lists of those who issued what was just revoked; the number of the first one's.
    async fn publish_changes(self: &Arc<Self>, revocations: &[RevocationRecord]) -> Option<u64> {
        if revocations.is_empty() {
            return self.revocation_list("").ok().map(|list| list.number);
        }
        let mut issuers: Vec<&str> = Vec::new();
        let mut first = None;
        for RevocationRecord { issuer_key_id, .. } in revocations {
            if !issuers.contains(&issuer_key_id.as_str()) {
                let number = self.publish_change(issuer_key_id).await;
                first = if issuers.is_empty() { number } else { first };
                issuers.push(issuer_key_id);
            }
        }
        first
    }

    /// Publishes what was just revoked. Those who revoke at the same time share a list.
    async fn publish_change(self: &Arc<Self>, key_id: &str) -> Option<u64> {
        let publication = self.publications.of(key_id);
        let change = publication.changes.fetch_add(1, Ordering::AcqRel) + 1;
        let _turn = publication.turn.lock().await;
        if let Some(list) = publication.newest().filter(|list| list.covers >= change) {
            return Some(list.number);
        }
        let issuer = self.generations().of_key(key_id).cloned()?;
        match self.publish_revocation_list(&issuer, &publication).await {
            Ok(number) => Some(number),
            Err(error) => {
                tracing::error!(%error, "the revocation list could not be published; it is tried again");
                None
            }
        }
    }

    async fn publish_revocation_list(
        self: &Arc<Self>,
        issuer: &Arc<Generation>,
        publication: &Publication,
    ) -> Result<u64> {
        let covers = publication.changes.load(Ordering::Acquire);
        let key_id = issuer.key_id();
        let former = self.ledger.revocation_list(key_id).await?;
        let this_update = self.clock.now();
        // The time, where that is larger: a root that was restored from a backup goes on with numbers that nobody has seen.
        let time = u64::try_from(unix_seconds(this_update)).unwrap_or_default();
        let number = former.as_ref().map_or(0, |former| former.record.number + 1).max(time);
        let revocations = self.ledger.revocations(key_id).await?;
        let validity = self.config.revocation.list_validity.0;
        let next_update = this_update.checked_add(validity).unwrap_or(this_update);
        let (authority, signer) = (Arc::clone(self), Arc::clone(issuer));
        // Many entries take a while to sign.
        let signing = tokio::task::spawn_blocking(move || {
            authority.sign_revocation_list(&signer, number, (this_update, next_update), &revocations)
        });
        let der = signing.await.map_err(|error| Error::internal("revocation list", error))??;
        let record = RevocationListRecord {
            number,
            this_update: unix_seconds(this_update),
            next_update: unix_seconds(next_update),
            digest: sha256(&der).to_vec(),
        };
        self.ledger.add_revocation_list(key_id, former.as_ref(), &record).await?;
        let list = PublishedList { der, number, this_update, next_update, covers };
        *publication.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(list));
        Ok(number)
    }

    /// A list of everything that can still be presented: what cannot even be renewed any more is left out.
    fn sign_revocation_list(
        &self,
        issuer: &Generation,
        number: u64,
        dates: (SystemTime, SystemTime),
        revocations: &[RevocationRecord],
    ) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::internal("revocation list", error);
        let forgotten =
            dates.0.checked_sub(self.config.certificate.renew_after_expiry.0).map_or(0, unix_seconds);
        let mut entries = Vec::with_capacity(revocations.len() * 2);
        for revocation in revocations.iter().filter(|revocation| revocation.not_after > forgotten) {
            let revocation_time = whole_second(from_unix_seconds(revocation.revoked_at))?;
            for serial in [&revocation.serial, &revocation.server_serial] {
                if let Some(serial) = octets(serial).filter(|serial| !serial.is_empty()) {
                    entries.push(RevokedCertParams {
                        serial_number: SerialNumber::from(serial),
                        revocation_time,
                        reason_code: reason_code(revocation.reason),
                        invalidity_date: None,
                    });
                }
            }
        }
        let key_id = octets(issuer.key_id()).unwrap_or_default();
        let params = self.profile.revocation_list(&key_id, number, dates, entries)?;
        Ok(params.signed_by(&issuer.issuer).map_err(|error| failed(&error))?.der().to_vec())
    }

    fn revocation_of(&self, certificate: &CertificateRecord, reason: u32) -> RevocationRecord {
        let beside =
            if certificate.authority.is_empty() { &certificate.server } else { &certificate.authority };
        let server = Certificate::parse(beside).ok();
        RevocationRecord {
            serial: certificate.serial.clone(),
            server_serial: server.as_ref().map(|server| server.serial.clone()).unwrap_or_default(),
            issuer_key_id: certificate.issuer_key_id.clone(),
            reason,
            revoked_at: unix_seconds(self.clock.now()),
            not_after: server.map_or(0, |server| server.not_after).max(certificate.not_after),
        }
    }
}

/// Key identifier of the authority that a certificate of a root is for.
fn authority_key(certificate: &CertificateRecord) -> String {
    Certificate::parse(&certificate.authority).map(|facts| facts.key_id).unwrap_or_default()
}

impl PublishedList {
    /// Half its time before it is overdue: whoever fetches one has a while.
    fn renew_at(&self) -> SystemTime {
        let validity = self.next_update.duration_since(self.this_update).unwrap_or(Duration::ZERO);
        self.this_update + validity / 2
    }
}

/// That a node was not decommissioned.
///
/// # Errors
/// `NODE_DECOMMISSIONED`.
pub(super) fn check_commissioned(node: &NodeRecord) -> Result<()> {
    if node.decommissioned_at == 0 {
        return Ok(());
    }
    let at = rfc3339(from_unix_seconds(node.decommissioned_at));
    let message = format!(
        "{} was decommissioned on {at}, for good: a server that takes its place needs another name",
        node.name
    );
    Err(Error::new(Reason::NodeDecommissioned, message)
        .with("node", &node.name)
        .with("decommissioned_at", at))
}

/// That the newest certificate of a node was not revoked.
///
/// # Errors
/// `CERTIFICATE_REVOKED`.
pub(super) fn check_not_revoked(node: &Versioned<NodeRecord>) -> Result<()> {
    if node.record.current.revoked {
        return Err(revoked(&node.record.current.serial));
    }
    Ok(())
}

/// The certificate was revoked.
pub(super) fn revoked(serial: &str) -> Error {
    let message = format!("certificate {serial} was revoked: enrol again with a new token");
    Error::new(Reason::CertificateRevoked, message).with("serial", serial)
}

fn revoked_event(revocation: &RevocationRecord, node: &str, by: &str) -> Event {
    Event::new(EventKind::CertificateRevoked)
        .about(&revocation.serial, node)
        .by(by)
        .argument("certificate", &revocation.serial)
        .argument("reason", reason_name(u8::try_from(revocation.reason).unwrap_or_default()))
}

fn check_reason(reason: u32) -> Result<()> {
    if reason == 0 || reason_code(reason).is_some() {
        return Ok(());
    }
    let message = "this is no reason to revoke a licensor certificate for";
    Err(Error::new(Reason::InvalidArgument, message).with("reason", reason.to_string()))
}

/// The reasons of RFC 5280 §5.3.1 that fit a licensing server; 0 is said by saying none.
fn reason_code(reason: u32) -> Option<RevocationReason> {
    use RevocationReason::{
        AffiliationChanged, CessationOfOperation, KeyCompromise, PrivilegeWithdrawn, Superseded,
    };
    [KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn]
        .into_iter()
        .find(|code| *code as u32 == reason)
}
