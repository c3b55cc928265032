//! Who has a seat, in memory: decides, in one step, whether there is one more. Every seat has a number below the quantity of
//! its module and a record of its own under that number, so that no two changes of different seats meet in the store, and
//! no more seats than numbers can be taken, whoever decides.

use std::collections::{BTreeSet, HashMap};

use licensor::key::sha256;

/// Identifier of a lease: tag of the module, number of the seat when it began, and 8 random octets.
pub(crate) type LeaseId = [u8; 16];

/// Whoever holds a seat, as a digest of what makes him different from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Holder([u8; 16]);

/// A seat that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) holder: Holder,
    pub(crate) lease: LeaseId,
    /// How many licences were issued for it.
    pub(crate) issued: u64,
    /// `exp` of the latest licence, seconds since 1970.
    pub(crate) until: i64,
    pub(crate) assigned: bool,
    pub(crate) borrowed: bool,
}

/// A change of a seat that is not recorded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) number: u32,
    pub(crate) seat: Seat,
    /// What it was before; `None` if it was free.
    pub(crate) former: Option<Seat>,
}

/// What somebody wants of a module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) holder: Holder,
    /// When the licence will end, seconds since 1970.
    pub(crate) until: i64,
    pub(crate) assigned: bool,
    pub(crate) borrowed: bool,
    /// Random octets of the lease's identifier.
    pub(crate) random: [u8; 8],
}

/// No seat is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// When the next one can be free, seconds since 1970; `None` if no lease ends.
    pub(crate) next_free: Option<i64>,
    /// Numbers of the seats whose leases end first, then of assigned ones; ten at most.
    pub(crate) numbers: Vec<u32>,
    /// It is not seats that are missing, but seats that may be borrowed.
    pub(crate) of_borrowing: bool,
}

/// The seats of one module.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    tag: [u8; 4],
    /// Seconds for which a seat stays taken after its licence has ended.
    margin: i64,
    seats: Vec<Option<Seat>>,
    holders: HashMap<Holder, u32>,
    /// Leases whose seats have another number than when they began.
    moved: HashMap<LeaseId, u32>,
    free: BTreeSet<u32>,
    ends: BTreeSet<(i64, u32)>,
    in_use: u32,
    borrowed: u32,
}

impl Holder {
    /// A digest of `parts`, none of which runs into another.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut text = Vec::new();
        for part in parts {
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part.as_bytes());
        }
        let digest = sha256(&text);
        let (half, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self::from_digest(*half)
    }

    pub(crate) fn from_digest(digest: [u8; 16]) -> Self {
        Self(digest)
    }

    pub(crate) fn digest(self) -> [u8; 16] {
        self.0
    }
}

/// The number that the seat of a lease had when it began.
fn first_number(lease: LeaseId) -> u32 {
    let [_, _, _, _, a, b, c, d, ..] = lease;
    u32::from_be_bytes([a, b, c, d])
}

/// Tag of a module in identifiers of leases.
pub(crate) fn tag(vendor: &str, module: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = Holder::of(&[vendor, module]).0;
    [a, b, c, d]
}

impl Seats {
    pub(crate) fn new(vendor: &str, module: &str, margin: i64) -> Self {
        Self { tag: tag(vendor, module), margin, ..Self::default() }
    }

    /// Takes the seat that the holder has, or one that is free, if fewer than `total` are taken at `now`.
    pub(crate) fn take(
        &mut self,
        wish: Wish,
        total: u32,
        borrowable: Option<u32>,
        now: i64,
    ) -> Result<Taken, Exhausted> {
        self.end(now);
        if let Some(number) = self.holders.get(&wish.holder).copied()
            && let Some(former) = self.at(number)
        {
            let seat = Seat {
                until: former.until.max(wish.until),
                issued: former.issued + 1,
                assigned: former.assigned || wish.assigned,
                ..former
            };
            self.set(number, Some(seat));
            return Ok(Taken { number, seat, former: Some(former) });
        }
        let of_borrowing = borrowable.is_some_and(|most| self.borrowed >= most);
        if self.in_use >= total || of_borrowing {
            return Err(self.exhausted(of_borrowing));
        }
        let number = match self.free.first() {
            Some(number) => *number,
            None => u32::try_from(self.seats.len()).unwrap_or(u32::MAX),
        };
        let mut lease = [0; 16];
        lease[..4].copy_from_slice(&self.tag);
        lease[4..8].copy_from_slice(&number.to_be_bytes());
        lease[8..].copy_from_slice(&wish.random);
        let Wish { holder, until, assigned, borrowed, .. } = wish;
        let seat = Seat { holder, lease, issued: 1, until, assigned, borrowed };
        self.set(number, Some(seat));
        Ok(Taken { number, seat, former: None })
    }

