//! `CertificationAdminService`: what the local administrator calls.

use std::{pin::Pin, sync::Arc, time::Duration};

use licensor::{
    admin::caller_name,
    clock::{SharedClock, from_unix_seconds, timestamp},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::fingerprint,
    page::page_size,
};
use proto::certification::v1::{
    self as pb, AuditFinding, CertificateStatus, CreateBackupRequest, CreateBackupResponse,
    CreateTokenRequest, CreateTokenResponse, DecommissionNodeRequest, DecommissionNodeResponse,
    EnrollmentToken, GetAuthorityRequest, GetAuthorityResponse, GetCertificateRequest,
    GetCertificateResponse, GetNodeRequest, GetNodeResponse, GetRootStatusRequest, GetRootStatusResponse,
    ListCertificatesRequest, ListCertificatesResponse, ListNodesRequest, ListNodesResponse,
    ListTokensRequest, ListTokensResponse, ProveCertificateRequest, ProveCertificateResponse,
    RevokeCertificateRequest, RevokeCertificateResponse, RevokeTokenRequest, RevokeTokenResponse,
    TokenStatus, VerifyAuditRequest, VerifyAuditResponse,
    certification_admin_service_server::CertificationAdminService,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::{
    audit::{Audit, Finding, Progress},
    authority::{Authority, TokenOrder},
    backup,
    ledger::{CertificateRecord, Ledger, NodeRecord, TokenRecord, TokenStanding},
};

/// How long a token can be used unless its maker says otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// Serves the authority to its administrator.
#[derive(Debug, Clone)]
pub(crate) struct AdminRpc {
    pub(crate) authority: Arc<Authority>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: SharedClock,
}

#[tonic::async_trait]
impl CertificationAdminService for AdminRpc {
    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let ttl = match request.ttl {
            None => DEFAULT_TTL,
            Some(ttl) => Duration::try_from(ttl)
                .map_err(|_| Error::new(Reason::InvalidArgument, "ttl must be longer than nothing"))?,
        };
        let order = TokenOrder {
            node: request.node,
            owner: request.owner,
            dns_names: request.dns_names,
            ip_addresses: request.ip_addresses,
            ttl,
            by,
        };
        let (by, node) = (order.by.clone(), order.node.clone());
        let created = self.authority.create_token(order).await;
        let (token, record) = self.noted("CreateToken", &node, &by, created).await?;
        Ok(Response::new(CreateTokenResponse { token, enrollment_token: Some(self.token(record)) }))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let request = request.into_inner();
        let (tokens, next_page_token) =
            self.ledger().tokens(&request.page_token, page_size(request.page_size)?).await?;
        let tokens = tokens.into_iter().map(|token| self.token(token)).collect();
        Ok(Response::new(ListTokensResponse { tokens, next_page_token }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let by = caller_name(request.extensions());
        let id = request.into_inner().id.to_lowercase();
        let revoked = self.authority.revoke_token(&id, &by).await;
        let token = self.noted("RevokeToken", &id, &by, revoked).await?;
        Ok(Response::new(RevokeTokenResponse { token: Some(self.token(token)) }))
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let request = request.into_inner();
        let (records, next_page_token) =
            self.ledger().nodes(&request.page_token, page_size(request.page_size)?).await?;
        let mut nodes = Vec::with_capacity(records.len());
        for record in records {
            nodes.push(self.node(record).await?);
        }
        Ok(Response::new(ListNodesResponse { nodes, next_page_token }))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<GetNodeResponse>, Status> {
        let name = request.into_inner().name;
        let node = self.ledger().node(&name).await.map_err(Error::from)?.ok_or_else(|| {
            let message = format!("there is no node {name}: see `root-service nodes list`");
            Error::new(Reason::NodeUnknown, message).with("node", &name)
        })?;
        Ok(Response::new(GetNodeResponse { node: Some(self.node(node.record).await?) }))
    }

    async fn list_certificates(
        &self,
        request: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let (records, next_page_token) = if request.node.is_empty() {
            self.ledger().certificates(&request.page_token, limit).await?
        } else {
            self.ledger().certificates_of(&request.node, &request.page_token, limit).await?
        };
        let mut certificates = Vec::with_capacity(records.len());
        for record in records {
            let whole = self.certificate(record).await?;
            certificates.push(pb::Certificate {
                certificate: Vec::new(),
                server_certificate: Vec::new(),
                ..whole
            });
        }
        Ok(Response::new(ListCertificatesResponse { certificates, next_page_token }))
    }

    async fn get_certificate(
        &self,
        request: Request<GetCertificateRequest>,
    ) -> Result<Response<GetCertificateResponse>, Status> {
        let serial = serial(&request.into_inner().serial);
        let certificate =
            self.ledger().certificate(&serial).await.map_err(Error::from)?.ok_or_else(|| {
                let message =
                    format!("there is no certificate {serial}: see `root-service certificates list`");
                Error::new(Reason::CertificateUnknown, message).with("serial", &serial)
            })?;
        Ok(Response::new(GetCertificateResponse { certificate: Some(self.certificate(certificate).await?) }))
    }

    async fn revoke_certificate(
        &self,
        request: Request<RevokeCertificateRequest>,
    ) -> Result<Response<RevokeCertificateResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let reason = u32::try_from(request.reason)
            .map_err(|_| Error::new(Reason::InvalidArgument, "reason must not be negative"))?;
        let serial = serial(&request.serial);
        let revoked = self.authority.revoke(&serial, reason, &by).await;
        let revoked = self.noted("RevokeCertificate", &serial, &by, revoked).await?;
        Ok(Response::new(RevokeCertificateResponse {
            certificate: Some(self.certificate(revoked.record).await?),
            revocation_list_number: revoked.list_number.unwrap_or_default(),
        }))
    }

    async fn decommission_node(
        &self,
        request: Request<DecommissionNodeRequest>,
    ) -> Result<Response<DecommissionNodeResponse>, Status> {
        let by = caller_name(request.extensions());
        let name = request.into_inner().name;
        let decommissioned = self.authority.decommission(&name, &by).await;
        let decommissioned = self.noted("DecommissionNode", &name, &by, decommissioned).await?;
        Ok(Response::new(DecommissionNodeResponse {
            node: Some(self.node(decommissioned.record).await?),
            revocation_list_number: decommissioned.list_number.unwrap_or_default(),
        }))
    }

    async fn get_authority(
        &self,
        _: Request<GetAuthorityRequest>,
    ) -> Result<Response<GetAuthorityResponse>, Status> {
        Ok(Response::new(GetAuthorityResponse { authority: Some(self.authority()) }))
    }

    type VerifyAuditStream = Pin<Box<dyn Stream<Item = Result<VerifyAuditResponse, Status>> + Send>>;

    async fn verify_audit(
        &self,
        request: Request<VerifyAuditRequest>,
    ) -> Result<Response<Self::VerifyAuditStream>, Status> {
        let seen = request.into_inner().checkpoint;
        let audit = Arc::clone(&self.audit);
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let progress = |Progress { verified, size }| {
                // Who is slow misses some.
                let _ = sender.try_send(Ok(VerifyAuditResponse {
                    verified,
                    size,
                    ..VerifyAuditResponse::default()
                }));
            };
            let verification = audit.verify(Some(&seen), &progress);
            let outcome = tokio::select! {
                outcome = verification => outcome,
                () = sender.closed() => return,
            };
            let outcome = outcome.map(|(checkpoint, findings)| VerifyAuditResponse {
                verified: checkpoint.size,
                size: checkpoint.size,
                done: true,
                findings: findings.into_iter().map(finding).collect(),
                root: checkpoint.root.to_vec(),
            });
            let _ = sender.send(outcome.map_err(Status::from)).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn prove_certificate(
        &self,
        request: Request<ProveCertificateRequest>,
    ) -> Result<Response<ProveCertificateResponse>, Status> {
        let proof = self.audit.prove(&serial(&request.into_inner().serial)).await?;
        Ok(Response::new(ProveCertificateResponse { proof: proof.to_text() }))
    }

    type CreateBackupStream = Pin<Box<dyn Stream<Item = Result<CreateBackupResponse, Status>> + Send>>;

    async fn create_backup(
        &self,
        request: Request<CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        let by = caller_name(request.extensions());
        let passphrase = Zeroizing::new(request.into_inner().passphrase);
        let this = self.clone();
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let passphrase = Some(passphrase.as_slice()).filter(|passphrase| !passphrase.is_empty());
            let made = backup::create(&this.authority, passphrase, &sender).await;
            let made = match made {
                Ok(()) => this
                    .ledger()
                    .events()
                    .raise(Event::new(EventKind::BackupMade).by(&by))
                    .await
                    .map_err(Error::from),
                Err(error) => this.noted("CreateBackup", "", &by, Err(error)).await,
            };
            let last = made.map(|()| CreateBackupResponse { piece: Vec::new(), done: true });
            let _ = sender.send(last.map_err(Status::from)).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_root_status(
        &self,
        _: Request<GetRootStatusRequest>,
    ) -> Result<Response<GetRootStatusResponse>, Status> {
        let disabled = self.authority.check_enabled().err();
        let nodes = self.ledger().count_nodes().await?;
        Ok(Response::new(GetRootStatusResponse {
            trust_domain: self.authority.trust_domain().to_owned(),
            authority: Some(self.authority()),
            nodes: i64::try_from(nodes).unwrap_or(i64::MAX),
            enabled: disabled.is_none(),
            disabled_reason: disabled.map(|error| error.reason.to_string()).unwrap_or_default(),
            public_address: self.authority.public_address().to_owned(),
        }))
    }
}

fn finding(finding: Finding) -> AuditFinding {
    let Finding { first, last, problem } = finding;
    AuditFinding { first_sequence: first, last_sequence: last, problem }
}

/// A serial number as people write it.
fn serial(written: &str) -> String {
    written.replace(':', "").to_lowercase()
}

impl AdminRpc {
    /// The outcome of an administrator's change. One that was made is in the log already; one that was refused gets there
    /// now.
    async fn noted<T>(&self, call: &str, about: &str, by: &str, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            let about: String = about.chars().take(100).collect();
            let event = Event::new(EventKind::AdministrativeCallRefused)
                .by(by)
                .argument("call", call)
                .argument("about", about)
                .argument("reason", error.reason.as_str());
            if let Err(error) = self.ledger().events().raise(event).await {
                tracing::error!(%error, call, by, "a refused call could not be kept");
            }
        }
        outcome
    }

    fn ledger(&self) -> &Ledger {
        self.authority.ledger()
    }

    fn authority(&self) -> pb::Authority {
        let facts = self.authority.facts();
        let validity = self.authority.validity();
        pb::Authority {
            serial: facts.serial.clone(),
            key_id: facts.key_id.clone(),
            subject: facts.subject.clone(),
            not_before: Some(timestamp(validity.not_before)),
            not_after: Some(timestamp(validity.not_after)),
            certificate: self.authority.trust_anchor().to_vec(),
            trust_anchor_fingerprint: fingerprint(self.authority.trust_anchor()),
        }
    }

    fn token(&self, token: TokenRecord) -> EnrollmentToken {
        let expires_at = from_unix_seconds(token.expires_at);
        let status = match token.standing(self.clock.now()) {
            TokenStanding::Unused => TokenStatus::Unused,
            TokenStanding::Used => TokenStatus::Used,
            TokenStanding::Expired => TokenStatus::Expired,
            TokenStanding::Revoked => TokenStatus::Revoked,
        };
        EnrollmentToken {
            id: token.id,
            node: token.node,
            owner: token.owner,
            dns_names: token.dns_names,
            ip_addresses: token.ip_addresses,
            create_time: Some(timestamp(from_unix_seconds(token.created_at))),
            expire_time: Some(timestamp(expires_at)),
            status: status.into(),
            serial: token.serial,
        }
    }

    async fn node(&self, node: NodeRecord) -> Result<pb::Node> {
        let newest = self.ledger().certificate(&node.current.serial).await?;
        Ok(pb::Node {
            name: node.name,
            owner: node.owner,
            dns_names: node.dns_names,
            ip_addresses: node.ip_addresses,
            enroll_time: Some(timestamp(from_unix_seconds(node.enrolled_at))),
            not_after: newest.as_ref().map(|newest| timestamp(from_unix_seconds(newest.not_after))),
            current_serial: newest.map(|newest| newest.serial).unwrap_or_default(),
            decommission_time: (node.decommissioned_at != 0)
                .then(|| timestamp(from_unix_seconds(node.decommissioned_at))),
        })
    }

    async fn certificate(&self, record: CertificateRecord) -> Result<pb::Certificate> {
        let node = self.ledger().node(&record.node).await?;
        let newest = node.map(|node| node.record.current.serial).unwrap_or_default();
        let superseded = newest != record.serial;
        let not_after = from_unix_seconds(record.not_after);
        let revocation = self.ledger().revocation(&record.issuer_key_id, &record.serial).await?;
        let status = if revocation.is_some() {
            CertificateStatus::Revoked
        } else if superseded {
            CertificateStatus::Superseded
        } else if self.clock.now() >= not_after {
            CertificateStatus::Expired
        } else {
            CertificateStatus::Current
        };
        Ok(pb::Certificate {
            serial: record.serial,
            node: record.node,
            not_before: Some(timestamp(from_unix_seconds(record.not_before))),
            not_after: Some(timestamp(not_after)),
            status: status.into(),
            superseded_by: if superseded { newest } else { String::new() },
            issuer_key_id: record.issuer_key_id,
            certificate: record.licensor,
            server_certificate: record.server,
            revoke_time: revocation
                .as_ref()
                .map(|revocation| timestamp(from_unix_seconds(revocation.revoked_at))),
            revocation_reason: revocation
                .and_then(|revocation| i32::try_from(revocation.reason).ok())
                .unwrap_or_default(),
        })
    }
}
