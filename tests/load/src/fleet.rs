//! The licensing servers that renew: their keys and certificates.

use std::{fs, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use licensor::{
    admin,
    clock::{SharedClock, SystemClock},
    key::{KeyAlgorithm, PrivateKey},
    tls::{Single, certified_key, client_config},
};
use proto::certification::v1::{
    CreateTokenRequest, EnrollRequest, RenewRequest,
    certification_admin_service_client::CertificationAdminServiceClient,
    certification_service_client::CertificationServiceClient,
};
use rustls::ClientConfig;
use tonic::transport::Channel;

use crate::{connection, service::Root};

/// Enrolments at once.
const AT_ONCE: usize = 32;

/// All licensing servers of one root.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) address: SocketAddr,
    nodes: Vec<Node>,
    anchors: Vec<Vec<u8>>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Node {
    key: PrivateKey,
    /// DER.
    certificate: Vec<u8>,
}

/// A renewal that was prepared: nothing but the call is left to do.
#[derive(Debug)]
pub(crate) struct Renewal {
    node: usize,
    key: PrivateKey,
    request: RenewRequest,
}

/// A renewal that was answered.
#[derive(Debug)]
pub(crate) struct Renewed {
    node: usize,
    key: PrivateKey,
    certificate: Vec<u8>,
}

impl Fleet {
    /// Enrols `count` new nodes.
    pub(crate) async fn enroll(root: &Root, count: usize) -> Result<Self> {
        let clock = SystemClock::shared();
        let anchors = anchors(root)?;
        let administration = administration(root).await?;
        let channel = connection::open(root.address, client_config(&anchors, None, clock.clone())?).await?;
        let nodes = (0..count).map(|number| {
            let (administration, channel) = (administration.clone(), channel.clone());
            async move {
                let token = create_token(administration, &format!("node-{number}")).await?;
                let key = PrivateKey::generate(KeyAlgorithm::P256)?;
                let request =
                    EnrollRequest { token, licensor_csr: key.certificate_request()?, ..Default::default() };
                let response = CertificationServiceClient::new(channel).enroll(request).await?.into_inner();
                anyhow::Ok(Node { key, certificate: response.licensor_certificate })
            }
        });
        let nodes = stream::iter(nodes).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Self { address: root.address, nodes, anchors, clock })
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// TLS of one node, with its current certificate.
    pub(crate) fn tls(&self, node: usize) -> Result<Arc<ClientConfig>> {
        let Node { key, certificate } = &self.nodes[node % self.nodes.len()];
        let credential = Single(certified_key(std::slice::from_ref(certificate), key)?);
        Ok(client_config(&self.anchors, Some(Arc::new(credential)), self.clock.clone())?)
    }

    /// A renewal of every node, each with a new key.
    pub(crate) fn prepare(&self) -> Result<Vec<Renewal>> {
        let prepare = |node| {
            let key = PrivateKey::generate(KeyAlgorithm::P256)?;
            let request = RenewRequest { licensor_csr: key.certificate_request()?, ..Default::default() };
            Ok(Renewal { node, key, request })
        };
        (0..self.nodes.len()).map(prepare).collect()
    }

    /// Takes over what was renewed.
    pub(crate) fn adopt(&mut self, renewed: Vec<Renewed>) {
        for Renewed { node, key, certificate } in renewed {
            self.nodes[node] = Node { key, certificate };
        }
    }
}

impl Renewal {
    /// Makes the call.
    pub(crate) async fn call(self, channel: Channel) -> Result<Renewed> {
        let response = CertificationServiceClient::new(channel).renew(self.request).await?.into_inner();
        Ok(Renewed { node: self.node, key: self.key, certificate: response.licensor_certificate })
    }
}

/// The trust anchor of a root (DER).
pub(crate) fn anchors(root: &Root) -> Result<Vec<Vec<u8>>> {
    let path = root.data_dir.join("trust-anchor.pem");
    Ok(vec![pem::parse(fs::read(&path).with_context(|| path.display().to_string())?)?.into_contents()])
}

/// The root as its administrator reaches it.
pub(crate) async fn administration(root: &Root) -> Result<CertificationAdminServiceClient<Channel>> {
    let channel = admin::connect(&root.data_dir.join("admin.sock")).await?;
    Ok(CertificationAdminServiceClient::new(channel))
}

/// A token for a new node of this machine.
pub(crate) async fn create_token(
    mut administration: CertificationAdminServiceClient<Channel>,
    node: &str,
) -> Result<String> {
    let request = CreateTokenRequest {
        node: node.to_owned(),
        owner: "Example GmbH".to_owned(),
        dns_names: vec!["localhost".to_owned()],
        ..Default::default()
    };
    Ok(administration.create_token(request).await?.into_inner().token)
}
