//! Licences: who gets a seat, and what is signed for it. Nothing leaves before the seat is recorded durably.

mod activation;
mod assignments;
mod book;
mod gauges;
mod leases;
mod lists;
mod record;
mod refusal;
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
    clock::{SharedClock, from_unix_seconds, unix_seconds},
    error::{Error, Reason, Result},
};
use tokio::sync::{RwLock, RwLockReadGuard, Semaphore, SemaphorePermit, watch};

use verifier::read_entitlement;

use crate::{
    credential::{Credential, enabled},
    entitlement::{EntitlementWatch, Entitlements, Installed},
    ledger::Ledger,
    renewal::CredentialWatch,
};

use self::{
    book::{LeaseId, Seats, tag},
    refusal::unknown,
};

pub(crate) use activation::Superfluous;
pub(crate) use gauges::Gauges;
pub(crate) use lists::{ModuleCounts, SeatInUse};
pub(crate) use time::{SeenTime, TOLERANCE};

/// Seconds for which a seat stays taken after its licence has ended: whoever verifies licences may allow as much for clocks
/// that differ.
pub(crate) const MARGIN: i64 = 60;

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
    /// Word that a seat was taken or given back.
    changed: watch::Sender<()>,
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
            let claims = read_entitlement(&jws).map_err(|error| Error::internal("entitlement", error))?;
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
            changed: watch::Sender::default(),
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

    /// Word that seats were taken or given back.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
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
