//! Who signed a licence or an entitlement: what its header leads to, at the time of issue.

use std::ops::Range;

use aws_lc_rs::signature::ParsedPublicKey;

use crate::{
    Certificate, ChainError, JwsError, RevocationList,
    chain::{Candidate, Path, Purpose, verify_signer_chain},
    jws::{Header, algorithm},
};

/// A signer whose chain was verified.
#[derive(Debug)]
pub(crate) struct Signer {
    /// What its certificate says.
    pub(crate) facts: Certificate,
    /// The key; what is wrong with it, or with the algorithm that the header names. Nothing if the key is malformed.
    pub(crate) key: Result<Option<ParsedPublicKey>, JwsError>,
    /// Times at which the chain is verified with the same outcome, seconds since 1970.
    pub(crate) times: Range<i64>,
    /// The certificates of the header (DER): that of the signer, and those that it names as issuers.
    chain: Vec<Vec<u8>>,
    /// What the issuers say.
    issuers: Vec<Certificate>,
    path: Path,
    /// The anchor that the path ends at: DER, and what it says.
    anchor: (Vec<u8>, Certificate),
}

impl Signer {
    /// Verifies the certificates of a header (one at least), for the time of issue.
    pub(crate) fn verify(
        header: &Header,
        chain: Vec<Vec<u8>>,
        anchors: &[Vec<u8>],
        issued: i64,
        purpose: Purpose,
    ) -> Result<Self, JwsError> {
        let [leaf, issuers @ ..] = chain.as_slice() else {
            return Err(JwsError::Malformed("x5c is empty"));
        };
        let (candidates, mut trusted) = (Candidate::read_all(issuers), Candidate::read_all(anchors));
        let (facts, path) = verify_signer_chain(leaf, &candidates, &trusted, issued, purpose)?;
        let issuers = candidates.into_iter().map(|issuer| issuer.facts).collect::<Result<Vec<_>, _>>();
        let issuers = issuers.map_err(ChainError::from)?;
        let named = std::iter::once(&facts).chain(&issuers);
        let times =
            unchanged(named.chain(trusted.iter().filter_map(|anchor| anchor.facts.as_ref().ok())), issued);
        let anchor = trusted.swap_remove(path.anchor);
        let anchor = (anchor.der.to_vec(), anchor.facts.map_err(ChainError::from)?);
        let key = key(&facts, &header.alg);
        Ok(Self { facts, key, times, chain, issuers, path, anchor })
    }

    /// The certificate (DER).
    pub(crate) fn certificate(&self) -> &[u8] {
        self.chain.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// The certificate of the issuer on the path (DER): `x5c` could bring along another of the same name and key identifier.
    pub(crate) fn issuer(&self) -> &[u8] {
        let first = self.path.issuers.first().and_then(|place| self.chain.get(place + 1));
        first.unwrap_or(&self.anchor.0)
    }

    /// Whether it was revoked before or after the time of issue makes no difference: who has a stolen key can date
    /// back.
    pub(crate) fn check_revocation(&self, lists: &[RevocationList]) -> Result<(), JwsError> {
        if lists.is_empty() {
            return Ok(());
        }
        let named = std::iter::once(&self.facts).chain(&self.issuers);
        let named = named.map(|certificate| (certificate, certificate.issuer_key_id.as_str()));
        // A certificate need not say by which key it was issued; the path does.
        let between = self.path.issuers.iter().filter_map(|place| self.issuers.get(*place));
        let path: Vec<_> = std::iter::once(&self.facts).chain(between).chain([&self.anchor.1]).collect();
        let led = path.windows(2).filter_map(|pair| match pair {
            [certificate, issuer] => Some((*certificate, issuer.key_id.as_str())),
            _ => None,
        });
        for (certificate, issuer_key_id) in named.chain(led) {
            let found = |list: &RevocationList| list.find_issued(&certificate.serial, issuer_key_id);
            if let Some(revoked) = lists.iter().find_map(found) {
                return Err(JwsError::Revoked { serial: certificate.serial.clone(), at: revoked.at });
            }
        }
        Ok(())
    }
}

/// The key of a certificate, for what a header says that it was signed with.
fn key(facts: &Certificate, found: &str) -> Result<Option<ParsedPublicKey>, JwsError> {
    let (expected, verification) = algorithm(facts).ok_or(JwsError::KeyNotAccepted)?;
    if found != expected {
        return Err(JwsError::WrongAlgorithm { found: found.to_owned(), expected });
    }
    Ok(ParsedPublicKey::new(verification, &facts.public_key).ok())
}

/// The times around this one in which none of these certificates begins or ends to be valid.
fn unchanged<'a>(certificates: impl Iterator<Item = &'a Certificate>, time: i64) -> Range<i64> {
    let mut times = i64::MIN..i64::MAX;
    for Certificate { not_before, not_after, .. } in certificates {
        // Whether notAfter is the last instant or the first one after depends on the certificate's place.
        for change in [*not_before, *not_after, not_after.saturating_add(1)] {
            if change <= time {
                times.start = times.start.max(change);
            } else {
                times.end = times.end.min(change);
            }
        }
    }
    times
}
