//! Bounds: past each the caller is told when to come back, nothing is lost, and memory stays flat.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
};

use licensor::error::{Error, Reason};
use licensor_tests::{
    Line, Node, NodeOptions, Pending, Root, RootOptions, Service, Wire, admin, block_on, certificate_request,
    run, wait_for,
};
use proto::{
    certification::v1::{
        CreateTokenRequest, EnrollRequest, EnrollResponse, GetTrustBundleRequest, GetTrustBundleResponse,
        certification_admin_service_client::CertificationAdminServiceClient,
        certification_service_client::CertificationServiceClient,
    },
    event::v1::{WatchEventsRequest, event_service_client::EventServiceClient},
};
use tokio::task::JoinSet;
use tonic::{Code, Status};

const ENROLL: &str = "/licensor.certification.v1.CertificationService/Enroll";
const GET_TRUST_BUNDLE: &str = "/licensor.certification.v1.CertificationService/GetTrustBundle";

fn root(limits: &str) -> Root {
    Root::started(RootOptions { tables: format!("[limits]\n{limits}\n"), ..RootOptions::default() })
}

fn line(root: &Root) -> Line {
    Line::open(root, &root.data("trust-anchor.pem"))
}

/// How a call ends that crosses the end of its connection.
const CUT: (Code, &str) = (Code::Cancelled, "operation was canceled");

fn trust_bundle(channel: &Wire) -> Result<(), Status> {
    let mut client = CertificationServiceClient::new(channel.clone());
    block_on(client.get_trust_bundle(GetTrustBundleRequest {})).map(|_| ())
}

/// A connection on which nothing is said.
fn silent(service: &Service) -> TcpStream {
    TcpStream::connect(("127.0.0.1", service.port)).unwrap()
}

/// Waits for the server to close a connection.
fn closed(mut stream: TcpStream) {
    match stream.read(&mut [0; 64]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("the server did not close the connection: {other:?}"),
    }
}

/// Checks that a call was turned away, and when it was told to come back.
#[track_caller]
fn overloaded<T: std::fmt::Debug>(result: Result<T, Status>) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let error = Error::from(status);
    assert_eq!(error.reason, Reason::Overloaded);
    assert!(error.retry_after.is_some_and(|wait| !wait.is_zero()), "no RetryInfo");
}

#[test]
fn a_connection_past_the_bound_is_turned_away_until_another_ends() {
    let root = root("connections = 3");
    let lines: Vec<_> = (0..3).map(|_| line(&root)).collect();
    closed(silent(&root));
    assert_eq!(root.metric("licensor_connections"), Some(3.0));
    assert_eq!(root.metric("licensor_connections_refused_total"), Some(1.0));
    lines.iter().for_each(|line| trust_bundle(&line.channel).unwrap());
    drop(lines);
    wait_for("places", || (root.metric("licensor_connections") == Some(0.0)).then_some(()));
    trust_bundle(&line(&root).channel).unwrap();
}

#[test]
fn a_client_that_connects_and_says_nothing_is_cut_off() {
    let root = root("handshake_timeout = \"200ms\"");
    closed(silent(&root));
    let mut half = silent(&root);
    // The beginning of a ClientHello.
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).unwrap();
    closed(half);
    assert_eq!(root.metric("licensor_connections"), Some(0.0));
    trust_bundle(&line(&root).channel).unwrap();
}

#[test]
fn a_message_that_is_too_large_is_refused_by_every_service() {
    let root = root("");
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let large = "x".repeat(3 << 20);
    let methods: [(&Service, &[&'static str]); 2] = [
        (
            &root,
            &[
                ENROLL,
                "/licensor.certification.v1.CertificationService/Renew",
                "/licensor.event.v1.EventService/ListEvents",
                "/grpc.health.v1.Health/Check",
            ],
        ),
        (
            &node,
            &[
                "/licensor.licensing.v1.LicensingService/AcquireLicense",
                "/licensor.licensing.v1.StatusService/GetStatus",
                "/licensor.event.v1.EventService/ListEvents",
                "/grpc.health.v1.Health/Check",
            ],
        ),
    ];
    for (service, paths) in methods {
        let line = Line::open(service, &root.data("trust-anchor.pem"));
        for path in paths {
            let call = Pending::<EnrollRequest, EnrollResponse>::begin(&line.channel, path);
            let request = EnrollRequest { token: large.clone(), ..EnrollRequest::default() };
            let code = call.finish(request).unwrap_err().code();
            assert!(matches!(code, Code::OutOfRange | Code::ResourceExhausted), "{path}: {code:?}");
        }
        assert_eq!(line.opened(), 1);
    }
}

#[test]
fn of_64_enrolments_at_once_past_the_bound_on_signing_none_is_lost() {
    const NODES: usize = 64;
    let root = root("signing = 1");
    let line = line(&root);
    let mut administrator = CertificationAdminServiceClient::new(admin(&root));
    let mut waiting: Vec<EnrollRequest> = (0..NODES)
        .map(|node| {
            let order = CreateTokenRequest {
                node: format!("node-{node}"),
                owner: "Example GmbH".into(),
                ..CreateTokenRequest::default()
            };
            let token = block_on(administrator.create_token(order)).unwrap().into_inner().token;
            EnrollRequest { token, licensor_csr: certificate_request(), ..Default::default() }
        })
        .collect();
    let (mut serials, mut turned_away) = (Vec::new(), 0);
    while !waiting.is_empty() {
        let mut calls = JoinSet::new();
        for request in waiting.drain(..) {
            let mut client = CertificationServiceClient::new(line.channel.clone());
            let call = async move { (client.enroll(request.clone()).await, request) };
            block_on(async { calls.spawn(call) });
        }
        for (answer, request) in block_on(calls.join_all()) {
            match answer {
                Ok(answer) => {
                    let certificate = answer.into_inner().licensor_certificate;
                    serials.push(verifier::Certificate::parse(&certificate).unwrap().serial);
                }
                Err(status) => {
                    overloaded(Err::<(), _>(status));
                    turned_away += 1;
                    waiting.push(request);
                }
            }
        }
    }
    assert!(turned_away > 0, "the bound was never reached");
    let listed = root.json(&["certificates", "list"]);
    let mut recorded: Vec<_> =
        listed.as_array().unwrap().iter().map(|c| c["serial"].as_str().unwrap().to_owned()).collect();
    serials.sort();
    recorded.sort();
    assert_eq!(serials, recorded);
    assert_eq!(recorded.len(), NODES);
    let refused = root.metric("licensor_enrollments_total{result=\"OVERLOADED\"}");
    assert_eq!(refused, Some(f64::from(turned_away)));
}

#[test]
fn a_call_past_the_bound_is_turned_away_until_another_ends() {
    let root = root("calls = 2");
    let line = line(&root);
    let begin =
        || Pending::<GetTrustBundleRequest, GetTrustBundleResponse>::begin(&line.channel, GET_TRUST_BUNDLE);
    let pending = [begin(), begin()];
    wait_for("both calls to be under way", || {
        (root.metric("licensor_calls_under_way") == Some(2.0)).then_some(())
    });
    overloaded(trust_bundle(&line.channel));
    for call in pending {
        call.finish(GetTrustBundleRequest {}).unwrap();
    }
    trust_bundle(&line.channel).unwrap();
    let refused = "licensor_request_duration_seconds_count{method=\"any\",code=\"resource_exhausted\"}";
    assert!(root.metric(refused).is_some_and(|calls| calls >= 1.0));
}

#[test]
fn a_call_whose_message_never_comes_does_not_keep_its_place() {
    let root = root("calls = 1\ncall_timeout = \"300ms\"");
    let line = line(&root);
    let call = Pending::<EnrollRequest, EnrollResponse>::begin(&line.channel, ENROLL);
    let status = call.outcome().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "Timeout expired"));
    trust_bundle(&line.channel).unwrap();
    assert_eq!(line.opened(), 1);
}

