//! Answers that do not arrive: nothing is lost, and nothing is issued twice.

use std::{process::Stdio, thread};

use licensor_tests::{Answers, Node, NodeOptions, Proxy, Root, RootOptions, acquire, run, wait_for};

/// So many bytes before the end of the answers of a connection lies the reply to a renewal.
const IN_THE_REPLY: usize = 300;

const BY_HAND: &str = "[renewal]\nautomatic = false\n";

/// A root that nodes reach through a proxy.
fn behind_proxy() -> (Root, Proxy) {
    let proxy = Proxy::start();
    let public_address = Some(proxy.address());
    let root = Root::started(RootOptions { public_address, ..RootOptions::default() });
    proxy.lead_to(Some(root.port));
    (root, proxy)
}

fn node_by_hand(root: &Root) -> Node {
    Node::started(root, "berlin-1", NodeOptions { tables: BY_HAND.into(), ..NodeOptions::default() })
}

/// Serial numbers of what the root issued to the node, from the oldest on.
fn issued(root: &Root) -> Vec<String> {
    let listed = root.json(&["certificates", "list", "--node", "berlin-1"]);
    let serials = listed.as_array().unwrap().iter().rev().map(|c| c["serial"].as_str().unwrap().to_owned());
    serials.collect()
}

fn renewal_failures(node: &Node) -> usize {
    node.event_ids().iter().filter(|id| **id == 102).count()
}

#[test]
fn a_reply_that_is_cut_off_anywhere_costs_nothing() {
    let (root, proxy) = behind_proxy();
    let node = node_by_hand(&root);
    node.json(&["renew"]);
    let whole = proxy.largest();
    let mut lost = 0;
    for missing in [IN_THE_REPLY, 500, 800, 1200, 1700, 2000, 2500, whole - 5] {
        let before = issued(&root);
        proxy.set(Answers::Cut(whole - missing));
        let refused = node.run(&["renew"]).refused(1, &["ROOT_UNREACHABLE"]);
        assert_eq!(node.serial(), *before.last().unwrap(), "{refused:?}");
        acquire(&node).ok();
        let after_loss = issued(&root);
        proxy.set(Answers::Pass);
        let renewed = node.json(&["renew"])["serial"].as_str().unwrap().to_owned();
        let after = issued(&root);
        assert_eq!(after.len(), before.len() + 1, "{missing} bytes before the end");
        assert_eq!(*after.last().unwrap(), renewed);
        if after_loss.len() > before.len() {
            lost += 1;
            assert_eq!(after_loss, after);
        }
    }
    assert!(lost >= 4, "only {lost} replies were lost after the root had issued");
}

#[test]
fn a_node_that_is_killed_while_the_reply_is_on_its_way_takes_it_up_again() {
    let (root, proxy) = behind_proxy();
    let mut node = node_by_hand(&root);
    node.json(&["renew"]);
    let hold = Answers::Hold(proxy.largest() - IN_THE_REPLY);
    for _ in 0..3 {
        let before = issued(&root);
        proxy.set(hold);
        let stopped = proxy.stopped();
        let mut renewal =
            node.command(&["renew"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The node asks for entitlements as well: the reply to its renewal is meant.
        let renewed = || issued(&root).len() > before.len();
        wait_for("the reply", || (proxy.stopped() > stopped && renewed()).then_some(()));
        let issued_unheard = issued(&root);
        assert_eq!(issued_unheard.len(), before.len() + 1);
        node.kill();
        assert!(!renewal.wait().unwrap().success());
        proxy.set(Answers::Pass);
        node.start();
        assert_eq!(node.serial(), *before.last().unwrap());
        acquire(&node).ok();
        let renewed = node.json(&["renew"]);
        assert_eq!(renewed["serial"], *issued_unheard.last().unwrap());
        assert_eq!(issued(&root), issued_unheard);
        assert_eq!(node.serial(), renewed["serial"]);
    }
}

#[test]
fn an_enrolment_whose_reply_is_lost_is_taken_up_again_with_the_same_token() {
    let (root, proxy) = behind_proxy();
    let probe = Node::started(&root, "probe", NodeOptions::default());
    let node = Node::new(NodeOptions::default());
    let token = root.token("berlin-1");
    proxy.set(Answers::Cut(proxy.largest() - IN_THE_REPLY));
    node.run_with_input(&["enroll", "--token", "-"], &token).refused(1, &["ROOT_UNREACHABLE"]);
    let issued_unheard = issued(&root);
    assert_eq!(issued_unheard.len(), 1);
    proxy.set(Answers::Pass);
    assert_eq!(node.enroll(&token)["serial"], issued_unheard[0]);
    assert_eq!(issued(&root), issued_unheard);
    drop(probe);
}

#[test]
fn two_renewals_at_once_while_replies_are_held_end_with_one_certificate() {
    let (root, proxy) = behind_proxy();
    let node = node_by_hand(&root);
    node.json(&["renew"]);
    proxy.set(Answers::Hold(proxy.largest() - IN_THE_REPLY));
    let before = issued(&root);
    let stopped = proxy.stopped();
    let renewals: Vec<_> = (0..2)
        .map(|_| {
            let mut command = node.command(&["renew", "--output", "json"]);
            thread::spawn(move || run(&mut command).json()["serial"].as_str().unwrap().to_owned())
        })
        .collect();
    let renewed = || issued(&root).len() > before.len();
    wait_for("the reply", || (proxy.stopped() > stopped && renewed()).then_some(()));
    proxy.set(Answers::Pass);
    let serials: Vec<String> = renewals.into_iter().map(|renewal| renewal.join().unwrap()).collect();
    // One after the other: each renews what the one before had got.
    let after = issued(&root);
    assert_eq!(after.len(), before.len() + 2);
    assert!(serials.iter().all(|serial| after.contains(serial)));
    assert_eq!(node.serial(), *after.last().unwrap());
}

#[test]
fn while_the_root_is_gone_a_node_tries_again_says_so_once_and_recovers() {
    let proxy = Proxy::start();
    let mut root = Root::started(RootOptions {
        public_address: Some(proxy.address()),
        tables: "[certificate]\nvalidity = \"60s\"\n[renewal]\nat = 0.1\n".into(),
        ..RootOptions::default()
    });
    proxy.lead_to(Some(root.port));
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let first = node.serial();
    let connections = proxy.connections();
    assert_eq!(root.stop(), 0);
    wait_for("two attempts", || {
        let failed = node.metric("licensor_renewals_total{result=\"ROOT_UNREACHABLE\"}");
        (failed? >= 2.0).then_some(())
    });
    let attempts = proxy.connections() - connections;
    assert!(attempts < 10, "{attempts} attempts in a few seconds are no backing off");
    assert_eq!(renewal_failures(&node), 1);
    let status = node.status();
    assert_eq!(status["enabled"], true);
    let error = status["last_renewal_error"].as_str().unwrap();
    assert!(error.contains(&proxy.address()), "{error}");
    acquire(&node).ok();
    let failure = node.json(&["events", "list", "--id", "102"])[0].clone();
    assert_eq!((failure["severity"].as_str(), failure["status"].as_str()), (Some("warning"), Some("active")));

    root.start();
    wait_for("the renewal", || (node.serial() != first).then_some(()));
    assert!(node.status()["last_renewal_error"].is_null());
    assert_eq!(renewal_failures(&node), 1);
    assert_eq!(node.json(&["events", "list", "--id", "102"])[0]["status"], "ended");
}
