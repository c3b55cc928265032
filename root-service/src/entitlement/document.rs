//! The document as it is written, and the rules that concern more than one of its fields.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use serde::Deserialize;
use verifier::{
    Entitlement,
    entitlement::{Aggregation, Allowance, Borrow, Dates, Kind, Module, Price, Service},
};

use super::{
    Stated, Wrong,
    fields::{
        Base, Company, Currency, Date, Description, Expires, Feature, FirstWarning, GraceEnds, ItemName,
        Lease, Longest, MaintenanceEnds, MinorUnits, NextCheck, Owner, Per, PerUser, Quantity, Seats,
        SerialNumber, Title, Unit, Vendor, Version, Zone,
    },
    place::{Path, Step},
};

/// Modules of an entitlement at most.
const MODULES: usize = 1000;
/// Services of an entitlement at most.
const SERVICES: usize = 200;
/// Seconds for which a licence is leased unless the document says otherwise.
const LEASE: i64 = 3600;

/// The whole document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with the entitlement")]
pub(super) struct Document {
    owner: Owner,
    vendor: Vendor,
    company: Option<Company>,
    serial_number: SerialNumber,
    time_zone: Option<Zone>,
    version: Option<Version>,
    #[serde(default)]
    dates: WrittenDates,
    #[serde(default)]
    modules: Vec<WrittenModule>,
    #[serde(default)]
    services: Vec<WrittenService>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of dates")]
struct WrittenDates {
    expires: Option<Expires>,
    grace_ends: Option<GraceEnds>,
    maintenance_ends: Option<MaintenanceEnds>,
    next_check: Option<NextCheck>,
    first_warning: Option<FirstWarning>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "the table of a module")]
struct WrittenModule {
    name: ItemName,
    title: Option<Title>,
    description: Option<Description>,
    #[serde(default)]
    kind: Kind,
    quantity: Quantity,
    expires: Option<Expires>,
    #[serde(default)]
    features: Vec<Feature>,
    lease: Option<Lease>,
    borrow: Option<WrittenBorrow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `longest` and `seats`")]
struct WrittenBorrow {
    longest: Longest,
    seats: Seats,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "the table of a service")]
