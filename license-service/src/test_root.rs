//! A root for tests: it certifies what it is asked to.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use licensor::{
    carried::{read_call, write_answer},
    clock::{from_unix_seconds, timestamp, unix_seconds},
    key::{KeyAlgorithm, PrivateKey, random_bytes, sha256},
    tls::certified_key,
    token::EnrollmentToken,
};
use proto::certification::v1::{
    CarriedAnswer, EnrollRequest, EnrollResponse, Issuer as IssuerPath, RenewRequest, RenewResponse,
    RenewalWindow, TrustBundle, carried_answer::Answer, carried_call::Call,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber, SigningKey,
};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use verifier::{Certificate, oid};

/// Where nobody answers, and that at once.
const NOWHERE: &str = "127.0.0.1:1";
/// Whom every licensing server belongs to.
pub(crate) const OWNER: &str = "Example GmbH";
const DAY: Duration = Duration::from_secs(86_400);

/// When tests begin.
pub(crate) fn start() -> SystemTime {
    from_unix_seconds(1_800_000_000)
}

/// An authority, and the way from it to an anchor.
#[derive(Debug, Clone)]
pub(crate) struct TestRoot {
    pub(crate) key: Arc<PrivateKey>,
    pub(crate) params: CertificateParams,
    /// Its certificate, whoever signed it (DER).
    pub(crate) certificate: Vec<u8>,
    /// Issuers of what it issues (DER).
    pub(crate) issuers: Vec<Vec<u8>>,
    /// Trust anchors that it names (DER).
    pub(crate) anchors: Vec<Vec<u8>>,
    /// What it calls the server that asks.
    pub(crate) node: &'static str,
    /// Where it renews.
    pub(crate) address: String,
}

impl TestRoot {
    /// A root that is its own trust anchor.
    pub(crate) fn anchor(name: &str) -> Self {
        let key = Arc::new(PrivateKey::generate(KeyAlgorithm::P256).unwrap());
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.self_signed(&*key).unwrap().der().to_vec();
        let anchors = vec![certificate.clone()];
        Self {
            key,
            params,
            certificate,
            issuers: Vec::new(),
            anchors,
            node: "berlin-1",
            address: NOWHERE.into(),
        }
    }

    /// The same authority with a certificate that is valid for longer.
    pub(crate) fn renewed(mut self) -> Self {
        self.params.not_after += time::Duration::days(1);
        self.certificate = self.params.self_signed(&*self.key).unwrap().der().to_vec();
        self.anchors = vec![self.certificate.clone()];
        self
    }

    /// The same authority with a certificate of `upper`, which is trusted in its place.
    pub(crate) fn below(mut self, upper: &Self) -> Self {
        self.issuers = [vec![upper.sign(&self.params, &*self.key)], upper.issuers.clone()].concat();
        self.certificate.clone_from(&self.issuers[0]);
        self.anchors.clone_from(&upper.anchors);
        self
    }

    /// What it signs for another authority.
    pub(crate) fn cross_certify(&self, other: &Self) -> Vec<u8> {
        self.sign(&other.params, &*other.key)
    }

    /// The bundle, as this root answers with it.
    pub(crate) fn bundle(&self) -> TrustBundle {
        let own = IssuerPath { key_id: self.key_id(), certificates: self.issuers.clone() };
        TrustBundle {
            trust_domain: "licensor.test".into(),
            trust_anchors: self.anchors.clone(),
            issuers: vec![own],
        }
    }

    pub(crate) fn key_id(&self) -> String {
        Certificate::parse(&self.certificate).unwrap().key_id
    }

    pub(crate) fn token(&self) -> String {
        let token = EnrollmentToken {
            address: NOWHERE.into(),
            trust_anchor_sha256: sha256(&self.anchors[0]).to_vec(),
            id: random_bytes::<8>().unwrap().to_vec(),
            secret: vec![3; 32],
        };
        token.encode_text()
    }

    pub(crate) fn enroll(&self, request: &EnrollRequest, now: SystemTime) -> EnrollResponse {
        let answer = self.certify(&request.licensor_csr, &request.server_csr, now);
        EnrollResponse {
            licensor_certificate: answer.licensor_certificate,
            server_certificate: answer.server_certificate,
            issuers: answer.issuers,
            trust_bundle: answer.trust_bundle,
            renewal_window: answer.renewal_window,
            ..EnrollResponse::default()
        }
    }

