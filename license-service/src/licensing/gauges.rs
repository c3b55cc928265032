//! Seats and entitlements as numbers. They are counted when somebody looks: so a seat is free at the instant when its lease
//! has ended, and what is gone is not shown any more.

use std::{fmt, hash::Hash, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{family::Family, gauge::Gauge},
};

use super::Licensing;

/// The numbers of this server's licences.
#[derive(Debug)]
pub(crate) struct Gauges(pub(crate) Arc<Licensing>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModule {
    vendor: String,
    module: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVendor {
    vendor: String,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let modules = self.0.modules("");
        let seats = |value: fn(&super::ModuleCounts) -> u32| {
            modules.iter().map(move |counts| {
                let (vendor, module) = (counts.installed.vendor().to_owned(), counts.module().name.clone());
                (OfModule { vendor, module }, i64::from(value(counts)))
            })
        };
        show(&mut encoder, "seats", "Seats of a module", seats(|counts| counts.module().quantity))?;
        show(&mut encoder, "seats_in_use", "Seats of a module in use", seats(|counts| counts.in_use))?;
        let entitlements = self.0.entitlements().borrow().clone();
        let dates = |date: fn(&verifier::entitlement::Dates) -> Option<i64>| {
            entitlements.iter().filter_map(move |installed| {
                let vendor = installed.vendor().to_owned();
                Some((OfVendor { vendor }, date(&installed.claims.entitlement.dates)?))
            })
        };
        let help = "When the entitlement of a vendor expires, seconds since 1970; absent if never";
        show(&mut encoder, "entitlement_expires_seconds", help, dates(|dates| dates.expires))?;
        let help =
            "Until when an expired entitlement gives seats, seconds since 1970; absent if it never expires";
        show(&mut encoder, "entitlement_grace_ends_seconds", help, dates(|dates| dates.end_of_grace()))
    }
}

fn show<L: Clone + Eq + Hash + EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, i64)>,
) -> fmt::Result {
    let family = Family::<L, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    family.encode(encoder.encode_descriptor(name, help, None, family.metric_type())?)
}
