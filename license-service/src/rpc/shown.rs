//! What the domain knows, as messages show it.

use licensor::clock::{from_unix_seconds, timestamp};
use prost_types::{Duration, Timestamp};
use proto::licensing::v1::{
    EntitlementChange, EntitlementPreview, InstalledEntitlement, Module, ModuleKind, SeatHolder,
    SuperfluousSeats,
};
use verifier::entitlement::Kind;

use crate::{
    entitlement::Installed,
    ledger::SeatRecord,
    licensing::{ModuleCounts, Superfluous},
    updates::Preview,
};

fn instant(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.map(|seconds| timestamp(from_unix_seconds(seconds)))
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

pub(super) fn module(counts: &ModuleCounts) -> Module {
    let module = counts.module();
    let of_all = counts.installed.claims.entitlement.dates.expires;
    let kind = match module.kind {
        Kind::Site => ModuleKind::Site,
        Kind::Satellite => ModuleKind::Satellite,
        Kind::User => ModuleKind::User,
    };
    Module {
        vendor: counts.installed.vendor().to_owned(),
        name: module.name.clone(),
        features: module.features.clone(),
        lease: Some(seconds(module.lease)),
        title: module.title.clone(),
        description: module.description.clone(),
        kind: kind.into(),
        total: module.quantity,
        in_use: counts.in_use,
        available: counts.available(),
        expire_time: instant(module.expires.into_iter().chain(of_all).min()),
        longest_borrowing: module.borrow.as_ref().map(|borrow| seconds(borrow.longest)),
        borrowable: module.borrow.as_ref().map_or(0, |borrow| borrow.seats),
        borrowed: counts.borrowed,
    }
}

pub(super) fn holder(record: SeatRecord) -> SeatHolder {
    SeatHolder {
        user: record.user,
        device: record.device,
        assigned: record.assigned,
        lease_end_time: instant(Some(record.until).filter(|until| *until != 0)),
        borrowed: record.borrowed,
    }
}

pub(super) fn superfluous(seats: Superfluous) -> SuperfluousSeats {
    SuperfluousSeats {
        module: seats.module,
        in_use: seats.in_use,
        total: seats.total,
        holders: seats.holders.into_iter().map(holder).collect(),
    }
}

pub(super) fn installed(installed: &Installed) -> InstalledEntitlement {
    let claims = &installed.claims;
    let entitlement = &claims.entitlement;
    InstalledEntitlement {
        vendor: entitlement.vendor.clone(),
        version: entitlement.version,
        owner: claims.sub.clone(),
        company: entitlement.company.clone(),
        serial_number: entitlement.serial_number.clone(),
        time_zone: entitlement.time_zone.clone(),
        expire_time: instant(entitlement.dates.expires),
        grace_end_time: instant(entitlement.dates.end_of_grace()),
        maintenance_end_time: instant(entitlement.dates.maintenance_ends),
        next_check_time: instant(entitlement.dates.next_check),
        first_warning_time: instant(entitlement.dates.first_warning),
        issuer: claims.iss.clone(),
        issue_time: instant(Some(claims.iat)),
        entitlement: installed.jws.clone(),
    }
}

pub(super) fn preview(preview: Preview) -> EntitlementPreview {
    let changes = preview.changes.into_iter();
    EntitlementPreview {
        vendor: preview.vendor,
        installed_version: preview.installed_version,
        version: preview.version,
        changes: changes
            .map(|change| EntitlementChange { what: change.what, from: change.from, to: change.to })
            .collect(),
        superfluous: preview.superfluous.into_iter().map(superfluous).collect(),
    }
}
