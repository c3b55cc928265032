//! The certificate of the root's own TLS port: issued by its authority, replaced long before it expires.

use std::{
    net::IpAddr,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use licensor::{
    error::{Error, Result},
    event::{Event, EventKind},
    key::{KeyAlgorithm, PrivateKey, sha256},
    store::{Batch, StoreError},
    tls::{Swappable, certified_key, unenrolled},
};
use rustls::sign::CertifiedKey;
use verifier::certificate::hex;

use super::{Authority, Generation};

/// Names by which this machine knows itself; nobody else can be reached by them.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// The current certificate of the TLS port.
#[derive(Debug)]
pub(crate) struct OwnServer {
    host: String,
    current: Arc<Swappable>,
    served: Mutex<Served>,
    /// What was issued and is no entry of the log yet.
    unlogged: Mutex<Vec<Event>>,
}

/// What is served.
#[derive(Debug, Default)]
struct Served {
    /// The chain above it (DER).
    chain: Vec<Vec<u8>>,
    /// From when to when; empty while there is nothing to serve.
    span: Option<Range<SystemTime>>,
}

impl OwnServer {
    /// Issues the first certificate, for `host`. As long as the root has no certificate or an expired one, there is one that
    /// nobody trusts, and whoever looks at it is told what to do.
    pub(crate) fn issue(authority: &Authority, host: &str) -> Result<Self> {
        let failed = |error| Error::internal("own server certificate", error);
        let key = unenrolled().map_err(failed)?;
        let current = Arc::new(Swappable::new(key));
        let server =
            Self { host: host.to_owned(), current, served: Mutex::default(), unlogged: Mutex::default() };
        server.refresh(authority)?;
        Ok(server)
    }

    /// What the TLS port serves.
    pub(crate) fn current(&self) -> Arc<Swappable> {
        Arc::clone(&self.current)
    }

    /// Replaces the certificate if two thirds of its life are over, if the clock was set back to before it was issued, or
    /// if the authority has another certificate; open connections stay.
    pub(crate) fn refresh(&self, authority: &Authority) -> Result<()> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let now = authority.clock.now();
        let Ok(issuer) = authority.active() else { return Ok(()) };
        let mut chain = issuer.issuers.clone();
        // The anchors go along for nodes that know one only by its fingerprint yet.
        chain.extend(authority.generations().trust_anchors(now));
        let in_time = served.span.as_ref().is_some_and(|span| span.contains(&now));
        if in_time && served.chain == chain {
            return Ok(());
        }
        // An expired authority has none to give but one that has expired; a connection then says why.
        if served.span.is_some() && authority.check_enabled().is_err() {
            return Ok(());
        }
        let (key, span, issued) = issue(authority, &issuer, &self.host, &chain)?;
        self.unlogged().push(issued);
        self.current.store(key);
        *served = Served { chain, span: Some(span) };
        Ok(())
    }

    /// Makes what was issued entries of the log. A root whose disk is full starts without, and goes on trying: it must be
    /// able to say so.
    pub(crate) async fn log(&self, authority: &Authority) -> Result<(), StoreError> {
        let events = std::mem::take(&mut *self.unlogged());
        if events.is_empty() {
            return Ok(());
        }
        let kept = authority.ledger().events().commit(Batch::new(), events.clone()).await;
        if kept.is_err() {
            self.unlogged().splice(0..0, events);
        }
        kept
    }

    fn unlogged(&self) -> MutexGuard<'_, Vec<Event>> {
        self.unlogged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn issue(
    authority: &Authority,
    issuer: &Generation,
    host: &str,
    chain: &[Vec<u8>],
) -> Result<(Arc<CertifiedKey>, Range<SystemTime>, Event)> {
    let failed = |error: &dyn std::fmt::Display| Error::internal("own server certificate", error);
    let now = authority.clock.now();
    let key = PrivateKey::generate(KeyAlgorithm::P256).map_err(|error| failed(&error))?;
    let mut dns_names = vec!["localhost".to_owned()];
    let mut addresses: Vec<IpAddr> = LOOPBACK.iter().filter_map(|address| address.parse().ok()).collect();
    match host.parse::<IpAddr>() {
        Ok(address) if !addresses.contains(&address) => addresses.insert(0, address),
        Ok(_) => {}
        Err(_) if host != "localhost" => dns_names.insert(0, host.to_owned()),
        Err(_) => {}
    }
    // A CN has 64 characters at most (RFC 5280, ub-common-name); what counts is subjectAltName.
    let common_name = if host.len() <= 64 { host } else { "root" };
    let params = authority.profile.server(common_name, &dns_names, &addresses, issuer.issuer_facts(), now)?;
    let certificate = params.signed_by(&key, &issuer.issuer).map_err(|error| failed(&error))?;
    let serial = params.serial_number.as_ref().map(|serial| hex(serial.as_ref())).unwrap_or_default();
    let issued = Event::new(EventKind::ServerCertificateIssued)
        .about(&serial, "")
        .argument("certificate", &serial)
        .until(SystemTime::from(params.not_after))
        .of_certificate(sha256(certificate.der()));
    let chain = [&[certificate.der().to_vec()], chain].concat();
    let not_after = SystemTime::from(params.not_after);
    let lifetime = not_after.duration_since(now).unwrap_or_default();
    let key = certified_key(&chain, &key).map_err(|error| failed(&error))?;
    Ok((key, SystemTime::from(params.not_before)..now + lifetime.mul_f64(2.0 / 3.0), issued))
}
