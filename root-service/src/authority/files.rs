//! The files of an authority: keys, which are nowhere else, and copies of certificates for others to read.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use licensor::{
    file,
    key::{KeyAlgorithm, KeyError, PrivateKey, sha256},
    store::StoreError,
};
use rcgen::PublicKeyData;
use zeroize::Zeroizing;

use super::profile;
use crate::{config::Config, profile::NotEncodable};

/// The first key of an authority.
pub(crate) const KEY: &str = "authority-key.pem";
const ANCHOR: &str = "trust-anchor.pem";
const CHAIN: &str = "authority-certificate.pem";

/// Why an authority cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// There is one already.
    #[error(
        "there is a trust anchor already: {}; it is left as it is (another root needs another `data_dir`)", .0.display()
    )]
    Exists(PathBuf),
    /// There is none.
    #[error("there is no trust anchor at {}: make one with `root-service init`", .0.display())]
    Missing(PathBuf),
    /// There are a key and records, but no certificate.
    #[error("there is no {}, but the key and the records of a root: restore it from a backup, or finish what `root-service init --upstream …` began", .0.display())]
    AnchorLost(PathBuf),
    /// A file cannot be read or written.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The passphrase cannot be read.
    #[error("passphrase file {}", .0.display())]
    Passphrase(PathBuf, #[source] io::Error),
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate is none of an authority.
    #[error("{ANCHOR} is not the certificate of an authority: restore it from a backup")]
    NotACertificate,
    /// The key is not that of the certificate.
    #[error("{0} is not the key of its certificate: restore the two that belong together")]
    KeyDoesNotMatch(String),
    /// The configuration says what no certificate can.
    #[error("{0}")]
    NotEncodable(String),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotEncodable> for InitError {
    fn from(NotEncodable(problem): NotEncodable) -> Self {
        Self::NotEncodable(problem)
    }
}

/// The keys and certificates of an authority in a data directory.
#[derive(Debug)]
pub(crate) struct AuthorityFiles {
    data_dir: PathBuf,
    passphrase: Option<Zeroizing<Vec<u8>>>,
}

impl AuthorityFiles {
    /// Those in the data directory of the configuration.
    pub(crate) fn new(config: &Config) -> Result<Self, InitError> {
        let passphrase = config.authority.passphrase_file.as_deref().map(read_passphrase).transpose()?;
        Ok(Self { data_dir: config.data_dir.clone(), passphrase })
    }

    /// Whether `init` has been run to its end.
    pub(crate) fn exist(data_dir: &Path) -> bool {
        data_dir.join(ANCHOR).exists()
    }

    /// That there is a root, or the records of one.
    pub(crate) fn check_made(data_dir: &Path) -> Result<(), InitError> {
        let made = Self::exist(data_dir) || data_dir.join("store").exists();
        if made { Ok(()) } else { Err(InitError::Missing(data_dir.join(ANCHOR))) }
    }

    /// That no root is there, so that one can be made. A key that a run left which was cut short is used by the next one.
    pub(crate) fn check_free(data_dir: &Path) -> Result<(), InitError> {
        let anchor = data_dir.join(ANCHOR);
        if anchor.exists() {
            return Err(InitError::Exists(anchor));
        }
        if data_dir.join(KEY).exists() && data_dir.join("store").exists() {
            return Err(InitError::AnchorLost(anchor));
        }
        Ok(())
    }

    /// Makes a key and a self-signed trust anchor. The certificate is written last: a run that was cut short leaves
    /// nothing that counts.
    pub(crate) fn create_anchor(&self, config: &Config, now: SystemTime) -> Result<(), InitError> {
        Self::check_free(&self.data_dir)?;
        let key = self.first_key()?;
        let certificate = self_signed(config, &key, now)?;
        self.write(ANCHOR, &[certificate])
    }

    /// The first key: the one that is there, or one that is made. A key is never written over: one that is there was left
    /// by a run that was cut short, or has issued already.
    pub(crate) fn first_key(&self) -> Result<PrivateKey, InitError> {
        if self.data_dir.join(KEY).exists() {
            return self.load(KEY);
        }
        let key = PrivateKey::generate(KeyAlgorithm::P256)?;
        self.save(KEY, &key)?;
        Ok(key)
    }

    /// Makes another key; the name of its file begins with `kind`.
    pub(crate) fn generate(&self, kind: &str) -> Result<(String, PrivateKey), InitError> {
        let key = PrivateKey::generate(KeyAlgorithm::P256)?;
        let name = format!("{kind}-key-{}.pem", &key.fingerprint()[..16]);
        self.save(&name, &key)?;
        Ok((name, key))
    }

    /// Writes a key; durable when this returns.
    pub(crate) fn save(&self, name: &str, key: &PrivateKey) -> Result<(), InitError> {
        Ok(key.save(&self.data_dir.join(name), self.passphrase.as_ref().map(|p| p.as_slice()))?)
    }

    /// Reads a key.
    pub(crate) fn load(&self, name: &str) -> Result<PrivateKey, InitError> {
        let passphrase = self.passphrase.as_ref().map(|p| p.as_slice());
        Ok(PrivateKey::load(&self.data_dir.join(name), passphrase)?)
    }

    /// Removes a file that no record names any more.
    pub(crate) fn remove(&self, name: &str) {
        // One that stays behind does no harm.
        let _ = fs::remove_file(self.data_dir.join(name));
    }

    /// Reads the trust anchor that [`AuthorityFiles::create_anchor`] wrote (DER).
    pub(crate) fn load_anchor(&self) -> Result<Vec<u8>, InitError> {
        let anchor = self.data_dir.join(ANCHOR);
        let pem = match fs::read(&anchor) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(InitError::Missing(anchor)),
            Err(error) => return Err(InitError::File(anchor, error)),
        };
        Ok(pem::parse(pem).map_err(|_| InitError::NotACertificate)?.into_contents())
    }

    /// Writes copies for others to read: trust anchors, the one to be handed out first, and the chain below it, which is
    /// empty if the authority is an anchor itself.
    pub(crate) fn export(&self, anchors: &[Vec<u8>], chain: &[Vec<u8>]) -> Result<(), InitError> {
        if chain.is_empty() {
            self.remove(CHAIN);
        } else {
            self.write(CHAIN, chain)?;
        }
        if anchors.is_empty() { Ok(()) } else { self.write(ANCHOR, anchors) }
    }

    fn write(&self, name: &str, certificates: &[Vec<u8>]) -> Result<(), InitError> {
        let blocks: Vec<_> =
            certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.clone())).collect();
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let text = pem::encode_many_config(&blocks, config);
        let path = self.data_dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(());
        }
        file::write_durably(&path, text.as_bytes(), file::PUBLIC)
            .map_err(|error| InitError::File(path, error))
    }
}

/// A self-signed certificate for the key (DER).
pub(crate) fn self_signed(config: &Config, key: &PrivateKey, now: SystemTime) -> Result<Vec<u8>, InitError> {
    let validity = config.authority.anchor_validity.0;
    let params =
        profile(config).trust_anchor(&config.organization, validity, now, &key_id(key.der_bytes()))?;
    let certificate = params.self_signed(key).map_err(|error| InitError::NotEncodable(error.to_string()))?;
    Ok(certificate.der().to_vec())
}

/// RFC 7093 §2, method 1: the leftmost 160 bits of the key's SHA-256.
pub(crate) fn key_id(public_key: &[u8]) -> [u8; 20] {
    let mut id = [0; 20];
    id.copy_from_slice(&sha256(public_key)[..20]);
    id
}

/// The passphrase in a file, without the line's end.
pub(crate) fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let failed = |error| InitError::Passphrase(path.to_owned(), error);
    let mut passphrase = Zeroizing::new(file::read_private(path).map_err(failed)?);
    while passphrase.last().is_some_and(|octet| matches!(octet, b'\n' | b'\r')) {
        passphrase.pop();
    }
    if passphrase.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the passphrase is empty")));
    }
    Ok(passphrase)
}
