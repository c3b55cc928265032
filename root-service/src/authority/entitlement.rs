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
use verifier::{
    Entitlement, EntitlementClaims, certificate::hex, entitlement::ENTITLEMENT_TYPE, read_entitlement,
};

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

/// An entitlement that is to be signed.
struct Draft<'a> {
    /// What is known of it before that.
    record: EntitlementRecord,
    stated: &'a Stated,
    document: &'a str,
    by: &'a str,
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
        for _ in 0..ATTEMPTS {
            let former = self.ledger.entitlement(owner, vendor).await?;
            let same = former.as_ref().map(|former| &former.record).filter(|same| same.content == content);
            if let Some(same) = same
                && is_signed_under(same, &issuer)
            {
                let record = same.clone();
                let jws = self.ledger.entitlement_text(&record.jws).await?;
                let document = self.ledger.entitlement_text(&record.document).await?;
                return Ok(Put { record, jws, document, unchanged: true });
            }
            let record = EntitlementRecord {
                owner: owner.clone(),
                vendor: vendor.clone(),
                // Whoever has what says the same needs nothing newer.
                version: same
                    .map_or_else(|| next_version(stated, former.as_ref()), |same| Ok(same.version))?,
                put_at: unix_seconds(self.clock.now()),
                put_by: by.to_owned(),
                content: content.clone(),
                ..EntitlementRecord::default()
            };
            let draft = Draft { record, stated, document, by };
            if let Some((record, jws)) = self.sign_and_keep(&issuer, former.as_ref(), draft).await? {
                return Ok(Put { record, jws, document: document.to_owned(), unchanged: false });
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
            entitlements.push(self.signed_entitlement(record).await?);
        }
        Ok(entitlements)
    }

    /// A newest entitlement with its JWS. It is signed anew, and stays the version that it is, if the authority has another
    /// certificate by now: those who are enrolled since then may know no other way to an anchor.
    pub(crate) async fn signed_entitlement(
        &self,
        record: EntitlementRecord,
    ) -> Result<(EntitlementRecord, String)> {
        if let Ok(issuer) = self.check_enabled()
            && !is_signed_under(&record, &issuer)
        {
            match self.sign_anew(&issuer, &record).await {
                Ok(signed) => return Ok(signed),
                // It is good for everyone who was enrolled before.
                Err(error) => tracing::warn!(
                    reason = %error.reason, %error, owner = record.owner, vendor = record.vendor,
                    "an entitlement could not be signed anew, and is handed out as it is"
                ),
            }
        }
        let jws = self.ledger.entitlement_text(&record.jws).await?;
        Ok((record, jws))
    }

    async fn sign_anew(
        &self,
        issuer: &Generation,
        record: &EntitlementRecord,
    ) -> Result<(EntitlementRecord, String)> {
        for _ in 0..ATTEMPTS {
            let Some(former) = self.ledger.entitlement(&record.owner, &record.vendor).await? else { break };
            let jws = self.ledger.entitlement_text(&former.record.jws).await?;
            if is_signed_under(&former.record, issuer) {
                return Ok((former.record, jws));
            }
            // What was signed, whatever documents may state by now.
            let claims = read_entitlement(&jws).map_err(|error| failed(&error))?;
            let entitlement = Entitlement { version: 0, ..claims.entitlement };
            let stated = Stated { owner: claims.sub, version: None, entitlement };
            let document = self.ledger.entitlement_text(&former.record.document).await?;
            let record = former.record.clone();
            let draft = Draft { record, stated: &stated, document: &document, by: "service" };
            if let Some(signed) = self.sign_and_keep(issuer, Some(&former), draft).await? {
                return Ok(signed);
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// Signs an entitlement, and keeps it as the newest in the place of `former`; `None` if another one came first.
    async fn sign_and_keep(
        &self,
        issuer: &Generation,
        former: Option<&Versioned<EntitlementRecord>>,
        draft: Draft<'_>,
    ) -> Result<Option<(EntitlementRecord, String)>> {
        let Draft { mut record, stated, document, by } = draft;
        let signed = self.sign_entitlement(issuer, stated, record.version)?;
        record.signed_under = signed_under(issuer);
        let event = Event::new(EventKind::EntitlementPut)
            .about(&signed.serial, "")
            .by(by)
            .argument("owner", &record.owner)
            .argument("vendor", &record.vendor)
            .argument("version", record.version.to_string())
            .of_certificate(signed.certificate);
        match self.ledger.put_entitlement(former, Signed { record, jws: &signed.jws, document, event }).await
        {
            Err(StoreError::Conflict { .. }) => Ok(None),
            result => Ok(Some((result?, signed.jws))),
        }
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

/// SHA-256 of what leads from the signers of entitlements to an anchor.
fn signed_under(issuer: &Generation) -> Vec<u8> {
    sha256(&[&issuer.certificate, issuer.trust_anchor()].concat()).to_vec()
}

fn is_signed_under(record: &EntitlementRecord, issuer: &Generation) -> bool {
    record.signed_under == signed_under(issuer)
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
