//! Usage while something is wrong with the server, while it stops, and after somebody has changed its store.

use std::fs;

use licensor::{
    error::{Error, Reason},
    store::{Batch, SledOptions, SledStore, Store},
};
use licensor_tests::{
    FakeClock, Line, Node, NodeOptions, Root, RootOptions, acquire, block_on, instant, wait_for,
};
use prost::Message;
use proto::licensing::v1::{
    ReportUsageStreamRequest, UsageOutcome, metering_service_client::MeteringServiceClient,
};
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{assert_used, batch, metered, outcomes, report, rfc3339, streamed, token, wait_for_service};
use crate::full_disk::{Filler, RESERVE, SOCKET, on_small_disk};

#[test]
fn a_full_disk_refuses_usage_by_name_and_takes_the_same_once_there_is_room() {
    const EVENTS: usize = 200;
    let root = Root::started(RootOptions::default());
    // The command line does not see the node's disk: the node enrols by itself.
    let enrollment = "[enrollment]\ntoken_file = \"{folder}/token\"\n";
    let tables = format!("{SOCKET}{enrollment}[renewal]\nautomatic = false\n");
    let mut node = Node::new(NodeOptions { tables, ..NodeOptions::default() });
    fs::write(node.folder().join("token"), token(&root)).unwrap();
    on_small_disk(&mut node, "true");
    node.start();
    wait_for_service(&node);
    let now = FakeClock::new().now();
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let mut client = MeteringServiceClient::new(line.channel);
    let mut report = |name: &str| {
        let answer = block_on(client.report_usage(batch(name, EVENTS, now))).map_err(Error::from)?;
        Result::<_, Error>::Ok(outcomes(answer.get_ref()))
    };
    let refused = || node.metric("licensor_usage_events_total{result=\"DISK_FULL\"}");
    assert_eq!(refused(), Some(0.0));
    assert_eq!(report("before").unwrap(), [UsageOutcome::Accepted; EVENTS]);
    let mut counted = EVENTS as u64;
    // Too little is left; and nothing at all.
    for left in [RESERVE / 2, 0] {
        let name = format!("full-{left}");
        let filler = Filler::take(&node, left);
        for _ in 0..2 {
            let refusal = report(&name).unwrap_err();
            assert_eq!(refusal.reason, Reason::DiskFull, "{refusal}");
            assert!(refusal.message.contains("make room"), "{refusal}");
            // What is known need not be kept again.
            assert_eq!(report("before").unwrap(), [UsageOutcome::Duplicate; EVENTS]);
        }
        assert_used(&node, counted, counted);
        filler.free();
        assert_eq!(report(&name).unwrap(), [UsageOutcome::Accepted; EVENTS]);
        assert_eq!(report(&name).unwrap(), [UsageOutcome::Duplicate; EVENTS]);
        counted += EVENTS as u64;
        assert_used(&node, counted, counted);
    }
    assert_eq!(refused(), Some((4 * EVENTS) as f64));
}

#[test]
fn usage_is_counted_while_the_certificate_has_expired_and_no_licences_are_issued() {
    let mut clock = FakeClock::new();
    let tables = "[expiry]\ncheck_interval = \"1s\"\n[renewal]\nautomatic = false\n".to_owned();
    let (_root, node) = metered(NodeOptions { environment: clock.environment(), tables });
    acquire(&node).ok();
    clock.set_to(instant(&node.status()["certificate"]["not_after"]) + 60);
    let refused = wait_for("the refusal", || Some(acquire(&node)).filter(|answer| answer.code != 0));
    refused.refused(64 + 9, &["LICENSOR_CERTIFICATE_EXPIRED"]);
    let now = rfc3339(clock.now());
    assert_eq!(report(&node, "1", 7, &now)["outcome"], "USAGE_OUTCOME_ACCEPTED");
    assert_eq!(report(&node, "1", 7, &now)["outcome"], "USAGE_OUTCOME_DUPLICATE");
    acquire(&node).refused(64 + 9, &["LICENSOR_CERTIFICATE_EXPIRED"]);
    assert_used(&node, 7, 1);
    node.json(&["renew"]);
    acquire(&node).ok();
    assert_eq!(report(&node, "2", 1, &now)["outcome"], "USAGE_OUTCOME_ACCEPTED");
    assert_used(&node, 8, 2);
}

