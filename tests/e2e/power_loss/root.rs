//! The root loses its power in the middle of enrolments and renewals.

use std::collections::{HashMap, HashSet};

use licensor_tests::{Enrolling, Load, Node, NodeOptions, Root, RootOptions};

use super::{PowerLoss, losses, wait_for_darkness};

const TIMES: usize = 24;

#[test]
fn a_root_that_loses_power_keeps_every_certificate_and_token_that_it_acknowledged() {
    let mut power = PowerLoss::new(0x726f_6f74);
    let quiet = "[log]\nlevel = \"warn\"\n";
    let mut root = Root::started(RootOptions { tables: quiet.into(), ..RootOptions::default() });
    let options = NodeOptions { tables: "[renewal]\nautomatic = false\n".into(), ..NodeOptions::default() };
    let node = Node::started(&root, "berlin-1", options);
    let tokens: Vec<_> = (0..3).map(|n| root.token(&format!("load-{n}"))).collect();
    let load = Load::of(Load::enrolled(&tokens));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Tokens by identifier, with the certificate that each was exchanged for, if it was.
    let mut acknowledged: HashMap<String, Option<String>> = HashMap::new();

    for round in 0..TIMES {
        root.kill();
        // Some moments lie in the start, most in the work that follows.
        power.start(&mut root, if round % 6 == 0 { 40 } else { 500 });
        while root.is_running() {
            let name = format!("node-{round}-{}", acknowledged.len());
            let ran = root.run(&["token", "create", "--node", &name, "--owner", "O", "--output", "json"]);
            if ran.code != 0 {
                continue;
            }
            let created = ran.json();
            let id = created["id"].as_str().unwrap().to_owned();
            acknowledged.insert(id.clone(), None);
            let enrolling = Enrolling::new(created["token"].as_str().unwrap());
            if let Ok(identity) = runtime.block_on(enrolling.enroll()) {
                acknowledged.insert(id, Some(identity.serial));
            }
        }
        wait_for_darkness(&mut root);

        let renewed = load.acknowledged();
        root.start();
        let known: HashSet<String> = root
            .json(&["certificates", "list"])
            .as_array()
            .unwrap()
            .iter()
            .map(|certificate| certificate["serial"].as_str().unwrap().to_owned())
            .collect();
        let used: HashMap<String, String> = root
            .json(&["token", "list"])
            .as_array()
            .unwrap()
            .iter()
            .map(|token| (token["id"].as_str().unwrap(), token["serial"].as_str().unwrap_or_default()))
            .map(|(id, serial)| (id.to_owned(), serial.to_owned()))
            .collect();
        let lost: Vec<_> = renewed.iter().filter(|serial| !known.contains(*serial)).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} renewals are lost", lost.len(), renewed.len());
        for (id, serial) in &acknowledged {
            let Some(now) = used.get(id) else { panic!("round {round}: token {id} is lost") };
            if let Some(serial) = serial {
                assert_eq!(now, serial, "round {round}: the use of token {id} is lost");
                assert!(known.contains(serial), "round {round}: an enrolment is lost");
            }
        }
        node.json(&["renew"]);
    }
    let (_, renewed) = load.end();
    let [lost, pages, names] = losses(&root);
    println!(
        "{TIMES} losses of power; kept {} renewals, {} tokens; lost {lost} of {pages} unsynced pages, {names} names",
        renewed.len(),
        acknowledged.len()
    );
    assert!(lost > TIMES / 2, "the model took too little: {lost} of {pages} pages");
    assert!(renewed.len() > 100 && acknowledged.len() > TIMES, "there was too little work");
}
