//! Licences: who gets a seat, and what is signed for it. Nothing leaves before the seat is recorded durably.

mod activation;
mod assignments;
mod book;
mod lists;
mod record;
mod sign;
#[cfg(test)]
mod tests;
mod time;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    key::random_bytes,
};
use tokio::sync::{RwLock, RwLockReadGuard, Semaphore, SemaphorePermit, watch};
use verifier::{
    certificate::hex,
    entitlement::{Kind, Module},
};

use crate::{
    credential::{Credential, enabled},
    entitlement::{EntitlementWatch, Entitlements, Installed},
    ledger::Ledger,
    renewal::CredentialWatch,
};

use self::{
    book::{Exhausted, Holder, LeaseId, Seats, Wish, tag},
    record::Change,
};

pub(crate) use activation::Superfluous;
pub(crate) use lists::{ModuleCounts, SeatInUse};
pub(crate) use time::{SeenTime, TOLERANCE};

/// Seconds for which a seat stays taken after its licence has ended: whoever verifies licences may allow as much for clocks
/// that differ.
pub(crate) const MARGIN: i64 = 60;
/// Characters of a name of a user, a device or a session.
const LONGEST: usize = 256;

/// Gives seats and issues licences while the server is enabled.
#[derive(Debug)]
pub(crate) struct Licensing {
    clock: SharedClock,
    ledger: Arc<Ledger>,
    credential: CredentialWatch,
    entitlements: watch::Sender<Entitlements>,
    books: Mutex<Books>,
    /// Held for writing while an entitlement comes into force: what is decided by one is recorded under it.
    in_force: RwLock<()>,
    /// Held by the one who changes assignments.
    assigning: tokio::sync::Mutex<()>,
    seen: SeenTime,
    places: Semaphore,
}

/// The seats of every module, by tag.
type Books = HashMap<[u8; 4], Book>;

/// The seats of one module.
#[derive(Debug)]
struct Book {
    vendor: String,
    module: String,
    seats: Seats,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Empty if the module's name is unique.
    pub(crate) vendor: String,
    pub(crate) module: String,
    pub(crate) user: String,
    pub(crate) device: String,
    pub(crate) session: String,
}

/// A licence that was issued.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Compact JWS.
    pub(crate) license: String,
    pub(crate) id: String,
    pub(crate) expires_at: SystemTime,
    /// What its user should know.
    pub(crate) warnings: Vec<String>,
}

impl Licensing {
    /// Reads seats and entitlements of the ledger; at most `signing` licences are issued at once.
    pub(crate) async fn open(
        signing: usize,
        clock: SharedClock,
        ledger: Arc<Ledger>,
        credential: CredentialWatch,
    ) -> Result<Self> {
        let mut installed = Vec::new();
        for (_, jws) in ledger.installed_entitlements().await? {
            let claims = sign::claims_of(&jws)?;
            installed.push(Arc::new(Installed { claims, jws }));
        }
        let seen = SeenTime::new(ledger.highest_time().await?);
        let books = record::load(&ledger, unix_seconds(clock.now())).await?;
        Ok(Self {
            clock,
            ledger,
            credential,
            entitlements: watch::Sender::new(Arc::new(installed)),
            books: Mutex::new(books),
            in_force: RwLock::default(),
            assigning: tokio::sync::Mutex::default(),
            seen,
            places: Semaphore::new(signing),
        })
    }

    /// The credential, if licences can be issued with it now.
    ///
    /// # Errors
    /// `NOT_ENROLLED`, `CERTIFICATE_REVOKED`, `LICENSOR_CERTIFICATE_EXPIRED` or `LICENSOR_CERTIFICATE_NOT_YET_VALID`.
    pub(crate) fn enabled(&self) -> Result<Arc<Credential>> {
        enabled(self.credential.borrow().as_ref(), self.clock.now()).cloned()
    }

    /// The entitlements in force, and word of every change.
    pub(crate) fn entitlements(&self) -> EntitlementWatch {
        self.entitlements.subscribe()
    }

    /// The highest time that was seen.
    pub(crate) fn seen(&self) -> &SeenTime {
        &self.seen
    }

