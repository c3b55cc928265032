//! gRPC: decodes, authorises, calls one function of the domain, encodes. No rules live here.

mod access;
mod admin;
mod gate;
mod licensing;
mod shown;
mod status;
mod system_event;

pub(crate) use admin::AdminRpc;
pub(crate) use gate::Gate;
pub(crate) use licensing::LicensingRpc;
pub(crate) use status::StatusRpc;
