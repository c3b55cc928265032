//! Whether an entitlement can be taken: signed by somebody who is trusted, for this owner, and not outdated.

use licensor::error::{Error, Reason, Result};
use verifier::{EntitlementClaims, JwsError, RevocationList, Trust, verify_entitlement};

use super::Installed;
use crate::credential::Credential;

/// Seconds by which the clocks of this machine and of a root may differ.
const LEEWAY: i64 = 120;
/// Octets of an entitlement at most.
const LARGEST: usize = 2 << 20;

/// Who may sign entitlements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signers<'a> {
    /// Trust anchors (DER) beside those of the credential.
    pub(crate) anchors: &'a [Vec<u8>],
    /// What is known to be revoked.
    pub(crate) revocation_lists: &'a [RevocationList],
}

/// Checks an entitlement for the owner of `credential` at `now` (seconds since 1970). `installed` is that of the same vendor
/// in force, if any.
///
/// # Errors
/// `ENTITLEMENT_INVALID`, `ENTITLEMENT_SIGNER_UNTRUSTED`, `ENTITLEMENT_OF_ANOTHER_OWNER`, `VENDOR_TAKEN` or
/// `ENTITLEMENT_OUTDATED`.
pub(crate) fn check<'a>(
    jws: &str,
    credential: &Credential,
    signers: Signers<'_>,
    installed: impl Fn(&str) -> Option<&'a Installed>,
    now: i64,
) -> Result<EntitlementClaims> {
    if jws.len() > LARGEST {
        return Err(Error::new(Reason::EntitlementInvalid, "the entitlement is longer than 2 MiB"));
    }
    let anchors = [&credential.issuance.anchors, signers.anchors].concat();
    let trust = Trust {
        anchors: &anchors,
        revocation_lists: signers.revocation_lists,
        leeway: LEEWAY,
        ..Trust::default()
    };
    let claims = verify_entitlement(jws, trust, now).map_err(|error| refused(&error))?;
    let entitlement = &claims.entitlement;
    let owner = &credential.facts.organization;
    if claims.sub != *owner {
        let message = format!(
            "the entitlement is for {}, and this licensing server belongs to {owner}: ask the vendor for one for {owner}",
            claims.sub
        );
        return Err(Error::new(Reason::EntitlementOfAnotherOwner, message)
            .with("owner", owner)
            .with("entitled_owner", &claims.sub));
    }
    check_content(&claims)?;
    let Some(former) = installed(&entitlement.vendor) else { return Ok(claims) };
    if former.claims.iss != claims.iss {
        let message = format!(
            "{} has signed entitlements of {} here, and this one is signed by {}: two vendors cannot have one name",
            former.claims.iss, entitlement.vendor, claims.iss
        );
        return Err(Error::new(Reason::VendorTaken, message)
            .with("vendor", &entitlement.vendor)
            .with("issuer", &former.claims.iss));
    }
    // Each owner's versions are counted of their own.
    if former.claims.sub != claims.sub {
        return Ok(claims);
    }
    let known = former.claims.entitlement.version;
    let rewritten = entitlement.version == known && former.claims.entitlement != *entitlement;
    if entitlement.version < known || rewritten {
        let message = format!(
            "version {} of the entitlement of {} is in force, and this is version {}: ask the vendor for a newer one",
            known, entitlement.vendor, entitlement.version
        );
        return Err(Error::new(Reason::EntitlementOutdated, message)
            .with("version", entitlement.version.to_string())
            .with("installed_version", known.to_string()));
    }
    Ok(claims)
}

/// Whoever signed it: what it says must be possible.
fn check_content(claims: &EntitlementClaims) -> Result<()> {
    let entitlement = &claims.entitlement;
    let invalid = |what: String| Err(Error::new(Reason::EntitlementInvalid, what));
    let name = |name: &str| !name.is_empty() && name.len() <= 400 && !name.chars().any(char::is_control);
    if !name(&entitlement.vendor) {
        return invalid("the entitlement names no vendor, or not with a name".into());
    }
    for (at, module) in entitlement.modules.iter().enumerate() {
        if !name(&module.name) || entitlement.modules[..at].iter().any(|other| other.name == module.name) {
            return invalid(format!("module {} of the entitlement has no name of its own", at + 1));
        }
        if module.lease < 1 || module.borrow.as_ref().is_some_and(|borrow| borrow.longest < 1) {
            return invalid(format!("a lease of {} lasts no time", module.name));
        }
    }
    for (at, service) in entitlement.services.iter().enumerate() {
        if !name(&service.name) || entitlement.services[..at].iter().any(|other| other.name == service.name) {
            return invalid(format!("service {} of the entitlement has no name of its own", at + 1));
        }
    }
    Ok(())
}

fn refused(error: &JwsError) -> Error {
    let reason = match error {
        JwsError::Chain(_) | JwsError::Revoked { .. } => Reason::EntitlementSignerUntrusted,
        _ => Reason::EntitlementInvalid,
    };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let next = match error {
        JwsError::Revoked { .. } => "ask the vendor for one that was signed under another certificate",
        JwsError::Chain(_) => {
            "if its vendor is to be trusted here, add the vendor's trust anchor (`entitlements.trust_anchors`)"
        }
        _ => "ask the vendor for it again",
    };
    Error::new(reason, format!("the entitlement is refused: {error}{cause}; {next}"))
}
