//! A statement for spreadsheets: one row for each line and adjustment.

use licensor::cli::Failure;
use proto::licensing::v1::Statement;
use serde_json::{Value, json};

use super::{
    statements::{adjustment_json, state},
    usage::line_json,
};

const COLUMNS: [&str; 20] = [
    "vendor",
    "statement",
    "state",
    "row",
    "month",
    "service",
    "title",
    "unit",
    "aggregation",
    "quantity",
    "used",
    "allowance_base",
    "allowance_per_user",
    "users",
    "allowance",
    "surplus",
    "price_minor_units",
    "price_per",
    "amount_minor_units",
    "currency",
];

/// One row for each line and adjustment. `quantity` is what the row adds to `used`: for an adjustment, what came late.
pub(super) fn csv(statement: &Statement) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(Failure::other)?;
    let lines = statement.lines.iter().map(|line| {
        let mut row = line_json(line);
        row["row"] = json!("line");
        row["month"] = json!(statement.month);
        row["quantity"] = row["used"].clone();
        row
    });
    let adjustments = statement.adjustments.iter().map(|late| {
        let mut row = adjustment_json(late);
        row["row"] = json!("adjustment");
        row["used"] = row["used_after"].clone();
        row["surplus"] = row["surplus_after"].clone();
        row
    });
    for mut row in lines.chain(adjustments) {
        row["vendor"] = json!(statement.vendor);
        row["statement"] = json!(statement.month);
        row["state"] = json!(state(statement.state()));
        let (allowance, price, amount) = (row["allowance"].take(), row["price"].take(), row["amount"].take());
        row["allowance_base"] = allowance["base"].clone();
        row["allowance_per_user"] = allowance["per_user"].clone();
        row["users"] = allowance["users"].clone();
        row["allowance"] = allowance["total"].clone();
        row["price_minor_units"] = price["minor_units"].clone();
        row["price_per"] = price["per"].clone();
        row["amount_minor_units"] = amount["minor_units"].clone();
        row["currency"] = price["currency"].clone();
        writer.write_record(COLUMNS.map(|column| cell(&row[column]))).map_err(Failure::other)?;
    }
    let octets = writer.into_inner().map_err(Failure::other)?;
    String::from_utf8(octets).map_err(Failure::other)
}

/// A cell of a spreadsheet: text that it would take for a formula begins with an apostrophe.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text)
            if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) =>
        {
            format!("'{text}")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proto::licensing::v1::{
        StatementState, UsageAdjustment, UsageAllowance, UsageAmount, UsageLine, UsagePrice,
    };

    use super::*;

    #[test]
    fn a_spreadsheet_gets_numbers_and_no_formulas() {
        let price = UsagePrice { minor_units: 5, currency: "EUR".into(), per: 10 };
        let amount = UsageAmount { minor_units: 10, currency: "EUR".into(), exceeded: false };
        let allowance = UsageAllowance { base: 90, per_user: 5, users: 2, total: 100 };
        let line = UsageLine {
            service: "mail".into(),
            title: "=HYPERLINK(\"http://evil\", \"x\")".into(),
            unit: "e-mail, \"sent\"".into(),
            used: 115,
            surplus: 15,
            allowance: Some(allowance),
            price: Some(price.clone()),
            amount: Some(amount.clone()),
            ..UsageLine::default()
        };
        let late = UsageAdjustment {
            month: "2026-10".into(),
            service: "-mail".into(),
            quantity: 7,
            used_after: 122,
            surplus_after: 22,
            price: Some(price),
            amount: Some(amount),
            ..UsageAdjustment::default()
        };
        let statement = Statement {
            vendor: "acme".into(),
            month: "2026-11".into(),
            state: StatementState::Final.into(),
            lines: vec![line],
            adjustments: vec![late],
            ..Statement::default()
        };
        let text = csv(&statement).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        let line = [
            "acme",
            "2026-11",
            "final",
            "line",
            "2026-11",
            "mail",
            "'=HYPERLINK(\"http://evil\", \"x\")",
            "e-mail, \"sent\"",
            "unknown",
            "115",
            "115",
            "90",
            "5",
            "2",
            "100",
            "15",
            "5",
            "10",
            "10",
            "EUR",
        ];
        assert_eq!(rows[0], line);
        assert_eq!(rows[1][3..6], ["adjustment", "2026-10", "'-mail"]);
        assert_eq!(rows[1][9..11], ["7", "122"]);
    }
}
