//! Fetches the issuer's revocation list, and finds out whether the own certificate is on it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    file, root_client,
    telemetry::Metrics,
};
use proto::certification::v1::{
    GetRevocationListRequest, certification_service_client::CertificationServiceClient,
};
use tokio::task::block_in_place;
use tonic::transport::Channel;
use verifier::{RevocationList, RevocationListError};

use super::Renewal;
use crate::credential::Credential;

/// The number of a list that a root spoke of without its number.
pub(super) const ONE_TO_COME: u64 = u64::MAX;
/// A list of this many octets is taken at most.
pub(super) const LARGEST: usize = 64 << 20;
/// Seconds by which the clocks of root and node may differ.
const LEEWAY: i64 = 120;

/// Keeps the revocation list of the authority that issued the credential in use.
#[derive(Debug)]
pub(crate) struct RevocationWatch {
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the list is kept (DER).
    pub(crate) file: PathBuf,
}

/// The list in this file, if it is one of the credential's issuer.
pub(crate) fn kept_list(file: &Path, credential: &Credential) -> Option<RevocationList> {
    let der = match fs::read(file) {
        Ok(der) => der,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "the revocation list cannot be read; it is fetched anew");
            return None;
        }
    };
    // A long list takes a while: calls go on meanwhile.
    let list = block_in_place(|| RevocationList::verify(&der, &issuers(credential))).ok()?;
    (list.issuer_key_id == credential.facts.issuer_key_id).then_some(list)
}

impl RevocationWatch {
    /// Disables the service if the list that was kept has its certificate; to be done before anything is served, so that
    /// a revoked server issues nothing after a restart either.
    pub(crate) fn recall(&self) {
        let credential = self.renewal.subscribe().borrow().clone();
        if let Some(credential) = credential {
            self.mark(&credential, self.kept(&credential).as_ref());
        }
    }

    /// The list that was kept on the disk, if it is one of the credential's issuer. How old it is does not matter: what is
    /// on it was revoked.
    pub(super) fn kept(&self, credential: &Credential) -> Option<RevocationList> {
        kept_list(&self.file, credential)
    }

    /// A list that is newer than the known one, if there is one; checked, and on the disk.
    pub(super) async fn fetch(
        &self,
        root: &mut CertificationServiceClient<Channel>,
        credential: &Credential,
        known: Option<&RevocationList>,
    ) -> Result<Option<RevocationList>> {
        let request = GetRevocationListRequest {
            issuer_key_id: credential.facts.issuer_key_id.clone(),
            known_number: known.map_or(0, |list| list.number),
        };
        let answer = root
            .get_revocation_list(request)
            .await
            .map_err(|status| root_client::call_error(&credential.renewal_address, status))?;
        let der = answer.into_inner().revocation_list;
        if der.is_empty() {
            return Ok(None);
        }
        let issuer_key_id = &credential.facts.issuer_key_id;
        let now = unix_seconds(self.clock.now());
        let list = block_in_place(|| accept(&der, (issuer_key_id, &issuers(credential)), known, now))?;
        file::write_durably(&self.file, &der, file::PUBLIC).map_err(|error| {
            let message = format!("{}: the revocation list could not be kept: {error}", self.file.display());
            Error::new(Reason::StoreUnavailable, message)
        })?;
        Ok(Some(list))
    }

    /// Shows which list is known, and disables the service if its certificate is on it.
    pub(super) fn apply(&self, credential: &Arc<Credential>, known: Option<&RevocationList>) {
        if let Some(list) = known {
            self.metrics.set_revocation_list(list.number, from_unix_seconds(list.next_update));
        }
        self.mark(credential, known);
    }

    /// Disables the service if its certificate is on the list.
    fn mark(&self, credential: &Arc<Credential>, list: Option<&RevocationList>) {
        if let Some(revoked) = list.and_then(|list| list.find_certificate(&credential.facts))
            && credential.revoked.set(revoked).is_ok()
        {
            self.renewal.tell_again();
        }
    }

