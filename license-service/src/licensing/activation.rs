//! An entitlement comes into force: in one commit with the seats that are taken away for it.

use std::{collections::HashSet, sync::Arc};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    store::Batch,
};
use verifier::{Entitlement, EntitlementClaims};

use super::{Licensing, assignments::assignment, book::Seat, seats_of, to_its_end};
use crate::{
    entitlement::Installed,
    ledger::{Ledger, SeatRecord},
};

/// Holders that are named of a module.
const NAMED: usize = 100;

/// More of a module is in use than there would be.
#[derive(Debug, Clone)]
pub(crate) struct Superfluous {
    pub(crate) module: String,
    pub(crate) in_use: u32,
    pub(crate) total: u32,
    /// Whose seats would be taken away first; as many as are too many, [`NAMED`] at most.
    pub(crate) holders: Vec<SeatRecord>,
}

/// What has to be done with the seats of one module.
#[derive(Debug, Default)]
struct Plan {
    module: String,
    in_use: u32,
    total: u32,
    /// Seats that are too many, with their numbers.
    removed: Vec<(u32, Seat)>,
    /// Seats whose numbers would be too high, and the numbers that they get.
    moved: Vec<(u32, u32, Seat)>,
}

impl Licensing {
    /// What is in the way of an entitlement.
    pub(crate) async fn superfluous(&self, new: &Entitlement) -> Result<Vec<Superfluous>> {
        let mut superfluous = Vec::new();
        for plan in self.plans(new) {
            if !plan.removed.is_empty() {
                superfluous.push(self.described(&new.vendor, &plan).await?);
            }
        }
        Ok(superfluous)
    }

    /// Puts an entitlement that was checked into force. Seats that are too many are taken away with `remove` alone; whose.
    ///
    /// # Errors
    /// `SEATS_IN_USE`, `STORE_UNAVAILABLE`, `DISK_FULL`.
    pub(crate) async fn activate(
        self: &Arc<Self>,
        claims: EntitlementClaims,
        jws: String,
        remove: bool,
        by: &str,
    ) -> Result<(Arc<Installed>, Vec<Superfluous>)> {
        let (this, by) = (Arc::clone(self), by.to_owned());
        let installed = Arc::new(Installed { claims, jws });
        to_its_end(async move { this.put_into_force(installed, remove, &by).await }).await
    }

    async fn put_into_force(
        &self,
        installed: Arc<Installed>,
        remove: bool,
        by: &str,
    ) -> Result<(Arc<Installed>, Vec<Superfluous>)> {
        // Nobody takes a seat or changes one meanwhile.
        let _alone = self.in_force.write().await;
        let entitlement = &installed.claims.entitlement;
        let vendor = entitlement.vendor.as_str();
        let newer = |known: &Arc<Installed>| {
            known.vendor() == vendor
                && known.claims.sub == installed.claims.sub
                && known.claims.entitlement.version > entitlement.version
        };
        if self.entitlements.borrow().iter().any(newer) {
            let message =
                format!("a newer version of the entitlement of {vendor} has come into force meanwhile");
            return Err(Error::new(Reason::EntitlementOutdated, message));
        }
        if let Some(same) = self.entitlements.borrow().iter().find(|known| known.claims == installed.claims) {
            return Ok((Arc::clone(same), Vec::new()));
        }
        let superfluous = self.superfluous(entitlement).await?;
        if !superfluous.is_empty() && !remove {
            return Err(in_use(vendor, &superfluous));
        }
        let now = unix_seconds(self.clock.now());
        let plans = self.plans(entitlement);
        let mut batch = Batch::new();
        let mut events = Vec::new();
        for plan in &plans {
            for (number, seat) in &plan.removed {
                let Some((record, bytes)) = self.ledger.seat(vendor, &plan.module, *number).await? else {
                    continue;
                };
                // Somebody else may get the number.
                if plan.moved.iter().all(|(_, to, _)| to != number) {
                    Ledger::free_seat(&mut batch, (vendor, &plan.module, *number), bytes);
                }
                if seat.assigned {
                    events.push(assignment(
                        EventKind::LicenseUnassigned,
                        vendor,
                        &plan.module,
                        &record.user,
                        by,
                    ));
                }
            }
            for (from, to, _) in &plan.moved {
                let Some((record, bytes)) = self.ledger.seat(vendor, &plan.module, *from).await? else {
                    continue;
                };
                Ledger::free_seat(&mut batch, (vendor, &plan.module, *from), bytes);
                let stale = self.ledger.seat(vendor, &plan.module, *to).await?.map(|(_, bytes)| bytes);
                Ledger::take_seat(&mut batch, (vendor, &plan.module, *to), stale, &record);
            }
        }
        if !events.is_empty() {
            let mut users = HashSet::new();
            for (module, user) in self.assigned(vendor, now).await? {
                let gone = |event: &Event| {
                    event.arguments.get("module") == Some(&module)
                        && event.arguments.get("user") == Some(&user)
                };
                if !events.iter().any(gone) {
                    users.insert(user);
                }
            }
            self.ledger.note_users(&mut batch, vendor, users.len() as u64, now).await?;
        }
        self.ledger.install_entitlement(&mut batch, vendor, entitlement.version, &installed.jws).await?;
        self.ledger.end_entitlement_events(&mut batch, vendor).await?;
        let activated = Event::new(EventKind::EntitlementActivated)
            .by(by)
            .argument("vendor", vendor)
            .argument("version", entitlement.version.to_string());
        events.push(activated);
        self.ledger.commit(batch, events).await?;
        self.follow(vendor, &plans)?;
        self.entitlements.send_modify(|entitlements| {
            let mut all: Vec<_> =
                entitlements.iter().filter(|known| known.vendor() != vendor).cloned().collect();
            all.push(Arc::clone(&installed));
            all.sort_by(|a, b| a.vendor().cmp(b.vendor()));
            *entitlements = Arc::new(all);
        });
        Ok((installed, superfluous))
    }

