//! gRPC: decodes, authorises, calls one function of the domain, encodes. No rules live here.

mod admin;
mod licensing;
mod shown;
mod status;

pub(crate) use admin::AdminRpc;
pub(crate) use licensing::LicensingRpc;
pub(crate) use status::StatusRpc;
