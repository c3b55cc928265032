//! What administrators do on the screen.

use licensor_tests::{ENTITLEMENT, NodeOptions, Root, RootOptions, scenario};
use serde_json::{Value, json};

use super::{acquire, nothing, office, seats};

/// The newest entitlement of the usual vendor, as a file has it.
fn carried(root: &Root) -> Value {
    let order = ["entitlement", "show", "--owner", "Example GmbH", "--vendor", "Example", "--jws"];
    json!(root.run(&order).ok())
}

fn number(details: &Value) -> u32 {
    details.as_u64().unwrap().try_into().unwrap()
}

#[test]
fn language_and_colours_are_chosen_the_certificate_is_renewed_and_events_are_added_and_ended() {
    let (_root, mut node) = office(NodeOptions::default());
    scenario(&mut node, "actions", &[], nothing);
}

#[test]
fn an_update_shows_what_it_changes_and_waits_for_seats_that_are_in_its_way() {
    let (root, mut node) = office(NodeOptions::default());
    scenario(&mut node, "update", &[], |node, what, details| {
        match what {
            "entitle" => drop(root.entitle(&seats(number(details)))),
            "acquire" => acquire(node, details.as_str().unwrap()),
            _ => return nothing(node, what, details),
        }
        Value::Null
    });
}

#[test]
fn files_are_chosen_or_dropped_and_what_is_no_entitlement_is_refused_by_name() {
    let (root, mut node) = office(NodeOptions::default());
    scenario(&mut node, "files", &[], |node, what, details| match what {
        "entitlement" => {
            root.entitle(&seats(number(details)));
            carried(&root)
        }
        "entitlement of a stranger" => {
            let stranger = Root::started(RootOptions::default());
            stranger.entitle(ENTITLEMENT);
            carried(&stranger)
        }
        _ => nothing(node, what, details),
    });
}

#[track_caller]
fn every_action_is_whole(language: &str) {
    let (root, mut node) = office(NodeOptions::default());
    scenario(
        &mut node,
        "actions_everywhere",
        &[("LANGUAGE_TAG", language)],
        |node, what, details| match what {
            "entitle" => {
                root.entitle(&seats(number(details)));
                Value::Null
            }
            "entitlement" => {
                root.entitle(&seats(number(details)));
                carried(&root)
            }
            _ => nothing(node, what, details),
        },
    );
}

#[test]
fn every_action_is_whole_in_english() {
    every_action_is_whole("en");
}

#[test]
fn every_action_is_whole_in_dutch() {
    every_action_is_whole("nl");
}

#[test]
fn every_action_is_whole_in_swedish() {
    every_action_is_whole("sv");
}
