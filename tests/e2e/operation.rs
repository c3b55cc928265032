//! What operators see: probes, metrics, logs, and a shutdown in good order.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use licensor_tests::{
    Bearer, Line, Node, NodeOptions, Pending, Root, RootOptions, Service, Wire, admin, block_on, instant,
    run_with_input, tool, wait_for,
};
use proto::{
    event::v1::{WatchEventsRequest, event_service_client::EventServiceClient},
    licensing::v1::{
        AcquireLicenseRequest, AcquireLicenseResponse, GetStatusRequest,
        status_service_client::StatusServiceClient,
    },
};
use rustix::process::Signal;
use serde_json::{Value, json};

const ACQUIRE: &str = "/licensor.licensing.v1.LicensingService/AcquireLicense";

fn pair() -> (Root, Node) {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    (root, node)
}

/// The metrics as Prometheus reads them.
struct Metrics(Value);

impl Metrics {
    fn of(service: &Service) -> Self {
        let (code, text) = service.ops("/metrics");
        assert_eq!(code, 200);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/read_metrics.py");
        Self(run_with_input(Command::new(tool("python3")).arg(script), &text).json())
    }

    /// The samples of this name that have these labels, at least.
    fn all(&self, name: &str, labels: &Value) -> Vec<f64> {
        let has = |sample: &Value| {
            labels.as_object().unwrap().iter().all(|(label, value)| sample[1][label] == *value)
        };
        let samples = self.0["samples"].as_array().unwrap().iter();
        samples
            .filter(|sample| sample[0] == name && has(sample))
            .map(|sample| sample[2].as_f64().unwrap())
            .collect()
    }

    #[track_caller]
    fn one(&self, name: &str, labels: Value) -> f64 {
        let found = self.all(name, &labels);
        assert_eq!(found.len(), 1, "{name} {labels}: {found:?}");
        found[0]
    }
}