#[test]
fn a_stream_of_usage_ends_in_good_order_when_the_server_stops_and_what_was_answered_is_kept() {
    const EVENTS: usize = 10;
    let (root, mut node) = metered(NodeOptions::default());
    let now = FakeClock::new().now();
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let open = || {
        let (sender, batches) = mpsc::channel::<ReportUsageStreamRequest>(1);
        let mut client = MeteringServiceClient::new(line.channel.clone());
        (sender, block_on(client.report_usage_stream(ReceiverStream::new(batches))).unwrap().into_inner())
    };
    let name = |number: usize| format!("batch-{number}");
    // One that waits for more, and one that is busy while the server is told to stop.
    let (_idle, mut nothing) = open();
    let (sender, mut answers) = open();
    let (mut sent, mut answered) = (0, 0);
    let end = loop {
        if answered == 20 {
            node.signal(Signal::TERM);
        }
        let next = streamed(batch(&name(sent), EVENTS, now));
        // When the stream has ended nobody takes it any more; the answers say why.
        sent += usize::from(block_on(sender.send(next)).is_ok());
        match block_on(answers.message()) {
            Ok(Some(answer)) => {
                assert_eq!(outcomes(&answer.answer.unwrap()), [UsageOutcome::Accepted; EVENTS]);
                answered += 1;
            }
            end => break end,
        }
    };
    assert!(end.is_ok(), "{end:?}");
    assert!(block_on(nothing.message()).unwrap().is_none());
    assert_eq!(node.wait(), 0);
    let log = node.log();
    assert!(!log.contains("cut off"), "it waited for streams in vain: {log}");
    assert!(answered >= 20 && sent >= answered, "{answered} of {sent}");

    node.start();
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let mut client = MeteringServiceClient::new(line.channel);
    let mut again = |number: usize| {
        let answer = block_on(client.report_usage(batch(&name(number), EVENTS, now))).unwrap();
        outcomes(answer.get_ref())
    };
    for number in 0..answered {
        assert_eq!(again(number), [UsageOutcome::Duplicate; EVENTS], "{number}");
    }
    (answered..sent).for_each(|number| _ = again(number));
    assert_used(&node, (sent * EVENTS) as u64, (sent * EVENTS) as u64);
}

/// What is changed of a counter in the store.
#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(uint64, tag = "1")]
    sum: u64,
    #[prost(uint64, tag = "2")]
    maximum: u64,
    #[prost(uint64, tag = "3")]
    events: u64,
}

#[test]
fn a_recount_finds_a_counter_that_somebody_has_changed_and_names_it() {
    let (_root, mut node) = metered(NodeOptions::default());
    let now = rfc3339(FakeClock::new().now());
    for id in ["1", "2", "3"] {
        report(&node, id, 5, &now);
    }
    assert_used(&node, 15, 3);
    assert_eq!(node.stop(), 0);
    let options = SledOptions { directory: node.data("store"), cache_bytes: 16 << 20, minimum_free_bytes: 0 };
    let store = SledStore::open(&options).unwrap();
    block_on(async {
        let counters = store.scan(b"usage/counter/", b"usage/counter/", 10).await.unwrap();
        let [(key, value)] = counters.as_slice() else { panic!("{counters:?}") };
        let counter = Counter::decode(value.as_slice()).unwrap();
        assert_eq!(counter, Counter { sum: 15, maximum: 5, events: 3 });
        let mut batch = Batch::new();
        batch.put(key.clone(), Counter { sum: 4, ..counter }.encode_to_vec());
        store.commit(batch).await.unwrap();
    });
    drop(store);
    node.start();
    let refused = node.run(&["usage", "check"]).refused(1, &["USAGE_COUNTERS_WRONG", "keep a copy"]);
    for words in ["Example", "mail", "4 in 3, at most 5", "15 in 3, at most 5"] {
        assert!(refused.stdout.contains(words), "`{words}` is not in: {}", refused.stdout);
    }
    let refused = node.run(&["usage", "check", "--output", "json"]).refused(1, &["USAGE_COUNTERS_WRONG"]);
    let check: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((&check["events"], &check["agree"]), (&json!(3), &json!(false)));
    let [difference] = check["differences"].as_array().unwrap().as_slice() else { panic!("{check}") };
    assert_eq!((&difference["vendor"], &difference["service"]), (&json!("Example"), &json!("mail")));
    assert_eq!((&difference["counter"]["sum"], &difference["recount"]["sum"]), (&json!(4), &json!(15)));
}
