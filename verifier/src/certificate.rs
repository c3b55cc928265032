//! What a certificate says, as plain values.

use x509_parser::{
    extensions::{GeneralName, KeyUsage, ParsedExtension},
    prelude::{FromDer, X509Certificate, X509Extension},
};

use crate::oid;

/// notBefore of everything that a root issues lies this many seconds before the instant of issue, so that a peer whose
/// clock is a little behind accepts it.
pub const BACKDATE_SECONDS: i64 = 120;

/// The facts of an X.509 v3 certificate (RFC 5280) that licensors, roots and clients act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// CN of the subject.
    pub common_name: String,
    /// O of the subject; empty if absent.
    pub organization: String,
    /// Subject, RFC 4514.
    pub subject: String,
    /// The URI of subjectAltName, if it is the only one there and a `spiffe:` one: who has two names has none.
    pub spiffe_id: Option<String>,
    /// notBefore, seconds since 1970.
    pub not_before: i64,
    /// notAfter, seconds since 1970.
    pub not_after: i64,
    /// Subject key identifier, lower-case hexadecimal; empty if absent.
    pub key_id: String,
    /// Authority key identifier, lower-case hexadecimal; empty if absent.
    pub issuer_key_id: String,
    /// `host:port` from the renewal access method.
    pub renewal_address: Option<String>,
    /// Whether it may certify others: CA in basicConstraints, and keyCertSign unless there is no keyUsage.
    pub certifies: bool,
    /// How many authorities may follow in a path below it, if basicConstraints say.
    pub path_length: Option<u32>,
    /// Whether its key may sign anything else: digitalSignature, or no keyUsage.
    pub signs: bool,
    /// Whether extendedKeyUsage has the licensor purpose.
    pub licensor_purpose: bool,
    /// Whether extendedKeyUsage has the purpose of signing entitlements.
    pub entitlement_purpose: bool,
    /// SubjectPublicKeyInfo (DER).
    pub public_key_info: Vec<u8>,
    /// Content of the subjectPublicKey bit string.
    pub public_key: Vec<u8>,
    /// Object identifier of the key's algorithm, then that of its curve, if any; dotted.
    pub key_algorithm: (String, Option<String>),
}

/// The octets are not one X.509 certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate in DER")]
pub struct MalformedCertificate;

impl Certificate {
    /// Reads a certificate (DER). Says nothing of its validity.
    ///
    /// # Errors
    /// [`MalformedCertificate`] if `der` is anything but one well-formed certificate.
    pub fn parse(der: &[u8]) -> Result<Self, MalformedCertificate> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| MalformedCertificate)?;
        if !rest.is_empty() {
            return Err(MalformedCertificate);
        }
        let subject = parsed.subject();
        let algorithm = &parsed.public_key().algorithm;
        let mut certificate = Self {
            serial: hex(parsed.raw_serial()),
            common_name: subject
                .iter_common_name()
                .next()
                .and_then(|n| n.as_str().ok())
                .unwrap_or_default()
                .into(),
            organization: subject
                .iter_organization()
                .next()
                .and_then(|n| n.as_str().ok())
                .unwrap_or_default()
                .into(),
            subject: subject.to_string(),
            spiffe_id: None,
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            key_id: String::new(),
            issuer_key_id: String::new(),
            renewal_address: None,
            certifies: false,
            path_length: None,
            signs: true,
            licensor_purpose: false,
            entitlement_purpose: false,
            public_key_info: parsed.public_key().raw.to_vec(),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            key_algorithm: (
                algorithm.algorithm.to_id_string(),
                algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|curve| curve.to_id_string()),
            ),
        };
        let extensions = parsed.extensions();
        if has_twice(extensions) {
            return Err(MalformedCertificate);
        }
        for extension in extensions {
            certificate.read_extension(extension.parsed_extension());
        }
        let usage = parsed.key_usage().map_err(|_| MalformedCertificate)?.map(|usage| usage.value);
        certificate.certifies &= usage.is_none_or(KeyUsage::key_cert_sign);
        certificate.signs = usage.is_none_or(KeyUsage::digital_signature);
        Ok(certificate)
    }

    fn read_extension(&mut self, extension: &ParsedExtension<'_>) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                let mut uris = names.general_names.iter().filter_map(|name| match name {
                    GeneralName::URI(uri) => Some(*uri),
                    _ => None,
                });
                self.spiffe_id = match (uris.next(), uris.next()) {
                    (Some(uri), None) if uri.starts_with("spiffe://") => Some(uri.to_owned()),
                    _ => None,
                };
            }
            ParsedExtension::BasicConstraints(constraints) => {
                self.certifies = constraints.ca;
                self.path_length = constraints.path_len_constraint;
            }
            ParsedExtension::SubjectKeyIdentifier(id) => self.key_id = hex(id.0),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.issuer_key_id = id.key_identifier.as_ref().map(|id| hex(id.0)).unwrap_or_default();
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let has = |purpose: &[u64]| {
                    let purpose = oid::content_octets(purpose);
                    usage.other.iter().any(|other| other.as_bytes() == purpose)
                };
                self.licensor_purpose = has(&oid::LICENSOR_PURPOSE);
                self.entitlement_purpose = has(&oid::ENTITLEMENT_PURPOSE);
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                let method = oid::content_octets(&oid::RENEWAL_ACCESS_METHOD);
                self.renewal_address =
                    access.accessdescs.iter().find_map(|access| match access.access_location {
                        GeneralName::URI(uri) if access.access_method.as_bytes() == method => {
                            Some(uri.strip_prefix("https://")?.trim_end_matches('/').to_owned())
                        }
                        _ => None,
                    });
            }
            _ => {}
        }
    }

    /// Seconds for which the certificate was issued: from the instant of issue, not from the backdated notBefore.
    #[must_use]
    pub fn lifetime(&self) -> i64 {
        (self.not_after - self.issued_at()).max(0)
    }

    /// Seconds since 1970 at which the certificate was issued.
    #[must_use]
    pub fn issued_at(&self) -> i64 {
        self.not_before.saturating_add(BACKDATE_SECONDS).min(self.not_after)
    }
}

/// Whether an extension is there twice: it could be read in two ways (RFC 5280 §4.2).
fn has_twice(extensions: &[X509Extension<'_>]) -> bool {
    let mut oids: Vec<&[u8]> = extensions.iter().map(|extension| extension.oid.as_bytes()).collect();
    oids.sort_unstable();
    oids.windows(2).any(|pair| pair[0] == pair[1])
}

/// Lower-case hexadecimal without separators.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        text.push(digit(octet >> 4));
        text.push(digit(*octet));
    }
    text
}

/// The octets of hexadecimal digits; `None` if `digits` is anything else.
#[must_use]
pub fn octets(digits: &str) -> Option<Vec<u8>> {
    let digit = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? << 4) | digit(*pair.get(1)?)?)).collect()
}
