//! Entitlements: signed with a key that exists only for that moment, because those of the authority certify and nothing
//! else; and handed out to the licensing servers of their owner.

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    jws,
    key::{KeyAlgorithm, PrivateKey, random_bytes, sha256},
    store::StoreError,
};
use verifier::{EntitlementClaims, certificate::hex, entitlement::ENTITLEMENT_TYPE};

use super::{ATTEMPTS, Authority, Caller, Generation};
use crate::{
    entitlement::{LAST_VERSION, Stated},
    ledger::{EntitlementRecord, Signed, Versioned},
};

/// What became of a document.
#[derive(Debug)]
pub(crate) struct Put {
    /// The newest entitlement of its owner and vendor.
    pub(crate) record: EntitlementRecord,
    /// Its compact JWS.
    pub(crate) jws: String,
    /// The document that it was made from.
    pub(crate) document: String,
    /// Whether the document said nothing new, and nothing was signed.
    pub(crate) unchanged: bool,
}

/// A JWS, and the certificate that it was signed with.
struct SignedClaims {
    jws: String,
    serial: String,
    /// SHA-256 of the certificate (DER).
    certificate: [u8; 32],
}

impl Authority {
    /// Signs what a document states, unless the newest entitlement of its owner and vendor says the same.
    ///
    /// # Errors
    /// `ENTITLEMENT_OUTDATED`; those of [`Authority::check_enabled`].
    pub(crate) async fn put_entitlement(&self, stated: &Stated, document: &str, by: &str) -> Result<Put> {
        let issuer = self.check_enabled()?;
        let (owner, vendor) = (&stated.owner, &stated.entitlement.vendor);
        let content = serde_json::to_vec(&stated.entitlement).map_err(|error| failed(&error))?;
        let content = sha256(&content).to_vec();
        // Whoever knows the trust anchor of now alone must be able to verify it: under another one it is signed anew.
        let anchor = sha256(issuer.trust_anchor()).to_vec();
        for _ in 0..ATTEMPTS {
            let former = self.ledger.entitlement(owner, vendor).await?;
            if let Some(former) = &former
                && former.record.content == content
                && former.record.anchor == anchor
            {
                let record = former.record.clone();
                let jws = self.ledger.entitlement_text(&record.jws).await?;
                let document = self.ledger.entitlement_text(&record.document).await?;
                return Ok(Put { record, jws, document, unchanged: true });
            }
            let version = next_version(stated, former.as_ref())?;
            let signed = self.sign_entitlement(&issuer, stated, version)?;
            let record = EntitlementRecord {
                owner: owner.clone(),
                vendor: vendor.clone(),
                version,
                put_at: unix_seconds(self.clock.now()),
                put_by: by.to_owned(),
                content: content.clone(),
                anchor: anchor.clone(),
                ..EntitlementRecord::default()
            };
            let event = Event::new(EventKind::EntitlementPut)
                .about(&signed.serial, "")
                .by(by)
                .argument("owner", owner)
                .argument("vendor", vendor)
                .argument("version", version.to_string())
                .of_certificate(signed.certificate);
            let put = Signed { record, jws: &signed.jws, document, event };
            match self.ledger.put_entitlement(former.as_ref(), put).await {
                Err(StoreError::Conflict { .. }) => {}
                result => {
                    let (record, document) = (result?, document.to_owned());
                    return Ok(Put { record, jws: signed.jws, document, unchanged: false });
                }
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// The newest entitlement of each vendor for the owner of the caller, with their JWS, by vendor.
    ///
    /// # Errors
    /// As for [`Authority::check_in_force`]; `INVALID_ARGUMENT` for a root.
    pub(crate) async fn entitlements_for(&self, caller: &Caller) -> Result<Vec<(EntitlementRecord, String)>> {
        self.check_in_force(caller)?;
        let node = &caller.node.record;
        if node.root {
            let message = format!("{} is a root, and entitlements are for licensing servers", node.name);
            return Err(Error::new(Reason::InvalidArgument, message).with("node", &node.name));
        }
        let mut entitlements = Vec::new();
        for record in self.ledger.entitlements_of(&node.owner).await? {
            let jws = self.ledger.entitlement_text(&record.jws).await?;
            entitlements.push((record, jws));
        }
        Ok(entitlements)
    }

    fn sign_entitlement(&self, issuer: &Generation, stated: &Stated, version: u64) -> Result<SignedClaims> {
        let now = self.clock.now();
        let log = self.log_name();
        let key = PrivateKey::generate(KeyAlgorithm::P256).map_err(|error| failed(&error))?;
        let organization = &issuer.facts.organization;
        let params = self.profile.entitlement_signer(organization, &log, issuer.issuer_facts(), now)?;
        let certificate = params.signed_by(&key, &issuer.issuer).map_err(|error| failed(&error))?;
        let serial = params.serial_number.as_ref().map(|serial| hex(serial.as_ref()));
        let chain =
            std::iter::once(certificate.der().as_ref()).chain(issuer.issuers.iter().map(Vec::as_slice));
        let header = jws::header(&key, ENTITLEMENT_TYPE, chain)?;
        let id: [u8; 16] = random_bytes().map_err(|error| failed(&error))?;
        let mut entitlement = stated.entitlement.clone();
        entitlement.version = version;
        let claims = EntitlementClaims {
            iss: self.profile.entitlements_id(&log),
            sub: stated.owner.clone(),
            jti: hex(&id),
            iat: unix_seconds(now),
            nbf: unix_seconds(now),
            entitlement,
        };
        let jws = jws::sign(&key, &header, &claims)?;
        let certificate = sha256(certificate.der());
        Ok(SignedClaims { jws, serial: serial.unwrap_or_default(), certificate })
    }
}

/// The version that is stated, or that which follows.
fn next_version(stated: &Stated, former: Option<&Versioned<EntitlementRecord>>) -> Result<u64> {
    let Some(former) = former.map(|former| former.record.version) else {
        return Ok(stated.version.unwrap_or(1));
    };
    let version = stated.version.unwrap_or(former.saturating_add(1));
    if version > former && version <= LAST_VERSION {
        return Ok(version);
    }
    let (owner, vendor) = (&stated.owner, &stated.entitlement.vendor);
    let message = format!(
        "version {former} of the entitlement of {owner} for {vendor} is there already, and {version} cannot follow: state a higher version, or none"
    );
    Err(Error::new(Reason::EntitlementOutdated, message).with("version", former.to_string()))
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::internal("entitlement", error)
}
