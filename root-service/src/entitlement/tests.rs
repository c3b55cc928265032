//! Documents that state what they should, and many that do not: each mistake is found in its line.

use verifier::entitlement::{Aggregation, Kind};

use super::*;

/// Every field, each on a line of its own as far as TOML has it.
const TOML: &str = r#"owner = "Example GmbH"
vendor = "Example"
company = "Example Holding"
serial_number = "EX-1"
time_zone = "Europe/Berlin"
version = 7
[dates]
expires = 2027-12-31
grace_ends = 2028-01-31T00:00:00+01:00
maintenance_ends = "2027-06-30"
next_check = "2027-01-01T00:00:00Z"
first_warning = 2027-12-01
[[modules]]
name = "crm"
title = "Customers"
description = "For \"everyone\""
kind = "user"
quantity = 10
expires = 2027-11-30
features = ["export", "import"]
lease = "1h"
borrow = { longest = "30d", seats = 5 }
[[modules]]
name = "reports"
kind = "site"
quantity = 1
[[services]]
name = "crm"
title = "Mail"
unit = "e-mail"
aggregation = "maximum"
allowance = { base = 1000, per_user = 50 }
price = { minor_units = 2, currency = "EUR", per = 100 }
[[services]]
name = "login"
unit = "login"
"#;

const JSON: &str = r#"
{
  "owner": "Example GmbH",
  "vendor": "Example",
  "company": "Example Holding",
  "serial_number": "EX-1",
  "dates": {
    "expires": "2027-12-31",
    "grace_ends": "2028-01-31T00:00:00+01:00",
    "maintenance_ends": "2027-06-30",
    "next_check": "2027-01-01T00:00:00Z",
    "first_warning": "2027-12-01"
  },
  "modules": [
    {
      "name": "crm",
      "title": "Customers",
      "description": "For \"everyone\"",
      "kind": "user",
      "quantity": 10,
      "expires": "2027-11-30",
      "features": ["export", "import"],
      "lease": "1h",
      "borrow": {
        "longest": "30d",
        "seats": 5
      }
    },
    { "name": "reports", "kind": "site", "quantity": 1 }
  ],
  "services": [
    {
      "name": "crm",
      "title": "Mail",
      "unit": "e-mail",
      "aggregation": "maximum",
      "allowance": { "base": 1000, "per_user": 50 },
      "price": { "minor_units": 2, "currency": "EUR", "per": 100 }
    },
    { "name": "login", "unit": "login" }
  ],
  "version": 7,
  "time_zone": "Europe/Berlin"
}
"#;

/// The document with `old` replaced by `new`, and the line of `old`.
fn changed(document: &str, old: &str, new: &str) -> (String, usize) {
    let at = document.find(old).unwrap_or_else(|| panic!("`{old}` is not in the document"));
    (document.replacen(old, new, 1), place::line_at(document, at))
}

/// That the document is refused with this line, and with these words.
fn check(document: &str, line: usize, words: &str) {
    let error = Stated::read(document).expect_err(words);
    assert_eq!(error.reason, Reason::EntitlementInvalid);
    assert_eq!(error.metadata, [("line".to_owned(), line.to_string())], "{error} in\n{document}");
    assert!(error.message.starts_with(&format!("line {line}: ")), "{error}");
    assert!(error.message.contains(words), "{words}: {error}");
    assert!(!error.message.contains('\n'), "{error}");
}

