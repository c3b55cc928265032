//! What the clock and the entitlements bring: terms are kept as they come into force, and statements become final.

use std::sync::Arc;

use licensor::{
    clock::{from_unix_seconds, timestamp, unix_seconds},
    event::{Event, EventKind},
    key::fingerprint,
    store::StoreError,
};
use prost::Message;
use proto::licensing::v1::StatementState;

use super::{
    meter::Meter,
    month::{Month, Zone},
    statement::draw_up,
    terms::{Book, Books, InForce, Terms, record},
};
use crate::ledger::{HeadRecord, UsageChange, VendorRecord};

impl Meter {
    /// Looks at the entitlements and the clock.
    pub(super) async fn tick(&mut self) -> Result<(), StoreError> {
        let outcome = async {
            self.refresh().await?;
            let vendors: Vec<String> = self.books.borrow().keys().cloned().collect();
            for vendor in vendors {
                while self.close_next(&vendor).await? {}
            }
            Ok(())
        };
        let outcome = outcome.await;
        self.stale |= matches!(&outcome, Err(error) if !matches!(error, StoreError::DiskFull { .. }));
        outcome
    }

    /// Keeps what the entitlements say from now on, and begins books of vendors that are new.
    pub(super) async fn take_up_terms(&mut self) -> Result<(), StoreError> {
        let installed = self.entitlements.borrow_and_update().clone();
        self.current = false;
        let in_force = InForce::new(&installed);
        let now = unix_seconds(self.clock.now());
        let mut books = Books::clone(&self.books.borrow());
        let (mut change, head) = self.begin_change();
        let mut changed = false;
        for terms in in_force.metering() {
            let Ok(zone) = &terms.zone else { continue };
            let vendor = terms.vendor();
            let book = books.entry(vendor.to_owned()).or_insert_with(|| {
                let record = first_record(terms, zone, now, self.grace());
                change.vendor(vendor, None, &record);
                Book { record, terms: Vec::new() }
            });
            let latest = book.terms.iter().rev().find(|(from, _)| *from <= now);
            if latest.is_some_and(|(_, latest)| latest.claims == terms.claims) {
                continue;
            }
            let others = book.terms.iter().filter(|(from, _)| *from == now).count();
            let others = u16::try_from(others).unwrap_or(u16::MAX);
            change.terms(vendor, now, others, &record(&terms.claims)?);
            let place = book.terms.partition_point(|(from, _)| *from <= now);
            book.terms.insert(place, (now, terms.clone()));
            changed = true;
        }
        if changed {
            self.ledger.change_usage(change).await?;
            self.head = Some(head);
            self.books.send_replace(Arc::new(books));
        }
        self.in_force = Arc::new(in_force);
        self.current = true;
        Ok(())
    }

    /// Makes the next statement of a vendor final if it is due.
    async fn close_next(&mut self, vendor: &str) -> Result<bool, StoreError> {
        let books = self.books.borrow().clone();
        let Some(book) = books.get(vendor) else { return Ok(false) };
        let (month, now) = (book.open(), unix_seconds(self.clock.now()));
        let Some(zone) = book.zone() else { return Ok(false) };
        if now < zone.start(month.next()).saturating_add(self.grace()) {
            return Ok(false);
        }
        let mut statement = draw_up(&self.ledger, vendor, book, month).await?;
        statement.state = StatementState::Final.into();
        statement.final_time = Some(timestamp(from_unix_seconds(now)));
        statement.digest = fingerprint(&statement.encode_to_vec());
        let vendor_record = VendorRecord { open: month.next().0, ..book.record };
        let (mut change, head) = self.begin_change();
        change.vendor(vendor, Some(&book.record), &vendor_record);
        change.statement(vendor, month.0, &statement.encode_to_vec());
        change.raise(
            Event::new(EventKind::StatementFinal)
                .argument("vendor", vendor)
                .argument("month", month.to_string())
                .argument("digest", &statement.digest),
        );
        self.ledger.change_usage(change).await?;
        self.head = Some(head);
        let closed = Book { record: vendor_record, ..book.clone() };
        self.books.send_modify(|books| {
            Arc::make_mut(books).insert(vendor.to_owned(), closed);
        });
        Ok(true)
    }

    /// A change after everything that is known here, and the head with it.
    fn begin_change(&self) -> (UsageChange, HeadRecord) {
        let mut head = self.head.clone().unwrap_or_default();
        head.generation += 1;
        (UsageChange::new(self.head.as_ref(), &head), head)
    }

    fn grace(&self) -> i64 {
        i64::try_from(self.grace.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Statements begin with the oldest month that is not over with its grace, and no earlier than the entitlement: what was
/// used before is an adjustment.
fn first_record(terms: &Terms, zone: &Zone, now: i64, grace: i64) -> VendorRecord {
    let mut first: Month = zone.month(now.max(terms.claims.nbf));
    while now < zone.start(first).saturating_add(grace) && zone.start(first) > terms.claims.nbf {
        first = first.previous();
    }
    VendorRecord { first: first.0, open: first.0 }
}
