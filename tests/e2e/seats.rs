//! Seats: who gets one, who does not and why, and that none is lost or given twice.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use licensor_tests::{
    DAY, ENTITLEMENT, FakeClock, Node, NodeOptions, Random, Root, RootOptions, call, wait_for,
};
use serde_json::{Value, json};

const SERVICE: &str = "licensor.licensing.v1.LicensingService";

/// Calls a method of the licensing service.
fn licensing(node: &Node, method: &str, data: Value) -> licensor_tests::Ran {
    call(node, &format!("{SERVICE}/{method}"), &data.to_string())
}

fn acquire_for(node: &Node, user: &str) -> licensor_tests::Ran {
    licensing(node, "AcquireLicense", json!({ "module": "crm", "subject": user }))
}

/// A root and a licensing server with so many seats.
fn with_seats(quantity: u32, options: NodeOptions) -> (Root, Node) {
    let root =
        Root::started(RootOptions { environment: options.environment.clone(), ..RootOptions::default() });
    let token = root.token("berlin-1");
    root.entitle(&ENTITLEMENT.replace("quantity = 1000", &format!("quantity = {quantity}")));
    let mut node = Node::new(options);
    node.enroll(&token);
    node.start();
    wait_for("the seats", || (node.json(&["licenses", "list"])[0]["total"] == quantity).then_some(()));
    (root, node)
}