struct WrittenService {
    name: ItemName,
    title: Option<Title>,
    unit: Unit,
    #[serde(default)]
    aggregation: Aggregation,
    #[serde(default)]
    allowance: WrittenAllowance,
    price: Option<WrittenPrice>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `base` and `per_user`")]
struct WrittenAllowance {
    base: Option<Base>,
    per_user: Option<PerUser>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `minor_units`, `currency` and `per`")]
struct WrittenPrice {
    minor_units: MinorUnits,
    currency: Currency,
    per: Option<Per>,
}

impl Document {
    /// What it states, if all rules are kept.
    pub(super) fn stated(self) -> Result<Stated, Wrong> {
        let zone = self.time_zone.map_or(TimeZone::UTC, |zone| zone.0);
        let names = self.modules.iter().map(|module| &*module.name.0);
        check_names(names, "modules", MODULES)?;
        let names = self.services.iter().map(|service| &*service.name.0);
        check_names(names, "services", SERVICES)?;
        let modules = self.modules.into_iter().enumerate();
        let modules = modules.map(|(index, module)| module.stated(index, &zone)).collect::<Result<_, _>>()?;
        let owner = self.owner.0;
        let entitlement = Entitlement {
            vendor: self.vendor.0,
            version: 0,
            company: self.company.map_or_else(|| owner.clone(), |company| company.0),
            serial_number: self.serial_number.0,
            time_zone: zone.iana_name().unwrap_or("UTC").to_owned(),
            dates: self.dates.stated(&zone)?,
            modules,
            services: self.services.into_iter().map(WrittenService::stated).collect(),
        };
        Ok(Stated { owner, version: self.version.map(|version| version.0), entitlement })
    }
}

impl WrittenDates {
    fn stated(self, zone: &TimeZone) -> Result<Dates, Wrong> {
        let at = |name| vec![Step::Key("dates"), Step::Key(name)];
        let instant = |date: Option<Date>, name| instant(date, zone, at(name));
        let dates = Dates {
            expires: instant(self.expires.map(|date| date.0), "expires")?,
            grace_ends: instant(self.grace_ends.map(|date| date.0), "grace_ends")?,
            maintenance_ends: instant(self.maintenance_ends.map(|date| date.0), "maintenance_ends")?,
            next_check: instant(self.next_check.map(|date| date.0), "next_check")?,
            first_warning: instant(self.first_warning.map(|date| date.0), "first_warning")?,
        };
        // What never expires has no grace, and nothing to warn of.
        let wrong = |name, problem: &str| Err(Wrong { path: at(name), problem: problem.into() });
        match (dates.expires, dates.grace_ends) {
            (None, Some(_)) => return wrong("grace_ends", "grace_ends needs `expires`"),
            (Some(expires), Some(ends)) if ends < expires => {
                return wrong("grace_ends", "grace_ends must not be before `expires`");
            }
            _ => {}
        }
        match (dates.expires, dates.first_warning) {
            (None, Some(_)) => wrong("first_warning", "first_warning needs `expires`"),
            (Some(expires), Some(warning)) if warning > expires => {
                wrong("first_warning", "first_warning must not be after `expires`")
            }
            _ => Ok(dates),
        }
    }
}

impl WrittenModule {
    fn stated(self, index: usize, zone: &TimeZone) -> Result<Module, Wrong> {
        let at = |rest: &[Step]| [&[Step::Key("modules"), Step::Index(index)], rest].concat();
        let name = self.name.0;
        let (lease, quantity) = (self.lease.map_or(LEASE, |lease| lease.0), self.quantity.0);
        if let Some(WrittenBorrow { longest, seats }) = &self.borrow {
            let wrong =
                |field, problem| Err(Wrong { path: at(&[Step::Key("borrow"), Step::Key(field)]), problem });
            if longest.0 <= lease {
                let problem = format!("longest must be longer than the lease of `{name}`, which is {lease}s");
                return wrong("longest", problem);
            }
            if seats.0 > quantity {
                let problem =
                    format!("seats must not be more than the quantity of `{name}`, which is {quantity}");
                return wrong("seats", problem);
            }
        }
        let mut seen = HashSet::new();
        for (number, feature) in self.features.iter().enumerate() {
            if !seen.insert(&*feature.0) {
                let path = at(&[Step::Key("features"), Step::Index(number)]);
                return Err(Wrong { path, problem: format!("the feature `{}` is there twice", feature.0) });
            }
        }
        let expires = instant(self.expires.map(|date| date.0), zone, at(&[Step::Key("expires")]))?;
        Ok(Module {
            name,
            title: self.title.map(|title| title.0).unwrap_or_default(),
            description: self.description.map(|description| description.0).unwrap_or_default(),
            kind: self.kind,
            quantity: small(quantity),
            expires,
            features: self.features.into_iter().map(|feature| feature.0).collect(),
            lease,
            borrow: self
                .borrow
                .map(|borrow| Borrow { longest: borrow.longest.0, seats: small(borrow.seats.0) }),
        })
    }
}

impl WrittenService {
    fn stated(self) -> Service {
        let price = self.price.map(|price| Price {
            minor_units: price.minor_units.0,
            currency: price.currency.0,
            per: price.per.map_or(1, |per| per.0),
        });
        Service {
            name: self.name.0,
            title: self.title.map(|title| title.0).unwrap_or_default(),
            unit: self.unit.0,
            aggregation: self.aggregation,
            allowance: Allowance {
                base: self.allowance.base.map_or(0, |base| base.0),
                per_user: self.allowance.per_user.map_or(0, |per_user| per_user.0),
            },
            price,
        }
    }
}

/// That there are not too many, and no two of one name.
fn check_names<'a>(
    names: impl Iterator<Item = &'a str>,
    what: &'static str,
    most: usize,
) -> Result<(), Wrong> {
    let mut seen = HashSet::new();
    for (index, name) in names.enumerate() {
        let wrong = |problem| {
            Err(Wrong { path: vec![Step::Key(what), Step::Index(index), Step::Key("name")], problem })
        };
        if index == most {
            return wrong(format!("there are more than {most} {what}"));
        }
        if !seen.insert(name) {
            return wrong(format!("two {what} have the name `{name}`"));
        }
    }
    Ok(())
}

fn instant(date: Option<Date>, zone: &TimeZone, path: Path) -> Result<Option<i64>, Wrong> {
    let Some(date) = date else { return Ok(None) };
    match date.seconds(zone) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Wrong { path, problem: "the date is out of range".into() }),
    }
}

/// Numbers of seats were checked to be small.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
