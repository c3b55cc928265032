//! A usage event as it was reported, with what tells it from others.

use licensor::{
    error::{Error, Reason, Result},
    key::sha256,
};

/// Octets of a source, an id, and the names of a service and a vendor.
const LONGEST_NAME: usize = 256;
/// Seconds since 1970 that are in a year of four digits.
const WRITABLE: std::ops::Range<i64> = 0..253_402_300_800;
/// The largest quantity: what every JSON reader takes for what it is.
const LARGEST_QUANTITY: u64 = 1 << 53;

/// Stands for a source and an id: the first half of their SHA-256.
pub(crate) type Key = [u8; 16];

/// Stands for what an event says, to see whether it is the same again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of service, quantity and time.
    pub(crate) content: [u8; 8],
    /// Of the vendor, which need not be named each time.
    pub(crate) vendor: [u8; 4],
}

/// A usage event that could be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) content: [u8; 8],
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) service: String,
    /// May be empty.
    pub(crate) vendor: String,
    /// May be empty.
    pub(crate) owner: String,
    pub(crate) quantity: u64,
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// A usage event before anything of it was looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reported {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) service: String,
    pub(crate) vendor: String,
    pub(crate) owner: String,
    pub(crate) quantity: u64,
    /// Seconds since 1970, and nanoseconds; absent if none was given.
    pub(crate) time: Option<(i64, u32)>,
}

impl Item {
    /// Checks what an event can be checked for alone.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `USAGE_QUANTITY_INVALID` or `USAGE_TIME_INVALID`.
    pub(crate) fn check(reported: Reported) -> Result<Self> {
        let Reported { source, id, service, vendor, owner, quantity, time } = reported;
        let names = [("source", &source), ("id", &id), ("service", &service), ("vendor", &vendor)];
        for (name, value) in names {
            let missing = value.is_empty() && name != "vendor";
            if missing || value.len() > LONGEST_NAME || value.chars().any(char::is_control) {
                let message =
                    format!("{name} must have 1 to {LONGEST_NAME} octets, none of them a control character");
                return Err(Error::new(Reason::InvalidArgument, message));
            }
        }
        if !(1..=LARGEST_QUANTITY).contains(&quantity) {
            let message = format!("the quantity {quantity} is not one from 1 to {LARGEST_QUANTITY}");
            return Err(Error::new(Reason::UsageQuantityInvalid, message));
        }
        let Some((seconds, nanos)) = time.filter(|(seconds, _)| WRITABLE.contains(seconds)) else {
            let message = "the usage has no time that can be written as in RFC 3339: say when it was";
            return Err(Error::new(Reason::UsageTimeInvalid, message));
        };
        let key = key(&source, &id);
        let content = content(&service, quantity, seconds, nanos);
        Ok(Self { key, content, source, id, service, vendor, owner, quantity, seconds, nanos })
    }

    /// Whether the event that left `mark` said the same.
    pub(crate) fn is_same(&self, mark: &Mark) -> bool {
        self.content == mark.content && (self.vendor.is_empty() || vendor_mark(&self.vendor) == mark.vendor)
    }
}

/// What stands for a source and an id.
pub(crate) fn key(source: &str, id: &str) -> Key {
    beginning(&[source.as_bytes(), id.as_bytes()])
}

/// What stands for the content of an event but for its vendor.
pub(crate) fn content(service: &str, quantity: u64, seconds: i64, nanos: u32) -> [u8; 8] {
    let numbers = [&quantity.to_be_bytes()[..], &seconds.to_be_bytes(), &nanos.to_be_bytes()].concat();
    beginning(&[service.as_bytes(), &numbers])
}

/// What stands for a vendor.
pub(crate) fn vendor_mark(vendor: &str) -> [u8; 4] {
    beginning(&[vendor.as_bytes()])
}

/// The beginning of the SHA-256 of some fields, each after its length.
fn beginning<const OCTETS: usize>(fields: &[&[u8]]) -> [u8; OCTETS] {
    let mut octets = Vec::with_capacity(fields.iter().map(|field| field.len() + 8).sum());
    for field in fields {
        octets.extend((field.len() as u64).to_be_bytes());
        octets.extend_from_slice(field);
    }
    let mut beginning = [0; OCTETS];
    beginning.copy_from_slice(&sha256(&octets)[..OCTETS]);
    beginning
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported() -> Reported {
        Reported {
            source: "app".into(),
            id: "1".into(),
            service: "mail".into(),
            quantity: 1,
            time: Some((1_000, 0)),
            ..Reported::default()
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused_by_name() {
        assert!(Item::check(reported()).is_ok());
        for (wrong, reason) in [
            (Reported { source: String::new(), ..reported() }, Reason::InvalidArgument),
            (Reported { id: "x".repeat(257), ..reported() }, Reason::InvalidArgument),
            (Reported { id: "a\nb".into(), ..reported() }, Reason::InvalidArgument),
            (Reported { service: String::new(), ..reported() }, Reason::InvalidArgument),
            (Reported { quantity: 0, ..reported() }, Reason::UsageQuantityInvalid),
            (Reported { quantity: (1 << 53) + 1, ..reported() }, Reason::UsageQuantityInvalid),
            (Reported { service: "x".repeat(257), ..reported() }, Reason::InvalidArgument),
            (Reported { vendor: "x".repeat(257), ..reported() }, Reason::InvalidArgument),
            (Reported { time: None, ..reported() }, Reason::UsageTimeInvalid),
            (Reported { time: Some((i64::MAX, 0)), ..reported() }, Reason::UsageTimeInvalid),
            (Reported { time: Some((i64::MIN, 0)), ..reported() }, Reason::UsageTimeInvalid),
        ] {
            assert_eq!(Item::check(wrong).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn source_and_id_do_not_run_into_each_other() {
        assert_ne!(key("a", "bc"), key("ab", "c"));
    }

    #[test]
    fn the_vendor_need_not_be_named_again() {
        let item = Item::check(reported()).unwrap();
        let mark = Mark { content: item.content, vendor: vendor_mark("acme") };
        assert!(item.is_same(&mark));
        let named = |vendor: &str| Item::check(Reported { vendor: vendor.into(), ..reported() }).unwrap();
        assert!(named("acme").is_same(&mark));
        assert!(!named("other").is_same(&mark));
        assert!(!Item::check(Reported { quantity: 2, ..reported() }).unwrap().is_same(&mark));
    }
}
