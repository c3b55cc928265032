//! Entitlements: what a vendor says that an owner has, signed by the vendor's root.

use serde::{Deserialize, Serialize};

use crate::{
    JwsError, Trust,
    chain::Purpose,
    jws::{self, Claims},
};

/// `typ` of an entitlement.
pub const ENTITLEMENT_TYPE: &str = "entitlement+jwt";

/// Claims of an entitlement (RFC 7519); times are seconds since 1970. An entitlement has no `exp`: its dates say what is
/// possible when, and a newer version takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementClaims {
    /// SPIFFE ID of the root that signed it: stays the same when that root's key changes.
    pub iss: String,
    /// The owner: the organisation in the licensor certificates of its licensing servers.
    pub sub: String,
    /// Its identifier.
    pub jti: String,
    /// When it was signed.
    pub iat: i64,
    /// First instant of its validity.
    pub nbf: i64,
    /// What it says.
    pub entitlement: Entitlement,
}

/// What an owner has of one vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// The vendor, unique for a licensing server.
    pub vendor: String,
    /// Grows with every change: a lower one never replaces a higher one.
    pub version: u64,
    /// The owner's company, for people.
    pub company: String,
    /// The owner's serial number with this vendor.
    pub serial_number: String,
    /// IANA name of the time zone in which the owner's months begin, `Europe/Amsterdam` for example.
    pub time_zone: String,
    /// Dates that concern all of it.
    #[serde(default)]
    pub dates: Dates,
    /// What licences are issued for.
    #[serde(default)]
    pub modules: Vec<Module>,
    /// What is metered.
    #[serde(default)]
    pub services: Vec<Service>,
}

/// Dates of an entitlement, seconds since 1970; one that is absent never comes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dates {
    /// From here on licences carry a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// From here on nothing but extension and release; never before `expires`, and the same if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ends: Option<i64>,
    /// From here on the owner has no right to newer releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_ends: Option<i64>,
    /// When the licensing server asks for a newer version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<i64>,
    /// From here on administrators are warned that `expires` comes near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_warning: Option<i64>,
}

/// Whom a licence of a module is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole site: all its users share one seat.
    Site,
    /// A satellite database: all its users share one seat.
    Satellite,
    /// One user: a named one, or whoever comes first.
    #[default]
    User,
}

/// Something that licences are issued for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its name, unique within the entitlement.
    pub name: String,
    /// Its title, for people.
    #[serde(default)]
    pub title: String,
    /// Its description, for people.
    #[serde(default)]
    pub description: String,
    /// Whom a licence is for.
    #[serde(default)]
    pub kind: Kind,
    /// How many seats there are.
    pub quantity: u32,
    /// When this module expires, if before the whole: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// What may be used of it.
    #[serde(default)]
    pub features: Vec<String>,
    /// Seconds for which a licence is leased.
    pub lease: i64,
    /// What may be borrowed; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borrow: Option<Borrow>,
}

/// How licences of a module may be borrowed for use without a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borrow {
    /// For how many seconds at most.
    pub longest: i64,
    /// How many seats at once at most.
    pub seats: u32,
}

/// How the usage of a month follows from its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// Quantities are added up.
    #[default]
    Sum,
    /// The largest quantity counts.
    Maximum,
}

/// A service whose use is metered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name, unique within the entitlement.
    pub name: String,
    /// Its title, for people.
    #[serde(default)]
    pub title: String,
    /// What is counted: `e-mail`, `byte`, `login`.
    pub unit: String,
    /// How usage is aggregated over a month.
    #[serde(default)]
    pub aggregation: Aggregation,
    /// What a month includes.
    #[serde(default)]
    pub allowance: Allowance,
    /// What the surplus costs; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// What a month includes of a metered service: `base + per_user × users`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Whatever the number of users.
    #[serde(default)]
    pub base: u64,
    /// For each user.
    #[serde(default)]
    pub per_user: u64,
}

/// A price: `minor_units` for every begun `per` units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Cents, say.
    pub minor_units: u64,
    /// ISO 4217.
    pub currency: String,
    /// Units that it is for; 1 at least.
    pub per: u64,
}

impl Dates {
    /// The end of grace.
    #[must_use]
    pub fn end_of_grace(&self) -> Option<i64> {
        self.grace_ends.or(self.expires)
    }
}

impl Claims for EntitlementClaims {
    fn iss(&self) -> &str {
        &self.iss
    }

    fn iat(&self) -> i64 {
        self.iat
    }

    fn nbf(&self) -> i64 {
        self.nbf
    }

    fn exp(&self) -> Option<i64> {
        None
    }

    fn names(&self) -> Vec<&str> {
        let Entitlement { vendor, modules, services, .. } = &self.entitlement;
        let modules = modules.iter().map(|module| module.name.as_str());
        let services = services.iter().map(|service| service.name.as_str());
        [&*self.iss, &self.sub, &self.jti, vendor].into_iter().chain(modules).chain(services).collect()
    }
}

/// The claims of an entitlement without a look at who signed it: of one that was verified before, or that is shown to
/// whoever can verify it.
///
/// # Errors
/// [`JwsError::Malformed`].
pub fn read_entitlement(jws: &str) -> Result<EntitlementClaims, JwsError> {
    jws::read_claims(jws)
}

/// Verifies an entitlement at `now` (seconds since 1970), and returns its claims. Whether it is for this owner, and newer
/// than what is known, is for the caller to say.
///
/// The rules are those of [`crate::verify_license`], but for these: `typ` is `entitlement+jwt`; the certificate has the
/// purpose of signing entitlements (`NOT_AN_ENTITLEMENT_SIGNER`); besides `iss`, `sub` and `jti`, the vendor and the names
/// of modules and services are not empty; and there is no `exp` (`MALFORMED`).
///
/// # Errors
/// [`JwsError`] with the first thing that is wrong.
pub fn verify_entitlement(jws: &str, trust: Trust<'_>, now: i64) -> Result<EntitlementClaims, JwsError> {
    jws::verify(jws, ENTITLEMENT_TYPE, Purpose::Entitlement, trust, now).map(|(claims, _)| claims)
}
