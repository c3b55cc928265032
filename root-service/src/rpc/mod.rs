//! gRPC: decodes, authenticates, calls one function of the authority or the ledger, encodes. No rules live here.

mod admin;
mod carried;
mod certification;
mod entitlement;
mod noted;
mod reads;
mod shown;

use std::sync::Arc;

use licensor::event::EventAccess;

pub(crate) use admin::AdminRpc;
pub(crate) use certification::CertificationRpc;

use crate::authority::Authority;

/// Everyone who gets through the admin socket reads every event.
pub(crate) fn all_events() -> EventAccess {
    Arc::new(|_, filter| Box::pin(async { Ok(filter) }))
}

/// On the TLS port a licensing server reads the events about itself.
pub(crate) fn own_events(authority: Arc<Authority>) -> EventAccess {
    Arc::new(move |extensions, mut filter| {
        let authority = Arc::clone(&authority);
        let peer = certification::peer_certificate(extensions);
        Box::pin(async move {
            let caller = authority.identify(peer.as_deref()).await?;
            authority.check_in_force(&caller)?;
            filter.node = Some(caller.node.record.name);
            Ok(filter)
        })
    })
}
