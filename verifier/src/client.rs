//! Certificates of TLS clients: whether one leads to an authority, and whom it names (RFC 5280 §6, by rustls-webpki).

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use crate::{Certificate, certificate::MalformedCertificate};

/// Why a certificate is not accepted from a TLS client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertificateError {
    /// It is no certificate.
    #[error(transparent)]
    Malformed(#[from] MalformedCertificate),
    /// Its notAfter has passed.
    #[error("the certificate expired at {not_after} (seconds since 1970)")]
    Expired {
        /// notAfter, seconds since 1970.
        not_after: i64,
    },
    /// Its notBefore lies ahead.
    #[error("the certificate is not valid before {not_before} (seconds since 1970)")]
    NotYetValid {
        /// notBefore, seconds since 1970.
        not_before: i64,
    },
    /// Its extendedKeyUsage does not have clientAuth.
    #[error("the certificate is not for clients: its extendedKeyUsage does not have clientAuth")]
    NotForClients,
    /// No path leads to one of the authorities.
    #[error("the certificate does not lead to an authority that is known: {0}")]
    NoPath(String),
}

/// Whom a verified client certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The URI of the SPIFFE ID, if there is one.
    pub spiffe_id: Option<String>,
    /// DNS names of the subjectAltName, in lower case.
    pub dns_names: Vec<String>,
    /// Subject, as RFC 4514 writes it or nearly so.
    pub subject: String,
    /// O of the subject; may be empty.
    pub organization: String,
    /// From when on every certificate of the path is valid, seconds since 1970.
    pub not_before: i64,
    /// From when on one certificate of the path is not valid any more, seconds since 1970.
    pub not_after: i64,
}

/// Checks that `leaf` is a certificate for a TLS client that leads through `issuers` to one of `anchors` (all DER) at
/// `now` (seconds since 1970), and returns whom it names. An extendedKeyUsage with clientAuth must be there.
///
/// # Errors
/// [`ClientCertificateError`] with the first thing that is wrong.
pub fn verify_client_chain(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
) -> Result<ClientIdentity, ClientCertificateError> {
    let certificate = Certificate::parse(leaf)?;
    if now < certificate.not_before {
        return Err(ClientCertificateError::NotYetValid { not_before: certificate.not_before });
    }
    if now >= certificate.not_after {
        return Err(ClientCertificateError::Expired { not_after: certificate.not_after });
    }
    let (dns_names, for_clients) = names(leaf)?;
    if !for_clients {
        return Err(ClientCertificateError::NotForClients);
    }
    let (not_before, not_after) = path(leaf, issuers, anchors, now)?;
    Ok(ClientIdentity {
        spiffe_id: certificate.spiffe_id,
        dns_names,
        subject: certificate.subject,
        organization: certificate.organization,
        not_before: not_before.max(certificate.not_before),
        not_after: not_after.min(certificate.not_after),
    })
}

/// The DNS names, and whether clientAuth is among the purposes.
fn names(leaf: &[u8]) -> Result<(Vec<String>, bool), MalformedCertificate> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| MalformedCertificate)?;
    let (mut dns_names, mut for_clients) = (Vec::new(), false);
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                dns_names.extend(names.general_names.iter().filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                }));
            }
            ParsedExtension::ExtendedKeyUsage(usage) => for_clients = usage.client_auth,
            _ => {}
        }
    }
    Ok((dns_names, for_clients))
}