#[test]
fn toml_and_json_state_the_same() {
    let stated = Stated::read(TOML).unwrap();
    assert_eq!((&*stated.owner, stated.version), ("Example GmbH", Some(7)));
    let Entitlement { company, time_zone, dates, modules, services, .. } = stated.entitlement.clone();
    assert_eq!((&*company, &*time_zone), ("Example Holding", "Europe/Berlin"));
    // A day begins in the time zone: 2027-12-30T23:00:00Z.
    assert_eq!((dates.expires, dates.next_check), (Some(1_830_207_600), Some(1_798_761_600)));
    assert_eq!(dates.grace_ends, Some(1_832_886_000));
    assert_eq!(dates.maintenance_ends, Some(1_814_306_400), "summer time");
    let [crm, reports] = modules.as_slice() else { panic!("{modules:?}") };
    assert_eq!((crm.kind, crm.quantity, crm.lease, crm.features.len()), (Kind::User, 10, 3600, 2));
    assert_eq!(crm.borrow.as_ref().map(|borrow| (borrow.longest, borrow.seats)), Some((30 * 86_400, 5)));
    assert_eq!((reports.kind, reports.lease, reports.borrow.is_some()), (Kind::Site, 3600, false));
    let [mail, login] = services.as_slice() else { panic!("{services:?}") };
    assert_eq!((mail.aggregation, mail.allowance.per_user), (Aggregation::Maximum, 50));
    assert_eq!((login.aggregation, login.price.is_some()), (Aggregation::Sum, false));
    for text in
        [JSON.to_owned(), format!("\u{feff}{JSON}"), format!("\u{feff}{TOML}"), TOML.replace('\n', "\r\n")]
    {
        let again = Stated::read(&text).unwrap();
        assert_eq!((again.entitlement, again.version), (stated.entitlement.clone(), Some(7)));
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let stated = Stated::read("owner = \"a\"\nvendor = \"b\"\nserial_number = \"c\"").unwrap();
    assert_eq!((&*stated.entitlement.company, &*stated.entitlement.time_zone), ("a", "UTC"));
    assert_eq!((stated.version, stated.entitlement.dates.expires), (None, None));
    let upper = TOML.replace("Europe/Berlin", "EUROPE/berlin");
    assert_eq!(Stated::read(&upper).unwrap().entitlement.time_zone, "Europe/Berlin");
}

#[test]
fn a_day_that_begins_late_begins_when_it_does() {
    // In Beirut midnight is left out in spring.
    let text = "owner = \"a\"\nvendor = \"b\"\nserial_number = \"c\"\ntime_zone = \"Asia/Beirut\"\n[dates]\nexpires = 2025-03-30";
    assert_eq!(Stated::read(text).unwrap().entitlement.dates.expires, Some(1_743_285_600));
}

#[test]
fn each_mistake_is_named_with_its_line_in_both_forms() {
    // In TOML; in JSON; instead; words.
    let cases = [
        ("\"Example GmbH\"", "\"Example GmbH\"", "\"\"", "owner must have 1 to 200 characters"),
        ("\"Example GmbH\"", "\"Example GmbH\"", "\" a\"", "no space at its ends"),
        ("\"Example GmbH\"", "\"Example GmbH\"", "\"a\\u0007b\"", "control character"),
        ("\"Example GmbH\"", "\"Example GmbH\"", "5", "owner to be a string"),
        ("\"Example\"", "\"Example\"", "[]", "vendor to be a string"),
        ("\"EX-1\"", "\"EX-1\"", "true", "serial_number to be a string"),
        ("\"Europe/Berlin\"", "\"Europe/Berlin\"", "\"Berlin\"", "IANA name"),
        ("\"Europe/Berlin\"", "\"Europe/Berlin\"", "\"CET-1\"", "IANA name"),
        ("\"Europe/Berlin\"", "\"Europe/Berlin\"", "\"../Europe/Berlin\"", "IANA name"),
        ("7\n", "7,\n", "0", "version must be 1 to 9007199254740991, and is 0"),
        ("7\n", "7,\n", "9007199254740992", "and is 9007199254740992"),
        ("7\n", "7,\n", "-3", "and is -3"),
        ("7\n", "7,\n", "\"7\"", "version to be a whole number"),
        ("2027-12-31", "\"2027-12-31\"", "\"2027-02-30\"", "expires must be a day"),
        ("2027-12-31", "\"2027-12-31\"", "\"2027-12-31T00:00:00\"", "expires must be a day"),
        ("2027-12-31", "\"2027-12-31\"", "\"1969-12-31\"", "from 1970"),
        ("2027-12-31", "\"2027-12-31\"", "\"soon\"", "and is \"soon\""),
        ("2027-12-31", "\"2027-12-31\"", "1830207600", "expires to be a date"),
        ("\"crm\"", "\"crm\"", "\"crm \"", "name must have 1 to 100 characters"),
        ("\"user\"", "\"user\"", "\"group\"", "group"),
        ("\"user\"", "\"user\"", "\"User\"", "User"),
        ("10\n", "10,\n", "0", "quantity must be 1 to 1000000, and is 0"),
        ("10\n", "10,\n", "1000001", "and is 1000001"),
        ("10\n", "10,\n", "-1", "and is -1"),
        ("10\n", "10,\n", "1.5", "a whole number, 1 to 1000000, and is 1.5"),
        ("10\n", "10,\n", "\"10\"", "quantity to be a whole number"),
        ("10\n", "10,\n", "18446744073709551615", ""),
        ("10\n", "10,\n", "99999999999999999999999999", ""),
        ("10\n", "10,\n", "1e400", ""),
        ("[\"export\", \"import\"]", "[\"export\", \"import\"]", "\"export\"", "expected a sequence"),
        ("[\"export\", \"import\"]", "[\"export\", \"import\"]", "[\"\"]", "a feature must have"),
        ("[\"export\", \"import\"]", "[\"export\", \"import\"]", "[\"a\", \"a\"]", "twice"),
        ("\"1h\"", "\"1h\"", "\"0s\"", "lease must be 1s to 366d"),
        ("\"1h\"", "\"1h\"", "\"367d\"", "lease must be 1s to 366d"),
        ("\"1h\"", "\"1h\"", "\"1500ms\"", "whole seconds"),
        ("\"1h\"", "\"1h\"", "\"soon\"", "lease: `soon` is not a duration"),
        ("\"1h\"", "\"1h\"", "3600", "lease to be a duration"),
        ("\"30d\"", "\"30d\"", "\"1h\"", "longest must be longer than the lease of `crm`"),
        ("\"maximum\"", "\"maximum\"", "\"mean\"", "mean"),
        ("50 }", "50 }", "-1 }", "per_user must be"),
        ("\"EUR\"", "\"EUR\"", "\"eur\"", "three capital letters"),
        ("\"EUR\"", "\"EUR\"", "\"ÄUR\"", "three capital letters"),
        ("100 }", "100 }", "0 }", "per must be 1 to"),
        ("\"login\"", "\"login\"", "\"crm\"", "two services have the name `crm`"),
        ("\"reports\"", "\"reports\"", "\"crm\"", "two modules have the name `crm`"),
        ("\"2027-06-30\"", "\"2027-06-30\"", "{}", "maintenance_ends must be a date, and is a table"),
        ("2027-12-01", "\"2027-12-01\"", "\"2028-01-01\"", "first_warning must not be after `expires`"),
    ];
    for (toml, json, new, words) in cases {
        for (document, old) in [(TOML, toml), (JSON, json)] {
            let ends = &old[old.trim_end_matches([',', '\n']).len()..];
            let (document, line) = changed(document, old, &format!("{new}{ends}"));
            check(&document, line, words);
        }
    }
}

#[test]
fn rules_about_more_than_one_field_are_kept() {
    let (document, line) = changed(TOML, "2028-01-31T00:00:00+01:00", "2027-12-30");
    check(&document, line, "grace_ends must not be before `expires`");
    let (document, line) = changed(TOML, "seats = 5", "seats = 11");
    check(&document, line, "seats must not be more than the quantity of `crm`, which is 10");
    let (document, line) = changed(JSON, "\"seats\": 5", "\"seats\": 11");
    check(&document, line, "seats must not be more than the quantity of `crm`, which is 10");
    let (document, line) = changed(TOML, "expires = 2027-12-31\n", "");
    check(&document, line, "grace_ends needs `expires`");
    let document = document.replace("grace_ends = 2028-01-31T00:00:00+01:00\n", "");
    check(&document, line + 2, "first_warning needs `expires`");
    // The same name in both lists is no mistake, and a text may be long.
    let (document, line) = changed(TOML, "Customers", &"ü".repeat(4000));
    Stated::read(&document).unwrap();
    check(&document.replace('ü', "üü"), line, "title must have 4000 characters at most, and has 8000");
}

#[test]
fn keys_are_known_and_there_once_and_those_that_are_needed_are_there() {
    for (old, new, words) in [
        ("vendor = ", "wendor = ", "wendor"),
        ("kind = \"user\"", "sort = \"user\"", "sort"),
        ("expires = 2027-12-31\n", "expired = 2027-12-31\n", "expired"),
        ("per_user = 50", "per_site = 50", "per_site"),
        ("company = \"Example Holding\"", "vendor = \"b\"", "duplicate key"),
        ("version = 7", "version = ", ""),
        ("version = 7", "version 7", ""),
        ("[dates]", "[dates", ""),
    ] {
        let (document, line) = changed(TOML, old, new);
        check(&document, line, words);
    }
    for (old, new, words) in [
        ("\"company\"", "\"firm\"", "firm"),
        ("\"company\"", "\"vendor\"", "duplicate field `vendor`"),
        ("\"kind\"", "\"quantity\"", "quantity"),
        ("\"version\": 7", "\"version\" 7", ""),
        ("\"version\": 7", "\"version\": null", "version"),
    ] {
        let (document, line) = changed(JSON, old, new);
        if words == "version" {
            assert_eq!(Stated::read(&document).unwrap().version, None);
        } else {
            check(&document, line, words);
        }
    }
    check("", 1, "missing field `owner`");
    check("{}", 1, "missing field `owner`");
    check("[]", 1, "");
    check("{", 1, "");
    check("owner = \"a\"\nvendor = \"b\"\n", 1, "missing field `serial_number`");
    let (document, line) = changed(TOML, "[[modules]]\nname = \"reports\"\n", "[[modules]]\n");
    check(&document, line, "missing field `name`");
    let (document, line) = changed(JSON, "\"name\": \"reports\", ", "");
    check(&document, line, "missing field `name`");
}

#[test]
fn there_are_bounds() {
    let head = "owner = \"a\"\nvendor = \"b\"\nserial_number = \"c\"\n";
    let modules = |count: usize| -> String {
        (0..count).map(|n| format!("[[modules]]\nname = \"m{n}\"\nquantity = 1\n")).collect()
    };
    Stated::read(&format!("{head}{}", modules(1000))).unwrap();
    check(&format!("{head}{}", modules(1001)), 3 + 3 * 1000 + 2, "more than 1000 modules");
    let services: String =
        (0..201).map(|n| format!("[[services]]\nname = \"s{n}\"\nunit = \"x\"\n")).collect();
    check(&format!("{head}{services}"), 3 + 3 * 200 + 2, "more than 200 services");
    let padding = "#".repeat(LARGEST - head.len());
    Stated::read(&format!("{head}{padding}")).unwrap();
    check(&format!("{head}{padding}#"), 4, "and must not have more than 524288");
}

#[test]
fn what_is_deep_is_refused_and_breaks_nothing() {
    let many = LARGEST / 8;
    for text in [
        format!("x = {}", "[".repeat(many)),
        format!("x = {}{}", "[".repeat(many), "]".repeat(many)),
        format!("{} = 1", vec!["a"; many].join(".")),
        format!("[{}]", vec!["a"; many].join(".")),
        format!("x = {}", "{a=".repeat(many)),
        format!("{{\"modules\": {}", "[".repeat(many)),
        "{\"a\":".repeat(many),
    ] {
        assert_eq!(Stated::read(&text).unwrap_err().reason, Reason::EntitlementInvalid);
    }
}