    /// Takes the clock for right, whatever was seen before.
    pub(crate) async fn accept_clock(&self) -> Result<SystemTime> {
        let now = self.clock.now();
        self.ledger.keep_highest_time(unix_seconds(now)).await?;
        self.seen.accept(unix_seconds(now));
        self.ledger.note_clock(unix_seconds(now), None).await?;
        Ok(now)
    }

    /// Takes a seat for a lease.
    pub(crate) async fn acquire(self: &Arc<Self>, wanted: Wanted) -> Result<Issued> {
        let this = Arc::clone(self);
        to_its_end(async move { this.take(&wanted, None).await }).await
    }

    /// Takes a seat for a term of use without a connection.
    pub(crate) async fn borrow(self: &Arc<Self>, wanted: Wanted, term: Duration) -> Result<Issued> {
        let this = Arc::clone(self);
        let term = i64::try_from(term.as_secs()).unwrap_or(i64::MAX);
        if term < 1 {
            return Err(Error::new(Reason::InvalidArgument, "term must be 1 second at least"));
        }
        if wanted.device.is_empty() {
            let message = "device must be named: a licence is borrowed for one";
            return Err(Error::new(Reason::InvalidArgument, message));
        }
        to_its_end(async move { this.take(&wanted, Some(term)).await }).await
    }

    async fn take(&self, wanted: &Wanted, term: Option<i64>) -> Result<Issued> {
        let (_place, _still) = self.admit().await?;
        // One reading of the clock: what is signed was allowed at that very instant.
        let now = unix_seconds(self.clock.now());
        let credential = self.enabled_at(now)?;
        self.seen.check(now)?;
        for (name, text, required) in [
            ("subject", &wanted.user, true),
            ("device", &wanted.device, false),
            ("session", &wanted.session, false),
        ] {
            check_text(name, text, required)?;
        }
        let (installed, at) = self.module(&wanted.vendor, &wanted.module, &credential)?;
        let module = &installed.claims.entitlement.modules[at];
        let warnings = installed.check_open(module, now)?;
        let lasts = match term {
            None => module.lease,
            Some(term) => check_term(module, term)?,
        };
        let until = sign::until(&credential, now, lasts);
        let borrowable = term.and(module.borrow.as_ref().map(|borrow| borrow.seats));
        let random = random_bytes::<8>().map_err(|error| Error::internal("licence", error))?;
        let holder = holder(module.kind, wanted, term.is_some());
        let taken = {
            let mut books = self.books();
            let seats = seats_of(&mut books, installed.vendor(), &module.name)?;
            let assigned = Holder::of(&["assigned", &wanted.user]);
            let by_name = module.kind == Kind::User && term.is_none() && seats.held(assigned, now).is_some();
            let holder = if by_name { assigned } else { holder };
            let wish = Wish { holder, until, assigned: false, borrowed: term.is_some(), random };
            seats.take(wish, module.quantity, borrowable, now)
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(exhausted) => return Err(self.exhausted(&installed, module, exhausted, now).await),
        };
        let change = Change { installed: &installed, module, taken, now, by: "" };
        self.issue(&credential, wanted, change, until, warnings).await
    }

    /// Issues the licence of a seat anew.
    pub(crate) async fn extend(self: &Arc<Self>, license_id: &str) -> Result<Issued> {
        let (this, id) = (Arc::clone(self), license_id.to_owned());
        to_its_end(async move { this.try_extend(&id).await }).await
    }

    async fn try_extend(&self, id: &str) -> Result<Issued> {
        let (_place, _still) = self.admit().await?;
        let now = unix_seconds(self.clock.now());
        let credential = self.enabled_at(now)?;
        self.seen.check(now)?;
        let (lease, vendor, name) = self.lease(id)?;
        let (installed, at) = self.module(&vendor, &name, &credential)?;
        let module = &installed.claims.entitlement.modules[at];
        let until = sign::until(&credential, now, module.lease);
        let taken = {
            let mut books = self.books();
            seats_of(&mut books, &vendor, &name)?.extend(lease, until, now).ok_or_else(|| unknown(id))?
        };
        // A borrowed licence is not cut short.
        let until = taken.seat.until.min(credential.facts.not_after);
        let record = self.ledger.seat(&vendor, &name, taken.number).await?.map(|(record, _)| record);
        let record = record.unwrap_or_default();
        let wanted = Wanted {
            vendor,
            module: name,
            user: record.user,
            device: record.device,
            session: record.session,
        };
        let warnings = installed.warnings(now);
        let change = Change { installed: &installed, module, taken, now, by: "" };
        self.issue(&credential, &wanted, change, until, warnings).await
    }