    /// What has to be done with the seats of each module that somebody uses.
    fn plans(&self, new: &Entitlement) -> Vec<Plan> {
        let now = unix_seconds(self.clock.now());
        let mut books = self.books();
        let of_vendor = books.values_mut().filter(|book| book.vendor == new.vendor);
        let mut plans: Vec<Plan> = of_vendor
            .map(|book| {
                let module = new.modules.iter().find(|module| module.name == book.module);
                let total = module.map_or(0, |module| module.quantity);
                plan(&book.module, book.seats.taken(now), total)
            })
            .collect();
        plans.sort_by(|a, b| a.module.cmp(&b.module));
        plans
    }

    /// Does in memory what has been done in the ledger.
    fn follow(&self, vendor: &str, plans: &[Plan]) -> Result<()> {
        let mut books = self.books();
        for plan in plans {
            let seats = seats_of(&mut books, vendor, &plan.module)?;
            for (number, seat) in &plan.removed {
                seats.replace(*number, *seat, None);
            }
            for (from, to, seat) in &plan.moved {
                seats.replace(*from, *seat, None);
                seats.load(*to, *seat);
            }
        }
        Ok(())
    }

    async fn described(&self, vendor: &str, plan: &Plan) -> Result<Superfluous> {
        let mut holders = Vec::new();
        for (number, _) in plan.removed.iter().take(NAMED) {
            holders.extend(self.ledger.seat(vendor, &plan.module, *number).await?.map(|(record, _)| record));
        }
        Ok(Superfluous { module: plan.module.clone(), in_use: plan.in_use, total: plan.total, holders })
    }
}

/// Which seats go, and which get other numbers, so that all numbers stay below `total`: those who came last go first, and
/// those who have a seat by name after all others.
fn plan(module: &str, mut taken: Vec<(u32, Seat)>, total: u32) -> Plan {
    let in_use = u32::try_from(taken.len()).unwrap_or(u32::MAX);
    taken.sort_by_key(|(number, seat)| (!seat.assigned, seat.until, *number));
    let kept = taken.len().min(usize::try_from(total).unwrap_or(usize::MAX));
    let mut removed = taken.split_off(kept);
    removed.reverse();
    let used: HashSet<u32> = taken.iter().map(|(number, _)| *number).collect();
    let mut free = (0..total).filter(|number| !used.contains(number));
    let above = taken.into_iter().filter(|(number, _)| *number >= total);
    let moved = above.filter_map(|(number, seat)| Some((number, free.next()?, seat))).collect();
    Plan { module: module.to_owned(), in_use, total, removed, moved }
}

fn in_use(vendor: &str, superfluous: &[Superfluous]) -> Error {
    let modules: Vec<String> = superfluous
        .iter()
        .map(|module| {
            let users: Vec<&str> =
                module.holders.iter().take(10).map(|holder| holder.user.as_str()).collect();
            format!(
                "{} of {} are in use, and there would be {} (too many: {})",
                module.in_use,
                module.module,
                module.total,
                users.join(", ")
            )
        })
        .collect();
    let message = format!(
        "the new entitlement of {vendor} cannot come into force: {}; take assignments away (`license-service assignments remove`), wait until leases end, or have them removed (`--remove-superfluous`)",
        modules.join("; ")
    );
    let names: Vec<&str> = superfluous.iter().map(|module| module.module.as_str()).collect();
    Error::new(Reason::SeatsInUse, message).with("vendor", vendor).with("modules", names.join(", "))
}