    pub(crate) fn renew(&self, request: &RenewRequest, now: SystemTime) -> RenewResponse {
        self.certify(&request.licensor_csr, &request.server_csr, now)
    }

    /// Answers a request that was carried, after `edit` of the answer.
    pub(crate) fn answer_with(
        &self,
        request: &str,
        now: SystemTime,
        edit: impl FnOnce(&mut CarriedAnswer),
    ) -> String {
        let read = read_call(request).unwrap();
        let answer = match read.call.call.unwrap() {
            Call::Enroll(request) => Answer::Enroll(self.enroll(&request, now)),
            Call::Renew(request) => Answer::Renew(self.renew(&request, now)),
        };
        let mut answer = CarriedAnswer {
            create_time: Some(timestamp(now)),
            call_digest: read.digest.to_vec(),
            answer: Some(answer),
        };
        edit(&mut answer);
        self.sign_answer(&answer)
    }

    pub(crate) fn answer(&self, request: &str, now: SystemTime) -> String {
        self.answer_with(request, now, |_| ())
    }

    pub(crate) fn sign_answer(&self, answer: &CarriedAnswer) -> String {
        write_answer(answer, |message| Ok(SigningKey::sign(&*self.key, message).unwrap())).unwrap()
    }

    /// The same authority by its certificate, with a key that is none of its own.
    pub(crate) fn impostor(&self) -> Self {
        let mut params = self.params.clone();
        let key_id = verifier::certificate::octets(&self.key_id()).unwrap();
        params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(key_id);
        let key = Arc::new(PrivateKey::generate(KeyAlgorithm::P256).unwrap());
        let certificate = params.self_signed(&*key).unwrap().der().to_vec();
        Self { key, params, certificate, ..self.clone() }
    }

    /// A certificate for its own TLS port on 127.0.0.1, with the key.
    pub(crate) fn own_server(&self) -> Arc<CertifiedKey> {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let mut params = end_entity(start());
        params.not_after = self.params.not_after;
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        certified_key(&[self.sign(&params, &key)], &key).unwrap()
    }

    fn certify(&self, licensor: &[u8], server: &[u8], now: SystemTime) -> RenewResponse {
        let mut params = end_entity(now);
        params.distinguished_name.push(DnType::OrganizationName, OWNER);
        params.distinguished_name.push(DnType::CommonName, self.node);
        let spiffe_id = format!("spiffe://licensor.test/licensing-server/{}", self.node);
        params.subject_alt_names = vec![SanType::URI(spiffe_id.try_into().unwrap())];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::Other(oid::LICENSOR_PURPOSE.to_vec()),
        ];
        params.custom_extensions = vec![renewal_address(&format!("https://{}", self.address))];
        let mut server_params = end_entity(now);
        server_params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        server_params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certify = |params: &CertificateParams, request: &[u8]| {
            let request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
            self.sign(params, &request.public_key)
        };
        RenewResponse {
            licensor_certificate: certify(&params, licensor),
            server_certificate: certify(&server_params, server),
            issuers: self.issuers.clone(),
            trust_bundle: Some(self.bundle()),
            renewal_window: Some(RenewalWindow {
                start: Some(timestamp(now + DAY * 50)),
                end: Some(timestamp(now + DAY * 60)),
            }),
            ..RenewResponse::default()
        }
    }

    fn sign(&self, params: &CertificateParams, key: &impl rcgen::PublicKeyData) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &*self.key);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }
}

fn end_entity(now: SystemTime) -> CertificateParams {
    let at = |time| OffsetDateTime::from_unix_timestamp(unix_seconds(time)).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = at(now - Duration::from_secs(120));
    params.not_after = at(now + DAY * 100);
    let [first, rest @ ..] = random_bytes::<16>().unwrap();
    params.serial_number = Some(SerialNumber::from([&[first & 0x3f | 0x40], rest.as_slice()].concat()));
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params
}

/// authorityInfoAccess (RFC 5280 §4.2.2.1) with the renewal access method.
fn renewal_address(uri: &str) -> CustomExtension {
    let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let method = element(0x06, &oid::content_octets(&oid::RENEWAL_ACCESS_METHOD));
    let access = element(0x30, &[method, element(0x86, uri.as_bytes())].concat());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], element(0x30, &access))
}