    /// Signs in memory, records durably, then hands out.
    async fn issue(
        &self,
        credential: &Credential,
        wanted: &Wanted,
        change: Change<'_>,
        until: i64,
        warnings: Vec<String>,
    ) -> Result<Issued> {
        let Change { installed, module, taken, now, .. } = change;
        let id = format!("{}-{}", hex(&taken.seat.lease), taken.seat.issued);
        let license = sign::license(
            credential,
            installed,
            module,
            sign::Terms { user: &wanted.user, id: &id, now, until },
        );
        let license = match license {
            Ok(license) => license,
            Err(error) => {
                self.undo(&change);
                return Err(error);
            }
        };
        self.record(wanted, &change).await?;
        Ok(Issued { license, id, expires_at: from_unix_seconds(until), warnings })
    }

    /// Gives a seat back. An assigned one stays with its user.
    pub(crate) async fn release(self: &Arc<Self>, license_id: &str) -> Result<()> {
        let (this, id) = (Arc::clone(self), license_id.to_owned());
        to_its_end(async move {
            let _still = this.in_force.read().await;
            let now = unix_seconds(this.clock.now());
            let (lease, vendor, module) = this.lease(&id)?;
            this.give_back(lease, &vendor, &module, now).await?.then_some(()).ok_or_else(|| unknown(&id))
        })
        .await
    }

    async fn admit(&self) -> Result<(SemaphorePermit<'_>, RwLockReadGuard<'_, ()>)> {
        let place = self.places.try_acquire().map_err(|_| {
            let wait = Duration::from_millis(rand::random_range(200..1_000));
            Error::new(Reason::Overloaded, "too many licences are being issued at once (`limits.signing`)")
                .retry_after(wait)
        })?;
        Ok((place, self.in_force.read().await))
    }

    fn enabled_at(&self, now: i64) -> Result<Arc<Credential>> {
        enabled(self.credential.borrow().as_ref(), from_unix_seconds(now)).cloned()
    }

    /// The entitlement with a module, and the place of the module in it. An empty `vendor` is that of the only module of
    /// this name.
    fn module(&self, vendor: &str, name: &str, credential: &Credential) -> Result<(Arc<Installed>, usize)> {
        let entitlements = self.entitlements.borrow().clone();
        let place = |installed: &Installed| {
            installed.claims.entitlement.modules.iter().position(|module| module.name == name)
        };
        let mut found = entitlements
            .iter()
            .filter(|installed| vendor.is_empty() || installed.vendor() == vendor)
            .filter_map(|installed| Some((installed, place(installed)?)));
        let (installed, at) = match (found.next(), found.next()) {
            (Some(found), None) => found,
            (Some(_), Some(_)) => {
                let message = format!("more than one vendor has a module {name}: name the vendor");
                return Err(Error::new(Reason::InvalidArgument, message).with("module", name));
            }
            (None, _) => {
                let of = if vendor.is_empty() { String::new() } else { format!(" of {vendor}") };
                let message = format!(
                    "there is no entitlement to {name}{of} here: see ListModules, or ask the root for a newer one (`license-service entitlement check`)"
                );
                return Err(Error::new(Reason::ModuleUnknown, message)
                    .with("vendor", vendor)
                    .with("module", name));
            }
        };
        let owner = &credential.facts.organization;
        if installed.claims.sub != *owner {
            let message = format!(
                "the entitlement of {} is for {}, and this licensing server belongs to {owner} now: ask for one for {owner}",
                installed.vendor(),
                installed.claims.sub
            );
            return Err(Error::new(Reason::EntitlementOfAnotherOwner, message).with("owner", owner));
        }
        Ok((Arc::clone(installed), at))
    }