    pub(super) fn say_failed(&self, error: &Error, known: Option<&RevocationList>) {
        let overdue = known.filter(|list| list.check_dates(unix_seconds(self.clock.now()), LEEWAY).is_err());
        match overdue {
            None => {
                tracing::info!(reason = %error.reason, %error, "the revocation list could not be fetched; it is tried again")
            }
            Some(list) => tracing::warn!(
                reason = %error.reason, %error, next_update = rfc3339(from_unix_seconds(list.next_update)),
                "the revocation list could not be fetched, and the one at hand is overdue: what was revoked since is not known here"
            ),
        }
    }
}

/// Whether there is a newer list than the known one, if `newest` is the number of which the root spoke last.
pub(super) fn is_newer(newest: u64, known: Option<&RevocationList>, credential: &Credential) -> bool {
    known.is_none_or(|list| match newest {
        // The root said that it was revoked: the list follows.
        ONE_TO_COME => credential.revoked.get().is_none(),
        newest => list.number < newest,
    })
}

/// A list that a root answered with, after every check: it is of the authority with this key identifier, which is one of
/// these (DER), of today, and not older than the known one.
///
/// # Errors
/// `REVOCATION_LIST_INVALID`, with what is wrong.
fn accept(
    der: &[u8],
    (issuer_key_id, authorities): (&str, &[Vec<u8>]),
    known: Option<&RevocationList>,
    now: i64,
) -> Result<RevocationList> {
    let list = RevocationList::verify(der, authorities).map_err(|error| invalid(&error))?;
    if list.issuer_key_id != issuer_key_id {
        return Err(invalid(&RevocationListError::WrongIssuer { issuer_key_id: list.issuer_key_id }));
    }
    list.check_dates(now, LEEWAY).map_err(|error| invalid(&error))?;
    if let Some(known) = known.filter(|known| known.number > list.number) {
        let problem = format!("it has number {}, and number {} is known here", list.number, known.number);
        return Err(invalid(&problem));
    }
    Ok(list)
}

fn invalid(problem: &dyn std::fmt::Display) -> Error {
    let message =
        format!("the revocation list of the root cannot be used: {problem}; the one at hand is kept");
    Error::new(Reason::RevocationListInvalid, message)
}

/// Those who may have signed the list.
fn issuers(credential: &Credential) -> Vec<Vec<u8>> {
    credential.issuance.issuers.iter().chain(&credential.issuance.anchors).cloned().collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
    };
    use time::OffsetDateTime;
    use verifier::{Certificate, certificate::octets};

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn key_id(authority: &CertifiedIssuer<'_, KeyPair>) -> String {
        Certificate::parse(authority.der()).unwrap().key_id
    }

    fn list(authority: &CertifiedIssuer<'_, KeyPair>, number: u64, from: i64, to: i64) -> Vec<u8> {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let params = CertificateRevocationListParams {
            this_update: at(from),
            next_update: at(to),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::PreSpecified(octets(&key_id(authority)).unwrap()),
        };
        params.signed_by(authority).unwrap().der().to_vec()
    }

    #[test]
    fn a_list_from_the_future_an_overdue_an_older_and_a_foreign_one_are_refused_by_name() {
        let (own, other) = (authority(), authority());
        let authorities = [own.der().to_vec(), other.der().to_vec()];
        let own_id = key_id(&own);
        let take =
            |der: &[u8], known: Option<&RevocationList>| accept(der, (&own_id, &authorities), known, NOW);
        let good = list(&own, 7, NOW, NOW + DAY);
        let known = take(&good, None).unwrap();
        assert_eq!(take(&good, Some(&known)).unwrap(), known);
        let mut edited = good.clone();
        *edited.last_mut().unwrap() ^= 1;
        for (der, words) in [
            (list(&own, 8, NOW + 3600, NOW + DAY), "lies ahead"),
            (list(&own, 8, NOW - DAY, NOW - 3600), "should have been replaced"),
            (list(&own, 6, NOW, NOW + DAY), "number 7 is known here"),
            (list(&other, 8, NOW, NOW + DAY), "none of those that are trusted"),
            (edited, "signature"),
            (good[..100].to_vec(), "no revocation list in DER"),
        ] {
            let error = take(&der, Some(&known)).unwrap_err();
            assert_eq!(error.reason, Reason::RevocationListInvalid);
            assert!(error.message.contains(words), "{error}");
        }
    }
}
