//! Enrolment and renewal. Each reads as its steps; nothing leaves before it is durable.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::sha256,
    store::StoreError,
    token::EnrollmentToken,
};
use rcgen::PublicKeyData;

use super::{ATTEMPTS, Authority, Caller, Generation, csr, csr::CheckedKey, files, revocation, tokens};
use crate::{
    ledger::{CertificateRecord, Issuance, NodeRecord, TokenRecord, Versioned},
    profile::Holder,
};

/// The requests for a licensor certificate and, if wanted, a server certificate (PKCS #10, DER).
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateRequests<'a> {
    pub(crate) licensor: &'a [u8],
    /// Empty: none is wanted.
    pub(crate) server: &'a [u8],
    /// For the certificate of an authority: of a root below this one, and of nobody else. Empty: none is wanted.
    pub(crate) authority: &'a [u8],
}

/// What was issued, and when to renew it.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) certificate: CertificateRecord,
    pub(crate) renewal_window: (SystemTime, SystemTime),
    /// The authority that issued it.
    pub(crate) issuer: Arc<Generation>,
}

/// The keys of checked requests.
#[derive(Debug)]
struct CheckedKeys {
    licensor: CheckedKey,
    server: Option<CheckedKey>,
    authority: Option<CheckedKey>,
    /// Stands for all keys: the same digest, the same request.
    digest: [u8; 32],
}

