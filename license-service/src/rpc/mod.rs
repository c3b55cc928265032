//! gRPC: decodes, authorises, calls one function of the domain, encodes. No rules live here.

mod access;
mod admin;
mod gate;
mod licensing;
mod metering;
mod shown;
mod status;
mod system_event;
mod too_large;

pub(crate) use admin::AdminRpc;
pub(crate) use gate::Gate;
pub(crate) use licensing::LicensingRpc;
pub(crate) use metering::MeteringRpc;
pub(crate) use status::StatusRpc;
pub(crate) use too_large::TooLarge;
