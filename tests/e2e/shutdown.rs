//! Services that are told to stop.

use std::process::Stdio;

use licensor::key::{KeyAlgorithm, PrivateKey};
use licensor_tests::{Answers, Load, Node, NodeOptions, Proxy, Root, RootOptions, Watch, wait_for};
use proto::certification::v1::{
    GetTrustBundleRequest, RenewRequest, RenewResponse,
    certification_service_client::CertificationServiceClient,
};
use rustix::process::Signal;
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_stream::{StreamExt, iter};
use tonic::{Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use verifier::Certificate;

/// A renewal of which the root has the beginning; the rest is sent when it is let go.
struct HalfSent {
    go: oneshot::Sender<()>,
    answer: JoinHandle<Result<RenewResponse, Status>>,
}

async fn half_send(channel: Channel) -> HalfSent {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let message = RenewRequest { licensor_csr: key.certificate_request().unwrap(), ..Default::default() };
    let (go, gone) = oneshot::channel::<()>();
    let (begun, beginning) = oneshot::channel::<()>();
    let mut grpc = Grpc::new(channel.clone());
    let answer = tokio::spawn(async move {
        let messages = iter([(begun, gone, message)]).then(async |(begun, gone, message)| {
            // Asked for the message: the headers are on their way.
            let _ = begun.send(());
            let _ = gone.await;
            message
        });
        grpc.ready().await.unwrap();
        let path = "/licensor.certification.v1.CertificationService/Renew".parse().unwrap();
        let answer = grpc.client_streaming(Request::new(messages), path, ProstCodec::default()).await;
        answer.map(tonic::Response::into_inner)
    });
    beginning.await.unwrap();
    // What is answered on the same connection was read after the headers.
    CertificationServiceClient::new(channel).get_trust_bundle(GetTrustBundleRequest {}).await.unwrap();
    HalfSent { go, answer }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn wait_for_stopping(log: impl Fn() -> String) {
    wait_for("the service to begin to stop", || {
        log().contains("calls in flight are finished first").then_some(())
    });
}

#[test]
fn calls_in_flight_are_finished_and_what_they_were_answered_is_kept() {
    let mut root = Root::started(RootOptions::default());
    let tokens: Vec<_> = (0..8).map(|n| root.token(&format!("node-{n}"))).collect();
    let identities = Load::enrolled(&tokens);
    let runtime = runtime();
    let half_sent: Vec<HalfSent> = identities
        .iter()
        .map(|identity| runtime.block_on(async { half_send(identity.channel().await.unwrap()).await }))
        .collect();
    root.signal(Signal::TERM);
    wait_for_stopping(|| root.log());
    wait_for("the port to be closed", || runtime.block_on(identities[0].channel()).is_err().then_some(()));
    assert!(root.is_running(), "it did not wait for the calls");
    let renewed: Vec<String> = half_sent
        .into_iter()
        .map(|HalfSent { go, answer }| {
            go.send(()).unwrap();
            let answer = runtime.block_on(answer).unwrap().unwrap();
            Certificate::parse(&answer.licensor_certificate).unwrap().serial
        })
        .collect();
    assert_eq!(root.wait(), 0);
    let log = root.log();
    assert!(log.lines().last().unwrap().contains("stopped"), "{log}");
    for serial in &renewed {
        assert!(log.contains(serial), "no line tells of the renewal of {serial}: {log}");
    }
    root.start();
    let listed = root.json(&["certificates", "list"]);
    let current: Vec<_> = listed.as_array().unwrap().iter().filter(|c| c["status"] == "current").collect();
    assert_eq!(current.len(), renewed.len());
    assert!(current.iter().all(|c| renewed.iter().any(|serial| c["serial"] == *serial)));
}

#[test]
fn a_call_that_never_ends_does_not_keep_a_service_from_stopping() {
    let tables = "[limits]\ndrain = \"500ms\"\n".to_owned();
    let mut root = Root::started(RootOptions { tables, ..RootOptions::default() });
    let identity = Load::enrolled(&[root.token("berlin-1")]).remove(0);
    let runtime = runtime();
    let half_sent = runtime.block_on(async { half_send(identity.channel().await.unwrap()).await });
    assert_eq!(root.stop(), 0);
    assert!(root.log().contains("they are cut off"), "{}", root.log());
    assert!(runtime.block_on(half_sent.answer).unwrap().is_err());
}

#[test]
fn a_renewal_that_is_under_way_when_the_node_is_told_to_stop_is_finished() {
    let proxy = Proxy::start();
    let root = Root::started(RootOptions { public_address: Some(proxy.address()), ..RootOptions::default() });
    proxy.lead_to(Some(root.port));
    let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
    node.json(&["renew"]);
    proxy.set(Answers::Hold(proxy.largest() - 300));
    let issued = || root.json(&["certificates", "list"]).as_array().unwrap().len();
    let (stopped, before) = (proxy.stopped(), issued());
    let mut command = node.command(&["renew", "--output", "json"]);
    let renewal = command.stdout(Stdio::piped()).spawn().unwrap();
    // The node asks for entitlements as well: the reply to its renewal is meant.
    wait_for("the reply", || (proxy.stopped() > stopped && issued() > before).then_some(()));
    node.signal(Signal::TERM);
    wait_for_stopping(|| node.log());
    proxy.set(Answers::Pass);
    let output = renewal.wait_with_output().unwrap();
    assert!(output.status.success());
    let renewed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(node.wait(), 0);
    node.start();
    assert_eq!(node.serial(), renewed["serial"]);
}

#[test]
fn those_who_watch_events_see_the_end_of_the_stream_and_no_error() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut root = Root::started(RootOptions::default());
        let mut node = Node::started(&root, "berlin-1", NodeOptions::default());
        let mut watches = [Watch::start(&root), Watch::start(&node)];
        for watch in &watches {
            wait_for("the first event", || (!watch.seen().is_empty()).then_some(()));
        }
        for service in [&mut *root, &mut *node] {
            service.signal(signal);
            assert_eq!(service.wait(), 0);
            assert!(!service.data("admin.sock").exists());
        }
        assert_eq!(watches.each_mut().map(Watch::wait), [0, 0]);
    }
}