/// From when to when the path above the leaf is valid.
fn path(
    leaf: &[u8],
    issuers: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: i64,
) -> Result<(i64, i64), ClientCertificateError> {
    let leaf = CertificateDer::from(leaf);
    let issuers: Vec<_> = issuers.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let dates = |der: &[u8]| Certificate::parse(der).map(|found| (found.not_before, found.not_after));
    // webpki looks at an anchor's name and key alone; here its dates count, too.
    let in_force = |der: &&Vec<u8>| dates(der).is_ok_and(|(from, until)| (from..until).contains(&now));
    let ders: Vec<_> =
        anchors.iter().filter(in_force).map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors =
        ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(no_path)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or_default()));
    let end_entity = EndEntityCert::try_from(&leaf).map_err(no_path)?;
    let path = end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &issuers,
            time,
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(no_path)?;
    let anchor = anchors.iter().position(|anchor| anchor == path.anchor()).map(|place| ders[place].to_vec());
    let above = path.intermediate_certificates().map(|certificate| certificate.der().to_vec());
    let mut valid = (i64::MIN, i64::MAX);
    for der in above.chain(anchor) {
        let (from, until) = dates(&der)?;
        valid = (valid.0.max(from), valid.1.min(until));
    }
    Ok(valid)
}

fn no_path(error: webpki::Error) -> ClientCertificateError {
    ClientCertificateError::NoPath(format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    };
    use time::{Duration as Span, OffsetDateTime};

    use super::*;

    /// Seconds since 1970.
    const NOW: i64 = 1_800_000_000;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Span::seconds(seconds)
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = at(NOW - 1000);
        params.not_after = at(NOW + 1000);
        params
    }

    fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issuer {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn client(issuer: &Issuer, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = params("billing");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![
            SanType::DnsName("Billing.example".try_into().unwrap()),
            SanType::URI("spiffe://example/billing".try_into().unwrap()),
        ];
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().to_vec()
    }

    fn verify(
        leaf: &[u8],
        issuers: &[Vec<u8>],
        anchor: &Issuer,
    ) -> Result<ClientIdentity, ClientCertificateError> {
        verify_client_chain(leaf, issuers, &[anchor.der().to_vec()], NOW)
    }

    #[test]
    fn a_client_of_the_authority_is_named() {
        let anchor = authority("anchor", |_| {});
        let found = verify(&client(&anchor, |_| {}), &[], &anchor).unwrap();
        assert_eq!(found.spiffe_id.as_deref(), Some("spiffe://example/billing"));
        assert_eq!(found.dns_names, ["billing.example"]);
        assert_eq!(found.subject, "CN=billing");
        assert_eq!((found.not_before, found.not_after), (NOW - 1000, NOW + 1000));
    }

    #[test]
    fn the_whole_path_counts_and_its_dates_bound_the_answer() {
        let anchor = authority("anchor", |params| params.not_after = at(NOW + 500));
        let mut params = params("between");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = at(NOW - 10);
        let between = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &anchor).unwrap();
        let leaf = client(&between, |_| {});
        assert!(matches!(verify(&leaf, &[], &anchor), Err(ClientCertificateError::NoPath(_))));
        let found = verify(&leaf, &[between.der().to_vec()], &anchor).unwrap();
        assert_eq!((found.not_before, found.not_after), (NOW - 10, NOW + 500));
    }

    #[test]
    fn what_is_no_client_of_the_authority_now_is_refused() {
        use ClientCertificateError as Problem;
        let anchor = authority("anchor", |_| {});
        let refused = |leaf: &[u8]| verify(leaf, &[], &anchor).unwrap_err();
        // Another authority, even one of the same name.
        let other = client(&authority("anchor", |_| {}), |_| {});
        assert!(matches!(refused(&other), Problem::NoPath(_)));
        let expired = client(&anchor, |params| params.not_after = at(NOW));
        assert_eq!(refused(&expired), Problem::Expired { not_after: NOW });
        let early = client(&anchor, |params| params.not_before = at(NOW + 1));
        assert_eq!(refused(&early), Problem::NotYetValid { not_before: NOW + 1 });
        let server = client(&anchor, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        assert_eq!(refused(&server), Problem::NotForClients);
        let any = client(&anchor, |params| params.extended_key_usages.clear());
        assert_eq!(refused(&any), Problem::NotForClients);
        assert_eq!(refused(b"no certificate"), Problem::Malformed(MalformedCertificate));
        let stale = authority("stale", |params| params.not_after = at(NOW));
        let found = verify(&client(&stale, |_| {}), &[], &stale);
        assert!(matches!(found, Err(Problem::NoPath(_))));
    }
}