    /// Lets a lease last longer, or issues its licence again.
    pub(crate) fn extend(&mut self, lease: LeaseId, until: i64, now: i64) -> Option<Taken> {
        let (number, former) = self.find(lease, now)?;
        let seat = Seat { until: former.until.max(until), issued: former.issued + 1, ..former };
        self.set(number, Some(seat));
        Some(Taken { number, seat, former: Some(former) })
    }

    /// The seat of a lease that has not ended.
    pub(crate) fn find(&mut self, lease: LeaseId, now: i64) -> Option<(u32, Seat)> {
        self.end(now);
        let number = self.moved.get(&lease).copied().unwrap_or_else(|| first_number(lease));
        self.at(number).filter(|seat| seat.lease == lease).map(|seat| (number, seat))
    }

    /// The seat of a holder.
    pub(crate) fn held(&mut self, holder: Holder, now: i64) -> Option<(u32, Seat)> {
        self.end(now);
        let number = *self.holders.get(&holder)?;
        Some((number, self.at(number)?))
    }

    /// Takes back what was not recorded, unless the seat has been changed again.
    pub(crate) fn undo(&mut self, taken: &Taken) {
        if self.at(taken.number) == Some(taken.seat) {
            self.set(taken.number, taken.former);
        }
    }

    /// Puts a seat as it is recorded now, unless it has been changed since it was `former`.
    pub(crate) fn replace(&mut self, number: u32, former: Seat, seat: Option<Seat>) {
        if self.at(number) == Some(former) {
            self.set(number, seat);
        }
    }

    /// Puts a seat as it was recorded.
    pub(crate) fn load(&mut self, number: u32, seat: Seat) {
        self.set(number, Some(seat));
    }

    /// Seats in use at `now`, and how many of them are borrowed.
    pub(crate) fn counts(&mut self, now: i64) -> (u32, u32) {
        self.end(now);
        (self.in_use, self.borrowed)
    }

    /// All seats that are taken at `now`, with their numbers.
    pub(crate) fn taken(&mut self, now: i64) -> Vec<(u32, Seat)> {
        self.end(now);
        (0..).zip(&self.seats).filter_map(|(number, seat)| Some((number, (*seat)?))).collect()
    }

    fn at(&self, number: u32) -> Option<Seat> {
        *self.seats.get(usize::try_from(number).ok()?)?
    }

    /// Frees the seats whose leases have ended.
    fn end(&mut self, now: i64) {
        while let Some((at, number)) = self.ends.first().copied()
            && at <= now
        {
            self.set(number, None);
        }
    }

    /// The only change of a seat: everything else that is known of it follows.
    fn set(&mut self, number: u32, seat: Option<Seat>) {
        let Ok(index) = usize::try_from(number) else { return };
        while self.seats.len() <= index {
            self.free.insert(u32::try_from(self.seats.len()).unwrap_or(u32::MAX));
            self.seats.push(None);
        }
        if let Some(former) = self.seats[index].take() {
            self.holders.remove(&former.holder);
            self.moved.remove(&former.lease);
            self.ends.remove(&(former.until.saturating_add(self.margin), number));
            self.in_use -= 1;
            self.borrowed -= u32::from(former.borrowed);
            self.free.insert(number);
        }
        if let Some(seat) = seat {
            self.free.remove(&number);
            self.holders.insert(seat.holder, number);
            if first_number(seat.lease) != number {
                self.moved.insert(seat.lease, number);
            }
            if !seat.assigned {
                self.ends.insert((seat.until.saturating_add(self.margin), number));
            }
            self.in_use += 1;
            self.borrowed += u32::from(seat.borrowed);
            self.seats[index] = Some(seat);
        }
    }

    fn exhausted(&self, of_borrowing: bool) -> Exhausted {
        let leased = self.ends.iter().map(|(_, number)| *number);
        let borrowed = |number: &u32| self.at(*number).is_some_and(|seat| seat.borrowed);
        let assigned = (0..).zip(&self.seats).filter(|(_, seat)| seat.is_some_and(|seat| seat.assigned));
        let next_free =
            self.ends.iter().find(|(_, number)| !of_borrowing || borrowed(number)).map(|(at, _)| *at);
        Exhausted {
            next_free,
            numbers: leased
                .chain(assigned.map(|(number, _)| number))
                .filter(|number| !of_borrowing || borrowed(number))
                .take(10)
                .collect(),
            of_borrowing,
        }
    }
}

#[cfg(test)]
mod tests;
