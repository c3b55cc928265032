//! Client certificates of the authorities that the configuration names. What one is worth is found out once, and kept for as
//! long as its whole path is valid.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicI64},
};

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    config::ConfigError,
    error::{Error, Reason, Result},
    serve::PeerCertificate,
};
use tokio::sync::watch;
use verifier::{ClientCertificateError, ClientIdentity, verify_client_chain};

use super::{Bounds, CallerKind, Identity};
use crate::config::AccessConfig;

/// Certificates of which it is known what they are worth.
const KNOWN: usize = 4096;

/// Seconds for which a certificate that was refused is not looked at again.
const REFUSED: i64 = 60;

/// Who may call with a certificate.
#[derive(Debug)]
pub(super) struct Certificates {
    /// DER.
    authorities: Vec<Vec<u8>>,
    config: AccessConfig,
    /// By the digest of what the client showed.
    known: Mutex<HashMap<[u8; 32], Known>>,
}

#[derive(Debug, Clone)]
enum Known {
    Good(Arc<Identity>),
    /// Refused at this time, seconds since 1970.
    Refused(Error, i64),
}

impl Certificates {
    /// Reads the authorities; `None` if the configuration names none.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or has no certificate in it.
    pub(super) fn load(config: &AccessConfig) -> std::result::Result<Option<Self>, ConfigError> {
        let Some(path) = &config.client_authorities else { return Ok(None) };
        let authorities =
            read(path).map_err(|problem| ConfigError::unusable("access.client_authorities", problem))?;
        Ok(Some(Self { authorities, config: config.clone(), known: Mutex::default() }))
    }

    /// Whom a certificate stands for at `now` (seconds since 1970).
    ///
    /// # Errors
    /// `ACCESS_CERTIFICATE_NOT_ACCEPTED`.
    pub(super) fn identify(&self, peer: &PeerCertificate, now: i64) -> Result<Arc<Identity>> {
        if let Some(known) = self.recall(&peer.digest, now) {
            return known;
        }
        let found = verify_client_chain(&peer.der, &peer.issuers, &self.authorities, now)
            .map(|client| self.identity(client))
            .map_err(|error| refused(&error));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut known, now);
        match found {
            Ok(identity) => {
                // All certificates of one name share its bounds.
                let others = known.values().filter_map(|other| match other {
                    Known::Good(other) => Some(other),
                    Known::Refused(..) => None,
                });
                let bounds = others
                    .into_iter()
                    .find(|other| other.id == identity.id)
                    .map_or_else(|| Arc::new(Bounds::new(&self.config)), |other| Arc::clone(&other.bounds));
                let identity = Arc::new(Identity { bounds, ..identity });
                known.insert(peer.digest, Known::Good(Arc::clone(&identity)));
                Ok(identity)
            }
            Err(error) => {
                known.insert(peer.digest, Known::Refused(error.clone(), now));
                Err(error)
            }
        }
    }

    fn recall(&self, digest: &[u8; 32], now: i64) -> Option<Result<Arc<Identity>>> {
        match self.known.lock().unwrap_or_else(PoisonError::into_inner).get(digest)? {
            // Its dates are looked at with every call.
            Known::Good(identity) => Some(Ok(Arc::clone(identity))),
            Known::Refused(error, at) => {
                (*at..at.saturating_add(REFUSED)).contains(&now).then(|| Err(error.clone()))
            }
        }
    }

    fn identity(&self, client: ClientIdentity) -> Identity {
        let entry = self.config.clients.iter().find(|entry| {
            client.spiffe_id.as_ref() == Some(&entry.name)
                || client.dns_names.iter().any(|name| name.eq_ignore_ascii_case(&entry.name))
        });
        let name = match entry {
            Some(entry) => entry.name.clone(),
            None => client.spiffe_id.unwrap_or(client.subject),
        };
        Identity {
            kind: CallerKind::Certificate,
            id: name.clone(),
            owner: entry.and_then(|entry| entry.owner.clone()).unwrap_or(client.organization),
            allows: entry.map_or(&self.config.allow, |entry| &entry.allow).clone(),
            not_before: client.not_before,
            expires_at: client.not_after,
            revoked: watch::Sender::new(None),
            used_at: AtomicI64::new(0),
            bounds: Arc::new(Bounds::new(&self.config)),
            name,
        }
    }
}

fn read(path: &Path) -> std::result::Result<Vec<Vec<u8>>, String> {
    let problem = |cause: String| format!("{}: {cause}", path.display());
    let text = fs::read(path).map_err(|error| problem(error.to_string()))?;
    let found = pem::parse_many(text).map_err(|error| problem(error.to_string()))?;
    let found: Vec<_> =
        found.into_iter().filter(|part| part.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    if found.is_empty() {
        return Err(problem("there is no certificate (PEM) in it".into()));
    }
    if found.iter().any(|der| verifier::Certificate::parse(der).is_err()) {
        return Err(problem("one of the certificates in it cannot be read".into()));
    }
    Ok(found)
}

/// Drops what is of no more use, and if that is not enough, everything: it is found out again.
fn make_room(known: &mut HashMap<[u8; 32], Known>, now: i64) {
    if known.len() < KNOWN {
        return;
    }
    known.retain(|_, known| matches!(known, Known::Good(identity) if now < identity.expires_at));
    if known.len() >= KNOWN {
        known.clear();
    }
}

fn refused(error: &ClientCertificateError) -> Error {
    let date = |seconds| rfc3339(from_unix_seconds(seconds));
    let problem = match error {
        ClientCertificateError::Expired { not_after } => format!("it expired on {}", date(*not_after)),
        ClientCertificateError::NotYetValid { not_before } => {
            format!("it is not valid before {}", date(*not_before))
        }
        ClientCertificateError::NotForClients => "its extendedKeyUsage does not have clientAuth".into(),
        ClientCertificateError::Malformed(_) => "it cannot be read".into(),
        _ => "it does not lead to an authority of `access.client_authorities`".into(),
    };
    let next = "connect with another one, or with an access token (`license-service access create`)";
    Error::new(
        Reason::AccessCertificateNotAccepted,
        format!("the client certificate is not accepted: {problem}; {next}"),
    )
    .with("problem", problem)
}
