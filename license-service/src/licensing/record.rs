//! What is decided in memory becomes durable here, or is taken back.

use licensor::{
    error::{Error, Result},
    event::Event,
    store::{Batch, StoreError},
};
use verifier::entitlement::Module;

use super::{
    Books, Licensing, Wanted,
    book::{Holder, LeaseId, Seat, Taken},
    seats_of,
};
use crate::{
    entitlement::Installed,
    ledger::{Ledger, SeatRecord},
};

/// How often a change is tried when others keep coming first.
const ATTEMPTS: usize = 50;
/// Records that are read at once.
const PAGE: usize = 1000;

/// A seat that was given in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) installed: &'a Installed,
    pub(super) module: &'a Module,
    pub(super) taken: Taken,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// Who assigned it, if it is assigned.
    pub(super) by: &'a str,
}

/// Reads every seat whose lease has not ended at `now` (seconds since 1970).
pub(super) async fn load(ledger: &Ledger, now: i64) -> Result<Books> {
    let mut books = Books::new();
    let mut from = Vec::new();
    loop {
        let (page, next) = ledger.seats("", "", &from, PAGE).await?;
        for (place, record) in page {
            let seats = seats_of(&mut books, &place.vendor, &place.module)?;
            if let Some(seat) = seat(&record) {
                seats.load(place.number, seat);
            }
        }
        if next.is_empty() {
            break;
        }
        from = next;
    }
    for book in books.values_mut() {
        book.seats.counts(now);
    }
    Ok(books)
}

/// A recorded seat as the book has it.
pub(super) fn seat(record: &SeatRecord) -> Option<Seat> {
    let lease: LeaseId = record.lease.clone().try_into().ok()?;
    let SeatRecord { issued, until, assigned, borrowed, .. } = *record;
    let digest: [u8; 16] = record.holder.clone().try_into().ok()?;
    Some(Seat { holder: Holder::from_digest(digest), lease, issued, until, assigned, borrowed })
}

impl Licensing {
    /// Records a change, with `events` in the same commit.
    pub(super) async fn record_with(
        &self,
        wanted: &Wanted,
        change: &Change<'_>,
        users: Option<u64>,
        event: Option<Event>,
    ) -> Result<()> {
        let mut outcome = Err(StoreError::Conflict { key: Vec::new() });
        for _ in 0..ATTEMPTS {
            outcome = self.try_record(wanted, change, users, event.clone()).await;
            if !matches!(outcome, Err(StoreError::Conflict { .. })) {
                break;
            }
        }
        if let Err(error) = &outcome
            // Whether a store that failed has kept it shows after a restart.
            && !matches!(error, StoreError::Failed { .. })
        {
            self.undo(change);
        }
        self.changed.send_replace(());
        outcome.map_err(Error::from)
    }

    pub(super) async fn record(&self, wanted: &Wanted, change: &Change<'_>) -> Result<()> {
        self.record_with(wanted, change, None, None).await
    }

    async fn try_record(
        &self,
        wanted: &Wanted,
        change: &Change<'_>,
        users: Option<u64>,
        event: Option<Event>,
    ) -> Result<(), StoreError> {
        let Change { installed, module, taken, now, by } = change;
        let Taken { number, seat, .. } = *taken;
        let (vendor, version) = (installed.vendor(), installed.claims.entitlement.version);
        let (former, bytes) = self.ledger.seat(vendor, &module.name, number).await?.unzip();
        let same = former.filter(|former| former.lease == seat.lease);
        let record = SeatRecord {
            holder: seat.holder.digest().to_vec(),
            user: wanted.user.clone(),
            device: wanted.device.clone(),
            session: wanted.session.clone(),
            lease: seat.lease.to_vec(),
            // Of changes of one seat at the same time the latest may be recorded first.
            issued: same.as_ref().map_or(0, |same| same.issued).max(seat.issued),
            until: same.as_ref().map_or(0, |same| same.until).max(seat.until),
            since: same.as_ref().map_or(*now, |same| same.since),
            assigned: seat.assigned,
            borrowed: seat.borrowed,
            assigned_by: match same {
                Some(same) if by.is_empty() => same.assigned_by,
                _ => (*by).to_owned(),
            },
        };
        let mut batch = Batch::new();
        Ledger::expect_entitlement(&mut batch, vendor, version, &installed.jws);
        Ledger::take_seat(&mut batch, (vendor, &module.name, number), bytes, &record);
        if let Some(users) = users {
            self.ledger.note_users(&mut batch, vendor, users, *now).await?;
        }
        self.ledger.commit(batch, event.into_iter().collect()).await
    }

    /// Takes back what was given in memory.
    pub(super) fn undo(&self, change: &Change<'_>) {
        let mut books = self.books();
        if let Ok(seats) = seats_of(&mut books, change.installed.vendor(), &change.module.name) {
            seats.undo(&change.taken);
        }
    }

    /// Gives the seat of a lease back: durably first, then in memory. Whether there was one.
    pub(super) async fn give_back(
        &self,
        lease: LeaseId,
        vendor: &str,
        module: &str,
        now: i64,
    ) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let found = seats_of(&mut self.books(), vendor, module)?.find(lease, now);
            let Some((number, seat)) = found else { return Ok(false) };
            let Some((record, bytes)) = self.ledger.seat(vendor, module, number).await? else {
                return Ok(false);
            };
            let mut batch = Batch::new();
            let place = (vendor, module, number);
            let left = seat.assigned.then_some(Seat { until: 0, ..seat });
            match left {
                None => Ledger::free_seat(&mut batch, place, bytes),
                Some(_) => {
                    let record =
                        SeatRecord { until: 0, device: String::new(), session: String::new(), ..record };
                    Ledger::take_seat(&mut batch, place, Some(bytes), &record);
                }
            }
            match self.ledger.commit(batch, Vec::new()).await {
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    seats_of(&mut self.books(), vendor, module)?.replace(number, seat, left);
                    self.changed.send_replace(());
                    return Ok(true);
                }
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }
}
