//! A client of the root in this process: an identity of its own that enrols and renews, for load.

use std::{error::Error as _, sync::Arc};

use hyper_util::rt::TokioIo;
use licensor::{
    clock::SystemClock,
    error::{Error, Reason},
    key::{KeyAlgorithm, PrivateKey},
    tls::{Single, certified_key, client_config, first_contact_config},
    token::EnrollmentToken,
};
use proto::certification::v1::{
    EnrollRequest, RenewRequest, certification_service_client::CertificationServiceClient,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use verifier::Certificate;

/// Why a client did not get what it asked for.
#[derive(Debug, Clone)]
pub enum Failed {
    /// The root said no.
    Refused(Error),
    /// The connection broke, or there was none.
    Broken(String),
}

/// Opens one connection to `address` (`127.0.0.1:port`).
///
/// # Errors
/// [`Failed::Broken`].
pub async fn connect(address: &str, tls: Arc<ClientConfig>) -> Result<Channel, Failed> {
    let broke = |error: std::io::Error| Failed::Broken(error.to_string());
    let stream = TcpStream::connect(address).await.map_err(broke)?;
    stream.set_nodelay(true).map_err(broke)?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(broke)?;
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let gone = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        std::future::ready(stream.take().ok_or_else(gone))
    });
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    endpoint.connect_with_connector(connector).await.map_err(|error| {
        Failed::Broken(error.source().map_or_else(|| error.to_string(), ToString::to_string))
    })
}

/// A token with the key that it is to be exchanged for: the same key again if the answer got lost.
#[derive(Debug)]
pub struct Enrolling {
    token: String,
    key: Arc<PrivateKey>,
}

impl Enrolling {
    /// A new key for a token.
    pub fn new(token: &str) -> Self {
        Self { token: token.to_owned(), key: new_key() }
    }

    /// Exchanges the token.
    ///
    /// # Errors
    /// What the root said, or what broke.
    pub async fn enroll(&self) -> Result<Identity, Failed> {
        let token = EnrollmentToken::parse(&self.token).unwrap();
        let (tls, _) = first_contact_config(token.fingerprint(), SystemClock::shared()).unwrap();
        let mut client = CertificationServiceClient::new(connect(&token.address, tls).await?);
        let request = EnrollRequest {
            token: self.token.clone(),
            licensor_csr: self.key.certificate_request().unwrap(),
            ..Default::default()
        };
        let answer = client.enroll(request).await.map_err(said)?.into_inner();
        Ok(Identity {
            address: token.address,
            anchors: answer.trust_bundle.unwrap().trust_anchors,
            key: Arc::clone(&self.key),
            serial: serial(&answer.licensor_certificate),
            certificate: answer.licensor_certificate,
            next: None,
        })
    }
}

/// An enrolled identity: the client's side of a line of certificates.
#[derive(Debug)]
pub struct Identity {
    address: String,
    anchors: Vec<Vec<u8>>,
    key: Arc<PrivateKey>,
    certificate: Vec<u8>,
    /// Serial number of the certificate in use.
    pub serial: String,
    /// The key of a renewal whose answer has not come.
    next: Option<Arc<PrivateKey>>,
}

impl Identity {
    /// Renews once; what failed can be tried again, and asks for the same. Returns the new serial number.
    ///
    /// # Errors
    /// What the root said, or what broke.
    pub async fn renew(&mut self) -> Result<String, Failed> {
        let key = Arc::clone(self.next.get_or_insert_with(new_key));
        let request = RenewRequest { licensor_csr: key.certificate_request().unwrap(), ..Default::default() };
        let mut client = CertificationServiceClient::new(self.channel().await?);
        let answer = client.renew(request).await.map_err(said)?;
        self.certificate = answer.into_inner().licensor_certificate;
        self.serial = serial(&self.certificate);
        self.key = key;
        self.next = None;
        Ok(self.serial.clone())
    }

    /// A connection that shows the certificate in use.
    ///
    /// # Errors
    /// [`Failed::Broken`].
    pub async fn channel(&self) -> Result<Channel, Failed> {
        let own = certified_key(std::slice::from_ref(&self.certificate), &self.key).unwrap();
        let tls = client_config(&self.anchors, Some(Arc::new(Single(own))), SystemClock::shared()).unwrap();
        connect(&self.address, tls).await
    }
}

fn new_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate(KeyAlgorithm::P256).unwrap())
}

fn serial(certificate: &[u8]) -> String {
    Certificate::parse(certificate).unwrap().serial
}

fn said(status: tonic::Status) -> Failed {
    let error = Error::from(status);
    match error.reason {
        Reason::Unspecified => Failed::Broken(error.message),
        _ => Failed::Refused(error),
    }
}
