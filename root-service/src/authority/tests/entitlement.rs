//! Entitlements: put, signed so that strangers believe them, and handed out to their owner alone.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use verifier::{EntitlementClaims, JwsError, Trust, verify_entitlement};

use super::*;
use crate::{entitlement::Stated, ledger::UpstreamRecord};

/// What a document for the owner of the bench's nodes states.
fn document(vendor: &str, quantity: u32, more: &str) -> String {
    format!(
        "owner = \"Example\"\nvendor = \"{vendor}\"\nserial_number = \"1\"\n{more}\n[[modules]]\nname = \"crm\"\nquantity = {quantity}\n"
    )
}

async fn put(bench: &Bench, document: &str) -> Result<Put, Error> {
    bench.authority.put_entitlement(&Stated::read(document)?, document, "uid:7").await
}

/// What a stranger with these anchors reads.
fn believed(
    jws: &str,
    anchors: &[Vec<u8>],
    now: std::time::SystemTime,
) -> Result<EntitlementClaims, JwsError> {
    let trust = Trust { anchors, ..Trust::default() };
    verify_entitlement(jws, trust, licensor::clock::unix_seconds(now))
}

fn peer_of(issued: &Issued) -> PeerCertificate {
    PeerCertificate::read(&[&issued.certificate.licensor]).unwrap()
}

