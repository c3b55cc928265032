//! Connections to a service: TLS as its clients speak it, and HTTP/2 on top.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::Result;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Opens a connection to a port of this machine.
pub(crate) async fn open(address: SocketAddr, tls: Arc<ClientConfig>) -> Result<Channel> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost")?, stream).await?;
    // tonic asks for a connection once; a second call means that this one broke.
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take().ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset));
        std::future::ready(stream)
    });
    Ok(Endpoint::from_static("https://localhost").connect_with_connector(connector).await?)
}

/// The empty RPC: grpc.health.v1 Check of the whole server, the smallest there is.
pub(crate) async fn check_health(channel: Channel) -> Result<()> {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    Ok(())
}
