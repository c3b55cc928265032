//! Files that are carried: to enrol and to renew where no network leads, for roots and for licensing servers.

use std::{fs, time::Duration};

use licensor::{
    carried::write_call,
    clock::{SystemClock, timestamp},
    key::{KeyAlgorithm, PrivateKey},
};
use licensor_tests::{Node, NodeOptions, Workshop};
use proto::certification::v1::{CarriedCall, EnrollRequest, carried_call::Call};

use super::*;

/// What would be on the way: the request of a service and the answer to it.
struct Way {
    workshop: Workshop,
}

impl Way {
    fn new() -> Self {
        Self { workshop: Workshop::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.workshop.path(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, content).unwrap();
        file
    }

    /// The answer of `upstream` to the request in this file.
    fn answer(&self, upstream: &Root, request: &Path) -> PathBuf {
        let signed = upstream.json(&["sign-request", text(request)]);
        PathBuf::from(signed["answer"].as_str().unwrap())
    }

    /// A file that differs from another one in one octet.
    fn edited(&self, file: &Path, name: &str) -> PathBuf {
        let mut pem = pem::parse(fs::read(file).unwrap()).unwrap();
        let mut octets = pem.contents().to_vec();
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        pem = pem::Pem::new(pem.tag(), octets);
        self.write(name, &pem::encode(&pem))
    }

    fn cut(&self, file: &Path, name: &str) -> PathBuf {
        let whole = fs::read_to_string(file).unwrap();
        self.write(name, &whole[..whole.len() / 2])
    }
}

/// A node without a way to any root.
fn lonely_node() -> Node {
    let tables = "[renewal]\nautomatic = false\n".to_owned();
    let mut node = Node::new(NodeOptions { tables, ..NodeOptions::default() });
    node.start();
    node
}

#[test]
fn a_root_and_a_node_live_by_files_alone() {
    let activation = started_root();
    let way = Way::new();
    let mut root = root_with("");
    root.run(&["init", "--upstream", "offline"]).ok();
    root.run(&["init", "--upstream", "offline", "--if-needed"]).ok();
    root.start();
    assert_eq!(root.json(&["status"])["disabled_reason"], "NOT_ENROLLED");
    root.run(&["token", "create", "--node", "a", "--owner", "A"]).refused(1, &["NOT_ENROLLED"]);
    let request = way.file("root.request");
    root.run(&["authority", "export-request", text(&request)])
        .refused(1, &["NOT_ENROLLED", "token is needed"]);
    let token = root_token(&activation, "berlin", "Example GmbH");
    root.json(&["authority", "export-request", text(&request), "--token-file", text(&token)]);
    root.run(&["authority", "export-request", text(&request), "--token-file", text(&token)])
        .refused(1, &["is there already"]);
    let answer = way.answer(&activation, &request);
    // Carried in vain a first time: the process that took it was killed.
    root.kill();
    root.start();
    let imported = root.json(&["authority", "import", text(&answer)]);
    assert_eq!(imported["standing"], "active");
    assert_eq!(root.json(&["status"])["enabled"], true);
    // A node below it, by files as well.
    let node = lonely_node();
    let token = way.write("node.token", &root.token("berlin-1"));
    let request = way.file("node.request");
    node.json(&["export-request", text(&request), "--token-file", text(&token)]);
    let answer = way.answer(&root, &request);
    node.json(&["import", text(&answer)]);
    let anchor = activation.data("trust-anchor.pem");
    check_chain(&anchor, &node.data("licensor-certificate.pem"));
    verify(&node, &licence(&node), &anchor, &[]).ok();
    // Both renew by files.
    let before = (serial(&root), key_id(&root), node.serial());
    let request = way.file("root-2.request");
    root.json(&["authority", "export-request", text(&request)]);
    root.json(&["authority", "import", text(&way.answer(&activation, &request))]);
    let request = way.file("node-2.request");
    node.json(&["export-request", text(&request)]);
    node.json(&["import", text(&way.answer(&root, &request))]);
    assert_ne!(serial(&root), before.0);
    assert_eq!(key_id(&root), before.1);
    assert_ne!(node.serial(), before.2);
    assert_eq!(serials(&node.data("licensor-certificate.pem")), [node.serial(), serial(&root)]);
    // The key of the root is exchanged by files.
    let next = root.json(&["authority", "rotate", "prepare"]);
    assert_eq!((&next["serial"], &next["standing"]), (&Value::Null, &"requested".into()));
    root.run(&["authority", "rotate", "activate"]).refused(1, &["ROTATION_NOT_PREPARED"]);
    let request = way.file("root-3.request");
    root.json(&["authority", "export-request", text(&request)]);
    let prepared = root.json(&["authority", "import", text(&way.answer(&activation, &request))]);
    assert_eq!(prepared["standing"], "prepared");
    root.json(&["authority", "rotate", "activate"]);
    let request = way.file("node-3.request");
    node.json(&["export-request", text(&request)]);
    node.json(&["import", text(&way.answer(&root, &request))]);
    root.json(&["authority", "rotate", "retire"]);
    verify(&node, &licence(&node), &anchor, &[]).ok();
}

#[test]
fn an_edited_swapped_stale_or_foreign_request_is_refused_by_name_and_changes_nothing() {
    let (root, other) = (started_root(), started_root());
    let way = Way::new();
    let node = lonely_node();
    let token = way.write("token", &root.token("berlin-1"));
    let enrolment = way.file("enrolment");
    node.json(&["export-request", text(&enrolment), "--token-file", text(&token)]);
    let before = root.ledger();
    for (file, words) in [
        (way.edited(&enrolment, "edited"), ["CARRIED_FILE_INVALID", "nothing has changed"]),
        (way.cut(&enrolment, "cut"), ["CARRIED_FILE_INVALID", "LICENSOR REQUEST"]),
        (token, ["CARRIED_FILE_INVALID", "LICENSOR REQUEST"]),
        (way.file("none"), ["none", "No such file"]),
    ] {
        root.run(&["sign-request", text(&file)]).refused(1, &words);
        assert!(!way.file(&format!("{}.answer", file.display())).exists());
    }
    assert_eq!(root.ledger(), before);
    other.run(&["sign-request", text(&enrolment)]).refused(1, &["TOKEN_UNKNOWN"]);
    let answer = way.answer(&root, &enrolment);
    root.run(&["sign-request", text(&enrolment)]).refused(1, &["is there already"]);
    // The same request is answered with the same certificate.
    let again = way.file("again");
    root.json(&["sign-request", text(&enrolment), "--answer", text(&again)]);
    assert_eq!(root.json(&["certificates", "list"]).as_array().unwrap().len(), 1);
    node.json(&["import", text(&answer)]);
    let renewal = way.file("renewal");
    node.json(&["export-request", text(&renewal)]);
    other.run(&["sign-request", text(&renewal)]).refused(1, &["NOT_ISSUED_BY_THIS_ROOT"]);
    // Overtaken by a renewal over the network, which asked with the same keys: the same certificate, which is here already.
    node.json(&["renew"]);
    let answer = way.answer(&root, &renewal);
    node.run(&["import", text(&answer)]).refused(1, &["ANSWER_TO_ANOTHER_REQUEST", "another way meanwhile"]);
    assert_eq!(root.json(&["certificates", "list"]).as_array().unwrap().len(), 2);
    // A token that was used does not enrol another key.
    let stranger = lonely_node();
    let token = way.write("used", fs::read_to_string(way.file("token")).unwrap().as_str());
    let request = way.file("stranger");
    stranger.json(&["export-request", text(&request), "--token-file", text(&token)]);
    root.run(&["sign-request", text(&request)]).refused(1, &["TOKEN_ALREADY_USED"]);
}

#[test]
fn a_request_that_is_too_old_or_from_the_future_is_refused_by_name() {
    let root = started_root();
    let way = Way::new();
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let now = SystemClock::shared().now();
    let days = |days: u64| Duration::from_secs(days * 86_400);
    for (made, reason) in [
        (now - days(31), "REQUEST_EXPIRED"),
        (now + days(1), "CARRIED_FILE_INVALID"),
        // Known to nobody, but in time.
        (now - days(29), "TOKEN_UNKNOWN"),
    ] {
        let enroll = EnrollRequest {
            token: "none".into(),
            licensor_csr: key.certificate_request().unwrap(),
            ..EnrollRequest::default()
        };
        let create_time = Some(timestamp(made));
        let call = CarriedCall { create_time, call: Some(Call::Enroll(enroll)), ..CarriedCall::default() };
        let file = way.write("request", &write_call(&call, &key).unwrap().0);
        root.run(&["sign-request", text(&file)]).refused(1, &[reason]);
    }
}

#[test]
fn an_edited_swapped_stale_or_foreign_answer_is_refused_by_name_and_changes_nothing() {
    let (root, other) = (started_root(), started_root());
    let way = Way::new();
    let (node, neighbour) = (lonely_node(), lonely_node());
    for (name, node) in [("berlin-1", &node), ("berlin-2", &neighbour)] {
        node.enroll(&root.token(name));
    }
    let export = |node: &Node, name: &str| {
        let request = way.file(name);
        node.json(&["export-request", text(&request)]);
        request
    };
    let first = export(&node, "first");
    let first_answer = way.answer(&root, &first);
    let swapped = way.answer(&root, &export(&neighbour, "neighbour"));
    let request = export(&node, "second");
    let answer = way.answer(&root, &request);
    let foreign = {
        let token = way.write("foreign.token", &other.token("berlin-1"));
        let stranger = lonely_node();
        let request = way.file("foreign");
        stranger.json(&["export-request", text(&request), "--token-file", text(&token)]);
        way.answer(&other, &request)
    };
    let before = (node.status(), fs::read(node.data("licensor-certificate.pem")).unwrap());
    for (file, words) in [
        (way.edited(&answer, "edited-answer"), ["cannot be used", "reason: C"]),
        (way.cut(&answer, "cut-answer"), ["CARRIED_FILE_INVALID", "LICENSOR ANSWER"]),
        (request, ["CARRIED_FILE_INVALID", "LICENSOR ANSWER"]),
        (first_answer, ["ANSWER_TO_ANOTHER_REQUEST", "newest"]),
        (swapped, ["ANSWER_TO_ANOTHER_REQUEST", "newest"]),
        (foreign, ["ANSWER_TO_ANOTHER_REQUEST", "newest"]),
    ] {
        node.run(&["import", text(&file)]).refused(1, &words);
        assert_eq!((node.status(), fs::read(node.data("licensor-certificate.pem")).unwrap()), before);
    }
    node.json(&["import", text(&answer)]);
    node.run(&["import", text(&answer)]).refused(1, &["ANSWER_TO_ANOTHER_REQUEST"]);
    assert_eq!(node.status()["last_renewal_error"], Value::Null);
}

#[test]
fn a_root_takes_no_answer_but_the_one_to_its_newest_request() {
    let (activation, other) = (started_root(), started_root());
    let way = Way::new();
    let mut root = root_with("");
    root.run(&["init", "--upstream", "offline"]).ok();
    root.start();
    let export = |name: &str, token: &Path| {
        let request = way.file(name);
        root.json(&["authority", "export-request", text(&request), "--token-file", text(token)]);
        request
    };
    let import = |answer: &Path| root.run(&["authority", "import", text(answer)]);
    let foreign = way.answer(&other, &export("foreign", &root_token(&other, "berlin", "Example GmbH")));
    let token = root_token(&activation, "berlin", "Example GmbH");
    let request = export("first", &token);
    let first = way.answer(&activation, &request);
    let newest = export("second", &token);
    let answer = way.answer(&activation, &newest);
    for (file, words) in [
        (way.edited(&answer, "edited"), ["nothing has changed", "reason: C"]),
        (way.cut(&answer, "cut"), ["CARRIED_FILE_INVALID", "LICENSOR ANSWER"]),
        (newest, ["CARRIED_FILE_INVALID", "LICENSOR ANSWER"]),
        (first, ["ANSWER_TO_ANOTHER_REQUEST", "newest"]),
        (foreign, ["ANSWER_TO_ANOTHER_REQUEST", "newest"]),
    ] {
        import(&file).refused(1, &words);
        assert_eq!(root.json(&["status"])["disabled_reason"], "NOT_ENROLLED");
        assert!(!root.data("trust-anchor.pem").exists());
    }
    import(&answer).ok();
    import(&answer).refused(1, &["ANSWER_TO_ANOTHER_REQUEST", "answered already"]);
}
