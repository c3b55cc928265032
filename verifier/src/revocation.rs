//! Revocation lists (RFC 5280 §5).

use std::collections::HashMap;

use webpki::BorrowedCertRevocationList;
use x509_parser::{
    extensions::ParsedExtension,
    prelude::{FromDer, X509Certificate},
    revocation_list::{CertificateRevocationList, RevokedCertificate},
};

use crate::{Certificate, certificate::hex};

/// Why a revocation list is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationListError {
    /// The octets are not one list in DER, or it has no number, no `nextUpdate`, or no authority key identifier.
    #[error("not a revocation list of this product: {0}")]
    Malformed(&'static str),
    /// None of the issuers that are trusted signed it.
    #[error(
        "the revocation list is of the authority {issuer_key_id}, which is none of those that are trusted"
    )]
    WrongIssuer {
        /// Authority key identifier of the list, lower-case hexadecimal.
        issuer_key_id: String,
    },
    /// The issuer may not sign revocation lists (keyUsage without cRLSign).
    #[error("the authority {issuer_key_id} may not sign revocation lists")]
    NotACrlSigner {
        /// Its subject key identifier.
        issuer_key_id: String,
    },
    /// The signature is not the issuer's.
    #[error("the signature of the revocation list does not match")]
    BadSignature,
    /// `thisUpdate` lies ahead.
    #[error("the revocation list is of {this_update} (seconds since 1970), which lies ahead")]
    NotYetValid {
        /// `thisUpdate`, seconds since 1970.
        this_update: i64,
    },
    /// `nextUpdate` has passed.
    #[error("the revocation list should have been replaced at {next_update} (seconds since 1970)")]
    Expired {
        /// `nextUpdate`, seconds since 1970.
        next_update: i64,
    },
}

impl RevocationListError {
    /// What is wrong, for programs: stays the same when the sentence is reworded.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "REVOCATION_LIST_MALFORMED",
            Self::WrongIssuer { .. } => "REVOCATION_LIST_WRONG_ISSUER",
            Self::NotACrlSigner { .. } => "REVOCATION_LIST_NOT_A_SIGNER",
            Self::BadSignature => "REVOCATION_LIST_BAD_SIGNATURE",
            Self::NotYetValid { .. } => "REVOCATION_LIST_NOT_YET_VALID",
            Self::Expired { .. } => "REVOCATION_LIST_EXPIRED",
        }
    }
}

/// A certificate on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// When it was revoked, seconds since 1970.
    pub at: i64,
    /// `CRLReason` (RFC 5280 §5.3.1); 0 if the list does not say.
    pub reason: u8,
}

/// A `CRLReason` (RFC 5280 §5.3.1) in words.
#[must_use]
pub fn reason_name(reason: u8) -> &'static str {
    match reason {
        1 => "key compromise",
        2 => "CA compromise",
        3 => "affiliation changed",
        4 => "superseded",
        5 => "cessation of operation",
        6 => "on hold",
        9 => "privilege withdrawn",
        10 => "AA compromise",
        _ => "no reason given",
    }
}

/// A revocation list whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// Key identifier of the authority whose certificates it tells of, lower-case hexadecimal.
    pub issuer_key_id: String,
    /// `cRLNumber`: a newer list has a larger one.
    pub number: u64,
    /// When it was issued, seconds since 1970.
    pub this_update: i64,
    /// When at the latest there is a newer one, seconds since 1970.
    pub next_update: i64,
    revoked: HashMap<Vec<u8>, Revoked>,
}

impl RevocationList {
    /// Serial numbers of everything on the list (octets), in no order.
    pub fn serials(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.revoked.keys()
    }

