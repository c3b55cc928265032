//! `usage show` and `usage check`: what has been used, and whether the counters are what the events say.

use clap::Subcommand;
use licensor::{
    cli::{Failure, Output, Progress, print, print_list, print_object},
    error::{Error, Reason},
};
use proto::licensing::v1::{
    CheckUsageRequest, CheckUsageResponse, GetUsageRequest, UsageAggregation, UsageAmount, UsageCount,
    UsageDifference, UsageLine, VendorUsage, licensing_admin_service_client::LicensingAdminServiceClient,
    metering_service_client::MeteringServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

/// What was used.
#[derive(Debug, Subcommand)]
pub(super) enum UsageCommand {
    /// Show what has been used in a month so far
    #[command(after_help = "Example:\n  license-service usage show --month 2026-11 --output json")]
    Show {
        /// The month, like 2026-11 [default: the current one]
        #[arg(long)]
        month: Option<String>,
        /// Only of this vendor
        #[arg(long)]
        vendor: Option<String>,
    },
    /// Count every usage event anew, and compare with the counters; exit code 1 if they differ
    #[command(after_help = "Example:\n  license-service usage check --output json")]
    Check,
}

/// Runs one of the commands over the admin socket.
pub(super) async fn run(command: UsageCommand, channel: Channel, output: Output) -> Result<(), Failure> {
    match command {
        UsageCommand::Show { month, vendor } => {
            let request =
                GetUsageRequest { month: month.unwrap_or_default(), vendor: vendor.unwrap_or_default() };
            let usage = MeteringServiceClient::new(channel).get_usage(request).await?.into_inner();
            let rows: Vec<Value> = usage.vendors.iter().flat_map(vendor_json).collect();
            let columns =
                ["vendor", "month", "service", "unit", "used", "allowance", "percent", "surplus", "amount"];
            match output {
                Output::Json => print_list(output, &columns, &rows),
                Output::Table => {
                    print_list(output, &columns, &rows.into_iter().map(shown).collect::<Vec<_>>())
                }
            }
        }
        UsageCommand::Check => {
            let mut answers = LicensingAdminServiceClient::new(channel)
                .check_usage(CheckUsageRequest {})
                .await?
                .into_inner();
            let mut progress = Progress::new("usage events");
            while let Some(answer) = answers.message().await? {
                if answer.done {
                    progress.end();
                    return checked(&answer, output);
                }
                progress.show(answer.counted, answer.events);
            }
            Err(Failure::Failed("the service ended before everything was counted: try again".into()))
        }
    }
}

fn vendor_json(usage: &VendorUsage) -> impl Iterator<Item = Value> {
    usage.lines.iter().map(|line| {
        let mut row = json!({ "vendor": usage.vendor, "owner": usage.owner, "month": usage.month });
        let fields = [("time_zone", json!(usage.time_zone)), ("percent", percent(line))];
        if let (Value::Object(row), Value::Object(line)) = (&mut row, line_json(line)) {
            row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
            row.extend(line);
        }
        row
    })
}

/// Used share of the allowance, rounded down; null if nothing is included.
fn percent(line: &UsageLine) -> Value {
    match line.allowance.as_ref().map_or(0, |allowance| allowance.total) {
        0 => Value::Null,
        total => json!(u64::try_from(u128::from(line.used) * 100 / u128::from(total)).unwrap_or(u64::MAX)),
    }
}

/// A line as JSON shows it, in usage and in statements.
pub(super) fn line_json(line: &UsageLine) -> Value {
    let allowance = line.allowance.unwrap_or_default();
    json!({
        "service": line.service,
        "title": line.title,
        "unit": line.unit,
        "aggregation": aggregation(line.aggregation()),
        "used": line.used,
        "events": line.events,
        "allowance": {
            "base": allowance.base,
            "per_user": allowance.per_user,
            "users": allowance.users,
            "total": allowance.total,
        },
        "surplus": line.surplus,
        "price": line.price.as_ref().map(|price| json!({
            "minor_units": price.minor_units,
            "currency": price.currency,
            "per": price.per,
        })),
        "amount": line.amount.as_ref().map(amount_json),
    })
}

pub(super) fn aggregation(aggregation: UsageAggregation) -> &'static str {
    match aggregation {
        UsageAggregation::Unspecified => "unknown",
        UsageAggregation::Sum => "sum",
        UsageAggregation::Maximum => "maximum",
    }
}

