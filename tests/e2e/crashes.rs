//! Processes that are killed in the middle of their work.

use std::{
    collections::HashSet,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use licensor_tests::{Load, Node, NodeOptions, Random, Root, RootOptions, Service, acquire, run, wait_for};

const KILLS: usize = 24;

/// Renews a node over and over with the command of its administrator.
struct Renewing {
    acknowledged: Arc<Mutex<Vec<String>>>,
    enough: Arc<AtomicBool>,
    worker: thread::JoinHandle<()>,
}

impl Renewing {
    fn start(node: &Node) -> Self {
        let (acknowledged, enough) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, stop) = (Arc::clone(&acknowledged), Arc::clone(&enough));
        let command = node.command(&["renew", "--output", "json"]);
        let worker = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let ran = run(Command::new(command.get_program()).args(command.get_args()));
                if ran.code == 0 {
                    into.lock().unwrap().push(ran.json()["serial"].as_str().unwrap().to_owned());
                } else {
                    // Killed while it answered, or not up again; or the root is.
                    let cause = ["SERVICE_UNREACHABLE", "ROOT_UNREACHABLE", "UNSPECIFIED"];
                    assert!(cause.iter().any(|cause| ran.stderr.contains(cause)), "{}", ran.stderr);
                }
            }
        });
        Self { acknowledged, enough, worker }
    }

    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    fn end(self) -> Vec<String> {
        self.enough.store(true, Ordering::SeqCst);
        self.worker.join().unwrap();
        Arc::into_inner(self.acknowledged).unwrap().into_inner().unwrap()
    }
}

/// Every certificate that the root knows.
fn known(root: &Service) -> HashSet<String> {
    let listed = root.json(&["certificates", "list"]);
    listed.as_array().unwrap().iter().map(|c| c["serial"].as_str().unwrap().to_owned()).collect()
}

fn assert_kept(root: &Service, acknowledged: &[String]) {
    let known = known(root);
    let lost: Vec<_> = acknowledged.iter().filter(|serial| !known.contains(*serial)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged certificates are lost: {lost:?}",
        lost.len(),
        known.len()
    );
}

#[test]
fn killed_at_any_moment_of_a_renewal_load_the_services_lose_nothing_and_go_on_by_themselves() {
    let mut random = Random::new(0x6b69_6c6c);
    let mut root = Root::started(RootOptions {
        tables: "[certificate]\nvalidity = \"1m\"\n[renewal]\nat = 0.1\n[log]\nlevel = \"warn\"\n".into(),
        ..RootOptions::default()
    });
    let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
    let tokens: Vec<_> = (0..4).map(|n| root.token(&format!("load-{n}"))).collect();
    let load = Load::of(Load::enrolled(&tokens));
    let renewing = Renewing::start(&node);
    let mut kills = [0, 0];
    while kills.iter().sum::<usize>() < KILLS {
        let (renewals, by_node) = (load.renewals(), renewing.acknowledged().len());
        wait_for("work to go on", || {
            (load.renewals() > renewals + 10 && renewing.acknowledged().len() > by_node).then_some(())
        });
        for _ in 0..random.between(0, 20_000) {
            thread::yield_now();
        }
        let which = usize::from(random.between(0, 2) == 1);
        kills[which] += 1;
        if which == 0 {
            root.kill();
            let before = [load.acknowledged(), renewing.acknowledged()].concat();
            root.start();
            assert_kept(&root, &before);
        } else {
            node.kill();
            node.start();
            let serial = node.serial();
            assert!(known(&root).contains(&serial), "the node uses what the root does not know");
        }
        assert_eq!(node.status()["enabled"], true);
        acquire(&node).ok();
    }
    assert!(kills.iter().all(|kills| *kills >= 5), "{kills:?} are not enough of each");
    let (_, by_clients) = load.end();
    let by_node = renewing.end();
    assert_kept(&root, &[by_clients, by_node].concat());

    // Without anybody's help.
    let last = node.serial();
    wait_for("the node to renew by itself", || (node.serial() != last).then_some(()));
    assert!(known(&root).contains(&node.serial()));
    assert_eq!([root.stop(), node.stop()], [0, 0]);
}
