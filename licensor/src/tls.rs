//! TLS on both sides: no resumption, one provider, time from the injected clock.
//!
//! A server asks for a client certificate and takes any for which the client proves that it has the key. Whether it is
//! good for anything is decided on every call, where an answer can say what is wrong with it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    server::{
        NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{
    clock::{SharedClock, TlsTime},
    key::{KeyAlgorithm, KeyError, PrivateKey, sha256},
};

/// What TLS cannot be set up with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// rustls does not take it.
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
    /// The key is not fit for TLS.
    #[error("TLS cannot be set up")]
    Key(#[from] KeyError),
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    // As strong as the P-256 keys, and most processors have instructions for SHA-256 but none for SHA-384, which costs a
    // handshake more than one of its signatures.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// A chain (DER, leaf first) and its key as rustls uses them.
///
/// # Errors
/// [`TlsError`] if the key is not fit for TLS.
pub fn certified_key(chain: &[Vec<u8>], key: &PrivateKey) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    Ok(Arc::new(CertifiedKey::new(chain, key.tls_key()?)))
}

/// What a TLS port serves before there is a certificate: nobody trusts it, but whoever looks is told what to do.
///
/// # Errors
/// [`TlsError`] if the library fails.
pub fn unenrolled() -> Result<Arc<CertifiedKey>, TlsError> {
    let key = PrivateKey::generate(KeyAlgorithm::P256)?;
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).map_err(|_| KeyError::Crypto)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "not enrolled");
    let certificate = params.self_signed(&key).map_err(|_| KeyError::Crypto)?;
    certified_key(&[certificate.der().to_vec()], &key)
}

/// The server side: TLS 1.3, HTTP/2, any client certificate or none.
///
/// # Errors
/// [`TlsError`] if the provider lacks TLS 1.3.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    clock: SharedClock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let verifier = Arc::new(AnyClientCertificate { provider: Arc::clone(&provider) });
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    // A resumed session would bring back a client without looking at its certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The server side for browsers: TLS 1.3, HTTP/2 or HTTP/1.1, and nobody is asked for a certificate.
///
/// # Errors
/// [`TlsError`] if the provider lacks TLS 1.3.
pub fn browser_config(
    certificates: Arc<dyn ResolvesServerCert>,
    clock: SharedClock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The client side with known trust anchors (DER).
///
/// # Errors
/// [`TlsError`] if an anchor is no certificate.
pub fn client_config(
    anchors: &[Vec<u8>],
    credential: Option<Arc<dyn ResolvesClientCert>>,
    clock: SharedClock,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier =
        anchor_verifier(anchors.iter().map(|der| CertificateDer::from(der.as_slice())), &provider)?;
    client_config_with(verifier, credential, clock, provider)
}

/// The client side for HTTPS to a server of somebody else: TLS 1.3, or 1.2 where there is nothing newer.
///
/// # Errors
/// [`TlsError`] if none of the anchors (DER) is a certificate.
pub fn https_client_config(anchors: &[Vec<u8>], clock: SharedClock) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let anchors = anchors.iter().map(|der| CertificateDer::from(der.as_slice()));
    // What a system trusts may have certificates among it that nobody can read.
    if roots.add_parsable_certificates(anchors).0 == 0 {
        return Err(rustls::Error::NoCertificatesPresented.into());
    }
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The client side for a first contact: the server must show the trust anchor whose SHA-256 is `fingerprint`.
///
/// # Errors
/// [`TlsError`] if the provider lacks TLS 1.3.
pub fn first_contact_config(
    fingerprint: [u8; 32],
    clock: SharedClock,
) -> Result<(Arc<ClientConfig>, Pinned), TlsError> {
    let provider = provider();
    let pinned = Pinned { fingerprint, provider: Arc::clone(&provider), mismatch: Arc::default() };
    let config = client_config_with(Arc::new(pinned.clone()), None, clock, provider)?;
    Ok((config, pinned))
}

fn client_config_with(
    verifier: Arc<dyn ServerCertVerifier>,
    credential: Option<Arc<dyn ResolvesClientCert>>,
    clock: SharedClock,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match credential {
        Some(credential) => builder.with_client_cert_resolver(credential),
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn anchor_verifier<'a>(
    anchors: impl Iterator<Item = CertificateDer<'a>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        roots.add(anchor)?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

/// One certificate and key for every connection.
#[derive(Debug)]
pub struct Single(pub Arc<CertifiedKey>);

impl ResolvesClientCert for Single {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A certificate and key that can be exchanged while connections are open.
pub type Swappable = arc_swap::ArcSwap<CertifiedKey>;

/// Serves what is in a [`Swappable`] at the time of the handshake.
#[derive(Debug)]
pub struct Current(pub Arc<Swappable>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Takes any client certificate whose key the client has.
#[derive(Debug)]
struct AnyClientCertificate {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClientCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// That the peer has the key of its certificate (RFC 8446 §4.4.3).
fn verify_signature(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let algorithms = &provider.signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
}

/// rustls asks verifiers for the signatures of TLS 1.2, too, which no configuration with ours offers.
fn only_tls13() -> rustls::Error {
    rustls::Error::General("TLS 1.3 only".into())
}

/// Trusts the anchor with one fingerprint, out of the chain that the server shows.
#[derive(Clone)]
pub struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    mismatch: Arc<Mutex<bool>>,
}

impl Pinned {
    /// Whether a server was refused because it has another trust anchor.
    #[must_use]
    pub fn mismatched(&self) -> bool {
        *self.mismatch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(anchor) = others.iter().find(|certificate| sha256(certificate) == self.fingerprint) else {
            *self.mismatch.lock().unwrap_or_else(PoisonError::into_inner) = true;
            return Err(CertificateError::UnknownIssuer.into());
        };
        anchor_verifier(std::iter::once(anchor.clone()), &self.provider)?.verify_server_cert(
            leaf,
            others,
            name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