#[test]
fn a_watcher_past_the_bound_is_turned_away_until_another_goes() {
    let root = root("watchers = 2");
    let channel = admin(&root);
    let watch = || {
        let mut client = EventServiceClient::new(channel.clone());
        let watching = block_on(client.watch_events(WatchEventsRequest { from_sequence: 1 }));
        watching.map(tonic::Response::into_inner)
    };
    let (first, second) = (watch().unwrap(), watch().unwrap());
    overloaded(watch().map(|_| ()));
    drop(first);
    wait_for("a place", || watch().ok());
    drop(second);
}

#[test]
fn a_connection_that_has_reached_its_age_ends_in_good_order_and_the_client_goes_on() {
    let root = root("connection_age = \"300ms\"");
    let line = line(&root);
    for connections in 1..4 {
        assert!(line.opened() >= connections);
        let begun = Pending::<_, GetTrustBundleResponse>::begin(&line.channel, GET_TRUST_BUNDLE);
        let opened = line.opened();
        wait_for("the next connection", || {
            match trust_bundle(&line.channel) {
                Ok(_) => (line.opened() > opened).then_some(()),
                // A call that crosses the end on its way has not been answered, and is made again: for this alone.
                Err(status) if (status.code(), status.message()) == CUT => None,
                Err(status) => panic!("{status}"),
            }
        });
        begun.finish(GetTrustBundleRequest {}).unwrap();
    }
    wait_for("the old connections to end", || {
        root.metric("licensor_connections").is_some_and(|open| open <= 1.0).then_some(())
    });
}

#[test]
fn memory_stays_flat_under_connections_that_are_turned_away() {
    let root = root("connections = 8");
    let flood = |count| (0..count).for_each(|_| closed(silent(&root)));
    let places: Vec<_> = (0..8).map(|_| line(&root)).collect();
    flood(500);
    let before = resident_kib(&root);
    flood(5_000);
    let after = resident_kib(&root);
    assert!(after < before + 2_048, "from {before} to {after} KiB");
    drop(places);
    wait_for("places", || (root.metric("licensor_connections") == Some(0.0)).then_some(()));
    for _ in 0..2_000 {
        let mut stream = silent(&root);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let after = resident_kib(&root);
    assert!(after < before + 4_096, "from {before} to {after} KiB");
    trust_bundle(&line(&root).channel).unwrap();
}

#[test]
fn a_service_without_file_descriptors_waits_for_one_instead_of_spinning() {
    let root = root("");
    let open = fs::read_dir(format!("/proc/{}/fd", root.pid())).unwrap().count();
    let limit = format!("--nofile={0}:{0}", open + 8);
    run(std::process::Command::new("prlimit").arg(format!("--pid={}", root.pid())).arg(limit)).ok();
    let before = root.metric("licensor_connections_refused_total").unwrap();
    // More than it can take: the rest waits in the kernel's queue.
    let streams: Vec<_> = (0..32).map(|_| silent(&root)).collect();
    let administrators: Vec<_> =
        (0..8).map(|_| UnixStream::connect(root.data("admin.sock")).unwrap()).collect();
    // What takes a while, and what the service has no part in.
    for _ in 0..20 {
        run(&mut root.command(&["init", "--help"])).ok();
    }
    drop((streams, administrators));
    let after = wait_for("the service to accept again", || root.metric("licensor_connections_refused_total"));
    assert!(after - before < 200.0, "{} failures to accept", after - before);
    trust_bundle(&line(&root).channel).unwrap();
    root.run(&["status"]).ok();
}

fn resident_kib(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
