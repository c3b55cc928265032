//! Draws up the statement of a month: from counters, terms and numbers of users to lines and amounts.

use std::collections::{BTreeMap, BTreeSet};

use licensor::{
    clock::{from_unix_seconds, timestamp},
    store::StoreError,
};
use prost::Message;
use proto::licensing::v1::{
    Statement, StatementState, UsageAdjustment, UsageAggregation, UsageAllowance, UsageAmount, UsageLine,
    UsagePrice,
};
use verifier::entitlement::{Aggregation, Price, Service};

use super::{
    month::Month,
    terms::{Book, included},
};
use crate::ledger::{CounterKey, CounterRecord, Ledger};

const RULE: &str = "base + per_user × users, the highest number of users that had a user licence of the vendor at any one instant of the month";

/// What counts of a counter.
pub(super) fn used(service: &Service, counter: &CounterRecord) -> u64 {
    match service.aggregation {
        Aggregation::Sum => counter.sum,
        Aggregation::Maximum => counter.maximum,
    }
}

/// What counts of two counters together; more than can be counted is all that can be.
fn together(a: &CounterRecord, b: &CounterRecord) -> CounterRecord {
    CounterRecord {
        sum: a.sum.saturating_add(b.sum),
        maximum: a.maximum.max(b.maximum),
        events: a.events.saturating_add(b.events),
        ..CounterRecord::default()
    }
}

/// The statement of a month as it would be now, in the state of a draft.
pub(super) async fn draw_up(
    ledger: &Ledger,
    vendor: &str,
    book: &Book,
    month: Month,
) -> Result<Statement, StoreError> {
    let draft = Statement {
        vendor: vendor.to_owned(),
        month: month.to_string(),
        state: StatementState::Draft.into(),
        allowance_rule: RULE.to_owned(),
        ..Statement::default()
    };
    let Some(zone) = book.zone() else { return Ok(draft) };
    let (start, end) = zone.span(month);
    let Some(terms) = book.terms_before(end) else { return Ok(draft) };
    let counters = ledger.counters(Some((vendor, month.0))).await?;
    let booked: Vec<_> = counters.into_iter().take_while(|(key, _)| key.booked == month.0).collect();
    let (own, late): (Vec<_>, Vec<_>) = booked.into_iter().partition(|(key, _)| key.month == month.0);
    let lines = lines(ledger, book, month, own).await?;
    let mut adjustments = Vec::with_capacity(late.len());
    for (key, counter) in late {
        adjustments.extend(adjust(ledger, book, &key, &counter).await?);
    }
    let entitlement = &terms.claims.entitlement;
    let amounts = lines.iter().filter_map(|line| line.amount.as_ref());
    let totals = totals(amounts.chain(adjustments.iter().filter_map(|late| late.amount.as_ref())));
    Ok(Statement {
        owner: terms.claims.sub.clone(),
        company: entitlement.company.clone(),
        serial_number: entitlement.serial_number.clone(),
        time_zone: entitlement.time_zone.clone(),
        start_time: Some(timestamp(from_unix_seconds(start))),
        end_time: Some(timestamp(from_unix_seconds(end))),
        entitlement_version: entitlement.version,
        entitlement_id: terms.claims.jti.clone(),
        lines,
        adjustments,
        totals,
        ..draft
    })
}

/// What was used of every service of the month, whenever it was reported.
pub(super) async fn usage(
    ledger: &Ledger,
    vendor: &str,
    book: &Book,
    month: Month,
) -> Result<Vec<UsageLine>, StoreError> {
    let mut counters: BTreeMap<CounterKey, CounterRecord> = BTreeMap::new();
    for (key, counter) in ledger.counters(Some((vendor, month.0))).await? {
        if key.month == month.0 {
            let known = counters.entry(CounterKey { booked: month.0, ..key }).or_default();
            *known = together(known, &counter);
        }
    }
    // What was used before statements began stands on a later one.
    lines(ledger, book, month, counters.into_iter().collect()).await
}

