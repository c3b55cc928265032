//! Lists come in pages, and a watch of the events misses none.

use std::{
    collections::BTreeSet,
    fmt::Write,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use licensor::error::{Error, Reason};
use licensor_tests::{
    Node, NodeOptions, Ran, Root, RootOptions, Service, admin, block_on, run_with_input, tool, wait_for,
};
use proto::{
    certification::v1::{
        CreateTokenRequest, ListTokensRequest,
        certification_admin_service_client::CertificationAdminServiceClient,
    },
    event::v1::{WatchEventsRequest, event_service_client::EventServiceClient},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// A list as grpcurl reads it.
struct List<'a> {
    service: &'a Service,
    /// Over the TLS port instead of the admin socket.
    tls: bool,
    method: &'static str,
    /// The entries in an answer, and what tells one from another.
    entries: &'static str,
    id: &'static str,
    filter: Value,
}

impl List<'_> {
    fn call(&self, size: i64, token: &str) -> Ran {
        let mut request = self.filter.clone();
        request["page_size"] = json!(size);
        request["page_token"] = json!(token);
        let mut command = Command::new(tool("grpcurl"));
        if self.tls {
            let authorization =
                self.service.access_token().map(|token| format!("authorization: Bearer {token}"));
            command.args(authorization.iter().flat_map(|header| ["-H", header]));
            command.arg("-cacert").arg(self.service.data("trust-bundle.pem")).args(["-d", "@"]);
            command.arg(self.service.address());
        } else {
            command.args(["-unix", "-plaintext", "-d", "@"]).arg(self.service.data("admin.sock"));
        }
        run_with_input(command.arg(self.method), &request.to_string())
    }

    fn page(&self, size: i64, token: &str) -> (Vec<Value>, String) {
        let answer = self.call(size, token).json();
        let entries = answer[self.entries].as_array().cloned().unwrap_or_default();
        let ids = entries.iter().map(|entry| entry[self.id].clone()).collect();
        (ids, answer["nextPageToken"].as_str().unwrap_or_default().to_owned())
    }

    /// Every entry, read in pages of this size.
    fn pages(&self, size: usize) -> Vec<Value> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let (page, next) = self.page(i64::try_from(size).unwrap(), &token);
            assert!(page.len() <= size, "{} has a page of {}", self.method, page.len());
            assert!(
                next.is_empty() || page.len() == size,
                "{} has a short page before the last",
                self.method
            );
            all.extend(page);
            if next.is_empty() {
                return all;
            }
            token = next;
        }
    }

    fn check(&self, least: usize) {
        let (whole, next) = self.page(0, "");
        assert_eq!(next, "", "{} has more than a page", self.method);
        assert!(whole.len() >= least, "{} has {} entries", self.method, whole.len());
        let distinct: BTreeSet<_> = whole.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), whole.len(), "{}: {whole:?}", self.method);
        for size in [1, 2, whole.len() - 1, whole.len(), whole.len() + 1] {
            assert_eq!(self.pages(size), whole, "{} in pages of {size}", self.method);
        }
        self.call(-1, "").refused(64 + 3, &["INVALID_ARGUMENT", "page_size"]);
        self.call(2, "no token!").refused(64 + 3, &["INVALID_ARGUMENT", "page_token"]);
    }
}

#[test]
fn every_list_comes_in_pages() {
    const ROOT: &str = "licensor.certification.v1.CertificationAdminService";
    let root = Root::started(RootOptions::default());
    let mut other = "owner = \"Example GmbH\"\nvendor = \"Other\"\nserial_number = \"1\"\n".to_owned();
    for name in ["zeta", "alpha", "beta", "gamma"] {
        write!(other, "[[modules]]\nname = \"{name}\"\nquantity = 1\n").unwrap();
    }
    root.entitle(&other);
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    wait_for("both vendors", || (node.json(&["licenses", "list"]).as_array()?.len() == 5).then_some(()));
    for name in ["paris-1", "oslo-1", "rome-1"] {
        Node::new(NodeOptions::default()).enroll(&root.token(name));
    }
    for _ in 0..4 {
        node.json(&["renew"]);
    }
    let list = |method: &'static str, entries, id, filter: Value| {
        let method = Box::leak(format!("{ROOT}/{method}").into_boxed_str());
        List { service: &root, tls: false, method, entries, id, filter }
    };
    list("ListTokens", "tokens", "id", json!({})).check(4);
    list("ListNodes", "nodes", "name", json!({})).check(4);
    list("ListCertificates", "certificates", "serial", json!({})).check(8);
    let of_one = list("ListCertificates", "certificates", "serial", json!({ "node": "berlin-1" }));
    of_one.check(5);
    let newest_first = root.json(&["certificates", "list", "--node", "berlin-1"]);
    let newest_first: Vec<_> =
        newest_first.as_array().unwrap().iter().map(|certificate| certificate["serial"].clone()).collect();
    assert_eq!(of_one.pages(2), newest_first);
    assert_eq!(newest_first.first().unwrap(), &json!(node.serial()));
    for service in [&*root, &*node] {
        let method = "licensor.event.v1.EventService/ListEvents";
        List { service, tls: false, method, entries: "events", id: "sequence", filter: json!({}) }.check(5);
    }
    for name in ["a", "b", "c", "d", "e"] {
        node.json(&["access", "create", "--name", name]);
    }
    let method = "licensor.licensing.v1.LicensingAdminService/ListAccessTokens";
    List { service: &node, tls: false, method, entries: "accessTokens", id: "id", filter: json!({}) }
        .check(5);
    let method = "licensor.event.v1.EventService/ListEvents";
    List { service: &node, tls: true, method, entries: "events", id: "sequence", filter: json!({}) }.check(5);
    let method = "licensor.licensing.v1.LicensingService/ListModules";
    let modules =
        List { service: &node, tls: true, method, entries: "modules", id: "name", filter: json!({}) };
    modules.check(5);
    assert_eq!(modules.pages(2), ["crm", "alpha", "beta", "gamma", "zeta"]);
}

