//! Events: what happened and what people should know of, durable and in order.

mod kind;
mod log;
mod service;

pub use kind::{EventKind, Severity};
pub use log::{Event, EventFilter, EventLog, StoredEvent, decode, kind_of};
pub use service::{EventAccess, EventRpc, Narrowed};
