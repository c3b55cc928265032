//! What the local administrator's calls read that change nothing.

use licensor::{
    error::{Error, Reason, Result},
    page::page_size,
};
use proto::certification::v1::{
    self as pb, GetAuthorityResponse, GetCertificateResponse, GetNodeResponse, GetRootStatusResponse,
    ListCertificatesRequest, ListCertificatesResponse, ListNodesRequest, ListNodesResponse,
    ListTokensRequest, ListTokensResponse, ProveCertificateResponse,
};

use super::{AdminRpc, shown};

impl AdminRpc {
    pub(super) async fn tokens(&self, request: &ListTokensRequest) -> Result<ListTokensResponse> {
        let (tokens, next_page_token) =
            self.ledger().tokens(&request.page_token, page_size(request.page_size)?).await?;
        let tokens = tokens.into_iter().map(|token| shown::token(token, self.clock.now())).collect();
        Ok(ListTokensResponse { tokens, next_page_token })
    }

    pub(super) async fn nodes(&self, request: &ListNodesRequest) -> Result<ListNodesResponse> {
        let (records, next_page_token) =
            self.ledger().nodes(&request.page_token, page_size(request.page_size)?).await?;
        let mut nodes = Vec::with_capacity(records.len());
        for record in records {
            nodes.push(shown::node(self.ledger(), record).await?);
        }
        Ok(ListNodesResponse { nodes, next_page_token })
    }

    pub(super) async fn node(&self, name: &str) -> Result<GetNodeResponse> {
        let node = self.ledger().node(name).await?.ok_or_else(|| {
            let message = format!("there is no node {name}: see `root-service nodes list`");
            Error::new(Reason::NodeUnknown, message).with("node", name)
        })?;
        Ok(GetNodeResponse { node: Some(shown::node(self.ledger(), node.record).await?) })
    }

    pub(super) async fn certificates(
        &self,
        request: &ListCertificatesRequest,
    ) -> Result<ListCertificatesResponse> {
        let limit = page_size(request.page_size)?;
        let (records, next_page_token) = if request.node.is_empty() {
            self.ledger().certificates(&request.page_token, limit).await?
        } else {
            self.ledger().certificates_of(&request.node, &request.page_token, limit).await?
        };
        let mut certificates = Vec::with_capacity(records.len());
        for record in records {
            let whole = shown::certificate(self.ledger(), record, self.clock.now()).await?;
            certificates.push(pb::Certificate {
                certificate: Vec::new(),
                server_certificate: Vec::new(),
                authority_certificate: Vec::new(),
                ..whole
            });
        }
        Ok(ListCertificatesResponse { certificates, next_page_token })
    }

    pub(super) async fn certificate(&self, serial: &str) -> Result<GetCertificateResponse> {
        let certificate = self.ledger().certificate_named(serial).await?.ok_or_else(|| {
            let message = format!("there is no certificate {serial}: see `root-service certificates list`");
            Error::new(Reason::CertificateUnknown, message).with("serial", serial)
        })?;
        Ok(GetCertificateResponse {
            certificate: Some(shown::certificate(self.ledger(), certificate, self.clock.now()).await?),
        })
    }

    pub(super) fn authorities(&self) -> GetAuthorityResponse {
        let generations = self.authority.generations();
        let authorities = generations.record().generations.iter().rev();
        GetAuthorityResponse {
            authority: generations.active().map(|active| shown::authority(active)),
            authorities: authorities.map(|record| shown::recorded_authority(&generations, record)).collect(),
            upstream: Some(shown::upstream(generations.record())),
        }
    }

    pub(super) async fn proof(&self, serial: &str) -> Result<ProveCertificateResponse> {
        Ok(ProveCertificateResponse { proof: self.audit.prove(serial).await?.to_text() })
    }

    pub(super) async fn status(&self) -> Result<GetRootStatusResponse> {
        let disabled = self.authority.check_enabled().err();
        let nodes = self.ledger().count_nodes().await?;
        Ok(GetRootStatusResponse {
            trust_domain: self.authority.trust_domain().to_owned(),
            authority: self.authority.active().ok().map(|active| shown::authority(&active)),
            nodes: i64::try_from(nodes).unwrap_or(i64::MAX),
            enabled: disabled.is_none(),
            disabled_reason: disabled.map(|error| error.reason.to_string()).unwrap_or_default(),
            public_address: self.authority.public_address().to_owned(),
        })
    }
}
