//! A licensing server and the applications that call it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use licensor::{admin::connect, clock::SharedClock, tls::client_config};
use proto::certification::v1::PutEntitlementRequest;
use proto::licensing::v1::{
    AccessPermission, CreateAccessTokenRequest, licensing_admin_service_client::LicensingAdminServiceClient,
};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Request, metadata::AsciiMetadataValue, transport::Channel};

use crate::{
    connection, fleet,
    service::{Root, Service, command, free_port, pause, run},
};

/// An enrolled licensing server.
#[derive(Debug)]
pub(crate) struct Node {
    address: SocketAddr,
    operations: SocketAddr,
    pub(crate) web: SocketAddr,
    config: PathBuf,
    data_dir: PathBuf,
    pinned: bool,
    tls: Arc<ClientConfig>,
}

/// An application on a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) channel: Channel,
    token: AsciiMetadataValue,
}

impl Node {
    /// Enrols a licensing server of this name, whose owner has what `entitlement` says.
    pub(crate) async fn enroll(
        name: &str,
        entitlement: String,
        directory: &Path,
        root: &Root,
        clock: &SharedClock,
    ) -> Result<Self> {
        let (address, operations, web) = (free_port()?, free_port()?, free_port()?);
        let (config, data_dir) = (directory.join(format!("{name}.toml")), directory.join(name));
        let text = format!(
            "data_dir = {data_dir:?}\nlisten = \"{address}\"\nops_listen = \"{operations}\"\n\
             web.listen = \"{web}\"\n[access]\ncalls_per_second = 1000000\nburst = 1000000\n"
        );
        fs::write(&config, text)?;
        let mut administration = fleet::administration(root).await?;
        administration.put_entitlement(PutEntitlementRequest { document: entitlement }).await?;
        let token = fleet::create_token(administration, name).await?;
        let mut enroll = command("license-service", &config, root.pinned)?;
        enroll.args(["enroll", "--token", "-"]);
        run(enroll, &token)?;
        let tls = client_config(&fleet::anchors(root)?, None, clock.clone())?;
        Ok(Self { address, operations, web, config, data_dir, pinned: root.pinned, tls })
    }

    /// Starts it, and waits until it issues licences.
    pub(crate) async fn start(&self, clock: &SharedClock) -> Result<Service> {
        let serve = command("license-service", &self.config, self.pinned)?;
        let process =
            Service::start(serve, &self.config.with_extension("log"), self.operations, clock).await?;
        while !is_ready(self.operations).await.unwrap_or_default() {
            pause(clock, 10).await;
        }
        eprintln!("process {} of license-service", process.id());
        Ok(process)
    }

    /// The admin socket.
    pub(crate) async fn administration(&self) -> Result<LicensingAdminServiceClient<Channel>> {
        Ok(LicensingAdminServiceClient::new(connect(&self.data_dir.join("admin.sock")).await?))
    }

    /// Applications that may take seats and report usage, all with the same access token.
    pub(crate) async fn connect(&self, count: usize) -> Result<Vec<Application>> {
        let mut administration = self.administration().await?;
        let allows = vec![AccessPermission::Licenses.into(), AccessPermission::Usage.into()];
        let order = CreateAccessTokenRequest { name: "load".to_owned(), allows, ..Default::default() };
        let created = administration.create_access_token(order).await?.into_inner();
        let token: AsciiMetadataValue = format!("Bearer {}", created.token).parse()?;
        let connections = (0..count).map(|_| connection::open(self.address, self.tls.clone()));
        let applications = try_join_all(connections)
            .await?
            .into_iter()
            .map(|channel| Application { channel, token: token.clone() })
            .collect();
        Ok(applications)
    }
}

impl Application {
    /// A call with the access token.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }
}

/// Whether `/readyz` says so.
async fn is_ready(operations: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(operations).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {operations}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().context("no answer")?.contains(" 200 "))
}
