//! The Licences screen in a real browser.

mod actions;
mod lists;
mod live;
mod pages;
mod readers;
mod sign_in;

use licensor_tests::{ENTITLEMENT, Node, NodeOptions, Root, RootOptions, call, wait_for};
use serde_json::{Value, json};

/// A licence and services of another vendor, for the same owner.
const PARTNER: &str = r#"
owner = "Example GmbH"
vendor = "Partner"
serial_number = "P-77"
[dates]
expires = 2099-01-01T00:00:00Z
[[modules]]
name = "seo"
title = "Search"
description = "Where pages stand in searches."
quantity = 3
"#;

/// What the owner has metered of the first vendor.
const SERVICES: &str = r#"
[[services]]
name = "mail"
title = "E-mails of mailings"
unit = "e-mail"
allowance = { base = 10, per_user = 5 }
price = { minor_units = 2, currency = "EUR", per = 1 }
[[services]]
name = "storage"
title = "Storage"
unit = "By"
aggregation = "maximum"
allowance = { base = 1000000, per_user = 0 }
price = { minor_units = 100, currency = "EUR", per = 1000000 }
"#;

/// The usual entitlement with so many seats.
fn seats(quantity: u32) -> String {
    format!("{}{SERVICES}", ENTITLEMENT.replace("quantity = 1000", &format!("quantity = {quantity}")))
}

/// A root, and a licensing server that has entitlements of two vendors and puts newer ones into force only when it is told.
fn office(options: NodeOptions) -> (Root, Node) {
    office_below("", options)
}

/// The same below a root with these tables.
fn office_below(tables: &str, options: NodeOptions) -> (Root, Node) {
    let root = Root::started(RootOptions {
        environment: options.environment.clone(),
        tables: tables.into(),
        ..RootOptions::default()
    });
    let token = root.token("berlin-1");
    root.entitle(&seats(1000));
    root.entitle(PARTNER);
    let tables = format!("[entitlements]\nautomatic = false\n{}", options.tables);
    let mut node = Node::new(NodeOptions { tables, ..options });
    node.enroll(&token);
    node.start();
    wait_for("both vendors", || {
        let listed = node.json(&["licenses", "list"]);
        (listed.as_array()?.len() == 2).then_some(())
    });
    (root, node)
}

fn assign(node: &Node, user: &str) {
    node.json(&["assignments", "add", "--vendor", "Example", "--module", "crm", "--user", user]);
}

fn acquire(node: &licensor_tests::Service, user: &str) {
    let data = json!({ "vendor": "Example", "module": "crm", "subject": user }).to_string();
    call(node, "licensor.licensing.v1.LicensingService/AcquireLicense", &data).ok();
}

/// Reports usage; `time` as RFC 3339.
fn report(node: &Node, service: &str, quantity: u64, time: &str) {
    let event = json!({
        "specversion": "1.0", "id": format!("{service}-{time}"), "source": "urn:app", "type": service,
        "time": time, "data": { "quantity": quantity },
    });
    let data = json!({ "items": [{ "cloudEvent": event.to_string() }] }).to_string();
    let answer = call(node, "licensor.licensing.v1.MeteringService/ReportUsage", &data).json();
    assert_eq!(answer["results"][0]["outcome"], "USAGE_OUTCOME_ACCEPTED", "{answer}");
}

/// For scenarios that ask for nothing but links.
fn nothing(_: &mut licensor_tests::Service, what: &str, _: &Value) -> Value {
    panic!("nobody knows how to {what}")
}
