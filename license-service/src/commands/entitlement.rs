//! `entitlement`: what the owner has, and what a newer version would change.

use std::{fs, io, path::PathBuf};

use clap::Subcommand;
use licensor::cli::{Failure, Output, instant, print, print_json, print_list, print_object};
use proto::licensing::v1::{
    ActivateEntitlementRequest, CheckEntitlementRequest, EntitlementPreview, GetStatusRequest,
    ImportEntitlementRequest, InstalledEntitlement, ListInstalledEntitlementsRequest, SuperfluousSeats,
    licensing_admin_service_client::LicensingAdminServiceClient, status_service_client::StatusServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

#[derive(Debug, Subcommand)]
pub(super) enum EntitlementCommand {
    /// Show the entitlements in force
    #[command(after_help = "Example:\n  license-service entitlement show --output json")]
    Show,
    /// Ask the root for newer versions, and show what they would change
    #[command(after_help = "Nothing comes into force.\n\nExample:\n  license-service entitlement check")]
    Check,
    /// Put a newer version into force
    #[command(
        after_help = "While more is in use than the new version has, it is refused, and says whose seats are too many.\n\nExample:\n  license-service entitlement activate --vendor Example"
    )]
    Activate {
        /// The vendor, if more than one has a newer version
        #[arg(long)]
        vendor: Option<String>,
        /// Take seats that are too many from those who have them: the newest leases first, assignments last
        #[arg(long)]
        remove_superfluous: bool,
    },
    /// Load an entitlement from a file, and show what it would change; `entitlement activate` puts it into force
    #[command(after_help = "Example:\n  license-service entitlement import example.entitlement")]
    Import {
        /// File with the entitlement, a compact JWS; `-` reads standard input
        file: PathBuf,
    },
}

pub(super) async fn run(
    command: EntitlementCommand,
    channel: Channel,
    output: Output,
) -> Result<(), Failure> {
    let mut client = LicensingAdminServiceClient::new(channel.clone());
    match command {
        EntitlementCommand::Show => {
            note_other_owners(channel).await;
            let request = ListInstalledEntitlementsRequest {};
            let installed = client.list_installed_entitlements(request).await?.into_inner().entitlements;
            let rows: Vec<Value> = installed.iter().map(installed_json).collect();
            let columns = ["vendor", "version", "company", "serial_number", "expires_at", "grace_ends_at"];
            print_list(output, &columns, &rows)
        }
        EntitlementCommand::Check => {
            note_other_owners(channel).await;
            let previews = client.check_entitlement(CheckEntitlementRequest {}).await?.into_inner().previews;
            if output == Output::Json {
                return print_json(&json!(previews.iter().map(preview_json).collect::<Vec<_>>()));
            }
            if previews.is_empty() {
                return print("There is no newer entitlement.");
            }
            previews.iter().try_for_each(print_preview)
        }
        EntitlementCommand::Import { file } => {
            let unreadable = |error: io::Error| Failure::Failed(format!("{}: {error}", file.display()));
            let entitlement = match file.as_os_str() == "-" {
                true => io::read_to_string(io::stdin()).map_err(unreadable)?,
                false => fs::read_to_string(&file).map_err(unreadable)?,
            };
            let request = ImportEntitlementRequest { entitlement };
            let preview = client.import_entitlement(request).await?.into_inner().preview.unwrap_or_default();
            match output {
                Output::Json => print_json(&preview_json(&preview)),
                Output::Table => print_preview(&preview),
            }
        }
        EntitlementCommand::Activate { vendor, remove_superfluous } => {
            let request =
                ActivateEntitlementRequest { vendor: vendor.unwrap_or_default(), remove_superfluous };
            let activated = client.activate_entitlement(request).await?.into_inner();
            let mut shown = installed_json(&activated.entitlement.unwrap_or_default());
            shown["removed"] = json!(activated.removed.iter().map(superfluous_json).collect::<Vec<_>>());
            print_object(output, &shown)
        }
    }
}

/// Says on standard error which entitlements in force are for another owner than this server's, and what helps. It is a note
/// beside an answer: if it cannot be had, the answer is enough.
pub(super) async fn note_other_owners(channel: Channel) {
    let status = StatusServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await;
    let request = ListInstalledEntitlementsRequest {};
    let installed = LicensingAdminServiceClient::new(channel).list_installed_entitlements(request).await;
    let (Ok(status), Ok(installed)) = (status, installed) else { return };
    let owner = status.into_inner().owner;
    for entitlement in installed.into_inner().entitlements {
        if !owner.is_empty() && entitlement.owner != owner {
            eprintln!(
                "note: the entitlement of {} is for {}, and this licensing server belongs to {owner} now: no licences are issued for it; ask {} for one for {owner}, and fetch it with `license-service entitlement check`",
                entitlement.vendor, entitlement.owner, entitlement.vendor
            );
        }
    }
}

fn print_preview(preview: &EntitlementPreview) -> Result<(), Failure> {
    let EntitlementPreview { vendor, installed_version, version, .. } = preview;
    match (installed_version, preview.changes.is_empty()) {
        (_, true) => return print(format!("{vendor}: version {version} is in force already.")),
        (0, _) => print(format!("{vendor}: version {version} would be the first."))?,
        _ => print(format!("{vendor}: version {version} would follow version {installed_version}."))?,
    }
    let changes = preview.changes.iter();
    let rows: Vec<Value> =
        changes.map(|change| json!({ "what": change.what, "now": change.from, "then": change.to })).collect();
    print_list(Output::Table, &["what", "now", "then"], &rows)?;
    for seats in &preview.superfluous {
        let users: Vec<&str> = seats.holders.iter().map(|holder| holder.user.as_str()).collect();
        print(format!(
            "In its way: {} of {} are in use, and there would be {}. Too many: {}.",
            seats.in_use,
            seats.module,
            seats.total,
            users.join(", ")
        ))?;
    }
    Ok(())
}

fn installed_json(installed: &InstalledEntitlement) -> Value {
    json!({
        "vendor": installed.vendor,
        "version": installed.version,
        "owner": installed.owner,
        "company": installed.company,
        "serial_number": installed.serial_number,
        "time_zone": installed.time_zone,
        "expires_at": instant(installed.expire_time),
        "grace_ends_at": instant(installed.grace_end_time),
        "maintenance_ends_at": instant(installed.maintenance_end_time),
        "next_check_at": instant(installed.next_check_time),
        "first_warning_at": instant(installed.first_warning_time),
        "issuer": installed.issuer,
        "issued_at": instant(installed.issue_time),
    })
}

fn preview_json(preview: &EntitlementPreview) -> Value {
    let changes = preview.changes.iter();
    json!({
        "vendor": preview.vendor,
        "installed_version": preview.installed_version,
        "version": preview.version,
        "changes": changes
            .map(|change| json!({ "what": change.what, "from": change.from, "to": change.to }))
            .collect::<Vec<_>>(),
        "superfluous": preview.superfluous.iter().map(superfluous_json).collect::<Vec<_>>(),
    })
}

fn superfluous_json(seats: &SuperfluousSeats) -> Value {
    let holders = seats.holders.iter();
    json!({
        "module": seats.module,
        "in_use": seats.in_use,
        "total": seats.total,
        "holders": holders
            .map(|holder| {
                json!({
                    "user": holder.user,
                    "device": holder.device,
                    "assigned": holder.assigned,
                    "lease_ends_at": instant(holder.lease_end_time),
                })
            })
            .collect::<Vec<_>>(),
    })
}
