//! The files of a licensing server: private keys by name, and the certificates that others read.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use licensor::{
    error::{Error, Reason, Result},
    file,
    key::{KeyAlgorithm, KeyError, PrivateKey},
};

use crate::{
    credential::{Issuance, Keys},
    ledger::KeyNames,
};

/// Keys and certificates under the data directory.
#[derive(Debug)]
pub(crate) struct KeyStore {
    data_dir: PathBuf,
}

impl KeyStore {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// Makes keys for a new credential; durable when this returns. With `licensor`, only the TLS port's is new.
    pub(crate) fn generate(&self, licensor: Option<&str>) -> Result<KeyNames> {
        let server = self.generate_one()?;
        let licensor = match licensor {
            Some(name) => name.to_owned(),
            None => self.generate_one()?,
        };
        Ok(KeyNames { licensor, server })
    }

    fn generate_one(&self) -> Result<String> {
        let key = PrivateKey::generate(KeyAlgorithm::P256).map_err(|error| Error::internal("key", error))?;
        let name = key.fingerprint();
        let path = self.path(&name);
        let saved = file::create_directory(&self.directory(), 0o700)
            .map_err(|source| KeyError::File { path: path.display().to_string(), source })
            .and_then(|()| key.save(&path, None));
        saved.map_err(|error| unusable(&error))?;
        Ok(name)
    }

    /// Reads keys.
    pub(crate) fn load(&self, names: &KeyNames) -> Result<Arc<Keys>, KeyError> {
        let load = |name: &str| PrivateKey::load(&self.path(name), None);
        Ok(Arc::new(Keys { licensor: load(&names.licensor)?, server: load(&names.server)? }))
    }

    /// Removes every key but those named.
    pub(crate) fn keep_only(&self, names: &[KeyNames]) {
        let kept: Vec<PathBuf> =
            names.iter().flat_map(|names| [self.path(&names.licensor), self.path(&names.server)]).collect();
        let Ok(entries) = fs::read_dir(self.directory()) else { return };
        for entry in entries.flatten() {
            if !kept.contains(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Writes the certificates for others to read. The ledger is what counts: a file that cannot be written is written
    /// at the next start.
    pub(crate) fn export(&self, issuance: &Issuance) -> io::Result<()> {
        let chain = |leaf: &Vec<u8>| pem(std::iter::once(leaf).chain(&issuance.issuers));
        self.write("licensor-certificate.pem", &chain(&issuance.licensor))?;
        self.write("server-certificate.pem", &chain(&issuance.server))?;
        self.write("trust-bundle.pem", &pem(issuance.anchors.iter()))
    }

    fn write(&self, name: &str, content: &str) -> io::Result<()> {
        let path = self.data_dir.join(name);
        match fs::read_to_string(&path) {
            Ok(present) if present == content => Ok(()),
            _ => file::write_durably(&path, content.as_bytes(), file::PUBLIC),
        }
    }

    fn directory(&self) -> PathBuf {
        self.data_dir.join("keys")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}.pem"))
    }
}

fn pem<'a>(certificates: impl Iterator<Item = &'a Vec<u8>>) -> String {
    let blocks: Vec<_> = certificates.map(|der| pem::Pem::new("CERTIFICATE", der.clone())).collect();
    pem::encode_many_config(&blocks, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// A key file that cannot be written or read; what and why goes to the log.
pub(super) fn unusable(error: &KeyError) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "a key file cannot be used");
    let full = matches!(error, KeyError::File { source, .. } if source.kind() == io::ErrorKind::StorageFull);
    let (reason, problem) = if full {
        (Reason::DiskFull, "the disk of the key files is full, make room there")
    } else {
        (Reason::StoreUnavailable, "a key file cannot be written or read, see the log of this service")
    };
    let error = Error::new(reason, format!("{problem}; the credential in use is kept"));
    if full { error.retry_after(Duration::from_secs(30)) } else { error }
}
