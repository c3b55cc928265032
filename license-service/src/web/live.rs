//! What makes an open page fetch itself anew: events, seats, entitlements, the certificate, and time.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use licensor::error::Reason;
use licensor_web::{live, visitor::Viewer};
use tokio::sync::watch;

use super::{Here, Site};
use crate::{entitlement::EntitlementWatch, renewal::CredentialWatch};

/// The longest time for which what only time has changed goes unnoticed.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn page(State(site): Here, viewer: Viewer) -> Response {
    let watched = Watched {
        events: site.ledger.events().subscribe(),
        seats: site.licensing.changes(),
        entitlements: site.licensing.entitlements(),
        credential: site.renewal.subscribe(),
        disabled: site.licensing.enabled().err().map(|error| error.reason),
        site,
    };
    live::tell(viewer, watched)
}

struct Watched {
    events: watch::Receiver<u64>,
    seats: watch::Receiver<()>,
    entitlements: EntitlementWatch,
    credential: CredentialWatch,
    disabled: Option<Reason>,
    site: Arc<Site>,
}

impl live::Changes for Watched {
    async fn next(&mut self) {
        let Self { events, seats, entitlements, credential, disabled, site } = self;
        let turned = async {
            loop {
                let now = site.licensing.enabled().err().map(|error| error.reason);
                if now != *disabled {
                    *disabled = now;
                    return;
                }
                site.clock.wait_until(site.clock.now() + LOOK, LOOK).await;
            }
        };
        // Their senders live as long as the service.
        tokio::select! {
            _ = events.changed() => {}
            _ = seats.changed() => {}
            _ = entitlements.changed() => {}
            _ = credential.changed() => {}
            () = turned => {}
        }
    }
}
