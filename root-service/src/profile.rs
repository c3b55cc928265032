//! The one place that says what a certificate may contain. Every field is set here; nothing is left to a library's
//! default, and nothing of a request gets here but its public key and names that an administrator approved.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use licensor::key::{KeyError, random_bytes};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, string::Ia5String,
};
use time::OffsetDateTime;
use verifier::{certificate::BACKDATE_SECONDS, oid};
use yasna::{Tag, models::ObjectIdentifier};

/// How much longer than the licensor certificate a server certificate lives, so that a licensing server whose
/// licensor certificate has expired can still say so.
const SERVER_GRACE: Duration = Duration::from_secs(90 * 86_400);

/// authorityInfoAccess (RFC 5280 §4.2.2.1) and its method caIssuers.
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
const CA_ISSUERS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 2];

/// Paths of SPIFFE IDs.
const LICENSING_SERVER: &str = "licensing-server";
const ROOT: &str = "root";
const ENTITLEMENTS: &str = "entitlements";

/// Lifetime of a certificate that signs one entitlement: the key is gone before it ends.
const SIGNER_VALIDITY: Duration = Duration::from_secs(600);

/// A name, an address or an instant that no certificate can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotEncodable(pub(crate) String);

impl From<KeyError> for NotEncodable {
    fn from(error: KeyError) -> Self {
        Self(error.to_string())
    }
}

/// What every certificate of one authority has in common.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// SPIFFE trust domain.
    pub(crate) trust_domain: String,
    /// `host:port` at which certificates are renewed.
    pub(crate) renewal_address: String,
    /// Base URL of revocation lists and issuer certificates.
    pub(crate) ops_url: String,
    /// Lifetime of a licensor certificate.
    pub(crate) validity: Duration,
    /// Lifetime of the certificate of a root below.
    pub(crate) root_validity: Duration,
}

/// The holder of a licensor certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    /// Name of the licensing server.
    pub(crate) node: &'a str,
    /// The organisation that runs it.
    pub(crate) owner: &'a str,
}

/// The issuer of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IssuerFacts<'a> {
    /// What its certificates say of where things are.
    pub(crate) places: &'a Places,
    /// No certificate outlives this instant.
    pub(crate) not_after: SystemTime,
}

/// Extensions that all certificates of one issuer have alike.
#[derive(Debug)]
pub(crate) struct Places {
    /// authorityInfoAccess with the issuer's certificate.
    issuer: CustomExtension,
    /// The same, and where the certificate is renewed.
    issuer_and_renewal: CustomExtension,
    /// cRLDistributionPoints.
    revocation_lists: Vec<CrlDistributionPoint>,
}

impl Profile {
    /// A self-signed trust anchor.
    pub(crate) fn trust_anchor(
        &self,
        organization: &str,
        validity: Duration,
        now: SystemTime,
        key_id: &[u8],
    ) -> Result<CertificateParams, NotEncodable> {
        let mut params = blank(now, now.checked_add(validity).ok_or_else(out_of_range)?)?;
        self.certify_authority(&mut params, organization, key_id, 1)?;
        params.custom_extensions = vec![self.information_access(&verifier::certificate::hex(key_id), false)];
        Ok(params)
    }

    /// The certificate of an authority below another one: it certifies licensing servers, and no authorities.
    pub(crate) fn authority(
        &self,
        organization: &str,
        key_id: &[u8],
        issuer: IssuerFacts<'_>,
        now: SystemTime,
    ) -> Result<CertificateParams, NotEncodable> {
        let mut params = issued(issuer, now, self.root_validity)?;
        self.certify_authority(&mut params, organization, key_id, 0)?;
        params.custom_extensions = vec![issuer.places.issuer.clone()];
        Ok(params)
    }

    /// The certificate of the authority that follows, by the one before it: as long as that one.
    pub(crate) fn cross(
        &self,
        organization: &str,
        key_id: &[u8],
        issuer: IssuerFacts<'_>,
        now: SystemTime,
    ) -> Result<CertificateParams, NotEncodable> {
        let whole = issuer.not_after.duration_since(now).unwrap_or_default();
        let own = Self { root_validity: whole, ..self.clone() };
        own.authority(organization, key_id, issuer, now)
    }