pub(super) fn amount_json(amount: &UsageAmount) -> Value {
    json!({
        "minor_units": amount.minor_units,
        "currency": amount.currency,
        "exceeded": amount.exceeded,
    })
}

/// A row for people: what is an object in JSON becomes a word.
pub(super) fn shown(mut row: Value) -> Value {
    if row["allowance"].is_object() {
        row["allowance"] = row["allowance"]["total"].take();
    }
    let price = &row["price"];
    if let Some(per) = price["per"].as_u64() {
        let each = money(price["minor_units"].as_u64().map_or(0, i128::from), price["currency"].as_str());
        row["price"] = json!(if per == 1 { each } else { format!("{each} for {per}") });
    }
    let amount = &row["amount"];
    if amount.is_object() {
        let more = if amount["exceeded"] == true { "more than " } else { "" };
        let whole = money(amount["minor_units"].as_i64().map_or(0, i128::from), amount["currency"].as_str());
        row["amount"] = json!(format!("{more}{whole}"));
    }
    if let Some(percent) = row["percent"].as_u64() {
        row["percent"] = json!(format!("{percent} %"));
    }
    row
}

/// Money for people: with as many decimals as the currency has (ISO 4217).
pub(super) fn money(minor_units: i128, currency: Option<&str>) -> String {
    let currency = currency.unwrap_or_default();
    let decimals = crate::currency::decimals(currency);
    let unit = 10_i128.pow(decimals);
    let (whole, rest) = (minor_units / unit, (minor_units % unit).unsigned_abs());
    let sign = if minor_units < 0 && whole == 0 { "-" } else { "" };
    match decimals {
        0 => format!("{sign}{whole} {currency}"),
        _ => format!("{sign}{whole}.{rest:0width$} {currency}", width = decimals as usize),
    }
}

/// Shows the outcome; a difference is a failure.
fn checked(outcome: &CheckUsageResponse, output: Output) -> Result<(), Failure> {
    let differences: Vec<Value> = outcome.differences.iter().map(difference_json).collect();
    let agree = differences.is_empty();
    match output {
        Output::Json => print_object(
            output,
            &json!({ "events": outcome.events, "agree": agree, "differences": differences }),
        )?,
        Output::Table if agree => {
            print(format!("{} usage events were counted anew: the counters agree", outcome.events))?;
        }
        Output::Table => {
            let rows: Vec<Value> = differences
                .iter()
                .map(|difference| {
                    let mut row = difference.clone();
                    for side in ["counter", "recount"] {
                        let count = &difference[side];
                        let (sum, maximum, events) = (&count["sum"], &count["maximum"], &count["events"]);
                        row[side] = json!(format!("{sum} in {events}, at most {maximum}"));
                    }
                    row
                })
                .collect();
            let columns = ["vendor", "service", "month", "statement_month", "counter", "recount"];
            print_list(output, &columns, &rows)?;
        }
    }
    if agree {
        return Ok(());
    }
    let message = format!(
        "{} counters are not what the usage events say: keep a copy of the data directory, and find out what changed it",
        differences.len()
    );
    Err(Failure::Refused(Error::new(Reason::UsageCountersWrong, message)))
}

fn difference_json(difference: &UsageDifference) -> Value {
    let count = |count: &Option<UsageCount>| {
        let count = count.unwrap_or_default();
        json!({ "sum": count.sum, "maximum": count.maximum, "events": count.events })
    };
    json!({
        "vendor": difference.vendor,
        "service": difference.service,
        "month": difference.month,
        "statement_month": difference.statement_month,
        "counter": count(&difference.counter),
        "recount": count(&difference.recount),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_decimals_of_its_currency() {
        assert_eq!(money(1234, Some("EUR")), "12.34 EUR");
        assert_eq!(money(5, Some("EUR")), "0.05 EUR");
        assert_eq!(money(-5, Some("EUR")), "-0.05 EUR");
        assert_eq!(money(-1234, Some("EUR")), "-12.34 EUR");
        assert_eq!(money(1234, Some("JPY")), "1234 JPY");
        assert_eq!(money(1234, Some("KWD")), "1.234 KWD");
    }
}
