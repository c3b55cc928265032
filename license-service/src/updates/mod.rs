//! Newer entitlements: fetched from the root or carried here, checked, and kept until they come into force.

mod automatic;
mod watch;

use std::{path::PathBuf, sync::Arc};

use licensor::{
    clock::{SharedClock, unix_seconds},
    error::{Error, Reason, Result},
    root_client,
    tls::{Single, client_config},
};
use proto::certification::v1::GetEntitlementRequest;
use verifier::{Entitlement, EntitlementClaims};

use crate::{
    credential::{Credential, enabled},
    entitlement::{Change, Installed, Signers, changes, check},
    ledger::Ledger,
    licensing::{Licensing, Superfluous},
    renewal::{CredentialWatch, kept_list},
};

pub(crate) use automatic::Automatic;
pub(crate) use watch::TimeWatch;

/// Octets of an answer of the root at most.
const LARGEST: usize = 16 << 20;

/// Takes entitlements in.
#[derive(Debug)]
pub(crate) struct Updates {
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) licensing: Arc<Licensing>,
    pub(crate) credential: CredentialWatch,
    /// Trust anchors (DER) of vendors beside that of the root.
    pub(crate) anchors: Vec<Vec<u8>>,
    /// Where the revocation list of the credential's issuer is kept (DER).
    pub(crate) revocation_list: PathBuf,
}

/// What an entitlement that is not in force yet would change.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) vendor: String,
    /// 0 if there is none.
    pub(crate) installed_version: u64,
    pub(crate) version: u64,
    pub(crate) changes: Vec<Change>,
    pub(crate) superfluous: Vec<Superfluous>,
    /// Of the owner's months and days: an IANA name.
    pub(crate) time_zone: String,
}

impl Updates {
    /// Asks the root, and keeps what is newer; what could come into force then.
    pub(crate) async fn check(&self) -> Result<Vec<Preview>> {
        let credential = self.credential()?;
        let mut refused = None;
        for jws in self.fetch(&credential).await? {
            if let Err(error) = self.keep(&jws, &credential).await {
                tracing::warn!(reason = %error.reason, %error, "an entitlement of the root is refused");
                refused = Some(error);
            }
        }
        let previews = self.previews().await?;
        // Of several vendors one may be refused; the others are shown.
        match refused {
            Some(error) if previews.is_empty() => Err(error),
            _ => Ok(previews),
        }
    }

    /// Keeps an entitlement that was carried here; what it would change.
    pub(crate) async fn import(&self, jws: &str) -> Result<Preview> {
        let credential = self.credential()?;
        let claims = self.keep(jws.trim(), &credential).await?;
        self.preview(&claims.entitlement).await
    }

    /// Puts what was kept into force: that of `vendor`, or of the only one if `vendor` is empty; and only `version`, if one is
    /// named.
    pub(crate) async fn activate(
        &self,
        vendor: &str,
        version: Option<u64>,
        remove: bool,
        by: &str,
    ) -> Result<(Arc<Installed>, Vec<Superfluous>)> {
        let credential = self.credential()?;
        let mut candidates = self.candidates(&credential).await?;
        candidates.retain(|(claims, _)| {
            let new = &claims.entitlement;
            (vendor.is_empty() || new.vendor == vendor)
                && version.is_none_or(|version| new.version == version)
        });
        match (candidates.pop(), candidates.is_empty()) {
            (Some((claims, jws)), true) => self.licensing.activate(claims, jws, remove, by).await,
            (Some(_), false) => {
                let message = "more than one vendor has a newer entitlement: name the vendor";
                Err(Error::new(Reason::InvalidArgument, message))
            }
            (None, _) => {
                let of = if vendor.is_empty() { String::new() } else { format!(" of {vendor}") };
                let message = format!(
                    "there is no newer entitlement{of}: ask the root (`license-service entitlement check`), or load one from a file (`license-service entitlement import FILE`)"
                );
                Err(Error::new(Reason::EntitlementUnknown, message).with("vendor", vendor))
            }
        }
    }

