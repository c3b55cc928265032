//! The files of an authority: made by `init`, read by `serve`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use licensor::{
    file,
    key::{KeyAlgorithm, KeyError, PrivateKey, sha256},
};
use rcgen::PublicKeyData;
use zeroize::Zeroizing;

use super::profile;
use crate::{config::Config, profile::NotEncodable};

const KEY: &str = "authority-key.pem";
const ANCHOR: &str = "trust-anchor.pem";

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
    #[error("{} is gone, but the key and the records of a root are there: restore it from a backup", .0.display())]
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
    #[error("{KEY} is not the key of {ANCHOR}: restore the two that belong together")]
    KeyDoesNotMatch,
    /// The configuration says what no certificate can.
    #[error("{0}")]
    NotEncodable(String),
}

impl From<NotEncodable> for InitError {
    fn from(NotEncodable(problem): NotEncodable) -> Self {
        Self::NotEncodable(problem)
    }
}

/// Key and certificate of an authority.
#[derive(Debug)]
pub(crate) struct AuthorityFiles {
    pub(crate) key: PrivateKey,
    /// DER.
    pub(crate) certificate: Vec<u8>,
}

impl AuthorityFiles {
    /// Whether `init` has been run to its end.
    pub(crate) fn exist(data_dir: &Path) -> bool {
        data_dir.join(ANCHOR).exists()
    }

    /// Where the authority's key is.
    pub(crate) fn key_file(data_dir: &Path) -> PathBuf {
        data_dir.join(KEY)
    }

    /// Makes a key and a self-signed trust anchor. The certificate is written last: a run that was cut short leaves
    /// nothing that counts.
    pub(crate) fn create(config: &Config, now: SystemTime) -> Result<Self, InitError> {
        let anchor = config.data_dir.join(ANCHOR);
        if anchor.exists() {
            return Err(InitError::Exists(anchor));
        }
        let passphrase = passphrase(config)?;
        let key_file = config.data_dir.join(KEY);
        // A key is never written over: one that is there was left by a run that was cut short, or has issued already.
        let key = if !key_file.exists() {
            PrivateKey::generate(KeyAlgorithm::P256)?
        } else if config.data_dir.join("store").exists() {
            return Err(InitError::AnchorLost(anchor));
        } else {
            PrivateKey::load(&key_file, passphrase.as_ref().map(|p| p.as_slice()))?
        };
        // RFC 7093 §2, method 1: the leftmost 160 bits of the key's SHA-256.
        let key_id = &sha256(key.der_bytes())[..20];
        let params = profile(config).trust_anchor(
            &config.organization,
            config.authority.anchor_validity.0,
            now,
            key_id,
        )?;
        let certificate =
            params.self_signed(&key).map_err(|error| InitError::NotEncodable(error.to_string()))?;
        let files = Self { key, certificate: certificate.der().to_vec() };
        files.save(config)?;
        Ok(files)
    }

    /// Writes both; the certificate last. A key that is there is left as it is.
    pub(crate) fn save(&self, config: &Config) -> Result<(), InitError> {
        let (key_file, anchor) = (config.data_dir.join(KEY), config.data_dir.join(ANCHOR));
        if !key_file.exists() {
            self.key.save(&key_file, passphrase(config)?.as_ref().map(|p| p.as_slice()))?;
        }
        let pem = pem::Pem::new("CERTIFICATE", self.certificate.clone());
        let pem = pem::encode_config(&pem, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF));
        file::write_durably(&anchor, pem.as_bytes(), file::PUBLIC)
            .map_err(|error| InitError::File(anchor, error))
    }

    /// Reads what [`AuthorityFiles::create`] wrote.
    pub(crate) fn load(config: &Config) -> Result<Self, InitError> {
        let anchor = config.data_dir.join(ANCHOR);
        let pem = match fs::read(&anchor) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(InitError::Missing(anchor)),
            Err(error) => return Err(InitError::File(anchor, error)),
        };
        let key =
            PrivateKey::load(&config.data_dir.join(KEY), passphrase(config)?.as_ref().map(|p| p.as_slice()))?;
        let certificate = pem::parse(pem).map_err(|_| InitError::NotACertificate)?.into_contents();
        Ok(Self { key, certificate })
    }
}

/// The passphrase of the configuration.
fn passphrase(config: &Config) -> Result<Option<Zeroizing<Vec<u8>>>, InitError> {
    config.authority.passphrase_file.as_deref().map(read_passphrase).transpose()
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