    /// What the certificates of all authorities have in common. A key has one name, whoever certifies it.
    fn certify_authority(
        &self,
        params: &mut CertificateParams,
        organization: &str,
        key_id: &[u8],
        path_length: u8,
    ) -> Result<(), NotEncodable> {
        // Part of the key's identifier keeps the names of two authorities apart.
        let key_name = verifier::certificate::hex(&key_id[..key_id.len().min(4)]);
        params.distinguished_name = name(&format!("Licensor Root {key_name}"), Some(organization));
        params.subject_alt_names = vec![SanType::URI(ia5(&format!("spiffe://{}", self.trust_domain))?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.to_vec());
        Ok(())
    }

    /// What a root below authenticates with to this one: a SPIFFE X509-SVID that certifies nothing.
    pub(crate) fn root_identity(
        &self,
        holder: Holder<'_>,
        issuer: IssuerFacts<'_>,
        now: SystemTime,
    ) -> Result<CertificateParams, NotEncodable> {
        let mut params = end_entity(issuer, now, self.root_validity)?;
        params.distinguished_name = name(holder.node, Some(holder.owner));
        params.subject_alt_names = vec![SanType::URI(ia5(&self.spiffe_id(holder.node, true))?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.custom_extensions = vec![issuer.places.issuer_and_renewal.clone()];
        Ok(params)
    }

    /// A licensor certificate: a SPIFFE X509-SVID with the licensor purpose.
    pub(crate) fn licensor(
        &self,
        holder: Holder<'_>,
        issuer: IssuerFacts<'_>,
        now: SystemTime,
    ) -> Result<CertificateParams, NotEncodable> {
        let mut params = end_entity(issuer, now, self.validity)?;
        params.distinguished_name = name(holder.node, Some(holder.owner));
        params.subject_alt_names = vec![SanType::URI(ia5(&self.spiffe_id(holder.node, false))?)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::Other(oid::LICENSOR_PURPOSE.to_vec()),
        ];
        params.custom_extensions = vec![issuer.places.issuer_and_renewal.clone()];
        Ok(params)
    }

    /// The certificate of a key that signs an entitlement of the root whose audit log has this name.
    pub(crate) fn entitlement_signer(
        &self,
        organization: &str,
        log: &str,
        issuer: IssuerFacts<'_>,
        now: SystemTime,
    ) -> Result<CertificateParams, NotEncodable> {
        let mut params = end_entity(issuer, now, SIGNER_VALIDITY)?;
        params.distinguished_name = name("Entitlements", Some(organization));
        params.subject_alt_names = vec![SanType::URI(ia5(&self.entitlements_id(log))?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(oid::ENTITLEMENT_PURPOSE.to_vec())];
        params.custom_extensions = vec![issuer.places.issuer.clone()];
        Ok(params)
    }

    /// A server certificate for a TLS port.
    pub(crate) fn server(
        &self,
        common_name: &str,
        dns_names: &[String],
        ip_addresses: &[IpAddr],
        issuer: IssuerFacts<'_>,
        now: SystemTime,
    ) -> Result<CertificateParams, NotEncodable> {
        let mut params = end_entity(issuer, now, self.validity.saturating_add(SERVER_GRACE))?;
        params.distinguished_name = name(common_name, None);
        let dns_names = dns_names.iter().map(|name| ia5(name).map(SanType::DnsName));
        params.subject_alt_names = dns_names.collect::<Result<_, _>>()?;
        params.subject_alt_names.extend(ip_addresses.iter().copied().map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.custom_extensions = vec![issuer.places.issuer.clone()];
        Ok(params)
    }

    /// A revocation list of the issuer with this subject key identifier.
    pub(crate) fn revocation_list(
        &self,
        issuer_key_id: &[u8],
        number: u64,
        (this_update, next_update): (SystemTime, SystemTime),
        revoked_certs: Vec<RevokedCertParams>,
    ) -> Result<CertificateRevocationListParams, NotEncodable> {
        Ok(CertificateRevocationListParams {
            this_update: whole_second(this_update)?,
            next_update: whole_second(next_update)?,
            crl_number: SerialNumber::from(number),
            // A list of everything that the issuer has revoked needs none (RFC 5280 §5.2.5).
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::PreSpecified(issuer_key_id.to_vec()),
        })
    }

    /// What the certificates of an issuer with this subject key identifier (lower-case hexadecimal) say of places.
    pub(crate) fn places(&self, key_id: &str) -> Places {
        let list = format!("{}/crl/{key_id}.crl", self.ops_url);
        Places {
            issuer: self.information_access(key_id, false),
            issuer_and_renewal: self.information_access(key_id, true),
            revocation_lists: vec![CrlDistributionPoint { uris: vec![list] }],
        }
    }

    /// The SPIFFE ID of a licensing server, or of a root.
    pub(crate) fn spiffe_id(&self, node: &str, root: bool) -> String {
        format!("spiffe://{}/{}/{node}", self.trust_domain, if root { ROOT } else { LICENSING_SERVER })
    }

    /// The SPIFFE ID under which the root whose audit log has this name signs entitlements.
    pub(crate) fn entitlements_id(&self, log: &str) -> String {
        format!("spiffe://{}/{ENTITLEMENTS}/{log}", self.trust_domain)
    }

    /// The licensing server or root that a SPIFFE ID of this trust domain names.
    pub(crate) fn node_name<'a>(&self, spiffe_id: &'a str) -> Option<&'a str> {
        let path = spiffe_id.strip_prefix("spiffe://")?.strip_prefix(&*self.trust_domain)?;
        match path.strip_prefix('/')?.split_once('/')? {
            (LICENSING_SERVER | ROOT, name) => Some(name),
            _ => None,
        }
    }

    /// authorityInfoAccess: where the issuer's certificate is, and where this one is renewed.
    fn information_access(&self, issuer_key_id: &str, renewable: bool) -> CustomExtension {
        let issuers = format!("{}/issuer/{issuer_key_id}.cer", self.ops_url);
        let renewal = format!("https://{}", self.renewal_address);
        let mut access: Vec<(&[u64], &str)> = vec![(CA_ISSUERS, &issuers)];
        if renewable {
            access.push((&oid::RENEWAL_ACCESS_METHOD, &renewal));
        }
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for (method, uri) in &access {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&ObjectIdentifier::from_slice(method));
                        // uniformResourceIdentifier [6] IA5String
                        writer.next().write_tagged_implicit(Tag::context(6), |writer| {
                            writer.write_bytes(uri.as_bytes())
                        });
                    });
                }
            });
        });
        CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, content)
    }
}

