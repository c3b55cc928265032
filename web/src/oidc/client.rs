//! HTTP to an identity provider: a connection for each request, no redirects, bounds on time and length.

use std::{fs, io, path::Path, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use licensor::{clock::SharedClock, config::ConfigError, tls};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, url::Url};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::config::is_safe;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of an answer at most.
const LARGEST: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The provider sent us to an address that is not safe.
    #[error("{0} is neither https nor on this machine")]
    Unsafe(String),
    /// Nobody can be reached there, or not over TLS.
    #[error("no connection to {0}")]
    Connection(String, #[source] io::Error),
    /// The request or the answer broke off.
    #[error("no answer")]
    Http(#[from] hyper::Error),
    /// The answer is too long, or broke off.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// It took too long.
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Late,
}

/// Makes requests to an identity provider.
pub(super) struct Client {
    tls: TlsConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client that trusts the anchors in a file, or those of the system.
    ///
    /// # Errors
    /// [`ConfigError`] if there are none.
    pub(super) fn new(anchors: Option<&Path>, clock: SharedClock) -> Result<Self, ConfigError> {
        let anchors = match anchors {
            Some(path) => from_file(path)?,
            None => {
                let found = rustls_native_certs::load_native_certs();
                for error in found.errors {
                    tracing::warn!(%error, "a trust anchor of the system cannot be read");
                }
                found.certs.into_iter().map(|certificate| certificate.to_vec()).collect()
            }
        };
        let config = tls::https_client_config(&anchors, clock).map_err(|error| {
            tracing::debug!(%error, "no trust anchors");
            ConfigError::unusable(
                "web.oidc.trust_anchors",
                "there is nobody to trust: name a file with certificates (PEM)",
            )
        })?;
        Ok(Self { tls: TlsConnector::from(config) })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ClientError> {
        let url = request.uri().to_string();
        let url = Url::parse(&url).ok().filter(is_safe).ok_or(ClientError::Unsafe(url))?;
        tokio::time::timeout(PATIENCE, self.exchange(&url, request)).await.map_err(|_| ClientError::Late)?
    }

    async fn exchange(&self, url: &Url, request: HttpRequest) -> Result<HttpResponse, ClientError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let failed = |error| ClientError::Connection(format!("{host}:{port}"), error);
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
        if url.scheme() == "http" {
            return talk(stream, request).await;
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| failed(io::Error::other(error)))?;
        talk(self.tls.connect(name, stream).await.map_err(failed)?, request).await
    }
}

async fn talk<S>(stream: S, request: HttpRequest) -> Result<HttpResponse, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut parts, body) = request.into_parts();
    if let Some(host) = parts.uri.authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok()) {
        parts.headers.insert(header::HOST, host);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse::<Uri>().map_err(|error| ClientError::Body(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when `sender` and the answer are dropped.
    tokio::spawn(connection);
    let request = http::Request::from_parts(parts, Full::new(Bytes::from(body)));
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body.map_err(|error| ClientError::Body(error.to_string()))?.to_bytes();
    Ok(HttpResponse::from_parts(parts, body.to_vec()))
}

impl<'c> AsyncHttpClient<'c> for Client {
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ClientError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn from_file(path: &Path) -> Result<Vec<Vec<u8>>, ConfigError> {
    let wrong = |problem: String| {
        ConfigError::unusable("web.oidc.trust_anchors", format!("{}: {problem}", path.display()))
    };
    let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let anchors = pem::parse_many(text).map_err(|error| wrong(error.to_string()))?;
    if anchors.is_empty() {
        return Err(wrong("there is no certificate in it (PEM)".into()));
    }
    Ok(anchors.into_iter().map(pem::Pem::into_contents).collect())
}
