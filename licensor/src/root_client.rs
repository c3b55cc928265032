//! The conversation with a root: connect, call, and say in a sentence what went wrong.

use std::{error::Error as _, io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use proto::certification::v1::certification_service_client::CertificationServiceClient;
use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Uri},
};
use tonic_types::StatusExt;

use crate::{
    clock::{SharedClock, rfc3339},
    config::host_and_port,
    error::{DOMAIN, Error, Reason, Result},
};

/// Time for the connection with its handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Connects to the root at `address` (`host:port`).
///
/// # Errors
/// `ROOT_UNREACHABLE` with what to look at, `CERTIFICATE_NOT_YET_VALID` if the clocks differ.
pub async fn connect(
    address: &str,
    tls: Arc<ClientConfig>,
    clock: &SharedClock,
) -> Result<CertificationServiceClient<Channel>> {
    let unreachable = |problem: String| {
        Error::new(Reason::RootUnreachable, format!("the root at {address} cannot be reached: {problem}"))
            .with("address", address)
    };
    let (host, port) = host_and_port(address).map_err(unreachable)?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| unreachable("its name is no host name".into()))?;
    let stream = connect_tcp(host, port).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
    let stream = timeout(CONNECT, TlsConnector::from(tls).connect(name, stream))
        .await
        .map_err(|_| unreachable("the TLS handshake did not end in time".into()))?
        .map_err(|error| tls_error(address, &error, clock))?;
    // tonic asks for a connection once; a second call means that this one broke.
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take().ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset));
        std::future::ready(stream)
    });
    let channel = Endpoint::from_shared(format!("https://{address}"))
        .map_err(|error| unreachable(error.to_string()))?
        .timeout(ANSWER)
        .connect_with_connector(connector)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    Ok(CertificationServiceClient::new(channel))
}

/// Connects to the first of the host's addresses that answers.
async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses =
        lookup_host((host, port)).await.map_err(|error| format!("its name cannot be resolved ({error})"))?;
    let mut problem = "its name has no address".to_owned();
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => problem = format!("{error}; is it running?"),
            Err(_) => problem = "no answer in time; is a firewall between?".to_owned(),
        }
    }
    Err(problem)
}

/// What a root answered, or that it did not.
pub fn call_error(address: &str, status: Status) -> Error {
    let error = Error::from(status.clone());
    let of_this_product = status.get_error_details().error_info().is_some_and(|info| info.domain == DOMAIN);
    if of_this_product {
        return error;
    }
    let what = match status.code() {
        Code::Cancelled | Code::DeadlineExceeded => "it did not answer in time",
        Code::Unavailable | Code::Unknown => "the connection broke",
        _ => "its answer was not understood",
    };
    Error::new(Reason::RootUnreachable, format!("the root at {address}: {what} ({})", error.message))
        .with("address", address)
}

fn tls_error(address: &str, error: &io::Error, clock: &SharedClock) -> Error {
    let now = rfc3339(clock.now());
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (reason, sentence) = match cause {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                Reason::CertificateNotYetValid,
                format!("its certificate is not valid yet by the clock of this machine, which says {now}: set the clock"),
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                Reason::RootUnreachable,
                format!("its certificate has expired by the clock of this machine, which says {now}: set the clock, or renew the root"),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                Reason::RootUnreachable,
                "its certificate is for another name: set `public_address` of the root to this address".into(),
            ),
            CertificateError::UnknownIssuer => (
                Reason::RootUnreachable,
                "another root answers there, or this one under another trust anchor: its certificate does not lead to the one that is known here".into(),
            ),
            other => (Reason::RootUnreachable, format!("its certificate cannot be used ({other:?})")),
        },
        _ => (
            Reason::RootUnreachable,
            format!("the TLS handshake failed ({})", error.source().map_or_else(|| error.to_string(), ToString::to_string)),
        ),
    };
    Error::new(reason, format!("the root at {address} cannot be used: {sentence}")).with("address", address)
}
