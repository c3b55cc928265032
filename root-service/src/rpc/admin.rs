//! `CertificationAdminService`: what the local administrator calls.

use std::{pin::Pin, sync::Arc, time::Duration};

use licensor::{
    admin::{caller, caller_name},
    clock::{SharedClock, from_unix_seconds, timestamp},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
};
use licensor_web::screen::{Screen, sign_in_link};
use proto::certification::v1::{
    self as pb, ActivateRotationRequest, ActivateRotationResponse, AuditFinding, CreateBackupRequest,
    CreateBackupResponse, CreateSignInLinkRequest, CreateSignInLinkResponse, CreateTokenRequest,
    CreateTokenResponse, DecommissionNodeRequest, DecommissionNodeResponse, ExportAuthorityRequestRequest,
    ExportAuthorityRequestResponse, GetAuthorityRequest, GetAuthorityResponse, GetCertificateRequest,
    GetCertificateResponse, GetNodeRequest, GetNodeResponse, GetRootStatusRequest, GetRootStatusResponse,
    ImportAuthorityAnswerRequest, ImportAuthorityAnswerResponse, ListCertificatesRequest,
    ListCertificatesResponse, ListEntitlementsRequest, ListEntitlementsResponse, ListNodesRequest,
    ListNodesResponse, ListTokensRequest, ListTokensResponse, PrepareRotationRequest,
    PrepareRotationResponse, ProveCertificateRequest, ProveCertificateResponse, PutEntitlementRequest,
    PutEntitlementResponse, RenewAuthorityRequest, RenewAuthorityResponse, RetireAuthorityRequest,
    RetireAuthorityResponse, RevokeCertificateRequest, RevokeCertificateResponse, RevokeTokenRequest,
    RevokeTokenResponse, SetUpstreamRequest, SetUpstreamResponse, ShowEntitlementRequest,
    ShowEntitlementResponse, SignRequestRequest, SignRequestResponse, VerifyAuditRequest,
    VerifyAuditResponse, certification_admin_service_server::CertificationAdminService,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::{carried, shown};
use crate::{
    audit::{Audit, Finding, Progress},
    authority::{Authority, TokenOrder},
    backup,
    ledger::{Ledger, UpstreamKind},
    upstream::Upstream,
};

/// How long a token can be used unless its maker says otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// Serves the authority to its administrator.
#[derive(Debug, Clone)]
pub(crate) struct AdminRpc {
    pub(crate) authority: Arc<Authority>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) clock: SharedClock,
    /// The fleet page's, if there is one.
    pub(crate) screen: Option<Arc<Screen>>,
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
            root: request.root,
            by,
        };
        let (by, node) = (order.by.clone(), order.node.clone());
        let created = self.authority.create_token(order).await;
        let (token, record) = self.noted("CreateToken", &node, &by, created).await?;
        Ok(Response::new(CreateTokenResponse {
            token,
            enrollment_token: Some(shown::token(record, self.clock.now())),
        }))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let listed = self.tokens(&request).await;
        self.read("ListTokens", "", &by, listed).await
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let by = caller_name(request.extensions());
        let id = request.into_inner().id.to_lowercase();
        let revoked = self.authority.revoke_token(&id, &by).await;
        let token = self.noted("RevokeToken", &id, &by, revoked).await?;
        Ok(Response::new(RevokeTokenResponse { token: Some(shown::token(token, self.clock.now())) }))
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let listed = self.nodes(&request).await;
        self.read("ListNodes", "", &by, listed).await
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<GetNodeResponse>, Status> {
        let by = caller_name(request.extensions());
        let name = request.into_inner().name;
        let found = self.node(&name).await;
        self.read("GetNode", &name, &by, found).await
    }

    async fn list_certificates(
        &self,
        request: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let listed = self.certificates(&request).await;
        self.read("ListCertificates", &request.node, &by, listed).await
    }

    async fn get_certificate(
        &self,
        request: Request<GetCertificateRequest>,
    ) -> Result<Response<GetCertificateResponse>, Status> {
        let by = caller_name(request.extensions());
        let serial = serial(&request.into_inner().serial);
        let found = self.certificate(&serial).await;
        self.read("GetCertificate", &serial, &by, found).await
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
            certificate: Some(shown::certificate(self.ledger(), revoked.record, self.clock.now()).await?),
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
            node: Some(shown::node(self.ledger(), decommissioned.record).await?),
            revocation_list_number: decommissioned.list_number.unwrap_or_default(),
        }))
    }

    async fn get_authority(
        &self,
        request: Request<GetAuthorityRequest>,
    ) -> Result<Response<GetAuthorityResponse>, Status> {
        self.read("GetAuthority", "", &caller_name(request.extensions()), Ok(self.authorities())).await
    }

    async fn renew_authority(
        &self,
        request: Request<RenewAuthorityRequest>,
    ) -> Result<Response<RenewAuthorityResponse>, Status> {
        let by = caller_name(request.extensions());
        let renewed = self.upstream.renew(&by).await;
        let renewed = self.noted("RenewAuthority", "", &by, renewed).await?;
        Ok(Response::new(RenewAuthorityResponse { authority: Some(shown::authority(&renewed)) }))
    }

    async fn set_upstream(
        &self,
        request: Request<SetUpstreamRequest>,
    ) -> Result<Response<SetUpstreamResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let set = async {
            let kind = match request.kind() {
                pb::UpstreamKind::Self_ => UpstreamKind::SelfSigned,
                pb::UpstreamKind::Grpc => UpstreamKind::Grpc,
                pb::UpstreamKind::Offline => UpstreamKind::Offline,
                pb::UpstreamKind::Unspecified => {
                    return Err(Error::new(Reason::InvalidArgument, "kind must be given"));
                }
            };
            self.upstream.set(kind, &request.token, &by).await
        };
        self.noted("SetUpstream", request.kind().as_str_name(), &by, set.await).await?;
        let generations = self.authority.generations();
        Ok(Response::new(SetUpstreamResponse {
            authority: generations.active().map(|active| shown::authority(active)),
            upstream: Some(shown::upstream(generations.record())),
        }))
    }

    async fn export_authority_request(
        &self,
        request: Request<ExportAuthorityRequestRequest>,
    ) -> Result<Response<ExportAuthorityRequestResponse>, Status> {
        let by = caller_name(request.extensions());
        let exported = self.upstream.export(&request.into_inner().token, &by).await;
        let request = self.noted("ExportAuthorityRequest", "", &by, exported).await?;
        Ok(Response::new(ExportAuthorityRequestResponse { request }))
    }

    async fn import_authority_answer(
        &self,
        request: Request<ImportAuthorityAnswerRequest>,
    ) -> Result<Response<ImportAuthorityAnswerResponse>, Status> {
        let by = caller_name(request.extensions());
        let imported = self.upstream.import(&request.into_inner().answer, &by).await;
        let imported = self.noted("ImportAuthorityAnswer", "", &by, imported).await?;
        Ok(Response::new(ImportAuthorityAnswerResponse { authority: Some(shown::authority(&imported)) }))
    }

    async fn sign_request(
        &self,
        request: Request<SignRequestRequest>,
    ) -> Result<Response<SignRequestResponse>, Status> {
        let by = caller_name(request.extensions());
        let answered = carried::answer(&self.authority, &self.audit, &request.into_inner().request).await;
        let answered = self.noted("SignRequest", "", &by, answered).await?;
        let event = Event::new(EventKind::RequestAnswered).about(&answered.serial, &answered.node).by(&by);
        self.ledger().events().raise(event).await.map_err(Error::from)?;
        Ok(Response::new(answered))
    }

    async fn prepare_rotation(
        &self,
        request: Request<PrepareRotationRequest>,
    ) -> Result<Response<PrepareRotationResponse>, Status> {
        let by = caller_name(request.extensions());
        let prepared = self.upstream.prepare_rotation(&by).await;
        let prepared = self.noted("PrepareRotation", "", &by, prepared).await?;
        let authority = shown::recorded_authority(&self.authority.generations(), &prepared);
        Ok(Response::new(PrepareRotationResponse { authority: Some(authority) }))
    }

    async fn activate_rotation(
        &self,
        request: Request<ActivateRotationRequest>,
    ) -> Result<Response<ActivateRotationResponse>, Status> {
        let by = caller_name(request.extensions());
        let activated = self.authority.activate_rotation(&by).await;
        let activated = self.noted("ActivateRotation", "", &by, activated).await?;
        Ok(Response::new(ActivateRotationResponse { authority: Some(shown::authority(&activated)) }))
    }

    async fn retire_authority(
        &self,
        request: Request<RetireAuthorityRequest>,
    ) -> Result<Response<RetireAuthorityResponse>, Status> {
        let by = caller_name(request.extensions());
        let retired = self.authority.retire(&by).await;
        let retired = self.noted("RetireAuthority", "", &by, retired).await?;
        Ok(Response::new(RetireAuthorityResponse { authority: Some(shown::authority(&retired)) }))
    }

    type VerifyAuditStream = Pin<Box<dyn Stream<Item = Result<VerifyAuditResponse, Status>> + Send>>;

    async fn verify_audit(
        &self,
        request: Request<VerifyAuditRequest>,
    ) -> Result<Response<Self::VerifyAuditStream>, Status> {
        let by = caller_name(request.extensions());
        // Before it is known how it ends: who asked may not wait for that.
        self.keep_read("VerifyAudit", "", &by).await;
        let seen = request.into_inner().checkpoint;
        let this = self.clone();
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
            let verification = this.audit.verify(Some(&seen), &progress);
            let outcome = tokio::select! {
                outcome = verification => outcome,
                () = sender.closed() => return,
            };
            let outcome = this.noted("VerifyAudit", "", &by, outcome).await;
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
        let by = caller_name(request.extensions());
        let serial = serial(&request.into_inner().serial);
        let found = self.proof(&serial).await;
        self.read("ProveCertificate", &serial, &by, found).await
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

    async fn put_entitlement(
        &self,
        request: Request<PutEntitlementRequest>,
    ) -> Result<Response<PutEntitlementResponse>, Status> {
        let by = caller_name(request.extensions());
        let (answer, about) = self.put(&request.into_inner().document, &by).await?;
        if answer.unchanged {
            return self.read("PutEntitlement", &about, &by, Ok(answer)).await;
        }
        Ok(Response::new(answer))
    }

    async fn list_entitlements(
        &self,
        request: Request<ListEntitlementsRequest>,
    ) -> Result<Response<ListEntitlementsResponse>, Status> {
        let by = caller_name(request.extensions());
        let request = request.into_inner();
        let listed = self.entitlements(&request).await;
        self.read("ListEntitlements", &request.owner, &by, listed).await
    }

    async fn show_entitlement(
        &self,
        request: Request<ShowEntitlementRequest>,
    ) -> Result<Response<ShowEntitlementResponse>, Status> {
        let by = caller_name(request.extensions());
        let ShowEntitlementRequest { owner, vendor } = request.into_inner();
        let found = self.entitlement(&owner, &vendor).await;
        self.read("ShowEntitlement", &shown::entitlement_name(&owner, &vendor), &by, found).await
    }

    async fn get_root_status(
        &self,
        request: Request<GetRootStatusRequest>,
    ) -> Result<Response<GetRootStatusResponse>, Status> {
        let status = self.status().await;
        self.read("GetRootStatus", "", &caller_name(request.extensions()), status).await
    }

    async fn create_sign_in_link(
        &self,
        request: Request<CreateSignInLinkRequest>,
    ) -> Result<Response<CreateSignInLinkResponse>, Status> {
        let uid = caller(request.extensions())
            .ok_or_else(|| Error::internal("admin socket", "the caller has no uid"))?;
        let link = sign_in_link(self.screen.as_deref(), uid).await.map(|(url, expires_at)| {
            let expire_time = Some(timestamp(from_unix_seconds(expires_at)));
            CreateSignInLinkResponse { url, expire_time }
        });
        self.read("CreateSignInLink", "", &caller_name(request.extensions()), link).await
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
    pub(super) fn ledger(&self) -> &Ledger {
        self.authority.ledger()
    }
}
