//! A group of usage events that is counted in one commit: what it adds, before anything of it is kept.

use std::{collections::HashMap, sync::Arc};

use licensor::{
    error::{Error, Reason},
    event::{Event, EventKind},
    store::StoreError,
};

use super::{
    chunk::{OpenChunk, Writer},
    item::{Item, Mark},
    month::Month,
    seen::Marks,
    terms::{Terms, included},
};
use crate::ledger::{CounterKey, CounterRecord, HeadRecord, Ledger, UsageChange};

/// Share of the allowance at which to warn, in percent.
const NEAR: u128 = 85;

/// The highest numbers of users that were seen, by vendor and month: they only grow.
pub(super) type Users = HashMap<(String, Month), u64>;

/// Where a usage event belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) terms: &'a Arc<Terms>,
    pub(super) month: Month,
    /// The month on whose statement it stands.
    pub(super) booked: Month,
}

/// What a group adds.
pub(super) struct Tally {
    pub(super) marks: Marks,
    writer: Writer,
    /// By the address of the terms, which live as long as the group, and the rest of the key.
    counters: HashMap<(usize, Month, Month), HashMap<String, Counter>>,
    events: u64,
}

struct Counter {
    key: CounterKey,
    terms: Arc<Terms>,
    former: Option<CounterRecord>,
    counter: CounterRecord,
}

impl Tally {
    pub(super) fn new(head: &HeadRecord, last: Option<&OpenChunk>) -> Self {
        Self {
            marks: Marks::default(),
            writer: Writer::new(head.chunks, last),
            counters: HashMap::new(),
            events: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Counts an event, or says why it cannot be.
    pub(super) async fn add(
        &mut self,
        ledger: &Ledger,
        item: &Item,
        place: Place<'_>,
    ) -> Result<Option<Error>, StoreError> {
        let Place { terms, month, booked } = place;
        let counters = self.counters.entry((Arc::as_ptr(terms) as usize, month, booked)).or_default();
        if !counters.contains_key(&item.service) {
            let key = CounterKey {
                vendor: terms.vendor().to_owned(),
                booked: booked.0,
                month: month.0,
                service: item.service.clone(),
            };
            let former = ledger.counter(&key).await?;
            let counter = Counter { key, terms: terms.clone(), former, counter: former.unwrap_or_default() };
            counters.insert(item.service.clone(), counter);
        }
        let Some(Counter { counter, .. }) = counters.get_mut(&item.service) else { return Ok(None) };
        let Some(sum) = counter.sum.checked_add(item.quantity) else {
            let message = format!(
                "{} of {} would be more in {month} than can be counted: {} and {} are more than 2^64",
                item.service,
                terms.vendor(),
                counter.sum,
                item.quantity
            );
            return Ok(Some(Error::new(Reason::UsageOverflow, message)));
        };
        counter.sum = sum;
        counter.maximum = counter.maximum.max(item.quantity);
        counter.events += 1;
        self.events += 1;
        self.marks.insert(item.key, Mark { content: item.content, vendor: terms.mark });
        self.writer.push(item, terms.vendor(), month, booked);
        Ok(None)
    }

    /// The whole as one change of the store, and the head after it.
    pub(super) async fn change(
        &mut self,
        ledger: &Ledger,
        former: Option<&HeadRecord>,
        users: &mut Users,
    ) -> Result<(UsageChange, HeadRecord), StoreError> {
        let mut head = former.cloned().unwrap_or_default();
        head.generation += 1;
        head.chunks = self.writer.end();
        head.events += self.events;
        let mut change = UsageChange::new(former, &head);
        self.writer.write(&mut change);
        for counter in self.counters.values_mut().flat_map(HashMap::values_mut) {
            if Some(counter.counter) == counter.former || counter.counter.events == 0 {
                continue;
            }
            for event in counter.thresholds(ledger, users).await? {
                change.raise(event);
            }
            change.counter(&counter.key, counter.former.as_ref(), &counter.counter);
        }
        Ok((change, head))
    }

    /// The marks, and the last chunk of the log, once the change is kept.
    pub(super) fn kept(self) -> (Marks, Option<OpenChunk>) {
        (self.marks, self.writer.last())
    }
}

impl Counter {
    /// Events that are due with this count. What is reported late raises none: its month is over.
    async fn thresholds(&mut self, ledger: &Ledger, users: &mut Users) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        let month = Month(self.key.month);
        let Some(service) = self.terms.service(&self.key.service) else { return Ok(events) };
        let late = self.key.booked != self.key.month;
        if late || (self.counter.near && self.counter.reached) {
            return Ok(events);
        }
        let used = super::statement::used(service, &self.counter);
        let (allowance, whom) = (&service.allowance, (self.key.vendor.clone(), month));
        let is_near = |total: u64| total > 0 && u128::from(used) * 100 >= u128::from(total) * NEAR;
        let seen = users.get(&whom).copied().unwrap_or_default();
        let mut total = included(allowance, seen);
        if allowance.per_user > 0 && (total == 0 || is_near(total)) {
            let Ok(zone) = &self.terms.zone else { return Ok(events) };
            let (start, end) = zone.span(month);
            let seen = ledger.highest_number_of_users(&self.key.vendor, start, end).await?;
            users.insert(whom, seen);
            total = included(allowance, seen);
        }
        let mut raise = |kind| {
            events.push(
                Event::new(kind)
                    .argument("vendor", &self.key.vendor)
                    .argument("service", &self.key.service)
                    .argument("month", month.to_string())
                    .argument("used", used.to_string())
                    .argument("allowance", total.to_string()),
            );
        };
        if is_near(total) && !self.counter.near {
            self.counter.near = true;
            raise(EventKind::UsageNearsAllowance);
        }
        if total > 0 && used >= total && !self.counter.reached {
            self.counter.reached = true;
            raise(EventKind::UsageReachedAllowance);
        }
        Ok(events)
    }
}