/// A line for every service of the terms, and for every other one that was used.
async fn lines(
    ledger: &Ledger,
    book: &Book,
    month: Month,
    counters: Vec<(CounterKey, CounterRecord)>,
) -> Result<Vec<UsageLine>, StoreError> {
    let Some(zone) = book.zone() else { return Ok(Vec::new()) };
    let (start, end) = zone.span(month);
    let Some(terms) = book.terms_before(end) else { return Ok(Vec::new()) };
    let users = ledger.highest_number_of_users(terms.vendor(), start, end).await?;
    let counters: BTreeMap<&str, _> =
        counters.iter().map(|(key, counter)| (key.service.as_str(), counter)).collect();
    let names: BTreeSet<&str> = counters
        .keys()
        .copied()
        .chain(terms.services().iter().map(|service| service.name.as_str()))
        .collect();
    // Of what has no terms at all the usage is stated nevertheless.
    let unnamed = Service::default();
    let line = |name: &str| {
        let service = terms.service(name).or_else(|| book.terms_with(name, end)?.service(name));
        let service = service.unwrap_or(&unnamed);
        let counter = counters.get(name).copied().copied().unwrap_or_default();
        let total = included(&service.allowance, users);
        let used = used(service, &counter);
        let surplus = used.saturating_sub(total);
        UsageLine {
            service: name.to_owned(),
            title: service.title.clone(),
            unit: service.unit.clone(),
            aggregation: aggregation(service).into(),
            used,
            allowance: Some(allowance(service, users)),
            surplus,
            price: service.price.as_ref().map(price),
            amount: service.price.as_ref().map(|price| amount(price, cost(price, surplus))),
            events: counter.events,
        }
    };
    Ok(names.into_iter().map(line).collect())
}

/// What was reported late of one service for one month. It has the terms with which that month was stated; if it never
/// was, those of its end.
async fn adjust(
    ledger: &Ledger,
    book: &Book,
    key: &CounterKey,
    late: &CounterRecord,
) -> Result<Option<UsageAdjustment>, StoreError> {
    let month = Month(key.month);
    let Some((start, end)) = book.zone().map(|zone| zone.span(month)) else { return Ok(None) };
    let mut before = CounterRecord::default();
    for booked in key.month..key.booked {
        if let Some(counter) = ledger.counter(&CounterKey { booked, ..key.clone() }).await? {
            before = together(&before, &counter);
        }
    }
    let after = together(&before, late);
    let stated = match ledger.statement(&key.vendor, key.month).await? {
        Some(kept) => {
            let statement = Statement::decode(&*kept).map_err(|error| StoreError::Damaged {
                path: "the ledger".into(),
                cause: format!("the statement of {} for {month}: {error}", key.vendor),
            })?;
            statement.lines.into_iter().find(|line| line.service == key.service)
        }
        None => None,
    };
    let line = match stated {
        Some(line) => line,
        None => {
            let unnamed = Service::default();
            let terms = book.terms_with(&key.service, end);
            let service = terms.and_then(|terms| terms.service(&key.service)).unwrap_or(&unnamed);
            let users = ledger.highest_number_of_users(&key.vendor, start, end).await?;
            UsageLine {
                title: service.title.clone(),
                unit: service.unit.clone(),
                aggregation: aggregation(service).into(),
                allowance: Some(allowance(service, users)),
                price: service.price.as_ref().map(price),
                ..UsageLine::default()
            }
        }
    };
    let used = |counter: &CounterRecord| match line.aggregation() {
        UsageAggregation::Maximum => counter.maximum,
        UsageAggregation::Sum | UsageAggregation::Unspecified => counter.sum,
    };
    let total = line.allowance.as_ref().map_or(0, |allowance| allowance.total);
    let (used_before, used_after) = (used(&before), used(&after));
    let surplus_before = used_before.saturating_sub(total);
    let surplus_after = used_after.saturating_sub(total);
    let difference = |stated: &UsagePrice| {
        let price =
            Price { minor_units: stated.minor_units, currency: stated.currency.clone(), per: stated.per };
        amount(&price, cost(&price, surplus_after).saturating_sub(cost(&price, surplus_before)))
    };
    Ok(Some(UsageAdjustment {
        month: month.to_string(),
        service: key.service.clone(),
        quantity: used(late),
        used_before,
        used_after,
        surplus_before,
        surplus_after,
        amount: line.price.as_ref().map(difference),
        events: late.events,
        aggregation: line.aggregation,
        title: line.title,
        unit: line.unit,
        allowance: line.allowance,
        price: line.price,
    }))
}

