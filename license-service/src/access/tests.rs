use std::time::Duration;

use http::HeaderMap;
use licensor::{error::Reason, serve::Shutdown};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};

use super::{
    Caller, Lifetime, TokenOrder,
    test_bench::{Bench, DAY, bearer},
};
use crate::config::{AccessConfig, Permission};

const LICENSES: Permission = Permission::Licenses;

fn reason<T>(result: Result<T, licensor::error::Error>) -> Reason {
    result.err().expect("it was let in").reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in_for_what_it_allows_and_nothing_else() {
    let bench = Bench::open(AccessConfig::default()).await;
    let (token, shown) = bench.token(&[Permission::Usage, LICENSES], DAY).await;
    assert_eq!(shown.allows, [LICENSES, Permission::Usage]);
    let (caller, _place) = bench.admit(&token, LICENSES).unwrap();
    assert_eq!(caller.name(), "billing");
    let _ = bench.admit(&token, Permission::Usage).unwrap();
    let refused = bench.admit(&token, Permission::Statements).unwrap_err();
    assert_eq!(refused.reason, Reason::AccessNotAllowed);
    for fact in [("missing", "statements"), ("owner", "Finance")] {
        assert!(refused.metadata.contains(&(fact.0.into(), fact.1.into())), "{refused:?}");
    }
    assert!(refused.message.contains("license-service access create --name billing --allow statements"));
    // The scheme is written in any case.
    let mut headers = bearer(&token);
    headers.insert("authorization", format!("bEARER  {token}").parse().unwrap());
    let _ = bench.access.admit(&headers, None, LICENSES).unwrap();
    assert_eq!(bench.event_ids().await, [150]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_good_token_is_told_what_is_wrong() {
    let bench = Bench::open(AccessConfig::default()).await;
    let (token, _) = bench.token(&[LICENSES], DAY).await;
    let admit = |headers: &HeaderMap| reason(bench.access.admit(headers, None, LICENSES));
    assert_eq!(admit(&HeaderMap::new()), Reason::AccessTokenRequired);
    for other in ["", "Bearer", "Basic YTpi", token.as_str()] {
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, other.parse().unwrap())]);
        assert_eq!(admit(&headers), Reason::AccessTokenRequired, "{other}");
    }
    let mut twice = bearer(&token);
    twice.append("authorization", format!("Bearer {token}").parse().unwrap());
    assert_eq!(admit(&twice), Reason::AccessTokenUnknown);

    let refusal = |token: &str| bench.admit(token, LICENSES).unwrap_err();
    let mistyped = refusal(&token.replace("lic_", "lic_0"));
    assert_eq!(mistyped.reason, Reason::AccessTokenUnknown);
    assert!(mistyped.message.contains("mistyped"), "{mistyped}");
    // A token of another server, and one with the identifier of a good one and a secret that was made up.
    let other = super::Token::new().unwrap().text();
    let body = format!("{}_{}", &token[..20], &other[21..85]);
    let forged = format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()));
    assert!(super::Token::parse(&forged).is_some());
    let (unknown, forged) = (refusal(&other), refusal(&forged));
    assert_eq!(unknown.reason, Reason::AccessTokenUnknown);
    assert_eq!(forged, unknown, "whether an identifier is known is nobody's business");
    assert!(!unknown.message.contains(&other[21..]));
    let _ = bench.admit(&token, LICENSES).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_time_and_when_it_is_revoked_also_after_a_restart() {
    let mut bench = Bench::open(AccessConfig::default()).await;
    let (short, _) = bench.token(&[LICENSES], Duration::from_secs(60)).await;
    let (long, shown) = bench.token(&[LICENSES], DAY).await;
    let _ = bench.admit(&short, LICENSES).unwrap();
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(reason(bench.admit(&short, LICENSES)), Reason::AccessTokenExpired);

    let tokens = bench.access.tokens().clone();
    assert_eq!(reason(tokens.revoke("0011223344556677", "uid:0").await), Reason::AccessTokenIdUnknown);
    assert_eq!(reason(tokens.revoke("x", "uid:0").await), Reason::AccessTokenIdUnknown);
    let revoked = tokens.revoke(&shown.id, "uid:7").await.unwrap();
    assert_eq!(revoked.revoked_at, Some(bench.now()));
    assert_eq!(reason(bench.admit(&long, LICENSES)), Reason::AccessTokenRevoked);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(tokens.revoke(&shown.id, "uid:0").await.unwrap(), revoked, "it was revoked but once");
    assert_eq!(bench.event_ids().await, [150, 150, 151]);

    bench.reopen().await;
    assert_eq!(reason(bench.admit(&short, LICENSES)), Reason::AccessTokenExpired);
    assert_eq!(reason(bench.admit(&long, LICENSES)), Reason::AccessTokenRevoked);
    assert_eq!(bench.access.tokens().list(&[], 10).0.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_learns_that_its_caller_is_good_no_more() {
    let bench = Bench::open(AccessConfig::default()).await;
    let (token, shown) = bench.token(&[LICENSES], DAY).await;
    let wait = |caller: Caller| tokio::spawn(async move { caller.ended().await.reason });
    let (caller, _place) = bench.admit(&token, LICENSES).unwrap();
    let revoked = wait(caller.clone());
    caller.ensure_valid().unwrap();
    bench.access.tokens().revoke(&shown.id, "uid:0").await.unwrap();
    assert_eq!(revoked.await.unwrap(), Reason::AccessTokenRevoked);
    assert_eq!(reason(caller.ensure_valid()), Reason::AccessTokenRevoked);
    // Also one that begins to wait only now.
    assert_eq!(caller.ended().await.reason, Reason::AccessTokenRevoked);

    let (token, _) = bench.token(&[LICENSES], DAY).await;
    let (caller, _place) = bench.admit(&token, LICENSES).unwrap();
    let expired = wait(caller);
    bench.clock.advance(DAY);
    assert_eq!(expired.await.unwrap(), Reason::AccessTokenExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_kept_once_an_hour() {
    let mut bench = Bench::open(AccessConfig::default()).await;
    let (token, _) = bench.token(&[LICENSES], DAY).await;
    let used = |bench: &Bench| bench.access.tokens().list(&[], 1).0[0].last_used_at;
    assert_eq!(used(&bench), None);
    let first = bench.now();
    let (stop, shutdown) = Shutdown::channel();
    let keeping = tokio::spawn(bench.access.tokens().clone().keep_uses(shutdown));
    for _ in 0..10 {
        let _ = bench.admit(&token, LICENSES).unwrap();
        bench.clock.advance(Duration::from_secs(300));
    }
    assert_eq!(used(&bench), Some(first));
    while bench.ledger.access_tokens().await.unwrap()[0].1 == 0 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance(Duration::from_secs(600));
    let second = bench.now();
    let _ = bench.admit(&token, LICENSES).unwrap();
    assert_eq!(used(&bench), Some(second));
    stop.send_replace(true);
    keeping.await.unwrap().unwrap();
    bench.reopen().await;
    assert!(used(&bench) >= Some(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_makes_no_sense_is_refused_and_leaves_nothing() {
    let bench = Bench::open(AccessConfig::default()).await;
    let order = |name: &str, owner: &str, lifetime| TokenOrder {
        name: name.into(),
        owner: owner.into(),
        allows: Vec::new(),
        lifetime,
        by: "uid:0".into(),
    };
    let long = "x".repeat(65);
    for wrong in [
        order("", "", Lifetime::Default),
        order(" ", "", Lifetime::Default),
        order("a\nb", "", Lifetime::Default),
        order(&long, "", Lifetime::Default),
        order("a", &long, Lifetime::Default),
        order("a", "", Lifetime::For(Duration::ZERO)),
        order("a", "", Lifetime::For(DAY * 4000)),
        order("a", "", Lifetime::Until(bench.now())),
        order("a", "", Lifetime::Until(bench.now() - DAY)),
    ] {
        let said = format!("{wrong:?}");
        assert_eq!(reason(bench.access.tokens().create(wrong).await), Reason::InvalidArgument, "{said}");
    }
    assert!(bench.access.tokens().list(&[], 10).0.is_empty());
    let (_, shown) = bench.access.tokens().create(order("a", "", Lifetime::Default)).await.unwrap();
    assert_eq!((shown.owner.as_str(), &shown.allows), ("a", &vec![LICENSES]));
    assert_eq!(shown.expires_at, bench.now() + DAY * 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_kind_of_caller_and_outcome() {
    let config = AccessConfig { calls_per_second: 1, burst: 1, ..AccessConfig::default() };
    let bench = Bench::open(config).await;
    let (token, _) = bench.token(&[LICENSES], DAY).await;
    let _ = bench.admit(&token, LICENSES).unwrap();
    assert_eq!(reason(bench.admit(&token, LICENSES)), Reason::Overloaded);
    for number in 0..100 {
        bench.admit(&format!("lic_{number}"), LICENSES).unwrap_err();
        bench.access.admit(&HeaderMap::new(), None, LICENSES).unwrap_err();
    }
    let text = bench.metrics.text();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("licensor_access_total")).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for line in [
        r#"licensor_access_total{caller="token",result="ok"} 1"#,
        r#"licensor_access_total{caller="token",result="OVERLOADED"} 1"#,
        r#"licensor_access_total{caller="token",result="ACCESS_TOKEN_UNKNOWN"} 100"#,
        r#"licensor_access_total{caller="nobody",result="ACCESS_TOKEN_REQUIRED"} 100"#,
    ] {
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
}

/// A file with the certificate of an authority, the authority, and a way to have it certify clients.
struct Clients {
    _folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    config: AccessConfig,
}

impl Clients {
    fn new(tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = folder.path().join("clients.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, format!("client_authorities = {file:?}\n{tables}")).unwrap();
        let config = licensor::config::load(Some(&path), &path, "NONE__", std::iter::empty()).unwrap();
        Self { _folder: folder, authority, config }
    }

    /// A certificate until `not_after`.
    fn certify(&self, name: &str, not_after: std::time::SystemTime) -> Vec<Vec<u8>> {
        let mut params = CertificateParams::default();
        params.not_after = not_after.into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let name = if name.starts_with("spiffe:") {
            SanType::URI(name.try_into().unwrap())
        } else {
            SanType::DnsName(name.try_into().unwrap())
        };
        params.subject_alt_names = vec![name];
        let key = KeyPair::generate().unwrap();
        vec![params.signed_by(&key, &self.authority).unwrap().der().to_vec()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_caller_as_the_configuration_says() {
    let clients = Clients::new(
        "allow = [\"licenses\"]\n[[clients]]\nname = \"billing.example\"\nowner = \"Finance\"\nallow = [\"statements\"]\n",
    );
    let bench = Bench::open(clients.config.clone()).await;
    let until = bench.now() + DAY;
    let shop = clients.certify("spiffe://example/shop", until);
    let (caller, _place) = bench.admit_certificate(&shop, LICENSES).unwrap();
    assert_eq!(caller.name(), "spiffe://example/shop");
    assert_eq!(reason(bench.admit_certificate(&shop, Permission::Statements)), Reason::AccessNotAllowed);
    let billing = clients.certify("Billing.example", until);
    let (named, _place) = bench.admit_certificate(&billing, Permission::Statements).unwrap();
    assert_eq!(named.name(), "billing.example");
    let refused = bench.admit_certificate(&billing, LICENSES).unwrap_err();
    assert_eq!(refused.reason, Reason::AccessNotAllowed);
    assert!(refused.metadata.contains(&("owner".into(), "Finance".into())), "{refused:?}");

    let stranger = Clients::new("allow = [\"licenses\"]\n").certify("spiffe://example/shop", until);
    for _ in 0..2 {
        let refused = reason(bench.admit_certificate(&stranger, LICENSES));
        assert_eq!(refused, Reason::AccessCertificateNotAccepted);
    }
    // A token that is shown counts, good or not.
    let peer = licensor::serve::PeerCertificate::read(&shop).map(std::sync::Arc::new);
    let peer = licensor::serve::Peer { address: ([127, 0, 0, 1], 1).into(), certificate: peer };
    let forged = bench.access.admit(&bearer("lic_"), Some(&peer), LICENSES);
    assert_eq!(reason(forged), Reason::AccessTokenUnknown);

    let ended = tokio::spawn({
        let caller = caller.clone();
        async move { caller.ended().await.reason }
    });
    bench.clock.set(until);
    assert_eq!(ended.await.unwrap(), Reason::AccessCertificateNotAccepted);
    let late = bench.admit_certificate(&shop, LICENSES).unwrap_err();
    assert_eq!(late.reason, Reason::AccessCertificateNotAccepted);
    assert!(late.message.contains("expired on"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_one_name_share_its_bounds_and_none_counts_where_there_are_no_authorities() {
    let clients = Clients::new("allow = [\"licenses\"]\ncalls_per_second = 1\nburst = 2\n");
    let bench = Bench::open(clients.config.clone()).await;
    let until = bench.now() + DAY;
    let certificates = [(); 3].map(|()| clients.certify("spiffe://example/shop", until));
    for certificate in &certificates[..2] {
        let _ = bench.admit_certificate(certificate, LICENSES).unwrap();
    }
    assert_eq!(reason(bench.admit_certificate(&certificates[2], LICENSES)), Reason::Overloaded);
    let other = clients.certify("spiffe://example/other", until);
    let _ = bench.admit_certificate(&other, LICENSES).unwrap();

    let bench = Bench::open(AccessConfig::default()).await;
    assert_eq!(reason(bench.admit_certificate(&other, LICENSES)), Reason::AccessTokenRequired);
}
