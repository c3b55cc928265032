//! Whom the vectors are about.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};

use crate::{
    certificates::{Holder, authority, entitlement_signer, licensor},
    collection::{Adding, Collection, Kind},
    token::{header, sign},
};

/// The instant at which vectors are verified that do not say another one.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const LEEWAY: i64 = 60;

pub(crate) const BERLIN: &str = "spiffe://licensor.test/licensing-server/berlin-1";
pub(crate) const PARIS: &str = "spiffe://licensor.test/licensing-server/paris-1";
pub(crate) const VENDOR: &str = "spiffe://licensor.test/root/vendor";

pub(crate) const LICENSE: &str = "license+jwt";
pub(crate) const ENTITLEMENT: &str = "entitlement+jwt";

/// A trust anchor, a root below it, and licensors of both; beside them a stranger with an anchor of the same name.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) anchor: Holder,
    pub(crate) root: Holder,
    pub(crate) stranger: Holder,
    /// Licensor of the anchor, P-256.
    pub(crate) berlin: Holder,
    pub(crate) berlin_p384: Holder,
    pub(crate) berlin_ed25519: Holder,
    /// Licensor of the root.
    pub(crate) below: Holder,
    /// Another licensor of the anchor.
    pub(crate) paris: Holder,
    /// Signer of entitlements.
    pub(crate) vendor: Holder,
}

impl World {
    pub(crate) fn new() -> Self {
        let anchor = authority("Licensor Anchor", 1, None, |_| {});
        let root = authority("Licensor Root", 0, Some(&anchor), |_| {});
        Self {
            stranger: authority("Licensor Anchor", 1, None, |_| {}),
            berlin: licensor(BERLIN, &PKCS_ECDSA_P256_SHA256, &anchor, |_| {}),
            berlin_p384: licensor(BERLIN, &PKCS_ECDSA_P384_SHA384, &anchor, |_| {}),
            berlin_ed25519: licensor(BERLIN, &PKCS_ED25519, &anchor, |_| {}),
            below: licensor(BERLIN, &PKCS_ECDSA_P256_SHA256, &root, |_| {}),
            paris: licensor(PARIS, &PKCS_ECDSA_P256_SHA256, &anchor, |_| {}),
            vendor: entitlement_signer(VENDOR, &anchor, |_| {}),
            anchor,
            root,
        }
    }

    /// The header of Berlin's licences.
    pub(crate) fn header(&self) -> Value {
        header(LICENSE, &self.berlin, &[])
    }

    /// The vendor's header.
    pub(crate) fn vendor_header(&self) -> Value {
        header(ENTITLEMENT, &self.vendor, &[])
    }
}

/// Claims of a licence that was issued a minute ago for an hour.
pub(crate) fn claims() -> Value {
    json!({
        "iss": BERLIN, "sub": "anna", "jti": "0198c1a2", "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 3540,
        "license": {
            "vendor": "Example", "module": "crm", "owner": "Example GmbH", "serial_number": "EX-1",
            "lease": 3600, "seats": 1, "features": ["mail"],
        },
    })
}

/// Claims of an entitlement with everything that there may be in one.
pub(crate) fn entitlement() -> Value {
    json!({
        "iss": VENDOR, "sub": "Example GmbH", "jti": "0198c1a3", "iat": NOW - 60, "nbf": NOW - 60,
        "entitlement": {
            "vendor": "Example", "version": 3, "company": "Example GmbH", "serial_number": "EX-1",
            "time_zone": "Europe/Berlin",
            "dates": {
                "expires": NOW + 300 * DAY, "grace_ends": NOW + 330 * DAY, "maintenance_ends": NOW + 200 * DAY,
                "next_check": NOW + 30 * DAY, "first_warning": NOW + 270 * DAY,
            },
            "modules": [{
                "name": "crm", "title": "Customers", "description": "Customers and offers", "kind": "user",
                "quantity": 25, "expires": NOW + 250 * DAY, "features": ["mail"], "lease": 3600,
                "borrow": { "longest": 604_800, "seats": 5 },
            }],
            "services": [{
                "name": "mail", "title": "E-mail", "unit": "e-mail", "aggregation": "sum",
                "allowance": { "base": 1000, "per_user": 100 },
                "price": { "minor_units": 5, "currency": "EUR", "per": 10 },
            }],
        },
    })
}

/// Adds licences and entitlements.
pub(crate) struct Adder<'a> {
    pub(crate) world: &'a World,
    pub(crate) collection: &'a mut Collection,
}

impl Adder<'_> {
    pub(crate) fn license(&mut self, name: &str, expected: &str, what: &str, jws: String) -> Adding<'_> {
        let anchor = self.world.anchor.der.as_slice();
        self.collection.add(Kind::License, name, expected, what, jws).trusting(&[("anchor", anchor)])
    }

    pub(crate) fn entitlement(&mut self, name: &str, expected: &str, what: &str, jws: String) -> Adding<'_> {
        let anchor = self.world.anchor.der.as_slice();
        self.collection.add(Kind::Entitlement, name, expected, what, jws).trusting(&[("anchor", anchor)])
    }

    /// A licence whose signer has this certificate, and these issuers.
    pub(crate) fn signed_by(
        &mut self,
        name: &str,
        expected: &str,
        what: &str,
        signer: &Holder,
        issuers: &[&Holder],
    ) -> Adding<'_> {
        let jws = sign(&header(LICENSE, signer, issuers), &claims(), signer);
        self.license(name, expected, what, jws)
    }

    /// A licence of Berlin with this header.
    pub(crate) fn headed(&mut self, name: &str, expected: &str, what: &str, header: &Value) -> Adding<'_> {
        let jws = sign(header, &claims(), &self.world.berlin);
        self.license(name, expected, what, jws)
    }

    /// A licence of Berlin with these claims.
    pub(crate) fn claimed(&mut self, name: &str, expected: &str, what: &str, claims: &Value) -> Adding<'_> {
        let jws = sign(&self.world.header(), claims, &self.world.berlin);
        self.license(name, expected, what, jws)
    }

    /// An entitlement of the vendor with these claims.
    pub(crate) fn entitled(&mut self, name: &str, expected: &str, what: &str, claims: &Value) -> Adding<'_> {
        let jws = sign(&self.world.vendor_header(), claims, &self.world.vendor);
        self.entitlement(name, expected, what, jws)
    }
}
