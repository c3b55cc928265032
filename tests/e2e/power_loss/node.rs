//! The licensing server loses its power in the middle of renewals and licences.

use std::{collections::HashMap, fs, sync::Arc, thread};

use licensor::{
    clock::SystemClock,
    store::{SledOptions, SledStore, Store},
    tls::client_config,
};
use licensor_tests::{Bearer, Node, NodeOptions, Root, RootOptions, connect};
use prost::Message;
use proto::licensing::v1::{AcquireLicenseRequest, licensing_service_client::LicensingServiceClient};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{PowerLoss, losses, wait_for_darkness};

const TIMES: usize = 16;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Acquires licences until the node is gone; identifiers of those that were handed out.
fn acquire_until_dark(address: &str, anchor: &[u8], token: &str) -> Vec<String> {
    let mut handed_out = Vec::new();
    runtime().block_on(async {
        let tls = client_config(&[anchor.to_vec()], None, SystemClock::shared()).unwrap();
        let Ok(channel) = connect(address, tls).await else { return };
        let mut client = LicensingServiceClient::with_interceptor(channel, Bearer::new(Some(token)));
        // Some take a seat, and some come again.
        for number in 0.. {
            let request = AcquireLicenseRequest {
                vendor: "Example".into(),
                module: "crm".into(),
                subject: format!("user-{}", number % 97),
                ..Default::default()
            };
            let Ok(answer) = client.acquire_license(request).await else { return };
            handed_out.push(answer.into_inner().license_id);
        }
    });
    handed_out
}

/// What is looked at of the record of a seat.
#[derive(Clone, PartialEq, Message)]
struct Seat {
    #[prost(bytes = "vec", tag = "4")]
    lease: Vec<u8>,
    #[prost(uint64, tag = "5")]
    issued: u64,
}

/// The seats in the store of a node that does not run: how many licences were issued for each lease.
fn kept_seats(node: &Node) -> HashMap<String, u64> {
    let options = SledOptions { directory: node.data("store"), cache_bytes: 16 << 20, minimum_free_bytes: 0 };
    let store = SledStore::open(&options).unwrap_or_else(|error| panic!("{error}: {}", node.log()));
    let pairs = runtime().block_on(store.scan(b"seat/", b"seat/", usize::MAX)).unwrap();
    let seats = pairs.iter().map(|(_, value)| Seat::decode(value.as_slice()).unwrap());
    seats.map(|seat| (verifier::certificate::hex(&seat.lease), seat.issued)).collect()
}

#[test]
fn a_node_that_loses_power_keeps_its_credential_and_every_license_that_it_handed_out() {
    let mut power = PowerLoss::new(0x6e6f_6465);
    let root = Root::started(RootOptions::default());
    let quiet = "[renewal]\nautomatic = false\n[log]\nlevel = \"warn\"\n";
    let options = NodeOptions { tables: quiet.into(), ..NodeOptions::default() };
    let mut node = Node::started(&root, "berlin-1", options);
    let anchor = CertificateDer::from_pem_slice(&fs::read(root.data("trust-anchor.pem")).unwrap()).unwrap();
    let anchor: Arc<[u8]> = Arc::from(anchor.as_ref());
    let token: Arc<str> = Arc::from(node.access_token().unwrap());
    let (mut licenses, mut renewals) = (Vec::new(), vec![node.serial()]);

    for round in 0..TIMES {
        node.kill();
        power.start(&mut node, if round % 6 == 0 { 30 } else { 250 });
        let mut working = None;
        while node.is_running() {
            let ran = node.run(&["renew", "--output", "json"]);
            if ran.code == 0 {
                renewals.push(ran.json()["serial"].as_str().unwrap().to_owned());
                let (address, anchor, token) = (node.address(), Arc::clone(&anchor), Arc::clone(&token));
                working.get_or_insert_with(|| {
                    thread::spawn(move || acquire_until_dark(&address, &anchor, &token))
                });
            }
        }
        wait_for_darkness(&mut node);
        licenses.extend(working.into_iter().flat_map(|working| working.join().unwrap()));

        let kept = kept_seats(&node);
        let is_kept = |license: &String| {
            let (lease, number) = license.split_once('-').unwrap();
            kept.get(lease).is_some_and(|issued| *issued >= number.parse().unwrap())
        };
        let lost = licenses.iter().filter(|license| !is_kept(license)).count();
        assert_eq!(lost, 0, "round {round}: of {} licences", licenses.len());
        node.start();
        let listed = root.json(&["certificates", "list", "--node", "berlin-1"]);
        let issued: Vec<_> =
            listed.as_array().unwrap().iter().rev().map(|c| c["serial"].as_str().unwrap()).collect();
        let place = |serial: &str| issued.iter().position(|issued| *issued == serial).unwrap();
        let serial = node.serial();
        assert!(place(&serial) >= place(renewals.last().unwrap()), "round {round}: a renewal is lost");
        assert_eq!(node.status()["enabled"], true);
        renewals.push(node.json(&["renew"])["serial"].as_str().unwrap().to_owned());
    }
    let [lost, pages, names] = losses(&node);
    println!(
        "{TIMES} losses of power; kept {} renewals, {} licences; lost {lost} of {pages} unsynced pages, {names} names",
        renewals.len(),
        licenses.len()
    );
    assert!(lost > TIMES / 2, "the model took too little: {lost} of {pages} pages");
    assert!(renewals.len() > TIMES + 10 && licenses.len() > TIMES, "there was too little work");
}
