//! What is measured at a licensing server.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use licensor::{admin::connect, clock::SharedClock, tls::client_config};
use proto::certification::v1::PutEntitlementRequest;
use proto::licensing::v1::{
    AcquireLicenseRequest, CreateAccessTokenRequest, ExtendLicenseRequest, ListModulesRequest,
    licensing_admin_service_client::LicensingAdminServiceClient,
    licensing_service_client::LicensingServiceClient,
};
use tonic::{Request, metadata::AsciiMetadataValue, transport::Channel};

use crate::{
    Arguments, connection, fleet,
    measure::measure,
    report::{Kind, Report},
    service::{Root, Service, command, free_port, run},
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
    let config = directory.join("license.toml");
    let address = free_port()?;
    let text = format!(
        "data_dir = {:?}\nlisten = \"{address}\"\nops_listen = \"{}\"\n\
         [access]\ncalls_per_second = 1000000\nburst = 1000000\n",
        directory.join("node"),
        free_port()?
    );
    fs::write(&config, text)?;
    let mut administration = fleet::administration(root).await?;
    let document = ENTITLEMENT.to_owned();
    administration.put_entitlement(PutEntitlementRequest { document }).await?;
    let token = fleet::create_token(administration, "licences").await?;
    let mut enroll = command("license-service", &config, report.pinned)?;
    enroll.args(["enroll", "--token", "-"]);
    run(enroll, &token)?;
    let serve = command("license-service", &config, report.pinned)?;
    let process = Service::start(serve, &config.with_extension("log"), address, clock).await?;
    eprintln!("process {} of license-service", process.id());
    let mut administration =
        LicensingAdminServiceClient::new(connect(&directory.join("node/admin.sock")).await?);
    let order = CreateAccessTokenRequest { name: "load".to_owned(), ..Default::default() };
    let created = administration.create_access_token(order).await?.into_inner();
    let token: AsciiMetadataValue = format!("Bearer {}", created.token).parse()?;

    let tls = client_config(&fleet::anchors(root)?, None, clock.clone())?;
    let channels = try_join_all((0..IN_FLIGHT).map(|_| connection::open(address, tls.clone()))).await?;
    let clients: Vec<Client> = channels
        .iter()
        .map(|channel| Client { channel: channel.clone(), token: token.clone(), held: Arc::default() })
        .collect();
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
    drop(channels);
    process.stop(clock).await
}

/// An application on a connection of its own.
#[derive(Clone)]
struct Client {
    channel: Channel,
    token: AsciiMetadataValue,
    /// Licences that it holds.
    held: Arc<Mutex<VecDeque<String>>>,
}

impl Client {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }

    fn licensing(&self) -> LicensingServiceClient<Channel> {
        LicensingServiceClient::new(self.channel.clone())
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn acquire(self, number: usize) -> Result<()> {
        let request = self.request(AcquireLicenseRequest {
            vendor: "Example".to_owned(),
            module: "editor".to_owned(),
            subject: format!("user-{number}"),
            ..AcquireLicenseRequest::default()
        });
        let license_id = self.licensing().acquire_license(request).await?.into_inner().license_id;
        self.held().push_back(license_id);
        Ok(())
    }

    /// Extends the licence that it has extended the longest time ago.
    async fn extend(self) -> Result<()> {
        let license_id = self.held().pop_front().context("no licence")?;
        let request = self.request(ExtendLicenseRequest { license_id: license_id.clone() });
        self.licensing().extend_license(request).await?;
        self.held().push_back(license_id);
        Ok(())
    }

    async fn count(self) -> Result<()> {
        self.licensing().list_modules(self.request(ListModulesRequest::default())).await?;
        Ok(())
    }
}