fn create_tokens(root: &Root, count: usize) {
    let mut calls = JoinSet::new();
    for token in 0..count {
        let mut client = CertificationAdminServiceClient::new(admin(root));
        let order = CreateTokenRequest {
            node: format!("node-{token}"),
            owner: "Example GmbH".into(),
            ..CreateTokenRequest::default()
        };
        block_on(async { calls.spawn(async move { client.create_token(order).await.map(|_| ()) }) });
        if calls.len() == 32 {
            block_on(calls.join_next()).unwrap().unwrap().unwrap();
        }
    }
    block_on(calls.join_all()).into_iter().for_each(Result::unwrap);
}

#[test]
fn a_page_has_a_hundred_entries_unless_asked_and_a_thousand_at_most() {
    let root = Root::started(RootOptions::default());
    create_tokens(&root, 1_050);
    let mut client = CertificationAdminServiceClient::new(admin(&root));
    let mut page = |page_size, page_token: &str| {
        let request = ListTokensRequest { page_size, page_token: page_token.into() };
        block_on(client.list_tokens(request)).unwrap().into_inner()
    };
    assert_eq!(page(0, "").tokens.len(), 100);
    let first = page(5_000, "");
    assert_eq!(first.tokens.len(), 1_000);
    assert_eq!(page(5_000, &first.next_page_token).tokens.len(), 50);
}

/// Reads events from this number on: so many, and then it goes away.
fn watched(channel: &Channel, from: u64, count: usize) -> Vec<u64> {
    let mut client = EventServiceClient::new(channel.clone());
    block_on(async {
        let request = WatchEventsRequest { from_sequence: from };
        let mut events = client.watch_events(request).await.unwrap().into_inner();
        let mut sequences = Vec::new();
        while sequences.len() < count {
            sequences.push(events.message().await.unwrap().unwrap().event.unwrap().sequence);
        }
        sequences
    })
}

#[test]
fn a_watch_resumes_without_gaps_or_duplicates_while_events_are_raised() {
    const EVENTS: u64 = 1_200;
    let root = Arc::new(Root::started(RootOptions::default()));
    let raised = Arc::new(AtomicBool::new(false));
    let raise = {
        let (root, raised) = (Arc::clone(&root), Arc::clone(&raised));
        std::thread::spawn(move || {
            create_tokens(&root, usize::try_from(EVENTS).unwrap() - 1);
            raised.store(true, Ordering::SeqCst);
        })
    };
    let channel = admin(&root);
    let steady = {
        let channel = channel.clone();
        std::thread::spawn(move || watched(&channel, 1, usize::try_from(EVENTS).unwrap()))
    };
    let (mut seen, mut count) = (Vec::new(), 1);
    let mut resumed_meanwhile = 0;
    while seen.len() < usize::try_from(EVENTS).unwrap() {
        let next = seen.last().map_or(1, |last| last + 1);
        let left = usize::try_from(EVENTS).unwrap() - seen.len();
        seen.extend(watched(&channel, next, left.min(count)));
        count = count % 150 + 37;
        resumed_meanwhile += usize::from(!raised.load(Ordering::SeqCst));
    }
    raise.join().unwrap();
    let listed = |arguments: &[&str]| -> Vec<u64> {
        let events = root.json(&[&["events", "list"], arguments].concat());
        events.as_array().unwrap().iter().map(|event| event["sequence"].as_u64().unwrap()).collect()
    };
    // The numbers in between are those of an administrator's calls that only read, and of the root's own certificate.
    let expected = listed(&[]);
    let mut all = [expected.clone(), listed(&["--id", "125"]), listed(&["--id", "134"])].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=u64::try_from(all.len()).unwrap()).collect::<Vec<_>>());
    for seen in [seen, steady.join().unwrap()] {
        let first = seen.iter().zip(&expected).find(|(seen, expected)| seen != expected);
        assert_eq!(first, None, "the first that is not where it belongs");
        assert_eq!(seen.len(), expected.len());
    }
    assert!(resumed_meanwhile > 2, "it resumed {resumed_meanwhile} times while events were raised");
}

#[test]
fn a_watch_from_now_on_begins_with_the_next_event() {
    let root = Root::started(RootOptions::default());
    create_tokens(&root, 3);
    let next = u64::try_from(root.entries()).unwrap() + 1;
    let mut client = EventServiceClient::new(admin(&root));
    let mut events =
        block_on(client.watch_events(WatchEventsRequest { from_sequence: 0 })).unwrap().into_inner();
    create_tokens(&root, 1);
    let event = block_on(events.message()).unwrap().unwrap().event.unwrap();
    assert_eq!((event.sequence, event.name.as_str()), (next, "TokenCreatedEvent"));
}

#[test]
fn a_stranger_reads_no_events_of_the_root_over_the_network() {
    let root = Root::started(RootOptions::default());
    let line = licensor_tests::Line::open(&root, &root.data("trust-anchor.pem"));
    let mut client = EventServiceClient::new(line.channel);
    let status = block_on(client.watch_events(WatchEventsRequest { from_sequence: 1 })).unwrap_err();
    assert_eq!(Error::from(status).reason, Reason::ClientCertificateRequired);
}
