//! Power is lost while things are made for the first time.

use licensor_tests::{Node, NodeOptions, Root, RootOptions, acquire};

use super::{NO_POWER, PowerLoss, losses, wait_for_darkness};

#[test]
fn a_root_that_loses_power_while_it_is_made_can_be_made_again() {
    let mut power = PowerLoss::new(0x696e_6974);
    for at in 1..=14 {
        let mut root = Root::new(RootOptions::default());
        let mut init = root.command(&["init"]);
        init.envs(power.environment(&root, at));
        let ran = licensor_tests::run(&mut init);
        assert!([0, NO_POWER].contains(&ran.code), "{ran:?}");
        if ran.code == 0 {
            // Done before the power could be cut: it is there for good.
            root.run(&["init"]).refused(1, &["exists"]);
        } else {
            root.run(&["init", "--if-needed"]).ok();
        }
        root.start();
    }
}

#[test]
fn a_root_that_loses_power_at_its_first_start_starts_again() {
    let mut power = PowerLoss::new(0x6669_7273);
    for at in 1..=12 {
        let mut root = Root::new(RootOptions::default());
        root.run(&["init"]).ok();
        let environment = power.environment(&root, at * 2 - 1);
        for (name, value) in &environment {
            root.set(name, value);
        }
        root.spawn();
        for (name, _) in &environment {
            root.unset(name);
        }
        while root.is_running() {
            root.run(&["token", "create", "--node", "n", "--owner", "O"]);
        }
        wait_for_darkness(&mut root);
        root.start();
        let node = Node::started(&root, "berlin-1", NodeOptions::default());
        acquire(&node).ok();
    }
}

#[test]
fn a_node_that_loses_power_while_it_enrols_enrols_with_the_same_token() {
    let mut power = PowerLoss::new(0x656e_726f);
    let root = Root::started(RootOptions::default());
    let mut cut = 0;
    for at in (1..=45).step_by(3) {
        let mut node = Node::new(NodeOptions::default());
        let name = format!("node-{at}");
        let token = root.token(&name);
        let mut enroll = node.command(&["enroll", "--token", "-"]);
        enroll.envs(power.environment(&node, at));
        let ran = licensor_tests::run_with_input(&mut enroll, &token);
        assert!([0, NO_POWER].contains(&ran.code), "{ran:?}");
        cut += usize::from(ran.code == NO_POWER);
        let enrolled = node.enroll(&token);
        let issued = root.json(&["certificates", "list", "--node", &name]);
        let issued: Vec<_> = issued.as_array().unwrap().iter().map(|c| c["serial"].clone()).collect();
        assert_eq!(issued, [enrolled["serial"].clone()], "cut at operation {at}");
        node.start();
        assert_eq!(node.serial(), enrolled["serial"]);
        acquire(&node).ok();
        assert_eq!(losses(&node), [0; 3]);
    }
    assert!(cut > 8, "the power was cut only {cut} times");
}
