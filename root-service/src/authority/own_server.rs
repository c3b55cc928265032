//! The certificate of the root's own TLS port: issued by its authority, replaced long before it expires.

use std::{
    net::IpAddr,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use licensor::{
    error::{Error, Result},
    key::{KeyAlgorithm, PrivateKey},
    tls::{Swappable, certified_key},
};
use rustls::sign::CertifiedKey;

use super::Authority;

/// Names by which this machine knows itself; nobody else can be reached by them.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// The current certificate of the TLS port.
#[derive(Debug)]
pub(crate) struct OwnServer {
    host: String,
    current: Arc<Swappable>,
    /// From when to when it is served.
    served: Mutex<Range<SystemTime>>,
}

impl OwnServer {
    /// Issues the first certificate, for `host`.
    pub(crate) fn issue(authority: &Authority, host: &str) -> Result<Self> {
        let (key, served) = issue(authority, host)?;
        Ok(Self { host: host.to_owned(), current: Arc::new(Swappable::new(key)), served: Mutex::new(served) })
    }

    /// What the TLS port serves.
    pub(crate) fn current(&self) -> Arc<Swappable> {
        Arc::clone(&self.current)
    }

    /// Replaces the certificate if two thirds of its life are over, or if the clock was set back to before it was issued;
    /// open connections stay.
    pub(crate) fn refresh(&self, authority: &Authority) -> Result<()> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.contains(&authority.clock.now()) || authority.check_enabled().is_err() {
            return Ok(());
        }
        let (key, next) = issue(authority, &self.host)?;
        self.current.store(key);
        *served = next;
        Ok(())
    }
}

fn issue(authority: &Authority, host: &str) -> Result<(Arc<CertifiedKey>, Range<SystemTime>)> {
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
    let params =
        authority.profile.server(common_name, &dns_names, &addresses, authority.issuer_facts(), now)?;
    let certificate = params.signed_by(&key, &authority.issuer).map_err(|error| failed(&error))?;
    let mut chain = vec![certificate.der().to_vec()];
    chain.extend(authority.issuers().iter().cloned());
    // The anchor goes along for nodes that know it only by its fingerprint yet.
    chain.push(authority.trust_anchor().to_vec());
    let not_after = SystemTime::from(params.not_after);
    let lifetime = not_after.duration_since(now).unwrap_or_default();
    let key = certified_key(&chain, &key).map_err(|error| failed(&error))?;
    Ok((key, SystemTime::from(params.not_before)..now + lifetime.mul_f64(2.0 / 3.0)))
}