    /// What a `license_id` stands for: the lease, and vendor and name of its module.
    fn lease(&self, id: &str) -> Result<(LeaseId, String, String)> {
        let lease = id.split('-').next().and_then(verifier::certificate::octets);
        let lease: LeaseId = lease.and_then(|lease| lease.try_into().ok()).ok_or_else(|| unknown(id))?;
        let books = self.books();
        let book = lease.first_chunk::<4>().and_then(|tag| books.get(tag)).ok_or_else(|| unknown(id))?;
        Ok((lease, book.vendor.clone(), book.module.clone()))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who has the seats, and when the next one is free.
    async fn exhausted(
        &self,
        installed: &Installed,
        module: &Module,
        exhausted: Exhausted,
        now: i64,
    ) -> Error {
        let vendor = installed.vendor();
        let mut holders = Vec::new();
        for number in &exhausted.numbers {
            // What cannot be read is not worth another error.
            if let Ok(Some((record, _))) = self.ledger.seat(vendor, &module.name, *number).await {
                let device =
                    if record.device.is_empty() { String::new() } else { format!(" on {}", record.device) };
                let until = match record.assigned {
                    true => " (assigned)".to_owned(),
                    false => format!(" until {}", rfc3339(from_unix_seconds(record.until))),
                };
                holders.push(format!("{}{device}{until}", record.user));
            }
        }
        let next = exhausted.next_free.map(from_unix_seconds);
        let when = next.map_or_else(
            || "no lease ends by itself".to_owned(),
            |at| format!("the next is free on {}", rfc3339(at)),
        );
        let (what, total) = match (&module.borrow, exhausted.of_borrowing) {
            (Some(borrow), true) => ("licences that may be borrowed", borrow.seats),
            _ => ("licences", module.quantity),
        };
        let message = format!(
            "all {total} {what} of {} of {vendor} are in use, by {}; {when}",
            module.name,
            if holders.is_empty() { "others".to_owned() } else { holders.join(", ") }
        );
        let mut error = Error::new(Reason::SeatsExhausted, message)
            .with("vendor", vendor)
            .with("module", &module.name)
            .with("total", total.to_string())
            .with("holders", holders.join(", "));
        if let Some(next) = next {
            let wait = next.duration_since(from_unix_seconds(now)).unwrap_or_default();
            error = error
                .with("next_free", rfc3339(next))
                .retry_after(wait.clamp(Duration::from_secs(1), Duration::from_secs(3600)));
        }
        error
    }
}

/// Runs `work` to its end even if the caller goes away: a seat that is taken in memory is recorded, or taken back.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Error::internal("licensing", error)))
}

/// The seats of a module; none are taken of one that is new.
fn seats_of<'a>(books: &'a mut Books, vendor: &str, module: &str) -> Result<&'a mut Seats> {
    let book = books.entry(tag(vendor, module)).or_insert_with(|| Book {
        vendor: vendor.to_owned(),
        module: module.to_owned(),
        seats: Seats::new(vendor, module, MARGIN),
    });
    if book.vendor != vendor || book.module != module {
        return Err(Error::internal("licensing", "two modules have one tag"));
    }
    Ok(&mut book.seats)
}

/// By what a holder is told from others.
fn holder(kind: Kind, wanted: &Wanted, borrowed: bool) -> Holder {
    match (kind, borrowed) {
        (_, true) => Holder::of(&["borrowed", &wanted.user, &wanted.device]),
        (Kind::Site, _) => Holder::of(&["site"]),
        (Kind::Satellite, _) => Holder::of(&["satellite", &wanted.device]),
        (Kind::User, _) => Holder::of(&["user", &wanted.user, &wanted.device, &wanted.session]),
    }
}

fn check_term(module: &Module, term: i64) -> Result<i64> {
    let not_allowed =
        |message: String| Err(Error::new(Reason::BorrowingNotAllowed, message).with("module", &module.name));
    match &module.borrow {
        None => not_allowed(format!("licences of {} cannot be borrowed: acquire one", module.name)),
        Some(borrow) if term > borrow.longest => not_allowed(format!(
            "licences of {} can be borrowed for {} seconds at most, and {term} were asked for",
            module.name, borrow.longest
        )),
        Some(_) => Ok(term),
    }
}

fn check_text(name: &str, text: &str, required: bool) -> Result<()> {
    if text.is_empty() && !required {
        return Ok(());
    }
    if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
        let message = format!("{name} must have 1 to {LONGEST} characters, none of them a control character");
        return Err(Error::new(Reason::InvalidArgument, message).with("field", name));
    }
    Ok(())
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().filter(|letter| !letter.is_control()).take(100).collect();
    let message = format!("there is no licence {id}, or its lease has ended: acquire one");
    Error::new(Reason::LicenseUnknown, message).with("license_id", id)
}
