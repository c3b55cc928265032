//! Licences that are given to users by name.

use std::{collections::HashSet, sync::Arc};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::random_bytes,
    store::{Batch, StoreError},
};
use verifier::entitlement::Kind;

use super::{
    Licensing, SeatInUse, Wanted,
    book::{Holder, Wish},
    record::Change,
    refusal::check_text,
    seats_of, to_its_end,
};
use crate::ledger::{Ledger, SeatPlace};

impl Licensing {
    /// Gives a user a seat by name. One that he has stays as it is.
    pub(crate) async fn assign(self: &Arc<Self>, wanted: Wanted, by: &str) -> Result<SeatInUse> {
        let (this, by) = (Arc::clone(self), by.to_owned());
        to_its_end(async move { this.try_assign(&wanted, &by).await }).await
    }

    async fn try_assign(&self, wanted: &Wanted, by: &str) -> Result<SeatInUse> {
        let (_place, _still) = self.admit().await?;
        let _turn = self.assigning.lock().await;
        let now = unix_seconds(self.clock.now());
        let credential = self.enabled_at(now)?;
        self.seen.check(now)?;
        check_text("user", &wanted.user, true)?;
        let (installed, at) = self.module(&wanted.vendor, &wanted.module, &credential)?;
        let module = &installed.claims.entitlement.modules[at];
        if module.kind != Kind::User {
            let message =
                format!("licences of {} are not for single users: they cannot be assigned", module.name);
            return Err(Error::new(Reason::InvalidArgument, message).with("module", &module.name));
        }
        installed.check_open(module, now)?;
        let holder = Holder::of(&["assigned", &wanted.user]);
        let random = random_bytes::<8>().map_err(|error| Error::internal("assignment", error))?;
        let vendor = installed.vendor();
        let mut users = self.users(vendor, now).await?;
        users.insert(wanted.user.clone());
        let wish = Wish { holder, until: 0, assigned: true, borrowed: false, random };
        let (held, taken) = {
            let mut books = self.books();
            let seats = seats_of(&mut books, vendor, &module.name)?;
            match seats.held(holder, now) {
                Some((number, _)) => (Some(number), None),
                None => (None, Some(seats.take(wish, module.quantity, None, now))),
            }
        };
        let number = match (held, taken) {
            (_, Some(Err(exhausted))) => {
                return Err(self.exhausted(&installed, module, exhausted, now).await);
            }
            (_, Some(Ok(taken))) => {
                let change = Change { installed: &installed, module, taken, now, by };
                let event = assignment(EventKind::LicenseAssigned, vendor, &module.name, &wanted.user, by);
                let of = Wanted { user: wanted.user.clone(), ..Wanted::default() };
                self.record_with(&of, &change, Some(users.len() as u64), Some(event)).await?;
                taken.number
            }
            (number, None) => number.unwrap_or_default(),
        };
        let missing = || Error::internal("assignment", "a seat is not there");
        let (record, _) = self.ledger.seat(vendor, &module.name, number).await?.ok_or_else(missing)?;
        let place = SeatPlace { vendor: vendor.to_owned(), module: module.name.clone(), number };
        Ok(SeatInUse { place, record })
    }

    /// Takes the seat of a user away, and a lease with it.
    pub(crate) async fn unassign(self: &Arc<Self>, wanted: Wanted, by: &str) -> Result<()> {
        let (this, by) = (Arc::clone(self), by.to_owned());
        to_its_end(async move { this.try_unassign(&wanted, &by).await }).await
    }

    async fn try_unassign(&self, wanted: &Wanted, by: &str) -> Result<()> {
        let _still = self.in_force.read().await;
        let _turn = self.assigning.lock().await;
        let now = unix_seconds(self.clock.now());
        let vendor = self.vendor_of(&wanted.vendor, &wanted.module)?;
        let (module, user) = (wanted.module.as_str(), wanted.user.as_str());
        let holder = Holder::of(&["assigned", user]);
        let unknown = || {
            let message = format!(
                "no licence of {module} of {vendor} is assigned to {user}: see `license-service assignments list`"
            );
            Error::new(Reason::AssignmentUnknown, message).with("user", user)
        };
        loop {
            let held = seats_of(&mut self.books(), &vendor, module)?.held(holder, now);
            let (number, seat) = held.ok_or_else(unknown)?;
            let (_, bytes) = self.ledger.seat(&vendor, module, number).await?.ok_or_else(unknown)?;
            let mut batch = Batch::new();
            Ledger::free_seat(&mut batch, (&vendor, module, number), bytes);
            let users = self.users_without(&vendor, module, user, now).await?;
            self.ledger.note_users(&mut batch, &vendor, users, now).await?;
            let event = assignment(EventKind::LicenseUnassigned, &vendor, module, user, by);
            match self.ledger.commit(batch, vec![event]).await {
                // Its user has just had the lease extended, say.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    seats_of(&mut self.books(), &vendor, module)?.replace(number, seat, None);
                    self.changed.send_replace(());
                    return Ok(());
                }
            }
        }
    }

    /// The vendor of a module of which somebody has a seat, whether or not there is an entitlement to it.
    fn vendor_of(&self, vendor: &str, module: &str) -> Result<String> {
        let books = self.books();
        let mut vendors: Vec<_> = books
            .values()
            .filter(|book| book.module == module && (vendor.is_empty() || book.vendor == vendor))
            .map(|book| book.vendor.clone())
            .collect();
        match (vendors.pop(), vendors.is_empty()) {
            (Some(vendor), true) => Ok(vendor),
            (Some(_), false) => {
                let message = format!("more than one vendor has a module {module}: name the vendor");
                Err(Error::new(Reason::InvalidArgument, message).with("module", module))
            }
            (None, _) => {
                let message = format!("nobody has a licence of {module} here: see ListModules");
                Err(Error::new(Reason::ModuleUnknown, message).with("module", module))
            }
        }
    }

    /// Users to whom any licence of a vendor is assigned.
    async fn users(&self, vendor: &str, now: i64) -> Result<HashSet<String>> {
        let seats = self.assigned(vendor, now).await?;
        Ok(seats.into_iter().map(|(_, user)| user).collect())
    }

    /// How many there are without one assignment.
    async fn users_without(&self, vendor: &str, module: &str, user: &str, now: i64) -> Result<u64> {
        let seats = self.assigned(vendor, now).await?;
        let others = seats.into_iter().filter(|(name, holder)| name != module || holder != user);
        Ok(others.map(|(_, user)| user).collect::<HashSet<_>>().len() as u64)
    }

    /// Every assigned seat of a vendor: module and user.
    pub(super) async fn assigned(&self, vendor: &str, now: i64) -> Result<Vec<(String, String)>> {
        let places: Vec<_> = {
            let mut books = self.books();
            let of_vendor = books.values_mut().filter(|book| book.vendor == vendor);
            of_vendor
                .flat_map(|book| {
                    let assigned = book.seats.taken(now).into_iter().filter(|(_, seat)| seat.assigned);
                    let module = book.module.clone();
                    assigned
                        .map(move |(number, seat)| (module.clone(), number, seat.lease))
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        let mut assigned = Vec::with_capacity(places.len());
        for (module, number, lease) in places {
            if let Some((record, _)) = self.ledger.seat(vendor, &module, number).await?
                && record.lease == lease
            {
                assigned.push((module, record.user));
            }
        }
        Ok(assigned)
    }
}

pub(super) fn assignment(kind: EventKind, vendor: &str, module: &str, user: &str, by: &str) -> Event {
    Event::new(kind).by(by).argument("vendor", vendor).argument("module", module).argument("user", user)
}
