//! Revoked certificates, decommissioned nodes, and the list that tells of them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_and_listed_and_no_longer_warned_of() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    let serial = first.certificate.serial.clone();
    bench.advance(DAY * 340).await;
    let revoked = bench.authority.revoke(&serial, 1, "uid 0").await.unwrap();
    assert_eq!(reason(bench.renew(&first, &request()).await), Reason::CertificateRevoked);
    let list = bench.list();
    assert_eq!(revoked.list_number, Some(list.number));
    let octets = verifier::certificate::octets(&serial).unwrap();
    assert_eq!(list.find(&octets).map(|revoked| revoked.reason), Some(1));
    bench.advance(DAY * 25).await;
    assert_eq!(bench.events("a").await, [(106, false), (100, false), (16, false), (110, false)]);
    let again = bench.authority.revoke(&serial, 1, "uid 0").await;
    assert_eq!(reason(again), Reason::CertificateAlreadyRevoked);
    assert_eq!(reason(bench.authority.revoke("00", 1, "uid 0").await), Reason::CertificateUnknown);
    assert_eq!(reason(bench.authority.revoke(&serial, 8, "uid 0").await), Reason::InvalidArgument);
    // A new token brings the node back.
    let second = bench.enroll("a").await;
    bench.renew(&second, &request()).await.unwrap();
    assert_eq!(reason(bench.renew(&first, &request()).await), Reason::CertificateRevoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_predecessor_gets_nothing_though_its_successor_is_in_force() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    let csr = request();
    let second = bench.renew(&first, &csr).await.unwrap();
    bench.authority.revoke(&first.certificate.serial, 0, "uid 0").await.unwrap();
    assert_eq!(reason(bench.renew(&first, &csr).await), Reason::CertificateRevoked);
    bench.renew(&second, &request()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_certificate_was_revoked_brings_it_back_no_more() {
    let bench = Bench::new().await;
    let (token, csr) = (bench.token("a").await, request());
    let issued = bench.authority.enroll(&token, licensor_only(&csr)).await.unwrap();
    bench.authority.revoke(&issued.certificate.serial, 0, "uid 0").await.unwrap();
    let again = bench.authority.enroll(&token, licensor_only(&csr)).await;
    assert_eq!(reason(again), Reason::CertificateRevoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decommissioned_node_never_comes_back() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    let unused = bench.token("a").await;
    assert_eq!(reason(bench.authority.decommission("b", "uid 0").await), Reason::NodeUnknown);
    let node = bench.authority.decommission("a", "uid 0").await.unwrap();
    assert!(node.record.decommissioned_at > 0);
    assert_eq!(reason(bench.renew(&first, &request()).await), Reason::NodeDecommissioned);
    let enrolled = bench.authority.enroll(&unused, licensor_only(&request())).await;
    assert_eq!(reason(enrolled), Reason::NodeDecommissioned);
    assert_eq!(reason(bench.authority.decommission("a", "uid 0").await), Reason::NodeDecommissioned);
    let octets = verifier::certificate::octets(&first.certificate.serial).unwrap();
    assert_eq!(bench.list().find(&octets).map(|revoked| revoked.reason), Some(5));
    bench.advance(DAY * 400).await;
    assert_eq!(
        bench.events("a").await.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [106, 100, 106, 110, 111]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_signed_anew_in_time_and_forget_what_cannot_come_back() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    bench.authority.revoke(&first.certificate.serial, 0, "uid 0").await.unwrap();
    let former = bench.list();
    for hours in [11, 1] {
        bench.clock.advance(Duration::from_secs(3600) * hours);
        bench.authority.refresh_revocation_lists().await.unwrap();
        assert_eq!(bench.list().number > former.number, hours == 1);
    }
    bench.clock.advance(DAY * 394 - Duration::from_secs(1));
    bench.authority.refresh_revocation_lists().await.unwrap();
    assert_eq!(bench.list().len(), 1);
    bench.clock.advance(DAY);
    bench.authority.refresh_revocation_lists().await.unwrap();
    assert!(bench.list().is_empty(), "the certificate can neither be used nor renewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_revoke_at_once_each_is_on_the_list_that_it_was_told() {
    let bench = Arc::new(Bench::new().await);
    let mut tasks = Vec::new();
    for n in 0..24 {
        let serial = bench.enroll(&format!("node-{n}")).await.certificate.serial;
        let bench = Arc::clone(&bench);
        tasks.push(tokio::spawn(async move {
            let revoked = bench.authority.revoke(&serial, 0, "uid 0").await.unwrap();
            let list = bench.list();
            assert!(list.number >= revoked.list_number.unwrap());
            assert!(list.find(&verifier::certificate::octets(&serial).unwrap()).is_some());
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bench.list().len(), 24);
}