#[test]
fn probes_tell_whether_the_process_lives_and_whether_it_does_its_work() {
    let (root, node) = pair();
    for service in [&*root, &*node] {
        assert_eq!(service.ops("/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(service.ops("/readyz"), (200, "ready\n".to_owned()));
        assert_eq!(service.ops("/nothing").0, 404);
    }
    let mut fresh = Node::new(NodeOptions::default());
    fresh.start();
    assert_eq!(fresh.ops("/healthz").0, 200);
    let (code, reason) = fresh.ops("/readyz");
    assert_eq!(code, 503);
    assert!(reason.starts_with("NOT_ENROLLED: "), "{reason}");
}

#[test]
fn every_metric_is_there_from_the_start_and_prometheus_reads_it() {
    let root = Root::started(RootOptions::default());
    let mut node = Node::new(NodeOptions::default());
    node.start();
    for service in [&*root, &*node] {
        let metrics = Metrics::of(service);
        let types = metrics.0["types"].as_object().unwrap();
        for (name, kind) in [
            ("licensor_certificate_not_after_seconds", "gauge"),
            ("licensor_last_successful_renewal_seconds", "gauge"),
            ("licensor_renewals", "counter"),
            ("licensor_enrollments", "counter"),
            ("licensor_events", "counter"),
            ("licensor_connections", "gauge"),
            ("licensor_connections_refused", "counter"),
            ("licensor_calls_under_way", "gauge"),
        ] {
            assert_eq!(types[name], kind, "{name}");
        }
        for id in ["16", "17", "18"] {
            assert_eq!(metrics.one("licensor_events_total", json!({ "id": id })), 0.0);
        }
        assert_eq!(metrics.one("licensor_renewals_total", json!({})), 0.0);
        assert_eq!(metrics.one("licensor_enrollments_total", json!({})), 0.0);
        assert_eq!(metrics.one("licensor_last_successful_renewal_seconds", json!({})), 0.0);
    }
    assert_eq!(Metrics::of(&node).one("licensor_certificate_not_after_seconds", json!({})), 0.0);
}

#[test]
fn metrics_follow_enrolments_renewals_failures_and_events() {
    let (root, node) = pair();
    node.json(&["renew"]);
    let other = Node::new(NodeOptions::default());
    let token = root.token("paris-1");
    other.enroll(&token);
    let thief = Node::new(NodeOptions::default());
    thief.run_with_input(&["enroll", "--token", "-"], &token).refused(1, &["TOKEN_ALREADY_USED"]);

    let at_root = Metrics::of(&root);
    let authority = root.json(&["status"])["authority"]["not_after"].clone();
    assert_eq!(at_root.one("licensor_certificate_not_after_seconds", json!({})), instant(&authority) as f64);
    let total = |result: &str| at_root.one("licensor_enrollments_total", json!({ "result": result }));
    assert_eq!((total("ok"), total("TOKEN_ALREADY_USED")), (2.0, 1.0));
    assert_eq!(at_root.one("licensor_renewals_total", json!({ "result": "ok" })), 1.0);
    for (id, times) in [("100", 2.0), ("101", 1.0), ("106", 2.0), ("108", 1.0), ("18", 0.0)] {
        assert_eq!(at_root.one("licensor_events_total", json!({ "id": id })), times, "event {id}");
    }
    let method = "licensor.certification.v1.CertificationService/Enroll";
    let count = |code: &str| {
        let labels = json!({ "method": method, "code": code });
        at_root.one("licensor_request_duration_seconds_count", labels)
    };
    assert_eq!((count("ok"), count("permission_denied")), (2.0, 1.0));
    assert_eq!(at_root.0["types"]["licensor_request_duration_seconds"], "histogram");
    let buckets = at_root.all("licensor_request_duration_seconds_bucket", &json!({ "method": method }));
    assert!(buckets.len() > 20, "{buckets:?}");

    let at_node = Metrics::of(&node);
    let status = node.status();
    let gauge = |name: &str| at_node.one(name, json!({}));
    let not_after = instant(&status["certificate"]["not_after"]);
    assert_eq!(gauge("licensor_certificate_not_after_seconds"), not_after as f64);
    let last = instant(&status["last_renewal"]);
    assert_eq!(gauge("licensor_last_successful_renewal_seconds"), last as f64);
    assert_eq!(at_root.one("licensor_last_successful_renewal_seconds", json!({})), last as f64);
    assert_eq!(at_node.one("licensor_renewals_total", json!({ "result": "ok" })), 1.0);
}

#[test]
fn a_failed_renewal_is_counted_by_its_reason_and_the_last_success_stays() {
    let (mut root, mut node) = pair();
    node.json(&["renew"]);
    let last = Metrics::of(&node).one("licensor_last_successful_renewal_seconds", json!({}));
    assert!(last > 0.0);
    root.stop();
    node.run(&["renew"]).refused(1, &["ROOT_UNREACHABLE"]);
    let check = |node: &Node| {
        let metrics = Metrics::of(node);
        assert_eq!(metrics.one("licensor_last_successful_renewal_seconds", json!({})), last);
        metrics
    };
    let metrics = check(&node);
    assert_eq!(metrics.one("licensor_renewals_total", json!({ "result": "ROOT_UNREACHABLE" })), 1.0);
    assert_eq!(metrics.one("licensor_events_total", json!({ "id": "102" })), 1.0);
    node.stop();
    node.start();
    check(&node);
}

#[test]
fn what_a_stranger_calls_does_not_become_a_metric() {
    let (root, _) = pair();
    let line = Line::open(&root, &root.data("trust-anchor.pem"));
    for path in ["/a.b/C", "/licensor.certification.v1.CertificationService/Nothing", "/x"] {
        let call = Pending::<GetStatusRequest, GetStatusRequest>::begin(&line.channel, path);
        assert_eq!(call.finish(GetStatusRequest {}).unwrap_err().code(), tonic::Code::Unimplemented);
    }
    let labels = json!({ "code": "unimplemented" });
    let metrics = Metrics::of(&root);
    assert_eq!(metrics.all("licensor_request_duration_seconds_count", &labels), [3.0]);
}

#[test]
fn every_log_line_is_json_and_none_has_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let tables = format!(
        "[authority]\npassphrase_file = {:?}\n[log]\nlevel = \"debug\"\n",
        passphrase.to_str().unwrap()
    );
    let mut root = Root::started(RootOptions { tables, ..RootOptions::default() });
    let token = root.token("berlin-1");
    let debug = NodeOptions { tables: "[log]\nlevel = \"debug\"\n".into(), ..NodeOptions::default() };
    let mut node = Node::new(debug);
    node.start();
    node.enroll(&token);
    node.json(&["renew"]);
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let license = {
        let call = Pending::<_, AcquireLicenseResponse>::begin(&line.channel, ACQUIRE);
        let request = AcquireLicenseRequest {
            vendor: "Example".into(),
            module: "crm".into(),
            subject: "anna".into(),
            ..Default::default()
        };
        call.finish(request).unwrap().license
    };
    let thief = Node::new(NodeOptions::default());
    thief.run_with_input(&["enroll", "--token", "-"], &token).refused(1, &["TOKEN_ALREADY_USED"]);
    assert_eq!((root.stop(), node.stop()), (0, 0));

    let keys: Vec<_> = fs::read_dir(node.data("keys")).unwrap().map(|key| key.unwrap().path()).collect();
    assert!(!keys.is_empty());
    let keys = keys.iter().map(|key| fs::read_to_string(key).unwrap().lines().nth(1).unwrap().to_owned());
    let secrets: Vec<String> = ["correct horse".to_owned(), token, license].into_iter().chain(keys).collect();
    for service in [&*root, &*node] {
        let log = service.log();
        for secret in &secrets {
            assert!(!log.contains(secret.as_str()), "`{secret}` is in the log");
        }
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        for line in &lines {
            for member in ["timestamp", "level", "message", "target"] {
                assert!(line[member].is_string(), "{line} has no {member}");
            }
        }
        let start = lines.iter().find(|line| line["message"] == "starting").unwrap();
        let config: Value = serde_json::from_str(start["config"].as_str().unwrap()).unwrap();
        assert_eq!(config["listen"], service.address());
        assert_eq!(config["limits"]["connections"], 12_000);
        let events: BTreeSet<_> = lines.iter().filter_map(|line| line["event_id"].as_u64()).collect();
        assert!(events.contains(&101), "{events:?}");
        assert!(lines.iter().filter(|line| line["event_id"].is_u64()).all(|line| {
            line["event_name"].as_str().is_some_and(|name| name.ends_with("Event"))
                && line["severity"].is_string()
        }));
    }
}

#[test]
fn a_stop_finishes_calls_in_flight_and_takes_no_new_ones() {
    for signal in [Signal::TERM, Signal::INT] {
        let (root, mut node) = pair();
        let line = Line::open(&node, &root.data("trust-anchor.pem"));
        let call = Pending::<_, AcquireLicenseResponse>::begin(&line.channel, ACQUIRE);
        // Sent after the call's head on the same connection, and answered: the server knows of the call.
        let mut client = StatusServiceClient::new(line.channel.clone());
        block_on(client.get_status(GetStatusRequest {})).unwrap();
        node.signal(signal);
        wait_for("the stop", || node.log().contains("calls in flight are finished first").then_some(()));
        wait_for("the port to be closed", || std::net::TcpStream::connect(("127.0.0.1", node.port)).err());
        assert!(node.is_running());
        let request = AcquireLicenseRequest {
            vendor: "Example".into(),
            module: "crm".into(),
            subject: "anna".into(),
            ..Default::default()
        };
        let answer = call.finish(request).unwrap();
        assert!(answer.license.starts_with("ey"));
        assert_eq!(node.wait(), 0);
        assert!(!node.log().contains("cut off"), "{}", node.log());
        assert!(!node.data("admin.sock").exists());
    }
}

#[test]
fn a_stop_ends_watchers_and_idle_connections_at_once() {
    let (mut root, mut node) = pair();
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let open = |channel| Wire::new(channel, Bearer::new(None));
    let mut watches: Vec<_> = [open(admin(&root)), open(admin(&node)), line.channel.clone()]
        .into_iter()
        .map(|channel| {
            let request = WatchEventsRequest { from_sequence: 1 };
            block_on(EventServiceClient::new(channel).watch_events(request)).unwrap().into_inner()
        })
        .collect();
    assert_eq!((node.stop(), root.stop()), (0, 0));
    for watch in &mut watches {
        block_on(async { while watch.message().await.unwrap().is_some() {} });
    }
    for service in [&*root, &*node] {
        assert!(!service.log().contains("cut off"), "{}", service.log());
    }
}

#[test]
fn a_call_that_does_not_end_is_cut_off_when_the_time_to_drain_is_over() {
    let root = Root::started(RootOptions::default());
    let tables = "[limits]\ndrain = \"300ms\"\n".to_owned();
    let mut node = Node::started(&root, "berlin-1", NodeOptions { tables, ..NodeOptions::default() });
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let call = Pending::<AcquireLicenseRequest, AcquireLicenseResponse>::begin(&line.channel, ACQUIRE);
    block_on(StatusServiceClient::new(line.channel.clone()).get_status(GetStatusRequest {})).unwrap();
    assert_eq!(node.stop(), 0);
    assert!(node.log().contains("cut off"), "{}", node.log());
    call.outcome().unwrap_err();
}
