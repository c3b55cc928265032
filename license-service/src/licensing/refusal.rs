//! Who gets no seat, and why.

use std::time::Duration;

use licensor::{
    clock::{from_unix_seconds, rfc3339},
    error::{Error, Reason, Result},
};
use verifier::entitlement::Module;

use super::{Licensing, book::Exhausted};
use crate::entitlement::Installed;

/// Characters of a name of a user, a device or a session.
const LONGEST: usize = 256;

impl Licensing {
    /// Who has the seats, and when the next one is free.
    pub(super) async fn exhausted(
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

pub(super) fn check_term(module: &Module, term: i64) -> Result<i64> {
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

pub(super) fn check_text(name: &str, text: &str, required: bool) -> Result<()> {
    if text.is_empty() && !required {
        return Ok(());
    }
    if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
        let message = format!("{name} must have 1 to {LONGEST} characters, none of them a control character");
        return Err(Error::new(Reason::InvalidArgument, message).with("field", name));
    }
    Ok(())
}

pub(super) fn unknown(id: &str) -> Error {
    let id: String = id.chars().filter(|letter| !letter.is_control()).take(100).collect();
    let message = format!("there is no licence {id}, or its lease has ended: acquire one");
    Error::new(Reason::LicenseUnknown, message).with("license_id", id)
}
