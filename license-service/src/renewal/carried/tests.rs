use licensor::carried::read_call;
use pem::{EncodeConfig, LineEnding, Pem};
use prost::Message;
use proto::certification::v1::{CarriedAnswer, SignedAnswer};

use super::*;
use crate::{
    renewal::test_node::TestNode,
    test_root::{TestRoot, start},
};

/// The file with an answer after `edit`, under the signature that it had.
fn edited(text: &str, edit: impl FnOnce(&mut CarriedAnswer)) -> String {
    let mut signed = SignedAnswer::decode(pem::parse(text).unwrap().contents()).unwrap();
    let mut answer = CarriedAnswer::decode(&*signed.answer).unwrap();
    edit(&mut answer);
    signed.answer = answer.encode_to_vec();
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("LICENSOR ANSWER", signed.encode_to_vec()), config)
}

/// The renewal in an answer.
fn renewal(answer: &mut CarriedAnswer) -> &mut proto::certification::v1::RenewResponse {
    match &mut answer.answer {
        Some(Answer::Renew(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

/// That the node refuses `text`, and is as it was.
async fn refused(node: &TestNode, text: &str) -> Error {
    let before = node.state().await;
    let error = node.renewal.import(text, "uid:0").await.unwrap_err();
    assert_eq!(node.state().await, before, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_and_a_renewal_go_by_files() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::open().await;
    let token = root.token();
    let request = node.renewal.export(&format!("{token}\n"), false).await.unwrap();
    let call = read_call(&request).unwrap().call;
    assert!(matches!(&call.call, Some(Call::Enroll(enroll)) if enroll.token == token));
    assert_eq!(call.client_certificate, b"");
    assert_eq!(call.create_time, Some(timestamp(start())));
    let enrolled = node.renewal.import(&root.answer(&request, node.now()), "uid:0").await.unwrap();
    assert_eq!(enrolled.node(), "berlin-1");
    assert!(Arc::ptr_eq(&enrolled, &node.credential()));
    assert_eq!(node.count(EventKind::NodeEnrolled).await, 1);
    assert_eq!(node.ledger.exported().await.unwrap(), None);
    assert!(node.metrics.text().contains("licensor_enrollments_total{result=\"ok\"} 1"));

    // An expired certificate is renewed, too.
    node.advance(101);
    let request = node.renewal.export("", false).await.unwrap();
    let call = read_call(&request).unwrap().call;
    assert!(matches!(call.call, Some(Call::Renew(_))));
    assert_eq!(call.client_certificate, enrolled.issuance.licensor);
    let renewed = node.renewal.import(&root.answer(&request, node.now()), "uid:0").await.unwrap();
    assert_ne!(renewed.facts.serial, enrolled.facts.serial);
    assert_ne!(renewed.facts.public_key_info, enrolled.facts.public_key_info);
    assert_eq!(node.count(EventKind::CertificateRenewed).await, 1);
    assert_eq!(node.ledger.renewal().await.unwrap().succeeded(), Some(from_unix(node.now())));
    assert!(node.metrics.text().contains("licensor_renewals_total{result=\"ok\"} 1"));
    let record = node.ledger.credential().await.unwrap().unwrap();
    assert_eq!(record.token, hex(&EnrollmentToken::parse(&token).unwrap().id));
    assert_eq!(node.key_files(), 2);
}

fn from_unix(time: SystemTime) -> SystemTime {
    licensor::clock::from_unix_seconds(unix_seconds(time))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_stay_the_same_until_there_is_an_answer() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let asked = |text: &str| match read_call(text).unwrap().call.call {
        Some(Call::Renew(renew)) => renew,
        other => panic!("{other:?}"),
    };
    let key = |request: &[u8]| {
        rcgen::CertificateSigningRequestParams::from_der(&request.into()).unwrap().public_key
    };
    let same = |some: &[u8], other: &[u8]| {
        use rcgen::PublicKeyData;
        key(some).der_bytes() == key(other).der_bytes()
    };
    let first = asked(&node.renewal.export("", false).await.unwrap());
    let second = asked(&node.renewal.export("", false).await.unwrap());
    assert!(same(&first.licensor_csr, &second.licensor_csr));
    assert!(same(&first.server_csr, &second.server_csr));
    // Those that others clean up are not these.
    node.renewal.tidy_keys().await;
    assert_eq!(node.key_files(), 4);

    let node = TestNode::enrolled(&root).await;
    let request = node.renewal.export("", true).await.unwrap();
    let former = node.credential();
    let renewed = node.renewal.import(&root.answer(&request, node.now()), "uid:0").await.unwrap();
    assert_eq!(renewed.facts.public_key_info, former.facts.public_key_info);
    assert_ne!(renewed.facts.serial, former.facts.serial);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_tampered_with_is_refused() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let request = node.renewal.export("", false).await.unwrap();
    let answer = root.answer(&request, node.now());
    let impostor = root.impostor();
    let carried = Reason::CarriedFileInvalid;
    let invalid = Reason::CredentialInvalid;
    for (text, reason) in [
        (edited(&answer, |answer| answer.create_time = None), carried),
        (edited(&answer, |answer| renewal(answer).audit_checkpoint = "x".into()), carried),
        (edited(&answer, |answer| renewal(answer).renewal_window = None), invalid),
        (edited(&answer, |answer| *renewal(answer).licensor_certificate.last_mut().unwrap() ^= 1), invalid),
        (edited(&answer, |answer| answer.call_digest[0] ^= 1), Reason::AnswerToAnotherRequest),
        (answer[..answer.len() / 2].to_owned(), carried),
        (String::new(), carried),
        (request.clone(), carried),
        // The certificates are those of the root, the signature is that of somebody who calls himself the same.
        (
            impostor.sign_answer(&{
                let signed = SignedAnswer::decode(pem::parse(&answer).unwrap().contents()).unwrap();
                let mut answer = CarriedAnswer::decode(&*signed.answer).unwrap();
                renewal(&mut answer).issuers.push(impostor.certificate.clone());
                answer
            }),
            carried,
        ),
        // Another root, which has read the request.
        (TestRoot::anchor("Root").answer(&request, node.now()), invalid),
        (impostor.answer(&request, node.now()), invalid),
        (TestRoot { node: "berlin-2", ..root.clone() }.answer(&request, node.now()), invalid),
    ] {
        let error = refused(&node, &text).await;
        assert_eq!(error.reason, reason, "{error}");
    }
    node.renewal.import(&answer, "uid:0").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_anything_but_the_newest_request_is_refused() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::open().await;
    let another = Reason::AnswerToAnotherRequest;
    // Of an earlier one with the same token.
    let token = root.token();
    let first = node.renewal.export(&token, false).await.unwrap();
    node.clock.advance(std::time::Duration::from_secs(1));
    let second = node.renewal.export(&token, false).await.unwrap();
    assert_eq!(refused(&node, &root.answer(&first, node.now())).await.reason, another);
    // Of another kind.
    let answer = root.answer_with(&second, node.now(), |answer| {
        let read = read_call(&second).unwrap().call.call;
        let Some(Call::Enroll(asked)) = read else { panic!("{read:?}") };
        let renew = proto::certification::v1::RenewRequest {
            licensor_csr: asked.licensor_csr,
            server_csr: asked.server_csr,
            authority_csr: Vec::new(),
        };
        answer.answer = Some(Answer::Renew(root.renew(&renew, start())));
    });
    assert_eq!(refused(&node, &answer).await.reason, another);
    // The same twice.
    let answer = root.answer(&second, node.now());
    node.renewal.import(&answer, "uid:0").await.unwrap();
    let error = refused(&node, &answer).await;
    assert_eq!(error.reason, another);
    assert!(error.message.contains("imported already"), "{error}");
    // With a token that was used here, nobody would get another certificate.
    let error = node.renewal.export(&token, false).await.unwrap_err();
    assert_eq!(error.reason, Reason::TokenAlreadyUsed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_renewed_meanwhile_goes_on_with_what_it_has() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::enrolled(&root).await;
    let request = node.renewal.export("", false).await.unwrap();
    let answer = root.answer(&request, node.now());
    let exported = node.ledger.exported().await.unwrap().unwrap();
    node.renew(&root).await;
    assert_eq!(node.ledger.exported().await.unwrap(), None);
    assert_eq!(node.key_files(), 2);
    assert_eq!(refused(&node, &answer).await.reason, Reason::AnswerToAnotherRequest);
    // Were the record still there, it would be of no use.
    let keys = KeyNames { licensor: "a".into(), server: "b".into() };
    node.ledger.keep_exported(&ExportedRecord { keys: keys.clone(), ..exported }).await.unwrap();
    assert!(node.ledger.named_keys().await.unwrap().contains(&keys));
    let error = refused(&node, &answer).await;
    assert_eq!(error.reason, Reason::AnswerToAnotherRequest);
    assert!(error.message.contains("meanwhile"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_moves_to_another_root_though_it_is_renewed_at_the_former_meanwhile() {
    let (former, root) = (TestRoot::anchor("Former"), TestRoot::anchor("Latter"));
    let node = TestNode::enrolled(&former).await;
    let request = node.renewal.export(&root.token(), false).await.unwrap();
    node.renew(&former).await;
    assert_eq!(node.key_files(), 4);
    // The token says who may answer.
    let error = refused(&node, &former.answer(&request, node.now())).await;
    assert_eq!(error.reason, Reason::CredentialInvalid);
    let moved = node.renewal.import(&root.answer(&request, node.now()), "uid:0").await.unwrap();
    assert_eq!(moved.issuance.anchors, root.anchors);
    assert_eq!(node.key_files(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_said_at_once() {
    let root = TestRoot::anchor("Root");
    let node = TestNode::open().await;
    for (token, same_key, reason) in [
        ("", false, Reason::NotEnrolled),
        ("no token", false, Reason::TokenUnknown),
        (&*root.token(), true, Reason::InvalidArgument),
    ] {
        assert_eq!(node.renewal.export(token, same_key).await.unwrap_err().reason, reason);
    }
    assert_eq!(node.ledger.exported().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_below_another_and_one_with_another_key_answer_by_files() {
    let root = TestRoot::anchor("Root").below(&TestRoot::anchor("Upper"));
    let node = TestNode::enrolled(&root).await;
    let mut latter = TestRoot::anchor("Latter");
    latter.issuers = vec![root.cross_certify(&latter), root.certificate.clone()];
    let request = node.renewal.export("", false).await.unwrap();
    let renewed = node.renewal.import(&latter.answer(&request, node.now()), "uid:0").await.unwrap();
    assert_eq!(renewed.issuance.anchors, latter.anchors);
}
