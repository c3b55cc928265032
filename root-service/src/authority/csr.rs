//! What is taken from a certificate signing request: its public key, after every check.

use licensor::{
    error::{Error, Reason, Result},
    key::sha256,
};
use rcgen::SubjectPublicKeyInfo;
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ED25519},
    prelude::FromDer,
};

/// Octets that a request may have.
const LONGEST: usize = 16 << 10;

/// The public key of a request whose holder proved that it has the private key.
#[derive(Debug)]
pub(crate) struct CheckedKey {
    /// The key as rcgen takes it.
    pub(crate) key: SubjectPublicKeyInfo,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) digest: [u8; 32],
}

/// Checks a PKCS #10 request (RFC 2986, DER). `approved` are the names that the request may ask for; asking for any
/// other, or for a certificate authority, is refused rather than passed over, so that nobody is surprised later.
///
/// # Errors
/// `CSR_MALFORMED`, `CSR_SIGNATURE_INVALID` or `KEY_NOT_ACCEPTED`; `field` says in which field of the message.
pub(crate) fn check(field: &'static str, der: &[u8], approved: &[String]) -> Result<CheckedKey> {
    let malformed = |problem: String| {
        Error::new(
            Reason::CsrMalformed,
            format!("{field}: {problem}; send a PKCS #10 request in DER, made for example with: openssl req -new -outform DER"),
        )
        .with("field", field)
    };
    if der.is_empty() {
        return Err(malformed("the request is empty".into()));
    }
    if der.len() > LONGEST {
        return Err(malformed(format!("the request has {} octets, and {LONGEST} are allowed", der.len())));
    }
    let (rest, csr) = X509CertificationRequest::from_der(der)
        .map_err(|_| malformed("the request cannot be read".into()))?;
    if !rest.is_empty() {
        return Err(malformed(format!("{} octets follow the request", rest.len())));
    }
    let key = accepted_key(field, &csr)?;
    csr.verify_signature().map_err(|_| {
        Error::new(
            Reason::CsrSignatureInvalid,
            format!(
                "{field}: the request is not signed with the private key of its public key; make a new one"
            ),
        )
        .with("field", field)
    })?;
    check_extensions(&csr, approved).map_err(malformed)?;
    let digest = sha256(csr.certification_request_info.subject_pki.raw);
    Ok(CheckedKey { key, digest })
}

fn accepted_key(field: &'static str, csr: &X509CertificationRequest<'_>) -> Result<SubjectPublicKeyInfo> {
    let info = &csr.certification_request_info.subject_pki;
    let algorithm = &info.algorithm.algorithm;
    // RFC 5480 §2.1.1: the curve is the parameter. Other algorithms have NULL there, or nothing.
    let curve = (*algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY)
        .then(|| info.algorithm.parameters.as_ref()?.as_oid().ok())
        .flatten();
    let refused = || {
        let found = curve.as_ref().unwrap_or(algorithm).to_id_string();
        Error::new(
            Reason::KeyNotAccepted,
            format!("{field}: keys of the kind {found} are not certified; use P-256, P-384 or Ed25519"),
        )
        .with("field", field)
        .with("algorithm", found)
    };
    // One form for each kind of key (RFC 5480 §2.2, RFC 8410 §4): aws-lc reads others, too, and few others do.
    let point = &info.subject_public_key;
    let uncompressed = |octets| point.data.len() == octets && point.data.first() == Some(&4);
    let usual = match &curve {
        Some(curve) if *curve == OID_EC_P256 => uncompressed(65),
        Some(curve) if *curve == OID_NIST_EC_P384 => uncompressed(97),
        None if *algorithm == OID_SIG_ED25519 => point.data.len() == 32,
        _ => return Err(refused()),
    };
    if !usual || point.unused_bits != 0 {
        return Err(Error::new(
            Reason::KeyNotAccepted,
            format!("{field}: the public key is not in its usual form (an uncompressed point); make the request with other software"),
        )
        .with("field", field));
    }
    SubjectPublicKeyInfo::from_der(info.raw).map_err(|_| refused())
}

fn check_extensions(
    csr: &X509CertificationRequest<'_>,
    approved: &[String],
) -> std::result::Result<(), String> {
    for extension in csr.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                return Err(
                    "the request asks for a certificate authority (CA:TRUE), which no node becomes".into()
                );
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    let name = plain_name(name);
                    if !approved.contains(&name) {
                        return Err(format!(
                            "the request asks for the name {name}, which no administrator approved: leave subjectAltName out, names come from the enrolment token"
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn plain_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            (*name).to_owned()
        }
        GeneralName::IPAddress(octets) => match *octets {
            [a, b, c, d] => std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string(),
            octets => match <[u8; 16]>::try_from(octets) {
                Ok(octets) => std::net::Ipv6Addr::from(octets).to_string(),
                Err(_) => format!("{octets:?}"),
            },
        },
        other => other.to_string(),
    }
}