    /// Of how many vendors a newer entitlement was kept.
    pub(crate) async fn waiting(&self) -> Result<usize> {
        let installed = self.licensing.entitlements().borrow().clone();
        let kept = self.ledger.candidate_versions().await?;
        let newer = kept.iter().filter(|record| {
            let known = installed.iter().find(|known| known.vendor() == record.vendor);
            known.is_none_or(|known| known.claims.entitlement.version < record.version)
        });
        Ok(newer.count())
    }

    /// What could come into force.
    pub(crate) async fn previews(&self) -> Result<Vec<Preview>> {
        let credential = self.credential()?;
        let mut previews = Vec::new();
        for (claims, _) in self.candidates(&credential).await? {
            previews.push(self.preview(&claims.entitlement).await?);
        }
        Ok(previews)
    }

    /// Entitlements that were kept and still are newer than what is in force.
    async fn candidates(&self, credential: &Credential) -> Result<Vec<(EntitlementClaims, String)>> {
        let mut candidates = Vec::new();
        for (_, jws) in self.ledger.candidate_entitlements().await? {
            match self.checked(&jws, credential) {
                Ok(claims) if self.is_newer(&claims) => candidates.push((claims, jws)),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(reason = %error.reason, %error, "an entitlement that was kept is refused");
                }
            }
        }
        Ok(candidates)
    }

    async fn keep(&self, jws: &str, credential: &Credential) -> Result<EntitlementClaims> {
        let claims = self.checked(jws, credential)?;
        if self.is_newer(&claims) {
            let Entitlement { vendor, version, .. } = &claims.entitlement;
            self.ledger.keep_candidate(vendor, *version, jws).await?;
        }
        Ok(claims)
    }

    fn checked(&self, jws: &str, credential: &Credential) -> Result<EntitlementClaims> {
        let installed = self.licensing.entitlements().borrow().clone();
        let of_vendor =
            |vendor: &str| installed.iter().find(|known| known.vendor() == vendor).map(|known| &**known);
        let lists: Vec<_> = kept_list(&self.revocation_list, credential).into_iter().collect();
        let signers = Signers { anchors: &self.anchors, revocation_lists: &lists };
        check(jws, credential, signers, of_vendor, unix_seconds(self.clock.now()))
    }

    fn is_newer(&self, claims: &EntitlementClaims) -> bool {
        let installed = self.licensing.entitlements().borrow().clone();
        let known = installed.iter().find(|known| known.vendor() == claims.entitlement.vendor);
        known.is_none_or(|known| {
            known.claims.entitlement.version < claims.entitlement.version || known.claims.sub != claims.sub
        })
    }

    async fn preview(&self, new: &Entitlement) -> Result<Preview> {
        let installed = self.licensing.entitlements().borrow().clone();
        let former = installed.iter().find(|known| known.vendor() == new.vendor);
        let former = former.map(|known| &known.claims.entitlement);
        Ok(Preview {
            vendor: new.vendor.clone(),
            installed_version: former.map_or(0, |former| former.version),
            version: new.version,
            changes: changes(former, new),
            superfluous: self.licensing.superfluous(new).await?,
            time_zone: new.time_zone.clone(),
        })
    }

    /// The credential, whose owner says whose entitlements are taken; also while nothing is issued.
    fn credential(&self) -> Result<Arc<Credential>> {
        let credential = self.credential.borrow().clone();
        match credential {
            Some(credential) => Ok(credential),
            None => enabled(None, self.clock.now()).cloned(),
        }
    }

    /// The entitlements that the root has for this server's owner.
    async fn fetch(&self, credential: &Credential) -> Result<Vec<String>> {
        let address = &credential.renewal_address;
        let own = Arc::new(Single(credential.client.clone()));
        let tls = client_config(&credential.issuance.anchors, Some(own), self.clock.clone())
            .map_err(|error| Error::internal("TLS", error))?;
        let root = root_client::connect(address, tls, &self.clock).await?;
        let mut root = root.max_decoding_message_size(LARGEST);
        let answer = root.get_entitlement(GetEntitlementRequest {}).await;
        let answer = answer.map_err(|status| root_client::call_error(address, status))?.into_inner();
        Ok(answer.entitlements.into_iter().map(|signed| signed.entitlement).collect())
    }
}