#[test]
fn who_gets_no_seat_is_told_who_has_them_and_when_the_next_is_free() {
    let (_root, node) = with_seats(2, NodeOptions::default());
    node.json(&["assignments", "add", "--module", "crm", "--user", "anna"]);
    // That is between the administrator and his users.
    assert_eq!(node.json(&["events", "list", "--id", "132"])[0]["arguments"]["user"], "anna");
    let over_the_network = call(&node, "licensor.event.v1.EventService/ListEvents", "{}").json();
    let ids: Vec<_> =
        over_the_network["events"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert!(
        ids.contains(&&json!(100)) && !ids.contains(&&json!(132)) && !ids.contains(&&json!(150)),
        "{ids:?}"
    );

    let issued = acquire_for(&node, "ben").json();
    let again = acquire_for(&node, "ben").json();
    assert_ne!(issued["licenseId"], again["licenseId"]);
    acquire_for(&node, "carl").refused(
        64 + 8,
        &["ResourceExhausted", "SEATS_EXHAUSTED", "ben until ", "anna (assigned)", "next_free", "RetryInfo"],
    );
    let listed = &node.json(&["licenses", "list"])[0];
    assert_eq!(
        (&listed["in_use"], &listed["available"], &listed["total"]),
        (&json!(2), &json!(0), &json!(2))
    );
    let holders = node.json(&["licenses", "show", "crm"])["holders"].clone();
    let users: Vec<_> = holders.as_array().unwrap().iter().map(|holder| &holder["user"]).collect();
    assert_eq!(users, ["anna", "ben"]);

    licensing(&node, "ReleaseLicense", json!({ "license_id": issued["licenseId"] })).ok();
    licensing(&node, "ReleaseLicense", json!({ "license_id": again["licenseId"] }))
        .refused(64 + 5, &["LICENSE_UNKNOWN"]);
    acquire_for(&node, "carl").ok();
    // The user of the assigned seat needs no other.
    acquire_for(&node, "anna").ok();
    node.json(&["assignments", "remove", "--module", "crm", "--user", "anna"]);
    node.run(&["assignments", "remove", "--module", "crm", "--user", "anna"])
        .refused(1, &["ASSIGNMENT_UNKNOWN"]);
    assert_eq!(node.json(&["licenses", "list"])[0]["in_use"], 1);
}

#[test]
fn licences_are_borrowed_for_a_device_and_a_term() {
    let (_root, node) = with_seats(5, NodeOptions::default());
    let borrow = |user: &str, term: &str| {
        let data = json!({ "module": "crm", "subject": user, "device": "laptop", "term": term });
        licensing(&node, "BorrowLicense", data)
    };
    let license = borrow("anna", "864000s").json()["license"].clone();
    borrow("carl", "864000s").refused(64 + 8, &["SEATS_EXHAUSTED", "may be borrowed"]);
    borrow("carl", "86400000s").refused(64 + 9, &["BORROWING_NOT_ALLOWED"]);
    borrow("carl", "-1s").refused(64 + 3, &["INVALID_ARGUMENT"]);
    licensing(&node, "ReleaseLicense", json!({ "license_id": license["licenseId"] })).ok();
    borrow("carl", "864000s").ok();
    acquire_for(&node, "dora").ok();
    let shown = node.json(&["licenses", "show", "crm"]);
    assert_eq!((&shown["in_use"], &shown["borrowed"]), (&json!(2), &json!(1)));
}

#[test]
fn a_seat_of_a_client_that_crashed_returns_and_a_clock_that_goes_back_gives_none() {
    let mut clock = FakeClock::new();
    let tables = "[expiry]\ncheck_interval = \"1s\"\n".into();
    let (_root, node) = with_seats(1, NodeOptions { environment: clock.environment(), tables });
    acquire_for(&node, "anna").ok();
    clock.advance(3600);
    // The margin: whoever verifies licences allows a minute.
    acquire_for(&node, "ben").refused(64 + 8, &["SEATS_EXHAUSTED"]);
    clock.advance(61);
    acquire_for(&node, "ben").ok();

    clock.advance(DAY);
    let highest = clock.ahead();
    wait_for("the time to be noted", || {
        clock.set(highest - 3700);
        let refused = acquire_for(&node, "carl").stderr.contains("CLOCK_ROLLED_BACK");
        clock.set(highest);
        refused.then_some(())
    });
    clock.set(highest - 3700);
    acquire_for(&node, "carl").refused(64 + 9, &["CLOCK_ROLLED_BACK", "clock accept"]);
    let told = wait_for("the event", || {
        let events = node.json(&["events", "list", "--id", "131"]);
        events.as_array()?.iter().find(|event| event["status"] == "active").cloned()
    });
    assert_eq!(told["severity"], "error");
    clock.set(highest);
    acquire_for(&node, "carl").ok();
    wait_for("its end", || {
        let events = node.json(&["events", "list", "--id", "131"]);
        events.as_array()?.iter().all(|event| event["status"] == "ended").then_some(())
    });
    clock.set(highest - 3700);
    node.json(&["clock", "accept"]);
    acquire_for(&node, "carl").ok();
}

/// A client that takes and gives back seats, and notes what was acknowledged.
fn client(
    node: &Node,
    number: usize,
    held: Arc<Mutex<HashMap<String, String>>>,
    enough: Arc<AtomicBool>,
) -> impl FnOnce() + Send + use<> {
    let mut random = Random::new(number as u64 + 1);
    let call = licensor_tests::Caller::of(node);
    move || {
        let mut round = 0_u64;
        while !enough.load(Ordering::SeqCst) {
            round += 1;
            let user = format!("user-{number}-{}", round % 5);
            let known = held.lock().unwrap().get(&user).cloned();
            match known {
                Some(id) if random.between(0, 2) == 1 => {
                    // From here on nobody can say whether it is given back, unless the answer comes.
                    held.lock().unwrap().remove(&user);
                    let data = json!({ "license_id": id }).to_string();
                    let _ = call.call(&format!("{SERVICE}/ReleaseLicense"), &data);
                }
                _ => {
                    let data = json!({ "module": "crm", "subject": user }).to_string();
                    let answer = call.call(&format!("{SERVICE}/AcquireLicense"), &data);
                    if answer.code == 0 {
                        let id = answer.json()["licenseId"].as_str().unwrap().to_owned();
                        held.lock().unwrap().insert(user, id);
                    }
                }
            }
        }
    }
}

#[test]
fn killed_at_any_moment_the_server_loses_no_seat_that_was_acknowledged_and_gives_none_twice() {
    const SEATS: u32 = 12;
    let (_root, mut node) = with_seats(SEATS, NodeOptions::default());
    let held = Arc::new(Mutex::new(HashMap::new()));
    let enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|number| thread::spawn(client(&node, number, Arc::clone(&held), Arc::clone(&enough))))
        .collect();
    let mut random = Random::new(0x7365_6174);
    for _ in 0..8 {
        let known = held.lock().unwrap().len();
        wait_for("seats to come and go", || (held.lock().unwrap().len() != known).then_some(()));
        for _ in 0..random.between(0, 20_000) {
            thread::yield_now();
        }
        node.kill();
        node.start();
    }
    enough.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    let seats = node.json(&["assignments", "list"]);
    let mut of_user = BTreeMap::new();
    for seat in seats.as_array().unwrap() {
        *of_user.entry(seat["user"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert!(of_user.values().all(|seats| *seats == 1), "a user has more than one seat: {of_user:?}");
    let in_use = node.json(&["licenses", "list"])[0]["in_use"].as_u64().unwrap();
    assert_eq!(in_use, of_user.len() as u64);
    assert!(in_use <= u64::from(SEATS));
    for (user, id) in &*held.lock().unwrap() {
        assert!(of_user.contains_key(user), "the seat of {user} is lost");
        licensing(&node, "ExtendLicense", json!({ "license_id": id })).ok();
    }
}