impl Authority {
    /// Exchanges a token for certificates.
    pub(crate) async fn enroll(&self, token: &str, requests: CertificateRequests<'_>) -> Result<Issued> {
        let _place = self.place()?;
        self.check_enabled()?;
        for _ in 0..ATTEMPTS {
            match self.try_enroll(token, requests).await {
                Err(Attempt::Conflict) => {}
                Err(Attempt::Failed(error)) => return Err(error),
                Ok(issued) => return Ok(issued),
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// Issues the successor of the caller's certificate.
    pub(crate) async fn renew(
        &self,
        mut caller: Caller,
        requests: CertificateRequests<'_>,
    ) -> Result<Issued> {
        let _place = self.place()?;
        self.check_enabled()?;
        for _ in 0..ATTEMPTS {
            match self.try_renew(&caller, requests).await {
                // Another renewal of the same certificate came first, say: it decides what this one is.
                Err(Attempt::Conflict) => {
                    let node = self.ledger.node(&caller.node.record.name).await?;
                    caller.node = node.ok_or_else(|| Error::internal("renewal", "the node is gone"))?;
                }
                Err(Attempt::Failed(error)) => return Err(error),
                Ok(issued) => return Ok(issued),
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    async fn try_enroll(&self, text: &str, requests: CertificateRequests<'_>) -> Result<Issued, Attempt> {
        // 1. The token: made here, and not revoked?
        let presented = EnrollmentToken::parse(text)?;
        let record = self.ledger.token(&verifier::certificate::hex(&presented.id)).await?;
        let Some(record) = record.filter(|token| tokens::proves(&presented, &token.record.secret_hash))
        else {
            return Err(tokens::unknown().into());
        };
        if record.record.revoked {
            return Err(refused_token(Reason::TokenRevoked, &record.record, "was revoked").into());
        }
        // 2. The requests: well formed, keys acceptable, possession proved?
        let names: Vec<_> =
            record.record.dns_names.iter().chain(&record.record.ip_addresses).cloned().collect();
        let of_root = record.record.root;
        let named = NodeRecord { name: record.record.node.clone(), root: of_root, ..NodeRecord::default() };
        let keys = self.check_requests(requests, &named, &names)?;
        // 3. The token again: unused and in time, or used for these very keys?
        let now = self.clock.now();
        if !record.record.serial.is_empty() {
            let used_for = self.recorded(&record.record.serial).await?;
            if used_for.keys_digest != keys.digest {
                self.note_misuse(&record).await?;
                let error =
                    refused_token(Reason::TokenAlreadyUsed, &record.record, "was used with another key");
                return Err(error.with("serial", &record.record.serial).into());
            }
            check_in_time(&record.record, now)?;
            if self.ledger.revocation(&used_for.issuer_key_id, &used_for.serial).await?.is_some() {
                return Err(revocation::revoked(&used_for.serial).into());
            }
            return Ok(self.issued(used_for)?);
        }
        check_in_time(&record.record, now)?;
        // 4. The certificates, signed in memory.
        let former_node = self.ledger.node(&record.record.node).await?;
        let former = former_node.as_ref().map(|node| &node.record);
        if let Some(former) = former {
            revocation::check_commissioned(former)?;
            tokens::check_kind(former, of_root)?;
        }
        let node = NodeRecord {
            name: record.record.node.clone(),
            owner: record.record.owner.clone(),
            dns_names: record.record.dns_names.clone(),
            ip_addresses: record.record.ip_addresses.clone(),
            enrolled_at: former.map_or(unix_seconds(now), |node| node.enrolled_at),
            current: former.map(|node| node.current.clone()).unwrap_or_default(),
            decommissioned_at: 0,
            look_at: former.map_or(0, |node| node.look_at),
            root: of_root,
        };
        let certificate = self.sign(&node, &keys, now)?;
        // 5. One durable commit, then the answer.
        let event = Event::new(EventKind::NodeEnrolled)
            .about(&certificate.serial, &node.name)
            .by(&self.profile.spiffe_id(&node.name, node.root))
            .until(from_unix_seconds(certificate.not_after))
            .argument("token", &record.record.id);
        let former_node = former_node.as_ref();
        self.ledger
            .enroll(&record, node, Issuance { certificate: &certificate, former_node, event, now })
            .await?;
        Ok(self.issued(certificate)?)
    }

    async fn try_renew(&self, caller: &Caller, requests: CertificateRequests<'_>) -> Result<Issued, Attempt> {
        // 1. What the certificates of the node may say.
        let node = &caller.node.record;
        let now = self.clock.now();
        revocation::check_commissioned(node)?;
        revocation::check_not_revoked(&caller.node)?;
        let names: Vec<_> = node.dns_names.iter().chain(&node.ip_addresses).cloned().collect();
        // 2. In force, or so lately expired that it can be renewed? A certificate that has a successor is answered
        //    with that one if it was issued for the same keys: the first answer may have been lost.
        if !caller.is_newest()
            && let Some(successor) = self.ledger.successor(node, &caller.serial).await?
        {
            let keys = self.check_requests(requests, node, &names)?;
            if successor.keys_digest == keys.digest {
                return Ok(self.issued(successor)?);
            }
        }
        self.check_renewable(caller, now)?;
        // 3. The requests: well formed, keys acceptable, possession proved?
        let keys = self.check_requests(requests, node, &names)?;
        // 4. The certificates, signed in memory.
        let certificate = self.sign(node, &keys, now)?;
        // 5. One durable commit, then the answer.
        let event = Event::new(EventKind::CertificateRenewed)
            .about(&certificate.serial, &node.name)
            .by(&self.profile.spiffe_id(&node.name, node.root))
            .until(from_unix_seconds(certificate.not_after))
            .argument("former", &caller.serial);
        let former_node = Some(&caller.node);
        self.ledger
            .renew(node.clone(), Issuance { certificate: &certificate, former_node, event, now })
            .await?;
        Ok(self.issued(certificate)?)
    }

    fn check_requests(
        &self,
        requests: CertificateRequests<'_>,
        node: &NodeRecord,
        names: &[String],
    ) -> Result<CheckedKeys> {
        let spiffe_id = self.profile.spiffe_id(&node.name, node.root);
        let licensor = csr::check("licensor_csr", requests.licensor, &[spiffe_id])?;
        let server = match requests.server {
            [] => None,
            der if !node.root => Some(csr::check("server_csr", der, names)?),
            _ => return Err(not_for("server_csr", &node.name, "a root")),
        };
        let authority = match requests.authority {
            [] if !node.root => None,
            der if node.root => Some(csr::check("authority_csr", der, &[])?),
            _ => return Err(not_for("authority_csr", &node.name, "a licensing server")),
        };
        let mut digests = licensor.digest.to_vec();
        digests.extend(server.iter().chain(&authority).flat_map(|key| key.digest));
        Ok(CheckedKeys { licensor, server, authority, digest: sha256(&digests) })
    }

    fn sign(&self, node: &NodeRecord, keys: &CheckedKeys, now: SystemTime) -> Result<CertificateRecord> {
        let failed = |error| Error::internal("signing", error);
        // Another authority may have taken over since the call began.
        let generation = self.active()?;
        if node.root {
            generation.check_certifies_roots()?;
        }
        let issuer = generation.issuer_facts();
        let holder = Holder { node: &node.name, owner: &node.owner };
        let params = match node.root {
            false => self.profile.licensor(holder, issuer, now)?,
            true => self.profile.root_identity(holder, issuer, now)?,
        };
        let licensor = params.signed_by(&keys.licensor.key, &generation.issuer).map_err(failed)?;
        let server = match &keys.server {
            None => Vec::new(),
            Some(server) => {
                let addresses: Vec<IpAddr> =
                    node.ip_addresses.iter().filter_map(|ip| ip.parse().ok()).collect();
                let params = self.profile.server(&node.name, &node.dns_names, &addresses, issuer, now)?;
                params.signed_by(&server.key, &generation.issuer).map_err(failed)?.der().to_vec()
            }
        };
        let authority = match &keys.authority {
            None => Vec::new(),
            Some(authority) => {
                let key_id = files::key_id(authority.key.der_bytes());
                let params = self.profile.authority(&node.owner, &key_id, issuer, now)?;
                params.signed_by(&authority.key, &generation.issuer).map_err(failed)?.der().to_vec()
            }
        };
        let serial = params.serial_number.as_ref().map(|serial| verifier::certificate::hex(serial.as_ref()));
        Ok(CertificateRecord {
            serial: serial.unwrap_or_default(),
            node: node.name.clone(),
            licensor: licensor.der().to_vec(),
            server,
            not_before: params.not_before.unix_timestamp(),
            not_after: params.not_after.unix_timestamp(),
            issued_at: unix_seconds(now),
            issuer_key_id: generation.key_id().to_owned(),
            keys_digest: keys.digest.to_vec(),
            former: node.current.serial.clone(),
            authority,
        })
    }

    pub(super) async fn recorded(&self, serial: &str) -> Result<CertificateRecord> {
        let certificate = self.ledger.certificate(serial).await?;
        certificate.ok_or_else(|| Error::internal("ledger", format!("certificate {serial} is missing")))
    }

    /// One event a token: whoever has the token cannot fill the log.
    async fn note_misuse(&self, token: &Versioned<TokenRecord>) -> Result<(), Attempt> {
        if token.record.misused {
            return Ok(());
        }
        let misused = TokenRecord { misused: true, ..token.record.clone() };
        let event = Event::new(EventKind::TokenMisused)
            .about(&token.record.serial, &token.record.node)
            .argument("token", &token.record.id);
        Ok(self.ledger.change_token(token, &misused, event).await?)
    }

    fn issued(&self, certificate: CertificateRecord) -> Result<Issued> {
        let renewal_window = self.renewal_window(certificate.issued_at, certificate.not_after);
        let issuer = self.generations().of_key(&certificate.issuer_key_id).cloned();
        let issuer =
            issuer.ok_or_else(|| Error::internal("ledger", "the issuer of a certificate is missing"))?;
        Ok(Issued { certificate, renewal_window, issuer })
    }
}

/// How an attempt ended that did not succeed.
#[derive(Debug)]
enum Attempt {
    /// Another change came first: look again.
    Conflict,
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Conflict,
            other => Self::Failed(other.into()),
        }
    }
}

fn not_for(field: &str, name: &str, what: &str) -> Error {
    let message = format!("{field}: {name} is {what}, which has no such certificate: leave it out");
    Error::new(Reason::InvalidArgument, message).with("field", field)
}

fn check_in_time(token: &TokenRecord, now: SystemTime) -> Result<()> {
    if now >= from_unix_seconds(token.expires_at) {
        return Err(refused_token(Reason::TokenExpired, token, "has expired"));
    }
    Ok(())
}

fn refused_token(reason: Reason, token: &TokenRecord, what: &str) -> Error {
    let message = format!(
        "the token {} for {} {what}: ask for a new one (`root-service token create`)",
        token.id, token.node
    );
    Error::new(reason, message).with("token", &token.id).with("node", &token.node)
}
