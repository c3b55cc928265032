//! An authority and licensors of our own making, in any form that is asked for.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    },
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SanType, SignatureAlgorithm,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use verifier::oid::LICENSOR_PURPOSE;

/// The instant at which the tests stand.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const SPIFFE_ID: &str = "spiffe://licensor.test/licensing-server/berlin-1";

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

fn instant(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = instant(NOW - 100 * DAY);
    params.not_after = instant(NOW + 3650 * DAY);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A trust anchor.
pub(crate) fn anchor(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

/// An authority below another.
pub(crate) fn intermediate(name: &str, above: &Authority) -> Authority {
    CertifiedIssuer::signed_by(authority_params(name), KeyPair::generate().unwrap(), above).unwrap()
}

/// What a licensor certificate is to be.
pub(crate) struct Order {
    pub(crate) names: Vec<SanType>,
    pub(crate) purposes: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) algorithm: &'static SignatureAlgorithm,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            names: vec![SanType::URI(SPIFFE_ID.try_into().unwrap())],
            purposes: vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::Other(LICENSOR_PURPOSE.to_vec()),
            ],
            not_before: NOW - DAY,
            not_after: NOW + 30 * DAY,
            algorithm: &PKCS_ECDSA_P256_SHA256,
        }
    }
}

/// A licensing server: its certificate (DER) and key.
pub(crate) struct Licensor {
    pub(crate) certificate: Vec<u8>,
    key: KeyPair,
    algorithm: &'static SignatureAlgorithm,
}

impl Licensor {
    pub(crate) fn certified(order: Order, by: &Authority) -> Self {
        let key = KeyPair::generate_for(order.algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "berlin-1");
        params.distinguished_name.push(DnType::OrganizationName, "Example GmbH");
        params.subject_alt_names = order.names;
        params.extended_key_usages = order.purposes;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = instant(order.not_before);
        params.not_after = instant(order.not_after);
        let certificate = params.signed_by(&key, by).unwrap().der().to_vec();
        Self { certificate, key, algorithm: order.algorithm }
    }

    /// The name of its key's algorithm in a JOSE header.
    pub(crate) fn alg(&self) -> &'static str {
        match self.algorithm {
            algorithm if *algorithm == PKCS_ECDSA_P256_SHA256 => "ES256",
            algorithm if *algorithm == PKCS_ECDSA_P384_SHA384 => "ES384",
            _ => "EdDSA",
        }
    }

    /// The header of its licences.
    pub(crate) fn header(&self, issuers: &[&Authority]) -> Value {
        let issuers = issuers.iter().map(|issuer| issuer.der().to_vec());
        let x5c: Vec<_> = std::iter::once(self.certificate.clone())
            .chain(issuers)
            .map(|der| BASE64_STANDARD.encode(der))
            .collect();
        json!({ "alg": self.alg(), "typ": "license+jwt", "x5c": x5c })
    }

    /// A compact JWS of this header and these claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let (pkcs8, random) = (self.key.serialize_der(), SystemRandom::new());
        let ecdsa = match self.alg() {
            "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => return Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap().sign(message).as_ref().to_vec(),
        };
        EcdsaKeyPair::from_pkcs8(ecdsa, &pkcs8).unwrap().sign(&random, message).unwrap().as_ref().to_vec()
    }
}

/// Claims of a licence that is valid at [`NOW`] for an hour.
pub(crate) fn claims() -> Value {
    json!({
        "iss": SPIFFE_ID, "sub": "anna", "jti": "1", "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
        "license": { "vendor": "Example", "module": "crm", "owner": "Example GmbH", "lease": 3600, "seats": 1 },
    })
}

/// One part of a JWS.
pub(crate) fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap())
}