    /// Verifies a list (DER) against certificates (DER) of authorities that are trusted, one of which must have signed it.
    /// Whether it is of today is for [`RevocationList::check_dates`] to say: an old list still tells what was revoked.
    ///
    /// # Errors
    /// [`RevocationListError`] with the first thing that is wrong.
    pub fn verify(der: &[u8], issuers: &[Vec<u8>]) -> Result<Self, RevocationListError> {
        let malformed = RevocationListError::Malformed;
        // Of the two readers this one is strict about every octet, and the other tells all that is in a list.
        BorrowedCertRevocationList::from_der(der)
            .map_err(|_| malformed("it is no revocation list in DER"))?;
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|_| malformed("it is no revocation list in DER"))?;
        if !rest.is_empty() {
            return Err(malformed("something follows it"));
        }
        let (issuer_key_id, number) = extensions(&list)?;
        let issuer = issuers
            .iter()
            .filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, issuer)| (der, issuer)))
            .find(|(der, issuer)| {
                issuer.subject().as_raw() == list.issuer().as_raw()
                    && Certificate::parse(der).is_ok_and(|issuer| issuer.key_id == issuer_key_id)
            });
        let Some((_, issuer)) = issuer else {
            return Err(RevocationListError::WrongIssuer { issuer_key_id });
        };
        if !issuer.key_usage().ok().flatten().is_some_and(|usage| usage.value.crl_sign()) {
            return Err(RevocationListError::NotACrlSigner { issuer_key_id });
        }
        list.verify_signature(issuer.public_key()).map_err(|_| RevocationListError::BadSignature)?;
        Ok(Self {
            issuer_key_id,
            number,
            this_update: list.last_update().timestamp(),
            next_update: list.next_update().ok_or(malformed("it has no nextUpdate"))?.timestamp(),
            revoked: list.iter_revoked_certificates().map(entry).collect(),
        })
    }

    /// That the list is of today: neither from the future, beyond `leeway` for the clocks, nor overdue (seconds since 1970).
    ///
    /// # Errors
    /// `NotYetValid` or `Expired`.
    pub fn check_dates(&self, now: i64, leeway: i64) -> Result<(), RevocationListError> {
        let Self { this_update, next_update, .. } = *self;
        if now.saturating_add(leeway) < this_update {
            return Err(RevocationListError::NotYetValid { this_update });
        }
        if now.saturating_sub(leeway) >= next_update {
            return Err(RevocationListError::Expired { next_update });
        }
        Ok(())
    }

    /// What the list says of the certificate with this serial number (content octets of the INTEGER).
    #[must_use]
    pub fn find(&self, serial: &[u8]) -> Option<Revoked> {
        self.revoked.get(serial).copied()
    }

    /// What the list says of a certificate; nothing if another authority issued it.
    #[must_use]
    pub fn find_certificate(&self, certificate: &Certificate) -> Option<Revoked> {
        self.find_issued(&certificate.serial, &certificate.issuer_key_id)
    }

    /// What the list says of the certificate with this serial number (hexadecimal) that this authority issued.
    pub(crate) fn find_issued(&self, serial: &str, issuer_key_id: &str) -> Option<Revoked> {
        if issuer_key_id != self.issuer_key_id {
            return None;
        }
        self.find(&crate::certificate::octets(serial)?)
    }

    /// How many certificates are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether no certificate is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }
}

/// Authority key identifier and number; no list is understood that has a critical extension (RFC 5280 §5.2).
fn extensions(list: &CertificateRevocationList<'_>) -> Result<(String, u64), RevocationListError> {
    let malformed = RevocationListError::Malformed;
    if list.extensions().iter().any(|extension| extension.critical) {
        return Err(malformed("it has a critical extension"));
    }
    let issuer = list.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| hex(id.0)),
        _ => None,
    });
    let number = list.crl_number().ok_or(malformed("it has no number"))?;
    let number = u64::try_from(number).map_err(|_| malformed("its number is too large"))?;
    Ok((issuer.ok_or(malformed("it has no authority key identifier"))?, number))
}

fn entry(revoked: &RevokedCertificate<'_>) -> (Vec<u8>, Revoked) {
    let reason = revoked.reason_code().map_or(0, |(_, reason)| reason.0);
    (revoked.raw_serial().to_vec(), Revoked { at: revoked.revocation_date.timestamp(), reason })
}