/// What a surplus costs, in minor units. At most 2^64 times 2^64 - 1: that fits.
fn cost(price: &Price, surplus: u64) -> u128 {
    u128::from(surplus.div_ceil(price.per.max(1))) * u128::from(price.minor_units)
}

fn amount(price: &Price, cost: u128) -> UsageAmount {
    let minor_units = i64::try_from(cost);
    UsageAmount {
        exceeded: minor_units.is_err(),
        minor_units: minor_units.unwrap_or(i64::MAX),
        currency: price.currency.clone(),
    }
}

/// Amounts added up, by currency.
fn totals<'a>(amounts: impl Iterator<Item = &'a UsageAmount>) -> Vec<UsageAmount> {
    let mut totals: BTreeMap<&str, UsageAmount> = BTreeMap::new();
    for amount in amounts {
        let total = totals
            .entry(&amount.currency)
            .or_insert_with(|| UsageAmount { currency: amount.currency.clone(), ..UsageAmount::default() });
        let sum = total.minor_units.checked_add(amount.minor_units);
        total.exceeded |= amount.exceeded || sum.is_none();
        total.minor_units = if total.exceeded { i64::MAX } else { sum.unwrap_or(i64::MAX) };
    }
    totals.into_values().collect()
}

fn aggregation(service: &Service) -> UsageAggregation {
    match service.aggregation {
        Aggregation::Sum => UsageAggregation::Sum,
        Aggregation::Maximum => UsageAggregation::Maximum,
    }
}

fn allowance(service: &Service, users: u64) -> UsageAllowance {
    UsageAllowance {
        base: service.allowance.base,
        per_user: service.allowance.per_user,
        users,
        total: included(&service.allowance, users),
    }
}

fn price(price: &Price) -> UsagePrice {
    UsagePrice { minor_units: price.minor_units, currency: price.currency.clone(), per: price.per }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euros(minor_units: u64, per: u64) -> Price {
        Price { minor_units, currency: "EUR".into(), per }
    }

    #[test]
    fn every_begun_unit_costs_and_nothing_overflows() {
        assert_eq!(cost(&euros(5, 1000), 0), 0);
        assert_eq!(cost(&euros(5, 1000), 1), 5);
        assert_eq!(cost(&euros(5, 1000), 1000), 5);
        assert_eq!(cost(&euros(5, 1000), 1001), 10);
        assert_eq!(cost(&euros(5, 0), 2), 10);
        let most = euros(u64::MAX, 1);
        let exceeded = amount(&most, cost(&most, u64::MAX));
        assert_eq!((exceeded.minor_units, exceeded.exceeded), (i64::MAX, true));
        let largest = UsageAmount { minor_units: i64::MAX, currency: "EUR".into(), exceeded: false };
        let one = UsageAmount { minor_units: 1, ..largest.clone() };
        assert_eq!(totals([&largest].into_iter()), std::slice::from_ref(&largest));
        assert!(totals([&largest, &one].into_iter())[0].exceeded);
    }

    #[test]
    fn currencies_are_not_added_to_each_other() {
        let euro = UsageAmount { minor_units: 3, currency: "EUR".into(), exceeded: false };
        let franc = UsageAmount { currency: "CHF".into(), ..euro.clone() };
        let sums = totals([&euro, &franc, &euro].into_iter());
        let sums: Vec<_> = sums.iter().map(|sum| (sum.currency.as_str(), sum.minor_units)).collect();
        assert_eq!(sums, [("CHF", 3), ("EUR", 6)]);
    }
}
