//! `licenses` and `assignments`: what there is, and who has it.

use clap::Subcommand;
use licensor::cli::{Failure, Output, instant, print, print_json, print_list, print_object, text};
use proto::licensing::v1::{
    AcquireLicenseRequest, AssignLicenseRequest, Assignment, ListAssignmentsRequest, ListModulesRequest,
    Module, ModuleKind, UnassignLicenseRequest, licensing_service_client::LicensingServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::entitlement::note_other_owners;

#[derive(Debug, Subcommand)]
pub(super) enum LicensesCommand {
    /// List the modules with their seats
    #[command(after_help = "Example:\n  license-service licenses list --vendor Example")]
    List {
        /// Only those of this vendor
        #[arg(long)]
        vendor: Option<String>,
    },
    /// Show one module, and who has its seats
    #[command(after_help = "Example:\n  license-service licenses show crm")]
    Show {
        /// Name of the module
        module: String,
        /// Its vendor, if more than one has a module of this name
        #[arg(long)]
        vendor: Option<String>,
    },
    /// Take a seat for a lease, and print its licence: to try what applications do
    #[command(
        after_help = "Example:\n  license-service licenses acquire --module crm --user anna > anna.jwt && license-service verify anna.jwt"
    )]
    Acquire {
        #[command(flatten)]
        named: Named,
        /// On which device
        #[arg(long, default_value_t)]
        device: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AssignmentsCommand {
    /// List the seats that are in use
    #[command(after_help = "Example:\n  license-service assignments list --module crm --assigned")]
    List {
        /// Only those of this vendor
        #[arg(long)]
        vendor: Option<String>,
        /// Only those of this module
        #[arg(long)]
        module: Option<String>,
        /// Only those that are assigned by name
        #[arg(long)]
        assigned: bool,
    },
    /// Give a user a seat by name
    #[command(after_help = "Example:\n  license-service assignments add --module crm --user anna")]
    Add(Named),
    /// Take the seat of a user away, and a lease with it
    #[command(after_help = "Example:\n  license-service assignments remove --module crm --user anna")]
    Remove(Named),
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// Name of the module
    #[arg(long)]
    module: String,
    /// The user
    #[arg(long)]
    user: String,
    /// Vendor of the module, if more than one has a module of this name
    #[arg(long, default_value_t)]
    vendor: String,
}

type Client = LicensingServiceClient<Channel>;

pub(super) async fn licenses(
    command: LicensesCommand,
    channel: Channel,
    output: Output,
) -> Result<(), Failure> {
    let mut client = Client::new(channel.clone());
    match command {
        LicensesCommand::List { vendor } => {
            note_other_owners(channel).await;
            let modules = modules(&mut client, vendor.unwrap_or_default()).await?;
            let rows: Vec<Value> = modules.iter().map(module_json).collect();
            let columns = ["vendor", "module", "kind", "in_use", "available", "total", "expires_at"];
            print_list(output, &columns, &rows)
        }
        LicensesCommand::Show { module, vendor } => {
            let mut found = modules(&mut client, vendor.unwrap_or_default()).await?;
            found.retain(|known| known.name == module);
            let (Some(found), true) = (found.pop(), found.is_empty()) else {
                let next =
                    "see `license-service licenses list`; if more than one vendor has it, give --vendor";
                return Err(Failure::Failed(format!("there is no one module {module}: {next}")));
            };
            let seats = seats(&mut client, found.vendor.clone(), module, false).await?;
            let mut shown = module_json(&found);
            shown["title"] = text(&found.title);
            shown["description"] = text(&found.description);
            shown["features"] = json!(found.features);
            shown["lease_seconds"] = json!(found.lease.map(|lease| lease.seconds));
            shown["borrowable"] = json!(found.borrowable);
            shown["borrowed"] = json!(found.borrowed);
            let holders = seats.iter().map(seat_json).collect::<Vec<_>>();
            if output == Output::Json {
                shown["holders"] = json!(holders);
                return print_object(output, &shown);
            }
            print_object(output, &shown)?;
            print_list(output, &["user", "device", "assigned", "borrowed", "lease_ends_at"], &holders)
        }
        LicensesCommand::Acquire { named: Named { module, user, vendor }, device } => {
            let request =
                AcquireLicenseRequest { vendor, module, subject: user, device, session: String::new() };
            let issued = client.acquire_license(request).await?.into_inner();
            for warning in &issued.warnings {
                eprintln!("note: {warning}");
            }
            match output {
                Output::Table => print(issued.license),
                Output::Json => print_json(&json!({
                    "license": issued.license,
                    "license_id": issued.license_id,
                    "expires_at": instant(issued.expire_time),
                    "warnings": issued.warnings,
                })),
            }
        }
    }
}

pub(super) async fn assignments(
    command: AssignmentsCommand,
    channel: Channel,
    output: Output,
) -> Result<(), Failure> {
    let mut client = Client::new(channel);
    match command {
        AssignmentsCommand::List { vendor, module, assigned } => {
            let seats =
                seats(&mut client, vendor.unwrap_or_default(), module.unwrap_or_default(), assigned).await?;
            let rows: Vec<Value> = seats.iter().map(seat_json).collect();
            let columns = ["vendor", "module", "user", "device", "assigned", "borrowed", "lease_ends_at"];
            print_list(output, &columns, &rows)
        }
        AssignmentsCommand::Add(Named { module, user, vendor }) => {
            let request = AssignLicenseRequest { vendor, module, user };
            let assigned = client.assign_license(request).await?.into_inner().assignment.unwrap_or_default();
            print_object(output, &seat_json(&assigned))
        }
        AssignmentsCommand::Remove(Named { module, user, vendor }) => {
            let request =
                UnassignLicenseRequest { vendor: vendor.clone(), module: module.clone(), user: user.clone() };
            client.unassign_license(request).await?;
            print_object(output, &json!({ "module": module, "user": user, "removed": true }))
        }
    }
}

async fn modules(client: &mut Client, vendor: String) -> Result<Vec<Module>, Failure> {
    let mut modules = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListModulesRequest { page_size: 1000, page_token, vendor: vendor.clone() };
        let page = client.list_modules(request).await?.into_inner();
        modules.extend(page.modules);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(modules);
        }
    }
}

async fn seats(
    client: &mut Client,
    vendor: String,
    module: String,
    assigned_only: bool,
) -> Result<Vec<Assignment>, Failure> {
    let mut seats = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAssignmentsRequest {
            page_size: 1000,
            page_token,
            vendor: vendor.clone(),
            module: module.clone(),
            assigned_only,
        };
        let page = client.list_assignments(request).await?.into_inner();
        seats.extend(page.assignments);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(seats);
        }
    }
}

fn module_json(module: &Module) -> Value {
    let kind = match module.kind() {
        ModuleKind::Site => "site",
        ModuleKind::Satellite => "satellite",
        ModuleKind::User | ModuleKind::Unspecified => "user",
    };
    json!({
        "vendor": module.vendor,
        "module": module.name,
        "kind": kind,
        "in_use": module.in_use,
        "available": module.available,
        "total": module.total,
        "expires_at": instant(module.expire_time),
    })
}

fn seat_json(seat: &Assignment) -> Value {
    let holder = seat.holder.clone().unwrap_or_default();
    json!({
        "vendor": seat.vendor,
        "module": seat.module,
        "user": holder.user,
        "device": text(&holder.device),
        "assigned": holder.assigned,
        "borrowed": holder.borrowed,
        "since": instant(seat.since_time),
        "lease_ends_at": instant(holder.lease_end_time),
        "license_id": text(&seat.license_id),
    })
}
