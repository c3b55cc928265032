//! Licences: what they are issued for, and issuing them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use licensor::{
    clock::{SharedClock, from_unix_seconds, unix_seconds},
    error::{Error, Reason, Result},
    key::random_bytes,
};
use tokio::sync::Semaphore;
use verifier::{License, LicenseClaims, certificate::hex};

use crate::{
    config::{LicensingConfig, Module},
    credential::{Credential, enabled},
    ledger::{Ledger, LicenseRecord},
    renewal::CredentialWatch,
};

/// Issues licences while the server is enabled.
#[derive(Debug)]
pub(crate) struct Licensing {
    clock: SharedClock,
    ledger: Arc<Ledger>,
    credential: CredentialWatch,
    config: LicensingConfig,
    places: Semaphore,
}

/// A licence that was issued.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Compact JWS.
    pub(crate) license: String,
    pub(crate) id: String,
    pub(crate) expires_at: SystemTime,
}

impl Licensing {
    /// Issues licences for the modules of `config`, at most `signing` at once.
    pub(crate) fn new(
        config: LicensingConfig,
        signing: usize,
        clock: SharedClock,
        ledger: Arc<Ledger>,
        credential: CredentialWatch,
    ) -> Self {
        let mut config = config;
        config.modules.sort_by(|a, b| (&a.vendor, &a.name).cmp(&(&b.vendor, &b.name)));
        Self { clock, ledger, credential, config, places: Semaphore::new(signing) }
    }

    /// The credential, if licences can be issued with it now.
    ///
    /// # Errors
    /// `NOT_ENROLLED`, `CERTIFICATE_REVOKED`, `LICENSOR_CERTIFICATE_EXPIRED` or `LICENSOR_CERTIFICATE_NOT_YET_VALID`.
    pub(crate) fn enabled(&self) -> Result<Arc<Credential>> {
        let credential = self.credential.borrow();
        enabled(credential.as_ref(), self.clock.now()).cloned()
    }

    /// The modules, by vendor and name.
    pub(crate) fn modules(&self) -> &[Module] {
        &self.config.modules
    }

    /// Issues a licence: signed in memory, recorded durably, then handed out.
    pub(crate) async fn acquire(&self, vendor: &str, module: &str, subject: &str) -> Result<Issued> {
        let _place = self.places.try_acquire().map_err(|_| {
            let wait = Duration::from_millis(rand::random_range(200..1_000));
            Error::new(Reason::Overloaded, "too many licences are being issued at once (`limits.signing`)")
                .retry_after(wait)
        })?;
        // One reading of the clock: what is signed was allowed at that very instant.
        let now = self.clock.now();
        let credential = enabled(self.credential.borrow().as_ref(), now).cloned()?;
        let module =
            self.config.modules.iter().find(|m| m.vendor == vendor && m.name == module).ok_or_else(|| {
                let message =
                    format!("no licences are issued for {module} of {vendor} here: see ListModules");
                Error::new(Reason::ModuleUnknown, message).with("vendor", vendor).with("module", module)
            })?;
        if subject.is_empty() || subject.chars().count() > 256 || subject.chars().any(char::is_control) {
            let message = "subject must have 1 to 256 characters, none of them a control character";
            return Err(Error::new(Reason::InvalidArgument, message));
        }
        let id = hex(&random_bytes::<16>().map_err(|error| Error::internal("licence", error))?);
        let claims = self.claims(&credential, module, subject, &id, unix_seconds(now));
        let license = sign(&credential, &claims)?;
        self.ledger
            .add_license(&LicenseRecord {
                id: id.clone(),
                vendor: module.vendor.clone(),
                module: module.name.clone(),
                subject: subject.to_owned(),
                issued_at: claims.iat,
                expires_at: claims.exp,
            })
            .await?;
        Ok(Issued { license, id, expires_at: from_unix_seconds(claims.exp) })
    }

    fn claims(
        &self,
        credential: &Credential,
        module: &Module,
        subject: &str,
        id: &str,
        now: i64,
    ) -> LicenseClaims {
        let lease = i64::try_from(module.lease.0.as_secs()).unwrap_or(i64::MAX);
        // No licence outlives the certificate that it was signed with.
        let exp = now.saturating_add(lease).min(credential.facts.not_after);
        LicenseClaims {
            iss: credential.spiffe_id.clone(),
            sub: subject.to_owned(),
            jti: id.to_owned(),
            iat: now,
            nbf: now,
            exp,
            license: License {
                vendor: module.vendor.clone(),
                module: module.name.clone(),
                owner: credential.facts.organization.clone(),
                serial_number: self.config.serial_number.clone(),
                lease: exp - now,
                seats: 1,
                features: module.features.clone(),
            },
        }
    }
}

/// Compact serialisation (RFC 7515 §7.1).
fn sign(credential: &Credential, claims: &LicenseClaims) -> Result<String> {
    let payload = serde_json::to_vec(claims).map_err(|error| Error::internal("claims", error))?;
    let mut license = format!("{}.{}", credential.jose_header, BASE64_URL_SAFE_NO_PAD.encode(payload));
    let signature = credential.issuance.keys.licensor.sign_token(license.as_bytes());
    let signature = signature.map_err(|error| Error::internal("signing", error))?;
    license.push('.');
    license.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature));
    Ok(license)
}
