//! The TLS port: accepts connections within bounds, and serves gRPC on them.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use http::{HeaderValue, Request, Response};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, body::Body, transport::server::Connected};
use tower::{Layer, Service};
use verifier::Certificate;

use crate::{
    clock::SharedClock,
    config::Limits,
    error::{Error, Reason},
    key::sha256,
    process,
    telemetry::Metrics,
};

/// Word that the service is to stop.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A sender that says stop with `true`, and the word as everyone waits for it.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Does `work` until the service is to stop; what is left of it then is dropped.
    pub async fn cut(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.wait() => {}
        }
    }

    /// Returns when the service is to stop.
    pub async fn wait(&self) {
        // A sender that is gone says the same.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}

/// The client certificate of a connection, with what it says.
#[derive(Debug)]
pub struct PeerCertificate {
    /// The certificate (DER).
    pub der: Vec<u8>,
    /// What the client showed beside it (DER): issuers, as it says.
    pub issuers: Vec<Vec<u8>>,
    /// SHA-256 of all that the client showed.
    pub digest: [u8; 32],
    /// What it says.
    pub facts: Certificate,
}

impl PeerCertificate {
    /// Reads what a client showed (DER), its own certificate first; `None` if that is none that can be read.
    #[must_use]
    pub fn read<D: AsRef<[u8]>>(shown: &[D]) -> Option<Self> {
        let (der, issuers) = shown.split_first()?;
        let facts = Certificate::parse(der.as_ref()).ok()?;
        // Each certificate has its length in itself: no two lists of them are the same octets.
        let digest = sha256(&shown.iter().flat_map(AsRef::as_ref).copied().collect::<Vec<u8>>());
        let issuers = issuers.iter().map(|der| der.as_ref().to_vec()).collect();
        Some(Self { der: der.as_ref().to_vec(), issuers, digest, facts })
    }
}

/// Who is at the other end: found in the extensions of a request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Address.
    pub address: SocketAddr,
    /// Client certificate, if the client showed one that can be read. TLS has proved that the client has its key, and
    /// nothing else.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// A connection after its handshake; counts against the bound until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    /// What has been read of the stream and not been taken yet.
    begun: Vec<u8>,
    peer: Peer,
    _open: Open,
}

#[derive(Debug)]
struct Open {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let length = self.begun.len().min(buf.remaining());
            buf.put_slice(&self.begun[..length]);
            self.begun.drain(..length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Binds a port, or says which and why not.
///
/// # Errors
/// A sentence with the address.
pub async fn bind(address: SocketAddr, key: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen on {address} (`{key}`): {error}; free it or choose another"),
        )
    })
}

/// The next connection; `None` if there was none to be had. Out of file descriptors, say, a moment passes first, so that
/// the loop does not spin.
pub async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            pause_accepting().await;
            None
        }
    }
}

/// Waits before the next attempt to accept a connection.
pub(crate) async fn pause_accepting() {
    let _ = tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
}

/// What a client says first (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the accept loop works with.
#[derive(Debug, Clone)]
pub struct Acceptor {
    /// TLS as the port speaks it.
    pub tls: Arc<ServerConfig>,
    /// Bounds.
    pub limits: Limits,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Accepts until `shutdown`: the connections whose handshake succeeded.
    pub fn accept(
        self,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> impl Stream<Item = io::Result<Connection>> {
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move { shutdown.cut(self.accept_all(listener, sender)).await });
        ReceiverStream::new(receiver)
    }

    async fn accept_all(self, listener: TcpListener, sender: mpsc::Sender<io::Result<Connection>>) {
        let places = Arc::new(Semaphore::new(self.limits.connections.min(process::connections())));
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        loop {
            let Some((stream, address)) = accept(&listener).await else {
                self.metrics.connections_refused.inc();
                continue;
            };
            let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
                self.metrics.connections_refused.inc();
                tracing::debug!(%address, "connection turned away: `limits.connections` are open");
                continue;
            };
            let (acceptor, sender, this) = (acceptor.clone(), sender.clone(), self.clone());
            this.metrics.connections.inc();
            let open = Open { metrics: Arc::clone(&this.metrics), _permit: permit };
            tokio::spawn(async move {
                match this.handshake(acceptor, stream, address, open).await {
                    Ok(connection) => _ = sender.send(Ok(connection)).await,
                    Err(error) => {
                        this.metrics.connections_refused.inc();
                        tracing::debug!(%address, %error, "handshake failed");
                    }
                }
            });
        }
    }

    async fn handshake(
        &self,
        acceptor: TlsAcceptor,
        stream: TcpStream,
        address: SocketAddr,
        open: Open,
    ) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let mut begun = vec![0; HTTP2_PREFACE.len()];
        let handshake = async {
            let mut stream = acceptor.accept(stream).await?;
            // Until a client has said that it speaks HTTP/2 nothing else would notice that it is gone.
            stream.read_exact(&mut begun).await?;
            io::Result::Ok(stream)
        };
        let stream = tokio::time::timeout(self.limits.handshake_timeout.0, handshake)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if begun != HTTP2_PREFACE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = PeerCertificate::read(shown).map(Arc::new);
        Ok(Connection { stream, begun, peer: Peer { address, certificate }, _open: open })
    }
}

/// A gRPC server with the bounds of `limits`, whose calls are measured.
#[must_use]
pub fn grpc_server(
    limits: &Limits,
    metrics: &Arc<Metrics>,
    clock: &SharedClock,
) -> tonic::transport::Server<tower::layer::util::Stack<CallLayer, tower::layer::util::Identity>> {
    tonic::transport::Server::builder()
        // Until the answer begins: streams go on. A client that never ends its request gives its place back.
        .timeout(limits.call_timeout.0)
        .max_concurrent_streams(limits.streams)
        .max_connection_age(limits.connection_age.0)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .http2_max_header_list_size(16 << 10)
        .layer(CallLayer {
            metrics: Arc::clone(metrics),
            clock: Arc::clone(clock),
            places: Arc::new(Semaphore::new(limits.calls)),
        })
}

/// Measures calls, and turns away those past the bound.
#[derive(Debug, Clone)]
pub struct CallLayer {
    metrics: Arc<Metrics>,
    clock: SharedClock,
    places: Arc<Semaphore>,
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, layer: self.clone() }
    }
}

/// A call that is under way; counts against the bound until it is dropped.
#[derive(Debug)]
struct UnderWay {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.metrics.calls_under_way.dec();
    }
}

/// A service whose calls are measured and bounded.
#[derive(Debug, Clone)]
pub struct Calls<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let CallLayer { metrics, clock, places } = self.layer.clone();
        let Ok(permit) = places.try_acquire_owned() else {
            metrics.call("any", "resource_exhausted", Duration::ZERO);
            let error =
                Error::new(Reason::Overloaded, "too many calls at once (`limits.calls`): try again later")
                    .retry_after(Duration::from_secs(1));
            return Box::pin(async move { Ok(tonic::Status::from(error).into_http()) });
        };
        metrics.calls_under_way.inc();
        let call = UnderWay { metrics, _permit: permit };
        let path = request.uri().path().to_owned();
        let start = clock.elapsed();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let code = code_name(answer.headers().get("grpc-status"));
            // A path that nothing serves is not counted under its own name: anyone could invent any number of them.
            let method = if code == "unimplemented" { "unknown" } else { path.trim_start_matches('/') };
            call.metrics.call(method, code, clock.elapsed().saturating_sub(start));
            Ok(answer)
        })
    }
}

fn code_name(status: Option<&HeaderValue>) -> &'static str {
    match status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes())) {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}
