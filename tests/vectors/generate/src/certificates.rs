//! Authorities, signers and revocation lists, in any form that is asked for.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    },
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PublicKeyData, RevocationReason, RevokedCertParams, SanType, SerialNumber,
    SignatureAlgorithm,
};
use time::OffsetDateTime;
use verifier::{
    Certificate,
    certificate::octets,
    oid::{ENTITLEMENT_PURPOSE, LICENSOR_PURPOSE},
};

use crate::world::{DAY, NOW};

pub(crate) fn instant(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

pub(crate) fn licensor_purpose() -> ExtendedKeyUsagePurpose {
    ExtendedKeyUsagePurpose::Other(LICENSOR_PURPOSE.to_vec())
}

pub(crate) fn entitlement_purpose() -> ExtendedKeyUsagePurpose {
    ExtendedKeyUsagePurpose::Other(ENTITLEMENT_PURPOSE.to_vec())
}

pub(crate) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// An extension that nobody knows.
pub(crate) fn unknown_critical_extension() -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    extension.set_criticality(true);
    extension
}

/// A certificate and its key: of an authority, or of a signer.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) der: Vec<u8>,
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
}

impl Holder {
    fn new(params: CertificateParams, key: KeyPair, by: Option<&Self>) -> Self {
        let certificate = match by {
            Some(by) => params.signed_by(&key, &by.issuer()),
            None => params.self_signed(&key),
        };
        Self { der: certificate.unwrap().der().to_vec(), params, key }
    }

    pub(crate) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub(crate) fn facts(&self) -> Certificate {
        Certificate::parse(&self.der).unwrap()
    }

    /// The same key with another certificate.
    pub(crate) fn again(&self, by: Option<&Self>, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = self.params.clone();
        change(&mut params);
        let key = KeyPair::try_from(self.key.serialize_der()).unwrap();
        Self::new(params, key, by)
    }

    /// The name of the key's algorithm in a JOSE header.
    pub(crate) fn alg(&self) -> &'static str {
        match self.key.algorithm() {
            algorithm if *algorithm == PKCS_ECDSA_P256_SHA256 => "ES256",
            algorithm if *algorithm == PKCS_ECDSA_P384_SHA384 => "ES384",
            _ => "EdDSA",
        }
    }

    /// A signature as JWS has it.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.alg() {
            "ES256" => self.ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, message),
            "ES384" => self.ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, message),
            _ => {
                let key = Ed25519KeyPair::from_pkcs8(&self.key.serialize_der()).unwrap();
                key.sign(message).as_ref().to_vec()
            }
        }
    }

    /// A signature of a P-256 key in DER.
    pub(crate) fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        self.ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, message)
    }

    fn ecdsa(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let key = EcdsaKeyPair::from_pkcs8(algorithm, &self.key.serialize_der()).unwrap();
        key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// SubjectPublicKeyInfo (DER).
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }
}

/// An authority, self-signed unless another one certifies it.
pub(crate) fn authority(
    name: &str,
    path_length: u8,
    by: Option<&Holder>,
    change: impl FnOnce(&mut CertificateParams),
) -> Holder {
    let mut params = CertificateParams::default();
    params.distinguished_name = Default::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Example Vendor");
    params.subject_alt_names = vec![uri("spiffe://licensor.test")];
    params.not_before = instant(NOW - 1000 * DAY);
    params.not_after = instant(NOW + 3650 * DAY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    Holder::new(params, KeyPair::generate().unwrap(), by)
}

/// What licensor certificates and those of signers of entitlements have in common.
fn end_entity(name: &str, id: &str, algorithm: &'static SignatureAlgorithm) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name = Default::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Example GmbH");
    params.subject_alt_names = vec![uri(id)];
    params.not_before = instant(NOW - DAY);
    params.not_after = instant(NOW + 30 * DAY);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    (params, KeyPair::generate_for(algorithm).unwrap())
}

/// A licensing server.
pub(crate) fn licensor(
    id: &str,
    algorithm: &'static SignatureAlgorithm,
    by: &Holder,
    change: impl FnOnce(&mut CertificateParams),
) -> Holder {
    let name = id.rsplit('/').next().unwrap_or_default();
    let (mut params, key) = end_entity(name, id, algorithm);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, licensor_purpose()];
    change(&mut params);
    Holder::new(params, key, Some(by))
}

/// Who signs the entitlements of a root.
pub(crate) fn entitlement_signer(
    id: &str,
    by: &Holder,
    change: impl FnOnce(&mut CertificateParams),
) -> Holder {
    let (mut params, key) = end_entity("Entitlements", id, &PKCS_ECDSA_P256_SHA256);
    params.extended_key_usages = vec![entitlement_purpose()];
    change(&mut params);
    Holder::new(params, key, Some(by))
}

/// A list of everything that `by` has revoked: from an hour ago until tomorrow, unless it is changed.
pub(crate) fn revocation_list(
    by: &Holder,
    revoked: &[&Holder],
    change: impl FnOnce(&mut CertificateRevocationListParams),
) -> Vec<u8> {
    let revoked = revoked.iter().map(|holder| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&octets(&holder.facts().serial).unwrap()),
        revocation_time: instant(NOW - 7200),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    });
    let mut params = CertificateRevocationListParams {
        this_update: instant(NOW - 3600),
        next_update: instant(NOW + DAY),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::PreSpecified(octets(&by.facts().key_id).unwrap()),
    };
    change(&mut params);
    params.signed_by(&by.issuer()).unwrap().der().to_vec()
}
