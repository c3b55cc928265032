//! Commands about entitlements.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use licensor::{
    cli::{self, Failure, Output, instant, print_list, print_object},
    clock::{from_unix_seconds, timestamp},
    error::{Error, Reason},
};
use proto::certification::v1::{
    EntitlementRecord, ListEntitlementsRequest, PutEntitlementRequest, ShowEntitlementRequest,
};
use serde_json::{Value, json};
use verifier::{EntitlementClaims, read_entitlement};

use super::Client;

#[derive(Debug, Subcommand)]
pub(super) enum EntitlementCommand {
    /// Sign what a document states, with a version above that of before; nothing if it says nothing new
    #[command(
        after_help = "Example:\n  root-service entitlement put entitlement.toml\n  generate | root-service entitlement put -\n\nThe document is TOML, or JSON if it begins with `{`:\n  owner = \"Example GmbH\"           # as in the tokens of its licensing servers\n  vendor = \"Example\"\n  serial_number = \"EX-2026-001\"\n  [dates]\n  expires = 2027-12-31\n  [[modules]]\n  name = \"crm\"\n  quantity = 10\n  lease = \"1h\""
    )]
    Put {
        /// The document; `-` reads standard input
        file: PathBuf,
    },
    /// List the newest entitlement of each owner and vendor
    #[command(after_help = "Example:\n  root-service entitlement list --owner 'Example GmbH'")]
    List {
        /// Only those of this owner
        #[arg(long)]
        owner: Option<String>,
    },
    /// Show the newest entitlement of an owner and a vendor
    #[command(
        after_help = "Example:\n  root-service entitlement show --owner 'Example GmbH' --vendor Example --jws > entitlement.jws"
    )]
    Show {
        /// The owner
        #[arg(long)]
        owner: String,
        /// The vendor; may be left out if the owner has entitlements of one alone
        #[arg(long)]
        vendor: Option<String>,
        /// Print the signed entitlement (a compact JWS), to be carried to a licensing server
        #[arg(long)]
        jws: bool,
        /// Print the document that it was made from
        #[arg(long, conflicts_with = "jws")]
        document: bool,
    },
}

pub(super) async fn run(
    command: EntitlementCommand,
    client: &mut Client,
    output: Output,
) -> Result<(), Failure> {
    match command {
        EntitlementCommand::Put { file } => {
            let document = document(&file)?;
            let answer = client.put_entitlement(PutEntitlementRequest { document }).await?.into_inner();
            if answer.unchanged {
                eprintln!("note: the document says nothing new: the entitlement stays as it is");
            }
            let mut shown = row(&answer.entitlement.unwrap_or_default());
            shown["unchanged"] = json!(answer.unchanged);
            print_object(output, &shown)
        }
        EntitlementCommand::List { owner } => {
            let owner = owner.unwrap_or_default();
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = ListEntitlementsRequest { page_size: 1000, page_token, owner: owner.clone() };
                let page = client.list_entitlements(request).await?.into_inner();
                rows.extend(page.entitlements.iter().map(row));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    let columns = ["owner", "vendor", "version", "expires", "put_at", "put_by"];
                    return print_list(output, &columns, &rows);
                }
            }
        }
        EntitlementCommand::Show { owner, vendor, jws, document } => {
            let request = ShowEntitlementRequest { owner, vendor: vendor.unwrap_or_default() };
            let found = client.show_entitlement(request).await?.into_inner().entitlement.unwrap_or_default();
            let signed = found.signed.clone().unwrap_or_default();
            match output {
                Output::Table if jws => cli::print(signed.entitlement),
                Output::Json if jws => print_object(output, &json!({ "jws": signed.entitlement })),
                Output::Table if document => {
                    cli::print(found.document.strip_suffix('\n').unwrap_or(&found.document))
                }
                Output::Json if document => print_object(output, &json!({ "document": found.document })),
                Output::Json => print_object(output, &whole(&found)),
                Output::Table => print_whole(&whole(&found)),
            }
        }
    }
}

/// All that an entitlement says, with a table of its modules and one of its services.
fn print_whole(shown: &Value) -> Result<(), Failure> {
    let mut head = shown.clone();
    if let Some(head) = head.as_object_mut() {
        head.remove("modules");
        head.remove("services");
    }
    print_object(Output::Table, &head)?;
    let tables: [(&str, &[&str]); 2] = [
        ("modules", &["name", "title", "kind", "quantity", "lease", "features", "expires"]),
        ("services", &["name", "title", "unit", "aggregation", "allowance", "price"]),
    ];
    for (what, columns) in tables {
        let rows = shown[what].as_array().map(Vec::as_slice).unwrap_or_default();
        if !rows.is_empty() {
            cli::print(format!("\n{what}:"))?;
            print_list(Output::Table, columns, rows)?;
        }
    }
    Ok(())
}

/// The text of a file; of standard input if it is `-`.
fn document(file: &Path) -> Result<String, Failure> {
    let mut octets = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut octets).map(|_| ())
    } else {
        std::fs::read(file).map(|read| octets = read)
    };
    read.map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    String::from_utf8(octets).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|octet| **octet == b'\n').count() + 1;
        let message = format!("line {line}: the document is not in UTF-8");
        Failure::Refused(Error::new(Reason::EntitlementInvalid, message).with("line", line.to_string()))
    })
}

/// An entitlement in one line.
fn row(record: &EntitlementRecord) -> Value {
    let signed = record.signed.clone().unwrap_or_default();
    let expires =
        read_entitlement(&signed.entitlement).ok().and_then(|claims| claims.entitlement.dates.expires);
    json!({
        "owner": signed.owner,
        "vendor": signed.vendor,
        "version": signed.version,
        "expires": date(expires),
        "put_at": instant(record.put_time),
        "put_by": record.put_by,
    })
}

/// All that an entitlement says.
fn whole(record: &EntitlementRecord) -> Value {
    let mut shown = row(record);
    let signed = record.signed.clone().unwrap_or_default();
    // What was signed, as the service has it: whoever trusts nobody takes the JWS, and verifies it.
    let Ok(EntitlementClaims { iss, entitlement, .. }) = read_entitlement(&signed.entitlement) else {
        return shown;
    };
    shown["issuer"] = json!(iss);
    shown["company"] = json!(entitlement.company);
    shown["serial_number"] = json!(entitlement.serial_number);
    shown["time_zone"] = json!(entitlement.time_zone);
    shown["grace_ends"] = date(entitlement.dates.grace_ends);
    shown["maintenance_ends"] = date(entitlement.dates.maintenance_ends);
    shown["next_check"] = date(entitlement.dates.next_check);
    shown["first_warning"] = date(entitlement.dates.first_warning);
    let modules = entitlement.modules.iter().map(|module| {
        let mut shown = json!(module);
        shown["expires"] = date(module.expires);
        shown
    });
    shown["modules"] = modules.collect();
    shown["services"] = json!(entitlement.services);
    shown
}

fn date(seconds: Option<i64>) -> Value {
    instant(seconds.map(|seconds| timestamp(from_unix_seconds(seconds))))
}
