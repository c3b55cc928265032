//! What is measured at a licensing server.

use std::{fs, path::Path};

use anyhow::Result;
use futures_util::future::try_join_all;
use licensor::{admin::connect, clock::SharedClock, tls::client_config};
use proto::certification::v1::PutEntitlementRequest;
use proto::licensing::v1::{
    AcquireLicenseRequest, CreateAccessTokenRequest,
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
    for round in 0..=arguments.rounds {
        let calls = channels.iter().cycle().take(LICENSES).enumerate();
        let calls = calls.map(|(number, channel)| acquire(channel.clone(), &token, number));
        let (sample, _) = measure(&process, clock, IN_FLIGHT, calls).await?;
        // The first round fills the caches.
        if round > 0 {
            report.add(Kind::License, IN_FLIGHT, sample);
        }
    }
    drop(channels);
    process.stop(clock).await
}

async fn acquire(channel: Channel, token: &AsciiMetadataValue, number: usize) -> Result<()> {
    let mut request = Request::new(AcquireLicenseRequest {
        vendor: "Example".to_owned(),
        module: "editor".to_owned(),
        subject: format!("user-{number}"),
        ..AcquireLicenseRequest::default()
    });
    request.metadata_mut().insert("authorization", token.clone());
    LicensingServiceClient::new(channel).acquire_license(request).await?;
    Ok(())
}
