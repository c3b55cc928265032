//! Events: what happened and what people should know of, durable and in order.

mod active;
mod kind;
mod log;
mod record;
mod scope;
mod service;
#[cfg(test)]
mod tests;

pub use kind::{EventKind, Severity};
pub use log::EventLog;
pub use record::{Event, EventFilter, StoredEvent, decode, kind_of};
pub use scope::{Scope, scope};
pub use service::{EventAccess, EventRpc, Narrowed, message};
