//! Who gets in, and who does not.

use std::fs;

use licensor_tests::{FakeClock, NodeOptions, run, scenario};
use serde_json::Value;

use super::{nothing, office};
use crate::administrators::{NAMED, Programs, readable};

#[test]
fn links_sessions_and_forms_are_good_for_those_whose_they_are() {
    let mut clock = FakeClock::new();
    let (_root, mut node) =
        office(NodeOptions { environment: clock.environment(), ..NodeOptions::default() });
    scenario(&mut node, "sign_in", &[], |node, what, details| {
        match what {
            "advance" => clock.advance(details.as_i64().unwrap()),
            _ => return nothing(node, what, details),
        }
        Value::Null
    });
}

#[test]
fn a_removed_administrator_is_signed_out() {
    let tables = format!("[admin]\nuids = [{NAMED}]\n");
    let (_root, mut node) = office(NodeOptions { tables, ..NodeOptions::default() });
    readable(&node);
    let programs = Programs::new();
    scenario(&mut node, "removed", &[], |node, what, details| match what {
        "link" => {
            let login = node.command(&["web", "login", "--output", "json"]);
            run(&mut programs.as_user(NAMED, &login)).json()["url"].clone()
        }
        "remove" => {
            node.stop();
            let config = fs::read_to_string(node.config()).unwrap();
            fs::write(node.config(), config.replace(&NAMED.to_string(), "")).unwrap();
            node.start();
            Value::Null
        }
        _ => nothing(node, what, details),
    });
}