/// Vendor and version of what the holder of a certificate is given.
async fn fetched(bench: &Bench, peer: &PeerCertificate) -> Result<Vec<(String, u64)>, Error> {
    let caller = bench.authority.identify(Some(peer)).await?;
    let given = bench.authority.entitlements_for(&caller).await?;
    Ok(given.into_iter().map(|(record, _)| (record.vendor, record.version)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_signed_and_a_stranger_believes_it() {
    let bench = Bench::new().await;
    let text = document("Acme", 10, "");
    let first = put(&bench, &text).await.unwrap();
    let anchors = [bench.authority.active().unwrap().trust_anchor().to_vec()];
    // Long after the certificate of its signer has expired.
    bench.clock.advance(DAY * 400);
    let claims = believed(&first.jws, &anchors, bench.clock.now()).unwrap();
    assert_eq!(claims.iss, format!("spiffe://licensor.local/entitlements/{}", bench.authority.log_name()));
    assert_eq!((&*claims.sub, claims.iat, claims.nbf), ("Example", 1_800_000_000, 1_800_000_000));
    assert_eq!((claims.jti.len(), claims.entitlement.version), (32, 1));
    assert_eq!((&*claims.entitlement.vendor, claims.entitlement.modules[0].quantity), ("Acme", 10));
    let earlier = from_unix_seconds(claims.nbf) - Duration::from_secs(1);
    let early = believed(&first.jws, &anchors, earlier);
    assert_eq!(early, Err(JwsError::NotYetValid { nbf: claims.nbf }));
    let other = Bench::new().await;
    let stranger = [other.authority.active().unwrap().trust_anchor().to_vec()];
    assert!(matches!(believed(&first.jws, &stranger, bench.clock.now()), Err(JwsError::Chain(_))));
    // The same again is nothing new, however it is written; and what is kept is what was signed.
    let again = put(&bench, &format!("# Acme\n{text}")).await.unwrap();
    assert!(again.unchanged && !first.unchanged);
    assert_eq!((again.record, again.jws, again.document), (first.record, first.jws, text));
    assert_eq!(bench.events("").await, [(109, false), (126, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_has_a_short_certificate_for_this_alone() {
    let bench = Bench::new().await;
    let jws = put(&bench, &document("Acme", 1, "")).await.unwrap().jws;
    let header = BASE64_URL_SAFE_NO_PAD.decode(jws.split('.').next().unwrap()).unwrap();
    let header: verifier::jws::Header = serde_json::from_slice(&header).unwrap();
    let [signer] = header.x5c.as_slice() else { panic!("the anchor is not among them: {header:?}") };
    let facts = Certificate::parse(&BASE64_STANDARD.decode(signer).unwrap()).unwrap();
    let now = licensor::clock::unix_seconds(bench.clock.now());
    assert_eq!((facts.not_before, facts.not_after), (now - 120, now + 600));
    assert_eq!((&*facts.common_name, &*facts.organization), ("Entitlements", "Licensor"));
    assert!(facts.entitlement_purpose && !facts.licensor_purpose && facts.renewal_address.is_none());
    // It opens nothing here.
    let der = BASE64_STANDARD.decode(signer).unwrap();
    let peer = PeerCertificate::read(&[der]).unwrap();
    assert_eq!(reason(bench.authority.identify(Some(&peer)).await), Reason::CertificateUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_grow_and_none_is_forgotten() {
    let bench = Bench::new().await;
    for (quantity, more, version) in [(1, "", 1), (2, "", 2), (1, "version = 9", 9), (2, "", 10)] {
        let put = put(&bench, &document("Acme", quantity, more)).await.unwrap();
        assert_eq!((put.record.version, put.unchanged), (version, false));
    }
    for version in [1, 9, 10] {
        let refused = put(&bench, &document("Acme", 3, &format!("version = {version}"))).await.unwrap_err();
        assert_eq!(refused.reason, Reason::EntitlementOutdated);
        assert_eq!(refused.metadata, [("version".to_owned(), "10".to_owned())]);
    }
    let same = put(&bench, &document("Acme", 2, "version = 10")).await.unwrap();
    assert!(same.unchanged && same.record.version == 10);
    assert_eq!(put(&bench, &document("Other", 2, "")).await.unwrap().record.version, 1, "of its own");
    let mut snapshot = bench.authority.ledger().snapshot().await.unwrap();
    let mut versions = Vec::new();
    loop {
        let pairs = snapshot.next(100).await.unwrap();
        if pairs.is_empty() {
            break;
        }
        let keys = pairs.into_iter().filter_map(|(key, _)| {
            let rest = key.strip_prefix(b"entitlement-version/Example\0")?;
            let (vendor, version) = rest.split_at(rest.len() - 9);
            Some((String::from_utf8_lossy(vendor).into_owned(), version[8]))
        });
        versions.extend(keys);
    }
    let expected = [("Acme", 1), ("Acme", 2), ("Acme", 9), ("Acme", 10), ("Other", 1)];
    assert_eq!(versions, expected.map(|(vendor, version)| (vendor.to_owned(), version)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_version_that_there_is_has_no_successor() {
    let bench = Bench::new().await;
    put(&bench, &document("Acme", 1, "version = 9007199254740991")).await.unwrap();
    assert_eq!(reason(put(&bench, &document("Acme", 2, "")).await), Reason::EntitlementOutdated);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_put_at_once_none_overwrites_another() {
    let bench = Arc::new(Bench::new().await);
    let at_once = |documents: Vec<String>| {
        let tasks = documents.into_iter().map(|document| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { put(&bench, &document).await })
        });
        let tasks: Vec<_> = tasks.collect();
        async move {
            let mut ends = Vec::new();
            for task in tasks {
                ends.push(task.await.unwrap());
            }
            ends
        }
    };
    let different = at_once((1..=16).map(|n| document("Acme", n, "")).collect()).await;
    let mut versions: Vec<_> = different.into_iter().map(|put| put.unwrap().record.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=16).collect::<Vec<_>>());
    let same = at_once((1..=16).map(|_| document("Acme", 100, "")).collect()).await;
    let signed = same.into_iter().filter(|put| !put.as_ref().unwrap().unchanged).count();
    assert_eq!(signed, 1);
    let stated = at_once((1..=16).map(|n| document("Acme", 200 + n, "version = 50")).collect()).await;
    let (won, lost): (Vec<_>, Vec<_>) = stated.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|put| reason(put) == Reason::EntitlementOutdated));
    let events = bench.events("").await.into_iter().filter(|(id, _)| *id == 126).count();
    assert_eq!(events, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_it_is_signed_anew_and_those_who_know_either_anchor_believe_it() {
    let bench = Bench::new().await;
    let authority = &bench.authority;
    let text = document("Acme", 1, "");
    let old = put(&bench, &text).await.unwrap();
    let first = [authority.active().unwrap().trust_anchor().to_vec()];
    authority.prepare_rotation("test").await.unwrap();
    assert!(put(&bench, &text).await.unwrap().unchanged);
    let second = [authority.activate_rotation("test").await.unwrap().trust_anchor().to_vec()];
    let new = put(&bench, &text).await.unwrap();
    assert_eq!((new.unchanged, new.record.version), (false, 1));
    assert!(put(&bench, &text).await.unwrap().unchanged);
    let now = bench.clock.now();
    assert!(believed(&old.jws, &second, now).is_err());
    let (before, after) =
        (believed(&old.jws, &first, now).unwrap(), believed(&new.jws, &second, now).unwrap());
    assert_eq!(believed(&new.jws, &first, now).unwrap(), after, "by the cross-certificate");
    assert_eq!(before.iss, after.iss);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_after_a_rotation_is_signed_anew_once_and_stays_the_version_that_it_is() {
    let bench = Bench::new().await;
    let authority = &bench.authority;
    let peer = peer_of(&bench.enroll("a").await);
    let text = document("Acme", 1, "version = 7");
    let old = put(&bench, &text).await.unwrap();
    authority.prepare_rotation("test").await.unwrap();
    let anchors = [authority.activate_rotation("test").await.unwrap().trust_anchor().to_vec()];
    let caller = authority.identify(Some(&peer)).await.unwrap();
    let given = authority.entitlements_for(&caller).await.unwrap();
    let [(record, jws)] = given.as_slice() else { panic!("{given:?}") };
    let claims = believed(jws, &anchors, bench.clock.now()).unwrap();
    assert_eq!((&*claims.sub, claims.entitlement.version), ("Example", 7));
    assert_eq!((record.put_at, &record.put_by), (old.record.put_at, &old.record.put_by));
    assert_eq!(authority.entitlements_for(&caller).await.unwrap(), given);
    let again = put(&bench, &text).await.unwrap();
    assert!(again.unchanged && again.jws == *jws);
    let events = bench.events("").await.into_iter().filter(|(id, _)| *id == 126).count();
    assert_eq!(events, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn below_an_upstream_it_leads_to_the_anchor_of_that() {
    let (upstream, bench) = (Bench::new().await, Bench::new().await);
    let key_id = bench.authority.active().unwrap().key_id().to_owned();
    let order = TokenOrder {
        node: "berlin".into(),
        owner: "Licensor".into(),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        ttl: DAY,
        by: "test".into(),
        root: true,
    };
    let (token, _) = upstream.authority.create_token(order).await.unwrap();
    let csr = bench.authority.key_of(&key_id).unwrap().certificate_request().unwrap();
    let requests = CertificateRequests { licensor: &request(), server: &[], authority: &csr };
    let issued = upstream.authority.enroll(&token, requests).await.unwrap();
    let anchors = upstream.authority.generations().trust_anchors(upstream.clock.now());
    let certificate = issued.certificate.authority.clone();
    let certified = Certified {
        key_id,
        issuers: vec![certificate.clone()],
        certificate,
        anchors: anchors.clone(),
        renew_at: 0,
        upstream: UpstreamRecord::default(),
    };
    bench.authority.adopt(certified, "test").await.unwrap();
    let jws = put(&bench, &document("Acme", 1, "")).await.unwrap().jws;
    let claims = believed(&jws, &anchors, bench.clock.now()).unwrap();
    assert_eq!(claims.iss, format!("spiffe://licensor.local/entitlements/{}", bench.authority.log_name()));
    // The identity of that root is no licensing server's.
    put(&upstream, &document("Acme", 1, "").replace("\"Example\"", "\"Licensor\"")).await.unwrap();
    let refused = fetched(&upstream, &peer_of(&issued)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert!(refused.message.contains("berlin is a root"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_authority_signs_none() {
    let bench = Bench::with(|config| config.authority.anchor_validity = licensor::config::Span(DAY)).await;
    bench.clock.advance(DAY - Duration::from_secs(60));
    put(&bench, &document("Acme", 1, "")).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(reason(put(&bench, &document("Acme", 2, "")).await), Reason::AuthorityExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licensing_server_gets_those_of_its_owner_while_its_certificate_is_in_force() {
    let bench = Bench::new().await;
    let (a, b) = (bench.enroll("a").await, bench.enroll("b").await);
    assert_eq!(fetched(&bench, &peer_of(&a)).await.unwrap(), []);
    for vendor in ["Zeta", "Acme"] {
        put(&bench, &document(vendor, 1, "")).await.unwrap();
    }
    put(&bench, &document("Acme", 2, "")).await.unwrap();
    for owner in ["Example GmbH", "Exampl", "Other"] {
        put(&bench, &document("Acme", 1, "").replace("\"Example\"", &format!("{owner:?}"))).await.unwrap();
    }
    let expected = [("Acme".to_owned(), 2), ("Zeta".to_owned(), 1)];
    assert_eq!(fetched(&bench, &peer_of(&a)).await.unwrap(), expected);
    // Whatever takes its certificate out of force.
    assert_eq!(reason(bench.authority.identify(None).await), Reason::ClientCertificateRequired);
    let renewed = bench.renew(&a, &request()).await.unwrap();
    assert_eq!(reason(fetched(&bench, &peer_of(&a)).await), Reason::CertificateSuperseded);
    assert_eq!(fetched(&bench, &peer_of(&renewed)).await.unwrap(), expected);
    bench.authority.revoke(&renewed.certificate.serial, 1, "test").await.unwrap();
    assert_eq!(reason(fetched(&bench, &peer_of(&renewed)).await), Reason::CertificateRevoked);
    bench.clock.advance(DAY * 365);
    assert_eq!(reason(fetched(&bench, &peer_of(&b)).await), Reason::CertificateExpired);
    bench.authority.decommission("b", "test").await.unwrap();
    assert_eq!(reason(fetched(&bench, &peer_of(&b)).await), Reason::NodeDecommissioned);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_documents_are_kept_whole_and_pages_stay_short() {
    let bench = Bench::new().await;
    let modules: String = (0..120)
        .map(|n| {
            format!("[[modules]]\nname = \"m{n}\"\nquantity = 1\ndescription = \"{}\"\n", "x".repeat(4000))
        })
        .collect();
    let ledger = bench.authority.ledger();
    for vendor in ["A", "B", "C"] {
        let text = format!("{}{modules}", document(vendor, 1, ""));
        let put = put(&bench, &text).await.unwrap();
        assert_eq!(ledger.entitlement_text(&put.record.document).await.unwrap(), text);
        assert_eq!(ledger.entitlement_text(&put.record.jws).await.unwrap(), put.jws);
    }
    put(&bench, &document("D", 1, "")).await.unwrap();
    let (mut token, mut vendors, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let (page, next) = ledger.entitlements("", &token, 1000).await.unwrap();
        vendors.extend(page.into_iter().map(|(record, _)| record.vendor));
        pages += 1;
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((vendors.concat().as_str(), pages), ("ABCD", 2));
    let (page, next) = ledger.entitlements("Example", "", 1).await.unwrap();
    assert!(page.len() == 1 && !next.is_empty());
    assert_eq!(ledger.entitlements("Exampl", "", 1).await.unwrap(), (Vec::new(), String::new()));
}
