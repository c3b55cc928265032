//! Private keys: made, kept in files of mode 0600, used to sign, wiped when dropped.

use std::{fmt, io, path::Path, sync::Arc};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    },
};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument,
    der::{Decode, pem::PemLabel, zeroize::Zeroizing},
    pkcs5::pbes2,
};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::file;

/// Iterations of PBKDF2 for a key file with a passphrase (OWASP 2023, HMAC-SHA-256).
const PBKDF2_ITERATIONS: u32 = 600_000;

/// Kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// Why a key cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("key file {path}")]
    File {
        /// The file.
        path: String,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is not a PKCS #8 key in PEM.
    #[error("key file {path} is not a private key in PEM (PKCS #8)")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The file is encrypted, and no passphrase was given.
    #[error("key file {path} is encrypted: name a passphrase file in `authority.passphrase_file`")]
    PassphraseNeeded {
        /// The file.
        path: String,
    },
    /// The passphrase is not the one that the file was encrypted with.
    #[error("key file {path} cannot be decrypted: the passphrase is wrong, or the file is damaged")]
    PassphraseWrong {
        /// The file.
        path: String,
    },
    /// The key is of a kind that is not used here.
    #[error("the key is neither P-256 nor P-384 nor Ed25519")]
    NotAccepted,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

impl KeyError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

enum Signer {
    Ecdsa { certificates: EcdsaKeyPair, tokens: EcdsaKeyPair },
    Ed25519(Ed25519KeyPair),
}

/// A private key. Neither `Debug` nor any log shows it.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    algorithm: KeyAlgorithm,
    signer: Signer,
    random: SystemRandom,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the machine has no randomness.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            KeyAlgorithm::P256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
            KeyAlgorithm::P384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random),
            KeyAlgorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        }
        .map_err(|_| KeyError::Crypto)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Reads a key from PKCS #8 (DER).
    ///
    /// # Errors
    /// [`KeyError::NotAccepted`] if it is not one of [`KeyAlgorithm`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let ecdsa = |algorithm,
                     certificates: &'static EcdsaSigningAlgorithm,
                     tokens: &'static EcdsaSigningAlgorithm| {
            let certificates = EcdsaKeyPair::from_pkcs8(certificates, pkcs8).ok()?;
            let tokens = EcdsaKeyPair::from_pkcs8(tokens, pkcs8).ok()?;
            Some((algorithm, Signer::Ecdsa { certificates, tokens }))
        };
        let (algorithm, signer) =
            ecdsa(KeyAlgorithm::P256, &ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_FIXED_SIGNING)
                .or_else(|| {
                    ecdsa(
                        KeyAlgorithm::P384,
                        &ECDSA_P384_SHA384_ASN1_SIGNING,
                        &ECDSA_P384_SHA384_FIXED_SIGNING,
                    )
                })
                .or_else(|| {
                    let key = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
                    Some((KeyAlgorithm::Ed25519, Signer::Ed25519(key)))
                })
                .ok_or(KeyError::NotAccepted)?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), algorithm, signer, random: SystemRandom::new() })
    }

    /// Reads a key file (PEM, PKCS #8, encrypted or not) that nobody but its owner may read.
    ///
    /// # Errors
    /// [`KeyError`] that names the file.
    pub fn load(path: &Path, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let name = || path.display().to_string();
        let pem = Zeroizing::new(
            file::read_private(path).map_err(|source| KeyError::File { path: name(), source })?,
        );
        let text = std::str::from_utf8(&pem).map_err(|_| KeyError::Malformed { path: name() })?;
        Self::parse(text, passphrase, name)
    }

    /// Reads a key (PEM, PKCS #8, encrypted or not).
    ///
    /// # Errors
    /// [`KeyError`], without the name of a file.
    pub fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        Self::parse(text, passphrase, || "the key".to_owned())
    }

    fn parse(text: &str, passphrase: Option<&[u8]>, name: impl Fn() -> String) -> Result<Self, KeyError> {
        let (label, document) =
            SecretDocument::from_pem(text).map_err(|_| KeyError::Malformed { path: name() })?;
        if label == EncryptedPrivateKeyInfoRef::PEM_LABEL {
            let passphrase = passphrase.ok_or_else(|| KeyError::PassphraseNeeded { path: name() })?;
            let decrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                .map_err(|_| KeyError::Malformed { path: name() })?
                .decrypt(passphrase)
                .map_err(|_| KeyError::PassphraseWrong { path: name() })?;
            Self::from_pkcs8(decrypted.as_bytes())
        } else if label == PrivateKeyInfoRef::PEM_LABEL {
            Self::from_pkcs8(document.as_bytes())
        } else {
            Err(KeyError::Malformed { path: name() })
        }
    }

    /// Writes the key to a file of mode 0600, durably; encrypted (PBES2: PBKDF2 with HMAC-SHA-256, AES-256-CBC) if a
    /// passphrase is given.
    ///
    /// # Errors
    /// [`KeyError`] that names the file.
    pub fn save(&self, path: &Path, passphrase: Option<&[u8]>) -> Result<(), KeyError> {
        let pem = self.to_pem(passphrase)?;
        file::write_durably(path, pem.as_bytes(), file::PRIVATE)
            .map_err(|source| KeyError::File { path: path.display().to_string(), source })
    }

    /// The key as PEM (PKCS #8); encrypted if a passphrase is given.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the library fails.
    pub fn to_pem(&self, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, KeyError> {
        let ending = pkcs8::LineEnding::LF;
        let Some(passphrase) = passphrase else {
            let document = SecretDocument::from_pkcs8(&self.pkcs8)?;
            return document.to_pem(PrivateKeyInfoRef::PEM_LABEL, ending).map_err(|_| KeyError::Crypto);
        };
        let salt: [u8; 16] = random_bytes()?;
        let parameters =
            pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(PBKDF2_ITERATIONS, &salt, random_bytes()?)
                .map_err(|_| KeyError::Crypto)?;
        PrivateKeyInfoRef::from_der(&self.pkcs8)
            .map_err(|_| KeyError::Crypto)?
            .encrypt_with_params(parameters, passphrase)
            .map_err(|_| KeyError::Crypto)?
            .to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, ending)
            .map_err(|_| KeyError::Crypto)
    }

    /// Kind of the key.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Signs for a JWS: the fixed form `r‖s` for ECDSA (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the library fails.
    pub fn sign_token(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.signer {
            Signer::Ecdsa { tokens, .. } => {
                tokens.sign(&self.random, message).map(|s| s.as_ref().to_vec()).map_err(|_| KeyError::Crypto)
            }
            Signer::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }

    /// The `alg` of a JWS signed with this key.
    #[must_use]
    pub fn jws_algorithm(&self) -> &'static str {
        match self.algorithm {
            KeyAlgorithm::P256 => "ES256",
            KeyAlgorithm::P384 => "ES384",
            KeyAlgorithm::Ed25519 => "EdDSA",
        }
    }

    /// The key as rustls signs with it.
    ///
    /// # Errors
    /// [`KeyError::NotAccepted`] if rustls has no use for it.
    pub fn tls_key(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, KeyError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.as_slice()));
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|_| KeyError::NotAccepted)
    }

    /// SHA-256 of the SubjectPublicKeyInfo, hexadecimal: names the key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.subject_public_key_info())
    }

    /// A PKCS #10 request (DER) for this key: an empty subject, no extensions.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the library fails.
    pub fn certificate_request(&self) -> Result<Vec<u8>, KeyError> {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.serialize_request(self).map(|request| request.der().to_vec()).map_err(|_| KeyError::Crypto)
    }
}

