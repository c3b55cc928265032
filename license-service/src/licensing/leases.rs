//! Seats for a time: taken, extended, given back; and the licences that are signed for them.

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::{from_unix_seconds, unix_seconds},
    error::{Error, Reason, Result},
    key::random_bytes,
};
use verifier::{certificate::hex, entitlement::Kind};

use super::{
    Issued, Licensing, Wanted,
    book::{Holder, Wish},
    record::Change,
    refusal::{check_term, check_text, unknown},
    seats_of, sign, to_its_end,
};
use crate::credential::Credential;

impl Licensing {
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