fn end_entity(
    issuer: IssuerFacts<'_>,
    now: SystemTime,
    validity: Duration,
) -> Result<CertificateParams, NotEncodable> {
    let mut params = issued(issuer, now, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

/// What everything that is not self-signed has in common.
fn issued(
    issuer: IssuerFacts<'_>,
    now: SystemTime,
    validity: Duration,
) -> Result<CertificateParams, NotEncodable> {
    let not_after = now.checked_add(validity).unwrap_or(issuer.not_after).min(issuer.not_after);
    let mut params = blank(now, not_after)?;
    params.use_authority_key_identifier_extension = true;
    params.crl_distribution_points.clone_from(&issuer.places.revocation_lists);
    Ok(params)
}

/// Parameters with every field of rcgen's defaults overwritten that would otherwise reach a certificate.
fn blank(now: SystemTime, not_after: SystemTime) -> Result<CertificateParams, NotEncodable> {
    let backdate = Duration::from_secs(BACKDATE_SECONDS.unsigned_abs());
    let mut params = CertificateParams::default();
    params.not_before = whole_second(now.checked_sub(backdate).ok_or_else(out_of_range)?)?;
    params.not_after = whole_second(not_after)?;
    params.serial_number = Some(serial_number(now)?);
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = Vec::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = Vec::new();
    params.extended_key_usages = Vec::new();
    params.name_constraints = None;
    params.crl_distribution_points = Vec::new();
    params.custom_extensions = Vec::new();
    params.use_authority_key_identifier_extension = false;
    params.key_identifier_method = KeyIdMethod::Sha256;
    Ok(params)
}

/// 20 octets, positive, without a leading zero (RFC 5280 §4.1.2.2): 30 bits of the time in seconds, so that records of
/// certificates follow one another in the store, and 128 random bits.
fn serial_number(now: SystemTime) -> Result<SerialNumber, KeyError> {
    let seconds = licensor::clock::unix_seconds(now) & 0x3fff_ffff;
    let [.., a, b, c, d] = seconds.to_be_bytes();
    let random: [u8; 16] = random_bytes()?;
    Ok(SerialNumber::from([&[a | 0x40, b, c, d], random.as_slice()].concat()))
}

pub(crate) fn whole_second(time: SystemTime) -> Result<OffsetDateTime, NotEncodable> {
    let seconds = licensor::clock::unix_seconds(time);
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| out_of_range())
}

fn out_of_range() -> NotEncodable {
    NotEncodable("the clock or the configured lifetime is outside of what a certificate can say".into())
}

fn name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn ia5(text: &str) -> Result<Ia5String, NotEncodable> {
    Ia5String::try_from(text)
        .map_err(|_| NotEncodable(format!("`{text}` has characters that a certificate cannot carry")))
}
