//! A gRPC client of our own, for what the command lines and foreign clients cannot show: the state of a connection, many
//! calls at once, a call that is still being sent.

use std::{
    future::Future,
    io,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use hyper_util::rt::TokioIo;
use licensor::{
    clock::{SharedClock, SystemClock},
    key::{KeyAlgorithm, PrivateKey},
    tls::client_config,
};
use tokio::{net::TcpStream, runtime::Runtime, sync::mpsc, task::JoinHandle};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Uri},
};

use crate::Service;

/// Runs to the end what a test waits for. Connections are kept up in the background between two of these.
pub fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

/// Starts what goes on in the background of a test.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime().spawn(future)
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// A channel whose calls show an access token, if there is one.
pub type Wire = InterceptedService<Channel, Bearer>;

/// The `authorization` of calls: an access token, or nothing.
#[derive(Debug, Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Bearer {
    /// Shows this token.
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(|token| format!("Bearer {token}").parse().unwrap()))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A channel to a TLS port that connects anew when its connection has ended.
#[derive(Debug, Clone)]
pub struct Line {
    /// What calls go over. At a licensing server they show the bench's access token.
    pub channel: Wire,
    bare: Channel,
    opened: Arc<AtomicUsize>,
    certificate: Arc<Mutex<Vec<u8>>>,
}

impl Line {
    /// Connects to `service`, which shows a certificate of the trust anchor in this file (PEM).
    pub fn open(service: &Service, trust_anchor: &Path) -> Self {
        Self::open_at(service, trust_anchor, SystemClock::shared())
    }

    /// Connects at the time that `clock` shows.
    pub fn open_at(service: &Service, trust_anchor: &Path, clock: SharedClock) -> Self {
        let (opened, certificate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let tls = TlsConnector::from(client_config(&certificates(trust_anchor), None, clock).unwrap());
        let (address, port) = (service.address(), service.port);
        let connector = {
            let (opened, certificate) = (Arc::clone(&opened), Arc::clone(&certificate));
            tower::service_fn(move |_: Uri| {
                let (tls, opened, certificate) = (tls.clone(), Arc::clone(&opened), Arc::clone(&certificate));
                async move {
                    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                    stream.set_nodelay(true)?;
                    let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
                    let stream = tls.connect(name, stream).await?;
                    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                    *certificate.lock().unwrap() = shown;
                    opened.fetch_add(1, Ordering::SeqCst);
                    io::Result::Ok(TokioIo::new(stream))
                }
            })
        };
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        let channel = block_on(endpoint.connect_with_connector(connector)).unwrap();
        let bare = channel.clone();
        let channel = Wire::new(channel, Bearer::new(service.access_token()));
        Self { channel, bare, opened, certificate }
    }

    /// The same connection, for calls that show another access token, or none.
    pub fn bearing(&self, token: Option<&str>) -> Wire {
        Wire::new(self.bare.clone(), Bearer::new(token))
    }

    /// How many connections there have been.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// The certificate that the server showed on the newest connection (DER).
    pub fn server_certificate(&self) -> Vec<u8> {
        self.certificate.lock().unwrap().clone()
    }
}

/// A channel to the admin socket.
pub fn admin(service: &Service) -> Channel {
    block_on(licensor::admin::connect(&service.data("admin.sock"))).unwrap()
}

/// The certificates in a PEM file, as DER.
pub fn certificates(file: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read(file).unwrap();
    pem::parse_many(text).unwrap().into_iter().map(pem::Pem::into_contents).collect()
}

/// A PKCS #10 request (DER) for a new key.
pub fn certificate_request() -> Vec<u8> {
    PrivateKey::generate(KeyAlgorithm::P256).unwrap().certificate_request().unwrap()
}

/// A unary call whose request is under way: its head has been sent, its message follows when the test says so.
#[derive(Debug)]
pub struct Pending<Q, R> {
    message: mpsc::Sender<Q>,
    answer: JoinHandle<Result<R, Status>>,
}

impl<Q, R> Pending<Q, R>
where
    Q: prost::Message + Send + Sync + 'static,
    R: prost::Message + Default + Send + Sync + 'static,
{
    /// Begins a call of the method at `path`.
    pub fn begin(channel: &Wire, path: &'static str) -> Self {
        let (message, messages) = mpsc::channel(1);
        let mut grpc = Grpc::new(channel.clone());
        let answer = spawn({
            async move {
                grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
                let codec = tonic_prost::ProstCodec::<Q, R>::default();
                let request = Request::new(ReceiverStream::new(messages));
                let answer = grpc.client_streaming(request, PathAndQuery::from_static(path), codec).await?;
                Ok(answer.into_inner())
            }
        });
        Self { message, answer }
    }

    /// Sends the message; the answer.
    pub fn finish(self, message: Q) -> Result<R, Status> {
        let Self { message: sender, answer } = self;
        block_on(async move {
            // If the call has ended already, its answer says why.
            let _ = sender.send(message).await;
            drop(sender);
            answer.await.unwrap()
        })
    }

    /// The answer to a call whose message never comes.
    pub fn outcome(self) -> Result<R, Status> {
        block_on(async { self.answer.await.unwrap() })
    }
}
