//! `statements list` and `statements show`: for people, for programs, and for spreadsheets.

use clap::{Subcommand, ValueEnum};
use licensor::cli::{Failure, Output, instant, print, print_json, print_list, print_object, text};
use proto::licensing::v1::{
    GetStatementRequest, ListStatementsRequest, Statement, StatementState, StatementSummary, UsageAdjustment,
    metering_service_client::MeteringServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{
    statement_csv::csv,
    usage::{aggregation, amount_json, line_json, money, shown},
};

/// Statements: list or show.
#[derive(Debug, Subcommand)]
pub(super) enum StatementsCommand {
    /// List statements by vendor and month, drafts among them
    #[command(after_help = "Example:\n  license-service statements list --output json")]
    List {
        /// Only of this vendor
        #[arg(long)]
        vendor: Option<String>,
    },
    /// Show one statement
    #[command(after_help = "Example:\n  license-service statements show 2026-11 --format csv > 2026-11.csv")]
    Show {
        /// The month, like 2026-11
        month: String,
        /// The vendor, if there is more than one
        #[arg(long)]
        vendor: Option<String>,
        /// Form of the statement [default: as --output says]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
}

/// Forms of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// One JSON value, for programs
    Json,
    /// One row for each line and adjustment, for spreadsheets
    Csv,
}

/// Runs one of the commands over the admin socket.
pub(super) async fn run(command: StatementsCommand, channel: Channel, output: Output) -> Result<(), Failure> {
    let mut client = MeteringServiceClient::new(channel);
    match command {
        StatementsCommand::List { vendor } => {
            let vendor = vendor.unwrap_or_default();
            let mut request = ListStatementsRequest { page_size: 1000, page_token: String::new(), vendor };
            let mut rows = Vec::new();
            loop {
                let page = client.list_statements(request.clone()).await?.into_inner();
                rows.extend(page.statements.iter().map(|summary| summary_json(summary, output)));
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    return print_list(output, &["vendor", "month", "state", "final_at", "totals"], &rows);
                }
            }
        }
        StatementsCommand::Show { month, vendor, format } => {
            let request = GetStatementRequest { vendor: vendor.unwrap_or_default(), month };
            let statement = client.get_statement(request).await?.into_inner().statement.unwrap_or_default();
            match (format, output) {
                (Some(Format::Csv), _) => print(csv(&statement)?.trim_end()),
                (Some(Format::Json), _) | (None, Output::Json) => print_json(&statement_json(&statement)),
                (Some(Format::Table) | None, _) => print_statement(&statement),
            }
        }
    }
}

pub(super) fn state(state: StatementState) -> &'static str {
    match state {
        StatementState::Unspecified => "unknown",
        StatementState::Draft => "draft",
        StatementState::Final => "final",
    }
}

fn summary_json(summary: &StatementSummary, output: Output) -> Value {
    let totals: Vec<Value> = match output {
        Output::Json => summary.totals.iter().map(amount_json).collect(),
        Output::Table => summary
            .totals
            .iter()
            .map(|total| json!(money(total.minor_units.into(), Some(&total.currency))))
            .collect(),
    };
    json!({
        "vendor": summary.vendor,
        "month": summary.month,
        "state": state(summary.state()),
        "start": instant(summary.start_time),
        "end": instant(summary.end_time),
        "final_at": instant(summary.final_time),
        "totals": totals,
        "digest": text(&summary.digest),
    })
}

fn head_json(statement: &Statement) -> Value {
    json!({
        "vendor": statement.vendor,
        "owner": statement.owner,
        "company": text(&statement.company),
        "serial_number": text(&statement.serial_number),
        "month": statement.month,
        "state": state(statement.state()),
        "time_zone": statement.time_zone,
        "start": instant(statement.start_time),
        "end": instant(statement.end_time),
        "final_at": instant(statement.final_time),
        "entitlement": { "id": statement.entitlement_id, "version": statement.entitlement_version },
        "allowance_rule": statement.allowance_rule,
        "digest": text(&statement.digest),
    })
}

fn statement_json(statement: &Statement) -> Value {
    let mut json = head_json(statement);
    json["lines"] = statement.lines.iter().map(line_json).collect();
    json["adjustments"] = statement.adjustments.iter().map(adjustment_json).collect();
    json["totals"] = statement.totals.iter().map(amount_json).collect();
    json
}

pub(super) fn adjustment_json(late: &UsageAdjustment) -> Value {
    let allowance = late.allowance.unwrap_or_default();
    json!({
        "month": late.month,
        "service": late.service,
        "title": late.title,
        "unit": late.unit,
        "aggregation": aggregation(late.aggregation()),
        "quantity": late.quantity,
        "events": late.events,
        "used_before": late.used_before,
        "used_after": late.used_after,
        "allowance": {
            "base": allowance.base,
            "per_user": allowance.per_user,
            "users": allowance.users,
            "total": allowance.total,
        },
        "surplus_before": late.surplus_before,
        "surplus_after": late.surplus_after,
        "price": late.price.as_ref().map(|price| json!({
            "minor_units": price.minor_units,
            "currency": price.currency,
            "per": price.per,
        })),
        "amount": late.amount.as_ref().map(amount_json),
    })
}

/// For people: what it is about, its lines, what came late, and the totals.
fn print_statement(statement: &Statement) -> Result<(), Failure> {
    print_object(Output::Table, &head_json(statement))?;
    print("")?;
    let users = |mut row: Value| {
        row["users"] = row["allowance"]["users"].clone();
        shown(row)
    };
    let lines: Vec<_> = statement.lines.iter().map(line_json).map(users).collect();
    let columns = ["service", "title", "unit", "used", "users", "allowance", "surplus", "price", "amount"];
    print_list(Output::Table, &columns, &lines)?;
    if !statement.adjustments.is_empty() {
        print("\nReported late, for months whose statement was final:")?;
        let late: Vec<_> = statement.adjustments.iter().map(adjustment_json).map(users).collect();
        let columns = [
            "month",
            "service",
            "unit",
            "quantity",
            "used_before",
            "used_after",
            "allowance",
            "surplus_after",
            "price",
            "amount",
        ];
        print_list(Output::Table, &columns, &late)?;
    }
    if statement.totals.is_empty() {
        return Ok(());
    }
    let more = |exceeded| if exceeded { "more than " } else { "" };
    let totals: Vec<_> = statement
        .totals
        .iter()
        .map(|total| {
            format!("{}{}", more(total.exceeded), money(total.minor_units.into(), Some(&total.currency)))
        })
        .collect();
    print(format!("\nTotal  {}", totals.join(", ")))
}
