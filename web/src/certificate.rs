//! The certificate files of a screen's port: read at start, and again when they change.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use licensor::{
    clock::SharedClock,
    config::ConfigError,
    key::{PrivateKey, sha256},
    tls::{self, Swappable},
};
use rustls::sign::CertifiedKey;

use crate::config::WebConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// A certificate chain and its key in files, as somebody else renews them.
#[derive(Debug)]
pub(crate) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// What the port serves.
    pub(crate) current: Arc<Swappable>,
    /// Of what was read last.
    digest: [u8; 32],
}

impl Files {
    /// Reads the files; `None` if the configuration names none.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key of what cannot be used.
    pub(crate) fn load(config: &WebConfig) -> Result<Option<Self>, ConfigError> {
        let (Some(certificate), Some(key)) = (config.certificate.clone(), config.key.clone()) else {
            return Ok(None);
        };
        let certified = read(&certificate, &key)?;
        let current = Arc::new(Swappable::new(certified));
        let digest = digest(&certificate, &key);
        Ok(Some(Self { certificate, key, current, digest }))
    }

    /// Takes over what the files have got. What cannot be used is told of, and what was there goes on.
    pub(crate) async fn follow(mut self, clock: SharedClock) {
        loop {
            clock.wait_until(clock.now() + LOOK, LOOK).await;
            let digest = digest(&self.certificate, &self.key);
            if digest == self.digest {
                continue;
            }
            self.digest = digest;
            match read(&self.certificate, &self.key) {
                Ok(certified) => {
                    self.current.store(certified);
                    tracing::info!(certificate = %self.certificate.display(), "the screen has a new certificate");
                }
                Err(error) => {
                    tracing::warn!(%error, "the certificate of the screen has changed, and cannot be used: the former one is kept");
                }
            }
        }
    }
}

/// Stands for what is in the files; what cannot be read is nothing.
fn digest(certificate: &PathBuf, key: &PathBuf) -> [u8; 32] {
    let of = |path: &PathBuf| sha256(&fs::read(path).unwrap_or_default());
    sha256(&[of(certificate), of(key)].concat())
}

fn read(certificate: &PathBuf, key: &PathBuf) -> Result<Arc<CertifiedKey>, ConfigError> {
    let unusable = |name: &str, path: &PathBuf, problem: String| {
        ConfigError::unusable(name, format!("{}: {problem}", path.display()))
    };
    let wrong = |problem: String| unusable("web.certificate", certificate, problem);
    let text = fs::read(certificate).map_err(|error| wrong(error.to_string()))?;
    let chain = pem::parse_many(text).map_err(|error| wrong(error.to_string()))?;
    let chain: Vec<Vec<u8>> = chain.into_iter().map(pem::Pem::into_contents).collect();
    if chain.is_empty() {
        return Err(wrong("there is no certificate in it (PEM)".into()));
    }
    let wrong_key = |problem: String| unusable("web.key", key, problem);
    let private = PrivateKey::load(key, None).map_err(|error| wrong_key(error.to_string()))?;
    let certified = tls::certified_key(&chain, &private).map_err(|error| wrong_key(error.to_string()))?;
    certified
        .keys_match()
        .map_err(|_| wrong_key(format!("it is not the key of {}", certificate.display())))?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use licensor::{
        clock::{ManualClock, from_unix_seconds},
        file,
    };

    use super::*;

    /// Puts a new certificate into the folder; its DER.
    fn renew(folder: &std::path::Path) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        file::write_durably(&folder.join("key.pem"), key.serialize_pem().as_bytes(), 0o600).unwrap();
        fs::write(folder.join("chain.pem"), certificate.pem()).unwrap();
        certificate.der().to_vec()
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_taken_over_and_rubbish_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let first = renew(folder.path());
        let config = WebConfig {
            certificate: Some(folder.path().join("chain.pem")),
            key: Some(folder.path().join("key.pem")),
            ..WebConfig::default()
        };
        let files = Files::load(&config).unwrap().unwrap();
        let current = Arc::clone(&files.current);
        let served = || current.load().cert[0].to_vec();
        assert_eq!(served(), first);
        let clock = ManualClock::at(from_unix_seconds(1_800_000_000));
        let following = tokio::spawn(files.follow(clock.clone()));
        let look = async || {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            clock.advance(LOOK);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        fs::write(folder.path().join("chain.pem"), "rubbish").unwrap();
        look().await;
        assert_eq!(served(), first);
        let second = renew(folder.path());
        look().await;
        assert_eq!(served(), second);
        following.abort();
    }
}
