//! The exchange of the authority's key, and roots below.

use super::*;

/// That a stranger with these anchors believes what was issued.
fn believed(issued: &Issued, anchors: &[Vec<u8>], now: std::time::SystemTime) -> bool {
    let (leaf, issuers) = (&issued.certificate.licensor, &issued.issuer.issuers);
    verifier::verify_licensor_chain(leaf, issuers, anchors, licensor::clock::unix_seconds(now)).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_goes_in_three_steps_and_nobody_is_left_behind() {
    let bench = Bench::new().await;
    let authority = &bench.authority;
    let old = bench.enroll("a").await;
    let now = bench.clock.now();
    let first = authority.active().unwrap();
    assert_eq!(reason(authority.activate_rotation("test").await), Reason::RotationNotPrepared);
    assert_eq!(reason(authority.retire("test").await), Reason::RotationNotActive);
    // Prepared: in the trust bundle, and the former one issues.
    let next = authority.prepare_rotation("test").await.unwrap();
    assert_eq!(next.standing(), Standing::Prepared);
    assert_eq!(reason(authority.prepare_rotation("test").await), Reason::RotationUnderWay);
    let bundle = authority.generations().trust_anchors(now);
    assert_eq!(bundle, [first.certificate.clone(), next.certificate.clone()]);
    let between = bench.enroll("b").await;
    assert_eq!(between.certificate.issuer_key_id, first.key_id());
    // Activated: believed by those who know either of the two.
    let second = authority.activate_rotation("test").await.unwrap();
    assert_eq!(second.certificate, next.certificate);
    assert_eq!(reason(authority.prepare_rotation("test").await), Reason::RotationUnderWay);
    let new = bench.enroll("c").await;
    assert_eq!(new.certificate.issuer_key_id, second.key_id());
    let (a, b) = (vec![first.certificate.clone()], vec![second.certificate.clone()]);
    assert!(believed(&new, &a, now) && believed(&new, &b, now));
    assert!(believed(&old, &a, now) && !believed(&old, &b, now));
    // Each keeps its own list.
    authority.refresh_revocation_lists().await.unwrap();
    let revoked = authority.revoke(&between.certificate.serial, 1, "test").await.unwrap();
    let list = authority.revocation_list(first.key_id()).unwrap();
    assert_eq!(revoked.list_number, Some(list.number));
    let list = verifier::RevocationList::verify(&list.der, &a).unwrap();
    let serial = verifier::certificate::octets(&between.certificate.serial).unwrap();
    assert!(list.find(&serial).is_some());
    let other = verifier::RevocationList::verify(&bench.list_der(second.key_id()), &b).unwrap();
    assert!(other.find(&serial).is_none());
    // Retired: not before the last one in use was renewed.
    let refused = authority.retire("test").await.unwrap_err();
    assert_eq!(refused.reason, Reason::AuthorityInUse);
    assert!(refused.metadata.contains(&("first".to_owned(), "a".to_owned())), "{refused:?}");
    let renewed = bench.renew(&old, &request()).await.unwrap();
    assert_eq!(renewed.certificate.issuer_key_id, second.key_id());
    authority.retire("test").await.unwrap();
    assert_eq!(authority.generations().trust_anchors(now), b);
    assert!(authority.revocation_list(first.key_id()).is_ok(), "what it revoked stays revoked");
    assert_eq!(reason(authority.retire("test").await), Reason::RotationNotActive);
    let own: Vec<_> = bench.events("").await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(own, [109, 119, 120, 121]);
    // Another rotation can follow.
    authority.prepare_rotation("test").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_below_gets_an_authority_and_an_identity_and_nothing_else() {
    let bench = Bench::new().await;
    let order = |node: &str, root| TokenOrder {
        node: node.into(),
        owner: "Example".into(),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        ttl: Duration::from_secs(3600),
        by: "test".into(),
        root,
    };
    let (token, _) = bench.authority.create_token(order("berlin", true)).await.unwrap();
    let (identity, key) = (request(), request());
    let refused = bench.authority.enroll(&token, licensor_only(&identity)).await;
    assert_eq!(reason(refused), Reason::CsrMalformed);
    let requests = CertificateRequests { licensor: &identity, server: &identity, authority: &key };
    assert_eq!(reason(bench.authority.enroll(&token, requests).await), Reason::InvalidArgument);
    let requests = CertificateRequests { licensor: &identity, server: &[], authority: &key };
    let issued = bench.authority.enroll(&token, requests).await.unwrap();
    let facts = Certificate::parse(&issued.certificate.licensor).unwrap();
    assert_eq!(facts.spiffe_id.as_deref(), Some("spiffe://licensor.local/root/berlin"));
    assert!(!facts.licensor_purpose);
    let authority = Certificate::parse(&issued.certificate.authority).unwrap();
    assert_eq!(authority.spiffe_id.as_deref(), Some("spiffe://licensor.local"));
    // The certificate of its authority leads to the record, and is revoked with it.
    let found = bench.authority.ledger().certificate_named(&authority.serial).await.unwrap().unwrap();
    assert_eq!(found.serial, issued.certificate.serial);
    bench.authority.revoke(&authority.serial, 0, "test").await.unwrap();
    assert!(bench.list().find(&verifier::certificate::octets(&authority.serial).unwrap()).is_some());
    // A name stands for one kind.
    assert_eq!(reason(bench.authority.create_token(order("berlin", false)).await), Reason::InvalidArgument);
    let server = bench.token("a").await;
    assert_eq!(reason(bench.authority.enroll(&server, requests).await), Reason::InvalidArgument);
}
