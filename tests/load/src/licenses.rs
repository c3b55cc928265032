//! What licences cost at a licensing server.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use licensor::clock::SharedClock;
use proto::licensing::v1::{
    AcquireLicenseRequest, ExtendLicenseRequest, ListModulesRequest,
    licensing_service_client::LicensingServiceClient,
};
use tonic::transport::Channel;

use crate::{
    Arguments,
    measure::measure,
    node::{Application, Node},
    report::{Kind, Report},
    service::Root,
};

/// Licences in flight at once.
const IN_FLIGHT: usize = 64;
/// Licences in a round.
const LICENSES: usize = 6400;

/// What the owner has.
const ENTITLEMENT: &str = r#"
owner = "Example GmbH"
vendor = "Example"
serial_number = "EX-1"
[[modules]]
name = "editor"
quantity = 1000000
features = ["export"]
"#;

/// Enrols a licensing server, and acquires licences from it on a connection each.
pub(crate) async fn acquire_all(
    arguments: &Arguments,
    directory: &Path,
    root: &Root,
    clock: &SharedClock,
    report: &mut Report,
) -> Result<()> {
    let node = Node::enroll("licences", ENTITLEMENT.to_owned(), directory, root, clock).await?;
    let process = node.start(clock).await?;
    let applications = node.connect(IN_FLIGHT).await?;
    let clients: Vec<Client> =
        applications.into_iter().map(|application| Client { application, held: Arc::default() }).collect();
    // Nobody comes twice: every seat is a new one.
    let mut user = 0_usize;
    for round in 0..=arguments.rounds {
        for &in_flight in &arguments.in_flight {
            // The first round fills the caches.
            let mut keep = |kind, sample| {
                if round > 0 {
                    report.add(kind, in_flight, sample);
                }
            };
            let count = LICENSES * in_flight / IN_FLIGHT;
            let turns = || clients.iter().take(in_flight).cycle().take(count).cloned();
            let calls = turns().map(|client| {
                user += 1;
                client.acquire(user)
            });
            keep(Kind::License, measure(&process, clock, in_flight, calls.collect::<Vec<_>>()).await?.0);
            let calls = turns().map(Client::extend);
            keep(Kind::Extension, measure(&process, clock, in_flight, calls).await?.0);
            let calls = turns().map(Client::count);
            keep(Kind::Counts, measure(&process, clock, in_flight, calls).await?.0);
        }
    }
    drop(clients);
    process.stop(clock).await
}

/// Takes a seat that nobody had, and returns the licence's identifier.
pub(crate) async fn acquire(application: &Application, module: &str, user: usize) -> Result<String> {
    let request = application.request(AcquireLicenseRequest {
        vendor: "Example".to_owned(),
        module: module.to_owned(),
        subject: format!("user-{user}"),
        ..AcquireLicenseRequest::default()
    });
    let mut licensing = LicensingServiceClient::new(application.channel.clone());
    Ok(licensing.acquire_license(request).await?.into_inner().license_id)
}

/// An application and the licences that it holds.
#[derive(Clone)]
struct Client {
    application: Application,
    held: Arc<Mutex<VecDeque<String>>>,
}

impl Client {
    fn licensing(&self) -> LicensingServiceClient<Channel> {
        LicensingServiceClient::new(self.application.channel.clone())
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn acquire(self, user: usize) -> Result<()> {
        let license_id = acquire(&self.application, "editor", user).await?;
        self.held().push_back(license_id);
        Ok(())
    }

    /// Extends the licence that it has extended the longest time ago.
    async fn extend(self) -> Result<()> {
        let license_id = self.held().pop_front().context("no licence")?;
        let request = self.application.request(ExtendLicenseRequest { license_id: license_id.clone() });
        self.licensing().extend_license(request).await?;
        self.held().push_back(license_id);
        Ok(())
    }

    async fn count(self) -> Result<()> {
        self.licensing().list_modules(self.application.request(ListModulesRequest::default())).await?;
        Ok(())
    }
}
