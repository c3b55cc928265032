//! Answers, processes and power that are lost: what was acknowledged is there, and everything is counted once.

use std::thread;

use licensor::{clock::SystemClock, tls::client_config};
use licensor_tests::{
    Answers, Bearer, FakeClock, Line, Node, NodeOptions, Proxy, Random, Root, block_on, certificates,
    connect, wait_for,
};
use proto::licensing::v1::{
    ReportUsageRequest, ReportUsageResponse, UsageOutcome, metering_service_client::MeteringServiceClient,
};
use tonic::Status;

use super::{
    assert_used, batch,
    load::{Reporters, SIZE},
    metered, outcomes, used,
};
use crate::power_loss::{PowerLoss, losses, wait_for_darkness};

const QUIET: &str = "[renewal]\nautomatic = false\n[log]\nlevel = \"warn\"\n";

fn quiet() -> (Root, Node) {
    metered(NodeOptions { tables: QUIET.into(), ..NodeOptions::default() })
}

/// Reports on a new connection to `address`.
fn report_at(
    address: &str,
    (root, node): (&Root, &Node),
    batch: &ReportUsageRequest,
) -> Result<ReportUsageResponse, Status> {
    let anchors = certificates(&root.data("trust-anchor.pem"));
    block_on(async {
        let tls = client_config(&anchors, None, SystemClock::shared()).unwrap();
        let channel =
            connect(address, tls).await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
        let bearer = Bearer::new(node.access_token());
        let mut client = MeteringServiceClient::with_interceptor(channel, bearer);
        Ok(client.report_usage(batch.clone()).await?.into_inner())
    })
}

#[test]
fn a_report_whose_answer_is_cut_off_and_that_is_repeated_counts_once() {
    // The answer to so many is long enough to be cut in its middle.
    const EVENTS: usize = 500;
    let (root, node) = quiet();
    let now = FakeClock::new().now();
    let proxy = Proxy::start();
    proxy.lead_to(Some(node.port));
    let report = |batch: &ReportUsageRequest| report_at(&proxy.address(), (&root, &node), batch);
    let answer = report(&batch("first", EVENTS, now)).unwrap();
    assert_eq!(outcomes(&answer), [UsageOutcome::Accepted; EVENTS]);
    let whole = proxy.largest();
    let mut counted = EVENTS as u64;
    for missing in [300, 700, 1_200, 1_700] {
        let batch = batch(&format!("cut-{missing}"), EVENTS, now);
        proxy.set(Answers::Cut(whole - missing));
        let lost = report(&batch).map(|answer| outcomes(&answer).len()).unwrap_err();
        counted += EVENTS as u64;
        wait_for("the report to be counted all the same", || (used(&node) == counted).then_some(()));
        proxy.set(Answers::Pass);
        let again = report(&batch).unwrap();
        assert_eq!(
            outcomes(&again),
            [UsageOutcome::Duplicate; EVENTS],
            "{missing} bytes before the end: {lost}"
        );
        assert_used(&node, counted, counted);
    }
}

#[test]
fn killed_at_any_moment_while_several_report_the_server_counts_everything_once() {
    const KILLS: usize = 12;
    let (root, mut node) = quiet();
    let now = FakeClock::new().now();
    let mut random = Random::new(0x7573_6167);
    let reporters = Reporters::start(&node, &root.data("trust-anchor.pem"), 4, now);
    for _ in 0..KILLS {
        reporters.go_on(8);
        for _ in 0..random.between(0, 20_000) {
            thread::yield_now();
        }
        let answered = reporters.answered() * SIZE;
        node.kill();
        node.start();
        assert!(used(&node) >= answered as u64, "of {answered} events that were acknowledged some are lost");
    }
    everything_counts_once(&root, &node, reporters, now);
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_server_that_loses_power_while_several_report_counts_everything_once() {
    const TIMES: usize = 12;
    let (root, mut node) = quiet();
    let now = FakeClock::new().now();
    let mut power = PowerLoss::new(0x6d65_7465);
    let reporters = Reporters::start(&node, &root.data("trust-anchor.pem"), 3, now);
    for round in 0..TIMES {
        reporters.go_on(4);
        node.kill();
        // Some moments lie in the start, most in the work that follows.
        power.start(&mut node, if round % 6 == 0 { 30 } else { 300 });
        wait_for_darkness(&mut node);
        let answered = reporters.answered() * SIZE;
        node.start();
        assert!(
            used(&node) >= answered as u64,
            "round {round}: of {answered} acknowledged events some are lost"
        );
        assert_eq!(node.json(&["usage", "check"])["agree"], true, "round {round}");
    }
    everything_counts_once(&root, &node, reporters, now);
    let [lost, pages, names] = losses(&node);
    println!("{TIMES} losses of power; lost {lost} of {pages} unsynced pages, {names} names");
    assert!(lost > TIMES / 2, "the model took too little: {lost} of {pages} pages");
}

/// Ends the reporters, reports all of theirs once more, and checks the sums.
fn everything_counts_once(root: &Root, node: &Node, reporters: Reporters, now: i64) {
    let names = reporters.end();
    assert!(names.len() > 50, "there was too little work: {} batches", names.len());
    let events = (names.len() * SIZE) as u64;
    assert_used(node, events, events);
    let line = Line::open(node, &root.data("trust-anchor.pem"));
    let mut client = MeteringServiceClient::new(line.channel);
    for name in names {
        let answer = block_on(client.report_usage(batch(&name, SIZE, now))).unwrap();
        assert_eq!(outcomes(answer.get_ref()), [UsageOutcome::Duplicate; SIZE], "{name}");
    }
    assert_used(node, events, events);
}