/// Octets of a PKCS #8 document, wiped when dropped.
trait FromPkcs8: Sized {
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError>;
}

impl FromPkcs8 for SecretDocument {
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Self::try_from(der).map_err(|_| KeyError::Crypto)
    }
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        match &self.signer {
            Signer::Ecdsa { certificates, .. } => certificates.public_key().as_ref(),
            Signer::Ed25519(key) => key.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.algorithm {
            KeyAlgorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.signer {
            Signer::Ecdsa { certificates, .. } => certificates
                .sign(&self.random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| rcgen::Error::RemoteKeyError),
            Signer::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

/// SHA-256, lower-case hexadecimal.
#[must_use]
pub fn fingerprint(octets: &[u8]) -> String {
    verifier::certificate::hex(digest::digest(&digest::SHA256, octets).as_ref())
}

/// SHA-256.
#[must_use]
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    hash
}

/// Octets that nobody can guess.
///
/// # Errors
/// [`KeyError::Crypto`] if the machine has no randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut octets = [0; N];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| KeyError::Crypto)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const ALL: [KeyAlgorithm; 3] = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519];

    #[test]
    fn a_key_survives_its_file() {
        let directory = tempfile::tempdir().unwrap();
        for algorithm in ALL {
            for passphrase in [None, Some(&b"correct horse"[..])] {
                let path = directory.path().join("key.pem");
                let key = PrivateKey::generate(algorithm).unwrap();
                key.save(&path, passphrase).unwrap();
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
                let loaded = PrivateKey::load(&path, passphrase).unwrap();
                assert_eq!(loaded.fingerprint(), key.fingerprint());
                assert_eq!(loaded.algorithm(), algorithm);
            }
        }
    }

    #[test]
    fn a_passphrase_is_asked_for_and_checked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        PrivateKey::generate(KeyAlgorithm::P256).unwrap().save(&path, Some(b"right")).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("BEGIN PRIVATE KEY"));
        assert!(matches!(PrivateKey::load(&path, None), Err(KeyError::PassphraseNeeded { .. })));
        assert!(matches!(PrivateKey::load(&path, Some(b"wrong")), Err(KeyError::PassphraseWrong { .. })));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey { algorithm: P256, .. }");
    }
}
